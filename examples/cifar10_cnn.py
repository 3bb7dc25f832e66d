"""Keras's CIFAR-10 tutorial: a small CNN for photographs, trained with fit, its curves as a PNG.

    python examples/cifar10_cnn.py --data-dir FOLDER [--device auto] [--epochs 10] [--out A.png]

FOLDER has CIFAR-10's binary version (data_batch_1.bin, ..., test_batch.bin), whole or in part. The
network: 3x3 convolutions of 32, 64 and 64 channels, 2x2 max-pooling after the first two, a dense
layer of 64; Adam with its usual rate, batches of 32.
"""

from __future__ import annotations

import argparse
import sys

import tinyaccel as ta
from tinyaccel import data, nn, optim, train
from tinyaccel.errors import TinyaccelError


def main() -> None:
    parser = argparse.ArgumentParser(description="Keras's CIFAR-10 tutorial with tinyaccel.")
    parser.add_argument("--data-dir", help="folder of the binary files (or set TINYACCEL_DATA)")
    parser.add_argument("--device", default="auto", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=10, help="times through the training images")
    parser.add_argument("--out", help="a PNG for the curves of loss and accuracy")
    args = parser.parse_args()

    try:
        device = ta.get_device(args.device)  # "auto" takes the best that is here
        images, test = data.cifar10(args.data_dir)
        ta.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip
        print(nn.summary(model, (3, 32, 32)))
        trainer = train.Trainer(
            model, optimizer=optim.Adam(model.parameters()), metrics=["accuracy", "top3"],
            device=device,
        )  # fmt: skip
        # The tutorial looks at the test images after each epoch. They decide nothing here.
        history = trainer.fit(images, test, epochs=args.epochs, batch_size=32)
        result = trainer.evaluate(test)
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt as stop:
        sys.exit(f"{parser.prog}: {stop}")

    if args.out:
        history.plot(args.out)
        print(f"Picture: {args.out}")
    print(result.report().text())
    print(f"one of its first three guesses is right: {result.metrics['top3']:.4f}")
    print(f"test accuracy {result.accuracy:.4f}")


if __name__ == "__main__":
    main()
