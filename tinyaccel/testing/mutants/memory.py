"""Mutants of memory and time: buffers shared, overwritten, stale; values baked in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyaccel.backend import Array, Executable
from tinyaccel.graph import Graph
from tinyaccel.op import Kernel
from tinyaccel.testing.mutants.mutant import HostArray, Mutant


def _in_place(right: Kernel) -> Kernel:
    """out = a; out -= b: the first input is gone."""

    def sub(a: HostArray, b: HostArray) -> HostArray:
        out = np.asarray(right(a, b))
        if a.shape == out.shape and a.flags.writeable:
            a[...] = out
            return a
        return out

    return sub


def _one_buffer(right: Kernel) -> Kernel:
    """One output buffer for each shape, made once: the next call overwrites what this one gave."""
    buffers: dict[tuple[Any, ...], HostArray] = {}

    def mul(a: HostArray, b: HostArray) -> HostArray:
        out = np.asarray(right(a, b))
        buffer = buffers.setdefault((out.shape, out.dtype), np.empty_like(out))
        buffer[...] = out
        return buffer

    return mul


def _shared(array: HostArray) -> HostArray:
    """The host's own memory as the device's: what the user writes later arrives here too."""
    return array


def _read_only(array: HostArray) -> HostArray:
    view = array.view()
    view.flags.writeable = False
    return view


# Compiled programs


def static_outputs(run: Executable, graph: Graph) -> Executable:
    """Results in the same arrays at every call."""
    buffers: list[Array] = []

    def call(arrays: Sequence[Array]) -> list[Array]:
        out = run(arrays)
        if not buffers:
            buffers.extend(np.array(y) for y in out)
        for buffer, y in zip(buffers, out, strict=True):
            buffer[...] = y
        return list(buffers)

    return call


def baked(run: Executable, graph: Graph) -> Executable:
    """0-d inputs, such as a learning rate, taken for constants of the program."""
    first: list[Array] = []

    def call(arrays: Sequence[Array]) -> list[Array]:
        if not first:
            first.extend(arrays)
        small = [not graph.specs[v].shape for v in graph.inputs]
        return run([a if s else b for a, b, s in zip(first, arrays, small, strict=True)])

    return call


def donated(run: Executable, graph: Graph) -> Executable:
    """The new value of a parameter written over the old one, which somebody may still hold."""

    def call(arrays: Sequence[Array]) -> list[Array]:
        out = run(arrays)
        free = [a for a in arrays if a.ndim and a.flags.writeable]
        result = []
        for y in out:
            old = next((a for a in free if a.shape == y.shape and a.dtype == y.dtype), None)
            if old is not None:
                free = [a for a in free if a is not old]
                old[...] = y
            result.append(y if old is None else old)
        return result

    return call


def _stuck(run: Executable, graph: Graph) -> Executable:
    """The random state comes out as it went in: every call draws the same numbers."""

    def call(arrays: Sequence[Array]) -> list[Array]:
        states = [a for a in arrays if a.shape == (3,) and a.dtype == np.uint32]
        return [
            states[0] if states and y.shape == (3,) and y.dtype == np.uint32 else y
            for y in run(arrays)
        ]

    return call


def _short(run: Executable, graph: Graph) -> Executable:
    """Results of a compiled program with a product lose their last 8 bits."""

    def shortened(y: Array) -> Array:
        if y.dtype != np.float32:
            return y
        with np.errstate(all="ignore"):
            return (y.view(np.uint32) & np.uint32(0xFFFFFF00)).view(np.float32)

    if all(instr.op != "mul" for instr in graph.instrs):
        return run
    return lambda arrays: [shortened(np.asarray(y)) for y in run(arrays)]


def _unfinished(run: Executable, graph: Graph) -> Executable:
    """What follows the last whole block of 1,024 is left as it was allocated."""
    if all(instr.op != "exp" for instr in graph.instrs):
        return run

    def call(arrays: Sequence[Array]) -> list[Array]:
        out = [np.array(y) for y in run(arrays)]
        for y in out:
            if y.size > 1024:
                y.reshape(-1)[y.size // 1024 * 1024 :] = 0
        return out

    return call


MEMORY: Sequence[Mutant] = (
    Mutant("an input overwritten", "sub", "forward", "the result is written in place",
           kernels={"sub": _in_place}, diverges=False),
    Mutant("one output buffer for all calls", "mul", "forward",
           "a buffer cache that forgets who still holds the buffer",
           kernels={"mul": _one_buffer}, diverges=False),
    Mutant("upload shares the host's memory", "astype", "transfer",
           "a zero-copy upload", upload=_shared),
    Mutant("download gives memory that nobody may write to", "astype", "transfer",
           "a view of the device's array", download=_read_only),
    Mutant("a compiled program's results are overwritten by its next call", "mul", "state",
           "static output buffers, handed out", compile=static_outputs, diverges=False),
    Mutant("a learning rate baked into the program", "mul", "state",
           "0-d inputs folded as constants", compile=baked, diverges=False),
    Mutant("an input donated that somebody still holds", "sub", "state",
           "buffers reused without asking who owns them", compile=donated, diverges=False),
    Mutant("a random state that never moves on", "random_bits", "state",
           "written state that the compiled program doesn't return", compile=_stuck,
           diverges=False),
    Mutant("the last block missed when compiled", "exp", "forward",
           "a fused loop without its remainder", compile=_unfinished),
    Mutant("compiled products of fewer bits", "mul", "forward",
           "a compiler that is allowed to round more often", compile=_short),
)  # fmt: skip
