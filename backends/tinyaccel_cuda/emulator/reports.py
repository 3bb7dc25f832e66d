"""What the emulators say: the bugs they find, each as one line for a KernelError.

kernel: bug at file:line, block (x, y, z), thread (x, y, z): what happened; what to do
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tinyaccel.errors import KernelError

Index3: TypeAlias = tuple[int, int, int]
Language: TypeAlias = Literal["c", "numba"]

_BARRIER = {"c": "__syncthreads()", "numba": "cuda.syncthreads()"}
_SYNCWARP = {"c": "__syncwarp()", "numba": "cuda.syncwarp()"}


@dataclass(frozen=True)
class Place:
    """Where a bug was found: the kernel, its language, a source line, a block and a thread."""

    kernel: str
    language: Language
    source: str  # file:line
    block: Index3
    thread: Index3

    def error(self, bug: str, happened: str, remedy: str) -> KernelError:
        """The bug as an error with one line of text."""
        return KernelError(
            f"{self.kernel}: {bug} at {self.source}, block {self.block}, thread {self.thread}: "
            f"{happened}; {remedy}"
        )


def shown(path: str | os.PathLike[str]) -> str:
    """A file's name for a report: relative where it lies below the working directory."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return os.fspath(path)
    return os.fspath(path) if relative.startswith(os.pardir) else relative


def source(file: str, line: int) -> str:
    """file:line for a report."""
    return f"{shown(file)}:{line}"


def out_of_bounds(
    place: Place, writes: bool, element: str, size: str, shared: bool = False
) -> KernelError:
    """An access outside every array; `element` is what was meant, `size` what there is."""
    if shared:
        remedy = "make the shared array larger, or keep the index below its size"
    else:
        remedy = "let only threads whose index is in range get there: if (i < n)"
        if place.language == "numba":
            remedy = "let only threads whose index is in range get there: if i < x.size"
    verb = "writes" if writes else "reads"
    return place.error(
        f"out-of-bounds {'write' if writes else 'read'}", f"{verb} {element}, but {size}", remedy
    )


def race(
    place: Place,
    writes: bool,
    element: str,
    other: Index3,
    other_writes: bool,
    other_source: str,
) -> KernelError:
    """Two threads at one element of shared memory, one of them writing, and nothing between."""
    verb, past = "writes" if writes else "reads", "wrote" if other_writes else "read"
    return place.error(
        "missing barrier (shared-memory race)",
        f"{verb} {element}, which thread {other} {past} at {other_source} with no barrier between",
        f"put {_BARRIER[place.language]} between the two, where all threads of the block pass",
    )


def uninitialised(place: Place, element: str) -> KernelError:
    """A read of shared memory that no thread of the block has written."""
    return place.error(
        "uninitialised shared read",
        f"reads {element}, which no thread of this block has written",
        "shared memory starts out as garbage: write it before reading it",
    )


def exited_barrier(place: Place, waiting: int, exited: int, other: Index3) -> KernelError:
    """Some threads wait at a barrier, others have returned from the kernel."""
    barrier = _BARRIER[place.language]
    return place.error(
        "divergent barrier",
        f"{_threads(waiting)} at {barrier} but {exited} already returned, thread {other} among "
        "them",
        f"every thread of the block must reach {barrier}: move it out of the if, and don't return "
        "early",
    )


def split_barrier(
    place: Place, here: int, elsewhere: int, other: Index3, other_source: str
) -> KernelError:
    """Threads of one block wait at two different barriers."""
    barrier = _BARRIER[place.language]
    return place.error(
        "divergent barrier",
        f"{_threads(here)} at this {barrier} but {elsewhere} at {other_source}, thread {other} "
        "among them",
        f"all threads of the block must reach the same {barrier}: move it out of the if",
    )


def deadlock(
    place: Place, waiting: int, at_barrier: int, exited: int, other_source: str
) -> KernelError:
    """Threads wait for lanes of their warp that will never come."""
    away = []
    if at_barrier:
        away.append(f"{at_barrier} at the barrier at {other_source}")
    if exited:
        away.append(f"{exited} already returned")
    rest = f", {' and '.join(away)}" if away else " for one another"
    return place.error(
        "deadlock",
        f"{_threads(waiting)} in a warp operation{rest}",
        "all lanes named in a mask must reach the same warp operation with the same mask",
    )


def bad_mask(place: Place, mask: int, lane: int) -> KernelError:
    """A lane calls a warp operation with a mask that leaves itself out."""
    return place.error(
        "bad warp mask",
        f"its mask 0x{mask:08x} leaves out the calling lane {lane}",
        f"set the calling lane's bit in the mask of {_SYNCWARP[place.language]}, shuffles and "
        "votes",
    )


def _threads(count: int) -> str:
    return "1 thread waits" if count == 1 else f"{count} threads wait"
