"""compare and compare_training: the first op, layer, index and step at which backends part ways."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Device, get_device
from tinyaccel.budgets import spread
from tinyaccel.compiled import Compiled
from tinyaccel.errors import ArgumentError
from tinyaccel.jit import Jitted
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.testing.divergence import Agreement, Comparison, Divergence, Extreme
from tinyaccel.testing.lockstep import Lockstep, Verdict, attempt, executable
from tinyaccel.testing.whole import Whole
from tinyaccel.trace import TRACE
from tinyaccel.trees import flatten, unflatten

Array: TypeAlias = npt.NDArray[Any]
Run: TypeAlias = Callable[[Sequence[Array]], list[Array]]

BACKENDS = ("cpu", "xla:cpu")


def compare(
    fn: Callable[..., Any],
    *inputs: Any,
    backends: Sequence[str | Device] = BACKENDS,
    backward: bool = True,
    compiled: bool = True,
) -> Comparison:
    """Run a function on several backends in lockstep; name the first op that leaves its budget.

    The function is traced once, as by `jit`. Then every backend runs each op of the trace on the
    same inputs, by the kernel that it really uses, and the result is held to the op's own error
    budget; a composite without a kernel is followed into its body. Last, every backend compiles
    the trace as a whole, whose results are held to what rounding makes of it; if that alone is
    off, parts of it are compiled to find where.

    fn        a function of tensors, as a model, or a model and its loss; it may read other
              tensors (parameters, buffers, random state). All are on one device, any one
    inputs    its arguments: tensors, Python values, and tuples, lists and dicts of them
    backends  the devices to compare; the values that ops are run on are the first one's
    backward  whether to go back as well: to all that requires a gradient, and to every float
              among the inputs. A result that is no scalar starts from numbers between 1/2 and 3/2.
              A function that calls `backward` itself is left to it
    compiled  whether to compile the whole trace, too

    Returns an `Agreement` or a `Divergence`, which say so as `.ok`, and when printed. Nothing is
    changed: parameters, gradients, running statistics and random state stay as they are.

    Raises what `jit` raises for a function that can't be traced, `DeviceError` or `BackendError`
    for a backend that isn't there, `IndexRangeError` for an index out of range.

    >>> import tinyaccel as ta
    >>> model = ta.nn.Sequential(ta.nn.Linear(2, 3), ta.nn.Tanh())
    >>> report = compare(lambda x: model(x).sum(), ta.ones((4, 2)), backends=["cpu"])
    >>> report.ok
    True
    """
    if backward:
        known: dict[int, Tensor] = {}
        inputs = _mapped(inputs, lambda leaf: _differentiable(leaf, known))
    traced, tensors = _trace(Jitted(_with_backward(fn) if backward else fn), inputs)
    session = _Session(backends, compiled)
    found, _ = session.step(traced, tensors)
    return session.agreement() if found is None else found


def compare_training(
    step: Callable[..., Any],
    batches: Iterable[Any],
    *,
    backends: Sequence[str | Device] = BACKENDS,
    compiled: bool = True,
) -> Comparison:
    """Hold every step of a training run to its budgets, each from the same state on all backends.

    As `compare`, for a function that changes state: parameters, an optimizer's moments, running
    statistics, the random state. Before each step all backends are given the state that the first
    one has arrived at. Left to themselves their curves would drift apart by rounding alone, which
    says nothing about who is right.

    step      one step of training, on the tensors of a batch
    batches   its arguments for each step: a tuple, or one tensor. `[()] * 10` for ten steps of a
              function without arguments

    The state moves on as by so many steps; at a `Divergence`, whose `step` says which it was, it
    is left as it was before that step. Raises as `compare`, and `ArgumentError` without a step.

    >>> import tinyaccel as ta
    >>> model = ta.nn.Linear(2, 1)
    >>> optimizer = ta.optim.SGD(model.parameters(), lr=0.1)
    >>> def step(x):
    ...     optimizer.zero_grad()
    ...     loss = ta.square(model(x)).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> report = compare_training(step, [ta.ones((4, 2))] * 2, backends=["cpu"])
    >>> report.ok, report.steps
    (True, 2)
    """
    jitted, session = Jitted(step), _Session(backends, compiled)
    number = -1
    for number, batch in enumerate(batches):
        inputs = batch if isinstance(batch, tuple) else (batch,)
        traced, tensors = _trace(jitted, inputs)
        found, results = session.step(traced, tensors, number)
        if found is not None:
            return found
        where = traced.device
        traced.commit(tensors, [where.backend.upload(array, where) for array in results])
    if number < 0:
        raise ArgumentError("compare_training: no batches; give one for each step")
    return session.agreement(number + 1)


# Tracing


def _mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    leaves: list[Any] = []
    structure = flatten(tree, leaves)
    return unflatten(structure, [change(leaf) for leaf in leaves])


def _differentiable(leaf: Any, known: dict[int, Tensor]) -> Any:
    """A float tensor as one that requires a gradient; the same for the same."""
    if not isinstance(leaf, Tensor) or not leaf.dtype.is_float or leaf.requires_grad:
        return leaf
    if id(leaf) not in known:
        known[id(leaf)] = leaf.detach()
        known[id(leaf)].requires_grad, known[id(leaf)].label = True, leaf.label
    return known[id(leaf)]


def _with_backward(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, and then backward from each of its results, unless it went back itself."""

    def run(*inputs: Any) -> Any:
        result = fn(*inputs)
        trace = TRACE.get()
        assert trace is not None
        if all(grad is None for _, grad in trace.grads.values()):
            leaves: list[Any] = []
            flatten(result, leaves)
            rng = np.random.default_rng(0)
            for y in leaves:
                if isinstance(y, Tensor) and y._node is not None:
                    start = rng.uniform(0.5, 1.5, y.shape) if y.size != 1 else np.ones(y.shape)
                    y.backward(tensor(start, dtype=y.dtype, device=y.device))
        return result

    return functools.update_wrapper(run, fn, updated=())


