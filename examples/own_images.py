"""Train on one's own pictures: a folder with a folder for each class, and a new picture to name.

    python examples/own_images.py [--folder PICTURES] [--device auto] [--epochs 12] [PICTURE ...]

PICTURES has a folder for each class, with its pictures in it (PNG, JPEG, ...). Without one, 240
small pictures of discs, squares and crosses are drawn first. In Python, this is what
`tinyaccel train --data PICTURES` and `tinyaccel predict RUN PICTURE` do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn, train
from tinyaccel.errors import TinyaccelError

SIDE = 24


def draw(shape: str, rng: np.random.Generator) -> np.ndarray:
    """A shape in a random place, size and colour, on a noisy ground: (SIDE, SIDE, 3), uint8."""
    y, x = np.mgrid[:SIDE, :SIDE]
    row, column = rng.uniform(8, SIDE - 8, 2)
    r = rng.uniform(4, 7)
    inside = {
        "disc": (y - row) ** 2 + (x - column) ** 2 < r**2,
        "square": np.maximum(abs(y - row), abs(x - column)) < r * 0.85,
        "cross": (np.minimum(abs(y - row), abs(x - column)) < r / 3)
        & (np.maximum(abs(y - row), abs(x - column)) < r),
    }[shape]
    picture = rng.integers(0, 60, (SIDE, SIDE, 3))
    picture[inside] = rng.integers(120, 256, 3)
    return picture.astype(np.uint8)


def draw_folder(folder: Path) -> list[Path]:
    """80 pictures of each shape, in a folder of its name; and three new ones to be named."""
    from PIL import Image

    rng, new = np.random.default_rng(0), []
    for shape in ("cross", "disc", "square"):
        (folder / "pictures" / shape).mkdir(parents=True)
        for i in range(81):
            picture = Image.fromarray(draw(shape, rng))
            path = folder / (f"a {shape}.png" if i == 80 else f"pictures/{shape}/{i:02d}.png")
            picture.save(path)
        new.append(path)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on a folder of pictures.")
    parser.add_argument("--folder", type=Path, help="pictures, a folder for each class")
    parser.add_argument("--image-size", type=int, help="resize all pictures to this height, width")
    parser.add_argument("--device", default="auto", help="cpu, xla:cpu, cuda, auto, ...")
    parser.add_argument("--epochs", type=int, default=12, help="times through the pictures")
    parser.add_argument("picture", nargs="*", type=Path, help="new pictures to be named")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        try:
            device = ta.get_device(args.device)
            folder, new = args.folder, args.picture
            if folder is None:
                new += draw_folder(Path(temporary))
                folder = Path(temporary) / "pictures"
            splits = data.image_folder(folder, image_size=args.image_size, validation_split=0.2)
            images, held_out = splits.train, splits.validation
            print(f"{len(images)} pictures of {', '.join(images.classes)}; {held_out} held out")
            ta.manual_seed(0)
            model = nn.make_model("cifar_cnn", images.shape, len(images.classes))
            trainer = train.Trainer(model, device=device)
            trainer.fit(
                images, held_out, epochs=args.epochs, batch_size=16,
                transform=data.augmentation("crop:2,flip"), progress="quiet",
            )  # fmt: skip
            print(trainer.evaluate(held_out).report().text())
            for path in new:
                pixels = data.read_image(path, images.shape)
                logits = trainer.predict(images.normalized(pixels[None]))[0]
                chance = np.exp(logits - logits.max())
                chance /= chance.sum()
                best = int(chance.argmax())
                print(f"{path.name}: {images.classes[best]}, {chance[best]:.3f}")
                if args.folder is None:
                    assert images.classes[best] in path.stem, path
        except TinyaccelError as error:
            parser.exit(2, f"{parser.prog}: {error}\n")
        except KeyboardInterrupt as stop:
            sys.exit(f"{parser.prog}: {stop}")


if __name__ == "__main__":
    main()
