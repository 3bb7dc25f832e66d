"""One call of an op on one device, held against what is right: the four ways of judging it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import budgets
from tinyaccel.autograd import jvp, vjp
from tinyaccel.backend import Device, get_device
from tinyaccel.errors import CheckError
from tinyaccel.jit import jit
from tinyaccel.op import OPS
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.testing.arrange import placed
from tinyaccel.testing.derivatives import (
    Function,
    check_gradient,
    check_transpose,
    op_function,
    pulled,
    trace,
)
from tinyaccel.testing.report import Result
from tinyaccel.testing.runnable import runnable
from tinyaccel.testing.strategies import Case, keeps_signs, resolve_reference
from tinyaccel.testing.watch import watched

Array: TypeAlias = npt.NDArray[Any]


@dataclass
class Judge:
    """Judges cases of one op, in one dtype, on one device, and keeps account in `result`.

    Eagerly, every kernel is under watch; jitted, the compiled graph runs as it does for users.
    """

    device: Device
    result: Result
    place: Device = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.device if self.result.jitted else watched(self.device)

    def forward(self, case: Case) -> None:
        """The op against its reference; and its inputs and earlier results are left alone."""
        op = OPS[case.op]
        f, attrs = _function(case, self.device)
        (got,) = self._run(f, case.arrays, case, again=True)
        exact = _referred(case, attrs)
        ((own, bound),) = budgets.bounds(trace(f), case.arrays, rounded_constants=True)
        self.result.examples += 1
        dtype = f.outputs[0].dtype
        if op.budget.kind == "exact":  # of a composite, whatever its steps may be off
            bound = np.zeros_like(bound)
        if dtype.is_float:
            if op.budget.kind != "exact":
                bound = bound + dtype.tiny  # below it, zero is as good as any
            open_ = np.isinf(bound) & (np.abs(exact) < dtype.max / 2)
            if open_.any() and case.fill not in ("special", "spread"):
                at = list(np.argwhere(open_)[0])
                raise CheckError(f"{case}: no bound on the error at {at}, where {exact[tuple(at)]}")
            # What is beyond the dtype's largest number is infinite in it.
            exact = np.where(np.isinf(own) & np.isfinite(exact) & (np.abs(exact) > 1), own, exact)
        self._judge(case, got, np.asarray(exact), bound, "")
        if keeps_signs(op) and dtype.is_float:
            lost = (np.signbit(got) != np.signbit(exact)) & (exact == exact)
            if lost.any():
                raise self._failure(case, f"the sign of a zero is lost at {_first(lost)}")

    def gradient(self, case: Case) -> None:
        """The gradient on the device against the exact values of the same gradient."""
        f, _ = _function(case, self.device)
        if not _has_gradient(f):
            return
        for _ in range(self.result.order):
            f = pulled(f)
        rng = np.random.default_rng(case.arrays[0].size)
        extra = [_random(rng, spec) for spec in f.inputs[len(case.arrays) :]]
        arrays = [*case.arrays, *extra]
        found = budgets.bounds(trace(f), arrays)
        self.result.examples += 1
        for i, (got, (exact, bound)) in enumerate(
            zip(self._run(f, arrays, case), found, strict=True)
        ):
            self._judge(case, got, exact, bound, f"gradient by input {f.floats[i]} ", extra)

    def transpose(self, case: Case) -> None:
        """<v, J t> = <J^T v, t> on the device: `jvp` and `vjp` are each other's transpose."""
        f, _ = _function(case, self.device)
        if not _has_gradient(f):
            return
        both = _inner_products(f)
        rng = np.random.default_rng(case.arrays[0].size + 1)
        extra = [_random(rng, spec) for spec in both.inputs[len(case.arrays) :]]
        arrays = [*case.arrays, *extra]
        bound = sum(error for _, error in budgets.bounds(trace(both), arrays))
        left, right = (y.astype(np.float64) for y in self._run(both, arrays, case))
        self.result.examples += 1
        worst = budgets.measure(left, right, np.asarray(bound))
        self.result.worst = max(self.result.worst, worst.units)
        if not worst.ok:
            raise CheckError(
                f"{case}: jvp and vjp disagree: <v, J t> = {worst.got!r}, but <J^T v, t> = "
                f"{worst.expected!r}, {worst.units:.3g} times the permitted {worst.allowed:.3g} "
                "apart"
            )

    def formulas(self, case: Case) -> None:
        """The rules themselves, in float64 on the CPU: finite differences know nothing of them."""
        f, _ = _function(case, get_device("cpu"))
        if not _has_gradient(f):
            return
        rng = np.random.default_rng(case.arrays[0].size)
        arrays = list(case.arrays)
        first = f
        for _ in range(self.result.order - 1):
            arrays += [np.asarray(rng.uniform(-2, 2, s.shape)) for s in f.outputs]
            # By all inputs at once, or by one, whose gradient must still depend on the others.
            turn = self.result.examples % (len(f.floats) + 1)
            f = pulled(f, f.floats[turn - 1 : turn] or None)
        self.result.examples += 1
        try:
            worst = check_gradient(f, arrays, rng)
            if self.result.order == 1:
                worst = max(worst, check_transpose(first, arrays, rng))
        except CheckError as error:
            raise CheckError(f"{case}: {error}") from None
        assert math.isfinite(worst)

    def _run(
        self, f: Function, arrays: Sequence[Array], case: Case, *, again: bool = False
    ) -> list[Array]:
        """`f` on the device. `again`: once more with other values, and then the first is read."""
        run = jit(f.run) if self.result.jitted else f.run
        inputs = [placed(a, case.how(i), self.place) for i, a in enumerate(arrays)]
        before = [x.numpy().tobytes() for x in inputs]
        out: list[Tensor] = list(run(*inputs))
        got = [y.numpy() for y in out]
        for array, spec in zip(got, f.outputs, strict=True):
            if (array.shape, array.dtype) != (spec.shape, spec.dtype.numpy):
                raise CheckError(
                    f"{case}: result {array.dtype.name}{list(array.shape)}; expected {spec}"
                )
        for i, (x, values) in enumerate(zip(inputs, before, strict=True)):
            if x.numpy().tobytes() != values:
                raise CheckError(f"{case}: input {i} was changed; a kernel writes to none")
        if again and any(a.size > 1 for a in arrays):
            run(*[tensor(np.roll(a, 1), device=self.place) for a in arrays])
            if any(y.numpy().tobytes() != a.tobytes() for y, a in zip(out, got, strict=True)):
                raise CheckError(
                    f"{case}: its result was overwritten by a later call with other values; "
                    "each call returns arrays of its own"
                )
        return got

    def _judge(
        self, case: Case, got: Array, exact: Array, allowed: Array, at: str,
        cotangents: Sequence[Array] = (),
    ) -> None:  # fmt: skip
        worst = budgets.measure(got, exact, np.asarray(allowed))
        self.result.worst = max(self.result.worst, worst.units)
        if not worst.ok:
            raise self._failure(case, f"{at}{worst}", cotangents)

    def _failure(self, case: Case, what: str, cotangents: Sequence[Array] = ()) -> CheckError:
        """What is wrong, and if it is short the line of Python that shows it."""
        line = runnable(case, self.device.name, self.result.order, cotangents)
        return CheckError(f"{case}: {what}" + (f"; run {line}" if line else ""))


