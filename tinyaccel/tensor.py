"""Tensor, and `apply`: the one door through which every op goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api, dtypes, shapes
from tinyaccel.backend import DEFAULT_DEVICE, Device, get_device
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType, Scalar
from tinyaccel.errors import (
    DeviceError,
    DTypeError,
    GradientError,
    ShapeError,
    TinyaccelError,
    TraceError,
)
from tinyaccel.getitem import Indexing
from tinyaccel.op import OPS, Op, Spec
from tinyaccel.tape import GRAD_MODE, Node, walk
from tinyaccel.trace import JOURNAL, TRACE, Trace, Var, guard, leaked, refuse, user_line

TensorLike: TypeAlias = "Tensor | Scalar | np.ndarray"
DTypeLike: TypeAlias = DType | str | type | np.dtype[Any]


def apply(name: str, *args: TensorLike, device: Device | None = None, **attrs: Any) -> Tensor:
    """Apply the op called `name`: cast, infer, run or trace, record.

    `device` is only for ops without inputs. Raises what the op's own rules raise, `DeviceError`
    if the inputs are on different devices.
    """
    op = OPS.get(name)
    if op is None:
        raise TinyaccelError(f"op {name!r} is unknown; tinyaccel.op.OPS lists them")
    trace = TRACE.get()
    inputs = _prepare_inputs(op, args, device, trace)
    device = inputs[0].device if inputs else device or get_device(DEFAULT_DEVICE.get())
    specs = [t.spec for t in inputs]
    if op.prepare is not None:
        attrs = op.prepare(*specs, **attrs)
    spec = op.infer(*specs, **attrs)
    if trace is not None:
        data = trace.append(name, inputs, attrs, spec)
    else:
        data = _run(op, inputs, attrs, device)
    out = Tensor._make(data, spec, device)
    if spec.dtype.is_float and (op.vjp or op.body) and GRAD_MODE.get():
        parents = tuple(t._node for t in inputs)
        if any(parents):
            saved = tuple(Tensor._make(t._data, t.spec, t.device, t._node) for t in inputs)
            out._node = Node(op, saved, parents, attrs, (data, spec, device))
    return out


def _prepare_inputs(
    op: Op, args: Sequence[TensorLike], device: Device | None, trace: Trace | None
) -> list[Tensor]:
    """`args` as tensors on one device, in the dtypes that the op takes, as they are now."""
    for arg in args:
        if isinstance(arg, Tensor):
            if device is not None and arg.device is not device:
                if trace is not None:
                    trace.refuse_outside(op.name, [a for a in args if isinstance(a, Tensor)])
                raise DeviceError(
                    f"{op.name}: tensors on {device} and {arg.device}; move one with .to(device)"
                )
            device = arg.device
    device = device or get_device(DEFAULT_DEVICE.get())
    known: list[Tensor | Scalar] = []
    for arg in args:
        if isinstance(arg, Tensor) or dtypes.is_scalar(arg):
            known.append(arg)  # type: ignore[arg-type]  # narrowed by is_scalar
        elif isinstance(arg, np.ndarray):
            known.append(tensor(arg, device=device))
        else:
            raise DTypeError(
                f"{op.name}: got {type(arg).__name__}; expected a tensor, an array or a number"
            )
    wanted = op.input_dtypes([k.dtype if isinstance(k, Tensor) else k for k in known])
    result = []
    for item, dtype in zip(known, wanted, strict=True):
        if not isinstance(item, Tensor):
            item = _constant(np.asarray(item), dtype, device, trace)
        elif item.dtype is not dtype:
            item = apply("astype", item, dtype=dtype)
        if trace is not None:
            item = Tensor._make(trace.read(item), item.spec, item.device, trace.node(item))
        elif isinstance(item._data, Var):
            raise leaked(item)
        result.append(item)
    return result


def _constant(array: npt.NDArray[Any], dtype: DType, device: Device, trace: Trace | None) -> Tensor:
    """A tensor with the values of `array`, which nobody else changes; too large ones become inf."""
    spec = Spec(array.shape, dtype)
    if array.dtype != dtype.numpy:
        with np.errstate(all="ignore"):
            array = array.astype(dtype.numpy)
    if trace is not None:
        return Tensor._make(trace.constant(array, spec), spec, device)
    return Tensor._make(device.backend.upload(array, device), spec, device)


def _run(op: Op, inputs: Sequence[Tensor], attrs: dict[str, Any], device: Device) -> Any:
    low = any(t.spec.dtype in array_api.LOW_PRECISION for t in inputs)
    kernel = device.backend.kernel(op, low)
    if kernel is not None:
        return kernel(*[t._data for t in inputs], **attrs)
    assert op.body is not None
    with setting(GRAD_MODE, False):
        return op.body(*inputs, **attrs)._data


def pull_back(node: Node, g: Tensor, needs: Sequence[bool]) -> Sequence[Tensor | None]:
    """The gradients of a node's inputs, each of its input's shape and dtype, where needed."""
    trace = TRACE.get()
    if trace is None:
        return _pull_back(node, g, needs)
    with trace.back_from(node.out[0] if node.out else None):
        return _pull_back(node, g, needs)


def accumulate(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two gradients of one tensor."""
    trace = TRACE.get()
    if trace is None:
        return apply("add", a, b)
    with trace.back_from(b._data):
        return apply("add", a, b)


