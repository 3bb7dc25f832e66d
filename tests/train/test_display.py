"""Displays: what each shows, which one is chosen, and that none of them ends a training."""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tinyaccel.errors import ArgumentError, PackageError
from tinyaccel.train.callbacks import Row
from tinyaccel.train.display import (
    Bar,
    Guarded,
    JsonLines,
    Lines,
    Progress,
    epoch_line,
    figure,
    progress,
)

LOG = {"epoch": 2, "step": 5, "loss": 0.123456, "accuracy": 0.9876, "images_per_second": 1234.4}
ROW: Row = {
    "epoch": 2, "loss": 0.5, "accuracy": 0.75, "val_loss": 0.25, "lr": 0.001, "seconds": 3.14159,
}  # fmt: skip
LINE = "epoch  2/10  loss 0.5000  accuracy 0.7500  val_loss 0.2500  3.1 s"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 120 columns that draws."""
    pytest.importorskip("rich", reason="rich (the extra 'train')")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def last_bar(text: str) -> str:
    """What the bar's last drawing looks like, without colours and movements."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return [part for part in re.split(r"[\r\n]", plain) if "left" in part][-1]


@pytest.mark.usefixtures("wide")
def test_the_bar() -> None:
    """Epoch, loss, accuracy, images per second, time left; a line an epoch, which stays."""
    terminal = Terminal()
    bar = Bar(terminal)
    bar.start(10, 20)
    bar.update(LOG)
    running = last_bar(terminal.getvalue())
    for part in ("epoch 2/10", "loss 0.1235  accuracy 0.9876  1,234 images/s", "left", "━━━"):
        assert part in running, part
    bar.epoch(ROW)
    assert LINE in terminal.getvalue()
    bar.close()
    bar.close()
    assert terminal.getvalue().endswith("\x1b[2K")  # the bar itself is gone


@pytest.mark.usefixtures("wide")
def test_the_bar_resumes() -> None:
    """It starts where the run does, and what was done before says nothing about the speed."""
    terminal = Terminal()
    bar = Bar(terminal)
    bar.start(2, 100, epoch=2, step=50)
    task = bar._bar.tasks[0]
    assert (task.completed, task.total) == (150, 200)
    now = [0.0]
    bar._bar.get_time = task._get_time = lambda: now[0]
    for seconds, step in ((1.0, 60), (2.0, 70), (3.0, 80)):
        now[0] = seconds
        bar.update({**LOG, "step": step})
    assert task.time_remaining == 2  # 10 steps a second, 20 to go
    bar.close()


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("columns", [20, 40, 60, 70, 80])
def test_a_narrow_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, whatever the width; the loss goes last, and no figure is cut; the bar fits in."""
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    bar = Bar(terminal)
    bar.start(10, 20)
    bar.update({**LOG, "epoch": 10})
    bar.close()
    if columns == 20:
        assert "loss" not in terminal.getvalue()
        return
    running = last_bar(terminal.getvalue())
    assert len(running.rstrip()) == columns
    assert "…" not in running
    parts = ("loss 0.1235", "accuracy 0.9876", "1,234 images/s")
    shown = [part in running for part in parts].count(True)
    assert shown == {40: 1, 60: 2, 70: 2, 80: 3}[columns]
    assert all(part in running for part in parts[:shown])


@pytest.mark.usefixtures("wide")
def test_the_bar_without_an_accuracy() -> None:
    """Regression has none: nothing stands in its place."""
    terminal = Terminal()
    bar = Bar(terminal)
    bar.start(1, 10)
    bar.update({"epoch": 1, "step": 1, "loss": 0.5})
    bar.epoch({"epoch": 1, "loss": 0.5})
    bar.close()
    assert "accuracy" not in terminal.getvalue()
    assert "epoch 1/1  loss 0.5000" in terminal.getvalue()


@pytest.mark.usefixtures("wide")
def test_texts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message keeps its [brackets] and :colons:, a long path stays in one piece."""
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    text = "saved /data/[red]/:smile:/a folder of a name that is longer than the terminal/x.png"
    Bar(terminal).message(text)
    assert text in terminal.getvalue()


