"""Tensor's operators and methods: a line each, which names the op and nothing more.

They are written out, so that type checkers and readers see them; the op is found by its name, so
that this file needs none of the ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from tinyaccel import dtypes, shapes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ShapeError
from tinyaccel.op import Spec

if TYPE_CHECKING:
    from tinyaccel.tensor import DTypeLike, Tensor, TensorLike


class Operators:
    """What can be written with a tensor. `_apply` is `tensor.apply`."""

    __slots__ = ()
    _apply: ClassVar[Callable[..., Tensor]]
    spec: Spec

    @property
    def shape(self) -> shapes.Shape:
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        return shapes.size(self.spec.shape)

    # Operators

    __hash__ = object.__hash__

    def __add__(self, other: TensorLike) -> Tensor:
        return self._apply("add", self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return self._apply("add", other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return self._apply("sub", self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return self._apply("sub", other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return self._apply("mul", self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return self._apply("mul", other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return self._apply("div", self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return self._apply("div", other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return self._apply("floor_divide", self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return self._apply("floor_divide", other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return self._apply("remainder", self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return self._apply("remainder", other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return self._apply("pow", self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return self._apply("pow", other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return self._apply("matmul", self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return self._apply("matmul", other, self)

    def __neg__(self) -> Tensor:
        return self._apply("neg", self)

    def __abs__(self) -> Tensor:
        return self._apply("abs", self)

    def __invert__(self) -> Tensor:
        return self._apply("bitwise_not", self)

    def __and__(self, other: TensorLike) -> Tensor:
        return self._apply("bitwise_and", self, other)

    def __rand__(self, other: TensorLike) -> Tensor:
        return self._apply("bitwise_and", other, self)

    def __or__(self, other: TensorLike) -> Tensor:
        return self._apply("bitwise_or", self, other)

    def __ror__(self, other: TensorLike) -> Tensor:
        return self._apply("bitwise_or", other, self)

    def __xor__(self, other: TensorLike) -> Tensor:
        return self._apply("bitwise_xor", self, other)

    def __rxor__(self, other: TensorLike) -> Tensor:
        return self._apply("bitwise_xor", other, self)

    def __lshift__(self, other: TensorLike) -> Tensor:
        return self._apply("shift_left", self, other)

    def __rshift__(self, other: TensorLike) -> Tensor:
        return self._apply("shift_right", self, other)

    def __eq__(self, other: TensorLike) -> Tensor:  # type: ignore[override]  # elementwise
        return self._apply("equal", self, other)

    def __ne__(self, other: TensorLike) -> Tensor:  # type: ignore[override]  # elementwise
        return self._apply("not_equal", self, other)

    def __lt__(self, other: TensorLike) -> Tensor:
        return self._apply("less", self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return self._apply("less_equal", self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return self._apply("less", other, self)

    def __ge__(self, other: TensorLike) -> Tensor:
        return self._apply("less_equal", other, self)

    # Methods

    def astype(self, dtype: DTypeLike) -> Tensor:
        return self._apply("astype", self, dtype=dtypes.as_dtype(dtype))

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        new = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return self._apply("reshape", self, shape=new)

    def permute_dims(self, *axes: int | Sequence[int]) -> Tensor:
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self._apply("permute_dims", self, axes=order)

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        return self._apply("broadcast_to", self, shape=shape)

    def expand_dims(self, axis: int) -> Tensor:
        return self._apply("expand_dims", self, axis=axis)

    def squeeze(self, axis: shapes.Axes) -> Tensor:
        return self._apply("squeeze", self, axis=axis)

    def flatten(self, start: int = 0, end: int = -1) -> Tensor:
        return self._apply("reshape", self, shape=shapes.flatten(self.shape, start, end))

    def roll(self, shift: int | Sequence[int], axis: shapes.Axes = None) -> Tensor:
        return self._apply("roll", self, shift=shift, axis=axis)

    def tile(self, repetitions: int | Sequence[int]) -> Tensor:
        return self._apply("tile", self, repetitions=repetitions)

    def repeat(self, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
        return self._apply("repeat", self, repeats=repeats, axis=axis)

    def diagonal(self, offset: int = 0) -> Tensor:
        return self._apply("diagonal", self, offset=offset)

    def tril(self, k: int = 0) -> Tensor:
        return self._apply("tril", self, k=k)

    def triu(self, k: int = 0) -> Tensor:
        return self._apply("triu", self, k=k)

    def transpose(self, *axes: int | Sequence[int]) -> Tensor:
        return self.permute_dims(*(axes or range(self.ndim)[::-1]))

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return self.permute_dims(shapes.swapped(self.ndim, axis1, axis2))

    @property
    def T(self) -> Tensor:  # noqa: N802  # the Array API's name
        """The transpose of a matrix."""
        if self.ndim != 2:
            raise ShapeError(f"T: {self.spec} is no matrix; use permute_dims or mT")
        return self._apply("permute_dims", self, axes=(1, 0))

    @property
    def mT(self) -> Tensor:  # noqa: N802  # the Array API's name
        """The last two axes swapped."""
        if self.ndim < 2:
            raise ShapeError(f"mT: {self.spec} has no two axes to swap")
        axes = (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)
        return self._apply("permute_dims", self, axes=axes)

    def sum(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("mean", self, axis=axis, keepdims=keepdims)

    def var(
        self, axis: shapes.Axes = None, *, correction: int = 0, keepdims: bool = False
    ) -> Tensor:
        return self._apply("var", self, axis=axis, correction=correction, keepdims=keepdims)

    def std(
        self, axis: shapes.Axes = None, *, correction: int = 0, keepdims: bool = False
    ) -> Tensor:
        return self._apply("std", self, axis=axis, correction=correction, keepdims=keepdims)

    def prod(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("prod", self, axis=axis, keepdims=keepdims)

    def any(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("any", self, axis=axis, keepdims=keepdims)

    def all(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("all", self, axis=axis, keepdims=keepdims)

    def max(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("min", self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("argmax", self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        return self._apply("argmin", self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        return self._apply("cumsum", self, axis=axis)

    def cumprod(self, axis: int | None = None) -> Tensor:
        return self._apply("cumprod", self, axis=axis)

    def argsort(self, *, axis: int = -1, descending: bool = False) -> Tensor:
        return self._apply("argsort", self, axis=axis, descending=descending)

    def sort(self, *, axis: int = -1, descending: bool = False) -> Tensor:
        return self._apply("sort", self, axis=axis, descending=descending)

    def exp(self) -> Tensor:
        return self._apply("exp", self)

    def log(self) -> Tensor:
        return self._apply("log", self)

    def sqrt(self) -> Tensor:
        return self._apply("sqrt", self)

    def tanh(self) -> Tensor:
        return self._apply("tanh", self)

    def relu(self) -> Tensor:
        return self._apply("relu", self)
