"""A report for programs and as a page: what they say is what was found."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tinyaccel import testing
from tinyaccel.testing import Report, Result
from tinyaccel.testing.conventions import CONVENTIONS
from tinyaccel.testing.mutants import MUTANTS
from tinyaccel.testing.page import page
from tinyaccel.testing.summary import cells, conventions_table, to_json, to_junit, to_markdown


def _result(op: str, worst: float = 0.5, failure: str | None = None, **more: object) -> Result:
    given: dict[str, object] = {
        "device": "cpu", "dtype": "float32", "jitted": False, "order": 0, "kernel": "own",
        "examples": 3, "worst": worst, "failure": failure,
    }  # fmt: skip
    return Result(op, **{**given, **more})  # type: ignore[arg-type]  # by name


REPORT = Report(
    [
        _result("exp"),
        _result("exp", 0.75, order=1, jitted=True),
        _result("exp", 0.25, dtype="float64"),
        _result("log", math.inf, 'log: got "<nan>" & more'),
        _result("sin", 2.0, known="the library's own", key="sin"),
        _result("jit: keeps three losses", 0.0, dtype="", kind="state", jitted=True),
    ]
)


def test_cells() -> None:
    """Results of one op, device and dtype come together: the sum of examples, the worst error."""
    found = {(c.op, c.dtype): c for c in cells(REPORT)}
    assert list(found) == [("exp", "float32"), ("exp", "float64"), ("log", "float32"),
                           ("sin", "float32")]  # fmt: skip
    exp = found["exp", "float32"]
    assert (exp.examples, exp.worst, exp.verdict) == (6, 0.75, "ok")
    assert "order 1 jitted: 3 examples, worst 0.750, ok" in exp.text
    assert found["log", "float32"].verdict == "failed"
    assert found["sin", "float32"].verdict == "known"


def test_json() -> None:
    """Every result is there, and a number that JSON doesn't have is a string."""
    found = json.loads(to_json(REPORT))
    assert found["ok"] is False
    assert [r["op"] for r in found["results"]] == [r.op for r in REPORT.results]
    assert found["results"][3]["worst"] == "inf"
    assert found["results"][4]["known"] == "the library's own"


def test_junit() -> None:
    """A test case for each result; failures with their text, known differences as skipped."""
    suite = ElementTree.fromstring(to_junit(REPORT).split("\n", 1)[1])  # noqa: S314  # our own
    assert (suite.get("tests"), suite.get("failures")) == ("6", "1")
    (failure,) = suite.findall("testcase/failure")
    assert failure.text == 'log: got "<nan>" & more'
    (known,) = suite.findall("testcase/skipped")
    assert known.get("message") == "known: the library's own"
    assert suite[-1].get("classname") == "cpu.state.jit: keeps three losses"


def test_markdown() -> None:
    """A line for each op: its budget, and on each device its kernel and the worst by order."""
    lines = to_markdown(REPORT).splitlines()
    assert lines[0] == "| op | kind | budget | kernel on cpu | worst on cpu |"
    assert lines[2] == (
        "| `exp` | unary | 4 eps (\\|y\\| + sum \\|dy/dx x\\|) | own | 0.50 0.75 - |"
    )
    assert lines[3].endswith("| own | inf - - **FAILED** |")
    assert lines[4].endswith("| own | 2.00 - - known |")
    assert len(lines) == 5


class _Cells(HTMLParser):
    """The texts of all cells, by their class; and whether all that was opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[tuple[str, str]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td":
            self.cells.append((dict(attrs).get("class") or "", ""))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "code") and self.cells:
            kind, text = self.cells[-1]
            self.cells[-1] = kind, text + data


def test_page() -> None:
    """The page has the heat map, the conventions and the failures, and is whole."""
    text = page(REPORT, conventions_table(["cpu"], ["relu"]), title="a & b")
    parser = _Cells()
    parser.feed(text)
    assert parser.open == []
    found = parser.cells
    assert ("n", "0.75") in found and ("n", "0.25") in found
    assert ("n bad", "failed") in found and ("n known", "known") in found
    assert ("none", "") in found  # log has no float64
    assert ("", "relu'(0) is 0") in found
    assert "<h1>a &amp; b</h1>" in text and "failures: 1" in text
    assert "<pre>log: got &quot;&lt;nan&gt;&quot; &amp; more</pre>" in text
    assert "<script" not in text and "http" not in text.replace("xmlns", "")


def test_page_of_a_whole_report() -> None:
    """Devices and dtypes stand in the columns in their order, each with its results below."""
    report = testing.check_backend("cpu", ["exp", "add"], examples=1)
    text = page(report)
    heads = [part.split("<")[0] for part in text.split("<th>")[1:]]
    assert heads == ["op", *(f"cpu {d}" for d in (
        "int8", "uint8", "int32", "uint32", "int64", "float16", "bfloat16", "float32", "float64"
    ))]  # fmt: skip
    assert "all within budget" in text


def test_conventions_are_observed() -> None:
    """The table of conventions comes from running the device, wrong answers included."""
    rows = conventions_table(["cpu"])
    assert len(rows) == len(CONVENTIONS)
    assert all(ok for row in rows for _, ok in row.got.values())
    empty = next(row for row in rows if row.says == "an empty max raises")
    assert empty.got["cpu"] == ("ShapeError", True)
    with MUTANTS["relu passes its gradient at 0"].planted():
        row = conventions_table(["cpu"], ["relu"])[0]
    assert row.got["cpu"] == ("[0.0, 1.0, 1.0, 1.0]", False)
    text = page(Report(), [row])
    assert '<td class="bad">[0.0, 1.0, 1.0, 1.0]</td>' in text


@pytest.mark.parametrize("number", [-1.0, 0.0, 0.5, 1.0, 3.0])
def test_shades(number: float) -> None:
    """Every error has a colour, also one that a known difference has taken beyond 1."""
    assert "hsl(" in page(Report([_result("exp", number)]))
