"""Runs a Numba-CUDA kernel on the CPU: its plain Python function, one greenlet a thread.

The function is given a `cuda` of our own (fake_cuda) in place of numba.cuda, in a copy of its
globals: nothing of Numba is patched, so the same kernel can run on a GPU in the same process.
"""

from __future__ import annotations

import inspect
import linecache
import os
import random
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyaccel.errors import BackendError, KernelError
from tinyaccel_cuda.emulator import reports
from tinyaccel_cuda.emulator.checked_array import CheckedArray, Value
from tinyaccel_cuda.emulator.fake_cuda import FULL_MASK, FakeCuda
from tinyaccel_cuda.emulator.races import LANES, SharedMemory, Where
from tinyaccel_cuda.emulator.rebuild import Rebuilder
from tinyaccel_cuda.emulator.reports import Index3, Place

if TYPE_CHECKING:
    from greenlet import greenlet

_OURS = f"{Path(__file__).parent}{os.sep}"
_NOWHERE: Where = ("?", 0)


def launch(
    function: FunctionType,
    grid: Index3,
    block: Index3,
    arguments: Sequence[object],
    shared_bytes: int,
    order: str,
    seed: int,
) -> None:
    """Run a kernel; arrays are changed only if it ends well.

    Raises `KernelError` that names the bug where there is one, `BackendError` without greenlet.
    """
    machine = Emulator(function, grid, block, shared_bytes, order, seed)
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    before = [array.copy() for array in arrays]
    try:
        machine.run(arguments)
    except BaseException:
        for array, values in zip(arrays, before, strict=True):
            if array.flags.writeable:
                array[...] = values
        raise


class Thread:
    """One emulated thread: who it is, and what it waits for."""

    __slots__ = (
        "asked", "greenlet", "id", "index", "mask", "operation", "predicate", "received", "state",
        "votes", "where",
    )  # fmt: skip

    def __init__(self, number: int, index: Index3) -> None:
        self.id = number
        self.index = index
        self.state = "ready"  # ready, barrier, warp, stalled or done
        self.where: Where = _NOWHERE  # the line of the kernel where it waits
        self.predicate = False
        self.votes = 0
        self.mask = 0
        self.operation = ""
        self.asked: Value = None
        self.received: dict[int, Value] = {}
        self.greenlet: greenlet


