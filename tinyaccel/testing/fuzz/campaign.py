"""fuzz(): random programs on several devices for some minutes, and the report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from tinyaccel.backend import Device, get_device
from tinyaccel.errors import ArgumentError, CheckError
from tinyaccel.op import OPS
from tinyaccel.testing.fuzz.exact import Rejected, examine
from tinyaccel.testing.fuzz.generate import generate
from tinyaccel.testing.fuzz.judge import Deviation, Expected
from tinyaccel.testing.fuzz.program import Program
from tinyaccel.testing.fuzz.shrink import shrink
from tinyaccel.testing.fuzz.source import failure_source
from tinyaccel.testing.lacking import lacking

SHRUNK = 3  # failures of one device and mode that are shrunk; the others are counted
_SECONDS = 20.0  # to shrink one
_FORGET = 32  # programs after which compiled code may go: JAX keeps some 30 MB for each of them


@dataclass(frozen=True)
class Failure:
    """A program that fails on a device.

    number  of the program: `generate(seed, number)` makes it again
    text    one line: what was got, expected and permitted, before it was shrunk
    program  the shrunk program
    source  it as Python that runs as it stands and fails; empty where it wasn't shrunk
    """

    seed: int
    number: int
    device: str
    jitted: bool
    steps: int
    text: str
    program: Program | None = None
    source: str = ""

    def __str__(self) -> str:
        head = (
            f"program {self.number} of seed {self.seed}, {self.steps} steps, on {self.device} "
            f"({_mode(self.jitted)}): {self.text}"
        )
        if self.program is None:
            return head
        count = len(self.program.steps)
        lines = "".join(f"    {line}\n" if line else "\n" for line in self.source.splitlines())
        return f"{head}\nshrunk to {count} step{'s' * (count != 1)}:\n\n{lines}"


@dataclass
class FuzzReport:
    """What a fuzzing came to. `print(report)` shows it, with the shrunk programs that fail.

    programs  how many were run
    rejected  how many more were drawn and not run: results that aren't finite
    runs      by device and whether jitted, how many
    worst     by device and whether jitted, the largest error in units of what is permitted
    failing   by device and whether jitted, how many programs failed
    ops       how often each op was used
    judged    elements of results, losses and gradients that were held to a budget
    unjudged  those of which nothing could be said: behind a comparison that is open, for instance
    """

    seed: int
    devices: tuple[str, ...]
    programs: int = 0
    rejected: int = 0
    runs: Counter[tuple[str, bool]] = field(default_factory=Counter)
    worst: dict[tuple[str, bool], float] = field(default_factory=dict)
    failing: Counter[tuple[str, bool]] = field(default_factory=Counter)
    ops: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    unjudged: int = 0
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether something was judged, and nothing failed."""
        return not self.failures and self.judged > 0

    def raise_for_failures(self) -> None:
        """Raise `CheckError` with the first failure, or if nothing was judged."""
        if self.failures:
            raise CheckError(str(self.failures[0]))
        if not self.judged:
            raise CheckError("fuzz: nothing was judged; run more programs")

    def __str__(self) -> str:
        total = self.judged + self.unjudged
        share = self.judged / total if total else 0.0
        lines = [
            f"{self.programs} programs of seed {self.seed} in {self.seconds:.0f} s"
            + (", interrupted" if self.interrupted else ""),
            f"{sum(self.ops.values())} steps of {len(self.ops)} ops; {total} numbers, "
            f"{share:.1%} of them judged",
        ]
        for where in self.runs:
            failed = self.failing[where]
            state = f"{failed} FAILED" if failed else "ok"
            lines.append(
                f"{where[0]:12} {_mode(where[1]):6} {self.runs[where]:6} programs, worst error "
                f"{self.worst.get(where, 0.0):.2f} of the permitted  {state}"
            )
        shown = [f for f in self.failures if f.source] or self.failures[:1]
        return "\n".join([*lines, *(f"\n{failure}" for failure in shown)])


def _mode(jitted: bool) -> str:
    return "jitted" if jitted else "eager"


