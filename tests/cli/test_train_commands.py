"""train, resume, evaluate and predict from the command line; options, files, completion."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyaccel.cli import main
from tinyaccel.data import DATASETS, ArrayDataset, Splits
from tinyaccel.train import Config

for package in ("typer", "rich", "safetensors", "filelock", "sklearn", "PIL"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

Capture = pytest.CaptureFixture[str]
TRAIN = ["train", "--data", "halves", "--model", "mlp", "--device", "cpu", "--epochs", "3",
         "--lr", "0.05", "--batch-size", "10"]  # fmt: skip


def _halves(n: int, seed: int) -> ArrayDataset:
    """Images of 6x6 of which the left or the right half is light."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.integers(0, 60, (n, 1, 6, 6))
    for image, label in zip(x, y, strict=True):
        image[0, :, 3 * label : 3 * label + 3] += 180
    return ArrayDataset(x.astype(np.uint8), y, classes=["left", "right"], name="halves")


@pytest.fixture(autouse=True)
def halves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data set "halves", an empty folder to stand in, and no time spent on drawing."""
    from tinyaccel.train import History, Report

    splits: Any = Splits(_halves(40, 1), _halves(20, 2))
    monkeypatch.setitem(DATASETS, "halves", lambda *_, **__: splits)
    for kind, name in ((History, "plot"), (Report, "plot_confusion")):
        monkeypatch.setattr(kind, name, lambda _, path: Path(path).write_text("drawn"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYACCEL_DATA", raising=False)


def _draw(name: str, label: int) -> str:
    image: Any = pytest.importorskip("PIL.Image")
    pixels = np.full((20, 20), 30, np.uint8)
    pixels[:, 10 * label : 10 * label + 10] = 220
    image.fromarray(pixels).save(name)
    return name


def test_a_file_with_options_and_what_wins(capsys: Capture) -> None:
    """The command line over the file, the file over the recipe; tables key by key."""
    Path("my.toml").write_text(
        'data = "halves"\nmodel = "mlp"\nepochs = 9\nlr = 0.5\ndevice = "cpu"\n'
        "[model_options]\nhidden = 8\n"
    )
    status = main(["train", "--config", "my.toml", "--epochs", "1", "--no-jit", "--out", "run",
                   "--schedule", "STEP", "--schedule-options", "every=1", "--metrics",
                   "accuracy,top1", "--schedule-options", "gamma=0.5", "--quiet"])  # fmt: skip
    assert status == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines] == ["test top1", "test accuracy"]
    config = Config.from_toml("run/config.toml")
    assert (config.epochs, config.lr, config.jit, config.batch_size) == (1, 0.5, False, 32)
    assert (config.schedule, config.schedule_options) == ("step", {"every": 1, "gamma": 0.5})
    assert (config.model_options, config.metrics) == ({"hidden": 8}, ("accuracy", "top1"))
    # What was written can be given again, for another run.
    assert main(["train", "--config", "run/config.toml", "--quiet", "--out", "again"]) == 0
    assert Config.from_toml("again/config.toml") == config


def test_the_whole_way(capsys: Capture) -> None:
    """Train, evaluate, go on, predict: each says what it used and prints what came of it."""
    assert main([*TRAIN, "--out", "run"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"test accuracy 1\.0000 \(epoch [123], the best by val_loss\)", last)
    accuracy = "test accuracy 1.0000"

    assert main(["evaluate", "run", "--device", "cpu", "--report", "--confusion", "c.png"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(
        r"run.checkpoints.best.safetensors, epoch \d, on cpu\nwritten to c\.png\n", err
    ), err
    assert re.search(r"left +1\.0000 +1\.0000 +1\.0000 +\d+\n", out)
    assert re.fullmatch(r"test loss \d\.\d{4}", out.splitlines()[-2])
    assert out.splitlines()[-1] == accuracy and Path("c.png").read_text() == "drawn"

    assert main(["resume", "run", "--epochs", "1", "--keep", "1", "--progress", "lines"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("4 epochs on cpu") and "\ntest accuracy 1.0000 (epoch " in out
    assert "going on from run" in err and "epoch 4/4" in err
    assert len(list(Path("run/checkpoints").glob("step-*"))) == 1

    images = [_draw(f"{i}.png", i % 2) for i in range(2)]
    assert main(["predict", "run", *images, "--device", "cpu", "--top", "2"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("run")
    share = r"[01]\.\d{4}"
    assert re.fullmatch(
        rf"0\.png  left  {share}  right {share}\n1\.png  right {share}  left  {share}\n", out
    ), out


def test_bad_pictures_among_good(capsys: Capture) -> None:
    """The good ones are answered, the bad ones named at the end, and the status is 2."""
    assert main([*TRAIN, "--out", "run", "--quiet"]) == 0
    Path("empty.png").touch()
    Path("notes.txt").write_text("no picture")
    given = ["predict", "run", "empty.png", _draw("0.png", 0), "notes.txt", "--device", "cpu"]
    capsys.readouterr()
    assert main([*given, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("0.png  left ") and out.count("\n") == 1
    first, second = err.splitlines()
    assert first.startswith("tinyaccel: empty.png is empty (0 bytes)")
    assert second.startswith("tinyaccel: notes.txt is no picture")
    assert main([*given, "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [one.get("image", one.get("file")) for one in found] == [
        "0.png", "empty.png", "notes.txt"
    ]  # fmt: skip
    assert found[1]["error"].startswith("empty.png is empty")


def test_which_epoch_it_is(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line says which epoch was the best, by what, and what the last one had."""
    splits: Any = Splits(_halves(40, 1), None)
    monkeypatch.setitem(DATASETS, "halves", lambda *_, **__: splits)
    assert main([*TRAIN, "--lr", "9", "--epochs", "6", "--out", "run"]) == 0
    rows = json.loads(Path("run/history.json").read_text())
    best = min(rows, key=lambda row: row["val_loss"])
    assert best["epoch"] < 6
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"validation accuracy {best['val_accuracy']:.4f} (epoch {best['epoch']}, the best by "
        f"val_loss; the last had {rows[-1]['val_accuracy']:.4f})"
    )


