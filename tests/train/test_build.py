"""What a Config names, built: what is told of the data, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyaccel import train
from tinyaccel.train import Config, History, Report, Trained

for package in ("safetensors", "filelock", "sklearn", "PIL.Image"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")


def test_what_was_told_is_not_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad picture is named when training begins, not by resume and evaluate; the header is."""
    image: Any = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for i in range(3):
            path = tmp_path / "pets" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.fromarray(rng.integers(0, 255, (4, 4), np.uint8)).save(path)
    (tmp_path / "pets" / "cat" / "0.png").write_bytes(b"")
    for kind, name in ((History, "plot"), (Report, "plot_confusion")):
        monkeypatch.setattr(kind, name, lambda *_: None)
    monkeypatch.chdir(tmp_path)
    config = Config(data="pets", skip_bad=True, model="mlp", epochs=1, device="cpu")
    told = "left out 1 bad picture: pets/cat/0.png\n"
    few = "no validation: pets has only 5 samples\n"
    train.run(config, out="run", progress="lines")
    first = capsys.readouterr().err
    assert told in first and few in first
    assert "pets: 5 to train on; mlp" in first and "2 classes: cat 2, dog 3\n" in first
    train.resume("run", epochs=1, progress="lines")
    again = capsys.readouterr().err
    assert "left out" not in again and "no validation" not in again and "2 classes: cat" in again
    trained = Trained.read("run", "cpu")
    trained.evaluate(progress="lines")
    assert capsys.readouterr().err == ""
    trained.evaluate("pets", progress="lines")
    assert "left out 1 bad picture" in capsys.readouterr().err


def test_columns_that_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--ignore holds for the table of the training and for others that the model is judged on."""
    monkeypatch.chdir(tmp_path)
    for kind, name in ((History, "plot"), (Report, "plot_confusion")):
        monkeypatch.setattr(kind, name, lambda *_: None)
    for path, n in (("one.csv", 20), ("other.csv", 6)):
        rows = [f"n{i},{i},word,{'ab'[i % 2]}" for i in range(n)]
        Path(path).write_text("\n".join(["name,size,color,kind", *rows]))
    config = Config(data="one.csv", ignore=("name", "2"), epochs=1, device="cpu")
    result = train.run(config, out="run", progress="quiet")
    assert next(result.trainer.model.parameters()).shape == (128, 1)
    trained = Trained.read("run", "cpu")
    assert len(trained.evaluate(progress="quiet").data) == 2
    assert len(trained.evaluate("other.csv", progress="quiet").data) == 6
