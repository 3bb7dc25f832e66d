"""Data sets: what they hold, how they normalise and are split, and what they refuse."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tinyaccel.data import ArrayDataset, Dataset, Splits, Subset
from tinyaccel.errors import ArgumentError, DataError

PIXELS = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2) * 10


def test_pixels_are_scaled_and_normalised_per_channel() -> None:
    """(pixels / 255 - mean) / std, with each channel's own constants, to float32 rounding."""
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    d = ArrayDataset(PIXELS, [0, 1], mean=mean, std=std)
    x, y = d.batch([1, 0])
    wanted = (PIXELS[[1, 0]] / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert x.dtype == np.float32
    assert np.abs(x - wanted).max() < 4 * np.finfo(np.float32).eps * np.abs(wanted).max()
    assert y.dtype == np.int32
    assert y.tolist() == [1, 0]


def test_floats_are_not_divided_and_labels_become_int32() -> None:
    """float64 values and int64 labels come out as they went in, in float32 and int32."""
    d = ArrayDataset([[0.5, 2.0], [1.5, -1.0]], np.array([3, 0], np.int64))
    x, y = d.batch(slice(0, 2))
    assert x.tolist() == [[0.5, 2.0], [1.5, -1.0]]
    assert (x.dtype.name, y.dtype.name) == ("float32", "int32")
    assert d.classes == ("0", "1", "2", "3")


def test_images_of_one_number() -> None:
    """x of shape (N,) has no axis of channels and is normalised all the same."""
    x, _ = ArrayDataset([1.0, 3.0], [0, 1], mean=1.0, std=2.0).batch([1])
    assert x.tolist() == [1.0]


def test_a_batch_is_a_copy() -> None:
    """Writing to a batch leaves the data as it is."""
    d = ArrayDataset(np.zeros((2, 1), np.float32), [0, 1])
    x, y = d.batch(slice(0, 2))
    x[:], y[:] = 7, 7
    again = d.batch(slice(0, 2))
    assert again[0].tolist() == [[0.0], [0.0]]
    assert again[1].tolist() == [0, 1]


def test_a_subset_keeps_classes_and_normalisation() -> None:
    """A subset without some class still has it among its classes, and the same constants."""
    d = ArrayDataset(PIXELS, [0, 1], classes=("cat", "dog"), mean=0.5, std=0.25, name="pets")
    s = d.subset([0])
    assert (len(s), s.classes, s.shape, s.name) == (1, ("cat", "dog"), (3, 2, 2), "pets")
    assert np.array_equal(s.batch([0])[0], d.batch([0])[0])
    assert repr(s) == "ArrayDataset(pets: 1 of 3 x 2 x 2, 2 classes)"


ONE = np.zeros((2, 1, 2, 2), np.float32)
NAN = ONE.copy()
NAN[1, 0, 1, 1] = np.nan

WRONG: dict[str, tuple[Any, Any, dict[str, Any], type[Exception], str]] = {
    "lengths": (ONE, [0], {}, DataError,
                r"d: x (2, 1, 2, 2) and y (1,); expected one label for each image"),
    "labels 2-d": (ONE, [[0, 1]], {}, DataError,
                   "d: x (2, 1, 2, 2) and y (1, 2); expected one label for each image"),
    "empty": (ONE[:0], [], {}, DataError, "d: no images; expected at least one"),
    "float labels": (ONE, [0.0, 1.0], {"classes": 2}, DataError,
                     "d: labels are float64; expected integers, a class each"),
    "labels of text": (ONE, ["cat", "dog"], {}, DataError,
                       "d: labels are <U3; expected integers, a class each"),
    "a label alone": (ONE, 0, {}, DataError,
                      "d: x (2, 1, 2, 2) and y (); expected one label for each image"),
    "targets' length": (ONE, [[0.5]], {}, DataError,
                        "d: x (2, 1, 2, 2) and y (1, 1); expected one label for each image"),
    "a target": (ONE, [[0.5, 1.0], [np.inf, 0.0]], {}, DataError,
                 "d: target 1 has a value that is NaN, infinite or past float32; "
                 "expected finite numbers"),
    "label too large": (ONE, [0, 10], {"classes": 10}, DataError,
                        "d: label 10 of image 1 is no class; expected 0 to 9"),
    "label negative": (ONE, [-1, -1], {"classes": 3}, DataError,
                       "d: label -1 of image 0 is no class; expected 0 to 2 (2 labels are wrong)"),
    "not a number": (NAN, [0, 1], {}, DataError,
                     "d: image 1 has a value that is NaN, infinite or past float32; "
                     "expected finite numbers"),
    "past float32": (np.array([1e300, 0]), [0, 1], {}, DataError,
                     "d: image 0 has a value that is NaN, infinite or past float32; "
                     "expected finite numbers"),
    "text": (np.array(["a", "b"]), [0, 1], {}, DataError,
             "d: x is <U1 (2,); expected numbers, (N, C, H, W)"),
    "a number": (3.0, [0], {}, DataError, "d: x is float64 (); expected numbers, (N, C, H, W)"),
    "std 0": (ONE, [0, 1], {"std": 0.0}, ArgumentError, "d: std=0.0; expected more than 0"),
    "mean per channel": (ONE, [0, 1], {"mean": (0.1, 0.2)}, ArgumentError,
                         "d: mean=(0.1, 0.2); expected one finite number, or one for each of 1 "
                         "channels"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_it_refuses(case: str) -> None:
    """Each fault gives its one line, the whole of it."""
    x, y, options, kind, text = WRONG[case]
    with pytest.raises(kind) as caught:
        ArrayDataset(x, y, name="d", **options)
    assert str(caught.value) == text


# Targets to be fitted


def test_float_targets() -> None:
    """Floats without classes are float32 targets of any shape, in batches and subsets too."""
    one = ArrayDataset(ONE, np.array([0.25, -3.0]), name="d")
    assert (one.classes, one.y.dtype.name, one.batch([1])[1].tolist()) == ((), "float32", [-3.0])
    two = ArrayDataset(ONE, [[1.5, 2.0], [3.0, 4.0]], name="d").subset([1])
    assert (two.classes, two.batch([0])[1].tolist()) == ((), [[3.0, 4.0]])
    assert repr(one) == "ArrayDataset(d: 2 of 1 x 2 x 2, targets of a number)"
    assert repr(two) == "ArrayDataset(d: 1 of 1 x 2 x 2, targets of 2)"


# A data set of one's own


class Lazy(Dataset):
    """Images that are made when they are asked for: image i is i + 1 everywhere."""

    shape = (1, 2, 2)
    y = np.arange(6, dtype=np.int32) // 2

    def __init__(self) -> None:
        self.name, self.classes, self.mean, self.std = "lazy", ("a", "b", "c"), 0.5, (0.25,)

    def pixels(self, indices: Any) -> npt.NDArray[np.uint8]:
        numbers = np.arange(1, 7, dtype=np.uint8)[indices]
        return np.broadcast_to(numbers[:, None, None, None], (len(numbers), 1, 2, 2))


def test_a_data_set_of_ones_own() -> None:
    """From shape, y and pixels follow length, normalised batches and subsets of subsets."""
    lazy = Lazy()
    x, y = lazy.batch([4, 0])
    assert x[:, 0, 0, 0].tolist() == [
        np.float32(5 / (255 * 0.25)) - np.float32(2),
        np.float32(1 / (255 * 0.25)) - np.float32(2),
    ]
    assert (len(lazy), y.tolist(), x.shape) == (6, [2, 0], (2, 1, 2, 2))
    part = lazy.subset([5, 3, 1]).subset(slice(1, None))
    assert isinstance(part, Subset)
    assert (part.y.tolist(), part.pixels([0, 1])[:, 0, 0, 0].tolist()) == ([1, 0], [4, 2])
    assert np.array_equal(part.batch([1])[0], lazy.batch([1])[0])
    assert repr(part) == "Subset(lazy: 2 of 1 x 2 x 2, 3 classes)"


def test_a_subset_asks_the_data_set_how_to_normalise() -> None:
    """A data set that normalises in its own way does so for its parts too."""

    class Own(Lazy):
        def normalized(self, pixels: Any) -> Any:
            return -pixels.astype(np.float32)

    assert Own().subset([2]).batch([0])[0].ravel().tolist() == [-3.0] * 4


@pytest.mark.parametrize("make", [Lazy, lambda: ArrayDataset(np.zeros((2, 1)), [0, 1])])
def test_a_subset_of_nothing(make: Callable[[], Dataset]) -> None:
    """A subset without images is refused, and so is one of images that there aren't."""
    with pytest.raises(DataError, match="no images; expected at least one"):
        make().subset([])
    with pytest.raises(IndexError):
        make().subset([6])


# Split


def test_a_split_takes_each_class_in_proportion(rng: np.random.Generator) -> None:
    """30 of 100: each class within an image of its share, every image in one part, in order."""
    labels = rng.choice(4, size=100, p=[0.5, 0.3, 0.15, 0.05])
    whole = ArrayDataset(np.arange(100.0), labels)
    rest, part = whole.split(0.3, seed=5)
    assert (len(rest), len(part)) == (70, 30)
    places = [p.batch(slice(0, None))[0].astype(int) for p in (rest, part)]
    assert sorted(np.concatenate(places).tolist()) == list(range(100))
    assert all((np.diff(p) > 0).all() for p in places)
    assert np.array_equal(part.y, labels[places[1]])
    share = np.bincount(labels) * 0.3
    assert np.abs(np.bincount(part.y, minlength=4) - share).max() < 1


def test_a_split_is_a_function_of_seed_and_labels() -> None:
    """Kind and content of the data have no say in it; the seed has."""
    lazy = Lazy()
    array = ArrayDataset(np.ones((6, 3)), lazy.y)

    def chosen(seed: int) -> list[int]:
        part = Lazy().split(0.5, seed)[1]
        assert isinstance(part, Subset)
        return [int(i) for i in part.indices]

    drawn = {seed: chosen(seed) for seed in range(10)}
    assert drawn == {seed: chosen(seed) for seed in range(10)}
    assert len(set(map(tuple, drawn.values()))) > 4  # of 8
    for seed in range(10):
        assert array.split(0.5, seed)[1].y.tolist() == [0, 1, 2]
    numbers = ArrayDataset(np.arange(6.0), lazy.y).split(0.5, 3)[1]
    assert numbers.batch(slice(0, None))[0].tolist() == drawn[3]


def test_the_only_image_of_a_class_is_left_to_train_on() -> None:
    """A remainder doesn't take the last image of a class while another class can give one."""
    whole = ArrayDataset(np.zeros((9, 1)), [0, 1, 2, 2, 2, 2, 2, 2, 2])
    for seed in range(5):
        rest, part = whole.split(1 / 3, seed)
        assert (sorted(set(rest.y.tolist())), len(part)) == ([0, 1, 2], 3)


def test_of_equal_remainders_the_smaller_class_gives() -> None:
    """One of two classes of three: class 0 gives it, whatever the seed."""
    whole = ArrayDataset(np.zeros((6, 1)), [0, 1, 0, 1, 0, 1])
    assert [whole.split(1 / 6, seed)[1].y.tolist() for seed in range(3)] == [[0]] * 3


def test_a_split_of_targets() -> None:
    """Without classes all samples are of one kind."""
    rest, part = ArrayDataset(np.zeros((10, 1)), np.arange(10.0)).split(0.2)
    assert sorted([*rest.y.tolist(), *part.y.tolist()]) == list(range(10))
    assert (len(part), part.classes) == (2, ())


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "split: fraction 0 of d; expected more than 0, less than 1"),
        (1.0, "split: fraction 1.0 of d; expected more than 0, less than 1"),
        (float("nan"), "split: fraction nan of d; expected more than 0, less than 1"),
        (True, "split: fraction True of d; expected more than 0, less than 1"),
        (0.2, "split: 0.2 of the 2 samples of d is 0; expected at least one in either part: give "
              "more data, or another fraction"),
        (0.8, "split: 0.8 of the 2 samples of d is 2; expected at least one in either part: give "
              "more data, or another fraction"),
    ],
)  # fmt: skip
def test_splits_that_there_are_not(fraction: float, text: str) -> None:
    """What is no fraction, or leaves nothing, is one line; so is a seed that is none."""
    data = ArrayDataset(ONE, [0, 1], name="d")
    with pytest.raises(ArgumentError) as caught:
        data.split(fraction)
    assert str(caught.value) == text
    with pytest.raises(ArgumentError, match="seed: -1; expected an integer from 0"):
        data.split(0.5, seed=-1)


def test_splits_are_a_pair_with_a_validation_part() -> None:
    """Two parts unpack; the third is an attribute, which copies keep."""
    a, b, c = (ArrayDataset(np.full((1, 1), i), [0], name=str(i)) for i in range(3))
    splits = Splits(a, b, validation=c)
    train, test = splits
    assert (train, test, len(splits), splits.validation) == (a, b, 2, c)
    assert (splits.train, splits.test) == (a, b)
    assert Splits(a, None).validation is None
    assert copy.copy(splits).validation is c
    assert repr(copy.deepcopy(splits).validation) == repr(c)
