"""Element types, and the whole table of how they promote.

The table is the Python Array API's (2023.12, "Type Promotion Rules"). Where that is silent:
bool with a number gives the number's type, an integer with a float gives the float, float16 with
bfloat16 gives float32, and a mixed-sign pair without a common type among ours takes the next wider
signed one. Python and NumPy scalars are weak: they take the dtype of the tensor they meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, TypeAlias

import ml_dtypes
import numpy as np

from tinyaccel.errors import DTypeError

Kind = Literal["bool", "int", "uint", "float"]
Scalar: TypeAlias = bool | int | float | np.generic


_finfo: Any = ml_dtypes.finfo  # np.finfo, and bfloat16; it has no annotations


@dataclass(frozen=True, eq=False)
class DType:
    """An element type: its name, its kind, and the NumPy dtype that stores it on the host."""

    name: str
    kind: Kind
    numpy: np.dtype[Any] = field(repr=False)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_integer(self) -> bool:
        return self.kind in ("int", "uint")

    @property
    def eps(self) -> float:
        """Distance from 1 to the next number (floats only): 2**-23 for float32."""
        return float(_finfo(self.numpy).eps)

    @property
    def tiny(self) -> float:
        """The smallest positive normal number (floats only)."""
        return float(_finfo(self.numpy).smallest_normal)

    @property
    def max(self) -> float | int:
        """The largest finite value."""
        if self.is_float:
            return float(_finfo(self.numpy).max)
        return 1 if self.kind == "bool" else int(np.iinfo(self.numpy).max)

    @property
    def min(self) -> float | int:
        """The smallest finite value."""
        if self.is_float:
            return -self.max
        return 0 if self.kind == "bool" else int(np.iinfo(self.numpy).min)

    def __repr__(self) -> str:
        return self.name


bool_ = DType("bool", "bool", np.dtype(np.bool_))
int8 = DType("int8", "int", np.dtype(np.int8))
uint8 = DType("uint8", "uint", np.dtype(np.uint8))
int32 = DType("int32", "int", np.dtype(np.int32))
uint32 = DType("uint32", "uint", np.dtype(np.uint32))
int64 = DType("int64", "int", np.dtype(np.int64))
float16 = DType("float16", "float", np.dtype(np.float16))
bfloat16 = DType("bfloat16", "float", np.dtype(ml_dtypes.bfloat16))
float32 = DType("float32", "float", np.dtype(np.float32))
float64 = DType("float64", "float", np.dtype(np.float64))

ALL = (bool_, int8, uint8, int32, uint32, int64, float16, bfloat16, float32, float64)
FLOATS = tuple(d for d in ALL if d.is_float)
INTEGERS = tuple(d for d in ALL if d.is_integer)
DEFAULT_FLOAT = float32
DEFAULT_INT = int32

_BY_NAME = {d.name: d for d in ALL}
_BY_NUMPY = {d.numpy: d for d in ALL}


def as_dtype(dtype: DType | str | type | np.dtype[Any]) -> DType:
    """The `DType` that is meant by a name, a NumPy dtype, or `bool` / `int` / `float`.

    `int` and `float` mean the default types, int32 and float32. Raises `DTypeError` for a type
    that tinyaccel doesn't have.

    >>> as_dtype("float16"), as_dtype(np.int64), as_dtype(float)
    (float16, int64, float32)
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str) and dtype in _BY_NAME:
        return _BY_NAME[dtype]
    if dtype is float or dtype is int or dtype is bool:
        return {float: DEFAULT_FLOAT, int: DEFAULT_INT, bool: bool_}[dtype]
    try:
        # np.dtype(None) would be float64
        return _BY_NUMPY[np.dtype("V" if dtype is None else dtype)]
    except (TypeError, KeyError):
        raise DTypeError(f"dtype: {dtype!r} is not one of {', '.join(_BY_NAME)}") from None


def _promote(a: DType, b: DType) -> DType:
    """The rule from which the table is made."""
    if a is b:
        return a
    if "bool" in (a.kind, b.kind):
        return b if a.kind == "bool" else a
    if a.is_float or b.is_float:
        if not (a.is_float and b.is_float):
            return a if a.is_float else b
        return float32 if a.itemsize == b.itemsize else max(a, b, key=lambda d: d.itemsize)
    if a.kind == b.kind:
        return max(a, b, key=lambda d: d.itemsize)
    signed, unsigned = (a, b) if a.kind == "int" else (b, a)
    wide_enough = (d for d in (int32, int64) if d.itemsize > unsigned.itemsize)
    return max(signed, next(wide_enough), key=lambda d: d.itemsize)


PROMOTION = {(a, b): _promote(a, b) for a, b in product(ALL, ALL)}


def promote(*dtypes: DType) -> DType:
    """The common type of several dtypes, by the table.

    >>> promote(int32, float16), promote(float16, bfloat16), promote(int32, uint32)
    (float16, float32, int64)
    """
    result = dtypes[0]
    for dtype in dtypes[1:]:
        result = PROMOTION[result, dtype]
    return result


def with_scalar(dtype: DType, scalar: Scalar) -> DType:
    """The type that a tensor of `dtype` and a weak scalar meet in.

    A scalar never widens the tensor; a float scalar turns integers and bools into float32, an
    integer turns bools into int32.

    >>> with_scalar(float16, 2.5), with_scalar(int8, 1), with_scalar(int8, 0.5)
    (float16, int8, float32)
    """
    if isinstance(scalar, bool | np.bool_) or dtype.is_float:
        return dtype
    if isinstance(scalar, int | np.integer):
        return DEFAULT_INT if dtype.kind == "bool" else dtype
    return DEFAULT_FLOAT


def of_scalar(scalar: Scalar) -> DType:
    """The dtype of a scalar that meets no tensor: bool, int32 or float32."""
    if isinstance(scalar, bool | np.bool_):
        return bool_
    return DEFAULT_INT if isinstance(scalar, int | np.integer) else DEFAULT_FLOAT


def check_scalar(scalar: Scalar, dtype: DType, op: str) -> None:
    """Raise `DTypeError` if `dtype` can't hold `scalar` (an int out of range, NaN as an int)."""
    if dtype.is_integer:
        if isinstance(scalar, float | np.floating) and not float(scalar).is_integer():
            raise DTypeError(f"{op}: {scalar} is no integer, but the tensor is {dtype}; use astype")
        if not dtype.min <= int(scalar) <= dtype.max:
            raise DTypeError(
                f"{op}: {scalar} doesn't fit {dtype} ({dtype.min} to {dtype.max}); use astype"
            )


def default_float(dtype: DType) -> DType:
    """What a float-valued op computes in: the dtype itself, or float32 for integers and bools."""
    return dtype if dtype.is_float else DEFAULT_FLOAT


def is_scalar(value: object) -> bool:
    """Whether `value` is a Python or NumPy scalar that tinyaccel treats as weak."""
    return isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating)
