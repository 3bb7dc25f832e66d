"""Trained: a model from a checkpoint alone, judged on data and asked about pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import quarters

from tinyaccel import nn, train
from tinyaccel.data import DATASETS, ArrayDataset, Splits
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train import Checkpoint, Config, History, Report, Trained
from tinyaccel.train.run_folder import best_of, newest

pillow: Any = pytest.importorskip("PIL.Image", reason="Pillow (the extra 'train')")
for package in ("safetensors", "filelock", "sklearn"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

COLORS = ("blue", "green", "red")


def _draw(
    path: Path, color: str, size: tuple[int, int] = (8, 9), seed: int = 0, light: int = 150
) -> Path:
    """A noisy picture of one colour."""
    pixels = np.random.default_rng(seed).integers(0, 80, (*size, 3))
    pixels[..., ("red", "green", "blue").index(color)] += light
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has learnt to tell colours apart; its pictures are beside it."""
    root = tmp_path_factory.mktemp("colors")
    for part, count in (("train", 12), ("test", 3)):
        for color in COLORS:
            for i in range(count):
                _draw(root / "pictures" / part / color / f"{i}.png", color, seed=i + 100 * count)
    config = Config(
        data=str(root / "pictures"), model="mlp", epochs=6, device="cpu", augment="none"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "plot", lambda *_: None)
        patch.setattr(Report, "plot_confusion", lambda *_: None)
        result = train.run(config, out=root / "run", progress="quiet")
    assert result.evaluation.accuracy == 1.0
    return root / "run"


def test_it_judges_as_the_run_did(run: Path) -> None:
    """On the test part of the data that the checkpoint names, with the weights at its end."""
    trained = Trained.read(run, "cpu")
    judged = trained.evaluate(progress="quiet", batch_size=4)
    assert trained.path == best_of(run) and (judged.part, len(judged.data)) == ("test", 9)
    assert judged.evaluation.metrics == {"accuracy": 1.0}
    assert judged.evaluation.classes == COLORS
    assert judged.mistakes(5) == []
    # A picture is read and normalised as the data set's own are.
    data: Any = judged.data.data
    shares = np.exp(judged.evaluation.outputs[4].astype(np.float64))
    (alone,) = trained.predict([data.paths[4]], top=1)
    assert alone.answers[0][1] == pytest.approx(shares.max() / shares.sum(), rel=1e-5)


def test_which_checkpoint_it_is(run: Path, tmp_path: Path) -> None:
    """The best in a run's folder, else the newest; a file by its name; the epochs it has learnt."""
    last = newest(run)[0]
    assert (Trained.read(last, "cpu").path, Trained.read(last, "cpu").epoch) == (last, 6)
    (tmp_path / "checkpoints").mkdir()
    copy = tmp_path / "checkpoints" / last.name
    copy.write_bytes(last.read_bytes())
    assert Trained.read(tmp_path, "cpu").path == copy
    with pytest.raises(DataError, match=r"model\.safetensors has weights alone; name its folder, "):
        Trained.read(run / "model.safetensors")
    with pytest.raises(DataError, match=r"blue.0\.png is a picture; the run comes first"):
        Trained.read(run.parent / "pictures" / "train" / "blue" / "0.png")


def test_it_predicts_pictures(run: Path, tmp_path: Path) -> None:
    """Files and folders, of any size; probabilities of all classes that add up to 1, in order."""
    files = [_draw(tmp_path / "some" / f"{c}.png", c, (30, 20), seed=7) for c in COLORS]
    trained = Trained.read(run, "cpu")
    found = trained.predict([files[2], tmp_path / "some"], top=3, batch_size=2)
    assert [one.path for one in found] == [files[2], *files]
    assert [one.answers[0][0] for one in found] == ["red", *COLORS]
    for one in found:
        shares = [share for _, share in one.answers]
        assert sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
        assert one.as_json()["class"] == one.answers[0][0]
    assert len(trained.predict(files[:1], top=1)[0].answers) == 1
    # What can't be read is told of, and the others are answered for.
    (tmp_path / "bad.png").write_bytes(b"")
    bad: list[tuple[Path, str]] = []
    given = [files[0], tmp_path / "bad.png", files[2]]
    good = trained.predict(given, on_bad=lambda path, error: bad.append((path, str(error))))
    assert [one.path for one in good] == [files[0], files[2]]
    assert [one.answers[0][0] for one in good] == ["blue", "red"]
    assert [path for path, _ in bad] == [given[1]] and "is empty (0 bytes)" in bad[0][1]
    # With dark and light swapped, what was blue has least of it.
    assert trained.predict(files[:1], invert=True)[0].answers[-1][0] == "blue"


