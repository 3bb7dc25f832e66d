"""What the tests of an op draw: hypothesis strategies for its shapes, attributes and values.

Shapes come from a fixed list per op, at most 12, so that a compiled backend compiles each once;
for the others they are drawn freely as well. Values come from a seed and a way of filling, so that
a draw is small, and shrinks; and they may lie in memory otherwise than row after row.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DTypeError
from tinyaccel.op import OPS, Attrs, Interval, Op, Spec
from tinyaccel.testing.arrange import ARRANGEMENTS, PLAIN, applies, fitting
from tinyaccel.testing.drawn import drawn_layouts, listed_layouts, takes_any_shape
from tinyaccel.testing.layouts import Layout, large_layouts, layouts, role
from tinyaccel.testing.references import reference

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Case:
    """One call of an op: host arrays, attributes, and how the values were filled in.

    lie  how each array lies on the device (see `arrange`); those left out are plain
    """

    op: str
    arrays: tuple[Array, ...]
    attrs: Attrs
    fill: str
    lie: tuple[str, ...] = ()

    @property
    def specs(self) -> tuple[Spec, ...]:
        return tuple(Spec(a.shape, dtypes.as_dtype(a.dtype)) for a in self.arrays)

    def how(self, position: int) -> str:
        """How an input lies on the device: "plain", "strided", ..."""
        return self.lie[position] if position < len(self.lie) else PLAIN

    def __str__(self) -> str:
        ways = [self.how(i) for i in range(len(self.arrays))]
        shown = [
            str(s) if way == PLAIN else f"{s} {way}"
            for s, way in zip(self.specs, ways, strict=True)
        ]
        shown += [f"{name}={value!r}" for name, value in self.attrs.items()]
        return f"{self.op}({', '.join(shown)}) of {self.fill} values"


def accepted(op: Op) -> list[DType]:
    """The dtypes that the op computes in; those that it would cast first are left out."""
    layout = layouts(op)[0]
    free = [i for i in range(len(layout.shapes)) if role(op, i) is None]
    if not free:
        return [layout.attrs["dtype"]] if "dtype" in layout.attrs else [dtypes.uint32]
    result = []
    for dtype in dtypes.ALL:
        given = [dtype if i in free else _role_dtype(op, i) for i in range(len(layout.shapes))]
        try:
            if op.input_dtypes(given) == given:
                result.append(dtype)
        except DTypeError:
            continue
    return result


def _role_dtype(op: Op, position: int) -> DType:
    what = role(op, position)
    return {"condition": dtypes.bool_, "bits": dtypes.uint32, "state": dtypes.uint32}.get(
        what or "", dtypes.int32
    )


# Values


_SPECIAL_KINDS = ("unary", "binary", "comparison", "ternary", "movement", "cast", "reduction")
_MOVING = (
    "take_along_axis", "take", "index_set", "expand_dims", "squeeze", "diagonal", "tril", "triu",
    "roll", "tile", "repeat", "pad_reflect", "pad_edge",
)  # fmt: skip
_SPECIAL = (
    "argsort", "sort", "min", "argmin", "sign", "clip", "not_equal", "isnan", "isinf", "isfinite",
    "signbit", "copysign", "logical_and", "logical_or", "logical_xor", "logical_not", "ceil",
    "round", "trunc", "any", "all", "count_nonzero", *_MOVING,
)  # fmt: skip
_EXACT_KINDS = ("movement", "ternary")


def keeps_bits(op: Op) -> bool:
    """Whether it only moves or chooses: subnormal numbers and signs of zero stay, too."""
    return op.kind in _EXACT_KINDS or op.name in _MOVING


_SIGNED = ("neg", "abs", "floor", "ceil", "round", "trunc", "copysign")


def keeps_signs(op: Op) -> bool:
    """Whether its zeros must have the right sign."""
    return keeps_bits(op) or op.name in _SIGNED


def fills(op: Op, dtype: DType) -> list[str]:
    """The ways in which an op's inputs are filled in.

    uniform   evenly over the domain
    spread    evenly over the domain's orders of magnitude, of both signs
    ties      few different values, so that many are equal
    constant  0.1 everywhere: what a naive sum accumulates to, it gets wrong
    special   NaN, infinities, zeros of both signs among the others; for integers the limits
    """
    if dtype.kind == "bool":
        return ["uniform"]
    special = op.kind in _SPECIAL_KINDS or op.name in _SPECIAL
    if dtype.is_integer:
        return ["uniform", "ties", *["special"] * special]
    return ["uniform", "spread", "ties", "constant", *["special"] * special]


def _interval(op: Op, position: int, dtype: DType) -> Interval:
    """The op's domain for an input, cut down to what the dtype can hold."""
    low, high, away = op.domain[min(position, len(op.domain) - 1)] if op.domain else Interval()
    if dtype.is_float:
        top = float(dtype.max) / 4
        low, high = max(low, -top), min(high, top)
        if low > 0:
            low = max(low, 4 * dtype.tiny)
        return Interval(low, high, away)
    low, high = max(np.ceil(low), dtype.min), min(np.floor(high), dtype.max)
    return Interval(low, high)


