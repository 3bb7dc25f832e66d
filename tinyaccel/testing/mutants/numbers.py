"""Mutants in functions of numbers, reductions and sorting: precision, NaN, ties, overflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyaccel.op import Kernel
from tinyaccel.testing.mutants.mutant import HostArray, Mutant


def _past_1024(right: Kernel) -> Kernel:
    """What lies beyond the first block is never computed."""

    def exp(x: HostArray) -> HostArray:
        out = np.array(right(x)).reshape(-1)
        out[1024:] = 0
        return out.reshape(x.shape)

    return exp


def _one_unit_off(right: Kernel) -> Kernel:
    def sqrt(x: HostArray) -> HostArray:
        y = right(x)
        return np.asarray(np.where(y > 0, np.nextafter(y, np.inf, dtype=y.dtype), y))

    return sqrt


def _memory_order(right: Kernel) -> Kernel:
    """The numbers as they lie in memory, as if each array were contiguous."""

    def tanh(x: HostArray) -> HostArray:
        if 0 in x.strides and x.size:  # one number, whatever its place in memory
            return np.full(x.shape, right(x.reshape(-1)[:1])[0])
        return np.asarray(right(x.ravel(order="K"))).reshape(x.shape)

    return tanh


def _half_tanh(right: Kernel) -> Kernel:
    """tanh from e**2x, which is rounded itself."""

    def tanh(x: HostArray) -> HostArray:
        if x.dtype.itemsize != 2:
            return np.asarray(right(x))
        power = np.exp(2 * np.clip(x, -5, 5)).astype(x.dtype)
        return np.asarray(((power - 1) / (power + 1)).astype(x.dtype))

    return tanh


def _naive_sum(right: Kernel) -> Kernel:
    """One number after another, in the array's own precision."""

    def add_up(x: HostArray, *, axis: tuple[int, ...], keepdims: bool) -> HostArray:
        if x.dtype.kind != "f" or not x.size:
            return np.asarray(right(x, axis=axis, keepdims=keepdims))
        kept = [n for i, n in enumerate(x.shape) if i not in axis]
        rows = np.moveaxis(x, axis, range(len(axis))).reshape(-1, *kept)
        sums = np.cumsum(rows, axis=0, dtype=x.dtype)
        last = sums[-1] if len(sums) else np.zeros(kept, x.dtype)
        shape = [1 if i in axis else n for i, n in enumerate(x.shape)] if keepdims else kept
        return np.asarray(last).reshape(shape)

    return add_up


def _scalar_sum(right: Kernel) -> Kernel:
    def add_up(x: HostArray, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)

    return add_up


def _saturating(right: Kernel) -> Kernel:
    def add(a: HostArray, b: HostArray) -> HostArray:
        if a.dtype != np.int8:
            return np.asarray(right(a, b))
        return np.asarray(np.clip(a.astype(int) + b, -128, 127).astype(np.int8))

    return add


def _rounding(right: Kernel) -> Kernel:
    """Float to integer by rounding, where the fraction is to be dropped."""

    def astype(x: HostArray, *, dtype: Any) -> HostArray:
        rounds = dtype.is_integer and x.dtype.kind == "f"
        return np.asarray(right(np.rint(x) if rounds else x, dtype=dtype))

    return astype


def _masked_shift(right: Kernel) -> Kernel:
    """The machine's own instruction: it shifts by the count modulo the width."""

    def shift_left(a: HostArray, b: HostArray) -> HostArray:
        return np.asarray(right(a, b % (8 * a.dtype.itemsize)))

    return shift_left


def _truncated(right: Kernel) -> Kernel:
    """C's remainder, with the sign of a."""
    return lambda a, b: np.fmod(a, b) if a.dtype.kind == "f" else right(a, b)


def _last_maximum(right: Kernel) -> Kernel:
    def argmax(x: HostArray, *, axis: int, keepdims: bool) -> HostArray:
        turned = right(np.flip(x, axis), axis=axis, keepdims=keepdims)
        return np.asarray(x.shape[axis] - 1 - turned, dtype=np.int32)

    return argmax


def _unstable(right: Kernel) -> Kernel:
    """Equals in the opposite order."""

    def argsort(x: HostArray, *, axis: int, **attrs: Any) -> HostArray:
        turned = right(np.flip(x, axis), axis=axis, **attrs)
        return np.asarray(x.shape[axis] - 1 - turned, dtype=np.int32)

    return argsort


def _swallowing(right: Kernel) -> Kernel:
    def largest(x: HostArray, *, axis: tuple[int, ...], keepdims: bool) -> HostArray:
        if x.dtype.kind != "f" or not x.size:
            return np.asarray(right(x, axis=axis, keepdims=keepdims))
        numbers = np.where(np.isnan(x), np.array(-np.inf).astype(x.dtype), x)
        return np.asarray(right(numbers, axis=axis, keepdims=keepdims))

    return largest


