"""`tinyaccel verify`: the table, the files, the exit status, and what it says of wrong input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyaccel.backend import register_backend
from tinyaccel.cli import main
from tinyaccel.testing.mutants import MUTANTS, Planted

for package in ("typer", "rich"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")


@pytest.fixture
def wrong() -> Iterator[str]:
    """A device whose maximum swallows NaN."""
    register_backend("mutant", lambda: Planted(MUTANTS["NaN swallowed by maximum"]))
    yield "mutant"
    from tinyaccel import backend

    backend._registered.pop("mutant")
    backend._backends.pop("mutant", None)
    backend._devices.pop("mutant", None)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each op with its worst error in each dtype, and a line that sums it up."""
    assert main(["verify", "--backends", "cpu", "--ops", "where,exp", "--examples", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["op", "kernel", "examples", "b", "i8", "u8", "i32", "u32", "i64", "f16",
                        "bf16", "f32", "f64", "verdict"]  # fmt: skip
    assert lines[1][:2] == ["where", "default"] and lines[1][3:] == ["0"] * 10 + ["ok"]
    assert lines[2][:2] == ["exp", "default"] and lines[2][-1] == "ok" and len(lines[2]) == 8
    assert all(0 <= float(number) <= 1 for number in lines[2][3:7])
    assert lines[-2][:2] == ["cpu:", lines[-2][1]] and "all within budget" in " ".join(lines[-2])


def test_a_wrong_backend_fails(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 1; the op is marked, and the counterexample printed."""
    assert main(["verify", "--backends", f"cpu,{wrong}", "--ops", "maximum"]) == 1
    out = capsys.readouterr().out
    assert "convention      2 checks  ok" in out
    assert "convention      2 checks  2 FAILED" in out
    assert "all within budget" in out and re.search(r"\d FAILED in \d+ s", out)
    assert "FAILED maximum on mutant (eager): maximum propagates NaN: got [1.0, nan]" in out


def test_files(tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page, JSON and JUnit's XML are written, of a failure too."""
    page, data, xml = (tmp_path / name for name in ("page.html", "all.json", "junit.xml"))
    status = main(["verify", "--backends", wrong, "--ops", "maximum", "--examples", "1",
                   "--html", str(page), "--json", str(data), "--junit", str(xml)])  # fmt: skip
    assert status == 1
    assert "maximum propagates NaN" in page.read_text(encoding="utf-8")
    found = json.loads(data.read_text(encoding="utf-8"))
    assert found["ok"] is False and found["results"][0]["device"] == "mutant"
    assert "<failure" in xml.read_text(encoding="utf-8")


def test_fuzz(capsys: pytest.CaptureFixture[str]) -> None:
    """Random programs run for the time that is given, from the seed that is given."""
    status = main(["verify", "--fuzz", "--backends", "cpu", "--minutes", "0.05", "--seed", "3"])
    assert status == 0
    out = capsys.readouterr().out
    assert "seed 3" in out and "cpu" in out


def test_fuzz_finds_a_bug(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong backend is found by random programs too, with the exit status 1 and its source."""
    register_backend(wrong, lambda: Planted(MUTANTS["compiled products of fewer bits"]))
    status = main(["verify", "--fuzz", "--backends", wrong, "--minutes", "0.05", "--seed", "0"])
    assert status == 1
    assert "import tinyaccel as ta" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--ops", "expp"], "verify: no op is called 'expp'; tinyaccel.OPS lists them"),
        (["--backends", "cpu,nowhere"], "device: 'nowhere' is unknown; expected one of "),
        (["--examples", "0"], "Invalid value for '--examples'"),
    ],
)
def test_wrong_input(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, and the exit status 2."""
    assert main(["verify", *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.count("\n") == 1


def test_files_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that isn't there is found before the checks run, not after."""
    missing = tmp_path / "nowhere" / "page.html"
    assert main(["verify", "--backends", "cpu", "--ops", "exp", "--html", str(missing)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("tinyaccel: verify: ") and "nowhere" in err


def test_without_the_test_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing is named, with the extra that brings it."""
    monkeypatch.setitem(sys.modules, "mpmath", None)
    assert main(["verify", "--backends", "cpu", "--ops", "exp"]) == 2
    assert "pip install 'tinyaccel[test]'" in capsys.readouterr().err