def _trace(jitted: Jitted[..., Any], inputs: Sequence[Any]) -> tuple[Compiled, list[Tensor]]:
    """The trace of a call, which isn't made, and the tensors that it was given."""
    leaves: list[Any] = []
    structure = flatten((tuple(inputs), {}), leaves)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    return jitted._find(structure, leaves, tensors), tensors


# One step


class _Session:
    """The backends, what they have compiled, and how near to their budgets they came."""

    def __init__(self, backends: Sequence[str | Device], compiled: bool) -> None:
        self.devices = list(dict.fromkeys(map(get_device, backends)))
        if not self.devices:
            raise ArgumentError("compare: no backends; name at least one device")
        self.compiled = compiled
        self.lockstep = Lockstep(self.devices)
        self.extremes = {device.name: Extreme() for device in self.devices}
        self._runs: dict[tuple[int, str], Run] = {}
        self._kept: list[Compiled] = []  # so that no id() is used twice

    def step(
        self, traced: Compiled, tensors: Sequence[Tensor], number: int | None = None
    ) -> tuple[Divergence | None, list[Array]]:
        """The first divergence, or None, and what the first backend computed in step `number`."""
        download = traced.device.backend.download
        arrays = [download(array) for array in traced.read(tensors)]
        found = self.lockstep.walk(traced.graph, arrays, number)
        if found is not None:
            return found, []
        if not self.compiled:
            if number is None:
                return None, []  # nobody goes on from here
            first = self._run(traced, self.devices[0], arrays)
            assert not isinstance(first, Verdict)  # each of its ops has just been run
            return None, first
        results: list[Array] = []
        exact = spread(traced.graph, arrays)
        for device in self.devices:
            whole = Whole(traced.graph, arrays, device, number)
            outputs = self._run(traced, device, arrays)
            found = whole.judge(outputs, exact)
            if found is not None:
                return found, []
            assert not isinstance(outputs, Verdict)
            if device is self.devices[0]:
                results = outputs
            name = device.name
            self.extremes[name] = max(self.extremes[name], whole.worst, key=lambda e: e.units)
        return None, results

    def _run(
        self, traced: Compiled, device: Device, arrays: Sequence[Array]
    ) -> list[Array] | Verdict:
        """The outputs of the whole graph there, or what became of them; compiled once for all."""

        def run() -> list[Array]:
            key = (id(traced), device.name)
            if key not in self._runs:
                self._kept.append(traced)
                self._runs[key] = executable(traced.graph, device, compiled=self.compiled)
            return [np.asarray(array) for array in self._runs[key](arrays)]

        return attempt(run)

    def agreement(self, steps: int | None = None) -> Agreement:
        extremes = self.extremes if self.compiled else {}
        return Agreement(self.lockstep.count, self.lockstep.worst, extremes, steps)