def test_other_data(run: Path, tmp_path: Path) -> None:
    """Pictures of other sizes, some classes only, in another order of numbers: matched by name."""
    for i in range(3):
        _draw(tmp_path / "other" / "red" / f"{i}.png", "red", (20, 20), seed=i)
        _draw(tmp_path / "other" / "green" / f"{i}.png", "green", (10 + i, 30), seed=i)
    wrong = _draw(tmp_path / "other" / "green" / "wrong.png", "red", seed=9, light=40)
    surer = _draw(tmp_path / "other" / "red" / "wrong.png", "green", seed=9)
    trained = Trained.read(run, "cpu")
    judged = trained.evaluate(tmp_path / "other", progress="quiet")
    assert (judged.part, len(judged.data), judged.learnt) == ("other", 8, False)
    own = trained.evaluate(run.parent / "pictures" / "train", progress="quiet")
    assert (own.part, len(own.data), own.learnt) == ("train", 36, True)
    assert judged.evaluation.accuracy == pytest.approx(6 / 8)
    first, second = judged.mistakes(5)
    assert (first.sample, first.true, first.answer) == (str(surer), "red", "green")
    assert (second.sample, second.true, second.answer) == (str(wrong), "green", "red")
    assert 1 > first.probability > second.probability > 1 / 3
    assert judged.mistakes(1) == [first]
    _draw(tmp_path / "other" / "violet" / "0.png", "red")
    with pytest.raises(ArgumentError, match=r"other has class 'violet'; .*best.* was"):
        trained.evaluate(tmp_path / "other", progress="quiet")


