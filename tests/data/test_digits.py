"""The digits and their split: the facts that every accuracy on them rests on."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest

from tinyaccel import data
from tinyaccel.data.digits import _SEED, TEST_SIZE
from tinyaccel.data.stratify import stratified
from tinyaccel.errors import PackageError

sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn (the extra 'train')")

# SHA-256 of the 540 indices as little-endian int64. It may never change.
CHECKSUM = "98c19874e4a4135824d2df745399e710d9948cc6089b0e169d002bb0f4cf74cc"


def test_the_split_is_the_one_that_was_published() -> None:
    """The indices of the test set have the checksum written here, on any machine."""
    indices = stratified(sklearn.load_digits().target, TEST_SIZE, _SEED)
    assert hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() == CHECKSUM


def test_the_split_is_stratified_and_takes_every_image_once() -> None:
    """540 sorted, different images; each class within one image of its share."""
    labels = sklearn.load_digits().target
    indices = stratified(labels, TEST_SIZE, _SEED)
    assert len(indices) == 540 == len(set(indices.tolist()))
    assert (np.diff(indices) > 0).all()
    share = np.bincount(labels) * TEST_SIZE / len(labels)
    assert np.abs(np.bincount(labels[indices]) - share).max() < 1


def test_the_images_are_the_scans() -> None:
    """Training and test images together are scikit-learn's, each with its label, on [0, 1]."""
    train, test = data.digits()
    raw = sklearn.load_digits()
    wanted = sorted((img.tobytes(), y) for img, y in zip(raw.data / 16, raw.target, strict=True))
    x = np.concatenate([d.batch(slice(0, None))[0] for d in (train, test)])
    y = np.concatenate([train.y, test.y])
    found = sorted((i.astype(np.float64).tobytes(), k) for i, k in zip(x, y, strict=True))
    assert found == wanted
    assert (x.min(), x.max(), x.shape[1:]) == (0, 1, (1, 8, 8))
    assert (len(train), len(test), len(train.classes)) == (1257, 540, 10)


@pytest.mark.parametrize("n", [0, 1, 7, 30])
def test_any_size_is_shared_out(n: int, rng: np.random.Generator) -> None:
    """The places left over by rounding down are given out too, also with a class that is rare."""
    labels = rng.choice(4, size=30, p=[0.7, 0.2, 0.07, 0.03])
    assert len(stratified(labels, n, _SEED)) == n


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package and the extra that brings it."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets")
    with pytest.raises(PackageError) as caught:
        data.digits()
    text = "digits: scikit-learn is not installed; pip install 'tinyaccel[train]'"
    assert str(caught.value) == text
