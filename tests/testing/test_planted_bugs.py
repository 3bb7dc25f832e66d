"""The checker must be able to fail: bugs that people make, each planted, each killed by name.

A kernel's bug lives in a backend of its own, a rule's in the op's entry of OPS, for one test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from tinyaccel import array_api, testing
from tinyaccel.backend import register_backend
from tinyaccel.op import OPS, Kernel, Op
from tinyaccel.ops.elementwise import equal, less_equal, where
from tinyaccel.ops.reduce import sum as add_up
from tinyaccel.tensor import Tensor, apply
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Bug:
    """What is wrong, where it is planted, and what the checker must say of it.

    op      which op's checks are to find it
    kernel  a wrong kernel, by name; or
    change  fields of the op that are wrong
    says    part of the failure's text
    """

    name: str
    op: str
    says: str
    kernel: dict[str, Kernel] | None = None
    change: Callable[[Op], dict[str, Any]] | None = None


# Wrong kernels


def _naive_sum(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    """One number after another, in the array's own precision."""
    kept = [n for i, n in enumerate(x.shape) if i not in axis]
    rows = np.moveaxis(x, axis, range(len(axis))).reshape(-1, *kept)
    with np.errstate(all="ignore"):
        sums = np.cumsum(rows, axis=0, dtype=x.dtype)
    last = sums[-1] if len(sums) else np.zeros(kept, x.dtype)
    shape = [1 if i in axis else n for i, n in enumerate(x.shape)] if keepdims else kept
    return np.asarray(last).reshape(shape)


def _flipped_weight_grad(g: Array, x: Array, **attrs: Any) -> Array:
    return np.asarray(KERNELS["conv2d_weight_grad"](g, x, **attrs)[:, :, ::-1, ::-1])


