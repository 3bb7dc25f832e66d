"""Which shapes and attributes an op is tested with: a list for each kind, or for one op.

Sizes are where kernels break: 0, 1, 2, around 32 (a warp), around 128 and 1,024 (a block).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError
from tinyaccel.op import OPS, Attrs, Op, Spec
from tinyaccel.shapes import Shape

_SMALL = 200  # elements, all inputs together
_FEW = 4


class Layout(NamedTuple):
    """The shapes of an op's inputs, and its attributes."""

    shapes: tuple[Shape, ...]
    attrs: Attrs


def _of(*given: Shape, **attrs: Any) -> Layout:
    return Layout(given, attrs)


_ONE = [
    _of(s)
    for s in (
        (33,), (), (2, 3), (1, 31), (0,), (1,), (2,), (127,), (129,), (1025,), (2, 0, 3), (8, 128),
    )
]  # fmt: skip
_TWO = [
    _of((3, 1), (1, 4)), _of((), (5,)), _of((2, 3), (3,)), _of((33,), (33,)), _of((0,), (1,)),
    _of((), ()), _of((1,), (31,)), _of((5, 1, 7), (2, 1)), _of((129,), (129,)),
    _of((1025,), (1025,)), _of((2, 0, 3), (3,)), _of((1, 1), (8, 128)),
]  # fmt: skip


def _reduce(*, empty: bool, **more: Any) -> list[Layout]:
    """Reductions along one axis, several, all; `empty` says whether nothing may be reduced."""
    result = [
        _of((2, 3, 4), axis=(0, 2), keepdims=False, **more),
        _of((33,), axis=None, keepdims=False, **more),
        _of((5, 3), axis=0, keepdims=True, **more),
        _of((3, 31), axis=-1, keepdims=False, **more),
        _of((2, 0, 3), axis=(0, 2), keepdims=False, **more),
        _of((4, 1, 2), axis=1, keepdims=True, **more),
        _of((129, 3), axis=0, keepdims=False, **more),
        _of((1025,), axis=0, keepdims=False, **more),
        _of((32, 33), axis=0, keepdims=False, **more),
        _of((3, 127), axis=1, keepdims=True, **more),
    ]
    if empty:
        result += [
            _of((3, 0), axis=1, keepdims=False, **more),
            _of((), axis=None, keepdims=False, **more),
        ]
    return result


_CONV = [
    # x, weight, stride, padding, dilation, groups
    ((1, 2, 5, 4), (3, 2, 3, 3), 1, 0, 1, 1),
    ((2, 2, 4, 5), (4, 1, 2, 3), (2, 1), (1, 0), 1, 2),
    ((1, 3, 6, 6), (2, 3, 2, 2), 1, ((1, 0), (0, 2)), 2, 1),
    ((2, 1, 3, 3), (1, 1, 1, 1), 2, 0, 1, 1),
    ((2, 4, 3, 4), (4, 1, 3, 3), 1, 1, 1, 4),
    ((1, 1, 33, 2), (2, 1, 31, 1), 1, 0, 1, 1),
    ((3, 2, 5, 5), (2, 2, 2, 2), 3, 2, 1, 1),
    ((0, 2, 3, 3), (2, 2, 3, 3), 1, 1, 1, 1),
]  # fmt: skip


def _conv2d(arrange: Callable[[Shape, Shape, Shape, Attrs], Layout]) -> list[Layout]:
    """Convolutions as `arrange(x, weight, result, attributes in canonical form)`."""
    op, result = OPS["conv2d"], []
    for x, w, stride, padding, dilation, groups in _CONV:
        specs = [Spec(x, dtypes.float32), Spec(w, dtypes.float32)]
        given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        assert op.prepare is not None
        attrs = op.prepare(*specs, **given)
        out = op.infer(*specs, **attrs).shape
        attrs.pop("precision")  # whatever is set when the op is called
        result.append(arrange(x, w, out, attrs))
    return result


_POOL: list[tuple[Shape, shapes.Pair, shapes.Pair | None, shapes.Pair, shapes.Pair]] = [
    # x, kernel, stride, padding, dilation
    ((1, 2, 4, 5), 2, None, 0, 1),
    ((2, 1, 5, 5), 3, 2, 1, 1),
    ((1, 1, 6, 7), (2, 3), (1, 2), (1, 0), 1),
    ((2, 2, 5, 4), 2, 1, 0, 2),
    ((1, 3, 33, 4), (2, 1), None, 0, 1),
    ((0, 2, 4, 4), 2, None, 0, 1),
]


def _pool(gradient: bool = False, dilated: bool = True) -> list[Layout]:
    result = []
    for x, kernel, stride, padding, dilation in _POOL:
        k = shapes.pair(kernel, "kernel", "pool")
        s = k if stride is None else shapes.pair(stride, "stride", "pool")
        d = shapes.pair(dilation, "dilation", "pool")
        sides = shapes.padding2d(padding, k, s, d, "pool")
        out = shapes.window2d((x[2], x[3]), k, s, sides, d, "pool")
        if gradient:
            at: dict[str, Any] = {"kernel": k, "stride": s, "padding": sides, "dilation": d}
            result.append(_of((*x[:2], *out), x, **at))
        elif dilated:
            result.append(_of(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation))
        elif d == (1, 1):
            result.append(_of(x, kernel=kernel, stride=stride, padding=padding))
    return result


