"""A report by op, backend and dtype, and as JSON and JUnit's XML, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal
from xml.etree import ElementTree

import numpy as np

from tinyaccel.backend import get_device
from tinyaccel.dtypes import DType
from tinyaccel.errors import TinyaccelError
from tinyaccel.op import OPS, Op
from tinyaccel.testing.check import Report, Result
from tinyaccel.testing.conventions import CONVENTIONS, Convention

Verdict = Literal["ok", "known", "failed"]


@dataclass(frozen=True)
class Cell:
    """All that was seen of one op on one device in one dtype, of every order, eager and jitted."""

    op: str
    device: str
    dtype: str
    kernel: str
    examples: int
    worst: float
    verdict: Verdict
    text: str


def _verdict(results: Sequence[Result]) -> Verdict:
    if any(not r.ok for r in results):
        return "failed"
    return "known" if any(r.known for r in results) else "ok"


def cells(report: Report) -> list[Cell]:
    """The report's ops, a `Cell` for each op, device and dtype, in the order of the report."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for r in report.results:
        if r.kind == "op":
            groups.setdefault((r.op, r.device, r.dtype), []).append(r)
    return [_cell(results) for results in groups.values()]


def _cell(results: Sequence[Result]) -> Cell:
    first = results[0]
    lines = [f"{first.op} on {first.device} in {first.dtype}, kernel: {first.kernel}"]
    for r in results:
        how = "jitted" if r.jitted else "eager"
        state = r.failure or (f"known: {r.known}" if r.known else "ok")
        lines.append(f"order {r.order} {how}: {r.examples} examples, worst {r.worst:.3f}, {state}")
    return Cell(
        first.op, first.device, first.dtype, first.kernel, sum(r.examples for r in results),
        max(r.worst for r in results), _verdict(results), "\n".join(lines),
    )  # fmt: skip


# Conventions, as the backends keep them


@dataclass(frozen=True)
class ConventionRow:
    """One convention, and by device what it gave and whether that is the convention."""

    says: str
    call: str
    expected: str
    got: dict[str, tuple[str, bool]]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " or ".join(_shown(v) for v in value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, DType):
        return value.name
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.tolist()}"
    return str(value)


def _call(convention: Convention) -> str:
    shown = [_shown(v) for v in convention.inputs]
    shown += [f"{name}={_shown(value)}" for name, value in convention.attrs.items()]
    text = f"{convention.op}({', '.join(shown)})"
    return text if convention.by is None else f"gradient of {text} by input {convention.by}"


def conventions_table(
    devices: Sequence[str], ops: Sequence[str] | None = None
) -> list[ConventionRow]:
    """Every convention, run on every device.

    >>> row = conventions_table(["cpu"], ["relu"])[0]
    >>> row.says, row.got["cpu"]
    ("relu'(0) is 0", ('[0.0, 0.0, 0.0, 1.0]', True))
    """
    rows = []
    for convention in CONVENTIONS:
        if ops is None or convention.op in ops:
            got = {device: _observed(convention, device) for device in devices}
            rows.append(
                ConventionRow(convention.says, _call(convention), _shown(convention.expected), got)
            )
    return rows


def _observed(convention: Convention, device: str) -> tuple[str, bool]:
    where = get_device(device)
    try:
        text = str(convention.run(where).numpy().tolist())
    except TinyaccelError as error:
        text = type(error).__name__
    return text, convention.verify(where) is None


# For programs


def budget_of(op: Op) -> str:
    """An op's budget in words."""
    units = op.budget.units
    return {
        "exact": "exact",
        "elementwise": f"{units:g} eps (\\|y\\| + sum \\|dy/dx x\\|)",
        "accumulate": f"{units:g} sqrt(k) eps sum \\|terms\\|",
        "steps": "its steps",
    }[op.budget.kind]


def to_markdown(report: Report) -> str:
    """The report's ops as a table, a line each: the worst errors, in budgets, of orders 0, 1, 2."""
    devices = list(dict.fromkeys(r.device for r in report.results))
    head = ["op", "kind", "budget"]
    for device in devices:
        head += [f"kernel on {device}", f"worst on {device}"]
    rows = [head, ["---"] * len(head)]
    for name in dict.fromkeys(r.op for r in report.results if r.kind == "op"):
        row = [f"`{name}`", OPS[name].kind, budget_of(OPS[name])]
        for device in devices:
            own = [r for r in report.results if (r.op, r.device, r.kind) == (name, device, "op")]
            row += [own[0].kernel, _worst_by_order(own)] if own else ["", ""]
        rows.append(row)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def _worst_by_order(results: Sequence[Result]) -> str:
    parts = []
    for order in (0, 1, 2):
        worst = [r.worst for r in results if r.order == order]
        parts.append(f"{max(worst):.2f}" if worst else "-")
    verdict = _verdict(results)
    return " ".join(parts) + {"failed": " **FAILED**", "known": " known", "ok": ""}[verdict]


def to_json(report: Report) -> str:
    """The report's results, one object each; what isn't finite is a string."""

    def plain(value: object) -> object:
        finite = not isinstance(value, float) or math.isfinite(value)
        return value if finite else str(value)

    results = [{k: plain(v) for k, v in asdict(r).items()} for r in report.results]
    return json.dumps({"ok": report.ok, "results": results}, indent=1) + "\n"


def to_junit(report: Report) -> str:
    """The report in JUnit's XML, for continuous integration: a test case for each result."""
    failures = len(report.failures)
    suite = ElementTree.Element(
        "testsuite", name="tinyaccel verify", tests=str(len(report.results)), failures=str(failures)
    )
    for r in report.results:
        how = "jitted" if r.jitted else "eager"
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{r.device}.{r.kind}.{r.op}",
            name=f"{r.dtype} order {r.order} {how}",
        )  # fmt: skip
        if r.failure is not None:
            ElementTree.SubElement(case, "failure", message=r.failure).text = r.failure
        elif r.known:
            ElementTree.SubElement(case, "skipped", message=f"known: {r.known}")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
