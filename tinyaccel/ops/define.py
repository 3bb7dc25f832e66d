"""How an op is defined: one constructor per kind, each returning the public function.

A kind supplies what its members share: the shape rule, the dtype rule, whether gradients are
summed back. What is left to say of a member is its formula, its gradient and where to test it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, update_wrapper, wraps
from typing import Any, ParamSpec, TypeAlias, cast

from tinyaccel import dtypes, shapes
from tinyaccel.backend import PRECISION, Device
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, TinyaccelError
from tinyaccel.graph import Graph
from tinyaccel.op import (
    EXACT,
    OPS,
    STEPS,
    Budget,
    Interval,
    Kernel,
    Op,
    Rule,
    Spec,
    Takes,
    register,
)
from tinyaccel.tape import GRAD_MODE
from tinyaccel.tensor import Tensor, TensorLike, apply, gradients
from tinyaccel.trace import TRACE, Trace, Var

P = ParamSpec("P")
Unary: TypeAlias = Callable[[TensorLike], Tensor]
Binary: TypeAlias = Callable[[TensorLike, TensorLike], Tensor]

ROUNDED = Budget("elementwise", 0.5)  # IEEE 754: the exact result, rounded once
FEW_ULPS = Budget("elementwise", 4.0)  # what good mathematical libraries promise


def _document(function: Callable[..., object], name: str, doc: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc


def unary(
    name: str,
    doc: str,
    vjp: Rule | None = None,
    *,
    takes: Takes = "float",
    domain: Interval = Interval(),  # noqa: B008  # a tuple of numbers, shared safely
    budget: Budget = FEW_ULPS,
) -> Unary:
    """An op of one input, element by element. Its reference is mpmath's function of its name."""
    op = Op(
        name, "unary", lambda x: x, takes=takes, vjp=None if vjp is None else (vjp,),
        domain=(domain,), budget=budget, doc=doc)  # fmt: skip
    register(op)

    def function(x: TensorLike) -> Tensor:
        return apply(name, x)

    _document(function, name, f"{doc}\n\nx: any shape, {_TAKES[takes]}. Returns x's shape.")
    return function


_TAKES = {
    "any": "any dtype",
    "number": "any number",
    "float": "a float (integers become float32)",
    "integer": "integers or bool",
    "whole": "integers",
    "bool": "bool",
    "sum": "any number or bool",
}


def binary(
    name: str,
    doc: str,
    vjp: tuple[Rule | None, Rule | None] | None = None,
    *,
    takes: Takes = "number",
    domain: tuple[Interval, ...] = (Interval(), Interval()),
    budget: Budget = ROUNDED,
) -> Binary:
    """An op of two inputs that broadcast and promote to one dtype."""

    def infer(a: Spec, b: Spec) -> Spec:
        return Spec(shapes.broadcast(name, a.shape, b.shape), a.dtype)

    return _two_inputs(
        Op(name, "binary", infer, takes=takes, vjp=vjp, broadcasts=True, domain=domain,
           budget=budget, doc=doc)
    )  # fmt: skip


def comparison(name: str, doc: str) -> Binary:
    """A comparison of two inputs that broadcast and promote; the result is bool."""

    def infer(a: Spec, b: Spec) -> Spec:
        return Spec(shapes.broadcast(name, a.shape, b.shape), dtypes.bool_)

    return _two_inputs(Op(name, "comparison", infer, doc=doc))


def _two_inputs(op: Op) -> Binary:
    register(op)

    def function(a: TensorLike, b: TensorLike) -> Tensor:
        return apply(op.name, a, b)

    note = "a, b: shapes that broadcast, dtypes that promote; " + _TAKES[op.takes]
    _document(function, op.name, f"{op.doc}\n\n{note}. Returns the broadcast shape.")
    return function


# Composites


META = Device("meta", cast(Any, None))  # where a body is traced: nothing can run here


@lru_cache(maxsize=4096)
def _body_graph(
    op: Op, specs: tuple[Spec, ...], attrs: tuple[tuple[str, Any], ...], _spelled: str
) -> Graph:
    assert op.body is not None
    trace = Trace(op.name, captures=False)
    with setting(TRACE, trace), setting(GRAD_MODE, False):
        inputs = [
            Tensor._make(Var(trace, trace.graph.add_input(spec)), spec, META) for spec in specs
        ]
        out = op.body(*inputs, **dict(attrs))
    trace.graph.outputs.append(trace.read(out).value)
    return trace.graph