def _windows(folded: bool) -> list[Layout]:
    result = []
    for x, kernel, stride, dilation in (
        ((1, 2, 4, 5), (2, 3), (1, 1), (1, 1)), ((2, 1, 5, 6), (2, 2), (2, 1), (1, 2)),
        ((1, 1, 7, 4), (3, 1), (3, 2), (2, 1)), ((1, 3, 33, 3), (31, 3), (1, 1), (1, 1)),
    ):  # fmt: skip
        out = shapes.window2d((x[2], x[3]), kernel, stride, ((0, 0), (0, 0)), dilation, "fold")
        if folded:
            u = (*x[:2], *kernel, *out)
            result.append(_of(u, size=x[2:], stride=stride, dilation=dilation))
        else:
            result.append(_of(x, kernel=kernel, stride=stride, dilation=dilation))
    return result


def _movement() -> dict[str, list[Layout]]:
    return {
        "reshape": [
            _of((2, 6), shape=(3, 4)), _of((33,), shape=(3, -1)), _of((), shape=(1, 1)),
            _of((0, 3), shape=(3, 0)), _of((8, 128), shape=(1024,)), _of((1,), shape=()),
        ],
        "permute_dims": [
            _of((2, 3), axes=(1, 0)), _of((2, 3, 4), axes=(2, 0, 1)), _of((33,), axes=(0,)),
            _of((), axes=()), _of((2, 0, 3), axes=(-1, 0, 1)), _of((31, 33), axes=(1, 0)),
        ],
        "broadcast_to": [
            _of((3, 1), shape=(2, 3, 4)), _of((), shape=(5,)), _of((1,), shape=(33,)),
            _of((2, 3), shape=(2, 3)), _of((1, 3), shape=(0, 3)), _of((8, 1), shape=(8, 128)),
        ],
        "flip": [
            _of((2, 3), axis=None), _of((33,), axis=0), _of((2, 3, 4), axis=(0, -1)),
            _of((), axis=()), _of((2, 0), axis=1), _of((3, 129), axis=1),
        ],
        "pad": [
            _of((2, 3), widths=((1, 2), (0, 1)), value=0), _of((3,), widths=((2, 0, 2),), value=1),
            _of((2, 3), widths=((0, 0, 1), (1, 1, 2)), value=1), _of((), widths=(), value=0),
            _of((0, 2), widths=((1, 2), (0, 0)), value=1), _of((33,), widths=((0, 95),), value=0),
        ],
        "slice": [
            _of((5, 4), starts=(1, 0), stops=(5, 3), steps=(2, 1)),
            _of((33,), starts=(0,), stops=(33,), steps=(32,)),
            _of((7,), starts=(2,), stops=(2,), steps=(1,)), _of((), starts=(), stops=(), steps=()),
            _of((129, 2), starts=(1, 1), stops=(128, 2), steps=(3, 1)),
        ],
        "concat": [
            _of((2, 3), (1, 3), axis=0), _of((2, 3), (2, 0), (2, 4), axis=-1), _of((33,), axis=0),
            _of((127,), (2,), (1,), axis=0), _of((2, 1, 3), (2, 4, 3), axis=1),
        ],
        "expand_dims": [_of((2, 3), axis=1), _of((), axis=0), _of((33,), axis=-1)],
        "squeeze": [_of((2, 1, 3), axis=1), _of((1, 1), axis=None), _of((1, 33), axis=(0,))],
    }  # fmt: skip


