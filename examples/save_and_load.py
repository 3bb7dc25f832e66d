"""Save and load: weights into a file and onto another device, and a training that goes on there.

    python examples/save_and_load.py [--device cpu] [--other xla:cpu]

A file of weights has the same arrays whatever device they were trained on. A checkpoint has more:
optimizer, random state, the place in the data; with it a run that was stopped goes on to the
weights that it would have had, to the bit on the same device and to rounding on another one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn, optim, train
from tinyaccel.errors import TinyaccelError


def trainer_on(device: ta.Device) -> train.Trainer:
    """The same network and optimizer each time, with dropout, on a device."""
    ta.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return train.Trainer(model, optimizer=optimizer, device=device)


def main() -> None:
    parser = argparse.ArgumentParser(description="Save and load weights and checkpoints.")
    parser.add_argument("--device", default="cpu", help="where to train: cpu, xla:cpu, cuda, ...")
    parser.add_argument("--other", default="cpu", help="where to load: xla:cpu, cuda, ...")
    args = parser.parse_args()
    try:
        device, other = ta.get_device(args.device), ta.get_device(args.other)
        images, test = data.digits()
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"1. Train on {device}, save the weights, load them on {other}.")
        trained = trainer_on(device)
        trained.fit(images, epochs=4, batch_size=32, progress="quiet")
        train.save_weights(trained.model, folder / "weights.safetensors")
        size = (folder / "weights.safetensors").stat().st_size
        loaded = trainer_on(other)
        train.load_weights(loaded.model, folder / "weights.safetensors")
        here, there = trained.predict(test), loaded.predict(test)
        # Two layers of float32 sums of 64 and 32 products: 4 sqrt(64) eps of the largest, twice.
        most = 2 * 4 * 8 * 1.2e-7 * float(np.abs(here).max())
        assert np.abs(here - there).max() <= most
        assert (here.argmax(1) == there.argmax(1)).mean() > 0.995
        print(f"   {size:,} bytes; the logits differ by {np.abs(here - there).max():.1e} at most")

        print(f"2. Stop after two of four epochs on {device}, go on there and on {other}.")
        stopped = trainer_on(device)
        stopped.fit(images, epochs=2, batch_size=32, out=folder / "run", progress="quiet")
        checkpoint = sorted((folder / "run" / "checkpoints").glob("step-*"))[-1]
        goes_on = trainer_on(device)
        goes_on.fit(images, epochs=4, batch_size=32, resume=checkpoint, progress="quiet")
        whole, resumed = trained.model.state_dict(), goes_on.model.state_dict()
        assert all(np.array_equal(value, resumed[key]) for key, value in whole.items())
        print(f"   {device}: the weights of the run that wasn't stopped, to the bit")
        moved = trainer_on(other)
        history = moved.fit(images, epochs=4, batch_size=32, resume=checkpoint, progress="quiet")
        wanted = trained.history["loss"]
        assert np.allclose(history["loss"], wanted, rtol=1e-3)
        shown = " ".join(f"{loss:.4f}" for loss in history["loss"])
        print(f"   {other}: losses {shown}, as without a stop; half of them were {device}'s")
        accuracy = moved.evaluate(test).accuracy
    print(f"test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
