"""check_op and check_backend: hold a backend's ops to their error budgets, to any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import budgets
from tinyaccel.backend import Device, get_device
from tinyaccel.dtypes import DType, float32
from tinyaccel.errors import CheckError, TinyaccelError
from tinyaccel.jit import jit
from tinyaccel.op import OPS, Op
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.testing.conventions import CONVENTIONS
from tinyaccel.testing.derivatives import (
    Function,
    check_gradient,
    check_transpose,
    op_function,
    pulled,
    trace,
)
from tinyaccel.testing.strategies import (
    Case,
    accepted,
    cases,
    large_cases,
    resolve_reference,
    smooth_cases,
)
from tinyaccel.testing.watch import watched

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array: TypeAlias = npt.NDArray[Any]


@dataclass
class Result:
    """What became of one op in one dtype.

    order     0 for the op itself, 1 for its gradient, 2 for its gradient's gradient
    kernel    what computes it: its own kernel, its body, or an array_api default
    examples  how many cases were run
    worst     the largest error, in units of what is permitted
    failure   None, or one line
    """

    op: str
    device: str
    dtype: str
    jitted: bool
    order: int
    kernel: str
    examples: int = 0
    worst: float = 0.0
    failure: str | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None


@dataclass
class Report:
    """The results of many checks. `print(report)` shows a line each."""

    results: list[Result] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        return [r.failure for r in self.results if r.failure is not None]

    @property
    def ok(self) -> bool:
        return not self.failures

    @property
    def worst(self) -> float:
        """The largest error of all, in units of what is permitted."""
        return max((r.worst for r in self.results), default=0.0)

    def raise_for_failures(self) -> None:
        """Raise `CheckError` with the first failure, if there is one."""
        if not self.ok:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise CheckError(self.failures[0] + more)

    def __str__(self) -> str:
        lines = []
        for r in self.results:
            state = "ok" if r.ok else f"FAILED: {r.failure}"
            how = "jitted" if r.jitted else "eager"
            lines.append(
                f"{r.op:22} {r.dtype:9} order {r.order} {how:6} {r.kernel:9} "
                f"{r.examples:4} examples, worst {r.worst:.3f}  {state}"
            )
        return "\n".join(lines)


def kernel_of(op: Op, device: str | Device) -> str:
    """What computes `op` there: "op" (came with it), "own" (the backend's), "body" or "default"."""
    backend = get_device(device).backend
    if backend.name in op.kernels:
        return "op"
    if op.name in backend.kernels:
        return "own"
    return "body" if op.body is not None else "default"


def check_op(
    name: str,
    device: str | Device = "cpu",
    *,
    jitted: bool = False,
    order: int = 0,
    dtypes: Sequence[DType] | None = None,
    examples: int = 10,
    seed: int = 0,
) -> Report:
    """Hold one op of one backend to its budget; needs hypothesis and mpmath (the extra `test`).

    device    where it runs: a name, or a `Device` of a backend of your own
    jitted    through `jit`, or eagerly, with every kernel's shape, dtype and array type watched
    order     0: the results against the op's reference. 1: its gradient on the device against the
              exact values of the traced gradient, and in float64 on the CPU against finite
              differences and against `jvp`. 2: likewise the gradient of the gradient
    dtypes    those to test; by default all that the op computes in, and for gradients float32
    examples  hypothesis examples for each dtype
    seed      of the examples

    Returns a `Report`; an op that has no gradient has an empty one for orders 1 and 2.

    >>> check_op("tanh", "cpu", examples=3).ok
    True
    """
    op, where = OPS[name], get_device(device)
    report = Report()
    for dtype in _dtypes_to_test(op, dtypes, order):
        result = Result(name, where.name, dtype.name, jitted, order, kernel_of(op, where))
        report.results.append(result)
        try:
            _check_dtype(op, dtype, where, result, examples, seed)
        except TinyaccelError as error:
            result.failure = _one_line(result, error)
        except Exception as error:  # a kernel may fail in any way; say which did
            result.failure = _one_line(result, f"{type(error).__name__}: {error}")
    return report


def _check_dtype(
    op: Op, dtype: DType, device: Device, result: Result, examples: int, seed: int
) -> None:
    def forward(case: Case) -> None:
        _forward(case, device, result)

    def gradient(case: Case) -> None:
        _gradient(case, device, result)

    if result.order == 0:
        for case in large_cases(op, dtype):
            forward(case)
        _drive(cases(op, dtype), examples, seed, forward)
        return
    few = cases(op, dtype, small=True, only=("uniform", "ties"))
    _drive(few, examples, seed, gradient)
    if dtype is float32 and not result.jitted:
        _drive(smooth_cases(op), examples, seed, lambda case: _formulas(case, result))


def check_backend(
    device: str | Device,
    ops: Sequence[str] | None = None,
    *,
    dtypes: Sequence[DType] | None = None,
    examples: int = 10,
    seed: int = 0,
    orders: Sequence[int] = (0, 1, 2),
    jitted: Sequence[bool] = (False, True),
) -> Report:
    """Is this backend right? `check_op` for every op or those named, and `check_conventions`.

    >>> check_backend("cpu", ["add", "relu"], examples=2).ok
    True
    """
    report = Report()
    names = [op.name for op in OPS.values() if op.kind != "custom"] if ops is None else ops
    for name in names:
        for order in orders:
            for jit_it in jitted:
                part = check_op(
                    name, device, jitted=jit_it, order=order, dtypes=dtypes, examples=examples,
                    seed=seed,
                )  # fmt: skip
                report.results += part.results
    for jit_it in jitted:
        report.results += check_conventions(device, names, jitted=jit_it).results
    return report


def check_conventions(
    device: str | Device = "cpu", ops: Sequence[str] | None = None, *, jitted: bool = False
) -> Report:
    """Hold a device to the table of what happens at kinks, ties, NaN, poles and overflow.

    Returns a `Report` with a result for each op that the table (`conventions.CONVENTIONS`) is of.

    >>> check_conventions("cpu", ["relu", "max"]).ok
    True
    """
    where = get_device(device)
    report, known = Report(), dict[str, Result]()
    for convention in CONVENTIONS:
        name = convention.op
        if ops is not None and name not in ops:
            continue
        if name not in known:
            kernel = kernel_of(OPS[name], where)
            known[name] = Result(name, where.name, "convention", jitted, 0, kernel)
            report.results.append(known[name])
        result = known[name]
        result.examples += 1
        deviation = convention.verify(where if jitted else watched(where), jitted=jitted)
        if deviation is not None and result.ok:
            how = "jitted" if jitted else "eager"
            result.failure = f"{name} on {where.name} ({how}): {' '.join(deviation.split())}"
    return report


def _dtypes_to_test(op: Op, wanted: Sequence[DType] | None, order: int) -> list[DType]:
    known = accepted(op)
    if order:
        if not op.domain or op.kind in ("comparison", "creation"):
            return []
        known = [d for d in known if d.is_float]
        wanted = [float32] if wanted is None else wanted
    return [d for d in known if wanted is None or d in wanted]


def _one_line(result: Result, error: object) -> str:
    how = f"{'jitted' if result.jitted else 'eager'}, order {result.order}"
    text = " ".join(str(error).split())
    return f"{result.op} on {result.device} in {result.dtype} ({how}): {text}"


def _drive(
    strategy: SearchStrategy[Case], examples: int, seed: int, check: Callable[[Case], None]
) -> None:
    """Run hypothesis on `check`; the error that comes out is of the simplest case that fails."""
    import hypothesis

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples, database=None, deadline=None, report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )  # fmt: skip
    @hypothesis.given(strategy)
    def run(case: Case) -> None:
        check(case)

    run()


