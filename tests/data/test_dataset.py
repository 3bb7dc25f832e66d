"""ArrayDataset: what it holds, how it normalises, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyaccel.data import ArrayDataset
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
    "float labels": (ONE, [0.0, 1.0], {}, DataError,
                     "d: labels are float64; expected integers, a class each"),
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
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_what_it_refuses(case: str) -> None:
    """Each fault gives its one line, the whole of it."""
    x, y, options, kind, text = WRONG[case]
    with pytest.raises(kind) as caught:
        ArrayDataset(x, y, name="d", **options)
    assert str(caught.value) == text
