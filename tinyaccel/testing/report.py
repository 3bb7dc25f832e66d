"""Result and Report: what became of each check, and how a person reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tinyaccel.errors import CheckError

Kind: TypeAlias = Literal["op", "convention", "state", "transfer", "random", "known"]


@dataclass
class Result:
    """What became of one op in one dtype, or of one check by name.

    op        the op, or the check: "jit: keeps three losses"
    dtype     "" for a check that isn't of one dtype
    order     0 for the op itself, 1 for its gradient, 2 for its gradient's gradient
    kernel    what computes it: its own kernel, its body, or an array_api default
    examples  how many cases were run
    worst     the largest error, in units of what is permitted
    failure   None, or one line
    kind      what was checked: an op against its reference; its conventions; state under jit;
              transfer to the device and back; random numbers; a known difference, which must be one
    known     where the backend lists this difference, its reason; failure is None then
    key       and under which key it is listed
    """

    op: str
    device: str
    dtype: str
    jitted: bool
    order: int
    kernel: str
    examples: int = 0
    worst: float = 0.0
    failure: str | None = None
    kind: Kind = "op"
    known: str | None = None
    key: str = ""

    @property
    def ok(self) -> bool:
        return self.failure is None

    def __str__(self) -> str:
        state = "ok" if self.ok else f"FAILED: {self.failure}"
        if self.known is not None:
            state = f"known: {self.known}"
        how = "jitted" if self.jitted else "eager"
        if self.kind not in ("op", "convention"):
            return f"{self.op:64} {self.kind:9} {state}"
        return (
            f"{self.op:22} {self.dtype:9} order {self.order} {how:6} {self.kernel:9} "
            f"{self.examples:4} examples, worst {self.worst:.3f}  {state}"
        )


@dataclass
class Report:
    """The results of many checks. `print(report)` shows a line each."""

    results: list[Result] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        return [r.failure for r in self.results if r.failure is not None]

    @property
    def known(self) -> list[Result]:
        """What deviates, as the backend says that it does."""
        return [r for r in self.results if r.known is not None]

    @property
    def ok(self) -> bool:
        return not self.failures

    @property
    def worst(self) -> float:
        """The largest error of all, in units of what is permitted."""
        return max((r.worst for r in self.results if r.known is None), default=0.0)

    def raise_for_failures(self) -> None:
        """Raise `CheckError` with the first failure, if there is one."""
        if not self.ok:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise CheckError(self.failures[0] + more)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))