# One case


def _run(f: Function, arrays: Sequence[Array], device: Device, jitted: bool) -> list[Array]:
    """`f` on the device; eagerly under watch."""
    where = device if jitted else watched(device)
    run = jit(f.run) if jitted else f.run
    out: list[Tensor] = list(run(*[tensor(a, device=where) for a in arrays]))
    for y, spec in zip(out, f.outputs, strict=True):
        array = y.numpy()
        if (array.shape, array.dtype) != (spec.shape, spec.dtype.numpy):
            raise CheckError(f"result {array.dtype.name}{list(array.shape)}; expected {spec}")
    return [y.numpy() for y in out]


def _function(case: Case, device: Device) -> tuple[Function, dict[str, Any]]:
    """The call as a function, and its attributes in canonical form."""
    op = OPS[case.op]
    attrs = dict(case.attrs)
    if op.prepare is not None:
        attrs = op.prepare(*case.specs, **attrs)
    out = op.infer(*case.specs, **attrs)
    return op_function(case.op, case.specs, out, attrs, device), attrs


def _judge(case: Case, result: Result, got: Array, exact: Array, allowed: Array, at: str) -> None:
    worst = budgets.measure(got, exact, np.asarray(allowed))
    result.worst = max(result.worst, worst.units)
    if not worst.ok:
        raise CheckError(f"{case}: {at}{worst}")


