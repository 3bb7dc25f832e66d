"""Dtypes that a backend says it lacks: what is left out for their sake, and whether it is true.

A backend lists them by name among its `known_differences`: `{"float16": "the standard has none"}`.
Nothing is run in them; and an array of such a dtype must really fail to go there and come back.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.dtypes import DType
from tinyaccel.tensor import tensor


def lacking(device: Device) -> list[DType]:
    """The dtypes that the device's backend says it lacks."""
    return [d for d in dtypes.ALL if d.name in device.backend.known_differences]


def present(wanted: Iterable[DType], device: Device) -> list[DType]:
    """Those of some dtypes that the device doesn't lack."""
    missing = lacking(device)
    return [d for d in wanted if d not in missing]


def needs(values: Iterable[object], missing: Iterable[DType]) -> bool:
    """Whether one of the values, attributes of a call, is a dtype that is missing."""
    absent = list(missing)
    return any(isinstance(v, DType) and v in absent for v in values)


def is_there(dtype: DType, device: Device) -> bool:
    """Whether an array of a dtype goes to the device and comes back as it was."""
    array = np.arange(4).astype(dtype.numpy)
    try:
        back = tensor(array, device=device).numpy()
    except Exception:  # whatever the backend's library raises
        return False
    return back.dtype == array.dtype and bool((back == array).all())
