"""NumPy files: which arrays are what, and what isn't read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyaccel import data
from tinyaccel.data import ArrayDataset
from tinyaccel.errors import ArgumentError, DataError


def test_keras_form(tmp_path: Path, rng: np.random.Generator) -> None:
    """Gray bytes get their channel; every part is normalised by the training pixels."""
    x_train, x_test = (rng.integers(0, 256, (n, 3, 4)).astype(np.uint8) for n in (6, 2))
    np.savez(
        tmp_path / "m.npz", x_train=x_train, y_train=np.arange(6, dtype=np.uint8) % 3,
        x_test=x_test, y_test=np.array([[0], [1]]), x_val=x_test[:1], y_val=[2],
    )  # fmt: skip
    splits = data.arrays(tmp_path / "m.npz")
    train, test = splits
    assert (train.shape, train.x.dtype, train.y.tolist()) == ((1, 3, 4), np.uint8, [0, 1, 2] * 2)
    assert test is not None
    assert splits.validation is not None
    assert test.classes == splits.validation.classes == train.classes == ("0", "1", "2")
    assert (test.y.tolist(), splits.validation.y.tolist()) == ([0, 1], [2])
    wanted = (x_test / 255 - x_train.mean() / 255) / (x_train.std() / 255)
    np.testing.assert_allclose(test.batch([0, 1])[0][:, 0], wanted, rtol=1e-4, atol=1e-6)


def test_channels_come_first(tmp_path: Path, rng: np.random.Generator) -> None:
    """(N, H, W, 3) is turned; what has its channels first, and what is no image, stays."""
    for shape, wanted in (
        ((4, 5, 6, 3), (3, 5, 6)), ((4, 3, 5, 6), (3, 5, 6)), ((4, 3, 5, 3), (3, 5, 3)),
        ((4, 7), (7,)), ((4, 5, 6), (5, 6)),
    ):  # fmt: skip
        x = rng.normal(3, 2, shape)
        np.savez(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1])
        splits = data.arrays(tmp_path / "a.npz", validation_split=0.5, seed=1)
        train, validation = splits.train, splits.validation
        assert isinstance(validation, ArrayDataset)
        assert (train.shape, splits.test) == (wanted, None)
        together = np.concatenate([train.x, validation.x])
        if shape[1:] != wanted:
            together = together.transpose(0, 2, 3, 1)
        order = [np.abs(together - image).sum(tuple(range(1, x.ndim))).argmin() for image in x]
        np.testing.assert_allclose(together[order], x, rtol=1e-6)
        batch = train.batch([0, 1])[0]
        axes = (0, *range(2, x.ndim))
        np.testing.assert_allclose(batch.mean(axes), 0, atol=1e-5)
        np.testing.assert_allclose(batch.std(axes), 1, atol=1e-5)


def test_targets(tmp_path: Path) -> None:
    """Labels that are floats are fitted, one or several for each sample."""
    np.savez(tmp_path / "a.npz", x=np.eye(3), y=np.eye(3)[:, :2])
    train, _ = data.arrays(tmp_path / "a.npz")
    assert (train.classes, train.y.shape, train.y.dtype) == ((), (3, 2), np.float32)


def _save(**named: object) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **named)  # type: ignore[arg-type]  # whatever is asked for


def _cut(path: Path) -> None:
    np.savez(path, x=np.zeros(100), y=np.zeros(100, int))
    path.write_bytes(path.read_bytes()[:-30])


def _one(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3)))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, r"doesn't exist; expected an .npz file"),
    "objects": (_save(x=np.array([{}, {}]), y=[0, 1]),
                r"holds pickled objects; tinyaccel unpickles nothing: save arrays of numbers, .*"),
    "truncated": (_cut, r"is no whole .npz file \(.*\); save or copy it again"),
    "empty": (lambda path: path.touch(), r"is no whole .npz file \(.*\); save or copy it again"),
    "text": (lambda path: path.write_text("x"), r"(is no whole .npz file|holds pickled).*"),
    "one array": (_one, r"is one array \(2, 3\); expected samples and labels: write both with .*"),
    "names": (_save(a=[1], b=[2]), r"has a, b; expected x_train, y_train, and, if there are .*"),
    "no labels": (_save(x_train=[1.0], x_test=[1.0]), r"has x_train, x_test, but not y_train; .*"),
    "lengths": (_save(x=np.zeros((3, 2)), y=[0, 1]),
                r"x: x \(3, 2\) and y \(2,\); expected one label for each image"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_line(tmp_path: Path, case: str) -> None:
    """The line names the file, what arrived, what was expected, and what to do."""
    spoil, pattern = WRONG[case]
    path = tmp_path / "a.npz"
    spoil(path)
    with pytest.raises(DataError) as caught:
        data.arrays(path)
    assert re.fullmatch(rf"(arrays: )?.*a.npz {pattern}", str(caught.value)), caught.value


def test_two_ways_to_validate(tmp_path: Path) -> None:
    """A part for validation in the file and a fraction to hold out exclude each other."""
    x, y = np.eye(2), [0, 1]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_val=x, y_val=y)
    with pytest.raises(
        ArgumentError, match=r"validation_split=0.5, but .* has x_val; expected one"
    ):
        data.arrays(tmp_path / "a.npz", validation_split=0.5)
