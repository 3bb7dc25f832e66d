"""A trace: the graph that grows while a function runs on tensors without values.

While a trace is current, every op appends an instruction. A tensor from outside is left exactly as
it is: the trace keeps its own account of what each one holds by now. So an exception needs no
clean-up, and `jit` reads from the account what to bind as input and what to write back.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyaccel.errors import TraceError
from tinyaccel.graph import Graph, Scope
from tinyaccel.op import Attrs, Spec
from tinyaccel.tape import Node

if TYPE_CHECKING:
    from tinyaccel.operators import Operators
    from tinyaccel.tensor import Tensor

_PACKAGE = str(Path(__file__).parent) + os.sep  # a user's tinyaccel_tricks.py is none of ours


class Var:
    """What a tensor holds while it is traced: a value of a trace's graph."""

    __slots__ = ("trace", "value")

    def __init__(self, trace: Trace, value: int) -> None:
        self.trace = trace
        self.value = value


class Trace:
    """A graph under construction, and what became of each outside tensor meanwhile.

    args      what stands for an argument: its number and the tensor of this first call
    args_in   what stands for an argument, by identity, with its input value
    captured  other outside tensors that the trace reads, by identity, with their input value
    grads_in  tensors whose `.grad` the trace reads, likewise
    writes    tensors that were assigned to, with the last value
    grads     tensors whose `.grad` was set, with what it was set to last
    guards    what else the trace read, and must still be so for its graph to be used again
    scope     where the next instructions come from; `layers` has the paths of modules by identity
    """

    def __init__(self, name: str, captures: bool = True) -> None:
        self.name = name
        self.captures = captures
        self.graph = Graph()
        self.args: dict[int, tuple[int, Tensor]] = {}
        self.args_in: dict[int, tuple[Tensor, int]] = {}
        self.captured: dict[int, tuple[Tensor, int]] = {}
        self.grads_in: dict[int, tuple[Tensor, int]] = {}
        self.writes: dict[int, tuple[Tensor, Var]] = {}
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.guards: dict[tuple[int, str], tuple[Callable[[], Hashable], Hashable, str]] = {}
        self.scope = Scope()
        self.layers: dict[int, str] = {}
        self._now: dict[int, Var] = {}
        self._outside: dict[int, Node] = {}
        self._kept: list[object] = []  # so that no id() is used twice
        self._scalars: dict[tuple[bytes, str], Var] = {}

    # Values

    def append(self, op: str, inputs: Sequence[Tensor], attrs: Attrs, spec: Spec) -> Var:
        values = [self.read(t).value for t in inputs]
        out = self.graph.add_instr(op, values, attrs, spec)
        if self.captures:  # the body of an op has no place of its own: it is wherever the op is
            line = self.scope.line or user_line()
            self.graph.scopes[out] = self.scope._replace(line=line)
        return Var(self, out)

    @contextmanager
    def within(self, scope: Scope) -> Iterator[None]:
        """For the length of a `with` block, instructions come from `scope`."""
        before, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = before

    def back_from(self, data: object) -> AbstractContextManager[None]:
        """As `within`, for the gradient of what holds `data`: it belongs to the same layer."""
        scope = Scope()
        if isinstance(data, Var) and data.trace is self:
            scope = self.graph.scopes.get(data.value, scope)
        return self.within(scope._replace(phase="backward"))

    def constant(self, array: np.ndarray, spec: Spec) -> Var:
        """A value known now; equal 0-d ones are one value."""
        key = (array.tobytes(), spec.dtype.name)
        if array.ndim == 0 and key in self._scalars:
            return self._scalars[key]
        var = Var(self, self.graph.add_constant(array, spec))
        if array.ndim == 0:
            self._scalars[key] = var
        return var

    def add_arg(self, stand_in: Tensor, number: int, given: Tensor, label: str) -> None:
        """Let `stand_in` be the argument for which `given` is passed in this first call."""
        self.args_in[id(stand_in)] = (stand_in, self._bind(stand_in, label))
        self.args[id(stand_in)] = (number, given)

    def made(self, tensor: Tensor) -> bool:
        """Whether `tensor` came to be inside the traced function."""
        return isinstance(tensor._data, Var) and id(tensor) not in self.args

    def _bind(self, tensor: Tensor, label: str) -> int:
        self._kept.append(tensor)
        value = self.graph.add_input(tensor.spec, label)
        self._now[id(tensor)] = Var(self, value)
        return value

    def read(self, tensor: Tensor) -> Var:
        """The value that `tensor` holds at this point of the trace; captures it if need be."""
        data = tensor._data
        if id(tensor) not in self._now:
            if isinstance(data, Var):
                if data.trace is not self:
                    raise leaked(tensor)
                return data
            self.refuse_outside("", [tensor])
            value = self._bind(tensor, f"captured {tensor.label}".rstrip())
            self.captured[id(tensor)] = (tensor, value)
            self._guard_state(tensor)
        return self._now[id(tensor)]

    def refuse_outside(self, op: str, tensors: Sequence[Tensor]) -> None:
        """In the body of an op, raise for a tensor that isn't made from the op's inputs."""
        if self.captures:
            return
        for tensor in tensors:
            if not isinstance(tensor._data, Var):
                raise TraceError(
                    f"{self.name}: its body uses {tensor.spec} from outside; pass it as an input"
                )
        raise TraceError(
            f"{self.name}: {op} in its body meets a tensor on another device than the inputs'; "
            "make it with device=x.device, x being an input"
        )

    def _guard_state(self, tensor: Tensor) -> None:
        """What may change about a tensor from outside, besides its values."""
        self.guard(tensor, "requires_grad", lambda: tensor._node is not None)
        self.guard(tensor, "device", lambda: tensor.device)

    def node(self, tensor: Tensor) -> Node | None:
        """Where gradients for `tensor` go: its node, or a dead end for what was computed outside.

        The tape outside belongs to this one call; a walk that was traced through it would be
        replayed in every later call.
        """
        node = tensor._node
        if node is None or node.is_leaf or isinstance(tensor._data, Var):
            return node
        self._kept.append(tensor)
        return self._outside.setdefault(id(tensor), Node())

    def assign(self, tensor: Tensor, var: Var) -> None:
        if self.made(tensor):
            raise TraceError(
                f"assign: the target was made inside the jitted function ({user_line()}); "
                "make it outside, or use the new value itself"
            )
        if id(tensor) not in self.args:
            self._guard_state(tensor)
        self._kept.append(tensor)
        self._now[id(tensor)] = var
        self.writes[id(tensor)] = (tensor, var)

    # Gradients and guards

    def get_grad(self, tensor: Tensor) -> Tensor | None:
        """`tensor.grad` at this point of the trace."""
        if id(tensor) in self.grads:
            return self.grads[id(tensor)][1]
        if isinstance(tensor._data, Var):  # made here, unless it stands for an argument
            given = self.args[id(tensor)][1] if id(tensor) in self.args else tensor
        else:
            given = tensor
            self.guard(tensor, "grad is None", lambda: tensor._grad is None)
        if given._grad is not None and id(given._grad) not in self._now:
            value = self._bind(given._grad, f"{tensor.label or 'argument'}.grad")
            self.grads_in[id(tensor)] = (tensor, value)
        return given._grad

    def set_grad(self, tensor: Tensor, grad: Tensor | None) -> None:
        self._kept.append(tensor)
        self.grads[id(tensor)] = (tensor, grad)

    def guard(self, owner: object, what: str, read: Callable[[], Hashable]) -> None:
        """Remember what `read()` says now; another answer later means another trace."""
        if (id(owner), what) not in self.guards:
            self._kept.append(owner)
            self.guards[id(owner), what] = (read, read(), f"{type(owner).__name__}.{what}")

    def close(self) -> None:
        """Let go of all tensors: whoever holds a variable of this trace needs its graph alone."""
        for account in (self.args, self.args_in, self.captured, self.grads_in, self.writes,
                        self.grads, self.guards, self.layers, self._now,
                        self._outside):  # fmt: skip
            account.clear()
        self._kept.clear()


TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


class Journal:
    """What eager code changes while the journal is kept, so that it can be undone."""

    def __init__(self) -> None:
        self.entries: list[tuple[Tensor, object, Tensor | None]] = []
        self.assigned: list[Tensor] = []

    def note(self, tensor: Tensor, *, assigned: bool) -> None:
        self.entries.append((tensor, tensor._data, tensor._grad))
        if assigned:
            self.assigned.append(tensor)

    def undo(self) -> None:
        for tensor, data, grad in reversed(self.entries):
            tensor._data, tensor._grad = data, grad


JOURNAL: ContextVar[Journal | None] = ContextVar("journal", default=None)


def guard(owner: object, what: str, read: Callable[[], Hashable]) -> None:
    """Tell the current trace, if there is one, that it depends on `read()`."""
    trace = TRACE.get()
    if trace is not None:
        trace.guard(owner, what, read)


def updating(what: str) -> AbstractContextManager[None]:
    """Within the block, what a trace sees belongs to an optimizer's step: "0.weight (Adam)"."""
    trace = TRACE.get()
    return nullcontext() if trace is None else trace.within(Scope("update", what))


def user_line() -> str:
    """The innermost line of the caller's own code, as "file.py:12: its text"."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return _line(frame.f_code.co_filename, frame.f_lineno)


@lru_cache(maxsize=1024)  # a trace asks at every instruction, and most come from few lines
def _line(path: str, number: int) -> str:
    return f"{Path(path).name}:{number}: {linecache.getline(path, number).strip()}"


def refuse(what: str, remedy: str) -> None:
    """Raise `TraceError` if a trace is current: `what` needs a value, or acts only once."""
    trace = TRACE.get()
    if trace is not None:
        raise TraceError(f"{what} can't be traced by {trace.name}, at {user_line()}; {remedy}")


def leaked(tensor: Operators) -> TraceError:
    """The error for a traced tensor that is used when its trace is over."""
    return TraceError(
        f"a tensor {tensor.spec} was traced by jit and kept after the call, and has no value "
        f"({user_line()}); return it from the jitted function, or store it with assign"
    )
