"""Tests of the house itself: what may import what, what loads when, what is public, how long."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import types
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import tinyaccel as ta

ROOT = Path(ta.__file__).parent
BACKENDS = Path(find_spec("tinyaccel_numpy").origin or "").parent.parent  # type: ignore[union-attr]

# The layers: each room may use those before it; rooms on one line don't use each other.
ORDER = [
    ["errors"],
    ["extras"],
    ["dtypes"],
    ["shapes"],
    ["indices"],
    ["op"],
    ["graph"],
    ["array_api", "contexts"],
    ["backend"],
    ["tape"],
    ["trace"],
    ["operators"],
    ["host"],
    ["getitem"],
    ["tensor"],
    ["ops"],
    ["autograd"],
    ["passes"],
    ["budgets"],
    ["trees"],
    ["compiled"],
    ["jit"],
    ["nn", "optim", "data"],
    ["storage"],
    ["convert"],
    ["train"],
    ["testing", "explain"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
FOR_BACKENDS = {"op", "graph", "dtypes", "shapes", "errors", "backend", "array_api"}

# What a student reads in an afternoon.
CORE = ["op", "graph", "backend", "array_api", "tape", "trace", "operators", "host", "tensor",
        "autograd", "passes", "trees", "compiled", "jit"]  # fmt: skip


def sources(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def imports(path: Path) -> Iterator[tuple[int, str, str | None]]:
    """(line, module, name or None) of each import in a file, except those for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            typing_only.update(inner for statement in node.body for inner in ast.walk(statement))
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                yield node.lineno, node.module or "", alias.name


def rooms_used(path: Path) -> Iterator[tuple[int, str]]:
    """(line, room of tinyaccel) for each import; "" is the package itself, with all its rooms."""
    for line, module, name in imports(path):
        first, *rest = module.split(".")
        if first != "tinyaccel":
            continue
        if rest:
            yield line, rest[0]
        else:
            yield line, name if name in LEVEL else ""


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def wrong_imports(path: Path, room: str) -> list[str]:
    """What a file of `room` imports but may not."""
    return [
        f"{path.name}:{line} ({room}) imports {used or 'tinyaccel'}"
        for line, used in rooms_used(path)
        if used != room and (used == "" or LEVEL[used] >= LEVEL[room])
    ]


# Imports


def test_every_room_has_its_place() -> None:
    """A new file or folder must be given its place in the order."""
    rooms = {room_of(p) for p in sources(ROOT)} - {"__init__"}
    assert rooms <= LEVEL.keys(), f"not in ORDER: {sorted(rooms - LEVEL.keys())}"


def test_imports_point_one_way() -> None:
    """No file of tinyaccel imports from its own line or a later one, not even inside a function."""
    wrong = [
        problem
        for path in sources(ROOT)
        if room_of(path) != "__init__"
        for problem in wrong_imports(path, room_of(path))
    ]
    assert wrong == []


def test_backends_have_no_privilege() -> None:
    """A backend imports only what any stranger's would: the contract, and plain data."""
    wrong = []
    for path in sources(BACKENDS):
        own = path.relative_to(BACKENDS).parts[0]
        for line, module, name in imports(path):
            room = module.split(".")[1] if module.startswith("tinyaccel.") else name
            first = module.split(".")[0]
            ours = first == "tinyaccel" and room in FOR_BACKENDS
            if first.startswith("tinyaccel") and not ours and first != own:
                wrong.append(f"{path.relative_to(BACKENDS)}:{line} imports {module} {name or ''}")
    assert wrong == []


def test_engine_knows_no_backend() -> None:
    """No file of the engine imports a backend's package: entry points find them."""
    found = [(path.name, m) for path in sources(ROOT) for _, m, _ in imports(path)]
    assert [(p, m) for p, m in found if m.startswith("tinyaccel_")] == []


PLANTED = [
    ("from tinyaccel.tensor import Tensor", "tape"),
    ("import tinyaccel.jit", "tensor"),
    ("from tinyaccel import passes", "autograd"),
    ("from tinyaccel.optim import SGD", "nn"),
    ("import tinyaccel as ta", "train"),
    ("from tinyaccel import Tensor", "cli"),
    ("def f():\n    from tinyaccel.ops import reduce", "tensor"),
    ("if TYPE_CHECKING:\n    import os\nelse:\n    import tinyaccel.cli", "nn"),
]
PERMITTED = [
    ("from tinyaccel.ops.define import unary", "ops"),
    ("from tinyaccel import dtypes, shapes", "op"),
    ("import numpy as np", "errors"),
    ("if TYPE_CHECKING:\n    import tinyaccel.tensor", "tape"),
]


@pytest.mark.parametrize(("code", "room"), PLANTED)
def test_wrong_imports_are_seen(code: str, room: str, tmp_path: Path) -> None:
    """The walk over the imports can fail: each planted one is found."""
    path = tmp_path / "planted.py"
    path.write_text(code)
    assert len(wrong_imports(path, room)) == 1