def test_a_table(capsys: Capture) -> None:
    """From rows to numbers: trained, judged with a report of its own, asked, all as rows."""
    rng = np.random.default_rng(4)
    lines = [f"{a:.4f},{100 * a + 500:.3f}" for a in rng.normal(size=60)]
    Path("t.csv").write_text("\n".join(["x,y", *lines]))
    command = ["train", "--data", "t.csv", "--device", "cpu", "--epochs", "4", "--lr", "0.02"]
    assert main([*command, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^4 epochs on cpu in \S+ s, [\d,]+ rows/s", out)
    assert "rows/s" in err and "images" not in out + err

    ask = ["evaluate", "run", "--device", "cpu", "--quiet"]
    assert main([*ask, "--report"]) == 0
    found = [line.rsplit(" ", 1)[0] for line in capsys.readouterr().out.splitlines()]
    assert sorted(found) == [f"validation {name}" for name in ("loss", "mae", "mse", "r2")]
    for option in (["--confusion", "c.png"], ["--mistakes", "2"]):
        assert main([*ask, *option]) == 2
        assert "has targets, not classes; leave " in capsys.readouterr().err
    assert main(["evaluate", "run", "--device", "cpu", "--data", "t.csv"]) == 0
    out, err = capsys.readouterr()
    assert "t.csv is what it was trained on: new data will come out worse" in err
    assert out.startswith("t.csv loss ")

    Path("new.csv").write_text("x\n-1\n1\n")
    assert main(["predict", "run", "new.csv", "--device", "cpu", "--quiet"]) == 0
    low, high = (line.split() for line in capsys.readouterr().out.splitlines())
    assert (low[0], high[0]) == ("new.csv:2", "new.csv:3")
    assert 300 < float(low[1]) < 500 < float(high[1]) < 700


def test_json(capsys: Capture) -> None:
    """For programs: one object a line while training, then one; nothing else on stdout."""
    assert main([*TRAIN, "--out", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [e["event"] for e in events if e["event"] == "epoch"] == ["epoch"] * 3
    assert events[-1]["event"] == "result" and events[-1]["test_accuracy"] == 1.0
    assert (events[-1]["folder"], err) == ("run", "")

    options = ["--device", "cpu", "--json"]
    assert main(["evaluate", "run", *options, "--report", "--mistakes", "3"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["accuracy"], found["samples"], found["part"], err) == (1.0, 20, "test", "")
    assert [c["name"] for c in found["report"]["classes"]] == ["left", "right"]

    assert main(["predict", "run", _draw("r.png", 1), *options, "--invert", "--top", "1"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["image"], one["class"], len(one["classes"])) == ("r.png", "left", 1)


def test_mistakes(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples that were taken for something else, by their place in the data."""
    assert main([*TRAIN, "--out", "run", "--quiet"]) == 0
    right = _halves(20, 2)
    wrong = right.y.copy()
    wrong[7] = 1 - wrong[7]
    splits: Any = Splits(right, ArrayDataset(right.x, wrong, classes=right.classes, name="halves"))
    monkeypatch.setitem(DATASETS, "halves", lambda *_, **__: splits)
    capsys.readouterr()
    assert main(["evaluate", "run", "--device", "cpu", "--quiet", "--mistakes", "4"]) == 0
    out, err = capsys.readouterr()
    true, answer = right.classes[wrong[7]], right.classes[1 - wrong[7]]
    assert out.startswith(f"sample 7 of halves: {true}, taken for {answer} with probability ")
    assert out.endswith("test accuracy 0.9500\n") and (out.count("\n"), err) == (3, "")


# Shell completion


def _complete(line: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> list[str]:
    """What bash is told when Tab is pressed at the end of a line."""
    words = line.split(" ")
    for name, value in {
        "_TINYACCEL_COMPLETE": "complete_bash", "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    return capsys.readouterr().out.split()


COMPLETIONS: dict[str, list[str]] = {
    "tinyaccel ev": ["evaluate"],
    "tinyaccel train --data m": ["mnist"],
    "tinyaccel train --model l": ["lenet", "lstm_classifier"],
    "tinyaccel train --schedule co": ["constant", "cosine"],
    "tinyaccel train --optimizer Ada": ["Adadelta", "Adagrad", "Adam", "AdamW", "Adamax"],
    "tinyaccel train --device au": ["auto"],
    "tinyaccel train --metrics accuracy,re": ["accuracy,recall"],
    "tinyaccel train --precision b": ["bfloat16"],
    "tinyaccel train --data pic": ["pictures"],
    "tinyaccel resume x --on-save-error c": ["continue"],
    "tinyaccel evaluate x --data table.": ["table.csv"],
    "tinyaccel predict x --device tp": ["tpu"],
    "tinyaccel train --progress l": ["lines"],
    "tinyaccel train --early": ["--early-stopping"],
    "tinyaccel train --augment crop:4,f": ["crop:4,flip"],
    "tinyaccel resume ": ["runs/mine"],
    "tinyaccel predict runs/m": ["runs/mine"],
    "tinyaccel evaluate pic": ["pictures"],
}


@pytest.mark.parametrize("line", COMPLETIONS)
def test_completion(line: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Tab completes commands, options, names, and folders and files that data can be read from."""
    Path("pictures").mkdir()
    Path("runs/mine/checkpoints").mkdir(parents=True)
    Path("runs/mine/checkpoints/step-00000001.safetensors").touch()
    for name in ("table.csv", "table.txt~", "picture.png"):
        Path(name).touch()
    assert _complete(line, monkeypatch, capsys) == COMPLETIONS[line]


def test_completion_can_be_installed(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """--show-completion prints the script for a shell, which calls the program back."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert main(["--show-completion", "zsh"]) == 0
    out = capsys.readouterr().out
    assert "#compdef tinyaccel" in out and "_TINYACCEL_COMPLETE=complete_zsh" in out


# How progress is shown


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SHOWN: dict[str, tuple[list[str], Callable[[str], bool]]] = {
    "a terminal": ([], lambda text: "epoch 3/3" in text and "\x1b" in text),
    "lines": (["--progress", "lines"], lambda text: "epoch 3/3" in text and "\x1b" not in text),
    "quiet": (["-q"], lambda text: text == ""),
}


@pytest.mark.parametrize("case", SHOWN)
def test_progress(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar in a terminal, lines where they are asked for, nothing with --quiet."""
    options, holds = SHOWN[case]
    stderr = _Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    assert main([*TRAIN, *options]) == 0
    assert holds(stderr.getvalue()), stderr.getvalue()
