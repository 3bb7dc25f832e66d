"""Transforms: each against loops over images and pixels, and that only image and seed decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tinyaccel import data
from tinyaccel.data import ArrayDataset, DataLoader, Transform
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.testing.references.random import threefry

Array = npt.NDArray[Any]
Word = Callable[[int, int], int]  # of the image and the number of the word


def reference_words(seed: int, epoch: int) -> Word:
    """The words as their definition says, one at a time, in Python's integers."""
    mixed = seed ^ 0x696D_6167_6573_0000
    key = threefry((mixed & 0xFFFFFFFF, mixed >> 32), (0, 2**31 | epoch))
    return lambda image, j: threefry(key, (image, j // 2))[j % 2]


def unit(word: int) -> float:
    return (word >> 8) / 2**24


# References: one image (C, H, W) and its words, a pixel at a time; fill is a list, one a channel.


def crop(x: Array, words: list[int], size: tuple[int, int], p: int, fill: Array) -> Array:
    channels, height, width = x.shape
    top = words[0] * (height + 2 * p - size[0] + 1) >> 32
    left = words[1] * (width + 2 * p - size[1] + 1) >> 32
    out = np.empty((channels, *size), x.dtype)
    for c, i, j in np.ndindex(*out.shape):
        row, column = top + i - p, left + j - p
        inside = 0 <= row < height and 0 <= column < width
        out[c, i, j] = x[c, row, column] if inside else fill[c]
    return out


def cutout(x: Array, words: list[int], size: int, fill: Array) -> Array:
    middle = words[0] * x.shape[1] >> 32, words[1] * x.shape[2] >> 32
    out = x.copy()
    for c, i, j in np.ndindex(*x.shape):
        first = middle[0] - size // 2, middle[1] - size // 2
        if first[0] <= i < first[0] + size and first[1] <= j < first[1] + size:
            out[c, i, j] = fill[c]
    return out


def rotation(x: Array, words: list[int], degrees: float, fill: Array) -> Array:
    """With integers: 2**15 are a pixel, 2**8 a weight of 1."""
    _, height, width = x.shape
    angle = math.radians(degrees) * (2 * unit(words[0]) - 1)
    cos, sin = round(2**14 * math.cos(angle)), round(2**14 * math.sin(angle))

    def pixel(c: int, row: int, column: int) -> float:
        inside = 0 <= row < height and 0 <= column < width
        return float(x[c, row, column] if inside else fill[c])

    out = np.empty_like(x)
    for c, i, j in np.ndindex(*x.shape):
        across, down = 2 * j - (width - 1), 2 * i - (height - 1)
        column, right = divmod((cos * across - sin * down + 2**14 * (width - 1)) >> 7, 256)
        row, lower = divmod((sin * across + cos * down + 2**14 * (height - 1)) >> 7, 256)
        value = 0.0
        for d_row, weight in ((0, 256 - lower), (1, lower)):
            for d_column, other in ((0, 256 - right), (1, right)):
                value += weight * other * pixel(c, row + d_row, column + d_column) / 2**16
        out[c, i, j] = round(value) if x.dtype == np.uint8 else value
    return out


def flip(x: Array, words: list[int], p: float, axis: int) -> Array:
    return np.flip(x, axis) if unit(words[0]) < p else x


Reference = Callable[[Array, list[int], Array], Array]
CASES: dict[str, tuple[Transform, Reference]] = {
    "crop with padding": (data.RandomCrop(padding=2, fill=(0.2, 0.4, 1.0)),
                          lambda x, w, f: crop(x, w, x.shape[1:], 2, f)),
    "crop to a smaller size": (data.RandomCrop((4, 3)),
                               lambda x, w, f: crop(x, w, (4, 3), 0, f)),
    "crop to a larger size": (data.RandomCrop(9, padding=2, fill=(0.2, 0.4, 1.0)),
                              lambda x, w, f: crop(x, w, (9, 9), 2, f)),
    "horizontal flip": (data.RandomHorizontalFlip(), lambda x, w, _: flip(x, w, 0.5, 2)),
    "vertical flip": (data.RandomVerticalFlip(0.3), lambda x, w, _: flip(x, w, 0.3, 1)),
    "rotation": (data.RandomRotation(40, fill=(0.2, 0.4, 1.0)),
                 lambda x, w, f: rotation(x, w, 40, f)),
    "cutout": (data.Cutout(4, fill=(0.2, 0.4, 1.0)), lambda x, w, f: cutout(x, w, 4, f)),
    "cutout of an odd size": (data.Cutout(3, fill=(0.2, 0.4, 1.0)),
                              lambda x, w, f: cutout(x, w, 3, f)),
}  # fmt: skip


def images(rng: np.random.Generator, n: int, dtype: str = "uint8") -> Array:
    """n images of 3 x 7 x 6."""
    pixels = rng.integers(0, 256, (n, 3, 7, 6))
    return pixels.astype(np.uint8) if dtype == "uint8" else (pixels / 255).astype(np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_transform_is_its_formula(case: str, dtype: str, rng: np.random.Generator) -> None:
    """On images far apart in the data set: the same as loops over pixels, which use its words."""
    transform, reference = CASES[case]
    x = images(rng, 12, dtype)
    indices = rng.integers(0, 2**32, 12)
    fill = np.array([0.2, 0.4, 1.0], np.float32)
    fill = np.array([51, 102, 255], np.uint8) if dtype == "uint8" else fill
    word = reference_words(2**63 + 5, epoch=9)
    before = x.copy()
    got = transform(x, indices, seed=2**63 + 5, epoch=9)
    wanted = [
        reference(image, [word(int(i), j) for j in range(transform.words)], fill)
        for image, i in zip(x, indices, strict=True)
    ]
    assert np.array_equal(x, before)
    assert (got.dtype, got.shape) == (x.dtype, np.shape(wanted))
    exact = dtype == "uint8" or case != "rotation"
    assert np.abs(got - np.array(wanted).astype(np.float64)).max() <= (0 if exact else 3e-7)


def test_rotation_agrees_with_scipy(rng: np.random.Generator) -> None:
    """Smooth images, many in a block and many blocks, turned as SciPy's interpolation turns them.

    Within 2 of 255: the weights are rounded down to 1/256, and the result to an integer.
    """
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy (the extra 'cpu')")
    side, n = 40, 12  # 5 images are a block
    x = ndimage.gaussian_filter(rng.uniform(0, 255, (n, 1, side, side)), (0, 0, 2, 2), mode="wrap")
    x = x.astype(np.uint8)
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    word = reference_words(1, epoch=2)
    got = data.RandomRotation(30)(x, seed=1, epoch=2)
    for i in range(n):
        angle = np.radians(30) * (2 * unit(word(i, 0)) - 1)
        cos, sin = np.cos(angle), np.sin(angle)
        at = [sin * columns + cos * rows, cos * columns - sin * rows]
        at = [axis + (side - 1) / 2 for axis in at]
        wanted = ndimage.map_coordinates(x[i, 0].astype(float), at, order=1, mode="grid-constant")
        assert np.abs(got[i, 0] - wanted).max() < 2


def test_a_quarter_turn_is_exact(rng: np.random.Generator) -> None:
    """Word 0 is the angle -degrees: 90 is a clockwise quarter turn, 0 no turn, 180 a half."""
    x = rng.integers(0, 256, (2, 3, 5, 5)).astype(np.uint8)
    word = np.zeros((1, 2), np.uint32)
    for degrees, quarters in ((0, 0), (90, -1), (180, 2)):
        turned = data.RandomRotation(degrees).apply(x, word)
        assert np.array_equal(turned, np.rot90(x, quarters, axes=(2, 3)))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_standardize(dtype: str, rng: np.random.Generator) -> None:
    """Each image by itself, in float64; of (nearly) one colour, it isn't blown up, nor NaN."""
    x = images(rng, 5, dtype)
    x[3] = x[4] = x[3, 0, 0, 0]
    x[4, 0, 0, 0] += 1 if dtype == "uint8" else 1 / 255
    got = data.Standardize()(x)
    assert got.dtype == np.float32
    for image, done in zip(x, got, strict=True):
        values = [float(v) / (255 if dtype == "uint8" else 1) for v in image.ravel()]
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
        wanted = [(v - mean) / max(deviation, 1 / math.sqrt(len(values))) for v in values]
        assert np.abs(done.ravel() - wanted).max() < 1e-6
    assert (np.abs(got[3]) < 1e-6).all()


def test_normalize_takes_the_place_of_the_data_sets_own(rng: np.random.Generator) -> None:
    """(x / 255 - mean) / std per channel; the data set's mean and std aren't applied after it."""
    x = images(rng, 4)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    own = ArrayDataset(x, np.arange(4), mean=mean, std=std)
    other = ArrayDataset(x, np.arange(4), mean=0.9, std=0.1)
    transform = data.Compose([data.Normalize(mean, std), data.RandomCrop(padding=0)])
    (got, _), = DataLoader(other, transform=transform)  # fmt: skip
    assert np.array_equal(got, own.batch(slice(0, None))[0])
    assert repr(transform.transforms[0]) == f"Normalize(mean={mean}, std={std})"


# What decides what happens to an image

ALL = "crop:2,flip,vflip:0.3,rotate:20,cutout:3"


def by_image(loader: DataLoader, epoch: int) -> dict[int, bytes]:
    """What became of each image, by its label."""
    return {
        int(k): image.tobytes()
        for x, y in loader.epoch(epoch)
        for image, k in zip(x, y, strict=True)
    }


@pytest.mark.parametrize("text", ["", ",standardize"])
def test_nothing_but_seed_epoch_and_image_decides(
    text: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch size, order and threads change no bit of any image; seed and epoch change them.

    Nor does it matter for how many images words are drawn at once.
    """
    whole = ArrayDataset(images(rng, 23), np.arange(23), mean=0.3, std=0.2)
    transform: Transform = data.augmentation(ALL)
    if text:
        transform = data.Compose([transform, data.Standardize()])

    def done(size: int, *, seed: int = 4, epoch: int = 1, **options: Any) -> dict[int, bytes]:
        loader = DataLoader(whole, size, seed=seed, transform=transform, **options)
        return by_image(loader, epoch)

    wanted = done(23)
    monkeypatch.setattr("tinyaccel.data.loader._DRAWN", 8)
    assert done(1) == wanted
    assert done(5, shuffle=True) == wanted
    assert done(7, shuffle=True, workers=3) == wanted
    for other in (done(23, seed=5), done(23, epoch=2)):
        assert sum(other[k] == wanted[k] for k in wanted) < 3


def test_each_place_draws_words_of_its_own(rng: np.random.Generator) -> None:
    """Two flips in a row are independent; a composition in another is as if written out."""
    flips = [data.RandomHorizontalFlip(), data.RandomHorizontalFlip()]
    x = images(rng, 64)
    turned = (data.Compose(flips)(x) != x).any(axis=(1, 2, 3))
    assert 16 < turned.sum() < 48  # 32 of 64, 4 standard deviations; the same words: none
    parts = [data.RandomCrop(padding=1), data.Cutout(2), data.RandomRotation(30)]
    nested = data.Compose([data.Compose(parts[:1]), data.Compose([data.Compose(parts[1:])])])
    assert np.array_equal(nested(x, seed=1), data.Compose(parts)(x, seed=1))
    assert repr(nested) == repr(data.Compose(parts))


def offsets(transform: Transform, n: int) -> Iterator[tuple[int, int]]:
    """Where a white pixel in the middle of n black images of 9 x 9 goes to."""
    x = np.zeros((n, 1, 9, 9), np.uint8)
    x[:, 0, 4, 4] = 255
    for image in transform(x, seed=7):
        ((row, column),) = np.argwhere(image[0])
        yield int(row) - 4, int(column) - 4


def test_crops_are_equally_likely() -> None:
    """2,500 crops with padding 2: each of 25 places about 100 times."""
    counts = dict.fromkeys(((i, j) for i in range(-2, 3) for j in range(-2, 3)), 0)
    for offset in offsets(data.RandomCrop(padding=2), 2500):
        counts[offset] += 1
    assert sum((k - 100) ** 2 / 100 for k in counts.values()) < 51  # chi-squared, 24, p = 0.001


def test_cutout_and_angles_cover_their_range() -> None:
    """Centres are all pixels, equally likely; angles fill (-degrees, degrees) evenly."""
    done = data.Cutout(1)(np.full((1600, 1, 4, 4), 9, np.uint8), seed=3)
    counts = (done == 0).sum(axis=0).ravel()
    assert counts.sum() == 1600
    assert ((counts - 100.0) ** 2 / 100).sum() < 37.7  # chi-squared, 15, p = 0.001
    x = np.zeros((1000, 1, 41, 41), np.float32)
    x[:, 0, 20, 30:] = 1  # a ray to the right: its end goes up where the angle is positive
    turned = data.RandomRotation(60)(x, seed=3)
    rows = (turned[:, 0] * np.arange(41)[:, None]).sum((1, 2)) / turned.sum((1, 2, 3)) - 20
    columns = (turned[:, 0] * np.arange(41)).sum((1, 2)) / turned.sum((1, 2, 3)) - 20
    angles = np.degrees(np.arctan2(-rows, columns))
    counts = np.histogram(angles, bins=10, range=(-60, 60))[0]
    assert counts.sum() == 1000
    assert ((counts - 100.0) ** 2 / 100).sum() < 27.9  # chi-squared, 9, p = 0.001


def test_a_probability_of_0_and_1() -> None:
    """Never and always are kept to the word."""
    x = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8).repeat(50, axis=0)
    assert np.array_equal(data.RandomHorizontalFlip(0)(x), x)
    assert np.array_equal(data.RandomHorizontalFlip(1)(x), x[:, :, :, ::-1])


# What is refused

X = np.zeros((2, 3, 4, 4), np.uint8)


class Halved(Transform):
    """A mistake: every other image is left out."""

    def apply(self, x: Any, words: Any) -> Any:
        return x[::2]


class Doubled(Transform):
    """A mistake: Python's multiplication of float64."""

    def apply(self, x: Any, words: Any) -> Any:
        return x * np.float64(2)


class Silent(Transform):
    """A mistake: nothing is returned."""

    def apply(self, x: Any, words: Any) -> Any:
        return None


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "padding": (lambda: data.RandomCrop(padding=-1), ArgumentError,
                "RandomCrop: padding=-1; expected a whole number, 0 or more"),
    "size": (lambda: data.RandomCrop((0, 4)), ArgumentError,
             "RandomCrop: size=0; expected a whole number, 1 or more"),
    "sizes": (lambda: data.RandomCrop((4, 4, 4)), ArgumentError,  # type: ignore[arg-type]
              "RandomCrop: size=(4, 4, 4); expected (height, width)"),
    "a window too large": (lambda: data.RandomCrop(7, padding=1)(X), ShapeError,
                           "RandomCrop: a window of 7 x 7 from images of 4 x 4 with padding=1; "
                           "expected it to fit in: give more padding, or a smaller size"),
    "a table": (lambda: data.RandomCrop(2)(np.zeros((4, 13), np.float32)), ShapeError,
                "RandomCrop: (4, 13); expected images, (N, C, H, W)"),
    "p": (lambda: data.RandomHorizontalFlip(1.5), ArgumentError,
          "RandomHorizontalFlip: p=1.5; expected a number, 0 to 1"),
    "degrees": (lambda: data.RandomRotation(float("nan")), ArgumentError,
                "RandomRotation: degrees=nan; expected a number, 0 to 180"),
    "no square": (lambda: data.Cutout(2.5), ArgumentError,  # type: ignore[arg-type]
                  "Cutout: size=2.5; expected a whole number, 1 or more"),
    "fill past white": (lambda: data.Cutout(2, fill=255)(X), ArgumentError,
                        "Cutout: fill=255 for uint8 images; expected 0 (black) to 1 (white)"),
    "fill of two": (lambda: data.Cutout(2, fill=(0.1, 0.2))(X), ArgumentError,
                    "Cutout: fill=(0.1, 0.2) for images of 3 channels; expected one number, or one "
                    "for each of them"),
    "mean": (lambda: data.Normalize(float("inf"), 1), ArgumentError,
             "Normalize: mean=inf; expected a finite number, or one for each channel"),
    "std": (lambda: data.Normalize(0, (1, 0, 1)), ArgumentError,
            "Normalize: std=(1, 0, 1); expected more than 0"),
    "channels": (lambda: data.Normalize((0.1, 0.2), 1)(X), ArgumentError,
                 "Normalize: mean=(0.1, 0.2) for images (2, 3, 4, 4); expected one number, or one "
                 "for each of 3 channels"),
    "a function": (lambda: data.Compose([len]), ArgumentError,  # type: ignore[list-item]
                   "Compose: <built-in function len> is no Transform; expected a list of them (of "
                   "a function, make a subclass of Transform)"),
    "float64": (lambda: data.Cutout(2)(X.astype(float)), DTypeError,
                "Cutout: images are float64; expected uint8 or float32"),
    "indices": (lambda: data.Cutout(2)(X, [1]), ShapeError,
                "Cutout: indices (1,) for images (2, 3, 4, 4); expected one for each"),
    "fewer images": (lambda: Halved()(X), ShapeError,
                     "Halved: it made (1, 3, 4, 4) of images (2, 3, 4, 4); expected an array of 2 "
                     "images: what leaves images out or adds some belongs into the data set"),
    "None": (lambda: Silent()(X), ShapeError,
             "Silent: it made NoneType of images (2, 3, 4, 4); expected an array of 2 images: what "
             "leaves images out or adds some belongs into the data set"),
    "float64 made": (lambda: Doubled()(X), DTypeError,
                     "Doubled: it made float64 of uint8; expected uint8 or float32: round it, and "
                     "use astype"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_it_refuses(case: str) -> None:
    """Each impossible option, and each image that a transform can't take, gives its one line."""
    act, kind, text = WRONG[case]
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


# The line of text


def test_augmentation_reads_a_line() -> None:
    """Names with their numbers, in their order, with the fill where something becomes empty."""
    got = data.augmentation(" crop:4,flip, vflip:0.25 ,rotate:15.5,cutout:8", fill=(0.5, 0.25))
    fill = (0.5, 0.25)
    assert got.transforms == (
        data.RandomCrop(padding=4, fill=fill), data.RandomHorizontalFlip(0.5),
        data.RandomVerticalFlip(0.25), data.RandomRotation(15.5, fill), data.Cutout(8, fill),
    )  # fmt: skip
    assert got.words == 7
    assert data.augmentation(" ")(X) is X


USAGE = (
    "expected crop:PIXELS, flip[:PROBABILITY], vflip[:PROBABILITY], rotate:DEGREES, cutout:PIXELS, "
    "with commas between"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop:4,flp", "augmentation: 'flp' is unknown; did you mean flip[:PROBABILITY]? " + USAGE),
        ("flip,", "augmentation: '' is unknown; " + USAGE),
        ("crop:x", "augmentation: 'crop:x' has 'x' for a number; expected crop:PIXELS, as in "
                   "crop:4"),
        ("crop:1.5", "augmentation: 'crop:1.5' has '1.5' for a number; expected crop:PIXELS, as in "
                     "crop:4"),
        ("rotate", "augmentation: 'rotate' has '' for a number; expected rotate:DEGREES, as in "
                   "rotate:15"),
        ("flip:", "augmentation: 'flip:' has '' for a number; expected flip[:PROBABILITY], as in "
                  "flip:0.5"),
        ("flip:2", "RandomHorizontalFlip: p=2.0; expected a number, 0 to 1"),
    ],
)  # fmt: skip
def test_lines_that_it_refuses(text: str, message: str) -> None:
    """An unknown name names the near one; a bad number says what is expected."""
    with pytest.raises(ArgumentError) as caught:
        data.augmentation(text)
    assert str(caught.value) == message
