"""Curves for TensorBoard: what a Trainer's callback writes, and what is in its file.

    python examples/tensorboard_curves.py [--device cpu] [--out FOLDER]

Writes losses, accuracies, learning rate and speed of a short training, and histograms of the
weights; `tensorboard --logdir FOLDER` shows them. Without --out they go into a folder that is gone
at the end, after they have been read back.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import tinyaccel as ta
from tinyaccel import data, nn, optim, train
from tinyaccel.errors import TinyaccelError


def main() -> None:
    parser = argparse.ArgumentParser(description="Curves for TensorBoard.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--out", help="folder for TensorBoard's files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.out or temporary)
        try:
            images, test = data.digits()
            ta.manual_seed(0)
            model = nn.mlp((1, 8, 8))
            optimizer = optim.Adam(model.parameters(), lr=3e-3)
            steps = 5 * -(-len(images) // 32)
            trainer = train.Trainer(
                model, optimizer=optimizer, device=args.device,
                schedule=optim.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
                callbacks=[train.TensorBoard(folder, histograms=True)],
            )  # fmt: skip
            history = trainer.fit(images, test, epochs=5, batch_size=32, progress="quiet")
        except TinyaccelError as error:
            parser.exit(2, f"{parser.prog}: {error}\n")
        files = sorted(folder.glob("events*"))
        assert files and files[0].stat().st_size > 1000
        print("epoch  loss    accuracy  val_loss  val_accuracy  lr")
        for row in history.rows:
            figures = ("loss", "accuracy", "val_loss", "val_accuracy", "lr")
            print(f"{row['epoch']:5}", *(f"{row[name]:8.4f}" for name in figures))
        size = files[0].stat().st_size
        print(f"{len(files)} file of {size:,} bytes; tensorboard --logdir FOLDER shows it")


if __name__ == "__main__":
    main()
