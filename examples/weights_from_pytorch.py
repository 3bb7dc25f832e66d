"""A network that was trained in PyTorch goes on here, with the same weights, and back again.

    python examples/weights_from_pytorch.py [--device cpu] [--epochs 4]

Layers have PyTorch's names, shapes and formulas, so weights go over as they are: `load_torch` sets
a model's parameters and buffers from a torch.nn.Module, its state_dict, or a .safetensors file, and
`to_torch` makes tensors of them for `module.load_state_dict`. A .pt or .pth file is a pickle, which
can run any code when it is read, and is refused; in PyTorch, write
safetensors.torch.save_file(module.state_dict(), "weights.safetensors") instead.

PyTorch must be installed, and scikit-learn, which brings the images of digits.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn
from tinyaccel.errors import TinyaccelError


def layers(library: Any) -> list[Any]:
    """The network's layers: the same lines make them in PyTorch and here."""
    return [
        library.Conv2d(1, 16, 3, padding=1),
        library.BatchNorm2d(16),
        library.ReLU(),
        library.MaxPool2d(2),
        library.Flatten(),
        library.Linear(256, 10),
    ]


def budget(model: nn.Module, x: ta.Tensor) -> np.ndarray:
    """How far rounding may take each logit.

    A sum of k products in float32 is off by at most 4 sqrt(k) eps of the sum of their sizes. The
    sizes come from the same network with all numbers made positive; the sums have 9 and 256 terms
    and a bias, and batch norm rounds a few times more.
    """
    positive = nn.Sequential(*layers(nn)).to(x.device).eval()
    sizes = {name: abs(value) for name, value in model.state_dict().items()}
    mean = sizes.pop("1.running_mean")  # is subtracted: in the worst case, added
    positive.load_state_dict({**sizes, "1.running_mean": -mean})
    eps = 2.0**-23
    return 4 * eps * (np.sqrt(10) + np.sqrt(257) + 8) * positive(abs(x)).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description="Weights from PyTorch, and back.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, ...")
    parser.add_argument("--epochs", type=int, default=4, help="times through the data, in each")
    args = parser.parse_args()
    try:
        torch = import_module("torch")
    except ModuleNotFoundError:
        parser.exit(2, f"{parser.prog}: PyTorch is not installed; pip install torch\n")
    try:
        device = ta.get_device(args.device)
        digits = data.digits()
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    batches = data.DataLoader(digits.train, batch_size=64, shuffle=True, seed=0, drop_last=True)
    images, labels = digits.test.batch(np.arange(len(digits.test)))

    def right(logits: np.ndarray) -> str:
        return f"{np.mean(logits.argmax(1) == labels):.1%} right"

    # 1. A network in PyTorch learns the digits a little.
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(*layers(torch.nn))
    their_optimizer = torch.optim.Adam(theirs.parameters(), lr=2e-3)
    for _ in range(args.epochs):
        for x, y in batches:
            their_optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                theirs(torch.tensor(x)), torch.tensor(y, dtype=torch.int64)
            )
            loss.backward()
            their_optimizer.step()

    def their_logits() -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = theirs.eval()(torch.tensor(images)).numpy()
        return logits

    there = their_logits()
    print(f"PyTorch, trained for {args.epochs} epochs        {right(there)}")

    # 2. The same layers here, and the weights: names and shapes fit, or one line says what doesn't.
    ours = nn.Sequential(*layers(nn)).to(device)
    ta.convert.load_torch(ours, theirs)
    test = ta.tensor(images, device=device)
    here = ours.eval()(test).numpy()
    apart = np.abs(here - there)
    assert (apart <= budget(ours, test)).all(), "the logits differ by more than rounding"
    print(f"its weights on {device!s:8}                {right(here)}")
    most = budget(ours, test).min()
    print(f"  logits differ by {apart.max():.1e} at most; rounding may do {most:.1e}")

    # 3. It goes on learning here: one graph for a whole step.
    loss_of, optimizer = nn.CrossEntropyLoss(), ta.optim.Adam(ours.parameters(), lr=2e-3)

    @ta.jit
    def step(x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        optimizer.zero_grad()
        loss = loss_of(ours(x), y)
        loss.backward()
        optimizer.step()
        return loss

    ours.train()
    for _ in range(args.epochs):
        for x, y in batches:
            step(ta.tensor(x, device=device), ta.tensor(y, device=device))
    more = ours.eval()(test).numpy()
    assert np.mean(more.argmax(1) == labels) > np.mean(here.argmax(1) == labels) - 0.01
    print(f"trained on for {args.epochs} epochs              {right(more)}")

    # 4. And back: PyTorch's own strict load_state_dict takes what to_torch gives.
    theirs.load_state_dict(ta.convert.to_torch(ours))
    back = their_logits()
    assert (np.abs(back - more) <= budget(ours, test)).all(), "something was lost on the way back"
    print(f"those weights in PyTorch              {right(back)}")


if __name__ == "__main__":
    main()