@pytest.mark.parametrize(("code", "room"), PERMITTED)
def test_right_imports_are_let_be(code: str, room: str, tmp_path: Path) -> None:
    """And what is permitted isn't found."""
    path = tmp_path / "planted.py"
    path.write_text(code)
    assert wrong_imports(path, room) == []


# Loading

HEAVY = ["jax", "cupy", "numba", "matplotlib", "rich", "typer", "sklearn", "scipy", "safetensors",
         "greenlet", "tensorboardX", "tinyaccel_jax", "tinyaccel_cuda"]  # fmt: skip


def loaded(code: str) -> set[str]:
    """The top-level modules that are loaded after a piece of code has run in a new process."""
    program = f"{code}\nimport sys\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(out.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    """`import tinyaccel`, asking which backends exist, and working on the CPU load no extras."""
    before = loaded("import numpy, ml_dtypes")
    code = (
        "import tinyaccel as ta; ta.backend_names(); x = ta.tensor([1.0], requires_grad=True);"
        "ta.jit(lambda: (x * x).sum())().backward(); ta.nn.Linear(2, 2)"
    )
    assert sorted((loaded(code) - before) & set(HEAVY)) == []


def test_heavy_modules_can_be_seen() -> None:
    """That subprocess would show them."""
    assert "json" in loaded("import json")


# Public names


def test_public_names() -> None:
    """__all__ is sorted (capitals first), complete, and has no modules left over by accident."""
    names = ta.__all__
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda n: (n != n.upper(), not n[0].isupper(), _natural(n)))
    wanted_modules = {
        "convert", "errors", "nn", "optim", "random", "data", "train", "testing", "explain",
    }  # fmt: skip
    for name in names:
        value = getattr(ta, name)
        assert not isinstance(value, types.ModuleType) or name in wanted_modules, name
    public = {n for n, v in vars(ta).items() if not n.startswith("_") and not _is_module(v)}
    assert public - set(names) == set()


def _is_module(value: object) -> bool:
    return isinstance(value, types.ModuleType)


def _natural(name: str) -> list[object]:
    """int8 before int32, and log2 before log10, as a person would sort."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def functions() -> list[tuple[str, object]]:
    found = {n: getattr(ta, n) for n in ta.__all__}
    found |= {f"nn.{n}": getattr(ta.nn, n) for n in getattr(ta.nn, "__all__", [])}
    found |= {f"optim.{n}": getattr(ta.optim, n) for n in getattr(ta.optim, "__all__", [])}
    return [(n, v) for n, v in found.items() if inspect.isroutine(v) or inspect.isclass(v)]


@pytest.mark.parametrize(
    ("name", "value"), functions(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_public_docstrings(name: str, value: object) -> None:
    """Every public function and class says in a sentence what it is."""
    doc = inspect.getdoc(value) or ""
    assert doc.strip(), f"{name} has no docstring"


EXAMPLES = [
    "Generator", "arange", "argsort", "conv2d", "custom_op", "grad", "hvp", "jacobian", "jit",
    "jvp", "nonzero", "one_hot", "searchsorted", "sort", "sum", "take", "tensor", "topk",
    "value_and_grad", "vjp",
]  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    """The functions that need showing have an example in their docstring, which runs."""
    import doctest

    value = getattr(ta, name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    space = {**vars(sys.modules[value.__module__]), name: value}
    (test,) = doctest.DocTestFinder(recurse=False).find(value, name, globs=space)
    assert test.examples, f"{name} has no example"
    assert runner.run(test).failed == 0


# Length


def count(path: Path, *, blank: bool = True) -> int:
    """Lines, docstrings and comments included."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return len([line for line in lines if blank or line.strip()])


def test_core_is_short() -> None:
    """The core stays a book of one afternoon; `pytest -s` prints how long it is."""
    lines = {room: count(ROOT / f"{room}.py") for room in CORE}
    written = sum(count(ROOT / f"{room}.py", blank=False) for room in CORE)
    listed = ", ".join(f"{room} {n}" for room, n in lines.items())
    print(f"\ncore: {sum(lines.values())} lines, {written} of them not blank; {listed}")
    print(f"ops: {sum(map(count, sources(ROOT / 'ops')))} lines")
    assert written <= 2_700, listed


def test_files_are_short() -> None:
    """A file of more than 400 lines is worth a word, one of more than 500 is two rooms."""
    long = {str(p.relative_to(p.parents[1])): count(p) for p in sources(ROOT) + sources(BACKENDS)}
    over = {name: n for name, n in sorted(long.items()) if n > 400}
    if over:
        print("\nover 400 lines:", ", ".join(f"{name} {n}" for name, n in over.items()))
    assert {name: n for name, n in over.items() if n > 500} == {}


def test_first_lines() -> None:
    """The first line of each file says what belongs there."""
    for path in sources(ROOT) + sources(BACKENDS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert doc, f"{path} has no docstring"
        assert len(doc.splitlines()[0]) <= 100
