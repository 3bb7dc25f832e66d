"""Derivatives of an op of any order as functions, and finite differences to hold them against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.autograd import grad, jvp, vjp
from tinyaccel.backend import Device
from tinyaccel.contexts import setting
from tinyaccel.errors import CheckError
from tinyaccel.graph import Graph
from tinyaccel.op import Attrs, Spec
from tinyaccel.ops.define import META
from tinyaccel.tensor import Tensor, apply, tensor
from tinyaccel.trace import TRACE, Trace, Var

Array: TypeAlias = npt.NDArray[Any]
Program: TypeAlias = Callable[..., tuple[Tensor, ...]]

_STEP = 2e-3  # of a finite difference whose error falls with its 4th power
_RELATIVE = 1e-6


@dataclass(frozen=True)
class Function:
    """Tensors to a tuple of tensors, and what their Specs are."""

    run: Program
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]

    @property
    def floats(self) -> tuple[int, ...]:
        """The inputs that there are derivatives by."""
        return tuple(i for i, spec in enumerate(self.inputs) if spec.dtype.is_float)


def op_function(
    name: str, specs: Sequence[Spec], out: Spec, attrs: Attrs, device: Device
) -> Function:
    """The op itself; `device` is where it makes something of nothing, if it has no inputs."""
    place = None if specs else device
    return Function(lambda *xs: (apply(name, *xs, device=place, **attrs),), tuple(specs), (out,))


def pulled(f: Function, by: Sequence[int] | None = None) -> Function:
    """(inputs, cotangents) -> the gradients by each float input of sum_i <output_i, cotangent_i>.

    Linear in the cotangents; applied twice it gives second derivatives. `by` names some of the
    float inputs: then no gradient by the others is asked for, as when only weights are trained.
    """
    positions, n = f.floats if by is None else tuple(by), len(f.inputs)

    def run(*args: Tensor) -> tuple[Tensor, ...]:
        def paired(*moving: Tensor) -> Tensor:
            given = list(args[:n])
            for i, x in zip(positions, moving, strict=True):
                given[i] = x
            parts = [(y * v).sum() for y, v in zip(f.run(*given), args[n:], strict=True)]
            total = parts[0].astype(args[positions[0]].dtype)
            for part in parts[1:]:
                total = total + part.astype(total.dtype)
            return total

        found = grad(paired, range(len(positions)))(*[args[i] for i in positions])
        assert isinstance(found, tuple)
        return found

    return Function(run, (*f.inputs, *f.outputs), tuple(f.inputs[i] for i in positions))


def trace(f: Function) -> Graph:
    """`f` as a graph."""
    made = Trace("testing", captures=False)
    with setting(TRACE, made):
        xs = [Tensor._make(Var(made, made.graph.add_input(spec)), spec, META) for spec in f.inputs]
        made.graph.outputs = [made.read(y).value for y in f.run(*xs)]
    return made.graph


def trace_call(fn: Callable[..., Tensor | tuple[Tensor, ...]], *args: Tensor) -> Graph:
    """The graph of one call: what `fn` does to tensors like `args`.

    >>> import tinyaccel as ta
    >>> [instr.op for instr in trace_call(lambda x: ta.exp(x) + 1, ta.ones(2)).instrs]
    ['exp', 'add']
    """

    def run(*xs: Tensor) -> tuple[Tensor, ...]:
        out = fn(*xs)
        return out if isinstance(out, tuple) else (out,)

    return trace(Function(run, tuple(x.spec for x in args), ()))


# Finite differences


def _paired(f: Function, arrays: Sequence[Array], cotangents: Sequence[Array]) -> float:
    out = f.run(*map(tensor, arrays))
    return float(sum(np.vdot(y.numpy(), v) for y, v in zip(out, cotangents, strict=True)))


def _moved(arrays: Sequence[Array], by: dict[int, Array], step: float) -> list[Array]:
    return [np.asarray(a + step * by[i]) if i in by else a for i, a in enumerate(arrays)]


def _slope(
    f: Function, arrays: Sequence[Array], cotangents: Sequence[Array], by: dict[int, Array]
) -> float:
    """The derivative of <f, cotangents> in a direction: central differences, extrapolated once.

    L. F. Richardson, "The approximate arithmetical solution by finite differences", 1911.
    """

    def central(h: float) -> float:
        ahead = _paired(f, _moved(arrays, by, h), cotangents)
        return (ahead - _paired(f, _moved(arrays, by, -h), cotangents)) / (2 * h)

    return (4 * central(_STEP / 2) - central(_STEP)) / 3


def check_gradient(f: Function, arrays: Sequence[Array], rng: np.random.Generator) -> float:
    """Hold `pulled(f)` at float64 `arrays` against finite differences, in a random direction.

    Returns the error in units of what is permitted. Raises `CheckError` that names the input and
    the index where the gradient is furthest off, and both values.
    """
    cotangents = [np.asarray(rng.normal(size=spec.shape)) for spec in f.outputs]
    found = [g.numpy() for g in pulled(f).run(*map(tensor, [*arrays, *cotangents]))]
    grads = dict(zip(f.floats, found, strict=True))
    by = {i: np.asarray(rng.normal(size=arrays[i].shape)) for i in f.floats}
    terms = [g * by[i] for i, g in grads.items()]
    exact = float(sum(t.sum() for t in terms))
    numeric = _slope(f, arrays, cotangents, by)
    size = float(sum(np.abs(t).sum() for t in terms)) + abs(numeric)
    allowed = _RELATIVE * size + 1e-9 * (1 + abs(_paired(f, arrays, cotangents)))
    units = abs(exact - numeric) / allowed
    if not units <= 1:
        raise CheckError(_where_wrong(f, arrays, cotangents, grads))
    return units


def _where_wrong(
    f: Function, arrays: Sequence[Array], cotangents: Sequence[Array], grads: dict[int, Array]
) -> str:
    """The element whose gradient is furthest off, one direction after another."""
    worst, text = -1.0, ""
    for i, g in grads.items():
        for index in np.ndindex(*g.shape):
            unit = np.zeros(g.shape)
            unit[index] = 1.0
            numeric = _slope(f, arrays, cotangents, {i: unit})
            off = abs(float(g[index]) - numeric)
            if not off <= worst:
                worst = off
                text = (
                    f"gradient by input {i} at {list(index)}: got {float(g[index])!r}, "
                    f"finite differences give {numeric!r}"
                )
    return text


def check_transpose(f: Function, arrays: Sequence[Array], rng: np.random.Generator) -> float:
    """Hold `vjp` against `jvp`: <v, J t> = <J^T v, t>; returns the error in units of 1e-12."""
    positions = f.floats
    tangents = [np.asarray(rng.normal(size=arrays[i].shape)) for i in positions]
    v = np.asarray(rng.normal(size=f.outputs[0].shape))
    given = list(map(tensor, arrays))

    def run(*moving: Tensor) -> Tensor:
        args = list(given)
        for i, x in zip(positions, moving, strict=True):
            args[i] = x
        return f.run(*args)[0]

    points = [given[i] for i in positions]
    _, forward = jvp(run, points, list(map(tensor, tangents)))
    _, pull = vjp(run, *points)
    back = [g.numpy() for g in pull(tensor(v))]
    left = float(np.vdot(v, forward.numpy()))
    right = float(sum(np.vdot(g, t) for g, t in zip(back, tangents, strict=True)))
    size = float(sum(np.abs(g * t).sum() for g, t in zip(back, tangents, strict=True)))
    units = abs(left - right) / (1e-12 * (size + np.abs(v * forward.numpy()).sum() + 1))
    if not units <= 1:
        raise CheckError(f"vjp and jvp disagree: <v, J t> = {left!r}, but <J^T v, t> = {right!r}")
    return float(units)