def _last_maximum(
    g: Array, x: Array, *, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Array:
    """As the first, seen from behind: right wherever no two values are equal."""
    turned = {
        "kernel": kernel, "stride": stride, "dilation": dilation,
        "padding": tuple((high, low) for low, high in padding),
    }  # fmt: skip
    size = [
        (n - 1) * s + d * (k - 1) + 1 - p[0] - p[1]
        for n, s, d, k, p in zip(g.shape[2:], stride, dilation, kernel, padding, strict=True)
    ]
    out = np.zeros(x.shape, g.dtype)  # what lies past the last window belongs to none
    covered = x[:, :, : size[0], : size[1]]
    back = KERNELS["max_pool2d_input_grad"](
        g[:, :, ::-1, ::-1], covered[:, :, ::-1, ::-1], **turned
    )
    out[:, :, : back.shape[2], : back.shape[3]] = back[:, :, ::-1, ::-1]
    return out


def _one_unit_off(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        y = np.sqrt(x)
    return np.where(y > 0, np.nextafter(y, np.inf, dtype=y.dtype), y)


def _shifted_input_grad(g: Array, w: Array, **attrs: Any) -> Array:
    return np.roll(KERNELS["conv2d_input_grad"](g, w, **attrs), 1, axis=3)


def _wrong_dtype(x: Array) -> Array:
    return np.exp(x.astype(np.float64))


class _Raw(NumpyBackend):
    """NumPy's kernels just as they come, and a bug among them."""

    name: ClassVar[str] = "planted"
    planted: ClassVar[dict[str, Kernel]] = {}

    def __init__(self) -> None:
        self.kernels = KERNELS | self.planted

    def devices(self) -> list[str]:
        return [self.name]

    def kernel(self, op: Op, low: bool = False) -> Kernel | None:
        if op.name not in self.planted:
            return super().kernel(op, low)
        kernel = self.planted[op.name]
        rounds_each_step = kernel in (_matmul_half, _tanh_half)
        return array_api.in_float32(kernel, np) if low and not rounds_each_step else kernel


def _matmul_half(a: Array, b: Array, *, precision: str) -> Array:
    """Float16 all the way, a rounding a step."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    total = np.zeros((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    for k in range(a.shape[-1]):
        total = (total + a[..., :, k, None] * b[..., k, None, :]).astype(a.dtype)
    return total


def _tanh_half(x: Array) -> Array:
    """tanh from e**2x, which is rounded itself."""
    with np.errstate(all="ignore"):
        power = np.exp(2 * np.clip(x, -5, 5)).astype(x.dtype)
        return np.asarray(((power - 1) / (power + 1)).astype(x.dtype))


def _scalar_sum(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _any_pool_padding(x: Array, **attrs: Any) -> Array:
    """Zeros around the image, which beat everything below 0."""
    padding = attrs.pop("padding")
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    return np.asarray(KERNELS["max_pool2d"](padded, padding=((0, 0), (0, 0)), **attrs))


def _no_nan(a: Array, b: Array) -> Array:
    return np.where(a > b, a, b)


# Wrong rules


def _max_ties(g: Tensor, y: Tensor, x: Tensor, *, axis: Any, keepdims: bool) -> Tensor:
    """Every tie takes all of the gradient."""
    shape = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    return where(equal(x, y.reshape(shape)), g.reshape(shape), 0)


def _unsummed(op: Op) -> dict[str, Any]:
    return {"broadcasts": False}


def _softmax_body(x: Tensor, *, axis: int = -1) -> Tensor:
    powers = apply("exp", x)
    return powers / add_up(powers, axis, keepdims=True)


def _between(low: float, x: Tensor, high: float) -> Tensor:
    return apply("bitwise_and", apply("less", low, x), apply("less", x, high))


BUGS: Sequence[Bug] = (
    Bug("tanh's gradient with the wrong sign", "tanh", "finite differences",
        change=lambda op: {"vjp": (lambda g, y, x: g * (y * y - 1),)}),
    Bug("a factor missing in mul's gradient", "mul", "finite differences",
        change=lambda op: {"vjp": (lambda g, y, a, b: g, lambda g, y, a, b: g * a)}),
    Bug("conv2d's weight gradient with the kernel turned round", "conv2d_weight_grad",
        "conv2d_weight_grad on planted in float",
        kernel={"conv2d_weight_grad": _flipped_weight_grad}),
    Bug("pooling's gradient to the last maximum", "max_pool2d_input_grad", "ties values",
        kernel={"max_pool2d_input_grad": _last_maximum}),
    Bug("a sum one number after another", "sum",
        "sum on planted in float32 (eager, order 0): sum(float32[",
        kernel={"sum": _naive_sum}),
    Bug("relu passes its gradient at 0", "relu", "relu'(0) is 0",
        change=lambda op: {"vjp": (lambda g, y, x: where(less_equal(0, x), g, 0),)}),
    Bug("softmax without taking off the largest", "softmax", "got",
        change=lambda op: {"body": _softmax_body}),
    Bug("a float16 product that accumulates in float16", "matmul", "in float16",
        kernel={"matmul": _matmul_half}),
    Bug("a float16 function of several roundings", "tanh", "in float16",
        kernel={"tanh": _tanh_half}),
    Bug("a kernel that returns another dtype", "exp", "returned float64",
        kernel={"exp": _wrong_dtype}),
    Bug("a kernel that returns a NumPy scalar", "sum", "expected ndarray",
        kernel={"sum": _scalar_sum}),
    Bug("a gradient right once, wrong twice: its input is cut off", "square", "order 2",
        change=lambda op: {"vjp": (lambda g, y, x: g * 2 * x.detach(),)}),
    Bug("max gives every tie the whole gradient", "max", "max's ties share",
        change=lambda op: {"vjp": (_max_ties,)}),
    Bug("a gradient not summed back to what was broadcast", "add", "its vjp returned",
        change=_unsummed),
    Bug("pooling pads with zeros", "max_pool2d", "max_pool2d on planted",
        kernel={"max_pool2d": _any_pool_padding}),
    Bug("maximum that loses NaN", "maximum", "NaN", kernel={"maximum": _no_nan}),
    Bug("clip that stops the gradient at its bounds", "clip", "clip's bounds",
        change=lambda op: {"vjp": (lambda g, y, x, *, low, high: where(
            _between(low, x, high), g, 0),)}),
    Bug("a wrong power of the second counter word in random bits", "random_bits", "random_bits on",
        kernel={"random_bits": lambda state, *, shape: array_api.kernels(np)["random_bits"](
            state[[0, 1, 0]], shape=shape)}),
    Bug("a root one unit in the last place too large", "sqrt", "sqrt on planted in float32",
        kernel={"sqrt": _one_unit_off}),
    Bug("a kernel that is wrong in the gradient only", "conv2d", "gradient by input 0",
        kernel={"conv2d_input_grad": _shifted_input_grad}),
    Bug("a comparison that includes equality", "less", "less on planted",
        kernel={"less": np.less_equal}),
)  # fmt: skip


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bug], str]:
    """Puts a bug in place for the length of a test; returns the device that has it."""

    def put(bug: Bug) -> str:
        if bug.change is not None:
            op = OPS[bug.op]
            monkeypatch.setitem(OPS, bug.op, replace(op, **bug.change(op)))
            return "cpu"
        monkeypatch.setattr(_Raw, "planted", bug.kernel)
        register_backend("planted", _Raw)
        return "planted"

    return put


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_bug_is_killed(bug: Bug, plant: Callable[[Bug], str]) -> None:
    """The checks of an op pass without the bug, fail with it, and say what is wrong."""
    clean = testing.check_backend("cpu", [bug.op], examples=12, jitted=[False])
    assert clean.ok, clean.failures[0]
    report = testing.check_backend(plant(bug), [bug.op], examples=12, jitted=[False])
    assert not report.ok, f"{bug.name} survived:\n{report}"
    found = [f for f in report.failures if bug.says in f]
    print(f"{bug.name} | {(found or report.failures)[0]}")
    assert found, report.failures[0]


def test_order_two_alone_finds_a_cut_input(plant: Callable[[Bug], str]) -> None:
    """A rule that is wrong only in its own derivative passes orders 0 and 1, and fails order 2."""
    plant(next(bug for bug in BUGS if "wrong twice" in bug.name))
    failed = [testing.check_op("square", "cpu", order=n, examples=5).ok for n in (0, 1, 2)]
    assert failed == [True, True, False]


def test_failure_names_everything(plant: Callable[[Bug], str]) -> None:
    """A failure's line names op, backend, dtype, shapes, attributes, index, values and error."""
    device = plant(next(bug for bug in BUGS if "turned round" in bug.name))
    report = testing.check_op("conv2d_weight_grad", device, examples=10)
    line = next(f for f in report.failures if "float32" in f)
    for part in ("conv2d_weight_grad on planted in float32 (eager, order 0)", "float32[", "stride=",
                 "at [", "got ", "expected ", "times the permitted"):  # fmt: skip
        assert part in line
    assert "\n" not in line
    with pytest.raises(AssertionError, match="conv2d_weight_grad on planted"):
        report.raise_for_failures()
