"""A report as one HTML page: a heat map of all ops, the conventions, and every failure."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from datetime import date
from html import escape
from importlib.metadata import PackageNotFoundError, version

from tinyaccel import dtypes
from tinyaccel.testing.check import Report
from tinyaccel.testing.summary import Cell, ConventionRow, cells

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: 2px 8px; border: 1px solid #ddd; text-align: left; vertical-align: top }
th { background: #f6f6f6; position: sticky; top: 0 }
td.n { text-align: right; font-variant-numeric: tabular-nums; min-width: 3.5em }
td.known { background: #d9d9ea }
td.bad { background: #b00020; color: #fff; font-weight: bold }
td.none { background: #fafafa; border-color: #eee }
code, pre { font: 13px/1.4 ui-monospace, monospace }
pre { background: #f6f6f6; padding: 8px; overflow-x: auto; white-space: pre-wrap }
.ok { color: #1a7f37 } .failed { color: #b00020 }
"""


_ABOUT_OPS = """The worst error of each op in units of its error budget (1 is the limit), over its
values, gradients and second gradients, eager and jitted. Point at a cell for its examples and its
kernel."""
_ABOUT_CONVENTIONS = """Where mathematics leaves a choice, what each backend did when it was run
just now."""


def _shade(worst: float) -> str:
    """White for an exact result, deeper for one that uses more of its budget."""
    part = min(max(worst, 0.0), 1.0)
    return f"background: hsl({140 - 105 * part:.0f} {70 if part else 0}% {97 - 32 * part:.0f}%)"


def _heat(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="none"></td>'
    title = escape(cell.text, quote=True)
    if cell.verdict == "failed":
        return f'<td class="n bad" title="{title}">failed</td>'
    if cell.verdict == "known":
        return f'<td class="n known" title="{title}">known</td>'
    return f'<td class="n" style="{_shade(cell.worst)}" title="{title}">{cell.worst:.2f}</td>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """`rows` are cells as HTML, <td> included."""
    lines = ["<table><tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>"]
    lines += ["<tr>" + "".join(row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _td(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def heat_map(report: Report) -> str:
    """Ops down, backends and dtypes across: the worst error of each, in budgets."""
    found = {(c.op, c.device, c.dtype): c for c in cells(report)}
    devices = dict.fromkeys(c.device for c in found.values())
    columns = [(d, t.name) for d in devices for t in dtypes.ALL]
    columns = [c for c in columns if any((op, *c) in found for op, _, _ in found)]
    ops = dict.fromkeys(op for op, _, _ in found)
    rows = [[_td(op), *(_heat(found.get((op, d, t))) for d, t in columns)] for op in ops]
    return _table(["op", *(f"{d} {t}" for d, t in columns)], rows)


def _conventions(rows: Sequence[ConventionRow]) -> str:
    devices = list(dict.fromkeys(d for row in rows for d in row.got))
    body = []
    for row in rows:
        line = [_td(row.says), f"<td><code>{escape(row.call)}</code></td>", _td(row.expected)]
        for device in devices:
            text, ok = row.got.get(device, ("", True))
            line.append(_td(text, "" if ok else "bad"))
        body.append(line)
    return _table(["convention", "call", "is", *devices], body)


def _versions() -> str:
    parts = [f"Python {platform.python_version()}"]
    for package in ("tinyaccel", "numpy", "jax", "numba-cuda", "hypothesis", "mpmath"):
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join([*parts, platform.machine(), date.today().isoformat()])


def page(report: Report, conventions: Sequence[ConventionRow] = (), *, title: str = "") -> str:
    """The whole page, in one file without scripts or anything to load."""
    title = title or "tinyaccel verify"
    verdict = "all within budget" if report.ok else f"failures: {len(report.failures)}"
    parts = [
        "<!doctype html>", '<html lang="en">', '<meta charset="utf-8">',
        f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", f"<h1>{escape(title)}</h1>",
        f'<p class="{"ok" if report.ok else "failed"}">{verdict}</p>',
        f"<p>{escape(_versions())}</p>", f"<h2>Ops</h2><p>{_ABOUT_OPS}</p>", heat_map(report),
    ]  # fmt: skip
    if conventions:
        parts += [f"<h2>Conventions</h2><p>{_ABOUT_CONVENTIONS}</p>", _conventions(conventions)]
    if report.failures:
        parts.append("<h2>Failures</h2>")
        parts += [f"<pre>{escape(failure)}</pre>" for failure in report.failures]
    return "\n".join([*parts, "</html>"]) + "\n"
