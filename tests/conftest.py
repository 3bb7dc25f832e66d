"""What all tests share: the devices they run on, seeds, and how hypothesis draws."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker a core: threads would only wait for each other
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
os.environ["TINYACCEL_OFFLINE"] = "1"  # no test fetches data, nor finds what a user once fetched
os.environ["TINYACCEL_CACHE"] = str(Path(tempfile.gettempdir()) / "tinyaccel-tests")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tinyaccel as ta
from tinyaccel.errors import BackendError, DeviceError
from tinyaccel.tape import GRAD_MODE
from tinyaccel.trace import TRACE

settings.register_profile(
    "tinyaccel",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # a device serves all examples
)
settings.load_profile("tinyaccel")

# TINYACCEL_TEST_DEVICES=cuda runs everything that asks for a device on a GPU instead.
DEVICES = os.environ.get("TINYACCEL_TEST_DEVICES", "cpu,xla:cpu").split(",")


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each device in turn, as the default one; skipped with the reason where it is missing."""
    name: str = request.param
    try:
        ta.get_device(name)
    except (BackendError, DeviceError) as error:
        pytest.skip(str(error))
    with ta.default_device(name):
        yield name


WAYS = [(name, jitted) for name in DEVICES for jitted in (False, True) if jitted or name == "cpu"]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{'jitted' if way[1] else 'eager'}")
def way(request: pytest.FixtureRequest) -> tuple[str, bool]:
    """A device, and whether to jit: on the CPU both, jitted alone where each op is compiled."""
    name, jitted = request.param
    try:
        ta.get_device(name)
    except (BackendError, DeviceError) as error:
        pytest.skip(str(error))
    return name, jitted


@pytest.fixture
def rng() -> np.random.Generator:
    """A source of randomness that starts the same in each test."""
    return np.random.default_rng(20260101)


MANY = 150  # tests, after which compilers let go of what they keep: else it comes to gigabytes
_tests = itertools.count(1)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Each test starts from one seed, and leaves no trace or grad mode behind."""
    ta.manual_seed(0)
    yield
    assert TRACE.get() is None
    assert GRAD_MODE.get()
    if next(_tests) % MANY == 0:
        for name in DEVICES:
            with contextlib.suppress(BackendError, DeviceError):
                ta.get_device(name).backend.forget()
