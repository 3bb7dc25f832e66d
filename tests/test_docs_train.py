"""docs/train.md and the README's part on training, executed as they are printed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from test_docs import DOCS, blocks, run_programs

from tinyaccel.cli import main

for package in ("sklearn", "typer", "rich", "safetensors", "filelock", "matplotlib", "PIL"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

PAGE = (DOCS / "train.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")


def _commands(text: str, capsys: pytest.CaptureFixture[str], **more: str) -> list[str]:
    """Run each command of a page in the folder that this is; what they print."""
    printed = []
    for block in blocks(text):
        for command in block.text.splitlines() if block.language == "sh" else ():
            program, *given = shlex.split(command, comments=True)
            assert program == "tinyaccel"
            status = main([*given, *shlex.split(more.get(given[0], ""))])
            out, errors = capsys.readouterr()
            assert status == 0, errors
            printed.append(out)
    return printed


def test_programs_of_the_page(tmp_path: Path) -> None:
    """Its Python runs without warnings and prints what is printed."""
    assert len(run_programs(PAGE, tmp_path)) == 3


def test_commands_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file of options is taken, the command line wins, and the run is reported and resumed."""
    monkeypatch.chdir(tmp_path)
    (options,) = [block for block in blocks(PAGE) if block.file == "options.toml"]
    (tmp_path / "options.toml").write_text(options.text)
    trained, reported, resumed = _commands(PAGE, capsys)
    assert re.fullmatch(r"test accuracy 0\.\d{4} \(epoch \d, .*\)", trained.splitlines()[-1])
    assert "weighted mean" in reported
    events = [json.loads(line) for line in resumed.splitlines()]
    assert [e["epoch"] for e in events if e["event"] == "epoch"] == [5, 6]


def test_the_readme_trains_on_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its four commands train on a folder of pictures, name a new one, report, and go on.

    The pictures are of different sizes: bright at the left, or at the right.
    """
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def draw(path: Path, left: bool) -> None:
        height, width = rng.integers(20, 40, 2)
        pixels = rng.integers(0, 80, (height, width, 3), np.uint8)
        half = pixels[:, : width // 2] if left else pixels[:, width // 2 :]
        half += 150
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    for i in range(30):
        draw(tmp_path / "pictures" / "cat" / f"{i}.jpg", True)
        draw(tmp_path / "pictures" / "dog" / f"{i}.png", False)
    draw(tmp_path / "new.jpg", False)
    text = README.split("<!-- ci: pictures -->")[1].split("```\n", 2)[:2]
    section = "```".join(["", text[0].split("```")[1] + "```\n"])
    quick = {"train": "--image-size 20 --epochs 3 --augment none --device cpu",
             "resume": "--epochs 1"}  # fmt: skip
    trained, named, reported, resumed = _commands(section, capsys, **quick)
    assert "validation accuracy 1.0000" in trained
    assert re.search(r"new\.jpg.*dog", named)
    assert "cat" in reported and "accuracy 1.0000" in reported
    assert "validation accuracy" in resumed
    folder = tmp_path / "runs" / "pictures"
    there = {path.name for path in folder.iterdir()}
    told = README.split("The run's folder")[1]
    table = re.findall(r"^\| `([\w.]+)(?:/`|`|, )", told, re.MULTILINE)
    assert {"config.toml", "checkpoints", "history.csv", "metrics.json"} <= set(table[:5])
    assert set(table[:5]) <= there