def _others() -> dict[str, list[Layout]]:
    return {
        "where": [
            _of((3, 1), (4,), (1, 1)), _of((), (2, 3), (3,)), _of((33,), (33,), ()),
            _of((2, 3), (), ()), _of((0,), (1,), (1,)), _of((8, 128), (8, 128), (8, 128)),
        ],
        "astype": [_of((33,), dtype=d) for d in dtypes.ALL]
        + [_of((), dtype=dtypes.float32), _of((2, 0), dtype=dtypes.int32)],
        "clip": [_of(s, low=-1.25, high=2.0) for s in ((33,), (2, 3), (), (0,), (129,))],
        "argmax": [
            _of((2, 3, 4), axis=1, keepdims=False), _of((33,), axis=None, keepdims=False),
            _of((5, 3), axis=0, keepdims=True), _of((0, 3), axis=1, keepdims=False),
            _of((3, 129), axis=-1, keepdims=False), _of((1025,), axis=0, keepdims=True),
        ],
        "take_along_axis": [
            _of((4, 3), (2, 3), axis=0), _of((2, 5), (2, 7), axis=-1), _of((33,), (31,), axis=0),
            _of((3, 2), (0, 2), axis=0), _of((2, 129, 1), (2, 1, 1), axis=1),
        ],
        "scatter_add": [
            _of((4, 3), (2, 3), (2, 3), axis=0), _of((2, 5), (2, 9), (2, 9), axis=1),
            _of((3,), (33,), (33,), axis=0), _of((3, 2), (0, 2), (0, 2), axis=0),
            _of((2, 1), (2, 129), (2, 129), axis=1),
        ],
        "matmul": [
            _of((2, 3), (3, 4)), _of((2, 3, 4), (4, 5)), _of((2, 1, 3, 2), (3, 2, 4)),
            _of((1, 1), (1, 1)), _of((4, 5), (2, 5, 3)), _of((33, 31), (31, 2)),
            _of((0, 3), (3, 2)), _of((3, 0), (0, 2)), _of((2, 129), (129, 3)),
            _of((1, 1025), (1025, 2)), _of((32, 32), (32, 32)),
        ],
        "linear": [
            _of((2, 3), (4, 3)), _of((5, 3), (4, 3), (4,)), _of((3,), (2, 3), (2,)),
            _of((2, 3, 4), (5, 4), (5,)), _of((0, 3), (2, 3)), _of((3, 129), (2, 129), (2,)),
        ],
        "softmax": _SOFTMAX, "log_softmax": _SOFTMAX,
        "cross_entropy": [_of((n, c), (n,)) for n, c in ((4, 3), (1, 1), (33, 10), (2, 129))],
        "mse": [_of(s, s) for s in ((2, 3), (), (33,), (3, 129))],
        "dropout": [
            _of(s, s, p=p)
            for s, p in (((2, 3), 0.5), ((33,), 0.1), ((), 0.0), ((5,), 1.0), ((8, 128), 0.25))
        ],
        "batch_norm": [
            _of(x, *[(x[1],)] * 4, eps=eps)
            for x, eps in (((4, 3), 1e-5), ((2, 3, 2, 2), 1e-3), ((1, 33), 1e-5), ((0, 2), 1e-5))
        ],
        "arange": [
            _of(start=a, stop=b, step=s, dtype=dtypes.int32)
            for a, b, s in ((0, 33, 1), (5, -5, -3), (0, 0, 1), (2, 3, 7), (0, 1025, 1))
        ] + [_of(start=-2, stop=9, step=2, dtype=d) for d in (dtypes.float32, dtypes.int64)],
        "random_bits": [_of((3,), shape=s) for s in ((), (0,), (1,), (2, 3), (33,), (1025,))],
    }  # fmt: skip


_SOFTMAX = [
    _of((2, 5), axis=-1), _of((33,), axis=0), _of((2, 3, 4), axis=1), _of((3, 1), axis=1),
    _of((0, 4), axis=1), _of((129, 2), axis=0), _of((2, 1025), axis=1),
]  # fmt: skip


def _by_name() -> dict[str, list[Layout]]:
    reductions: dict[str, list[Layout]] = {
        "sum": _reduce(empty=True),
        "mean": _reduce(empty=True),
        "max": _reduce(empty=False),
        "min": _reduce(empty=False),
        "var": [
            *_reduce(empty=False, correction=0),
            _of((7, 2), axis=0, correction=1, keepdims=False),
        ],
    }
    windows: dict[str, list[Layout]] = {
        "conv2d": _conv2d(lambda x, w, out, at: _of(x, w, **at)),
        "conv2d_input_grad": _conv2d(lambda x, w, out, at: _of(out, w, size=x[2:], **at)),
        "conv2d_weight_grad": _conv2d(lambda x, w, out, at: _of(out, x, kernel=w[2:], **at)),
        "unfold": _windows(folded=False),
        "fold": _windows(folded=True),
        "max_pool2d": _pool(),
        "max_pool2d_input_grad": _pool(gradient=True),
        "avg_pool2d": _pool(dilated=False),
    }
    return reductions | windows | _movement() | _others()


def _from_signature(body: Callable[..., object]) -> list[Layout] | None:
    """The elementwise lists, for a body of one or two inputs that needs no attributes."""
    parameters = inspect.signature(body).parameters.values()
    inputs = [p for p in parameters if p.kind is not p.KEYWORD_ONLY and p.default is p.empty]
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return None
    return {1: _ONE, 2: _TWO}.get(len(inputs))


_known: dict[str, list[Layout]] = {}


def layouts(op: Op, *, small: bool = False) -> Sequence[Layout]:
    """The layouts an op is tested with: at most 12, or at most 4 of few elements if `small`.

    Raises `ArgumentError` for an op of no known kind; add a line for it here.
    """
    if not _known:
        _known.update(_by_name())
    found = _known.get(op.name)
    if found is None and op.kind == "unary":
        found = _ONE
    elif found is None and op.kind in ("binary", "comparison"):
        found = _TWO
    elif found is None and op.body is not None:
        found = _from_signature(op.body)
    if found is None:
        raise ArgumentError(
            f"{op.name}: no shapes to test it with; list some in testing/layouts.py"
        )
    if not small:
        return found
    few = [at for at in found if sum(map(math.prod, at.shapes)) <= _SMALL]
    return (few or list(found[:1]))[:_FEW]
