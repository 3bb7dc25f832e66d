"""A program as Python that runs as it stands, in the library's public names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinyaccel import dtypes
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType
from tinyaccel.errors import TinyaccelError
from tinyaccel.graph import Graph
from tinyaccel.op import Spec
from tinyaccel.ops.define import META
from tinyaccel.tensor import Tensor
from tinyaccel.testing.fuzz.judge import Deviation, Expected
from tinyaccel.testing.fuzz.program import Input, Program, Ref, Step, call_step
from tinyaccel.trace import TRACE, Trace, Var

_OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "remainder": "%", "pow": "**", "matmul": "@",
    "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "bitwise_and": "&",
    "bitwise_or": "|", "bitwise_xor": "^", "shift_left": "<<", "shift_right": ">>",
}  # fmt: skip
_DEFAULTS = (dtypes.float32, dtypes.int32, dtypes.bool_)


def names_of(program: Program) -> dict[int, str]:
    """What each value is called: x0, x1, ... the inputs, w0, ... the weights, v0, ... the steps."""
    result: dict[int, str] = {}
    for letter, ids in (
        ("x", [i.id for i in program.inputs if not i.weight]),
        ("w", [i.id for i in program.inputs if i.weight]),
        ("v", [s.id for s in program.steps]),
    ):
        result |= {value: f"{letter}{n}" for n, value in enumerate(ids)}
    return result


def literal(value: object) -> str:
    """A number, a dtype, or a tuple of them, as it is written in a program."""
    if isinstance(value, DType):
        return f"ta.{'bool_' if value is dtypes.bool_ else value.name}"
    if isinstance(value, tuple | list):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, np.generic):
        value = value.item()
    return repr(value)


# Inputs


def _number(value: float, dtype: DType) -> str:
    """The shortest text that is read as `value`."""
    if not dtype.is_float:
        return repr(dtype.numpy.type(value).item())
    if dtype is dtypes.float64:
        return repr(float(value))
    return repr(float(str(dtype.numpy.type(value))))


def _nested(texts: Sequence[str], shape: Sequence[int]) -> str:
    if not shape:
        return texts[0]
    step = len(texts) // shape[0]
    rows = [_nested(texts[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
    return f"[{', '.join(rows)}]"


def _data(given: Input) -> str:
    """NumPy's expression, or the numbers, for an input's values."""
    shape, low, high = given.shape, literal(given.low), literal(given.high)
    rng = f"np.random.default_rng({given.seed})"
    whole = f"{rng}.integers({int(given.low)}, {int(given.high) + 1}, {shape})"
    if given.fill == "given":
        return _nested([_number(v, given.dtype) for v in given.values], shape)
    if given.fill == "constant":
        return f"np.full({shape}, {low})"
    if given.dtype.kind == "bool":
        return f"{rng}.random({shape}) < 0.5"
    if given.dtype.is_integer:
        return whole
    if given.fill == "ties":
        return f"{whole} / 2"
    if given.fill == "spread":
        return f"{rng}.standard_normal({shape}) ** 3"
    return f"{rng}.uniform({low}, {high}, {shape})"


def input_text(given: Input, *, wants_grad: bool = True) -> str:
    """The call that makes an input's tensor, on the device `device`."""
    text = f"ta.tensor({_data(given)}"
    if given.fill != "given" or given.dtype not in _DEFAULTS:
        text += f', dtype="{given.dtype.name}"'
    text += ", device=device"
    return text + (", requires_grad=True)" if wants_grad and given.wants_grad else ")")


# Steps


def step_text(step: Step, names: Mapping[int, str], specs: Mapping[int, Spec]) -> str:
    """The expression for a step: in the library's public names, if they say the same."""
    wanted = _traced(
        lambda env: call_step(step, _by_id(env, names, step), META), step, names, specs
    )
    for text in _spellings(step, names, specs):
        if _means(text, wanted, step, names, specs):
            return text
    args = "".join(f", {a}" for a in _arguments(step, names))
    options = "".join(f", {name}={literal(value)}" for name, value in step.attrs.items())
    device = "" if step.refs else ", device=ta.get_device(device)"
    return f'apply("{step.op}"{args}{options}{device})'


def _by_id(env: Mapping[str, Tensor], names: Mapping[int, str], step: Step) -> dict[int, Tensor]:
    return {ref: env[names[ref]] for ref in step.refs}


def _arguments(step: Step, names: Mapping[int, str]) -> list[str]:
    return [names[a.id] if isinstance(a, Ref) else literal(a) for a in step.args]


def _spellings(step: Step, names: Mapping[int, str], specs: Mapping[int, Spec]) -> Iterator[str]:
    """What might be said for a step, the shortest and most usual first."""
    args, attrs = _arguments(step, names), dict(step.attrs)
    if step.op in _OPERATORS and len(args) == 2 and not attrs:
        yield f"{args[0]} {_OPERATORS[step.op]} {args[1]}"
    if step.op == "neg":
        yield f"-{args[0]}"
    if step.op == "slice":
        yield f"{args[0]}[{_slices(step, specs)}]"
    if step.op == "astype":
        yield f"{args[0]}.astype({literal(attrs['dtype'])})"
    options = [f"{name}={literal(value)}" for name, value in attrs.items()]
    shorter = [f"{name}={literal(_short(value))}" for name, value in attrs.items()]
    if step.refs and hasattr(Tensor, step.op) and isinstance(step.args[0], Ref):
        for some in _fewer(shorter):
            yield f"{args[0]}.{step.op}({', '.join([*args[1:], *some])})"
    public = f"ta.{step.op}"
    for some in (*_fewer(shorter), options):
        yield f"{public}({', '.join([*args, *some])})"
        yield f"{public}([{', '.join(args)}]{''.join(', ' + o for o in some)})"
        if not step.refs:
            yield f"{public}({', '.join([*args, *some, 'device=device'])})"