class Emulator:
    """One launch: blocks one after another, the threads of a block in turns."""

    def __init__(
        self,
        function: FunctionType,
        grid: Index3,
        block: Index3,
        shared_bytes: int,
        order: str,
        seed: int,
    ) -> None:
        self.grid_size, self.block_size = grid, block
        self._name = function.__name__
        self._parameters = list(inspect.signature(function).parameters)
        self._shared_bytes = shared_bytes
        self._order = order
        self._random = random.Random(seed)  # noqa: S311  # an order of threads, no secret
        self._function = Rebuilder(FakeCuda(self), self).rebuild(function)
        self._indices = [
            (x, y, z) for z in range(block[2]) for y in range(block[1]) for x in range(block[0])
        ]
        self._threads: list[Thread] = []
        self._block: Index3 = (0, 0, 0)
        self._memory = SharedMemory(self, self._indices)
        self._shared: dict[object, CheckedArray] = {}
        self._slots = 0
        self._dynamic = np.zeros(shared_bytes, np.uint8)

    def run(self, arguments: Sequence[object]) -> None:
        """Run all blocks."""
        greenlet, getcurrent = _greenlet()
        self._host = getcurrent()
        seen = [
            CheckedArray(argument, name, self) if isinstance(argument, np.ndarray) else argument
            for name, argument in zip(self._parameters, arguments, strict=True)
        ]

        def main() -> None:
            with np.errstate(all="ignore"):  # a GPU doesn't warn; each greenlet has its own state
                self._function(*seen)

        x, y, z = self.grid_size
        blocks = [(i, j, k) for k in range(z) for j in range(y) for i in range(x)]
        for index in self._ordered(blocks):
            self._block = index
            self._memory = SharedMemory(self, self._indices)
            self._shared, self._slots = {}, 0
            self._dynamic = np.zeros(self._shared_bytes, np.uint8)
            self._threads = [Thread(i, at) for i, at in enumerate(self._indices)]
            for thread in self._threads:
                thread.greenlet = greenlet(main)
            try:
                self._run_block()
            finally:
                for thread in self._threads:
                    if not thread.greenlet.dead:
                        thread.greenlet.throw()

    def _ordered(self, items: list[Any]) -> list[Any]:
        if self._order == "reversed":
            return items[::-1]
        if self._order == "shuffled":
            return self._random.sample(items, len(items))
        return items

    def _run_block(self) -> None:
        while True:
            for thread in self._ordered(self._threads):
                if thread.state == "ready":
                    self._resume(thread)
            if all(thread.state == "done" for thread in self._threads):
                return
            self._release()

    def _resume(self, thread: Thread) -> None:
        self._current = thread
        try:
            thread.greenlet.switch()
        except (KernelError, KeyboardInterrupt):
            raise
        except Exception as error:
            where = _line_of(error)
            raise self.place(where).error(
                "Python error", f"{type(error).__name__}: {error}", "see the exception above"
            ) from error
        if thread.greenlet.dead:
            thread.state = "done"

    # ---- barriers ----------------------------------------------------------------------------

    def _release(self) -> None:
        """All threads have stopped somewhere: let them go on, or say why that is impossible."""
        by_state: dict[str, list[Thread]] = {}
        for thread in self._threads:
            by_state.setdefault(thread.state, []).append(thread)
        if stalled := by_state.get("stalled"):
            self._current = stalled[0]
            raise reports.uninitialised(self.place(stalled[0].where), stalled[0].asked)
        done, waiting = by_state.get("done", []), by_state.get("barrier", [])
        if in_warp := by_state.get("warp"):
            if not self._release_warps():
                self._current = in_warp[0]
                raise reports.deadlock(
                    self.place(in_warp[0].where),
                    len(in_warp),
                    len(waiting),
                    len(done),
                    reports.source(*waiting[0].where) if waiting else "",
                )
            return
        first = self._current = waiting[0]
        if done:
            raise reports.exited_barrier(
                self.place(first.where), len(waiting), len(done), done[0].index
            )
        elsewhere = [thread for thread in waiting if thread.where != first.where]
        if elsewhere:
            raise reports.split_barrier(
                self.place(first.where),
                len(waiting) - len(elsewhere),
                len(elsewhere),
                elsewhere[0].index,
                reports.source(*elsewhere[0].where),
            )
        votes = sum(thread.predicate for thread in self._threads)
        for thread in self._threads:
            thread.votes, thread.state = votes, "ready"
        self._memory.barrier()

    def _release_warps(self) -> bool:
        released = False
        for first in range(0, len(self._threads), LANES):
            warp = self._threads[first : first + LANES]
            for leader in warp:
                if leader.state != "warp":
                    continue
                named = [t for lane, t in enumerate(warp) if leader.mask >> lane & 1]
                present = [
                    t
                    for t in named
                    if t.state == "warp"
                    and (t.mask, t.operation) == (leader.mask, leader.operation)
                ]
                if any(t.state != "done" for t in named if t not in present):
                    continue
                released = True
                values = {thread.id % LANES: thread.asked for thread in present}
                for thread in present:
                    thread.received, thread.state = values, "ready"
                if leader.operation == "syncwarp":
                    self._memory.syncwarp([thread.id for thread in present])
        return released

    # ---- what fake_cuda asks for -------------------------------------------------------------

    def indices(self) -> tuple[Index3, Index3]:
        """The running thread's index in its block, and its block's in the grid."""
        return self._current.index, self._block

    def lane(self) -> int:
        """The running thread's number in its warp."""
        return self._current.id % LANES

    def block_barrier(self, predicate: bool) -> int:
        """Wait for the block; returns for how many threads the predicate held."""
        thread = self._current
        thread.predicate = predicate
        self._wait("barrier")
        return thread.votes

    def warp_meet(self, mask: int, value: Value, operation: str) -> dict[int, Value]:
        """Wait for the lanes of a mask; returns what each of those present brought."""
        thread = self._current
        mask = int(mask) & FULL_MASK  # -1 is a common way to write all lanes
        if not mask >> (thread.id % LANES) & 1:
            raise reports.bad_mask(self.place(), mask, thread.id % LANES)
        thread.mask, thread.asked, thread.operation = mask, value, operation
        self._wait("warp")
        return thread.received

    def _wait(self, state: str) -> None:
        self._current.state = state
        self._current.where = self.where()
        self._host.switch()

    def shared_array(self, shape: int | tuple[int, ...], dtype: np.dtype) -> CheckedArray:
        """The block's shared array of this call in the kernel's text."""
        frame = _kernel_frame()
        key: object = (frame.f_code, frame.f_lasti)
        dynamic = shape == 0
        if dynamic:
            key = ("dynamic", dtype)
        array = self._shared.get(key)
        if array is None:
            name = _assigned_name(frame) or "shared array"
            slots: np.ndarray
            if dynamic:  # all of one block lie in the same memory, whatever their dtype
                count = self._shared_bytes // dtype.itemsize
                data = self._dynamic[: count * dtype.itemsize].view(dtype)
                slots = -1 - np.arange(count) * dtype.itemsize
            else:
                data = np.zeros(shape, dtype)
                slots = self._slots + np.arange(data.size).reshape(data.shape)
                self._slots += data.size
            array = CheckedArray(data, name, self, self._memory, slots)
            self._shared[key] = array
        return array

    def private_array(self, values: np.ndarray, name: str) -> CheckedArray:
        """An array of the running thread alone."""
        return CheckedArray(values, _assigned_name(_kernel_frame()) or name, self)

    def unsupported(self, name: str) -> KernelError:
        """The error for a word that is not emulated."""
        return self.place().error(
            "not emulated", name, "run the kernel on a GPU, or write it without"
        )

    # ---- what arrays and their memory ask for ------------------------------------------------

    def thread_id(self) -> int:
        """The number of the running thread in its block."""
        return self._current.id

    def where(self) -> Where:
        """The line of the kernel that is being run."""
        frame = _kernel_frame()
        return frame.f_code.co_filename, frame.f_lineno

    def place(self, where: Where | None = None) -> Place:
        """The running thread at a line, for a report."""
        source = reports.source(*(where or self.where()))
        return Place(self._name, "numba", source, self._block, self._current.index)

    def stall(self, element: str) -> None:
        """Park the running thread for good: it has read an element that nobody wrote.

        If another thread writes it before the next barrier, that write is reported as a race.
        """
        self._current.asked = element
        self._wait("stalled")


def _greenlet() -> tuple[type[greenlet], Callable[[], greenlet]]:
    try:
        from greenlet import getcurrent, greenlet
    except ImportError as error:
        raise BackendError(
            "cuda-sim: Numba kernels run on the CPU with the package greenlet, which is not "
            "installed; pip install 'tinyaccel[cuda-sim]'"
        ) from error
    return greenlet, getcurrent


def _kernel_frame() -> FrameType:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return frame or sys._getframe(1)


def _line_of(error: BaseException) -> Where:
    """The kernel's innermost line in an exception's traceback."""
    trace, where = error.__traceback__, _NOWHERE
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(_OURS):
            where = (file, trace.tb_lineno)
        trace = trace.tb_next
    return where


def _assigned_name(frame: FrameType) -> str | None:
    """The variable that the kernel's current line assigns to: `tile = cuda.shared.array(...)`."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    match = re.match(r"\s*(\w+)\s*(?::[^=]+)?=[^=]", line)
    return match[1] if match else None