def fuzz(
    devices: Sequence[str | Device] = ("cpu", "xla:cpu"),
    *,
    minutes: float | None = None,
    programs: int | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    jitted: Sequence[bool] = (False, True),
    ops: Collection[str] | None = None,
) -> FuzzReport:
    """Hold devices to their budgets in random programs: chains and DAGs of 2 to 40 ops.

    Each program is run forward and backward on every device, eagerly and jitted, and what is left
    over, the loss and the gradients by all float inputs are held against the exact values. What is
    permitted follows from what each step is permitted (see `tinyaccel.budgets`). A failure is
    shrunk to the shortest program that fails in the same way, and printed as Python.

    minutes   when to stop; a program that has begun, or its shrinking, takes some seconds more
    programs  how many to run at most. Without either: 1 minute
    seed      the same seed draws the same programs, in the same order
    progress  called after each program with a line that says how far it is
    jitted    which ways to run them
    ops       the ops to choose from, by name; all by default

    Ctrl-C stops it, and the report is of what was done. Raises `ArgumentError` for an op that
    doesn't exist or numbers that make no sense, `DeviceError` or `BackendError` for a device that
    isn't here.

    >>> fuzz(["cpu"], programs=5).ok
    True
    """
    if programs is None and minutes is None:
        minutes = 1.0
    if (programs is not None and programs < 1) or (minutes is not None and minutes <= 0):
        raise ArgumentError(f"fuzz: programs={programs}, minutes={minutes}; expected more than 0")
    for name in ops or ():
        if name not in OPS:
            raise ArgumentError(f"fuzz: op {name!r} is unknown; tinyaccel.op.OPS lists them")
    where = [get_device(d) for d in devices]
    report = FuzzReport(seed, tuple(d.name for d in where))
    start = time.monotonic()
    end = start + (float("inf") if minutes is None else 60 * minutes)
    number = 0
    try:
        while time.monotonic() < end and (programs is None or report.programs < programs):
            program = generate(seed, number, ops=ops)
            _run_program(program, number, where, jitted, end, report)
            number += 1
            report.seconds = time.monotonic() - start
            if number % _FORGET == 0:
                for device in where:
                    device.backend.forget()
            if progress is not None:
                failed = sum(report.failing.values())
                progress(f"{report.programs} programs, {failed} failures")
    except KeyboardInterrupt:
        report.interrupted = True
    report.seconds = time.monotonic() - start
    return report


def _run_program(
    program: Program, number: int, devices: Sequence[Device], jitted: Sequence[bool], end: float,
    report: FuzzReport,
) -> None:  # fmt: skip
    """One program everywhere; the report is told only of what was finished."""
    try:
        expected = Expected.of(program)
    except Rejected:
        report.rejected += 1
        return
    used = {spec.dtype for spec in expected.traced.graph.specs}
    for device in devices:
        if used.intersection(lacking(device)):
            continue
        known: list[Deviation] = []
        for mode in jitted:
            units, found = expected.judge(device, jitted=mode)
            where = device.name, mode
            report.runs[where] += 1
            report.worst[where] = max(report.worst.get(where, 0.0), units)
            if found is None:
                continue
            report.failing[where] += 1
            # What fails eagerly fails jitted too, and is the same bug.
            again = known or sum(
                f.source != "" for f in report.failures if (f.device, f.jitted) == where
            ) >= SHRUNK  # fmt: skip
            known.append(found)
            seconds = 0.0 if again else min(_SECONDS, max(2.0, end - time.monotonic()))
            report.failures.append(
                _failure(program, number, report.seed, device, mode, found, seconds)
            )
    report.programs += 1
    report.ops.update(step.op for step in program.steps)
    judged, unjudged = expected.counted()
    report.judged += judged
    report.unjudged += unjudged


def _failure(
    program: Program, number: int, seed: int, device: Device, jitted: bool, found: Deviation,
    seconds: float,
) -> Failure:  # fmt: skip
    failure = Failure(seed, number, device.name, jitted, len(program.steps), found.text)
    if not seconds:
        return failure

    def judged(candidate: Program) -> tuple[Expected, Deviation | None]:
        expected = Expected.of(candidate)
        return expected, expected.judge(device, jitted=jitted)[1]

    def fails(candidate: Program) -> bool:
        examine(candidate)
        deviation = judged(candidate)[1]
        return deviation is not None and deviation.what == found.what

    short = shrink(program, fails, seconds=seconds)
    expected, last = judged(short)
    specs = {value: known.spec for value, known in examine(short).items()}
    source = failure_source(expected, specs, device.name, jitted, last or found)
    return Failure(seed, number, device.name, jitted, len(program.steps), found.text, short, source)
