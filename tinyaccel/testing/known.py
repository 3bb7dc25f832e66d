"""Known differences: where a backend says of itself that it deviates, and why.

`Backend.known_differences` maps a key to a reason. A key is an op ("pow"), an op in one dtype
("pow:float16"), a dtype that the backend lacks ("float16"), what a convention says ("maximum
propagates NaN"), or the name of a check ("jit: keeps three losses"). Each must be there in at
least one of the checks that it covers, or it is a failure that says: remove it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tinyaccel.backend import Device
from tinyaccel.testing.checks import CHECKS
from tinyaccel.testing.conventions import CONVENTIONS
from tinyaccel.testing.lacking import lacking
from tinyaccel.testing.report import Report, Result


def excused(result: Result, device: Device, convention: str = "") -> None:
    """Turn a failure that the backend lists into a known difference."""
    known = device.backend.known_differences
    for key in (convention, f"{result.op}:{result.dtype}", result.op):
        if result.failure is not None and key in known:
            result.failure, result.known, result.key = None, known[key], key


def no_longer(report: Report, device: Device) -> list[Result]:
    """A failure for each listed difference that was looked for in `report` and isn't there."""
    found = {r.key for r in report.results} | {d.name for d in lacking(device)}  # checked apart
    return [
        remove_it(key, device)
        for key in device.backend.known_differences
        if key not in found and covered(key, report.results)
    ]


def remove_it(key: str, device: Device) -> Result:
    """The failure of a listed difference that isn't there any more."""
    reason = device.backend.known_differences[key]
    text = f"{key} on {device.name}: no longer differs ({reason}); remove it from known_differences"
    return Result(key, device.name, "", False, 0, "", failure=text, kind="known")


def op_of(key: str) -> str | None:
    """The op whose checks a key is about; None for a check by name."""
    if any(check.name == key for check in CHECKS):
        return None
    return next((c.op for c in CONVENTIONS if c.says == key), key.partition(":")[0])


def covered(key: str, results: Iterable[Result]) -> bool:
    """Whether one of the results is of what a key is about."""
    about = key if op_of(key) is None else op_of(key)
    return any(r.op == about for r in results)
