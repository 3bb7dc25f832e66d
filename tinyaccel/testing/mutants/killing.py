"""Killing a mutant: which checks find it, by what counterexample, and what `compare` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.op import OPS
from tinyaccel.tensor import Tensor, apply, tensor
from tinyaccel.testing.check import check_backend, check_device
from tinyaccel.testing.compare import compare
from tinyaccel.testing.conventions import CONVENTIONS
from tinyaccel.testing.divergence import Divergence
from tinyaccel.testing.layouts import large_layouts, layouts
from tinyaccel.testing.mutants.mutant import HostArray, Mutant
from tinyaccel.testing.report import Result
from tinyaccel.testing.strategies import accepted, fills, make_case

_ORDERS = ("forward", "gradient", "second order")


def kind_of(result: Result) -> str:
    """The kind of check that a result is of: "forward", "gradient", "state", ..."""
    return _ORDERS[result.order] if result.kind == "op" else result.kind


@dataclass
class Kill:
    """What became of a mutant.

    found       by kind of check, the first counterexample, already shrunk
    jit_only    whether nothing is wrong eagerly
    divergence  what `compare` says, where a backend's own kernels or compiler are at fault; a rule
                that all backends share is wrong on all of them alike
    """

    mutant: Mutant
    found: dict[str, str] = field(default_factory=dict)
    jit_only: bool = False
    divergence: Divergence | None = None

    @property
    def killed(self) -> bool:
        return bool(self.found)

    @property
    def counterexample(self) -> str:
        """That of the check that was meant to find it, if that did."""
        return self.found.get(self.mutant.found_by) or next(iter(self.found.values()), "")


def kill(mutant: Mutant, *, examples: int = 5, seed: int = 0) -> Kill:
    """Hold a mutant to the checks of its op and of its device, and to the CPU by `compare`.

    >>> from tinyaccel.testing.mutants import MUTANTS
    >>> found = kill(MUTANTS["relu passes its gradient at 0"]).found
    >>> sorted(found)
    ['convention']
    """
    outcome = Kill(mutant)
    with mutant.planted() as device:
        report = check_backend(device, [mutant.op], examples=examples, seed=seed)
        report.results += check_device(device).results
        for result in report.results:
            if result.failure is not None:
                outcome.found.setdefault(kind_of(result), result.failure)
        failed = [r for r in report.results if not r.ok]
        outcome.jit_only = bool(failed) and all(r.jitted for r in failed)
        if mutant.can_diverge:
            outcome.divergence = first_divergence(mutant, device, seed)
    return outcome


def first_divergence(mutant: Mutant, device: Device, seed: int = 0) -> Divergence | None:
    """What `compare` says of a small program around the mutant's op, for one input or another."""
    for arrays, attrs in _calls(mutant.op, seed):
        inputs = [tensor(np.ascontiguousarray(a.T)) for a in arrays]
        found = compare(_around(mutant.op, attrs), *inputs, backends=["cpu", device],
                        backward=False)  # fmt: skip
        if isinstance(found, Divergence):
            return found
    return None


def _around(op: str, attrs: dict[str, Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A program with the op in the middle."""

    def program(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        turned = [x.permute_dims(*reversed(range(x.ndim))) if x.ndim > 1 else x for x in inputs]
        y = apply(op, *turned, **attrs)  # on views, where a backend has them
        y = y if y.dtype.is_float else y.astype(dtypes.float32)
        return y, (y.tanh() * y).sum()

    return program


def _calls(name: str, seed: int) -> Iterator[tuple[Sequence[HostArray], dict[str, Any]]]:
    """Inputs and attributes of an op: those of its conventions, and some of each way of filling."""
    for convention in CONVENTIONS:
        if convention.op == name and convention.is_value:
            yield [np.asarray(x.numpy()) for x in convention.tensors("cpu")], convention.attrs
    op = OPS[name]
    kinds = [d for d in (dtypes.float32, dtypes.float16, dtypes.int8) if d in accepted(op)]
    for dtype in kinds or accepted(op)[:1]:
        for fill in fills(op, dtype):
            for layout in layouts(op):
                case = make_case(op, dtype, layout, fill, seed)
                yield case.arrays, dict(case.attrs)
    for layout in large_layouts(op):
        case = make_case(op, dtypes.float32, layout, "constant", seed)
        yield case.arrays, dict(case.attrs)
