"""Mutant: a backend with one bug planted in it, and its device while it is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Array, Backend, Device, Executable, load_backend
from tinyaccel.graph import Graph
from tinyaccel.op import OPS, Kernel, Op
from tinyaccel.tensor import apply, tensor

HostArray: TypeAlias = npt.NDArray[Any]
Spoil: TypeAlias = Callable[[Kernel], Kernel]  # from the right kernel to a wrong one
Compile: TypeAlias = Callable[[Executable, Graph], Executable]


@dataclass(frozen=True)
class Mutant:
    """One bug. Exactly one of the ways to plant it is given.

    name      what is wrong, in a few words
    op        the op that it is in: what the kit and `compare` are to name
    found_by  the kind of check that is to find it (see `tinyaccel.testing.check.Result`)
    because   how such a bug comes about
    kernels   by op: from the right kernel to a wrong one; it gets and returns NumPy arrays
    raw       whether the kernel stands as it is: float16 reaches it as float16, and what it
              returns isn't made an array
    rule      fields of the op that are wrong: a gradient, a body
    upload    a wrong upload; `download`, `compile`: likewise
    diverges  whether a single result is wrong, which `compare` can see
    """

    name: str
    op: str
    found_by: str
    because: str
    kernels: Mapping[str, Spoil] = field(default_factory=dict)
    raw: bool = False
    rule: Callable[[Op], dict[str, Any]] | None = None
    upload: Callable[[HostArray], HostArray] | None = None
    download: Callable[[HostArray], HostArray] | None = None
    compile: Compile | None = None
    diverges: bool = True

    @property
    def can_diverge(self) -> bool:
        """Whether `compare`, which runs one op at a time on fresh inputs, can see it at all.

        A wrong rule is wrong on all backends alike; what becomes of a buffer later, or what a
        device does where the CPU raises, shows in no single result.
        """
        return self.diverges and bool(self.kernels or self.compile)

    @contextmanager
    def planted(self) -> Iterator[Device]:
        """The device that has the bug, within the block.

        >>> from tinyaccel.testing.mutants import MUTANTS
        >>> import tinyaccel as ta
        >>> with MUTANTS["the sign of zero is lost"].planted() as device:
        ...     -ta.tensor([0.0], device=device)
        tensor([0.], device='mutant')
        """
        op = OPS[self.op]
        device = Device(Planted.name, Planted(self))
        if self.rule is not None:
            OPS[self.op] = replace(op, **self.rule(op))
        try:
            yield device
        finally:
            OPS[self.op] = op


class Planted(Backend):
    """The CPU's backend, but for one bug."""

    name: ClassVar[str] = "mutant"
    priority: ClassVar[int] = -1

    def __init__(self, mutant: Mutant) -> None:
        self.mutant, self.base = mutant, load_backend("cpu")
        self.xp = self.base.xp
        self.kernels = {**self.base.kernels}
        for name, spoil in mutant.kernels.items():
            right = self.base.kernel(OPS[name]) or _from_body(name)
            self.kernels[name] = _quiet(spoil(right), arrays=not mutant.raw)

    def devices(self) -> list[str]:
        return [self.name]

    def upload(self, array: HostArray, device: Device) -> Array:
        if self.mutant.upload is not None:
            return self.mutant.upload(array)
        return self.base.upload(array, device)

    def download(self, array: Array) -> HostArray:
        if self.mutant.download is not None:
            return self.mutant.download(array)
        return self.base.download(array)

    def compile(self, graph: Graph, device: Device) -> Executable:
        right = super().compile(graph, device)
        return right if self.mutant.compile is None else self.mutant.compile(right, graph)

    def _find(self, op: Op, low: bool) -> Kernel | None:
        if op.name not in self.mutant.kernels:
            return self.base.kernel(op, low)
        return self.kernels[op.name] if self.mutant.raw else super()._find(op, low)


def _from_body(name: str) -> Kernel:
    """A kernel for a composite that has none: its body, on the CPU."""

    def kernel(*arrays: HostArray, **attrs: Any) -> HostArray:
        return apply(name, *map(tensor, arrays), **attrs).numpy()

    return kernel


def _quiet(kernel: Kernel, *, arrays: bool) -> Kernel:
    """`kernel` without NumPy's warnings, and, as the CPU's are, with arrays for its scalars."""

    def run(*given: Array, **attrs: Any) -> Array:
        with np.errstate(all="ignore"):
            out = kernel(*given, **attrs)
        return np.asarray(out) if arrays else out

    return run


def gallery(*mutants: Sequence[Mutant]) -> dict[str, Mutant]:
    """Mutants by name."""
    return {mutant.name: mutant for part in mutants for mutant in part}
