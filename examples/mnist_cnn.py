"""A convolutional network reads MNIST's digits: fit, evaluate, predict; how long, and how well.

    python examples/mnist_cnn.py --data-dir FOLDER [--device auto] [--epochs 5] [--out RUN]

FOLDER has MNIST's four idx files. The network is Keras's: three 3x3 convolutions (32, 64, 64), a
dense layer of 64, ten outputs; batches of 64, a tenth of the training images kept for validation.
"""

from __future__ import annotations

import argparse
import sys
import time

import tinyaccel as ta
from tinyaccel import data, nn, optim, train
from tinyaccel.errors import TinyaccelError


def main() -> None:
    parser = argparse.ArgumentParser(description="A CNN on MNIST, with fit and evaluate.")
    parser.add_argument("--data-dir", help="folder of the idx files (or set TINYACCEL_DATA)")
    parser.add_argument("--device", default="auto", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=5, help="times through the training images")
    parser.add_argument("--seed", type=int, default=0, help="of weights and the order of images")
    parser.add_argument("--out", help="a folder for checkpoints and the history; default: none")
    args = parser.parse_args()

    try:
        device = ta.get_device(args.device)  # "auto" takes the best that is here
        images, test = data.mnist(args.data_dir)
        ta.manual_seed(args.seed)  # the same initial weights on every device
        model = nn.mnist_cnn()
        optimizer = optim.Adam(model.parameters(), lr=2e-3)
        updates = args.epochs * -(-len(images) * 9 // 10 // 64)
        trainer = train.Trainer(
            model,
            optimizer=optimizer,
            schedule=optim.CosineAnnealingLR(optimizer, T_max=updates),
            device=device,
            seed=args.seed,
        )
        print(f"device {device}; {nn.summary(model, (1, 28, 28)).parameters:,} weights", flush=True)
        start = time.perf_counter()
        trainer.fit(images, epochs=args.epochs, batch_size=64, validation_split=0.1, out=args.out)
        seconds = time.perf_counter() - start
        result = trainer.evaluate(test)
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt as stop:
        sys.exit(f"{parser.prog}: {stop}")

    print(f"Trained in {seconds:.1f} s, {args.epochs * len(images) * 0.9 / seconds:,.0f} images/s.")
    x, labels = test.batch(slice(0, 10))
    print(f"the first ten digits: {labels.tolist()}")
    print(f"what it reads:        {trainer.predict(x).argmax(1).tolist()}")
    print(f"test loss {result.loss:.4f}")
    print(f"test accuracy {result.accuracy:.4f}")


if __name__ == "__main__":
    main()
