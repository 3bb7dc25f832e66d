"""A network of two layers, 784-128-10, learns to read MNIST's digits; how long, and how well.

    python examples/mnist_mlp.py --data-dir FOLDER [--device auto] [--epochs 5] [--no-jit]

FOLDER has MNIST's four idx files. Each image of 28 x 28 pixels becomes a row of 784 numbers; 128
units look at all of them, and 10 outputs, one for each digit, look at the 128:

    logits = W2 relu(W1 x + b1) + b2
"""

from __future__ import annotations

import argparse
import time

import tinyaccel as ta
from tinyaccel import data, nn, optim
from tinyaccel.errors import TinyaccelError


def main() -> None:
    parser = argparse.ArgumentParser(description="A 784-128-10 network on MNIST.")
    parser.add_argument("--data-dir", help="folder of the idx files (or set TINYACCEL_DATA)")
    parser.add_argument("--device", default="auto", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=5, help="times through the training images")
    parser.add_argument("--batch-size", type=int, default=64, help="images in a step")
    parser.add_argument("--no-jit", action="store_true", help="run op by op, to debug")
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error(f"--epochs {args.epochs}; expected 1 or more")

    try:
        device = ta.get_device(args.device)  # "auto" takes the best that is here
        train, test = data.mnist(args.data_dir)
        # drop_last: all batches have one size, so that the step is traced and compiled once.
        batches = data.DataLoader(train, args.batch_size, shuffle=True, seed=0, drop_last=True)
        test_batches = data.DataLoader(test, 1000)
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    ta.manual_seed(0)  # the same initial weights on every device
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    model.to(device)
    loss_of = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    weights = sum(p.size for p in model.parameters())
    print(f"device {device}, {weights:,} weights, {len(batches)} steps an epoch")

    def step(x: ta.Tensor, labels: ta.Tensor) -> ta.Tensor:
        """One step of training: forward, backward, update."""
        optimizer.zero_grad()
        loss = loss_of(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    def count_right(x: ta.Tensor, labels: ta.Tensor) -> ta.Tensor:
        """How many images the network reads as what they are."""
        return (model(x).argmax(1) == labels).sum()

    if not args.no_jit:
        # Each becomes one graph; the step's holds the backward pass and the update too.
        step, count_right = ta.jit(step), ta.jit(count_right)

    total_seconds, accuracy = 0.0, 0.0
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        total_loss = 0.0
        for x, labels in batches:
            loss = step(ta.tensor(x, device=device), ta.tensor(labels, device=device))
            total_loss += float(loss)
        seconds = time.perf_counter() - start
        total_seconds += seconds

        with ta.no_grad():
            right = [
                int(count_right(ta.tensor(x, device=device), ta.tensor(labels, device=device)))
                for x, labels in test_batches
            ]
        accuracy = sum(right) / len(test)
        print(f"epoch {epoch}: loss {total_loss / len(batches):.4f}, ", end="")
        print(f"test accuracy {accuracy:.4f}, {seconds:.1f} s", flush=True)

    speed = args.epochs * len(batches) * args.batch_size / total_seconds
    print(f"Trained for {total_seconds:.1f} s ({speed:,.0f} images a second).")
    print(f"test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
