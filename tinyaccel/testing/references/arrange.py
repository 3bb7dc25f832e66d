"""References for arrangements: where each element comes from, one index at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    Number,
    filled,
    numbers,
)


def diagonal(x: Array, *, offset: int) -> Array:
    values, (n, m) = numbers(x), x.shape[-2:]
    places = [(i, i + offset) for i in range(n) if 0 <= i + offset < m]
    return filled((*x.shape[:-2], len(places)), lambda at: values[(*at[:-1], *places[at[-1]])], x)


def tril(x: Array, *, k: int) -> Array:
    values = numbers(x)
    return filled(x.shape, lambda at: values[at] if at[-1] - at[-2] <= k else 0, x)


def triu(x: Array, *, k: int) -> Array:
    values = numbers(x)
    return filled(x.shape, lambda at: values[at] if at[-1] - at[-2] >= k else 0, x)


def roll(x: Array, *, shift: Index, axis: Index | None) -> Array:
    """Each element carried to its place, one step of one shift after the other."""
    places = dict(zip(_indices(x.shape), numbers(x).flat, strict=True))
    if axis is None:
        order = list(_indices(x.shape))
        moved = {order[(i + shift[0]) % len(order)]: places[at] for i, at in enumerate(order)}
        return filled(x.shape, lambda at: moved[at], x)
    for step, a in zip(shift, axis, strict=True):
        n = x.shape[a]
        places = {
            (*at[:a], (at[a] + step) % n, *at[a + 1 :]): value for at, value in places.items()
        }
    return filled(x.shape, lambda at: places[at], x)


def _indices(shape: Index) -> Sequence[Index]:
    """All indices in row-major order."""
    found: list[Index] = [()]
    for n in shape:
        found = [(*at, i) for at in found for i in range(n)]
    return found


def tile(x: Array, *, repetitions: Index) -> Array:
    values = numbers(x)
    new = len(repetitions) - x.ndim
    shape = tuple(r * n for r, n in zip(repetitions, (1,) * new + x.shape, strict=True))

    def source(at: Index) -> Number:
        return values[tuple(i % n for i, n in zip(at[new:], x.shape, strict=True))]

    return filled(shape, source, x)


def repeat(x: Array, *, repeats: Index, axis: int | None) -> Array:
    values = numbers(x)
    if axis is None:
        values, axis = values.reshape(-1), 0
    counts = list(repeats) * (values.shape[axis] if len(repeats) == 1 else 1)
    origin = [i for i, count in enumerate(counts) for _ in range(count)]
    shape = (*values.shape[:axis], len(origin), *values.shape[axis + 1 :])
    return filled(shape, lambda at: values[(*at[:axis], origin[at[axis]], *at[axis + 1 :])], x)


def pad_reflect(x: Array, *, widths: Sequence[Index]) -> Array:
    """A step outside is a step back inside."""

    def source(i: int, n: int) -> int:
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i

    return _bordered(x, widths, source)


def pad_edge(x: Array, *, widths: Sequence[Index]) -> Array:
    return _bordered(x, widths, lambda i, n: min(max(i, 0), n - 1))


def _bordered(x: Array, widths: Sequence[Index], source: Callable[[int, int], int]) -> Array:
    values = numbers(x)
    shape = tuple(n + low + high for n, (low, high) in zip(x.shape, widths, strict=True))

    def at(index: Index) -> Number:
        places = zip(index, x.shape, widths, strict=True)
        return values[tuple(source(i - low, n) for i, n, (low, _) in places)]

    return filled(shape, at, x)
