"""Convention: one choice, and how a device is held to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinyaccel import dtypes
from tinyaccel.autograd import grad
from tinyaccel.dtypes import DType
from tinyaccel.errors import TinyaccelError
from tinyaccel.jit import jit
from tinyaccel.tensor import Tensor, apply, tensor

Values: TypeAlias = Any  # a number, or nested lists of them

NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Convention:
    """One choice: these inputs and attributes give this result, or this gradient by input `by`.

    expected  numbers, or an exception's type; or both, in a tuple, where a device may raise the
              one or return the other
    """

    says: str
    op: str
    inputs: tuple[Values, ...]
    attrs: dict[str, Any]
    expected: Values | type[Exception] | tuple[type[Exception], Values]
    by: int | None = None

    def run(self, device: Any, *, jitted: bool = False) -> Tensor:
        """What the op does on a device."""

        def call(*xs: Tensor) -> Tensor:
            return apply(self.op, *xs, **self.attrs)

        def slope(*xs: Tensor) -> Tensor:
            assert self.by is not None
            found = grad(lambda *moving: call(*moving).sum(), self.by)(*xs)
            assert isinstance(found, Tensor)
            return found

        function: Callable[..., Tensor] = call if self.by is None else slope
        given = self.tensors(device)
        return jit(function)(*given) if jitted else function(*given)

    def tensors(self, device: Any) -> list[Tensor]:
        """The inputs."""
        return [tensor(v, device=device, dtype=_dtype(v)) for v in self.inputs]

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes of its inputs, and those that its attributes ask for."""
        asked = [v for v in self.attrs.values() if isinstance(v, DType)]
        return [*map(_dtype, self.inputs), *asked]

    @property
    def is_value(self) -> bool:
        """Whether it is about a result: no gradient, and nothing raised."""
        return self.by is None and not isinstance(self.expected, type | tuple)

    def verify(self, device: Any, *, jitted: bool = False) -> str | None:
        """None, or how the device deviates."""
        raises, wanted = (
            self.expected if isinstance(self.expected, tuple) else (None, self.expected)
        )
        if isinstance(wanted, type):
            raises, wanted = wanted, None
        try:
            got = self.run(device, jitted=jitted).numpy()
        except TinyaccelError as error:
            if raises is not None and isinstance(error, raises):
                return None
            return f"{self.says}: raised {type(error).__name__}: {error}"
        if wanted is None:
            return f"{self.says}: got {got.tolist()}; expected {raises.__name__ if raises else ''}"
        exact = np.asarray(wanted, dtype=np.float64)
        same = got.shape == exact.shape and np.array_equal(
            got.astype(np.float64), exact, equal_nan=True
        )
        signs = np.signbit(got.astype(np.float64)) == np.signbit(exact)
        if same and (self.by is not None or signs[exact == 0].all()):  # slopes have no signed 0
            return None
        return f"{self.says}: got {got.tolist()}, expected {exact.tolist()}"


def _dtype(values: Values) -> DType:
    """An array's own; float32 for lists, bool for lists of bools."""
    kind = np.asarray(values).dtype
    if isinstance(values, np.ndarray):
        return dtypes.as_dtype(kind)
    return dtypes.bool_ if kind == np.bool_ else dtypes.float32


def c(
    says: str, op: str, *inputs: Values, to: Any, by: int | None = None,
    **attrs: Any,
) -> Convention:  # fmt: skip
    return Convention(says, op, inputs, attrs, to, by)
