"""The pages in docs/, executed as they are printed: programs, what they print, and commands."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^# ([\w.-]+\.\w+)\n")

# A command on a page, and what is added to it here, so that it is done in seconds.
COMMANDS = {
    "pip install .": "--quiet --disable-pip-version-check --no-deps --no-build-isolation "
    "--no-index --target site",
    "tinyaccel devices": "",
    "tinyaccel verify --backends mine --html mine.html": "--ops relu,softmax --examples 1",
    "pytest --pyargs tinyaccel.testing --backend mine": "-q -p no:cacheprovider "
    "--backend-ops relu,softmax --backend-examples 1",
    "tinyaccel verify --backends cpu,mine --fuzz --minutes 5": "--minutes 0.03",
}
PROGRAMS = {"pip": ["-m", "pip"], "tinyaccel": ["-m", "tinyaccel.cli"], "pytest": ["-m", "pytest"]}


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and the file that its first line names, if any."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        found = NAMED.match(self.text)
        return found[1] if found else None


def blocks(text: str) -> list[Block]:
    return [Block(*found.groups()) for found in BLOCK.finditer(text)]


def python(folder: Path, *arguments: str) -> str:
    """What Python prints in that folder, where it sees what was installed there."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(folder / "site"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_programs(text: str, folder: Path) -> list[str]:
    """Run a page's Python in `folder`, hold it to the text that follows; what it printed."""
    found = blocks(text)
    printed: list[str] = []
    for block, after in zip(found, [*found[1:], Block("", "")], strict=True):
        if block.language == "toml" and block.file:
            (folder / block.file).write_text(block.text)
        if block.language != "python":
            continue
        name = block.file or "program.py"
        (folder / name).write_text(block.text)
        printed.append(python(folder, "-W", "error", name))
        if after.language == "text":
            same = doctest.OutputChecker().check_output(after.text, printed[-1], doctest.ELLIPSIS)
            assert same, f"{name} prints\n{printed[-1]}\nthe page says\n{after.text}"
    return printed


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "write-a-backend.md").read_text(encoding="utf-8")


def test_every_page_is_run() -> None:
    """A new page needs a test here; this one knows those that have one."""
    assert [p.name for p in sorted(DOCS.glob("*.md"))] == ["train.md", "write-a-backend.md"]


def test_backend_of_the_page(page: str, tmp_path: Path) -> None:
    """Its programs run and print what is printed; the backend to copy has a report that is ok."""
    pytest.importorskip("scipy", reason="the page's erf")
    report = run_programs(page, tmp_path)[0].splitlines()[1:]
    assert len(report) > 30
    assert [line for line in report if not line.endswith("ok")] == []


def test_backend_is_short(page: str) -> None:
    """What is to be copied has about 60 lines."""
    (program,) = [b.text for b in blocks(page) if b.file == "my_backend.py"]
    assert len(program.splitlines()) <= 65


def test_commands_of_the_page(page: str, tmp_path: Path) -> None:
    """The backend is installed as a package, found, verified, tested and fuzzed by the commands."""
    for package in ("pip", "hatchling", "scipy", "rich", "typer"):
        pytest.importorskip(package, reason="the page's commands")
    for block in blocks(page):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    commands = [c for b in blocks(page) if b.language == "sh" for c in b.text.splitlines()]
    assert commands == list(COMMANDS)
    said: dict[str, str] = {}
    for command in commands:
        program, *given = shlex.split(command)
        more = shlex.split(COMMANDS[command])
        said[command] = python(tmp_path, *PROGRAMS[program], *given, *more)
    assert re.search(r"^mine +yes +mine *$", said["tinyaccel devices"], re.MULTILINE)
    assert "mine" in (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert "all within budget" in said["tinyaccel verify --backends mine --html mine.html"]
    assert " passed" in said["pytest --pyargs tinyaccel.testing --backend mine"]


def test_what_a_page_says_is_held(tmp_path: Path) -> None:
    """Another output than the printed one, and a program that fails, are found."""
    right = "```python\nprint(1.25)\n```\n\n```text\n1...\n```\n"
    assert run_programs(right, tmp_path) == ["1.25\n"]
    with pytest.raises(AssertionError, match="the page says"):
        run_programs(right.replace("1...", "2..."), tmp_path)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_programs("```python\n1 / 0\n```\n", tmp_path)


def test_names_on_the_page_exist(page: str) -> None:
    """Methods and fields in its table are those of `Backend`; the keys are real ones."""
    from tinyaccel import Backend
    from tinyaccel.testing import CHECKS, CONVENTIONS

    table = page.split("## What each part must guarantee")[1]
    names = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
    assert len(names) > 8
    for name in names:
        assert hasattr(Backend, name) or name in Backend.__annotations__, name
    keys = re.findall(r'^\| `"([^"]+)"`', page, re.MULTILINE)
    assert len(keys) == 5
    assert keys[3] in [c.says for c in CONVENTIONS]
    assert keys[4] in [c.name for c in CHECKS]


def test_readme_counts() -> None:
    """The numbers of ops and of planted bugs that the README names are those that there are."""
    from tinyaccel.op import OPS
    from tinyaccel.testing.mutants import MUTANTS

    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    ops = [op for op in OPS.values() if op.kind != "custom"]
    assert f"each of the {len(ops)} ops" in readme
    assert f"{len(MUTANTS)} planted bugs" in readme
    changes = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    primitives = sum(op.is_primitive for op in ops)
    assert f"{len(ops)} ops, {primitives} of them primitives" in changes