_KEPT = 256  # answers of references, which take most of the time
_answers: dict[tuple[object, ...], Array] = {}


def _referred(case: Case, attrs: dict[str, Any]) -> Array:
    """What the reference says; the same call jitted after eager, or elsewhere, is looked up."""
    reference = resolve_reference(OPS[case.op])
    values = tuple((a.dtype.name, a.shape, a.tobytes()) for a in case.arrays)
    key = (reference, repr(attrs), values)
    if key not in _answers:
        if len(_answers) >= _KEPT:
            _answers.clear()
        _answers[key] = reference(*case.arrays, **attrs)
    return _answers[key]


def _first(where: Array) -> list[int]:
    return [int(i) for i in np.argwhere(where)[0]]


def _random(rng: np.random.Generator, spec: Any) -> Array:
    """Cotangents and tangents, in halves and quarters, so that a line of Python can hold them."""
    return np.asarray(rng.integers(-8, 9, spec.shape) / 4).astype(spec.dtype.numpy)


def _has_gradient(f: Function) -> bool:
    return f.outputs[0].dtype.is_float and bool(f.floats)


def _function(case: Case, device: Device) -> tuple[Function, dict[str, Any]]:
    """The call as a function, and its attributes in canonical form."""
    op = OPS[case.op]
    attrs = dict(case.attrs)
    if op.prepare is not None:
        attrs = op.prepare(*case.specs, **attrs)
    out = op.infer(*case.specs, **attrs)
    return op_function(case.op, case.specs, out, attrs, device), attrs


def _inner_products(f: Function) -> Function:
    """(inputs, tangents of the float ones, cotangent) -> (<v, J t>, <J^T v, t>)."""
    positions, n = f.floats, len(f.inputs)

    def run(*args: Tensor) -> tuple[Tensor, ...]:
        given, tangents, v = list(args[:n]), args[n:-1], args[-1]

        def moved(*moving: Tensor) -> Tensor:
            for i, x in zip(positions, moving, strict=True):
                given[i] = x
            return f.run(*given)[0]

        points = [args[i] for i in positions]
        _, forward = jvp(moved, points, tangents)
        _, pull = vjp(moved, *points)
        right = [(g * t).sum() for g, t in zip(pull(v), tangents, strict=True)]
        total = right[0]
        for part in right[1:]:
            total = total + part
        return (v * forward).sum(), total

    outputs = tuple(spec._replace(shape=()) for spec in (f.outputs[0], f.inputs[positions[0]]))
    return Function(run, (*f.inputs, *[f.inputs[i] for i in positions], f.outputs[0]), outputs)
