"""What a run says of its data before it begins: how many samples, of which classes."""

from __future__ import annotations

import numpy as np

from tinyaccel.data.dataset import Dataset, Splits

_MOST = 12  # classes that are named


def counts(splits: Splits[Dataset, Dataset | None]) -> str:
    """How many samples there are, and what for."""
    parts = (("train", splits.train), ("validate", splits.validation), ("test", splits.test))
    numbers = [f"{len(data):,} to {verb} on" for verb, data in parts if data is not None]
    return f"{splits.train.name.removesuffix(' (train)')}: {', '.join(numbers)}"


def labels(splits: Splits[Dataset, Dataset | None]) -> str:
    """The classes and how many samples of each there are in all parts; or the span of targets.

    A wrong folder or column shows here, not after the training.
    """
    train, *others = [d for d in (splits.train, splits.validation, splits.test) if d is not None]
    if not train.classes:
        low, high = float(train.y.min()), float(train.y.max())
        return f"targets from {low:.6g} to {high:.6g}"
    times = np.sum([np.bincount(d.y, minlength=len(train.classes)) for d in (train, *others)], 0)
    named = [f"{name} {times[i]:,}" for i, name in enumerate(train.classes[:_MOST])]
    more = f", and {len(train.classes) - _MOST} more" if len(train.classes) > _MOST else ""
    return f"{len(train.classes)} classes: {', '.join(named)}{more}"