def _pull_back(node: Node, g: Tensor, needs: Sequence[bool]) -> Sequence[Tensor | None]:
    op = node.op
    if op is None:
        return [g]
    if op.vjp is None:
        return _pull_back_body(node, g, needs)
    data, spec, device = node.out
    out = Tensor._make(data, spec, device, node)
    if isinstance(op.vjp, tuple):
        grads: Sequence[Tensor | None] = [
            rule(g, out, *node.inputs, **node.attrs) if need and rule is not None else None
            for rule, need in zip(op.vjp, needs, strict=False)  # optional inputs may be absent
        ]
    else:
        grads = op.vjp(g, out, *node.inputs, **node.attrs)
        if len(grads) != len(node.inputs):
            raise GradientError(
                f"{op.name}: its vjp returned {len(grads)} gradients for {len(node.inputs)} inputs"
            )
    return [
        _fit(op, grad, source) if need and grad is not None else None
        for grad, source, need in zip(grads, node.inputs, needs, strict=True)
    ]


def _fit(op: Op, grad: Tensor, source: Tensor) -> Tensor:
    """`grad` summed over what was broadcast, for the ops that broadcast; else it must fit."""
    if op.broadcasts and grad.shape != source.shape:
        extra = grad.ndim - source.ndim
        axes = [
            i for i, n in enumerate(grad.shape) if i < extra or (source.shape[i - extra] == 1 != n)
        ]
        grad = apply("sum", grad, axis=tuple(axes), keepdims=True)
        grad = apply("reshape", grad, shape=grad.shape[extra:])
    if op.broadcasts and grad.dtype is not source.dtype:
        grad = apply("astype", grad, dtype=source.dtype)
    if grad.spec != source.spec:
        raise GradientError(
            f"{op.name}: its vjp returned {grad.spec} for an input of {source.spec}; "
            "a gradient has its input's shape and dtype"
        )
    return grad


def _pull_back_body(node: Node, g: Tensor, needs: Sequence[bool]) -> list[Tensor | None]:
    """Differentiate a composite that has no rule of its own through its body."""
    assert node.op is not None and node.op.body is not None
    # The other inputs stay on the tape: the gradient found here may be differentiated by them.
    fresh = [t.alias() if need else t for t, need in zip(node.inputs, needs, strict=True)]
    with setting(GRAD_MODE, True):
        out = node.op.body(*fresh, **node.attrs)
    found = iter(gradients(out, g, [t for t, need in zip(fresh, needs, strict=True) if need]))
    return [next(found) if need else None for need in needs]


def gradients(out: Tensor, g: Tensor, sources: Sequence[Tensor]) -> list[Tensor | None]:
    """Pull `g`, the gradient of `out`, back to `sources`; None for one that it doesn't reach."""
    if out._node is None:
        return [None] * len(sources)
    targets = [s._node for s in sources if s._node is not None]
    found = walk(out._node, g, pull_back, accumulate, targets)
    return [found.get(s._node) if s._node is not None else None for s in sources]


