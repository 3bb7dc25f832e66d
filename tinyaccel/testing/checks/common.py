"""Check: one thing that a device must do, by name, and how it says that it doesn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tinyaccel.backend import Device
from tinyaccel.errors import CheckError
from tinyaccel.testing.report import Kind

Run: TypeAlias = Callable[[Device], None]


@dataclass(frozen=True)
class Check:
    """One thing that a device must do; `run(device)` raises `CheckError` where it doesn't."""

    name: str
    kind: Kind
    run: Run

    def verify(self, device: Device) -> str | None:
        """None, or how the device deviates, in one line."""
        try:
            self.run(device)
        except CheckError as error:
            return " ".join(str(error).split())
        except Exception as error:  # a backend may fail in any way; say how
            return " ".join(f"raised {type(error).__name__}: {error}".split())
        return None


def collector(kind: Kind) -> tuple[list[Check], Callable[[str], Callable[[Run], Run]]]:
    """A list of checks, and the decorator that adds a function to it under a name."""
    checks: list[Check] = []

    def named(name: str) -> Callable[[Run], Run]:
        def add(run: Run) -> Run:
            checks.append(Check(name, kind, run))
            return run

        return add

    return checks, named


def expect(what: str, got: object, wanted: object) -> None:
    """Raise `CheckError` unless the two are equal."""
    if got != wanted:
        raise CheckError(f"{what}: got {got}, expected {wanted}")
