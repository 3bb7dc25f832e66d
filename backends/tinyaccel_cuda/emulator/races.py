"""Who read and wrote each element of shared memory: how a missing barrier is found, in Python.

The same rules as in accesses.h, where they are applied to bytes. Two accesses by two threads are in
order if a barrier of the block lies between them, or, for two lanes of one warp, a syncwarp that
both took part in. Two that are not in order race, if one of them writes and not both are atomic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from tinyaccel_cuda.emulator import reports
from tinyaccel_cuda.emulator.reports import Index3, Place

Where: TypeAlias = tuple[str, int]  # file and line
LANES = 32


class Watcher(Protocol):
    """Who is running and where: what arrays and their memory must know of the emulator."""

    def thread_id(self) -> int:
        """The number of the running thread in its block."""

    def where(self) -> Where:
        """The line of the kernel that is being run."""

    def place(self) -> Place:
        """The running thread at that line, for a report."""

    def stall(self, element: str) -> None:
        """Park the running thread for good: it has read an element that nobody wrote."""


class Access(NamedTuple):
    """One access: when, by whom, at which line."""

    epoch: int  # the number of block barriers before it
    clock: int  # the number of syncwarps that its thread had been through
    thread: int
    atomic: bool
    where: Where


@dataclass(slots=True)
class Shadow:
    """What is remembered of an element. Three readers are enough.

    Any write races with the read of another warp, if there is one, or else with that of one of two
    lanes of the same warp.
    """

    writer: Access | None = None
    reader: Access | None = None
    fellow: Access | None = None  # another lane of the reader's warp
    stranger: Access | None = None  # a lane of another warp


class SharedMemory:
    """The shared memory of one block while it runs; `indices` are its threads, in order."""

    def __init__(self, watcher: Watcher, indices: list[Index3]) -> None:
        self._watcher = watcher
        self._indices = indices
        self._epoch = 0
        self._shadows: dict[int, Shadow] = {}
        self._clocks = [[0] * LANES for _ in indices]  # [thread][lane]: what it knows of the lane

    def barrier(self) -> None:
        """All threads of the block have met."""
        self._epoch += 1

    def syncwarp(self, threads: list[int]) -> None:
        """These threads of one warp have met."""
        for thread in threads:
            self._clocks[thread][thread % LANES] += 1
        joined = [max(known) for known in zip(*(self._clocks[t] for t in threads), strict=True)]
        for thread in threads:
            self._clocks[thread] = list(joined)

    def read(self, slot: int, element: str) -> None:
        """The running thread reads an element."""
        shadow, access = self._visit(slot, atomic=False)
        self._against_writer(shadow, access, element, writes=False)
        self._note_read(shadow, access)
        if shadow.writer is None:
            self._watcher.stall(element)

    def write(self, slot: int, element: str, changed: bool) -> None:
        """The running thread has written an element.

        `changed` is False if the value stayed the same: two threads may write the same value.
        """
        shadow, access = self._visit(slot, atomic=False)
        if changed or (shadow.writer is not None and shadow.writer.atomic):
            self._against_writer(shadow, access, element, writes=True)
        self._against_readers(shadow, access, element)
        shadow.writer = access

    def atomic(self, slot: int, element: str, reads: bool) -> None:
        """The running thread updates an element atomically."""
        shadow, access = self._visit(slot, atomic=True)
        self._against_writer(shadow, access, element, writes=True)
        if reads and shadow.writer is None:
            self._note_read(shadow, access)
            self._watcher.stall(element)
        self._against_readers(shadow, access, element)
        shadow.writer = access

    def _visit(self, slot: int, atomic: bool) -> tuple[Shadow, Access]:
        shadow = self._shadows.get(slot)
        if shadow is None:
            shadow = self._shadows[slot] = Shadow()
        thread = self._watcher.thread_id()
        clock = self._clocks[thread][thread % LANES]
        return shadow, Access(self._epoch, clock, thread, atomic, self._watcher.where())

    def _conflict(self, earlier: Access, now: Access) -> bool:
        if earlier.epoch != now.epoch or earlier.thread == now.thread:
            return False
        if earlier.atomic and now.atomic:
            return False
        same_warp = earlier.thread // LANES == now.thread // LANES
        known = self._clocks[now.thread][earlier.thread % LANES]
        return not (same_warp and known > earlier.clock)

    def _note_read(self, shadow: Shadow, now: Access) -> None:
        last = shadow.reader
        if last is None or last.epoch != now.epoch:
            shadow.reader, shadow.fellow, shadow.stranger = now, None, None
        elif last.thread // LANES == now.thread // LANES:
            if last.thread != now.thread:
                shadow.fellow = last
            shadow.reader = now
        else:
            shadow.stranger = now

    def _against_writer(self, shadow: Shadow, now: Access, element: str, writes: bool) -> None:
        writer = shadow.writer
        if writer is not None and self._conflict(writer, now):
            self._race(writer, True, writes, element)

    def _against_readers(self, shadow: Shadow, now: Access, element: str) -> None:
        for reader in (shadow.stranger, shadow.reader, shadow.fellow):
            if reader is not None and self._conflict(reader, now):
                self._race(reader, False, True, element)

    def _race(self, other: Access, other_writes: bool, writes: bool, element: str) -> None:
        source = reports.source(*other.where)
        raise reports.race(
            self._watcher.place(),
            writes,
            element,
            self._indices[other.thread],
            other_writes,
            source,
        )