class Tensor(Indexing):
    """An n-dimensional array on a device, which remembers how it was made.

    Make one with `tinyaccel.tensor(...)`. A tensor never changes except through `assign`.

    shape, dtype, ndim, size, device   what it is and where
    requires_grad                      whether gradients flow to it
    grad                               the gradient that `backward` has accumulated, or None
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_node", "device", "label", "spec")
    _apply = staticmethod(apply)
    __array_ufunc__ = None  # so that ndarray + tensor comes to Tensor.__radd__

    _data: Any
    _grad: Tensor | None
    _node: Node | None
    device: Device
    label: str

    def __init__(self) -> None:
        raise TinyaccelError("Tensor: make one with tinyaccel.tensor(data)")

    @classmethod
    def _make(cls, data: Any, spec: Spec, device: Device, node: Node | None = None) -> Tensor:
        self = object.__new__(Tensor)
        self._data, self.spec, self.device, self._node = data, spec, device, node
        self._grad = None
        self.label = ""
        return self

    # What it is

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by an op on the tape."""
        return self._node is None or self._node.leaf is not None

    @property
    def requires_grad(self) -> bool:
        if not isinstance(self._data, Var):
            guard(self, "requires_grad", lambda: self._node is not None)
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        trace = TRACE.get()
        if trace is not None and not trace.made(self):
            refuse("setting requires_grad", "set it outside jit")
        if not self.is_leaf:
            raise GradientError("requires_grad: only a leaf's can be set; use detach() first")
        if value and not self.dtype.is_float:
            raise GradientError(f"requires_grad: {self.spec} has no gradient; use a float dtype")
        if value != self.requires_grad:
            self._node = Node(leaf=self) if value else None

    @property
    def grad(self) -> Tensor | None:
        trace = TRACE.get()
        return self._grad if trace is None else trace.get_grad(self)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and value.spec != self.spec:
            raise GradientError(f"grad: {value.spec} set on a tensor of {self.spec}; must be equal")
        if value is not None and value.device is not self.device:
            raise DeviceError(f"grad: {value.device} on a tensor of {self.device}; move it first")
        trace = TRACE.get()
        if trace is None:
            self._journal(assigned=False)
            self._grad = value
        else:
            trace.set_grad(self, value)

    # Gradients and state

    def detach(self) -> Tensor:
        """The same values, cut off from the tape."""
        return Tensor._make(self._current(), self.spec, self.device)

    def alias(self) -> Tensor:
        """The same values as a new place that gradients can be asked for; they flow on from it."""
        out = self.detach()
        trace = TRACE.get()
        node = self._node if trace is None else trace.node(self)
        out._node = Node(leaf=out) if node is None else Node(parents=(node,))
        return out

    def __deepcopy__(self, memo: dict[int, object]) -> Tensor:
        """A leaf of its own with the same values: what a copy of a model is made of."""
        if not self.is_leaf:
            raise GradientError("deepcopy: the tensor was computed and is on the tape; detach it")
        out = self.detach()
        out.label, out.requires_grad = self.label, self.requires_grad
        memo[id(self)] = out
        return out

    def _current(self) -> Any:
        trace = TRACE.get()
        return self._data if trace is None else trace.read(self)

    def assign(self, value: TensorLike) -> Tensor:
        """Replace the values by those of `value`, which has the same shape, dtype and device.

        The one way in which a tensor changes; returns the tensor itself.
        """
        if not self.is_leaf:
            raise GradientError("assign: the tensor was computed and is on the tape; detach first")
        if not isinstance(value, Tensor):
            value = tensor(value, dtype=self.dtype, device=self.device)
        if value.device is not self.device:
            raise DeviceError(f"assign: {value.device} to {self.device}; move it with .to(device)")
        if value.spec != self.spec:
            raise ShapeError(f"assign: {value.spec} to {self.spec}; shape and dtype must be equal")
        trace = TRACE.get()
        if trace is not None:
            trace.assign(self, trace.read(value))
        elif isinstance(value._data, Var) or isinstance(self._data, Var):
            raise leaked(value)
        else:
            self._journal(assigned=True)
            self._data = value._data
        return self

    def _journal(self, *, assigned: bool) -> None:
        journal = JOURNAL.get()
        if journal is not None:
            journal.note(self, assigned=assigned)

    def backward(self, gradient: Tensor | None = None, *, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf that `self` depends on.

        gradient      what the gradient starts from; may be left out for a tensor of one element
        create_graph  whether the gradients may themselves be differentiated

        Raises `GradientError` if nothing requires a gradient or the start doesn't fit.
        """
        if self._node is None:
            raise GradientError("backward: nothing here requires a gradient; set requires_grad")
        if gradient is None:
            if self.size != 1:
                raise GradientError(
                    f"backward: {self.spec} is no scalar; reduce it, or pass gradient= of its shape"
                )
            gradient = full(self.shape, 1, dtype=self.dtype, device=self.device)
        if gradient.spec != self.spec:
            raise GradientError(f"backward: gradient {gradient.spec} for {self.spec}; must fit")
        with setting(GRAD_MODE, create_graph):
            found = walk(self._node, gradient, pull_back, accumulate)
            for node, g in found.items():
                if node.leaf is None:
                    raise TraceError(
                        "backward: reaches a tensor that was computed outside the jitted function, "
                        f"at {user_line()}; compute it inside, or detach it"
                    )
                leaf = node.leaf()
                if leaf is not None:
                    leaf.grad = g if leaf.grad is None else accumulate(leaf.grad, g)

    # Elsewhere

    def to(self, device: str | Device) -> Tensor:
        """The same values on another device; gradients flow back to this one."""
        target = get_device(device)
        if target is self.device:
            return self
        refuse("moving a tensor", "move it outside jit")
        out = Tensor._make(target.backend.upload(self.numpy(), target), self.spec, target)
        if self._node is not None and GRAD_MODE.get():
            out._node = Node(_moved_to(self.device), (self.detach(),), (self._node,))
            out._node.out = (out._data, out.spec, target)
        return out

    def __repr__(self) -> str:
        if isinstance(self._data, Var):
            return f"tensor(%{self._data.value}, {self.spec}, traced)"
        with setting(TRACE, None):
            values = np.array2string(self.numpy(), separator=", ", prefix="tensor(", threshold=200)
        plain = self.dtype in (dtypes.DEFAULT_FLOAT, dtypes.bool_)
        extra = [] if plain else [f"dtype={self.dtype}"]
        extra += [f"shape={self.shape}"] * (self.size == 0 and self.ndim > 1)
        extra += [f"device={self.device.name!r}"] * (self.device.name != "cpu")
        extra += ["requires_grad=True"] * self.requires_grad
        return f"tensor({', '.join([values, *extra])})"


def relocate(leaf: Tensor, device: Device) -> None:
    """Move a leaf to another device where it stands: what holds it keeps holding it."""
    if not leaf.is_leaf:
        raise GradientError("relocate: the tensor was computed; use .to(device), which copies")
    refuse("moving a tensor", "move it outside jit")
    if leaf.device is not device:
        leaf._data, leaf.device = device.backend.upload(leaf.numpy(), device), device
        leaf._grad = None if leaf._grad is None else leaf._grad.to(device)


def _moved_to(back: Device) -> Op:
    """An op for the tape alone: a move between devices, whose gradient moves back."""
    return Op("to", "movement", lambda spec: spec, vjp=(lambda g, out, x: g.to(back),))


# Creation

Data: TypeAlias = "Tensor | Scalar | Sequence[Any] | npt.ArrayLike"


def tensor(
    data: Data,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor from numbers, nested lists, or anything that NumPy can read.

    dtype   default: an array keeps its own; Python floats become float32, integers int32
    device  default: the current default device, "cpu" unless set

    Raises `DTypeError` for a type that tinyaccel doesn't have, or values that it can't hold.

    >>> tensor([[1, 2], [3, 4]]) + 0.5
    tensor([[1.5, 2.5],
            [3.5, 4.5]])
    """
    where = get_device(device if device is not None else DEFAULT_DEVICE.get())
    if isinstance(data, Tensor):
        out = data.detach().to(where)
        out = out if dtype is None else out.astype(dtype)
    else:
        array = np.array(data)
        if array.dtype.kind in "OUS":
            raise DTypeError(f"tensor: can't read {type(data).__name__} as numbers; {data!r:.60}")
        wanted = _dtype_for(data, array) if dtype is None else dtypes.as_dtype(dtype)
        if wanted.is_integer and array.dtype.kind in "iuf" and array.size:
            doubtful = [array.min(), array.max()]
            if array.dtype.kind == "f":
                doubtful += array[np.trunc(array) != array][:1].tolist()
            for value in doubtful:
                dtypes.check_scalar(value, wanted, "tensor")
        out = _constant(array, wanted, where, TRACE.get())
    if requires_grad:
        out.requires_grad = True
    return out


def _dtype_for(data: object, array: npt.NDArray[Any]) -> DType:
    if not hasattr(data, "dtype") or dtypes.is_scalar(data):
        if array.dtype == np.float64:
            return dtypes.DEFAULT_FLOAT
        if array.dtype == np.int64:
            return dtypes.DEFAULT_INT
    return dtypes.as_dtype(array.dtype)


def full(
    shape: int | Sequence[int],
    value: Scalar,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """A tensor of `shape` filled with `value`."""
    size = shapes.as_shape(shape, "full")
    kind = dtypes.of_scalar(value) if dtype is None else dtypes.as_dtype(dtype)
    dtypes.check_scalar(value, kind, "full")
    where = get_device(device if device is not None else DEFAULT_DEVICE.get())
    one = _constant(np.asarray(value), kind, where, TRACE.get())
    return apply("broadcast_to", one, shape=size) if size else one