def _negative_off(right: Kernel) -> Kernel:
    def take(x: HostArray, indices: HostArray, *, axis: int) -> HostArray:
        n = x.shape[axis]
        shifted = np.where(indices < 0, np.maximum(indices - 1, -n), indices)
        return np.asarray(right(x, shifted.astype(indices.dtype), axis=axis))

    return take


def _lost_duplicates(right: Kernel) -> Kernel:
    """Read, add, write, all places at once: of two updates to one place, one is lost."""

    def scatter_add(
        x: HostArray, indices: HostArray, updates: HostArray, *, axis: int
    ) -> HostArray:
        out = x.copy()
        places: list[HostArray] = list(np.indices(indices.shape, sparse=True))
        places[axis] = indices
        out[tuple(places)] += updates
        return out

    return scatter_add


NUMBERS: Sequence[Mutant] = (
    Mutant("wrong past 1,024 elements", "exp", "forward",
           "a kernel for one block, launched for one block", kernels={"exp": _past_1024}),
    Mutant("a root one unit in the last place too large", "sqrt", "forward",
           "a reciprocal root and a product, instead of the machine's root",
           kernels={"sqrt": _one_unit_off}),
    Mutant("every input taken as contiguous", "tanh", "forward",
           "a pointer without strides", kernels={"tanh": _memory_order}),
    Mutant("a float16 function of several roundings", "tanh", "forward",
           "each step in float16, where one rounding at the end is permitted",
           kernels={"tanh": _half_tanh}, raw=True),
    Mutant("a sum one number after another", "sum", "forward",
           "a single float32 accumulator: its error grows with k, not with sqrt(k)",
           kernels={"sum": _naive_sum}),
    Mutant("a NumPy scalar instead of an array", "sum", "forward",
           "np.sum hands out a scalar where a 0-d array is due", kernels={"sum": _scalar_sum},
           raw=True),
    Mutant("dtype widened", "expm1", "forward", "a float64 constant in the kernel",
           kernels={"expm1": lambda right: lambda x: right(x.astype(np.float64))}),
    Mutant("a comparison that includes equality", "less", "forward", "<= for <",
           kernels={"less": lambda right: np.less_equal}),
    Mutant("the sign of zero is lost", "neg", "forward", "0 - x for -x",
           kernels={"neg": lambda right: lambda x: (0 - x).astype(x.dtype)}),
    Mutant("NaN swallowed by maximum", "maximum", "convention",
           "a > b ? a : b, which is b for a NaN in a",
           kernels={"maximum": lambda right: lambda a, b: np.where(a > b, a, b)}),
    Mutant("NaN swallowed by max", "max", "convention",
           "fmax, which prefers numbers, as the hardware's instruction does",
           kernels={"max": _swallowing}),
    Mutant("the last maximum instead of the first", "argmax", "forward",
           ">= for > in the search", kernels={"argmax": _last_maximum}),
    Mutant("equals sorted in the opposite order", "argsort", "forward",
           "an unstable sort", kernels={"argsort": _unstable}),
    Mutant("saturating instead of wrapping", "add", "convention",
           "a saturating vector instruction", kernels={"add": _saturating}),
    Mutant("rounded where the fraction is to be dropped", "astype", "forward",
           "the machine's default conversion rounds", kernels={"astype": _rounding}),
    Mutant("a shift by the count modulo the width", "shift_left", "forward",
           "the hardware looks at the low bits of the count only",
           kernels={"shift_left": _masked_shift}),
    Mutant("the remainder with the sign of the dividend", "remainder", "forward",
           "C's fmod", kernels={"remainder": _truncated}),
    Mutant("a negative index off by one", "take_along_axis", "forward",
           "n - 1 + i for n + i", kernels={"take_along_axis": _negative_off}),
    Mutant("updates to one place lost", "scatter_add", "forward",
           "a race: no atomic addition", kernels={"scatter_add": _lost_duplicates}),
    Mutant("a clipped index", "take_along_axis", "convention",
           "a gather that clamps, silently, what is out of range",
           diverges=False,
           kernels={"take_along_axis": lambda right: lambda x, indices, *, axis: right(
               x, np.clip(indices, -x.shape[axis], x.shape[axis] - 1), axis=axis)}),
    Mutant("0 to the power 0 is NaN", "pow", "convention", "exp(b * log(a))",
           kernels={"pow": lambda right: lambda a, b: np.where(
               (a == 0) & (b == 0), np.array(np.nan).astype(a.dtype), right(a, b))
               if a.dtype.kind == "f" else right(a, b)}),
)  # fmt: skip
