"""Mixed precision: float32 weights, of which forward and backward see rounded copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinyaccel import dtypes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError
from tinyaccel.nn import BatchNorm1d, BatchNorm2d, Module
from tinyaccel.tensor import Tensor

PRECISIONS = {d.name: d for d in (dtypes.float32, dtypes.bfloat16, dtypes.float16)}


def training_dtype(name: str) -> DType:
    """float32, bfloat16 or float16 by name; raises `ArgumentError` for another."""
    if name not in PRECISIONS:
        raise ArgumentError(f"precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


@contextmanager
def computing_in(model: Module, dtype: DType) -> Iterator[None]:
    """Within the block, the model's float32 parameters are seen rounded to `dtype`.

    Gradients go through the rounding to the parameters themselves, in float32. Those of batch norm
    stay as they are, since it computes in float32 whatever it is given. float32 changes nothing.

    P. Micikevicius et al., "Mixed Precision Training", arXiv:1710.03740.
    """
    if dtype is dtypes.float32:
        yield
        return
    rounded: dict[int, Tensor] = {}  # a shared parameter is rounded once
    replaced: list[tuple[dict[str, Tensor], str, Tensor]] = []
    try:
        for module in model.modules():
            if isinstance(module, BatchNorm1d | BatchNorm2d):
                continue
            table = module._parameters
            for name, parameter in list(table.items()):
                if parameter.dtype is dtypes.float32:
                    copy = rounded.setdefault(id(parameter), parameter.astype(dtype))
                    # In the table itself: what `jit` is told of as another attribute this isn't.
                    replaced.append((table, name, parameter))
                    table[name] = copy
        yield
    finally:
        for table, name, parameter in replaced:
            table[name] = parameter
