"""An LSTM reads MNIST's digits row by row, 28 steps of 28 pixels; how long it takes, how well.

    python examples/lstm_mnist.py --data-dir FOLDER [--device auto] [--epochs 3] [--no-jit]

FOLDER has MNIST's four idx files. An image is a sequence here: at each step the LSTM sees one row,
from the top, and what it has kept of the rows above. Ten outputs, one for each digit, look at what
it knows after the last row; at the end they are also asked after fewer rows.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn, optim
from tinyaccel.errors import TinyaccelError


class RowReader(nn.Module):
    """An LSTM over the rows of 28 x 28 images, and a linear layer on its last state."""

    def __init__(self, hidden: int) -> None:
        self.lstm = nn.LSTM(28, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 10)

    def forward(self, images: ta.Tensor, lengths: ta.Tensor | None = None) -> ta.Tensor:
        """Images (N, 1, 28, 28), and how many rows of each to read: logits (N, 10)."""
        _, (last, _) = self.lstm(images.reshape(-1, 28, 28), lengths=lengths)
        return self.head(last[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="An LSTM on the rows of MNIST's digits.")
    parser.add_argument("--data-dir", help="folder of the idx files (or set TINYACCEL_DATA)")
    parser.add_argument("--device", default="auto", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=3, help="times through the training images")
    parser.add_argument("--batch-size", type=int, default=64, help="images in a step")
    parser.add_argument("--hidden", type=int, default=128, help="numbers that the LSTM keeps")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the order")
    parser.add_argument("--no-jit", action="store_true", help="run op by op, to debug")
    args = parser.parse_args()
    if min(args.epochs, args.batch_size, args.hidden) < 1:
        parser.error("--epochs, --batch-size and --hidden; expected 1 or more")

    try:
        device = ta.get_device(args.device)  # "auto" takes the best that is here
        train, test = data.mnist(args.data_dir)
        # drop_last: all batches have one size, so that the step is traced and compiled once.
        batches = data.DataLoader(
            train, args.batch_size, shuffle=True, seed=args.seed, drop_last=True
        )
        test_batches = data.DataLoader(test, 1000)
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    ta.manual_seed(args.seed)  # the same initial weights on every device
    model = RowReader(args.hidden).to(device)
    loss_of = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    weights = sum(p.size for p in model.parameters())
    print(f"device {device}, {weights:,} weights, {len(batches)} steps an epoch")

    def step(x: ta.Tensor, labels: ta.Tensor) -> ta.Tensor:
        """One step of training: forward, backward through all rows, update."""
        optimizer.zero_grad()
        loss = loss_of(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    def count_right(x: ta.Tensor, labels: ta.Tensor, rows: ta.Tensor) -> ta.Tensor:
        """How many images the network reads as what they are, from so many rows of each."""
        return (model(x, rows).argmax(1) == labels).sum()

    if not args.no_jit:
        # The loop over the rows is unrolled: the graph of a step has 28 times an LSTM's ops.
        step, count_right = ta.jit(step), ta.jit(count_right)

    def accuracy(rows: int) -> float:
        """On the test images; the number of rows is a tensor, so nothing is traced again."""
        right = 0
        with ta.no_grad():
            for x, labels in test_batches:
                lengths = np.full(len(x), rows, np.int32)
                given = (ta.tensor(array, device=device) for array in (x, labels, lengths))
                right += int(count_right(*given))
        return right / len(test)

    total_seconds, first_seconds = 0.0, 0.0
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        total_loss = 0.0
        for x, labels in batches:
            loss = step(ta.tensor(x, device=device), ta.tensor(labels, device=device))
            total_loss += float(loss)
            first_seconds = first_seconds or time.perf_counter() - start
        seconds = time.perf_counter() - start
        total_seconds += seconds
        print(f"epoch {epoch}: loss {total_loss / len(batches):.4f}, ", end="")
        print(f"test accuracy {accuracy(28):.4f}, {seconds:.1f} s", flush=True)

    steps = args.epochs * len(batches)
    each = (total_seconds - first_seconds) / max(1, steps - 1)
    print(f"Trained for {total_seconds:.1f} s: {first_seconds:.1f} s for the first step", end="")
    print(
        f"{'' if args.no_jit else ', with its compilation'}, {1000 * each:.1f} ms for each other."
    )
    shown = ", ".join(f"{rows} rows {accuracy(rows):.2f}" for rows in (7, 14, 21))
    print("It was only ever asked after the last row. ", end="")
    print(f"Asked before, it is right after {shown}.")
    print(f"test accuracy {accuracy(28):.4f}")


if __name__ == "__main__":
    main()
