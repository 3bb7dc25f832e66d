"""Metrics: what counts as right, on the device and by name, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, DataError, PackageError, ShapeError, TrainError
from tinyaccel.train.metrics import METRICS, accuracy, count_correct, find_metric

# Three of class 0, two of class 1, one of class 2; nothing is of class 3, and nothing is taken
# for class 2. What is taken for each: 0, 0, 1 / 1, 0 / 0.
LABELS = np.array([0, 0, 0, 1, 1, 2], np.int32)
LOGITS = np.array(
    [[3, 1, 0, 0], [2, 1, 0, 0], [1, 2, 0, 0], [0, 1, 0, 0], [5, 4, 3, 2], [4, 3, 2, 1]], np.float32
)


def test_against_numpy(device: str, rng: np.random.Generator) -> None:
    """The count and the share are NumPy's, on every device, eager and jitted."""
    logits, labels = rng.normal(size=(200, 5)).astype(np.float32), rng.integers(0, 5, 200)
    x, y = ta.tensor(logits, device=device), ta.tensor(labels.astype(np.int32), device=device)
    right = int((logits.argmax(1) == labels).sum())
    for run in (count_correct, ta.jit(count_correct)):
        assert run(x, y).item() == right
    assert accuracy(x, y).item() == np.float32(right / 200)


def test_ties_go_to_the_first() -> None:
    """A row of equal logits answers class 0, so a model that knows nothing isn't always right."""
    logits = ta.zeros((2, 3))
    assert count_correct(logits, ta.tensor([0, 1])).item() == 1
    assert find_metric("accuracy")(logits.numpy(), np.array([0, 1])) == 0.5


def test_shapes_that_do_not_fit() -> None:
    """Labels that would broadcast are refused, as is a mean over nothing."""
    with pytest.raises(ShapeError, match=r"count_correct: logits \(2, 3\) and labels \(1,\); exp"):
        count_correct(ta.zeros((2, 3)), ta.tensor([0]))
    with pytest.raises(ShapeError, match=r"accuracy: logits \(0, 3\); expected at least one row"):
        accuracy(ta.zeros((0, 3)), ta.zeros((0,), dtype=ta.int32))


# Classes 0, 1, 2 occur: precision 2/4, 1/2, 0/0; recall 2/3, 1/2, 0/1; class 3 counts in no mean.
BY_HAND = {
    "accuracy": 3 / 6,
    "precision": (2 / 4 + 1 / 2 + 0) / 3,
    "recall": (2 / 3 + 1 / 2 + 0) / 3,
    "f1": (4 / 7 + 1 / 2 + 0) / 3,
    "top1": 3 / 6,
    "top2": 5 / 6,
    "top3": 1.0,
    "top5": 1.0,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str) -> None:
    """Six answers, counted: a class that doesn't occur, and one that nothing is taken for."""
    pytest.importorskip("sklearn", reason="scikit-learn (the extra 'train')")
    found = find_metric(name)(LOGITS, LABELS)
    assert type(found) is float
    assert found == pytest.approx(BY_HAND[name], abs=1e-12)


def test_top_k_with_ties() -> None:
    """A label is among the top k if fewer than k logits are larger, whichever are equal to it."""
    logits = np.array([[2, 1, 1, 1], [3, 2, 1, 1]], np.float32)
    for label in (1, 2, 3):
        assert find_metric("top2")(logits[:1], np.array([label])) == 1.0
    assert find_metric("top1")(logits[:1], np.array([1])) == 0.0
    assert find_metric("top2")(logits[1:], np.array([2])) == 0.0
    assert find_metric("top3")(logits[1:], np.array([3])) == 1.0


