"""The pytest plug-in's options: `pytest --pyargs tinyaccel.testing --backend NAME`.

A package of its own, because pytest imports it in every run in an environment that has tinyaccel,
also in those of other projects: it loads neither tinyaccel nor NumPy. The tests themselves stand
in `tinyaccel/testing/test_backend.py`.
"""

from __future__ import annotations

import pytest


def names(text: str) -> list[str]:
    """The parts of "cpu,xla:cpu"; an option that is given again adds to them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which backend is tested, and how thoroughly."""
    group = parser.getgroup("tinyaccel", "conformance of a tinyaccel backend")
    group.addoption(
        "--backend", action="extend", type=names, default=[], metavar="NAME",
        help="device to test, as in tinyaccel.get_device: cpu, xla:cpu, mine; several separated "
        "by commas, or the option given again",
    )  # fmt: skip
    group.addoption(
        "--backend-ops", action="extend", type=names, default=[], metavar="OP",
        help="test these ops only, and nothing else; several separated by commas",
    )  # fmt: skip
    group.addoption(
        "--backend-examples", type=int, default=5, metavar="N",
        help="hypothesis examples for each op, dtype, order and mode (default: 5)",
    )  # fmt: skip
    group.addoption(
        "--backend-seed", type=int, default=0, metavar="SEED", help="seed of the examples"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is tested, where something is."""
    chosen: list[str] = config.getoption("--backend")
    if not chosen:
        return None
    examples, seed = config.getoption("--backend-examples"), config.getoption("--backend-seed")
    return f"tinyaccel backends: {', '.join(chosen)}; {examples} examples each, seed {seed}"
