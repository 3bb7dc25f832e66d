"""The `cuda` that an emulated Numba kernel sees in place of numba.cuda."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

import numpy as np

from tinyaccel.errors import KernelError
from tinyaccel_cuda.emulator.checked_array import CheckedArray, Index, Value
from tinyaccel_cuda.emulator.races import LANES
from tinyaccel_cuda.emulator.reports import Index3

DTypeLike: TypeAlias = Any  # a NumPy dtype or a Numba type
FULL_MASK = 0xFFFFFFFF


class Dim3(NamedTuple):
    """Three integers, as CUDA counts threads and blocks."""

    x: int
    y: int
    z: int


class Machine(Protocol):
    """What the words of CUDA need of the emulator that runs them."""

    grid_size: Index3
    block_size: Index3

    def indices(self) -> tuple[Index3, Index3]:
        """The running thread's index in its block, and its block's in the grid."""

    def lane(self) -> int:
        """The running thread's number in its warp."""

    def block_barrier(self, predicate: bool) -> int:
        """Wait for the block; returns for how many threads the predicate held."""

    def warp_meet(self, mask: int, value: Value, operation: str) -> dict[int, Value]:
        """Wait for the lanes of a mask; returns what each of those present brought."""

    def shared_array(self, shape: int | tuple[int, ...], dtype: np.dtype) -> CheckedArray:
        """The block's shared array of this call in the kernel's text."""

    def private_array(self, values: np.ndarray, name: str) -> CheckedArray:
        """An array of the running thread alone."""

    def unsupported(self, name: str) -> KernelError:
        """The error for a word that is not emulated."""


def numpy_dtype(dtype: DTypeLike) -> np.dtype:
    """The NumPy dtype of a NumPy or Numba type, without Numba's private tables."""
    name = str(dtype)
    if type(dtype).__module__.startswith("numba"):
        return np.dtype({"boolean": "bool"}.get(name, name))
    return np.dtype(dtype)


class FakeCuda:
    """numba.cuda's names for the thread, its memory, barriers, warps and bits."""

    warpsize = LANES

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.shared = _Shared(machine)
        self.local = _Local(machine)
        self.const = _Const(machine)
        self.atomic = _Atomic(machine)

    def __getattr__(self, name: str) -> NoReturn:
        raise self._machine.unsupported(f"cuda.{name}")

    @property
    def threadIdx(self) -> Dim3:  # noqa: N802  # CUDA's own name
        """The thread's index in its block."""
        return Dim3(*self._machine.indices()[0])

    @property
    def blockIdx(self) -> Dim3:  # noqa: N802  # CUDA's own name
        """The block's index in the grid."""
        return Dim3(*self._machine.indices()[1])

    @property
    def blockDim(self) -> Dim3:  # noqa: N802  # CUDA's own name
        """The threads of a block, by axis."""
        return Dim3(*self._machine.block_size)

    @property
    def gridDim(self) -> Dim3:  # noqa: N802  # CUDA's own name
        """The blocks of the grid, by axis."""
        return Dim3(*self._machine.grid_size)

    @property
    def laneid(self) -> int:
        """The thread's number in its warp."""
        return self._machine.lane()

    def grid(self, ndim: int) -> int | tuple[int, ...]:
        """The thread's index in the whole grid."""
        thread, block = self._machine.indices()
        size = self._machine.block_size
        index = tuple(block[i] * size[i] + thread[i] for i in range(ndim))
        return index[0] if ndim == 1 else index

    def gridsize(self, ndim: int) -> int | tuple[int, ...]:
        """The number of threads in the whole grid, by axis."""
        sizes = zip(self._machine.grid_size, self._machine.block_size, strict=True)
        size = tuple(blocks * threads for blocks, threads in sizes)[:ndim]
        return size[0] if ndim == 1 else size

    # Barriers and warps

    def syncthreads(self) -> None:
        """Wait for all threads of the block."""
        self._machine.block_barrier(False)

    def syncthreads_count(self, predicate: Value) -> int:
        """Wait for the block; for how many threads does the predicate hold?"""
        return self._machine.block_barrier(bool(predicate))

    def syncthreads_or(self, predicate: Value) -> int:
        """Wait for the block; does the predicate hold for any thread?"""
        return int(self._machine.block_barrier(bool(predicate)) != 0)

    def syncthreads_and(self, predicate: Value) -> int:
        """Wait for the block; does the predicate hold for every thread?"""
        return int(self._machine.block_barrier(not predicate) == 0)

    def syncwarp(self, mask: int = FULL_MASK) -> None:
        """Wait for the lanes of the mask; makes their writes visible to each other."""
        self._machine.warp_meet(mask, None, "syncwarp")

    def shfl_sync(self, mask: int, value: Value, source: int) -> Value:
        """The value that lane `source` brought."""
        return self._machine.warp_meet(mask, value, "shfl").get(int(source) % LANES, value)

    def shfl_up_sync(self, mask: int, value: Value, delta: int) -> Value:
        """The value of the lane `delta` below, or one's own where there is none."""
        lane = self._machine.lane() - int(delta)
        return self._machine.warp_meet(mask, value, "shfl").get(lane, value)

    def shfl_down_sync(self, mask: int, value: Value, delta: int) -> Value:
        """The value of the lane `delta` above, or one's own where there is none."""
        lane = self._machine.lane() + int(delta)
        return self._machine.warp_meet(mask, value, "shfl").get(lane, value)

    def shfl_xor_sync(self, mask: int, value: Value, bits: int) -> Value:
        """The value of the lane whose number differs in these bits."""
        lane = self._machine.lane() ^ int(bits)
        return self._machine.warp_meet(mask, value, "shfl").get(lane, value)

    def ballot_sync(self, mask: int, predicate: Value) -> int:
        """A bit for each lane for which the predicate holds."""
        votes = self._machine.warp_meet(mask, bool(predicate), "vote")
        return sum(1 << lane for lane, vote in votes.items() if vote)

    def all_sync(self, mask: int, predicate: Value) -> bool:
        """Does the predicate hold for every lane?"""
        return all(self._machine.warp_meet(mask, bool(predicate), "vote").values())

    def any_sync(self, mask: int, predicate: Value) -> bool:
        """Does the predicate hold for any lane?"""
        return any(self._machine.warp_meet(mask, bool(predicate), "vote").values())

    def eq_sync(self, mask: int, value: Value) -> bool:
        """Do all lanes bring the same value?"""
        return len(set(self._machine.warp_meet(mask, value, "vote").values())) == 1

    # Fences order nothing here: the emulator's memory is in order already.

    def threadfence(self) -> None:
        """Order memory for the device."""

    def threadfence_block(self) -> None:
        """Order memory for the block."""

    def threadfence_system(self) -> None:
        """Order memory for the whole system."""

    # Bits and arithmetic

    def popc(self, x: int) -> int:
        """The number of bits that are set."""
        return int(x).bit_count() if x >= 0 else (int(x) & FULL_MASK).bit_count()

    def clz(self, x: int) -> int:
        """The number of leading zeros among 32 bits."""
        return 32 - (int(x) & FULL_MASK).bit_length()

    def ffs(self, x: int) -> int:
        """The position of the lowest bit that is set, counted from 1; 0 if none is."""
        return (int(x) & -int(x)).bit_length()

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c; exact in float64, then rounded to the operands' type."""
        kind = np.result_type(a, b, c)
        return kind.type(np.longdouble(a) * np.longdouble(b) + np.longdouble(c))

    def cbrt(self, x: Value) -> Value:
        """The cube root."""
        return np.cbrt(x)

    def selp(self, condition: Value, a: Value, b: Value) -> Value:
        """`a` where the condition holds, else `b`."""
        return a if condition else b


