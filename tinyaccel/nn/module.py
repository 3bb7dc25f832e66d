"""Module: what holds parameters, buffers and other modules, and finds them by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Device, get_device
from tinyaccel.errors import ArgumentError, TinyaccelError, TraceError
from tinyaccel.graph import Scope
from tinyaccel.nn.printing import tree
from tinyaccel.tensor import Tensor, relocate, tensor
from tinyaccel.trace import TRACE, Trace, Var, guard, refuse, user_line

R_co = TypeVar("R_co", covariant=True)


class Forward(Protocol[R_co]):
    """What has a forward, as type checkers see it: calling the module returns what that does."""

    @property
    def forward(self) -> Callable[..., R_co]: ...


class LoadReport(NamedTuple):
    """What `load_state_dict(strict=False)` left alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def Parameter(data: Tensor) -> Tensor:  # noqa: N802  # PyTorch's name
    """A tensor to be trained: a detached copy of `data` that requires a gradient.

    Set as an attribute of a module it becomes one of its parameters, as does any leaf tensor that
    requires a gradient. Raises `GradientError` for a dtype that is no float.
    """
    out = data.detach()
    out.requires_grad = True
    return out


class Module:
    """A layer, or a whole network: a function with parameters that it finds by itself.

    Derive from it, set attributes in `__init__`, define `forward`. An attribute becomes

    - a **parameter**, if it is a leaf tensor that requires a gradient,
    - a **buffer**, if it was announced with `register_buffer`: saved and moved, not trained,
    - a **submodule**, if it is a `Module`,

    and anything else stays an ordinary attribute. `jit` traces `forward` again when `training` or
    one of these is replaced; an ordinary attribute is a constant of the trace: a counter in
    `forward` counts once per trace, not once per call.

    >>> import tinyaccel as ta
    >>> class Scale(ta.nn.Module):
    ...     def __init__(self):
    ...         self.factor = ta.nn.Parameter(ta.tensor(3.0))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(ta.tensor([1.0, 2.0])).tolist(), [name for name, _ in scale.named_parameters()]
    ([3.0, 6.0], ['factor'])
    """

    # In __new__ rather than __init__, so that a subclass may forget super().__init__().
    def __new__(cls, *_args: object, **_options: object) -> Self:
        self = object.__new__(cls)
        for name in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "_transient", set())
        object.__setattr__(self, "_training", True)
        object.__setattr__(self, "_version", 0)
        return self

    _parameters: dict[str, Tensor]
    _buffers: dict[str, Tensor]
    _modules: dict[str, Module]
    _transient: set[str]  # buffers that aren't saved
    _training: bool
    _version: int  # how often a tensor or module among the attributes has been replaced

    def _forward(self, *inputs: object, **_options: object) -> Tensor:
        raise TinyaccelError(
            f"{type(self).__name__}: called with {len(inputs)} inputs, but it has no forward; "
            "define forward(self, x)"
        )

    # Each subclass has its own signature, which a method here would forbid.
    forward: Callable[..., Tensor] = _forward

    if TYPE_CHECKING:  # a few layers return more than one tensor

        def __call__(self: Forward[R_co], *inputs: object, **options: object) -> R_co: ...

    else:

        def __call__(self, *inputs: object, **options: object) -> object:
            trace = TRACE.get()
            if trace is None:
                return self.forward(*inputs, **options)
            self._read()
            with trace.within(Scope(trace.scope.phase, self._place(trace))):
                return self.forward(*inputs, **options)

    def _place(self, trace: Trace) -> str:
        """This layer's path from the outermost module that the trace has seen called."""
        if id(self) not in trace.layers:
            kind = type(self).__name__
            names = (kind if n == 1 else f"{kind}#{n}" for n in count(1))
            root = next(name for name in names if name not in trace.layers.values())
            found: dict[int, str] = {}  # one that is shared goes by its first name
            inner = [(root, self)]
            while inner:
                path, module = inner.pop()
                bracket = "" if module is self else f" ({type(module).__name__})"
                found.setdefault(id(module), path + bracket)
                children = reversed(module._modules.items())
                inner += [(f"{path}.{name}", child) for name, child in children]
            trace.layers.update(found)
        return trace.layers[id(self)]

    # Attributes

    def _read(self) -> None:
        """Tell a trace that it depends on which tensors and modules are attributes here."""
        guard(self, "attributes", lambda: self._version)

    if not TYPE_CHECKING:  # or mypy would take every misspelt attribute for granted

        def __getattr__(self, name: str) -> object:
            for table in ("_parameters", "_buffers", "_modules"):
                found = self.__dict__[table].get(name)
                if found is not None:
                    self._read()
                    return found
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
            return
        if isinstance(value, Tensor):
            self._refuse_traced(name, value)
        elif isinstance(value, list | tuple | dict):
            self._refuse_hidden(name, value)
        table = self._table(name, value)
        old = [t for t in self._tables if name in t]
        if isinstance(value, Tensor | Module) or any(
            isinstance(t[name], Tensor | Module) for t in old
        ):
            self._version += 1
        for other in old:
            if other is not table:
                del other[name]
        table[name] = value
        if isinstance(value, Module):
            for path, t in value._named_tensors():
                t.label = f"{name}.{path}"
        elif isinstance(value, Tensor) and table is not self.__dict__:
            value.label = name

    def __delattr__(self, name: str) -> None:
        for table in self._tables:
            if name in table:
                self._version += isinstance(table[name], Tensor | Module)
                del table[name]
                self._transient.discard(name)
                return
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def _tables(self) -> tuple[dict[str, object], ...]:
        fields = self.__dict__
        return fields["_parameters"], fields["_buffers"], fields["_modules"], fields

    def _table(self, name: str, value: object) -> dict[str, object]:
        """Which table an attribute belongs in."""
        parameters, buffers, modules, plain = self._tables
        if not isinstance(value, Tensor | Module):
            return plain
        if "." in name or hasattr(type(self), name):
            reason = "has a dot" if "." in name else "is the class's own and would hide it"
            raise ArgumentError(
                f"{type(self).__name__}.{name}: set to a {type(value).__name__}, but the name "
                f"{reason}; choose another"
            )
        if isinstance(value, Module):
            return modules
        if name in buffers:
            return buffers
        if name in parameters and not value.is_leaf:
            raise ArgumentError(
                f"{type(self).__name__}.{name}: a parameter set to a computed tensor {value.spec}; "
                "expected a leaf; detach it, or choose another name"
            )
        if name in parameters or (value.requires_grad and value.is_leaf):
            return parameters
        return plain

    def _refuse_traced(self, name: str, value: Tensor) -> None:
        if isinstance(value._data, Var):
            raise TraceError(
                f"{type(self).__name__}.{name}: set to a tensor {value.spec} that jit is tracing, "
                f"at {user_line()}; make it a buffer (register_buffer) outside jit and use "
                f"self.{name}.assign(value)"
            )

    def _refuse_hidden(
        self, name: str, value: list[object] | tuple[object, ...] | dict[object, object]
    ) -> None:
        items = value.values() if isinstance(value, dict) else value
        if any(isinstance(item, Module) for item in items):
            raise ArgumentError(
                f"{type(self).__name__}.{name}: a {type(value).__name__} of modules, whose "
                "parameters wouldn't be found; put them into nn.ModuleList or nn.Sequential"
            )

    def register_buffer(self, name: str, value: Tensor, persistent: bool = True) -> None:
        """Add a tensor that is saved and moved with the module, but not trained.

        It changes only by `assign`, like everything else. persistent=False leaves it out of
        `state_dict`. Raises `ArgumentError` if the name is taken.
        """
        if any(name in table for table in self._tables):
            raise ArgumentError(
                f"{type(self).__name__}.register_buffer: name {name!r} is taken; choose another"
            )
        self._buffers[name] = value  # first, so that __setattr__ takes it for a buffer
        try:
            setattr(self, name, value)
        except TinyaccelError:
            del self._buffers[name]
            raise
        if not persistent:
            self._transient.add(name)

    # Walking

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """All modules, this one first (under the name ""), each once, by dotted name."""
        seen: set[int] = set()
        for path, module in self._walk(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module

    def modules(self) -> Iterator[Module]:
        """All modules, this one first, each once."""
        return (module for _, module in self.named_modules())

    def _walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        self._read()
        yield prefix, self
        for name, child in self._modules.items():
            yield from child._walk(f"{prefix}.{name}" if prefix else name)

    def _named_tensors(self, kinds: str = "pb") -> Iterator[tuple[str, Tensor]]:
        """Parameters ("p") and buffers ("b") under every name that they have."""
        for path, module in self._walk():
            dot = f"{path}." if path else ""
            for kind, table in (("p", module._parameters), ("b", module._buffers)):
                if kind in kinds:
                    for name, value in table.items():
                        yield dot + name, value

    def _once(self, kinds: str) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        for name, value in self._named_tensors(kinds):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """All parameters by dotted name; one that is shared comes once, by its first name."""
        return self._once("p")

    def parameters(self) -> Iterator[Tensor]:
        """All parameters, each once: what an optimizer is given."""
        return (value for _, value in self._once("p"))

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers by dotted name, each once."""
        return self._once("b")

    def buffers(self) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (value for _, value in self._once("b"))

    # Modes and gradients

    @property
    def training(self) -> bool:
        """Whether dropout drops and batch norm uses the batch's statistics.

        A trace that reads it depends on it.
        """
        guard(self, "training", lambda: self._training)
        return self._training

    @training.setter
    def training(self, value: bool) -> None:
        object.__setattr__(self, "_training", bool(value))

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in all submodules; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Clear `training` here and in all submodules; returns the module."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients: `.grad` becomes None."""
        for parameter in self.parameters():
            parameter.grad = None

    # State

    def to(self, device: str | Device) -> Self:
        """Move all parameters and buffers, where they stand, to another device.

        The tensors stay the same objects, so that an optimizer goes on holding them; its own
        state moves with `Optimizer.to`. Returns the module.
        """
        target = get_device(device)
        for _, value in self._once("pb"):
            relocate(value, target)
        return self

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all parameters and persistent buffers on the host, by dotted name.

        The names are PyTorch's, so that weights go over in both directions.
        """
        return {name: value.numpy() for name, value in self._saved().items()}

    def _saved(self) -> dict[str, Tensor]:
        """What is saved, in the order of `state_dict`."""
        left_out = {
            f"{path}.{name}" if path else name
            for path, module in self._walk()
            for name in module._transient
        }
        return {name: t for name, t in self._named_tensors() if name not in left_out}

    def load_state_dict(
        self, state: Mapping[str, npt.ArrayLike], strict: bool = True
    ) -> LoadReport:
        """Replace the values of parameters and buffers by those of `state`.

        state   arrays by dotted name, as `state_dict` gives them, PyTorch's included; floats are
                rounded to the module's own dtype
        strict  whether names that are missing or unexpected are an error

        Returns which were missing and unexpected. Raises `ArgumentError`, which names them all,
        for those and for wrong shapes; nothing is changed unless everything fits.
        """
        refuse("load_state_dict", "load outside the jitted function")
        own = self._saved()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        wrong = []
        values: list[tuple[Tensor, Tensor]] = []
        for name, target in own.items():
            if name in state:
                given = state[name]
                array = np.asarray(given.numpy() if isinstance(given, Tensor) else given)
                if array.shape != target.shape or not _holds(target, array):
                    wrong.append(f"{name} {array.dtype}{list(array.shape)} for {target.spec}")
                else:
                    rounded = array.astype(target.dtype.numpy)
                    values.append((target, tensor(rounded, device=target.device)))
        problems = [("wrong", wrong)]
        if strict:
            problems = [("missing", missing), ("unexpected", unexpected), *problems]
        if any(names for _, names in problems):
            listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in problems if names)
            raise ArgumentError(
                f"load_state_dict: the state doesn't fit {type(self).__name__}: {listed}; "
                "nothing was loaded"
            )
        for target, value in values:
            target.assign(value)
        return LoadReport(missing, unexpected)

    # For people

    def extra_repr(self) -> str:
        """The settings to print between the brackets; "" unless a subclass says more."""
        return ""

    def __repr__(self) -> str:
        return tree(self)


def _holds(target: Tensor, array: npt.NDArray[Any]) -> bool:
    """Whether a tensor of target's kind may take the values: floats take any number."""
    given = dtypes.as_dtype(array.dtype)
    return target.dtype.is_float or given.kind == target.dtype.kind