def test_its_own_normalisation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other data is normalised by the constants of the training data, not by its own."""
    good = quarters(40)
    data = [ArrayDataset(good.x, good.y, classes=4, mean=m, std=s) for m, s in ((0.5, 2), (0, 1))]
    for name, part in zip(("a", "b"), data, strict=True):
        splits: Any = Splits(part, part)
        monkeypatch.setitem(DATASETS, name, lambda *_, splits=splits, **__: splits)
    monkeypatch.setattr(History, "plot", lambda *_: None)
    config = Config(data="a", model="mlp", epochs=1, metrics=("accuracy", "top2"), device="cpu")
    result = train.run(config, out=tmp_path / "a", progress="quiet")
    judged = Trained.read(tmp_path / "a", "cpu").evaluate("b", progress="quiet")
    assert judged.evaluation.metrics == result.evaluation.metrics
    assert np.array_equal(judged.evaluation.outputs, result.evaluation.outputs)


@pytest.mark.parametrize(("ema", "label"), [(None, "0"), (0.9, "y"), (None, "-3")])
def test_targets(ema: float | None, label: str, tmp_path: Path) -> None:
    """A table whose label is a number to fit: with averaged weights too, what the run came to."""
    rng = np.random.default_rng(5)
    rows = [f"{a - b:.4f},{a:.3f},{b:.0f}" for a, b in rng.normal(size=(40, 2))]
    (tmp_path / "t.csv").write_text("\n".join(["y,a,b", *rows]))
    config = Config(
        data=str(tmp_path / "t.csv"), epochs=3, ema=ema, label=label, metrics=("mae",), device="cpu"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "plot", lambda *_: None)
        result = train.run(config, out=tmp_path / "run", progress="quiet")
    judged = Trained.read(tmp_path / "run", "cpu").evaluate(progress="quiet")
    assert judged.part == result.part == "validation"
    assert judged.evaluation.loss == pytest.approx(result.evaluation.loss, rel=1e-6)
    assert judged.evaluation.metrics == pytest.approx(result.evaluation.metrics)
    with pytest.raises(ArgumentError, match=r"a.png is no .csv file; .* takes rows of "):
        Trained.read(tmp_path / "run", "cpu").predict([tmp_path / "a.png"])
    with pytest.raises(ArgumentError, match=r"t\.csv.* has targets, not classes"):
        judged.mistakes(3)


@pytest.mark.parametrize("kind", ["classes", "targets"])
def test_rows(kind: str, tmp_path: Path) -> None:
    """A table is read by the names of its columns, in any order; each row has its line."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(40, 2)) * (1.0, 100.0)
    y = [f"{3 * a:.4f}" if kind == "targets" else "yes" if a > 0 else "no" for a, _ in x]
    rows = [f"{a:.4f},{label},{b:.3f},me" for (a, b), label in zip(x, y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y,b,who", *rows]))
    config = Config(
        data=str(tmp_path / "t.csv"), epochs=30, label="y", ignore=("who",), device="cpu",
        validation_split=0.0, lr=0.05,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((History, "plot"), (Report, "plot_confusion")):
            patch.setattr(owner, name, lambda *_: None)
        train.run(config, out=tmp_path / "run", progress="quiet")
    trained = Trained.read(tmp_path / "run", "cpu")
    assert trained.columns == ("a", "b")
    for name, text in {
        "swapped.csv": "b;id;a\n\n-50;1;-1.5\n50;2;1.5\n", "bare.csv": "-1.5,-50\n1.5,50\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
        low, high = trained.predict([tmp_path / name], top=1)
        assert (low.line, high.line) == ((3, 4) if name == "swapped.csv" else (1, 2))
        if kind == "targets":
            assert low.values + high.values == pytest.approx((-4.5, 4.5), abs=1)
            assert high.as_json() == {
                "table": str(tmp_path / name),
                "line": high.line,
                "value": high.values[0],
            }
        else:
            assert (low.answers[0][0], high.answers[0][0]) == ("no", "yes")
            assert high.as_json()["class"] == "yes"
    wrong = {
        "A,b\n1,2\n": r"has no column 'a', did you mean 'A'\?; expected a, b, as in the table that",
        "1,2,3\n": "has 3 columns without names; expected 2, or a first row that names them: a, b",
        "a,b\n1,\n": "w.csv line 2, column 'b': nothing; expected a finite number: mend",
        "": "w.csv is empty",
    }
    for text, message in wrong.items():
        (tmp_path / "w.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            trained.predict([tmp_path / "w.csv"])


def test_what_it_cannot_do(run: Path, tmp_path: Path) -> None:
    """One line each: no pictures, bad ones, impossible numbers, data that isn't known."""
    trained = Trained.read(run, "cpu")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"")
    for images, kind, text in (
        ([], ArgumentError, "predict: no pictures; name files or folders"),
        ([tmp_path / "empty"], DataError, "empty has no pictures"),
        ([tmp_path / "none.png"], DataError, r"none\.png"),
        ([tmp_path / "bad.png"], DataError, r"bad\.png is empty \(0 bytes\)"),
    ):  # fmt: skip
        with pytest.raises(kind, match=text):
            trained.predict(images)
    with pytest.raises(ArgumentError, match="predict: top=0; expected 1 or more"):
        trained.predict([tmp_path], top=0)
    checkpoint = Checkpoint.read(best_of(run))
    del checkpoint.facts["config"]
    checkpoint.write(tmp_path / "without")
    with pytest.raises(ArgumentError, match="without doesn't say what data it was trained on; na"):
        Trained.read(tmp_path / "without", "cpu").evaluate()
    own = train.Trainer(nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    own.fit(quarters(8), out=tmp_path / "own", progress="quiet")
    with pytest.raises(DataError, match=r"its model was made by a program, not by name"):
        Trained.read(tmp_path / "own")