def _forward(case: Case, device: Device, result: Result) -> None:
    """The op against its reference."""
    op = OPS[case.op]
    f, attrs = _function(case, device)
    (got,) = _run(f, case.arrays, device, result.jitted)
    exact = resolve_reference(op)(*case.arrays, **attrs)
    ((own, bound),) = budgets.bounds(trace(f), case.arrays, rounded_constants=True)
    result.examples += 1
    dtype = f.outputs[0].dtype
    if dtype.is_float:
        if op.budget.kind != "exact":
            bound = bound + dtype.tiny  # below it, zero is as good as any
        open_ = np.isinf(bound) & (np.abs(exact) < dtype.max / 2)
        if open_.any() and case.fill not in ("special", "spread"):
            at = list(np.argwhere(open_)[0])
            raise CheckError(f"{case}: no bound on the error at {at}, where {exact[tuple(at)]}")
        # What is beyond the dtype's largest number is infinite in it.
        exact = np.where(np.isinf(own) & np.isfinite(exact) & (np.abs(exact) > 1), own, exact)
    _judge(case, result, got, np.asarray(exact), bound, "")
    signed = op.kind in ("movement", "ternary") or op.name in ("neg", "abs", "take_along_axis")
    if signed and dtype.is_float and (np.signbit(got) != np.signbit(exact))[exact == exact].any():
        raise CheckError(f"{case}: the sign of a zero is lost")


def _gradient(case: Case, device: Device, result: Result) -> None:
    """The gradient on the device against the exact values of the same gradient."""
    f, _ = _function(case, device)
    if not f.outputs[0].dtype.is_float or not f.floats:
        return
    for _ in range(result.order):
        f = pulled(f)
    rng = np.random.default_rng(case.arrays[0].size)
    extra = f.inputs[len(case.arrays) :]
    arrays = list(case.arrays)
    arrays += [rng.uniform(-2, 2, s.shape).astype(s.dtype.numpy) for s in extra]
    found = budgets.bounds(trace(f), arrays)
    result.examples += 1
    for i, (got, (exact, bound)) in enumerate(
        zip(_run(f, arrays, device, result.jitted), found, strict=True)
    ):
        _judge(case, result, got, exact, bound, f"gradient by input {f.floats[i]} ")


def _formulas(case: Case, result: Result) -> None:
    """The rules themselves, in float64 on the CPU: finite differences know nothing of them."""
    f, _ = _function(case, get_device("cpu"))
    if not f.outputs[0].dtype.is_float or not f.floats:
        return
    rng = np.random.default_rng(case.arrays[0].size)
    arrays = list(case.arrays)
    first = f
    for _ in range(result.order - 1):
        arrays += [np.asarray(rng.uniform(-2, 2, s.shape)) for s in f.outputs]
        f = pulled(f)
    result.examples += 1
    try:
        worst = check_gradient(f, arrays, rng)
        if result.order == 1:
            worst = max(worst, check_transpose(first, arrays, rng))
    except CheckError as error:
        raise CheckError(f"{case}: {error}") from None
    assert math.isfinite(worst)
