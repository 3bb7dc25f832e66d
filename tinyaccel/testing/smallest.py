"""A program that shows a bug, on smaller inputs that still show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.graph import Graph
from tinyaccel.op import OPS, Spec
from tinyaccel.testing.divergence import LITERAL, random_values

Array: TypeAlias = npt.NDArray[Any]
Shows: TypeAlias = Callable[[Graph, Sequence[Array]], bool]  # whether the bug is still there

TRIES = 48  # a compiling backend takes a while for each
Axis: TypeAlias = tuple[int, int]  # which input, which axis


def smallest(graph: Graph, arrays: Sequence[Array], shows: Shows) -> tuple[Graph, list[Array]]:
    """`graph` and `arrays`, cut down as long as the bug shows.

    Axes become shorter, all of one length together or one alone; what is still large then becomes
    random numbers from a seed, if the bug shows on those, and small numbers of few digits.
    """
    best = (graph, list(arrays))
    left = TRIES
    progress = True
    while progress and left > 0:
        progress = False
        for candidate in _shorter(*best):
            left -= 1
            if left < 0:
                break
            if shows(*candidate):
                best, progress = candidate, True
                break
    graph, arrays = best
    for i in range(len(arrays)):
        for simple in _simpler(arrays[i], graph.specs[graph.inputs[i]]):
            changed = [simple if k == i else a for k, a in enumerate(arrays)]
            if shows(graph, changed):
                arrays = changed
                break
    return graph, list(arrays)


def _shorter(graph: Graph, arrays: Sequence[Array]) -> Iterator[tuple[Graph, list[Array]]]:
    """The same program on parts of its inputs, the smallest first."""
    axes = [(i, axis) for i, a in enumerate(arrays) for axis in range(a.ndim)]
    sizes = sorted({arrays[i].shape[axis] for i, axis in axes}, reverse=True)
    groups: list[list[Axis]] = [[(i, x) for i, x in axes if arrays[i].shape[x] == n] for n in sizes]
    groups += [[(i, x)] for n in sizes for i, x in axes if arrays[i].shape[x] == n]
    for group in groups:
        i, axis = group[0]
        n = arrays[i].shape[axis]
        for length in sorted({1, 2, n // 2, 3 * n // 4, n - 1} - {0}):
            if length >= n:
                continue
            for start in (0, n - length):
                cut = [_cut(a, k, group, start, length) for k, a in enumerate(arrays)]
                smaller = _respecified(graph, cut)
                if smaller is not None:
                    yield smaller, cut


def _cut(array: Array, number: int, group: Sequence[Axis], start: int, length: int) -> Array:
    for i, axis in group:
        if i == number:
            array = np.take(array, range(start, start + length), axis)
    return array


def _respecified(graph: Graph, arrays: Sequence[Array]) -> Graph | None:
    """`graph` with inputs of these shapes, or None where its ops can't have them."""
    new, where = Graph(), dict[int, int]()
    for v, array in zip(graph.inputs, arrays, strict=True):
        where[v] = new.add_input(Spec(array.shape, graph.specs[v].dtype))
    for v, array in graph.constants.items():
        where[v] = new.add_constant(array, graph.specs[v])
    for instr in graph.instrs:
        inputs = [where[v] for v in instr.inputs]
        try:
            spec = OPS[instr.op].infer(*(new.specs[v] for v in inputs), **instr.attrs)
        except Exception:  # attributes that belong to the old shapes; infer checks only so much
            return None
        where[instr.out] = new.add_instr(instr.op, inputs, instr.attrs, spec)
    new.outputs = [where[v] for v in graph.outputs]
    return new


def _simpler(array: Array, spec: Spec) -> Iterator[Array]:
    """Arrays of the same shape that are easier to read."""
    if not spec.dtype.is_float or not array.size:
        return
    if array.size > LITERAL:
        yield random_values(spec)
        return
    with np.errstate(all="ignore"):
        for digits in (0, 1, 2):
            yield (np.round(array.astype(np.float64), digits) + 0.0).astype(array.dtype)  # no -0.0