def body_graph(op: Op, specs: Sequence[Spec], attrs: Mapping[str, Any]) -> Graph:
    """A composite's body as a graph, for inputs of these specs."""
    items = tuple(sorted(attrs.items()))
    # Spelled out, because 1 == 1.0 == True and 0.0 == -0.0 for the cache, but not for the body,
    # whose products take the precision that is permitted now.
    return _body_graph(op, tuple(specs), items, repr((items, PRECISION.get())))


def composite(
    *,
    vjp: tuple[Rule | None, ...] | Callable[..., Sequence[Tensor | None]] | None = None,
    prepare: Callable[..., dict[str, Any]] | None = None,
    takes: Takes = "float",
    together: tuple[int, ...] | None = None,
    broadcasts: bool = False,
    reference: str | None = None,
    domain: tuple[Interval, ...] = (Interval(),),
    budget: Budget = STEPS,
) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Make an op of a function that is spelled in other ops.

    Positional parameters are the inputs, keyword-only ones the attributes. Inputs left None are
    left out; before others, the attribute `absent` says at which positions. With a `/`, as in
    `tile(x, /, repetitions)`, the inputs stand before it, and an attribute may be given by
    position too. Shape and dtype rules come from tracing the body; so does the gradient, unless
    `vjp` gives a shorter one.
    """

    def define(body: Callable[P, Tensor]) -> Callable[P, Tensor]:
        name = body.__name__
        signature = inspect.signature(body)
        parameters = signature.parameters.values()
        leading = sum(p.kind is p.POSITIONAL_ONLY for p in parameters)
        keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        if leading:
            keywords = list(parameters)[leading:]
        defaults = {p.name: p.default for p in keywords if p.default is not p.empty}
        known = {p.name for p in keywords}

        positional = [p for p in parameters if p not in keywords]
        optional = sum(p.default is None for p in positional)

        def whole(given: Sequence[Any], absent: Sequence[int]) -> list[Any]:
            """The inputs, with None at the positions that were left out before others."""
            rest = list(given)
            for i in absent:
                rest.insert(i, None)
            return rest

        @wraps(body)
        def spelled(*inputs: Any, absent: Sequence[int] = (), **attrs: Any) -> Tensor:
            return body(*whole(inputs, absent), **attrs)

        def fill(*specs: Spec, absent: Sequence[int] = (), **attrs: Any) -> dict[str, Any]:
            extra = attrs.keys() - known
            missing = known - defaults.keys() - attrs.keys()
            if extra or missing:
                wrong = f"unknown {sorted(extra)}" if extra else f"missing {sorted(missing)}"
                raise ArgumentError(f"{name}: {wrong}; it takes {sorted(known) or 'no options'}")
            filled = defaults | attrs
            if prepare is not None:
                filled = prepare(*whole(specs, absent), **filled)
            return filled | ({"absent": tuple(absent)} if absent else {})

        def infer(*specs: Spec, **attrs: Any) -> Spec:
            try:
                graph = body_graph(op, specs, attrs)
            except TinyaccelError as error:  # a step of the body's; the caller knows only this op
                raise type(error)(f"{name}: {str(error).partition(': ')[2]}") from error
            return graph.specs[graph.outputs[0]]

        op = Op(
            name, "composite", infer, prepare=fill, takes=takes, together=together, vjp=vjp,
            body=body if optional < 2 else spelled, broadcasts=broadcasts, reference=reference,
            domain=domain, budget=budget, doc=inspect.getdoc(body) or "")  # fmt: skip
        assert vjp is None or optional < 2, f"{name}: rules by position, but inputs may be absent"
        register(op)

        def function(*args: Any, **attrs: Any) -> Tensor:
            if leading and len(args) > leading:
                named = dict(signature.bind(*args, **attrs).arguments)
                args, attrs = args[:leading], {n: v for n, v in named.items() if n in known}
            given = [i for i, a in enumerate(args) if a is not None]
            if gaps := [i for i in range(given[-1] if given else 0) if i not in given]:
                attrs["absent"] = gaps
            return apply(name, *(args[i] for i in given), **attrs)

        if optional:
            function = _accepting_names(function, [p.name for p in positional])
        return cast(Callable[P, Tensor], update_wrapper(function, body))

    return define


def _accepting_names(
    function: Callable[..., Tensor], positional: Sequence[str]
) -> Callable[..., Tensor]:
    """Let optional inputs be given by name too: `linear(x, weight, bias=b)`."""

    def by_name(*args: Any, **options: Any) -> Tensor:
        rest = [options.pop(n, None) for n in positional[len(args) :]]
        return function(*args, *rest, **options)

    return by_name


def by_body(name: str, position: int) -> Rule:
    """The gradient by one input of the composite `name`, from its body.

    For an input without a shorter formula, where another one has it.
    """

    def rule(g: Tensor, out: Tensor, *inputs: Tensor, **attrs: Any) -> Tensor | None:
        body = OPS[name].body
        assert body is not None
        moving = inputs[position].alias()
        with setting(GRAD_MODE, True):
            again = body(*inputs[:position], moving, *inputs[position + 1 :], **attrs)
        return gradients(again, g, [moving])[0]

    return cast(Rule, rule)


# Users' own


def custom_op(
    name: str,
    *,
    infer: Callable[..., Spec] | None = None,
    kernels: Mapping[str, Kernel] | None = None,
    body: Callable[..., Tensor] | None = None,
    vjp: Callable[..., Tensor | Sequence[Tensor | None]] | None = None,
    takes: Takes = "any",
    broadcasts: bool = False,
    replace: bool = False,
) -> Callable[..., Tensor]:
    """Make an op of your own, with its own gradient and its own kernels.

    infer       infer(*specs, **attrs) -> Spec of the result; may be left out if there is a body
    kernels     by backend name ("cpu", "xla", "cuda", ...): kernel(*arrays, **attrs) -> array,
                which must have exactly the inferred shape and dtype
    body        body(*tensors, **attrs) -> Tensor: the op spelled in other ops, for the backends
                without a kernel
    vjp         vjp(g, out, *inputs, **attrs) -> the gradient of each input (None for none), in
                tinyaccel's ops; a single tensor if there is one input. Without it, the body is
                differentiated, or the op has no gradient
    broadcasts  whether gradients are summed back to inputs that broadcast
    replace     allow the name of an earlier custom op

    Returns the function that applies it, jitted and eager, on every device that has a kernel or
    the body. Raises `ArgumentError` if nothing says how to compute it.

    >>> import tinyaccel as ta
    >>> cube = custom_op("cube", infer=lambda x: x, kernels={"cpu": lambda x: x**3},
    ...                  vjp=lambda g, out, x: 3 * x * x * g, replace=True)
    >>> ta.grad(lambda x: cube(x).sum())(ta.tensor([2.0]))
    tensor([12.])
    """
    if not kernels and body is None:
        raise ArgumentError(f"custom_op {name!r}: give kernels= by backend, or a body=, or both")
    if infer is None and body is None:
        raise ArgumentError(f"custom_op {name!r}: give infer=, the rule for its result's Spec")
    if replace and name in OPS and OPS[name].kind == "custom":
        del OPS[name]

    def rule(g: Tensor, out: Tensor, *inputs: Tensor, **attrs: Any) -> Sequence[Tensor | None]:
        assert vjp is not None
        grads = vjp(g, out, *inputs, **attrs)
        return (grads,) if isinstance(grads, Tensor) else grads

    def traced(*specs: Spec, **attrs: Any) -> Spec:
        graph = body_graph(op, specs, attrs)
        return graph.specs[graph.outputs[0]]

    op = Op(
        name, "custom", infer or traced, takes=takes, vjp=None if vjp is None else rule,
        body=body, broadcasts=broadcasts, kernels=dict(kernels or {}), budget=EXACT,
        doc=f"custom op {name}")  # fmt: skip
    register(op)

    def function(*args: TensorLike, **attrs: Any) -> Tensor:
        return apply(name, *args, **attrs)

    _document(function, name, op.doc)
    return function
