"""Two models at once on one machine, a thread each: task parallelism, and the same bits as in turn.

    python examples/two_models.py [--device cpu] [--epochs 6]

An MLP and a CNN learn to read scikit-learn's digits. They share nothing but the data, so each can
have its own processor: NumPy and XLA let go of Python's lock while they compute. Each model trained
beside the other ends with the same weights, to the bit, as trained alone.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn, train
from tinyaccel.errors import TinyaccelError

Weights = dict[str, np.ndarray]


def build() -> dict[str, nn.Module]:
    """Two fresh models, the same each time. They have no dropout: its random numbers come from the
    device's one generator, which two models at once would share; give each its own to use it.
    """
    ta.manual_seed(0)
    mlp = nn.mlp((1, 8, 8), hidden=128)
    cnn = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    return {"mlp": mlp, "cnn": cnn}


def main() -> None:
    parser = argparse.ArgumentParser(description="Two models trained at once.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=6, help="times through the training images")
    args = parser.parse_args()
    try:
        device = ta.get_device(args.device)
        images, test = data.digits()
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    def learn(name: str, model: nn.Module) -> tuple[Weights, float]:
        """Train one model; its weights, and how many of the test images it reads."""
        trainer = train.Trainer(model, device=device)
        trainer.fit(images, epochs=args.epochs, batch_size=32, workers=0, progress="quiet")
        return model.state_dict(), trainer.evaluate(test).accuracy

    start = time.perf_counter()
    in_turn = {name: learn(name, model) for name, model in build().items()}
    seconds_in_turn = time.perf_counter() - start

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        going_on = {name: threads.submit(learn, name, m) for name, m in build().items()}
        at_once = {name: future.result() for name, future in going_on.items()}
    seconds_at_once = time.perf_counter() - start

    for name, (weights, accuracy) in at_once.items():
        alone = in_turn[name][0]
        assert all(np.array_equal(value, alone[key]) for key, value in weights.items()), name
        print(f"{name}: test accuracy {accuracy:.4f}; at once as in turn, to the bit")
    print(f"{seconds_in_turn:.1f} s in turn, {seconds_at_once:.1f} s at once")


if __name__ == "__main__":
    main()