class _Shared:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def array(
        self, shape: int | tuple[int, ...], dtype: DTypeLike, alignment: int | None = None
    ) -> CheckedArray:
        """Shared memory of the block; shape 0 is that which the launch gave."""
        del alignment  # every array of the emulator is aligned
        return self._machine.shared_array(shape, numpy_dtype(dtype))


class _Local:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def array(
        self, shape: int | tuple[int, ...], dtype: DTypeLike, alignment: int | None = None
    ) -> CheckedArray:
        """Memory of the thread alone; it starts out as garbage."""
        del alignment
        values = np.empty(shape, numpy_dtype(dtype))
        values.view(np.uint8)[...] = 0xFF  # NaN in a float array
        return self._machine.private_array(values, "local array")


class _Const:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def array_like(self, array: np.ndarray | CheckedArray) -> CheckedArray:
        """A constant copy of a global array."""
        if isinstance(array, CheckedArray):
            return array
        values = np.array(array)
        values.flags.writeable = False
        return self._machine.private_array(values, "constant array")


def _update(
    compute: Callable[[Value, Value], Value], reads: bool = True
) -> Callable[[_Atomic, CheckedArray, Index, Value], Value]:
    def method(_: _Atomic, array: CheckedArray, index: Index, value: Value) -> Value:
        return array.atomic(index, lambda old: compute(old, value), reads=reads)

    return method


class _Atomic:
    """One thread at a time reads, computes and writes; each returns the value before."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> NoReturn:
        raise self._machine.unsupported(f"cuda.atomic.{name}")

    add = _update(lambda old, value: old + value)
    sub = _update(lambda old, value: old - value)
    and_ = _update(lambda old, value: old & value)
    or_ = _update(lambda old, value: old | value)
    xor = _update(lambda old, value: old ^ value)
    inc = _update(lambda old, value: 0 if old >= value else old + 1)
    dec = _update(lambda old, value: value if old == 0 or old > value else old - 1)
    exch = _update(lambda _old, value: value, reads=False)
    # NaN loses, and propagates in max and min of Numba's older spelling: nanmax says it openly.
    max = _update(lambda old, value: old if math.isnan(value) or value < old else value)
    min = _update(lambda old, value: old if math.isnan(value) or old < value else value)
    nanmax = _update(lambda old, value: np.fmax(old, value))
    nanmin = _update(lambda old, value: np.fmin(old, value))

    def cas(self, array: CheckedArray, index: Index, expected: Value, value: Value) -> Value:
        """Write `value` if the element is `expected`."""
        return array.atomic(index, lambda old: value if old == expected else old)

    def compare_and_swap(self, array: CheckedArray, expected: Value, value: Value) -> Value:
        """`cas` at element 0, Numba's older spelling."""
        return self.cas(array, 0, expected, value)
