"""Do the images arrive faster than a network trains on them? The data pipeline, alone and beside.

A loader gathers images, augments them and normalises them, in the thread that asks or in others
ahead of it. Here it does so alone, as fast as it can, for images of MNIST's and of CIFAR-10's size;
then a jitted training step (forward, backward, Adam) takes the same batch again and again, as fast
as it can. While the first rate is some times the second, no step waits for its images.

    python examples/data_pipeline_speed.py [--device cpu,xla:cpu] [--data-dir FOLDER]

Without FOLDER the images are noise, which takes as long.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tinyaccel as ta
from tinyaccel import data
from tinyaccel.errors import BackendError, DeviceError, TinyaccelError
from tinyaccel.nn.models import make_model

AUGMENTED = {
    "as they are": None,
    "crop, flip, cutout": "crop:4,flip,cutout:8",
    "rotate": "rotate:15",
    "all four": "crop:4,flip,rotate:15,cutout:8",
}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
MODELS = {"mnist": ("mlp", "mnist_cnn"), "cifar10": ("cifar_net", "mnist_cnn")}
WORKERS = (0, 1, 2)


def images_of(name: str, folder: str | None) -> data.Dataset:
    """The data set called `name`, from the folder; or 10,000 images of noise of its size."""
    if folder is not None:
        return data.load(name, folder).train
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (10_000, *SHAPES[name]), np.uint8)
    labels = rng.integers(0, 10, len(pixels))
    return data.ArrayDataset(pixels, labels, classes=10, mean=0.5, std=0.25, name=name)


def loader_of(images: data.Dataset, text: str | None, workers: int, size: int) -> data.DataLoader:
    """Shuffled batches, augmented as the text says."""
    transform = None if text is None else data.augmentation(text)
    return data.DataLoader(images, size, shuffle=True, transform=transform, workers=workers)


def pipeline_rate(loader: data.DataLoader, seconds: float) -> float:
    """Images a second that come out of a loader, epoch after epoch."""
    count, start = 0, time.perf_counter()
    while True:
        for x, _ in loader:
            count += len(x)
            passed = time.perf_counter() - start
            if passed > seconds:
                return count / passed


def step_rate(
    model_name: str, shape: tuple[int, ...], device: str, size: int, seconds: float
) -> float:
    """Images a second that a jitted training step takes, of one batch that is on the device."""
    ta.manual_seed(0)
    model = make_model(model_name, input_shape=shape).to(device)
    optimizer = ta.optim.Adam(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    x = ta.tensor(rng.normal(size=(size, *shape)).astype(np.float32), device=device)
    y = ta.tensor(rng.integers(0, 10, size).astype(np.int32), device=device)

    @ta.jit
    def step(x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        optimizer.zero_grad()
        loss = ta.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    for _ in range(3):  # the first traces and compiles
        float(step(x, y))
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        float(step(x, y))  # reading the loss waits for the device
        count += size
    return count / passed


def available(names: list[str]) -> list[str]:
    """Those of the devices that are here; the others are named, and raised if there are none."""
    found: list[str] = []
    for name in names:
        try:
            ta.get_device(name)
        except (BackendError, DeviceError) as error:
            if name == names[-1] and not found:
                raise
            print(f"left out: {error}")
        else:
            found.append(name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu,xla:cpu", help="whose steps, with commas between")
    parser.add_argument("--data-dir", help="folder with mnist and cifar10; default: noise")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each is measured")
    options = parser.parse_args()
    size, seconds = options.batch_size, options.seconds
    try:
        devices = available(options.device.split(","))
        all_images = {name: images_of(name, options.data_dir) for name in SHAPES}
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    for name, shape in SHAPES.items():
        images = all_images[name]
        print(f"\n{name}: {len(images):,} images of {shape}, batches of {size}\n")
        heads = (f"workers={workers}" for workers in WORKERS)
        print(f"{'images a second':24}{''.join(f'{head:>20}' for head in heads)}")
        fastest = {}
        for what, text in AUGMENTED.items():
            loaders = [loader_of(images, text, workers, size) for workers in WORKERS]
            first = [next(iter(loader))[0] for loader in loaders]
            assert all(np.array_equal(x, first[0]) for x in first), "threads changed a batch"
            rates = [pipeline_rate(loader, seconds) for loader in loaders]
            fastest[what] = max(rates)
            print(f"{what:24}{''.join(f'{rate:20,.0f}' for rate in rates)}")
        for model in MODELS[name]:
            steps = {d: step_rate(model, shape, d, size, seconds) for d in devices}
            told = ", ".join(f"{rate:,.0f} on {device}" for device, rate in steps.items())
            print(f"\nsteps of {model} take {told}; the pipeline gives")
            for what, rate in fastest.items():
                print(f"    {rate / max(steps.values()):8.1f} x the fastest, {what}")


if __name__ == "__main__":
    main()
