"""The contract of a backend, devices, and how both are found.

A backend is a class in any installed package, announced by an entry point in the group
"tinyaccel.backends" whose name is the device's: `cpu = "tinyaccel_numpy:NumpyBackend"`. The engine
knows none by name; ours have no privilege that a stranger's would not have.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from tinyaccel import array_api
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, BackendError, DeviceError, TinyaccelError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import OPS, Kernel, Op

Array: TypeAlias = Any  # a backend's own array type; the engine never looks inside
Executable: TypeAlias = Callable[[Sequence[Array]], list[Array]]
Precision = Literal["highest", "high", "fast"]

_NUMERIC = ("unary", "binary", "reduction", "linalg", "window")


class Backend(abc.ABC):
    """What an array library must provide to be a tinyaccel device.

    name      the device's name, as in the entry point
    priority  which backend `device="auto"` prefers; below 0 it is never chosen
    xp        a Python Array API namespace, for the default kernels; or None
    kernels   the backend's own kernels by op name: kernel(*arrays, **attrs) -> array

    For the conformance kit:

    compiles_each_shape  whether a new shape costs a compilation, so that tests draw from few
    known_differences    where it deviates, and why: by op, "op:dtype", convention or check; and
                         by its name each dtype that it lacks

    A kernel is looked up by name: one that came with the op (`custom_op`), the backend's own, the
    op's body, the Array API default. It returns exactly the inferred shape and dtype.
    """

    name: ClassVar[str]
    priority: ClassVar[int] = 0
    xp: ModuleType | None = None
    kernels: Mapping[str, Kernel]
    compiles_each_shape: ClassVar[bool] = False
    known_differences: ClassVar[Mapping[str, str]] = {}

    @abc.abstractmethod
    def devices(self) -> list[str]:
        """The devices that are here, the default first: ["cuda:0", "cuda:1"]."""

    @abc.abstractmethod
    def upload(self, array: np.ndarray, device: Device) -> Array:
        """A device array with the same values; never shares memory with `array`."""

    @abc.abstractmethod
    def download(self, array: Array) -> np.ndarray:
        """A host array with the same values, which the caller may write to."""

    def memory(self, device: Device) -> int | None:
        """How many bytes of memory the device has, if that is known."""
        return None

    def synchronize(self) -> None:
        """Wait until all work given to the device is done."""
        return

    def forget(self) -> None:
        """Let go of what was compiled: it is compiled again when needed. Here, there is nothing."""
        return

    def compile(self, graph: Graph, device: Device) -> Executable:
        """A function from input arrays to output arrays; here, an interpreter of the graph."""
        return graph.runner(
            lambda instr: self.instr_kernel(instr, graph),
            lambda array: self.upload(array, device),
        )

    def instr_kernel(self, instr: Instr, graph: Graph) -> Kernel:
        """The kernel that executes one instruction of `graph`."""
        op = OPS[instr.op]
        low = any(graph.specs[v].dtype in array_api.LOW_PRECISION for v in instr.inputs)
        kernel = self.kernel(op, low)
        if kernel is None:
            raise BackendError(f"{op.name}: {self.name} has no kernel; expand composites first")
        return kernel

    def instr_has_kernel(self, instr: Instr, graph: Graph) -> bool:
        """Whether an instruction can run as it is, or is a composite to be expanded."""
        op = OPS[instr.op]
        return op.is_primitive or self.kernel(op) is not None

    def source(self, graph: Graph, device: Device) -> str:
        """What `compile` made of a graph, for people: here, the kernel of each instruction."""
        lines = []
        for instr in graph.instrs:
            own = instr.op in self.kernels or self.name in OPS[instr.op].kernels
            origin = f"{self.name} kernel" if own else "Array API default"
            lines.append(f"{graph.line(instr)}  # {origin}")
        return "\n".join(lines)

    def kernel(self, op: Op, low: bool = False) -> Kernel | None:
        """The kernel for `op`, or None where its body is to be run.

        `low` asks for one that takes float16 or bfloat16 inputs. Raises `BackendError` where
        there is neither kernel nor body.
        """
        key = (op, low)
        found = self._found.get(key)
        if found is None and key not in self._found:
            found = self._found[key] = self._find(op, low)
        return found

    @cached_property
    def _found(self) -> dict[tuple[Op, bool], Kernel | None]:
        return {}

    def wrap(self, kernel: Kernel, name: str) -> Kernel:
        """What the engine calls in place of op `name`'s kernel; here, the kernel itself."""
        return kernel

    def _find(self, op: Op, low: bool) -> Kernel | None:
        kernel = op.kernels.get(self.name) or self.kernels.get(op.name)
        if kernel is None and op.body is not None:
            return None
        if kernel is None and self.xp is not None:
            kernel = array_api.kernels(self.xp).get(op.name)
        if kernel is None:
            raise BackendError(
                f"{op.name}: backend {self.name!r} has no kernel for it; use another device, or "
                f"give it one (its `kernels[{op.name!r}]`, or custom_op's kernels=)"
            )
        rounds = op.kind in _NUMERIC or op.budget.kind in ("accumulate", "steps")
        if low and rounds and self.xp is not None:
            kernel = array_api.in_float32(kernel, self.xp)
        return self.wrap(kernel, op.name)

    def missing_kernels(self) -> list[str]:
        """The primitives that this backend can't run, by name."""
        defaults = array_api.kernels(self.xp) if self.xp is not None else {}
        return [
            op.name
            for op in OPS.values()
            if op.is_primitive
            and op.kind != "custom"
            and op.name not in self.kernels
            and op.name not in defaults
        ]


