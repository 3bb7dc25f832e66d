"""What one sees while data is read or fetched: lines on stderr, and a bar if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from tinyaccel.errors import ArgumentError
from tinyaccel.extras import optional

Advance = Callable[[int], None]

KINDS = ("auto", "bar", "lines", "json", "quiet")


class Display:
    """Shows nothing."""

    def message(self, text: str) -> None:
        """Something to know that is no error: what is downloaded, what is left out."""

    @contextmanager
    def task(
        self, what: str, total: int | None, *, done: int = 0, is_bytes: bool = False
    ) -> Iterator[Advance]:
        """While something runs that has `total` parts, if known, of which `done` are done already.

        Yields a function to call with the number of parts done since the last call.
        """
        yield lambda _parts: None


class Lines(Display):
    """Messages, a line each."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr)


class Bars(Lines):
    """Messages, and a bar while something runs; it is gone afterwards."""

    @contextmanager
    def task(
        self, what: str, total: int | None, *, done: int = 0, is_bytes: bool = False
    ) -> Iterator[Advance]:
        rich = optional("rich.progress", "progress bar (or progress='lines')")
        console = optional("rich.console", "progress bar").Console(stderr=True)
        counter = rich.DownloadColumn() if is_bytes else rich.MofNCompleteColumn()
        columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), counter)
        with rich.Progress(
            *columns, rich.TimeRemainingColumn(), console=console, transient=True
        ) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda parts: bar.advance(task, parts)


def display(kind: str = "auto") -> Display:
    """How to show progress.

    kind  "auto": bars if stderr is a terminal and rich is installed, else lines; "bar"; "lines";
          "json", whose events are the trainer's, so here it is lines; "quiet": nothing

    Raises `ArgumentError` for another kind.
    """
    if kind not in KINDS:
        raise ArgumentError(f"progress={kind!r}; expected one of {', '.join(KINDS)}")
    if kind == "quiet":
        return Display()
    can_show = sys.stderr.isatty() and find_spec("rich") is not None
    return Bars() if kind == "bar" or (kind == "auto" and can_show) else Lines()
