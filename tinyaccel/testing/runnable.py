"""A case as one line of Python that a person can run, if it is small enough to read."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType
from tinyaccel.op import OPS, Spec
from tinyaccel.ops.define import META
from tinyaccel.tensor import Tensor
from tinyaccel.testing.arrange import arranged
from tinyaccel.testing.strategies import Case
from tinyaccel.trace import TRACE, Trace, Var

Array: TypeAlias = npt.NDArray[Any]

_READABLE = 24  # numbers in all


def runnable(case: Case, device: str, order: int = 0, cotangents: Sequence[Array] = ()) -> str:
    """The call, or for order 1 its gradient, as a line of Python; "" if it would be unreadable.

    The line needs `import tinyaccel as ta`, and that the device is known by its name.
    """
    if order > 1 or sum(a.size for a in [*case.arrays, *cotangents]) > _READABLE:
        return ""
    given = [_written(a, case.how(i), device) for i, a in enumerate(case.arrays)]
    if not order:
        return _call(case, given)
    if not all(spec.dtype.is_float for spec in case.specs):
        return ""
    names = [f"x{i}" for i in range(len(given))]
    (cotangent,) = (_written(v, "plain", device) for v in cotangents)
    function = f"lambda {', '.join(names)}: {_call(case, names)}"
    if ";" in function:
        return ""  # not an expression
    return f"ta.vjp({function}, {', '.join(given)})[1]({cotangent})"


def _call(case: Case, given: Sequence[str]) -> str:
    """`ta.sum(x, axis=0)`; through `apply` for an op that has no public function of that form."""
    attrs = [f"{name}={_attribute(value)}" for name, value in case.attrs.items()]
    public = getattr(sys.modules.get("tinyaccel"), case.op, None)
    if callable(public):
        if _means_the_op(case, lambda *xs: public(*xs, **case.attrs)):
            return f"ta.{case.op}({', '.join([*given, *attrs])})"
        if _means_the_op(case, lambda *xs: public(xs, **case.attrs)):
            listed = f"[{', '.join(given)}]"
            return f"ta.{case.op}({', '.join([listed, *attrs])})"
    arguments = ", ".join([repr(case.op), *given, *attrs])
    return f"from tinyaccel.tensor import apply; apply({arguments})"


def _means_the_op(case: Case, function: Callable[..., object]) -> bool:
    """Whether calling `function` is one step, this op with these attributes."""
    trace = Trace("runnable", captures=False)
    with suppress(Exception), setting(TRACE, trace):
        function(*[_stand_in(trace, spec) for spec in case.specs])
        (instr,) = trace.graph.instrs
        op = OPS[case.op]
        attrs = dict(case.attrs)
        wanted = attrs if op.prepare is None else op.prepare(*case.specs, **attrs)
        return instr.op == case.op and instr.attrs == wanted
    return False


def _stand_in(trace: Trace, spec: Spec) -> Tensor:
    return Tensor._make(Var(trace, trace.graph.add_input(spec)), spec, META)


def _attribute(value: Any) -> str:
    if isinstance(value, DType):
        return f"ta.{value.name if value.name != 'bool' else 'bool_'}"
    return _number(value) if isinstance(value, float) else repr(value)


def _written(array: Array, how: str, device: str) -> str:
    """An input as it is made on the device."""
    plan = arranged(array, how)
    dtype = dtypes.as_dtype(plan.buffer.dtype).name
    where = "" if device == "cpu" else f', device="{device}"'
    if not plan.buffer.size:
        made = f'ta.zeros({plan.buffer.shape}, dtype="{dtype}"{where})'
    else:
        made = f'ta.tensor({_nested(plan.buffer)}, dtype="{dtype}"{where})'
    return plan.code.format(made)


def _nested(array: Array) -> str:
    """The values as Python writes them, with no more digits than their dtype has."""
    if array.ndim:
        return f"[{', '.join(_nested(np.asarray(part)) for part in array)}]"
    if array.dtype.kind in "biu":
        return repr(array.item())
    value = float(array)
    return _number(float(str(array[()]))) if math.isfinite(value) else _number(value)


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value!r}")'
