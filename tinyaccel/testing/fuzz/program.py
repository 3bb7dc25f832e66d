"""Programs as data: inputs, steps, and the loss that is made of what the steps leave over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Device
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType, Scalar, float32, float64
from tinyaccel.graph import Graph
from tinyaccel.op import Attrs, Spec
from tinyaccel.ops.define import META
from tinyaccel.shapes import Shape
from tinyaccel.tensor import Tensor, apply, full, gradients
from tinyaccel.trace import TRACE, Trace, Var

Array: TypeAlias = npt.NDArray[Any]
Fill = Literal["uniform", "spread", "ties", "constant", "given"]


class Ref(NamedTuple):
    """A value of the program: the input or the step whose `id` this is."""

    id: int


Arg: TypeAlias = Ref | Scalar


@dataclass(frozen=True)
class Input:
    """What a program is given.

    fill    how the values are drawn from `seed`: "uniform" between low and high, "spread" over
            orders of magnitude, "ties" of few different values, "constant" throughout (low), or
            "given" one by one in `values`
    weight  whether it weighs a value in the loss; nobody asks for its gradient
    """

    id: int
    shape: Shape
    dtype: DType
    fill: Fill = "uniform"
    low: float = -2.0
    high: float = 2.0
    seed: int = 0
    values: tuple[float, ...] = ()
    weight: bool = False

    @property
    def spec(self) -> Spec:
        return Spec(self.shape, self.dtype)

    @property
    def wants_grad(self) -> bool:
        return self.dtype.is_float and not self.weight

    def array(self) -> Array:
        """The values, in the input's dtype."""
        rng = np.random.default_rng(self.seed)
        if self.fill == "given":
            drawn = np.array(self.values).reshape(self.shape)
        elif self.fill == "constant":
            drawn = np.full(self.shape, self.low)
        elif self.dtype.kind == "bool":
            drawn = rng.random(self.shape) < 0.5
        elif self.dtype.is_integer:
            drawn = rng.integers(int(self.low), int(self.high) + 1, self.shape)
        elif self.fill == "ties":
            drawn = rng.integers(int(self.low), int(self.high) + 1, self.shape) / 2
        elif self.fill == "spread":
            drawn = rng.standard_normal(self.shape) ** 3
        else:
            drawn = rng.uniform(self.low, self.high, self.shape)
        return np.asarray(drawn).astype(self.dtype.numpy)


@dataclass(frozen=True)
class Step:
    """Value `id` is `op` of earlier values and of numbers."""

    id: int
    op: str
    args: tuple[Arg, ...]
    attrs: Attrs

    @property
    def refs(self) -> tuple[int, ...]:
        return tuple(arg.id for arg in self.args if isinstance(arg, Ref))


@dataclass(frozen=True)
class Program:
    """Steps from inputs to a loss, and back.

    The values that no step uses are left over: they are its results, and those of a float dtype
    add up to the loss, element by element, each multiplied by a number of its own if there are
    `weights` (inputs, by the id of what they weigh). The gradients of the loss by every float
    input are results as well.
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    weights: Mapping[int, int]

    @property
    def left_over(self) -> list[int]:
        """The steps whose values no step uses."""
        used = {ref for step in self.steps for ref in step.refs}
        return [step.id for step in self.steps if step.id not in used]

    def pruned(self) -> Program:
        """Without the inputs that are of no use, and the weights of what isn't left over."""
        left = set(self.left_over)
        weights = {value: weight for value, weight in self.weights.items() if value in left}
        used = {ref for step in self.steps for ref in step.refs} | set(weights.values())
        return replace(self, inputs=tuple(i for i in self.inputs if i.id in used), weights=weights)

    def weighted(self, seed: int, specs: Mapping[int, Spec]) -> Program:
        """With a weight for each float value that is left over; `specs` by the values' ids."""
        free = 1 + max([*(i.id for i in self.inputs), *(s.id for s in self.steps)])
        floats = [v for v in self.left_over if specs[v].dtype.is_float]
        weights = {value: free + n for n, value in enumerate(floats)}
        new = tuple(
            Input(
                weight, specs[value].shape,
                float64 if specs[value].dtype is float64 else float32,
                seed=seed + weight, weight=True,
            )
            for value, weight in weights.items()
        )  # fmt: skip
        return replace(self, inputs=(*self.inputs, *new), weights=weights)

    def arrays(self) -> list[Array]:
        return [given.array() for given in self.inputs]

    def call(self, tensors: Sequence[Tensor], device: Device) -> tuple[list[Tensor], Tensor | None]:
        """What is left over, and the loss; `tensors` are the inputs, in order, on `device`.

        There is no loss where no float is left over.
        """
        known = {given.id: t for given, t in zip(self.inputs, tensors, strict=True)}
        for step in self.steps:
            known[step.id] = call_step(step, known, device)
        outs, loss = [known[v] for v in self.left_over], None
        for value, out in zip(self.left_over, outs, strict=True):
            if out.dtype.is_float:
                if value in self.weights:
                    out = out * known[self.weights[value]]
                part = out.sum() if out.shape else out
                loss = part if loss is None else loss + part
        return outs, loss

    def backward(self, tensors: Sequence[Tensor], device: Device) -> tuple[Tensor, ...]:
        """What is left over, and the loss, whose gradients are left behind in `.grad`."""
        outs, loss = self.call(tensors, device)
        if loss is None:
            return tuple(outs)
        if loss.requires_grad:
            loss.backward()
        return (*outs, loss)


def call_step(step: Step, known: Mapping[int, Tensor], device: Device) -> Tensor:
    """Apply a step, on the device where all is."""
    args = [known[arg.id] if isinstance(arg, Ref) else arg for arg in step.args]
    return apply(step.op, *args, device=device, **step.attrs)


@dataclass(frozen=True)
class Traced:
    """A program as a graph, and what each of the graph's outputs is.

    left_over  whose values they are, in order; after them comes the loss if there is one
    grads      which inputs have a gradient; theirs are the last outputs
    """

    graph: Graph
    left_over: tuple[int, ...]
    has_loss: bool
    grads: tuple[int, ...]


def trace_program(program: Program) -> Traced:
    """The graph of a program with its backward pass; raises what its ops raise."""
    made = Trace("fuzz", captures=False)
    with setting(TRACE, made):
        given = [
            Tensor._make(Var(made, made.graph.add_input(i.spec)), i.spec, META)
            for i in program.inputs
        ]
        moving = [
            t.alias() if i.wants_grad else t for t, i in zip(given, program.inputs, strict=True)
        ]
        outs, loss = program.call(moving, META)
        results, places = list(outs), []
        if loss is not None:
            results.append(loss)
            wanted = [n for n, i in enumerate(program.inputs) if i.wants_grad]
            one = full((), 1, dtype=loss.dtype, device=META)
            found = gradients(loss, one, [moving[n] for n in wanted])
            for n, g in zip(wanted, found, strict=True):
                if g is not None:
                    places.append(n)
                    results.append(g)
        made.graph.outputs = [made.read(t).value for t in results]
    return Traced(made.graph, tuple(program.left_over), loss is not None, tuple(places))
