"""What is said of data before training: sizes, classes with their counts, the span of targets."""

from __future__ import annotations

import numpy as np

from tinyaccel.data import ArrayDataset, Splits
from tinyaccel.train.overview import counts, labels


def _data(y: list[int], classes: list[str], name: str = "photos (train)") -> ArrayDataset:
    return ArrayDataset(np.zeros((len(y), 2)), np.array(y), classes=classes, name=name)


def test_classes_are_counted_in_all_parts() -> None:
    """Each class with its samples, also one that a part lacks; of many only the first."""
    names = ["new", "photos"]
    splits = Splits(_data([0, 1, 1], names), _data([1], names), _data([0, 0], names))
    assert counts(splits) == "photos: 3 to train on, 2 to validate on, 1 to test on"
    assert labels(splits) == "2 classes: new 3, photos 3"
    many = _data([14], [f"c{i}" for i in range(15)])
    assert labels(Splits(many, None)).endswith("c10 0, c11 0, and 3 more")
    assert counts(Splits(_data([0], names, "photos"), None)) == "photos: 1 to train on"


def test_the_span_of_targets() -> None:
    """Smallest and largest, so that a wrong column shows."""
    train = ArrayDataset(np.zeros((2, 1)), np.array([[1.5], [70_000.0]]))
    assert labels(Splits(train, None)) == "targets from 1.5 to 70000"