def _short(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _fewer(options: Sequence[str]) -> Iterator[list[str]]:
    """None of the options, each alone, all but one, all: whichever says the same comes first."""
    yield []
    yield from ([one] for one in options)
    if len(options) > 2:
        yield from ([o for o in options if o is not one] for one in options)
    yield list(options)


def _slices(step: Step, specs: Mapping[int, Spec]) -> str:
    shape = specs[step.refs[0]].shape
    parts = []
    bounds = zip(step.attrs["starts"], step.attrs["stops"], step.attrs["steps"], shape, strict=True)
    for start, stop, by, n in bounds:
        text = f"{start or ''}:{stop if stop < n else ''}"
        parts.append(text if by == 1 else f"{text}:{by}")
    return ", ".join(parts) or "..."


def _traced(call: Any, step: Step, names: Mapping[int, str], specs: Mapping[int, Spec]) -> Graph:
    """What a call does to tensors without values, by their names."""
    made = Trace("fuzz", captures=False)
    with setting(TRACE, made):
        env = {}
        for ref in dict.fromkeys(step.refs):
            var = Var(made, made.graph.add_input(specs[ref]))
            env[names[ref]] = Tensor._make(var, specs[ref], META)
        made.graph.outputs = [made.read(call(env)).value]
    return made.graph


def _means(
    text: str, wanted: Graph, step: Step, names: Mapping[int, str], specs: Mapping[int, Spec]
) -> bool:
    """Whether `text` does exactly what the step does."""
    library = sys.modules["tinyaccel"]
    try:
        found = _traced(
            lambda env: eval(text, {"ta": library, "device": META, **env}),  # noqa: S307  # ours
            step, names, specs,
        )  # fmt: skip
    except (TinyaccelError, TypeError, AttributeError, SyntaxError, ValueError, IndexError):
        return False
    return (found.instrs, found.outputs) == (wanted.instrs, wanted.outputs) and all(
        np.array_equal(a, b)
        for a, b in zip(found.constants.values(), wanted.constants.values(), strict=True)
    )


# The whole


def step_lines(program: Program, specs: Mapping[int, Spec]) -> list[str]:
    """An assignment for each step."""
    names = names_of(program)
    return [f"{names[s.id]} = {step_text(s, names, specs)}" for s in program.steps]


def loss_lines(program: Program, specs: Mapping[int, Spec]) -> list[str]:
    """What makes the loss of the values that are left over."""
    names, parts = names_of(program), []
    for value in program.left_over:
        if specs[value].dtype.is_float:
            text = names[value]
            if value in program.weights:
                text = f"({text} * {names[program.weights[value]]})"
            parts.append(f"{text}.sum()" if specs[value].shape else text)
    return [f"loss = {' + '.join(parts)}"] if parts else []


def failure_source(
    expected: Expected, specs: Mapping[int, Spec], device: str, jitted: bool, found: Deviation
) -> str:
    """Runnable Python that fails as the program did, and says what was got and permitted.

    specs  of all values, by id
    """
    program, traced = expected.program, expected.traced
    names, left = names_of(program), len(traced.left_over)
    loss, results = loss_lines(program, specs), [names[v] for v in traced.left_over]
    if traced.grads:
        loss.append("loss.backward()")
    position = found.output - left - traced.has_loss
    if position >= 0:
        target = f"{names[program.inputs[traced.grads[position]].id]}.grad"
    else:
        target = results[found.output] if found.output < left else "loss"
        if not jitted and found.what == "value":
            loss = [] if found.output < left else loss[:1]
    body = [*step_lines(program, specs), *loss]
    back = "loss.backward()" in body
    inputs = [f"{names[i.id]} = {input_text(i, wants_grad=back)}" for i in program.inputs]
    place = f'"{device}"'
    if not jitted and found.what == "raised CheckError":
        place = f"watched({place})"
    lines = [f"device = {place}", *inputs]
    if jitted:
        given = ", ".join(names[i.id] for i in program.inputs)
        results += ["loss"] * traced.has_loss
        lines += ["", "", "@ta.jit", f"def program({given}):", *[f"    {line}" for line in body]]
        lines += [f"    return {', '.join(results)}", "", ""]
        lines += [f"{', '.join(results)} = program({given})"]
    else:
        lines += body
    lines += _verdict(found, target, expected.specs()[found.output])
    return "\n".join([*_imports(lines), "", *lines]) + "\n"


def _imports(lines: Sequence[str]) -> list[str]:
    """What the lines need."""
    text = "\n".join(lines)
    needed = {
        "np.": "import numpy as np",
        "ta.": "import tinyaccel as ta",
        "apply(": "from tinyaccel.tensor import apply",
        "watched(": "from tinyaccel.testing import watched",
    }
    return [line for used, line in needed.items() if used in text]


def _verdict(found: Deviation, target: str, spec: Spec) -> list[str]:
    """The lines that fail."""
    if found.what == "spec":
        wanted = f'({spec.shape}, "{spec.dtype.name}")'
        return [
            f"got = {target}.numpy()",
            f"assert (got.shape, got.dtype.name) == {wanted}, (got.shape, got.dtype)",
        ]
    if found.what == "gradient":
        return [f'assert {target} is not None, "no gradient"']
    if found.what != "value":
        return [f"# {found.text}"]
    at = f"[{', '.join(map(str, found.index))}]" if found.index else ""
    return [
        f"got = float({target}.numpy(){at})  # it was {found.got!r}",
        f"expected, permitted = {found.expected!r}, {found.allowed!r}",
        'assert abs(got - expected) <= permitted, f"got {got}, expected {expected}"',
    ]
