"""`tinyaccel verify`: hold backends to their budgets, or to each other with random programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tinyaccel import dtypes
from tinyaccel.backend import get_device
from tinyaccel.cli.devices import survey
from tinyaccel.errors import ArgumentError
from tinyaccel.extras import optional
from tinyaccel.op import OPS

FAILED = 1  # exit status: a backend isn't what it should be


@dataclass(frozen=True)
class Files:
    """Where to write what was found; None for nowhere."""

    html: Path | None = None
    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None

    def check(self) -> None:
        """Before the work is done: `ArgumentError` for a file in a folder that isn't there."""
        for path in (self.html, self.json, self.junit, self.markdown):
            if path is not None and not path.parent.is_dir():
                raise ArgumentError(f"verify: {path}: there is no folder {path.parent}; make it")


def devices_named(names: str | None) -> list[str]:
    """The devices of a list such as "cpu,xla:cpu"; by default the first of each that is here."""
    if names is not None:
        return [get_device(name.strip()).name for name in names.split(",")]
    return [found.text.split(", ")[0] for found in survey() if found.here]


def ops_named(names: str | None) -> list[str] | None:
    """The ops of a list such as "exp,conv2d"; None for all. Raises `ArgumentError` for others."""
    if names is None:
        return None
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in OPS:
            raise ArgumentError(f"verify: no op is called {name!r}; tinyaccel.OPS lists them")
    return wanted


def verify(
    devices: Sequence[str], ops: Sequence[str] | None, *, examples: int, seed: int, files: Files
) -> int:
    """Check every op of every device, print a table, write the files; returns the exit status."""
    _needs_test_extra()
    files.check()
    from tinyaccel.testing.check import Report, check_backend
    from tinyaccel.testing.page import page
    from tinyaccel.testing.summary import conventions_table, to_json, to_junit, to_markdown

    console = _console()
    whole = Report()
    for device in devices:
        start = perf_counter()
        with _Status(f"{device}: ") as show:
            report = check_backend(device, ops, examples=examples, seed=seed, progress=show)
        whole.results += report.results
        print_table(console, report)
        print_others(console, report)
        console.print(
            f"{device}: {_count(report)} in {perf_counter() - start:.0f} s\n", highlight=False
        )
    if files.html is not None:
        rows = conventions_table(devices, ops)
        title = f"tinyaccel verify: {', '.join(devices)}, {examples} examples, seed {seed}"
        files.html.write_text(page(whole, rows, title=title), encoding="utf-8")
    if files.json is not None:
        files.json.write_text(to_json(whole), encoding="utf-8")
    if files.junit is not None:
        files.junit.write_text(to_junit(whole), encoding="utf-8")
    if files.markdown is not None:
        files.markdown.write_text(to_markdown(whole), encoding="utf-8")
    for failure in whole.failures:
        console.print(f"FAILED {failure}", markup=False, highlight=False, soft_wrap=True)
    return 0 if whole.ok else FAILED


def fuzz(devices: Sequence[str], *, minutes: float, seed: int) -> int:
    """Random programs until the time is over; returns the exit status."""
    _needs_test_extra()
    from tinyaccel.testing.fuzz import fuzz as run

    with _Status("fuzz: ") as show:
        report = run(devices, minutes=minutes, seed=seed, progress=show)
    print(report)
    return 0 if report.ok else FAILED


def _needs_test_extra() -> None:
    for package in ("hypothesis", "mpmath"):
        optional(package, "tinyaccel verify", extra="test")


def _console() -> Any:
    console = optional("rich.console", "tinyaccel verify").Console()
    if not console.is_terminal:
        console.width = 1000  # a row is never broken
    return console


class _Status:
    """One line on stderr that says what is being done, if that is a terminal."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Callable[[str], None]:
        return self._show

    def _show(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\033[K{self._prefix}{text}")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\033[K")


def _count(report: Any) -> str:
    examples = sum(r.examples for r in report.results)
    known = len({(r.op, r.known) for r in report.results if r.known})
    failed = len(report.failures)
    parts = [f"{len(report.results)} checks, {examples:,} examples"]
    parts += [f"{known} known differences"] if known else []
    parts.append(f"{failed} FAILED" if failed else f"all within budget, worst {report.worst:.2f}")
    return ", ".join(parts)


_SHORT = {"float": "f", "bfloat": "bf", "uint": "u", "int": "i", "bool": "b"}


def _short(dtype: str) -> str:
    """float32 as f32, so that ten of them fit a line."""
    letters = dtype.rstrip("0123456789")
    return _SHORT.get(letters, letters) + dtype[len(letters) :]


def print_table(console: Any, report: Any) -> None:
    """A row for each op: the worst error in each dtype, in budgets."""
    from tinyaccel.testing.summary import cells

    found: dict[str, dict[str, Any]] = {}
    for cell in cells(report):
        found.setdefault(cell.op, {})[cell.dtype] = cell
    if not found:
        return
    table = optional("rich.table", "tinyaccel verify").Table(box=None, pad_edge=False)
    columns = [d.name for d in dtypes.ALL if any(d.name in row for row in found.values())]
    for heading in ("op", "kernel"):
        table.add_column(heading, no_wrap=True)
    for heading in ("examples", *map(_short, columns)):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("verdict", no_wrap=True)
    for op, row in found.items():
        verdicts = {cell.verdict for cell in row.values()}
        verdict = next((v for v in ("failed", "known") if v in verdicts), "ok")
        table.add_row(
            op, next(iter(row.values())).kernel, str(sum(c.examples for c in row.values())),
            *[_number(row.get(name)) for name in columns],
            verdict.upper() if verdict == "failed" else verdict,
        )  # fmt: skip
    console.print(table)


def _number(cell: Any) -> str:
    if cell is None:
        return ""
    return "FAIL" if cell.verdict == "failed" else f"{cell.worst:.2f}" if cell.worst else "0"


def print_others(console: Any, report: Any) -> None:
    """A line for each kind of check that isn't of one op in one dtype."""
    kinds = dict.fromkeys(r.kind for r in report.results if r.kind != "op")
    for kind in kinds:
        results = [r for r in report.results if r.kind == kind]
        bad = sum(not r.ok for r in results)
        state = f"{bad} FAILED" if bad else "ok"
        console.print(f"{kind:12} {len(results):4} checks  {state}", highlight=False)
