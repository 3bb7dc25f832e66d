"""The progress bar: what it shows, and when there is none."""

from __future__ import annotations

import io
import sys

import pytest
from tiny import network, quarters

from tinyaccel import train
from tinyaccel.errors import PackageError
from tinyaccel.train.progress import Bar, Progress, progress
from tinyaccel.train.record import Row

console = pytest.importorskip("rich.console", reason="rich (the extra 'train')")
rich = pytest.importorskip("rich.progress")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar() -> None:
    """Epoch, loss, accuracy and images per second while it runs; one line an epoch, which stays."""
    text = io.StringIO()
    with Bar(2, 10, rich, console.Console(file=text, force_terminal=True, width=120)) as bar:
        bar.update(2, 15, 0.123456, 0.9876, 1234.4)
        running = text.getvalue()
        bar.finished(Row(2, 0.5, 0.75, 0.25, 0.875, 3.14159))
    for part in ("epoch 2/2", "loss 0.1235", "accuracy 0.9876", "1,234 images/s", "left"):
        assert part in running, part
    line = "epoch 2/2  train loss / accuracy 0.5000 / 0.7500  test 0.2500 / 0.8750  3.1 s"
    assert line in text.getvalue()


def test_a_line_without_a_test_set() -> None:
    """No test figures are shown where there are none."""
    text = io.StringIO()
    with Bar(10, 1, rich, console.Console(file=text, width=120)) as bar:
        bar.finished(Row(1, 0.5, 0.75, None, None, 0.0))
    assert "epoch  1/10  train loss / accuracy 0.5000 / 0.7500  0.0 s" in text.getvalue()


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_when_there_is_a_bar(
    terminal: bool, quiet: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal, unless it is asked to be quiet; fit writes nothing at all otherwise."""
    stderr = _Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    train.fit(network(), quarters(20), epochs=2, batch_size=10, quiet=quiet)
    assert ("epoch 2/2" in stderr.getvalue()) == shown
    assert bool(stderr.getvalue()) == shown


def test_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missed where it is to be shown, with both ways out; not missed where it isn't."""
    monkeypatch.setattr(sys, "stderr", _Terminal())
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    text = r"quiet=True\): rich is not installed; pip install 'tinyaccel\[train\]'"
    with pytest.raises(PackageError, match=text):
        progress(1, 1, quiet=False)
    assert type(progress(1, 1, quiet=True)) is Progress