@pytest.mark.usefixtures("wide")
def test_what_is_printed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """print goes above the bar in a terminal, and to the pipe or file where that isn't one."""
    for kind in (Terminal, io.StringIO):
        out, terminal = kind(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        bar = Bar(terminal)
        bar.start(1, 10)
        print("from a callback")
        bar.close()
        where = terminal if kind is Terminal else out
        assert "from a callback" in where.getvalue()
        assert sys.stdout is out


def test_lines() -> None:
    """A line an epoch; within one only if it is long, but not when its own line is due."""
    out, now = io.StringIO(), [0.0]
    lines = Lines(out, every=30.0, clock=lambda: now[0])
    lines.start(10, 20)
    for seconds, step in ((29.0, 5), (31.0, 6), (60.0, 7), (62.0, 8), (95.0, 20)):
        now[0] = seconds
        lines.update({**LOG, "step": step})
    lines.epoch(ROW)
    lines.close()
    figures = "  loss 0.1235  accuracy 0.9876  1,234 images/s"
    assert out.getvalue().splitlines() == [
        f"epoch  2/10  step 6/20{figures}", f"epoch  2/10  step 8/20{figures}", LINE,
    ]  # fmt: skip


def test_json_lines() -> None:
    """An object a line, strict JSON: a NaN is null; the end is told once."""
    out = io.StringIO()
    lines = JsonLines(out)
    lines.close()
    lines.start(2, 20, 2, 4)
    lines.update({**LOG, "loss": math.nan})
    lines.epoch({**ROW, "val_loss": math.inf})
    lines.message('saved "é"\n')
    lines.close()
    lines.close()
    refuse: Callable[[str], Any] = pytest.fail
    found = [json.loads(line, parse_constant=refuse) for line in out.getvalue().splitlines()]
    assert found == [
        {"event": "start", "epochs": 2, "steps": 20, "epoch": 2, "step": 4},
        {"event": "log", **LOG, "loss": None},
        {"event": "epoch", **ROW, "val_loss": None},
        {"event": "message", "text": 'saved "é"\n'},
        {"event": "end"},
    ]
    assert out.getvalue().isascii()


@pytest.mark.parametrize("kind", [Lines, JsonLines])
def test_seen_at_once(kind: Callable[[io.TextIOWrapper], Progress]) -> None:
    """A line is in the pipe as soon as it is told, not when a buffer is full."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    kind(stream).message("now")
    assert b"now" in raw.getvalue()


def test_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is shown."""
    shown = progress("quiet")
    assert type(shown) is Progress
    shown.start(1, 1)
    shown.update(LOG)
    shown.epoch(ROW)
    shown.message("x")
    shown.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("wide")
def test_which_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar on a terminal, lines elsewhere, JSON on stdout; nothing where there is no stream."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(progress()) is Bar
    assert type(progress("lines")) is Lines
    assert type(progress("json")) is JsonLines
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert type(progress("auto")) is Lines
    assert type(progress("bar")) is Bar
    monkeypatch.setattr(sys, "stderr", None)
    assert type(progress("auto")) is Progress
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert type(progress("auto")) is Lines
    with pytest.raises(
        ArgumentError, match="progress='loud'; expected auto, bar, lines, json or q"
    ):
        progress("loud")


def test_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines serve where a bar isn't insisted on; who does is told how to get it."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert type(progress("auto")) is Lines
    with pytest.raises(
        PackageError, match=r"progress='lines'\): rich is not installed; pip install"
    ):
        progress("bar")


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("kind", [Bar, Lines, JsonLines])
@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_fails(kind: Callable[[io.StringIO], Progress], closed: bool) -> None:
    """A closed stream or a broken pipe ends the display, not the training."""
    stream: io.StringIO = io.StringIO() if closed else Broken()
    shown = kind(stream)
    if closed:
        stream.close()
    shown.start(1, 10)
    shown.update({**LOG, "epoch": 1})
    shown.epoch(ROW)
    shown.message("x")
    shown.close()


def test_a_pipe_that_breaks() -> None:
    """A program whose reader leaves goes on to its end, and its exit status says so."""
    code = (
        "import sys; from tinyaccel.train.display import JsonLines\n"
        "shown = JsonLines(); shown.start(1, 1)\n"
        "for _ in range(3000): shown.message('x' * 100)\n"
        "shown.close(); print('more', flush=True); print('done', file=sys.stderr)"
    )
    read, write = os.pipe()
    with subprocess.Popen([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE) as p:
        os.close(write)
        assert os.read(read, 10) == b'{"event": '
        os.close(read)
        _, errors = p.communicate(timeout=60)
    assert (p.returncode, errors.decode().split()) == (0, ["done"])


def test_letters_that_a_stream_lacks() -> None:
    """They are written as escapes, not taken for the stream's end."""
    raw = io.BytesIO()
    out = Guarded(io.TextIOWrapper(raw, encoding="ascii"))
    for text in ("é\n", "a\n"):
        out.write(text)
    out.flush()
    assert raw.getvalue() == b"\\xe9\na\n"


def test_figures() -> None:
    """Small ones keep their digits, and none says nothing."""
    assert figure("loss", 1.5e-6) == "loss 1.50e-06"
    assert figure("accuracy", 0.0) == "accuracy 0.0000"
    assert figure("loss", math.nan) == "loss nan"
    assert figure("val_loss", None) == ""
    assert epoch_line(ROW, 10) == LINE
