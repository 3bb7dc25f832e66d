"""check_op, check_backend and what they consist of: hold a backend to all that it promises."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tinyaccel.backend import Device, get_device
from tinyaccel.dtypes import DType, as_dtype, float32
from tinyaccel.errors import ArgumentError, TinyaccelError
from tinyaccel.op import OPS, Op
from tinyaccel.testing.checks import CHECKS, Check
from tinyaccel.testing.conventions import CONVENTIONS
from tinyaccel.testing.known import excused, no_longer, op_of, remove_it
from tinyaccel.testing.lacking import is_there, lacking, needs, present
from tinyaccel.testing.report import Kind, Report, Result
from tinyaccel.testing.strategies import (
    Case,
    accepted,
    arranged_cases,
    cases,
    every_layout,
    large_cases,
    smooth_cases,
)
from tinyaccel.testing.verdict import Judge
from tinyaccel.testing.watch import watched

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "Report",
    "Result",
    "check_backend",
    "check_conventions",
    "check_device",
    "check_op",
    "kernel_of",
]

Progress: TypeAlias = Callable[[str], None]
DTypeName: TypeAlias = DType | str


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
    dtypes: Sequence[DTypeName] | None = None,
    examples: int = 10,
    seed: int = 0,
) -> Report:
    """Hold one op of one backend to its budget; needs hypothesis and mpmath (the extra `test`).

    device    where it runs: a name, or a `Device` of a backend of your own
    jitted    through `jit`, or eagerly, with every kernel under watch: shape, dtype and array
              type of its result; inputs and earlier results left as they are
    order     0: the results against the op's reference. 1: its gradient on the device against the
              exact values of the traced gradient, and `vjp` against `jvp`; in float64 on the CPU
              against finite differences. 2: likewise the gradient of the gradient
    dtypes    those to test; by default all that the op computes in, and for gradients float32
    examples  hypothesis examples for each dtype
    seed      of the examples

    Returns a `Report`; an op that has no gradient has an empty one for orders 1 and 2. What the
    backend lists among its `known_differences` is reported as known, and doesn't fail; nothing is
    run in a dtype that it lists there.

    >>> check_op("tanh", "cpu", examples=3).ok
    True
    """
    if name not in OPS:
        raise ArgumentError(f"check_op: op {name!r} is unknown; tinyaccel.op.OPS lists them")
    op, where = OPS[name], get_device(device)
    report = Report()
    for dtype in present(_dtypes_to_test(op, dtypes, order), where):
        result = Result(name, where.name, dtype.name, jitted, order, kernel_of(op, where))
        report.results.append(result)
        try:
            _check_dtype(op, dtype, Judge(where, result), examples, seed)
        except TinyaccelError as error:
            result.failure = _one_line(result, error)
        except Exception as error:  # a kernel may fail in any way; say which did
            result.failure = _one_line(result, f"{type(error).__name__}: {error}")
        excused(result, where)
    return report


def _check_dtype(op: Op, dtype: DType, judge: Judge, examples: int, seed: int) -> None:
    free, missing = not judge.device.backend.compiles_each_shape, lacking(judge.device)
    seed += zlib.crc32(f"{op.name}:{dtype}".encode())  # or each dtype would draw the same cases
    if judge.result.order == 0:
        # What is drawn comes first: a failure there is shrunk, and the easier to read.
        drawn = cases(op, dtype, free=free).filter(lambda case: _can_run(case, missing))
        _drive(drawn, examples, seed, judge.forward)
        fixed = [*large_cases(op, dtype), *(arranged_cases(op, dtype) if free else [])]
        # A body's steps are compiled one by one, and have tests of their own.
        once = not judge.result.jitted and judge.result.kernel != "body"
        if dtype is _main_dtype(op) and (free or once):
            fixed += every_layout(op, dtype, seed)
        for case in fixed:
            if _can_run(case, missing):
                judge.forward(case)
        return
    few = cases(op, dtype, small=True, only=("uniform", "ties"), free=free)
    few = few.filter(lambda case: _can_run(case, missing))
    _drive(few, examples, seed, judge.gradient)
    if dtype is not float32:
        return
    if judge.result.order == 1 and (free or judge.result.jitted):
        _drive(few, max(1, examples // 4) if free else 1, seed, judge.transpose)
    if not judge.result.jitted:
        _drive(smooth_cases(op), examples, seed, judge.formulas)


def _can_run(case: Case, missing: Sequence[DType]) -> bool:
    """Whether a call needs no dtype that the backend lacks: `x.astype(float16)` does."""
    return not needs(case.attrs.values(), missing)


def check_backend(
    device: str | Device,
    ops: Sequence[str] | None = None,
    *,
    dtypes: Sequence[DTypeName] | None = None,
    examples: int = 5,
    seed: int = 0,
    orders: Sequence[int] = (0, 1, 2),
    jitted: Sequence[bool] = (False, True),
    progress: Progress | None = None,
) -> Report:
    """Is this backend right? Every op or those named, conventions, and what no single op is about.

    Runs `check_op` and `check_conventions`, and without `ops` also `check_device`: transfer to the
    device and back, random numbers, state under jit. A difference that the backend lists in
    `known_differences` and that isn't there any more is a failure of its own, in a whole run.

    device    a device's or backend's name, or a `Device`
    dtypes    those to test; by default all that each op computes in, and for gradients float32
    examples  hypothesis examples for each op, dtype, order and mode
    seed      of the examples: the same seed draws the same
    progress  is called with the name of each op and check before it runs

    >>> check_backend("cpu", ["add", "relu"], examples=2).ok
    True
    """
    where = get_device(device)
    report = Report()
    names = [op.name for op in OPS.values() if op.kind != "custom"] if ops is None else list(ops)
    tell = progress if progress is not None else _silently
    for number, name in enumerate(names, start=1):
        tell(name)
        if number % _MANY == 0:
            where.backend.forget()
        for order in orders:
            for jit_it in jitted:
                part = check_op(
                    name, where, jitted=jit_it, order=order, dtypes=dtypes, examples=examples,
                    seed=seed,
                )  # fmt: skip
                report.results += part.results
    tell("conventions")
    for jit_it in jitted:
        report.results += check_conventions(where, names, jitted=jit_it).results
    if ops is None:
        report.results += check_device(where, progress=progress).results
    missing = lacking(where) if dtypes is None else []
    report.results += [check_lacking(dtype, where) for dtype in missing]
    if dtypes is None and {*orders} >= {0, 1, 2} and len({*jitted}) == 2:
        report.results += no_longer(report, where)
    return report


_MANY = 16  # ops, after which what was compiled for them is let go of: it comes to gigabytes


def _silently(name: str) -> None:
    pass


def check_conventions(
    device: str | Device = "cpu", ops: Sequence[str] | None = None, *, jitted: bool = False
) -> Report:
    """Hold a device to the table of what happens at kinks, ties, NaN, poles and overflow.

    Returns a `Report` with a result for each op that the table (`conventions.CONVENTIONS`) is of.

    >>> check_conventions("cpu", ["relu", "max"]).ok
    True
    """
    where = get_device(device)
    place, missing = where if jitted else watched(where), lacking(where)
    report, known = Report(), dict[str, Result]()
    for convention in CONVENTIONS:
        name = convention.op
        if (ops is not None and name not in ops) or needs(convention.dtypes, missing):
            continue
        if name not in known:
            kernel = kernel_of(OPS[name], where)
            known[name] = Result(
                name, where.name, "convention", jitted, 0, kernel, kind="convention"
            )
            report.results.append(known[name])
        result = known[name]
        result.examples += 1
        if not result.ok:
            continue
        try:
            deviation = convention.verify(place, jitted=jitted)
        except Exception as error:  # a kernel may fail in any way; say which did
            deviation = f"{convention.says}: raised {type(error).__name__}: {error}"
        if deviation is not None:
            how = "jitted" if jitted else "eager"
            result.failure = f"{name} on {where.name} ({how}): {' '.join(deviation.split())}"
            excused(result, where, convention.says)
            if result.known is not None:
                del known[name]  # a result of its own, so that the next one has its own key
    return report


def check_device(
    device: str | Device = "cpu",
    kinds: Sequence[Kind] = ("transfer", "random", "state"),
    *,
    progress: Progress | None = None,
) -> Report:
    """Hold a device to what no single op is about, a result for each check by name.

    kinds  transfer: arrays go there and come back, as copies. random: streams of numbers, to the
           bit. state: what `jit` may keep, and what it must read anew and write back

    >>> check_device("cpu", ["transfer"]).ok
    True
    """
    where = get_device(device)
    return Report([check_named(check, where, progress) for check in CHECKS if check.kind in kinds])


def check_named(check: Check, device: Device, progress: Progress | None = None) -> Result:
    """The result of one check by name."""
    if progress is not None:
        progress(check.name)
    jitted = check.kind == "state"
    result = Result(check.name, device.name, "", jitted, 0, "", 1, kind=check.kind)
    deviation = check.verify(device)
    if deviation is not None:
        result.failure = f"{check.name} on {device.name}: {deviation}"
        excused(result, device)
    return result


def check_lacking(dtype: DType, device: Device) -> Result:
    """A dtype that the backend lists as lacking: known if it is so, or else a failure."""
    if is_there(dtype, device):
        return remove_it(dtype.name, device)
    reason = device.backend.known_differences[dtype.name]
    name = dtype.name
    return Result(name, device.name, "", False, 0, "", 1, kind="known", known=reason, key=name)


def check_known(key: str, device: str | Device, *, examples: int = 5, seed: int = 0) -> Report:
    """Is what the backend lists under `key` still a difference? If not, the report's one failure.

    Raises `ArgumentError` for a key that the backend doesn't list.
    """
    where = get_device(device)
    if key not in where.backend.known_differences:
        raise ArgumentError(f"check_known: {where} lists no difference {key!r}")
    for dtype in lacking(where):
        if dtype.name == key:
            return Report([check_lacking(dtype, where)])
    name = op_of(key)
    if name is None:
        found = Report([check_named(c, where) for c in CHECKS if c.name == key])
    else:
        found = check_backend(where, [name], examples=examples, seed=seed)
    if any(result.key == key for result in found.results):
        return Report([r for r in found.results if r.key == key])
    return Report([remove_it(key, where)])


def has_order(name: str, order: int, device: str | Device) -> bool:
    """Whether there is anything to check of an op: only some have gradients."""
    return bool(present(_dtypes_to_test(OPS[name], None, order), get_device(device)))


def _dtypes_to_test(op: Op, wanted: Sequence[DTypeName] | None, order: int) -> list[DType]:
    known = accepted(op)
    chosen = None if wanted is None else [as_dtype(d) for d in wanted]
    if order:
        if not op.domain or op.kind in ("comparison", "creation"):
            return []
        known = [d for d in known if d.is_float]
        chosen = [float32] if chosen is None else chosen
    return [d for d in known if chosen is None or d in chosen]


def _main_dtype(op: Op) -> DType:
    """The one in which every layout is tried: float32, or the first that there is."""
    known = accepted(op)
    return float32 if float32 in known else known[0]


def _one_line(result: Result, error: object) -> str:
    how = f"{'jitted' if result.jitted else 'eager'}, order {result.order}"
    text = " ".join(str(error).split())
    return f"{result.op} on {result.device} in {result.dtype} ({how}): {text}"


_SHRINKS = 150  # cases tried after the first that fails, to find a simpler one


def _drive(
    strategy: SearchStrategy[Case], examples: int, seed: int, check: Callable[[Case], None]
) -> None:
    """Run hypothesis on `check`; the error that comes out is of the simplest case that fails.

    A failure may depend on the calls before it, as where buffers are reused. So what counts is
    what was seen to fail, not what fails when hypothesis runs it again.
    """
    import hypothesis

    failed: list[tuple[int, int, Exception]] = []  # elements, length of the text, error
    tried = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples, database=None, deadline=None, report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )  # fmt: skip
    @hypothesis.given(strategy)
    def run(case: Case) -> None:
        nonlocal tried
        tried += bool(failed)
        if tried > _SHRINKS:
            return
        try:
            check(case)
        except Exception as error:
            failed.append((sum(a.size for a in case.arrays), len(str(error)), error))
            raise

    try:
        run()
    except Exception:
        if not failed:
            raise
    if failed:
        raise min(failed, key=lambda seen: seen[:2])[2]
