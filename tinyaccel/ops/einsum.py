"""einsum: products of any number of tensors, summed over whatever labels their axes share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, TypeAlias

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import Spec
from tinyaccel.ops.arrange import diagonal
from tinyaccel.ops.define import composite
from tinyaccel.tensor import Tensor, TensorLike, apply

# A letter; or -1, -2, ... for an axis under "...", counted from the end, so that they broadcast.
Label: TypeAlias = str | int
Labels: TypeAlias = tuple[Label, ...]


def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """Einstein's summation: multiply the operands, and sum over each label that isn't put out.

    subscripts  a letter for each axis of each operand, and after "->" those of the result, as in
                "bij,bjk->bik". Without "->" the result has the letters that occur once, sorted.
                A letter twice in one operand is its diagonal. "..." stands for the axes in front,
                in the middle or behind that have no letter; they broadcast
    operands    one or more tensors; sizes of one letter are equal, or 1

    Two operands after the other are contracted, from left to right. Small integers stay what they
    are, and wrap around. Raises `ArgumentError` for a string that can't be read, `ShapeError` for
    operands that it doesn't fit. As `numpy.einsum`.

    >>> import tinyaccel as ta
    >>> a = ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ta.einsum("ij,j->i", a, ta.tensor([1.0, 10.0])), ta.einsum("ii", a)
    (tensor([21., 43.]), tensor(5.))
    """
    return apply("einsum", *operands, subscripts=subscripts)


# Reading


class _Terms(NamedTuple):
    """What a string says: a term for each operand and one for the result, without spaces."""

    inputs: tuple[str, ...]
    output: str

    def __str__(self) -> str:
        return f"{','.join(self.inputs)}->{self.output}"


def _read(subscripts: str) -> _Terms:
    """The terms of a string, with the result's filled in if it is left out."""
    if not isinstance(subscripts, str):
        raise ArgumentError(
            f"einsum: subscripts are {type(subscripts).__name__}; expected a string, 'ij,jk->ik'"
        )
    left, arrow, output = "".join(subscripts.split()).partition("->")
    inputs = tuple(left.split(","))
    for term in (*inputs, output):
        letters = term.replace("...", "", 1)
        strange = [c for c in letters if not (c.isascii() and c.isalpha())]
        if strange:
            raise ArgumentError(
                f"einsum: {strange[0]!r} in {subscripts!r}; expected letters, at most one '...' "
                "for each operand, ',' between them, and '->' before the result"
            )
    letters = "".join(inputs).replace(".", "")
    if not arrow:
        dots = "..." if "..." in left else ""
        output = dots + "".join(sorted(c for c, n in Counter(letters).items() if n == 1))
    for label, count in Counter(output.replace(".", "")).items():
        if label not in letters or count > 1:
            wrong = "stands there twice" if count > 1 else "is in no operand"
            raise ArgumentError(
                f"einsum: {label!r} of the result of {subscripts!r} {wrong}; expected each of its "
                "letters once, out of the operands'"
            )
    return _Terms(inputs, output)


def _labels(term: str, dots: int) -> Labels:
    """The term with its "..." written out as `dots` labels."""
    front, found, behind = term.partition("...")
    return (*front, *(range(-dots, 0) if found else ()), *behind)