def _filled(op: Op, position: int, spec: Spec, fill: str, rng: np.random.Generator) -> Array:
    """The values of one input."""
    shape, dtype = spec
    if dtype.kind == "bool":
        return rng.random(shape) < 0.5
    low, high, away = _interval(op, position, dtype)
    if dtype.is_integer:
        whole = rng.integers(int(low), int(high), shape, endpoint=True)
        if fill == "ties":
            whole = np.clip(whole, int(low), int(low) + 2)
        elif fill == "special" and "shift" not in op.name and op.name != "pow":
            limits = rng.choice([dtype.min, dtype.max, 0, 1], shape)
            whole = np.where(rng.random(shape) < 0.5, whole, limits)
        return whole.astype(dtype.numpy)
    values = rng.uniform(low, high, shape)
    if fill == "spread":
        least = max(low, away, high * 1e-6, 16 * dtype.tiny)
        sizes = np.exp(rng.uniform(np.log(least), np.log(high), shape))
        values = np.where((rng.random(shape) < 0.5) & (low < 0), np.maximum(-sizes, low), sizes)
    elif fill == "ties":
        values = np.clip(rng.integers(-2, 3, shape) / 2, low, high)
    elif fill == "constant":
        values = np.full(shape, np.clip(0.1, low, high))
    elif fill == "special":
        choices = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0]
        if keeps_bits(op) and dtype is not dtypes.bfloat16:  # which XLA copies through float32
            choices.append(dtype.tiny / 4)
        values = np.where(rng.random(shape) < 0.5, values, rng.choice(choices, shape))
    if away and fill != "special":
        values = np.where(np.abs(values) < away, np.copysign(away, values), values)
    return values.astype(dtype.numpy)


def _with_role(op: Op, position: int, layout: Layout, rng: np.random.Generator) -> Array:
    """Indices, labels, bits: integers that mean something."""
    shape = layout.shapes[position]
    what = role(op, position)
    if what == "condition":
        return rng.random(shape) < 0.5
    if what in ("bits", "state"):
        return rng.integers(0, 2**32, shape, dtype=np.uint32)
    n = layout.shapes[0][1 if what == "label" else layout.attrs["axis"]]
    low = 0 if what == "label" else -n
    return rng.integers(low, n, shape).astype(np.int32) if n else np.zeros(shape, np.int32)


def make_case(
    op: Op, dtype: DType, layout: Layout, fill: str, seed: int, lie: Sequence[str] = ()
) -> Case:
    """The case that these choices describe; the same choices give the same case.

    lie  how the inputs are to lie, by turns, where their shapes allow it
    """
    rng = np.random.default_rng(seed)
    arrays = [
        _with_role(op, i, layout, rng)
        if role(op, i) is not None
        else _filled(op, i, Spec(shape, dtype), fill, rng)
        for i, shape in enumerate(layout.shapes)
    ]
    ways = tuple(
        lie[i % len(lie)] if lie and applies(shape, lie[i % len(lie)]) else PLAIN
        for i, shape in enumerate(layout.shapes)
    )
    given = tuple(fitting(np.asarray(a), way) for a, way in zip(arrays, ways, strict=True))
    return Case(op.name, given, layout.attrs, fill, ways)


def cases(
    op: Op | str,
    dtype: DType,
    *,
    small: bool = False,
    only: Sequence[str] | None = None,
    free: bool = True,
) -> SearchStrategy[Case]:
    """Calls of an op in one dtype.

    small  of few elements, for gradients
    only   the ways of filling in values; all that the op allows by default (see `fills`)
    free   shapes and attributes also drawn freely, inputs also strided, transposed, flipped and
           broadcast; else the listed shapes alone, for backends that compile each
    """
    from hypothesis import strategies as st

    found = OPS[op] if isinstance(op, str) else op
    ways = [f for f in fills(found, dtype) if only is None or f in only]
    ways.sort(key=lambda fill: fill != "ties")  # few digits: the simplest to read
    lie = st.sampled_from([PLAIN, *ARRANGEMENTS])
    listed = listed_layouts(found, small=small)
    return st.builds(
        make_case,
        st.just(found),
        st.just(dtype),
        drawn_layouts(found, small=small) if free else st.sampled_from(listed),
        st.sampled_from(ways),
        st.integers(0, 2**16),
        st.tuples(lie, lie, lie) if free else st.just(()),
    )


_WIDE = (9, 129)  # no multiple of any tile, and more than 1024 elements


