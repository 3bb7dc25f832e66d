"""Report: class by class against scikit-learn and by hand, and how it reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinyaccel.errors import ShapeError, TrainError
from tinyaccel.train.metrics import find_metric
from tinyaccel.train.report import Report

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn (the extra 'train')")


def drawn(rng: np.random.Generator, classes: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right more often than not."""
    labels = rng.integers(0, classes, n).astype(np.int32)
    logits = rng.normal(size=(n, classes)).astype(np.float32)
    logits[np.arange(n), labels] += 1.5
    return logits, labels


def said(*answers: int, classes: int) -> np.ndarray:
    """Logits that give these answers."""
    return np.eye(classes, dtype=np.float32)[list(answers)]


def test_against_scikit_learn(rng: np.random.Generator) -> None:
    """All figures are classification_report's, those of a class and both means."""
    logits, labels = drawn(rng, 5)
    names = ["a", "b", "c", "d", "e"]
    report = Report(logits, labels, names)
    wanted = metrics.classification_report(
        labels, logits.argmax(1), target_names=names, output_dict=True
    )
    for i, name in enumerate(names):
        found = (report.precision[i], report.recall[i], report.f1[i], report.support[i])
        assert found == pytest.approx(tuple(wanted[name].values()), abs=1e-12)
    assert report.macro == pytest.approx(tuple(wanted["macro avg"].values())[:3], abs=1e-12)
    assert report.weighted == pytest.approx(tuple(wanted["weighted avg"].values())[:3], abs=1e-12)
    assert report.accuracy == pytest.approx(wanted["accuracy"], abs=1e-12)
    for i, j in np.ndindex(5, 5):
        assert report.confusion[i, j] == ((labels == i) & (logits.argmax(1) == j)).sum()


def test_classes_that_do_not_occur() -> None:
    """They are in no mean, though they are answered; which is what the metrics of one name are.

    Here d doesn't occur at all, c isn't in the data but is answered, b is never answered.
    """
    labels = np.array([0, 0, 0, 1])
    logits = said(0, 0, 2, 0, classes=4)
    report = Report(logits, labels, list("abcd"))
    assert report.precision.tolist() == pytest.approx([2 / 3, 0, 0, 0])
    assert report.recall.tolist() == pytest.approx([2 / 3, 0, 0, 0])
    assert report.macro == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert report.weighted == pytest.approx([0.5, 0.5, 0.5])
    for name, mean in report.macro._asdict().items():
        assert find_metric(name)(logits, labels) == mean
    assert "\nnot in the data: c, d\n" in report.text()


def test_one_class() -> None:
    """All of one class, and all right: no 0 / 0 in the way, no confusion."""
    report = Report(said(0, 0, classes=1), np.array([0, 0]), ["only"])
    assert (*report.macro, report.accuracy) == (1.0, 1.0, 1.0, 1.0)
    assert report.worst() == []


TEXT = """\
               precision  recall      f1  support
cat               1.0000  0.6667  0.8000        3
dog               0.5000  1.0000  0.6667        1
mean              0.7500  0.8333  0.7333        4
weighted mean     0.8750  0.7500  0.7667        4
accuracy 0.7500

what it is (rows), what it was taken for (columns)
     cat  dog
cat    2    1
dog    0    1"""

NUMBERED = """\
what it is (rows), what it was taken for (columns)
                            0  1  2
0 漢字                      2  1  0
1 a line?break              0  1  0
2 a name that goes on and…  0  0  0"""


def test_text() -> None:
    """The whole of it, for a terminal."""
    logits, labels = said(0, 1, 0, 1, classes=2), np.array([0, 0, 0, 1])
    assert Report(logits, labels, ["cat", "dog"]).text() == TEXT


def test_text_of_long_names() -> None:
    """Long names are cut and become numbers above columns; wide letters take two columns."""
    logits, labels = said(0, 1, 0, 1, classes=3), np.array([0, 0, 0, 1])
    names = ["漢字", "a line\nbreak", "a name that goes on and on and on"]
    assert Report(logits, labels, names).text().endswith(NUMBERED)


def test_text_of_many_classes() -> None:
    """Beyond 20 classes the worst confusions stand instead of the matrix, most frequent first."""
    labels = np.array([3] * 6 + [7] * 3 + [1])
    logits = said(3, 5, 5, 5, 6, 6, 7, 2, 2, 1, classes=21)
    report = Report(logits, labels, [f"c{i}" for i in range(21)])
    assert report.text().endswith(
        "\n\nthe worst confusions\nc3 taken for c5: 3 of 6\nc3 taken for c6: 2 of 6\n"
        "c7 taken for c2: 2 of 3"
    )
    assert [tuple(one) for one in report.worst(1)] == [("c3", "c5", 3, 6)]
    right = Report(said(0, classes=21), np.array([0]), [f"c{i}" for i in range(21)])
    assert right.text().endswith("no confusions")


def test_json() -> None:
    """Plain numbers and texts, the same as the attributes."""
    report = Report(said(0, 1, 0, 1, classes=2), np.array([0, 0, 0, 1]), ["cat", "dog"])
    assert json.loads(json.dumps(report.as_json(), allow_nan=False)) == {
        "accuracy": 0.75,
        "samples": 4,
        "macro": {"precision": 0.75, "recall": pytest.approx(5 / 6), "f1": pytest.approx(11 / 15)},
        "weighted": {"precision": 0.875, "recall": 0.75, "f1": pytest.approx(23 / 30)},
        "classes": [
            {"name": "cat", "precision": 1.0, "recall": 2 / 3, "f1": 0.8, "support": 3},
            {"name": "dog", "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1},
        ],
        "confusion": [[2, 1], [0, 1]],
    }


def test_logits_beyond_the_classes() -> None:
    """An answer that is no class of the data has a line of its own; too few logits are refused."""
    report = Report(said(0, 2, classes=3), np.array([0, 1]), ["a", "b"])
    assert report.classes == ("a", "b", "class 2")
    assert report.confusion[1].tolist() == [0, 0, 1]
    with pytest.raises(
        ShapeError, match=r"report: logits \(2, 3\) for 4 classes; expected a logit"
    ):
        Report(said(0, 2, classes=3), np.array([0, 1]), list("abcd"))


def test_nan() -> None:
    """Logits that are no numbers are no answers."""
    with pytest.raises(TrainError, match="report: the model's output is NaN in 1 of 2 rows, first"):
        Report(np.array([[0, 1], [0, np.nan]]), np.array([0, 1]), ["a", "b"])


def test_its_plot(tmp_path: Path) -> None:
    """The confusion matrix is drawn where it is asked for."""
    pytest.importorskip("matplotlib", reason="matplotlib (the extra 'train')")
    Report(said(0, 1, classes=2), np.array([0, 1]), ["a", "b"]).plot_confusion(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