@dataclass(frozen=True, eq=False)
class Device:
    """Where a tensor lives: a backend, and which of its devices. There is one object for each."""

    name: str
    backend: Backend

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"device({self.name!r})"


# Discovery

_GROUP = "tinyaccel.backends"
_registered: dict[str, Callable[[], Backend]] = {}
_backends: dict[str, Backend] = {}
_devices: dict[str, Device] = {}


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}


def register_backend(name: str, factory: Callable[[], Backend]) -> None:
    """Make a backend known without an entry point: for notebooks and tests."""
    _registered[name] = factory
    _backends.pop(name, None)
    for known in [d for d in _devices if d.split(":")[0] == name]:
        del _devices[known]


def backend_names() -> list[str]:
    """The names of all backends that are installed; imports none of them."""
    return sorted({*_entry_points(), *_registered})


def load_backend(name: str) -> Backend:
    """The backend called `name`, imported and checked.

    Raises `DeviceError` for an unknown name, `BackendError` if its package is missing (it names
    the extra to install) or if it has no kernel for some primitive (it lists them all).
    """
    if name in _backends:
        return _backends[name]
    if name in _registered:
        factory = _registered[name]
    elif name in _entry_points():
        point = _entry_points()[name]
        try:
            factory = point.load()
        except ImportError as error:
            raise _missing_package(name, error) from error
    else:
        raise DeviceError(
            f"device: {name!r} is unknown; expected one of {', '.join(backend_names())} or auto"
        )
    try:
        backend = factory()
    except ImportError as error:
        raise _missing_package(name, error) from error
    except TinyaccelError:
        raise
    except Exception as error:  # a stranger's plug-in must not take the others down with it
        raise BackendError(f"backend {name!r} fails: {type(error).__name__}: {error}") from error
    if not isinstance(backend, Backend):
        raise BackendError(
            f"backend {name!r}: {type(backend).__name__} is no tinyaccel.Backend; derive from it"
        )
    missing = backend.missing_kernels()
    if missing:
        raise BackendError(
            f"backend {name!r} lacks kernels for {', '.join(missing)}; add them to its `kernels` "
            "or give it an Array API namespace as `xp`"
        )
    _backends[name] = backend
    return backend


def _missing_package(name: str, error: ImportError) -> BackendError:
    # Not EntryPoint.extras, which splits "cuda-sim" at its hyphen (Python 3.11 to 3.13).
    value = _entry_points()[name].value if name in _entry_points() else ""
    extra = value.partition("[")[2].rstrip("] ")
    remedy = f"pip install 'tinyaccel[{extra}]'" if extra else "install what it needs"
    return BackendError(f"device {name!r}: {error}; {remedy}")


def get_device(name: str | Device) -> Device:
    """The device called `name`: "cpu", "cuda:1", "xla:cpu", ... or "auto" for the best one here.

    Raises `DeviceError` if it is unknown or absent (and lists those known), `BackendError` if its
    package is missing.
    """
    if isinstance(name, Device):
        return name
    if name in _devices:
        return _devices[name]
    if name == "auto":
        return _best_device()
    backend = load_backend(name.split(":")[0])
    present = backend.devices()
    canonical = present[0] if name == backend.name and present else name
    if canonical not in present:
        raise DeviceError(
            f"device: {name!r} is not here; {backend.name} has {', '.join(present) or 'none'}"
        )
    if canonical not in _devices:
        _devices[canonical] = Device(canonical, backend)
    _devices[name] = _devices[canonical]
    return _devices[name]


def _best_device() -> Device:
    """The device of the backend with the highest priority that works here."""
    here: list[tuple[int, str]] = []
    for name in backend_names():
        try:
            backend = load_backend(name)
            if backend.priority >= 0 and backend.devices():
                here.append((backend.priority, name))
        except (BackendError, DeviceError):
            continue  # absent here, which is what "auto" is asked to find out
    if not here:
        raise DeviceError('device: "auto" found no usable backend; pip install tinyaccel again')
    return get_device(max(here)[1])


DEFAULT_DEVICE: ContextVar[str] = ContextVar("default_device", default="cpu")
PRECISION: ContextVar[Precision] = ContextVar("precision", default="highest")


def default_device(name: str) -> AbstractContextManager[None]:
    """Within the block, new tensors go to this device unless `device=` says otherwise."""
    return setting(DEFAULT_DEVICE, get_device(name).name)  # what "auto" finds, is found once


def precision(level: Precision) -> AbstractContextManager[None]:
    """Within the block, matrix products and convolutions may be less exact, if that is faster.

    "highest" (the default) is full float32; "high" permits TF32 or three bfloat16 passes; "fast"
    permits bfloat16. A backend may always be more exact.
    """
    if level not in ("highest", "high", "fast"):
        raise ArgumentError(f'precision: {level!r}; expected "highest", "high" or "fast"')
    return setting(PRECISION, level)
