"""The same training on every backend that is here, and their curves over one another.

    python examples/same_training_everywhere.py [--devices cpu,xla:cpu] [--epochs 8] [--out A.png]

Initial weights, order of images and dropout's masks are the same to the bit on every device, so the
first step's losses agree to rounding. From then on rounding is amplified, step by step: the curves
lie over one another at first, and drift apart by no more than two seeds would.
"""

from __future__ import annotations

import argparse

import tinyaccel as ta
from tinyaccel import data, nn, optim, train
from tinyaccel.errors import BackendError, DeviceError, TinyaccelError


def here() -> list[str]:
    """Every kind of device that this machine has, without those that only emulate one."""
    found = []
    for name in ta.backend_names():
        try:
            device = ta.get_device(name)
        except (BackendError, DeviceError):
            continue
        if "sim" not in name:
            found.append(str(device))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The same training on every backend.")
    parser.add_argument("--devices", help="cpu,xla:cpu,cuda,...; default: all that are here")
    parser.add_argument("--epochs", type=int, default=8, help="times through the training images")
    parser.add_argument("--out", help="a PNG for the curves")
    args = parser.parse_args()
    names = args.devices.split(",") if args.devices else here()

    histories: dict[str, train.History] = {}
    try:
        images, test = data.digits()
        for name in names:
            ta.manual_seed(0)
            model = nn.digits_cnn()
            trainer = train.Trainer(
                model, optimizer=optim.Adam(model.parameters(), lr=3e-3), device=name
            )
            histories[name] = trainer.fit(
                images, test, epochs=args.epochs, batch_size=32, progress="quiet"
            )
            row = histories[name].rows
            seconds = sum(float(r["seconds"] or 0) for r in row)
            print(f"{name:8}", *(f"{float(r['loss'] or 0):.4f}" for r in row), f"{seconds:.1f} s")
    except TinyaccelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    first = [float(h["loss"][0] or 0) for h in histories.values()]
    apart = max(first) / min(first) - 1
    assert apart < 0.05, f"the first epoch's losses are {apart:.1%} apart"
    last = [float(h["val_accuracy"][-1] or 0) for h in histories.values()]
    assert min(last) > 0.9
    print(f"The first epoch's losses are {apart:.4%} apart.")
    if args.out:
        train.compare_curves(histories, args.out)
        print(f"Picture: {args.out}")
    print(f"test accuracy {' '.join(f'{a:.4f}' for a in last)}")


if __name__ == "__main__":
    main()
