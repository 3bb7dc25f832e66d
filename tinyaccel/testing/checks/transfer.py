"""Transfer: what is uploaded is what comes back, and neither shares memory with the host's."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.dtypes import DType
from tinyaccel.errors import CheckError
from tinyaccel.tensor import tensor
from tinyaccel.testing.checks.common import collector, expect
from tinyaccel.testing.lacking import present

Array: TypeAlias = npt.NDArray[Any]

CHECKS, named = collector("transfer")

_COPIED = (dtypes.float32, dtypes.float64, dtypes.int32, dtypes.bool_)


def _telling(dtype: DType) -> Array:
    """Six numbers that a careless way there would change."""
    if dtype.kind == "bool":
        return np.array([True, False, True, True, False, False])
    if dtype.is_integer:
        values: list[Any] = [dtype.min, dtype.max, 0, 1, dtype.max - 1, dtype.min + 1]
    else:
        values = [np.nan, -np.inf, -0.0, dtype.max, dtype.tiny / 4, 1 + dtype.eps]
    return np.array(values, dtype=dtype.numpy)


def _same(what: str, got: Array, wanted: Array) -> None:
    """Raise `CheckError` unless dtype, shape and every bit are equal; NaN is NaN."""
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        raise CheckError(
            f"{what}: came back as {got.dtype.name}{list(got.shape)}; "
            f"expected {wanted.dtype.name}{list(wanted.shape)}"
        )
    nan = (got != got) & (wanted != wanted)
    bits = f"u{got.dtype.itemsize}"
    apart = (np.atleast_1d(got).view(bits) != np.atleast_1d(wanted).view(bits)) & ~nan
    if apart.any():
        raise CheckError(f"{what}: came back as {got.tolist()}; expected {wanted.tolist()}")


@named("transfer: every dtype comes back to the bit")
def _round_trip(device: Device) -> None:
    for dtype in present(dtypes.ALL, device):
        array = _telling(dtype)
        _same(dtype.name, tensor(array, device=device).numpy(), array)


@named("transfer: every shape comes back, however the host's array lies")
def _shapes(device: Device) -> None:
    rng = np.random.default_rng(0)
    backend = device.backend
    for shape in ((), (0,), (1,), (2, 0, 3), (33,), (3, 5), (2, 3, 4)):
        array = np.asarray(rng.normal(size=shape).astype(np.float32))
        for how, given in (
            ("plain", array), ("column by column", np.asfortranarray(array)),
            ("transposed", array.T), ("flipped", np.flip(array)),
            ("every second", np.stack([array, array], axis=-1)[..., 0]),
            ("read-only", np.broadcast_to(array, shape)),
        ):  # fmt: skip
            got = backend.download(backend.upload(given, device))
            _same(f"{list(shape)} {how}", got, given)


@named("transfer: upload copies")
def _upload_copies(device: Device) -> None:
    for dtype in present(_COPIED, device):
        host = _telling(dtype)
        wanted = host.copy()
        placed = device.backend.upload(host, device)
        host[...] = 1
        what = f"{dtype.name}, the host's array written to after the upload"
        _same(what, device.backend.download(placed), wanted)


@named("transfer: download gives an array of one's own")
def _download_copies(device: Device) -> None:
    for dtype in present(_COPIED, device):
        wanted = _telling(dtype)
        placed = device.backend.upload(wanted, device)
        mine = device.backend.download(placed)
        expect(f"{dtype.name}: whether the downloaded array can be written to",
               bool(mine.flags.writeable), True)  # fmt: skip
        mine[...] = 1
        what = f"{dtype.name}, a downloaded array written to"
        _same(what, device.backend.download(placed), wanted)


@named("transfer: tensors move to the CPU and back")
def _moves(device: Device) -> None:
    x = tensor([1.5, -2.0, 3.25], device=device)
    there = x.to("cpu")
    expect("on the CPU", (there.device.name, there.tolist()), ("cpu", [1.5, -2.0, 3.25]))
    back = tensor(there.numpy(), device=device)
    expect("back again", (back.device.name, back.tolist()), (device.name, [1.5, -2.0, 3.25]))
