"""What the bits of a result depend on beside the program: device, versions, threads, jit."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version

from tinyaccel.backend import Device
from tinyaccel.extras import optional
from tinyaccel.train.checkpoint import Json

_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS")


def environment(device: Device, jit: bool) -> dict[str, Json]:
    """What a checkpoint keeps of it: two runs for which it is equal give the same bits."""
    versions: dict[str, Json] = {"python": platform.python_version()}
    for package in ("tinyaccel", "numpy"):
        versions[package] = version(package)
    if device.backend.xp is not None:
        library = device.backend.xp.__name__.split(".")[0]
        versions[library] = str(getattr(sys.modules[library], "__version__", "unknown"))
    return {
        "device": device.name,
        "machine": f"{platform.system()} {platform.machine()}",
        "jit": jit,
        "threads": _threads(),
        "versions": versions,
    }


@contextmanager
def threads_limited(count: int | None) -> Iterator[None]:
    """A context in which NumPy's products take so many threads; None: as many as they do anyhow.

    How a product is shared among threads decides its last bits. XLA has threads of its own.
    Raises `PackageError` without threadpoolctl.
    """
    if count is None:
        yield
        return
    library = optional("threadpoolctl", "threads")
    with library.threadpool_limits(limits=count, user_api="blas"):
        yield


def _threads() -> dict[str, Json]:
    """How many processors there are, what the libraries were told of them, and what they take."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux's alone
    count = len(affinity(0)) if affinity is not None else os.cpu_count()
    told: dict[str, Json] = {k: os.environ[k] for k in _LIBRARIES if k in os.environ}
    return {"processors": count, **told, **_pools()}


def _pools() -> dict[str, Json]:
    """How many threads NumPy's BLAS takes, {"openblas threads": 2}; {} without threadpoolctl.

    SciPy may bring a BLAS of its own, which counts for nothing here.
    """
    try:
        library = import_module("threadpoolctl")
    except ImportError:
        return {}
    found = [pool for pool in library.threadpool_info() if pool["user_api"] == "blas"]
    found.sort(key=lambda pool: "numpy" not in pool["filepath"])
    return {f"{pool['internal_api']} threads": pool["num_threads"] for pool in found[:1]}


def differences(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    """What is another now than it was, a phrase each: "numpy 2.3.1 instead of 2.4.0"."""
    before, now = _flat(old), _flat(new)
    return [
        f"{name} {now.get(name, 'absent')} instead of {before.get(name, 'absent')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _flat(facts: dict[str, Json]) -> dict[str, Json]:
    flat: dict[str, Json] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            flat.update(_flat(value))
        else:
            flat[name] = value
    return flat