def test_against_pytorch(rng: np.random.Generator) -> None:
    """top3 of many rows is what PyTorch's topk finds."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    logits, labels = rng.normal(size=(300, 8)).astype(np.float32), rng.integers(0, 8, 300)
    top = torch.topk(torch.from_numpy(logits), 3, dim=1).indices.numpy()
    assert find_metric("top3")(logits, labels) == (top == labels[:, None]).any(1).mean()


def test_regression() -> None:
    """By hand: errors 1, 0, -2; r2 is 1 - (5/3) / (2/3) = -1.5. Columns (N, 1) count as (N,)."""
    pytest.importorskip("sklearn", reason="scikit-learn (the extra 'train')")
    targets = np.array([1, 2, 3], np.float32)
    outputs = np.array([2, 2, 1], np.float32)
    wanted = {"mae": 1.0, "mse": 5 / 3, "r2": -1.5}
    for name, value in wanted.items():
        for given in (outputs, outputs[:, None]):
            assert find_metric(name)(given, targets) == pytest.approx(value, abs=1e-12), name
    assert math.isnan(find_metric("r2")(outputs[:1], targets[:1]))


def test_infinite_logits() -> None:
    """They are answers like others: only NaN is none."""
    logits = np.array([[-np.inf, 0, -np.inf], [np.inf, 0, 1]], np.float32)
    assert find_metric("accuracy")(logits, np.array([1, 0])) == 1.0


def test_unknown_names() -> None:
    """The near name is suggested, and all are listed; top0 is no metric."""
    text = r"metric 'acuracy' is unknown, did you mean 'accuracy'\?; expected one of accuracy, top5"
    with pytest.raises(ArgumentError, match=text):
        find_metric("acuracy")
    with pytest.raises(ArgumentError, match=r"'acc' is unknown, did you mean 'accuracy'\?"):
        find_metric("acc")
    for name in ("top0", "topk", "xyz"):
        with pytest.raises(ArgumentError, match=f"metric '{name}' is unknown"):
            find_metric(name)


NAN = LOGITS.copy()
NAN[[2, 4], 1] = math.nan
WRONG = {
    "float targets": ("f1", LOGITS, LABELS.astype(np.float32), ArgumentError,
                      "f1: targets are float32, but it is for classes; expected integers, or one "
                      "of mae, mse, r2 for regression"),
    "labels": ("mae", LABELS, LABELS, ArgumentError,
               "mae: targets are int32, but it is for regression; expected floats, or one of "
               "accuracy, top5, precision, recall, f1 for classes"),
    "NaN": ("accuracy", NAN, LABELS, TrainError,
            "accuracy: the model's output is NaN in 2 of 6 rows, first in row 2; the weights have "
            "grown too large: train again with a smaller lr"),
    "NaN, regression": ("mse", NAN, LOGITS, TrainError,
                        "mse: the model's output is NaN in 2 of 6 rows, first in row 2; the "
                        "weights have grown too large: train again with a smaller lr"),
    "no class": ("top2", LOGITS, LABELS + 2, DataError,
                 "top2: label 4 of row 5 is no class; expected 0 to 3: give the model a logit for "
                 "each class, or mend the labels"),
    "negative": ("top2", LOGITS, LABELS - 1, DataError,
                 "top2: label -1 of row 0 is no class; expected 0 to 3: give the model a logit for "
                 "each class, or mend the labels"),
    "fewer labels": ("recall", LOGITS, LABELS[:1], ShapeError,
                     "recall: logits (6, 4) and labels (1,); expected (N, classes) and (N,), at "
                     "least one row"),
    "nothing": ("recall", LOGITS[:0], LABELS[:0], ShapeError,
                "recall: logits (0, 4) and labels (0,); expected (N, classes) and (N,), at least "
                "one row"),
    "broadcast": ("mse", LOGITS[:, :1], LOGITS, ShapeError,
                  "mse: outputs (6, 1) and targets (6, 4); expected the same shape, (N, ...), at "
                  "least one row"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_they_refuse(case: str) -> None:
    """Each input that a metric can't judge gives its one line."""
    name, outputs, targets, kind, text = WRONG[case]
    with pytest.raises(kind) as caught:
        METRICS.get(name, find_metric(name))(outputs, targets)
    assert str(caught.value) == text


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy and top-k do without it; the others say how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "sklearn.metrics", None)
    assert find_metric("accuracy")(LOGITS, LABELS) == find_metric("top1")(LOGITS, LABELS)
    with pytest.raises(PackageError, match="f1: scikit-learn is not installed; pip install 'tinya"):
        find_metric("f1")(LOGITS, LABELS)