def _plan(terms: _Terms, given: Sequence[shapes.Shape]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result; raises what doesn't fit."""
    if len(terms.inputs) != len(given):
        raise ArgumentError(
            f"einsum: '{terms}' is for {len(terms.inputs)} operands, but got {len(given)}; "
            "separate the operands' letters by ','"
        )
    inputs: list[Labels] = []
    sizes: dict[Label, int] = {}
    for term, shape in zip(terms.inputs, given, strict=True):
        dots = len(shape) - len(term.replace("...", ""))
        if dots < 0 or (dots and "..." not in term):
            raise ShapeError(
                f"einsum: {term!r} for an operand of {shape}; expected a letter for each of its "
                f"{len(shape)} axes, or '...' for those without"
            )
        inputs.append(_labels(term, dots))
        own: dict[Label, int] = {}
        for label, n in zip(inputs[-1], shape, strict=True):
            known = sizes.get(label, 1)
            if own.setdefault(label, n) != n or (known != n and 1 not in (known, n)):
                name = "an axis under '...'" if isinstance(label, int) else repr(label)
                other = own[label] if own[label] != n else known
                raise ShapeError(
                    f"einsum: {name} has sizes {other} and {n} in '{terms}'; "
                    "expected equal ones, or 1 in another operand"
                )
            sizes[label] = n if known == 1 else known
    most = max([-label for label in sizes if isinstance(label, int)], default=0)
    if most and "..." not in terms.output:
        raise ShapeError(
            f"einsum: the result of '{terms}' lacks the {most} axes under '...'; "
            "expected '...' in it, too"
        )
    return inputs, _labels(terms.output, most)


def _prepare(*operands: Spec, subscripts: str) -> dict[str, Any]:
    terms = _read(subscripts)
    _plan(terms, [x.shape for x in operands])
    return {"subscripts": str(terms)}


# Doing


def _ordered(x: Tensor, labels: Labels, wanted: Labels) -> Tensor:
    return x.permute_dims([labels.index(label) for label in wanted])


def _without(x: Tensor, labels: Labels, gone: Collection[Label]) -> tuple[Tensor, Labels]:
    """x summed over some labels; in its own dtype, where a sum would widen small integers."""
    axes = tuple(i for i, label in enumerate(labels) if label in gone)
    if not axes:
        return x, labels
    rest = tuple(label for label in labels if label not in gone)
    return x.sum(axes).astype(x.dtype), rest


def _diagonals(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """x with each label once: of those that stand there twice, the diagonal."""
    for label, count in Counter(labels).items():
        for _ in range(count - 1):
            second = max(i for i, other in enumerate(labels) if other == label)
            first = labels.index(label)
            rest = [i for i in range(x.ndim) if i not in (first, second)]
            x = diagonal(x.permute_dims(*rest, first, second))
            labels = (*(labels[i] for i in rest), label)
    return x, labels


def _product(
    a: Tensor, own: Labels, b: Tensor, others: Labels, kept: Collection[Label]
) -> tuple[Tensor, Labels]:
    """a * b, summed over what both have and nobody needs any more."""
    gone = {label for label in own if label in others and label not in kept}
    # Where one has size 1 there, that is a factor, and the sum is the other's alone.
    uneven = {x for x in gone if a.shape[own.index(x)] != b.shape[others.index(x)]}
    a, own = _without(a, own, uneven)
    b, others = _without(b, others, uneven)
    summed = tuple(label for label in own if label in gone - uneven)
    batch = tuple(label for label in own if label in others and label in kept)
    rows = tuple(label for label in own if label not in others)
    columns = tuple(label for label in others if label not in own)
    a = _ordered(a, own, batch + rows + summed)
    b = _ordered(b, others, batch + summed + columns)
    at = len(batch)
    row_shape = a.shape[at : at + len(rows)]
    column_shape = b.shape[at + len(summed) :]
    if not summed:
        y = a.reshape(*a.shape, *(1,) * len(columns))
        y = y * b.reshape(*b.shape[:at], *(1,) * len(rows), *column_shape)
    else:
        k = math.prod(a.shape[at + len(rows) :])
        y = a.reshape(*a.shape[:at], math.prod(row_shape), k)
        y = y @ b.reshape(*b.shape[:at], k, math.prod(column_shape))
        y = y.reshape(*y.shape[:at], *row_shape, *column_shape)
    return y, batch + rows + columns


def _einsum(*operands: Tensor, subscripts: str) -> Tensor:
    """the operands multiplied, and summed over the labels that aren't put out"""
    inputs, output = _plan(_read(subscripts), [x.shape for x in operands])
    parts = [_diagonals(x, labels) for x, labels in zip(operands, inputs, strict=True)]
    single = []
    for i, (x, labels) in enumerate(parts):
        needed = {*output}.union(*(own for j, (_, own) in enumerate(parts) if j != i))
        single.append(_without(x, labels, {*labels} - needed))
    (y, found), *rest = single
    for i, (x, labels) in enumerate(rest):
        kept = {*output}.union(*(later for _, later in rest[i + 1 :]))
        y, found = _product(y, found, x, labels, kept)
    return _ordered(y, found, output)


_einsum.__name__ = "einsum"  # the op's name; its public function takes the string first
composite(takes="number", prepare=_prepare)(_einsum)
