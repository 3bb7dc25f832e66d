"""PyTorch's CIFAR-10 tutorial, nearly line for line: a small convolutional network for photographs.

    python examples/cifar10_tutorial.py --data-dir FOLDER [--device auto] [--epochs 2] [--no-jit]

FOLDER has CIFAR-10's binary version (data_batch_1.bin, ..., test_batch.bin), whole or in part. The
tutorial trains on all 50,000 images for 2 epochs; on fewer, give it more epochs. What differs from
PyTorch is marked with a star.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn, optim
from tinyaccel.errors import TinyaccelError


class Net(nn.Module):
    """conv 6@5x5 - pool - conv 16@5x5 - pool - 120 - 84 - 10, with ReLU between."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: ta.Tensor) -> ta.Tensor:
        x = self.pool(ta.relu(self.conv1(x)))  # (N, 3, 32, 32) -> (N, 6, 14, 14)
        x = self.pool(ta.relu(self.conv2(x)))  # -> (N, 16, 5, 5)
        x = x.flatten(1)  # all but the batch -> (N, 400)
        x = ta.relu(self.fc1(x))
        x = ta.relu(self.fc2(x))
        return self.fc3(x)  # logits; the loss has the softmax in it


def main() -> None:
    parser = argparse.ArgumentParser(description="PyTorch's CIFAR-10 tutorial with tinyaccel.")
    parser.add_argument("--data-dir", help="folder of the binary files (or set TINYACCEL_DATA)")
    parser.add_argument("--device", default="auto", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=2, help="times through the training images")
    parser.add_argument("--no-jit", action="store_true", help="run op by op, to debug")
    args = parser.parse_args()

    # 1. The data, normalised to [-1, 1].
    try:
        device = ta.get_device(args.device)  # "auto" takes the best that is here
        train, test = data.cifar10(args.data_dir)
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    classes = train.classes
    trainset = data.ArrayDataset(train.x, train.y, classes=classes, mean=0.5, std=0.5)
    testset = data.ArrayDataset(test.x, test.y, classes=classes, mean=0.5, std=0.5)
    trainloader = data.DataLoader(trainset, batch_size=4, shuffle=True, seed=0)
    testloader = data.DataLoader(testset, batch_size=250)
    print(f"device {device}, {len(trainset)} images to train on, {len(testset)} to test on")

    # 2. The network. * The seed makes its weights the same on every device.
    ta.manual_seed(0)
    net = Net().to(device)

    # 3. The loss and the optimizer.
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

    # 4. Training. * The step is a function, so that jit can make one graph of all that it does.
    def step(inputs: ta.Tensor, labels: ta.Tensor) -> ta.Tensor:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        return loss

    train_step = step if args.no_jit else ta.jit(step)
    often = max(1, len(trainloader) // 4)
    start = time.perf_counter()
    for epoch in range(args.epochs):  # loop over the images several times
        running_loss = 0.0
        for i, (images, targets) in enumerate(trainloader):
            # * Batches are NumPy arrays; here they go to the device.
            loss = train_step(ta.tensor(images, device=device), ta.tensor(targets, device=device))
            running_loss += float(loss)
            if i % often == often - 1:
                print(f"[{epoch + 1}, {i + 1:5d}] loss: {running_loss / often:.3f}", flush=True)
                running_loss = 0.0
    print(f"Finished Training ({time.perf_counter() - start:.1f} s)")

    # 5. What it has learned, on images that it has never seen.
    net.eval()
    correct, total = np.zeros(len(classes), int), np.zeros(len(classes), int)
    with ta.no_grad():
        for images, targets in testloader:
            predicted = net(ta.tensor(images, device=device)).argmax(1).numpy()
            correct += np.bincount(targets[predicted == targets], minlength=len(classes))
            total += np.bincount(targets, minlength=len(classes))
    accuracy = correct.sum() / total.sum()
    print(f"Accuracy of the network on the {total.sum()} test images: {accuracy:.1%}")
    for name, right, n in zip(classes, correct, total, strict=True):
        print(f"  {name:10s} {right:4d} of {n:4d}")
    print("Guessing would be right in 10 % of the cases.")


if __name__ == "__main__":
    main()