def every_layout(op: Op, dtype: DType, seed: int = 0) -> list[Case]:
    """One call of each layout in the list: no attribute is left to chance."""
    return [make_case(op, dtype, layout, "uniform", seed) for layout in layouts(op)]


def large_cases(op: Op, dtype: DType) -> list[Case]:
    """What must be met in each run, however few examples are drawn.

    Long sums of numbers that all err the same way, where naive summation gives in; for an op
    that takes any shape, more elements than a block of threads has.
    """
    if dtype not in (dtypes.float32, dtypes.float16):
        return []
    result = [make_case(op, dtype, at, "constant", 0) for at in large_layouts(op)]
    if dtype is dtypes.float32 and takes_any_shape(op):
        base = layouts(op)[0]
        wide = Layout((_WIDE,) * len(base.shapes), base.attrs)
        result.append(make_case(op, dtype, wide, "uniform", 0))
    return result


def arranged_cases(op: Op, dtype: DType) -> list[Case]:
    """A small call with its inputs strided, transposed, flipped, broadcast: each at least once."""
    if dtype is not _main_dtype(op):
        return []
    several = [at for at in listed_layouts(op) if any(applies(s, "transposed") for s in at.shapes)]
    fill = fills(op, dtype)[0]
    views = [way for way in ARRANGEMENTS if way != PLAIN]
    return [
        make_case(op, dtype, at, fill, 1, [*views[i:], *views[:i]])
        for at in several[:1]
        for i in range(len(views))
    ]


def _main_dtype(op: Op) -> DType:
    """The one in which an op is tested most."""
    known = accepted(op)
    return dtypes.float32 if dtypes.float32 in known else known[0]


def resolve_reference(op: Op) -> Callable[..., Array]:
    """The independent implementation that `op` names; `ArgumentError` if there is none."""
    if op.reference is None:
        return reference(op.name)
    module, _, name = op.reference.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    if found is None:
        raise ArgumentError(f"{op.name}: its reference {op.reference} doesn't exist")
    return found  # type: ignore[no-any-return]  # by name


# Places where every op is smooth, for finite differences


def _smooth(op: Op, layout: Layout, rng: np.random.Generator) -> list[Array]:
    """All numbers different, by more than a finite difference's step, and away from every kink."""
    free = [i for i in range(len(layout.shapes)) if role(op, i) is None]
    counts = [int(np.prod(layout.shapes[i])) for i in free]
    ranks = rng.permutation(sum(counts)) + rng.uniform(0.3, 0.45)
    parts = np.split(ranks / max(len(ranks), 1), np.cumsum(counts)[:-1]) if free else []
    arrays = {}
    for i, part in zip(free, parts, strict=True):
        low, high, away = _interval(op, i, dtypes.float64)
        low, high = max(low, -3.0), min(high, 3.0)
        if low >= 0 or away:
            low = max(low, 0.3)
        values = (low + part * (high - low)).reshape(layout.shapes[i])
        values = np.where(np.abs(values) < 0.005, values + 0.01, values)
        arrays[i] = values * rng.choice([-1, 1], values.shape) if away else values
    if op.name in ("floor", "ceil", "round", "trunc"):  # away from whole and half numbers
        arrays[0] = np.floor(arrays[0]) + 0.6 + 0.3 * rng.random(arrays[0].shape)
    if op.name in ("remainder", "floor_divide"):  # a / b away from whole numbers
        part = 0.2 + 0.6 * rng.random(arrays[0].shape)
        arrays[1] = np.copysign(np.maximum(np.abs(arrays[1]), 1), arrays[1])
        if arrays[0].shape == arrays[1].shape:
            part = arrays[1] * (np.floor(arrays[0] / arrays[1]) + part)
        arrays[0] = part
    for bound in (layout.attrs.get("low"), layout.attrs.get("high")):
        if bound is not None:
            near = np.abs(arrays[0] - bound) < 0.01
            arrays[0] = np.where(near, arrays[0] + 0.02, arrays[0])
    return [
        arrays[i] if i in free else _with_role(op, i, layout, rng)
        for i in range(len(layout.shapes))
    ]


def make_smooth(op: Op, layout: Layout, seed: int) -> Case:
    """A float64 case in whose neighbourhood the op is smooth."""
    rng = np.random.default_rng(seed)
    attrs = dict(layout.attrs)
    if op.name == "astype":
        attrs["dtype"] = dtypes.float64
    return Case(op.name, tuple(map(np.asarray, _smooth(op, layout, rng))), attrs, "smooth")


def smooth_cases(op: Op | str) -> SearchStrategy[Case]:
    """Small float64 calls at which the op may be differentiated, as often as one likes."""
    from hypothesis import strategies as st

    found = OPS[op] if isinstance(op, str) else op
    return st.builds(
        make_smooth,
        st.just(found),
        st.sampled_from(layouts(found, small=True)),
        st.integers(0, 2**16),
    )
