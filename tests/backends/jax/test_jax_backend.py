"""XlaBackend and TpuBackend: which devices there are, and how arrays get there and back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import DeviceError
from tinyaccel.op import OPS

jax = pytest.importorskip("jax")

from tinyaccel_jax import TpuBackend, XlaBackend, runtime  # noqa: E402  # needs JAX's presence

DEVICE = "xla:cpu"


def fresh_python(program: str) -> str:
    """What a program prints in a Python of its own, where JAX hasn't been loaded or set up."""
    done = subprocess.run(  # our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_no_jax() -> None:
    """Neither the engine nor the backend's package loads JAX before a backend object is made."""
    program = "import sys, tinyaccel, tinyaccel_jax; print('jax' in sys.modules)"
    assert fresh_python(program) == "False"


def test_missing_jax_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without JAX the factory raises ImportError, from which the engine names the extra."""
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match="jax"):
        XlaBackend()


def test_xla_means_the_best_platform() -> None:
    """The device "xla" is the first that the backend lists, and the CPU is always there."""
    backend = ta.get_device("xla").backend
    assert ta.get_device("xla").name == backend.devices()[0]
    assert DEVICE in backend.devices()


def test_unknown_platform() -> None:
    """A platform that isn't here is named together with those that are."""
    with pytest.raises(DeviceError, match=r"device: 'xla:abacus' is not here; xla has .*xla:cpu"):
        ta.get_device("xla:abacus")


@pytest.mark.skipif(bool(runtime.devices("tpu")), reason="there is a TPU here")
def test_no_tpu() -> None:
    """Without a TPU the error says what was looked for, what was found, and what to do."""
    message = (
        r"device 'tpu': no TPU is here; JAX [\d.]+ looked for the platform tpu and found .*cpu; "
        r"run on a machine with a TPU, pip install 'tinyaccel\[tpu\]' there, or use device=\"xla\""
    )
    with pytest.raises(DeviceError, match=message):
        ta.get_device("tpu")


def test_no_device_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """If JAX finds nothing, the error names the platforms that were tried."""
    monkeypatch.setattr(runtime, "devices", lambda platform: [])
    with pytest.raises(DeviceError, match="finds no device of tpu, gpu, cpu; look at JAX_PLATF"):
        XlaBackend()


def test_tpu_takes_custom_kernels_for_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    """A custom op's kernel for "xla" serves "tpu" too; CPU devices stand in for the TPUs."""
    found = {"tpu": jax.devices("cpu")}
    monkeypatch.setattr(runtime, "devices", lambda platform: found.get(platform, []))
    tpu = TpuBackend()
    assert tpu.devices()[0] == "tpu:0"
    ta.custom_op("jax_test_triple", infer=lambda x: x, kernels={"xla": lambda x: 3 * x},
                 replace=True)  # fmt: skip
    kernel = tpu.kernel(OPS["jax_test_triple"])
    assert kernel is not None
    assert tpu.download(kernel(np.float32(2))).item() == 6


def test_custom_kernel_eager_and_jitted() -> None:
    """A custom op's own kernel runs on XLA, alone and inside a jitted function."""
    double = ta.custom_op("jax_test_double", infer=lambda x: x,
                          kernels={"xla": lambda x: x + x}, replace=True)  # fmt: skip
    x = ta.tensor([1.0, 2.0], device=DEVICE)
    assert double(x).tolist() == [2, 4]
    assert ta.jit(lambda t: double(t) + 1)(x).tolist() == [3, 5]


def test_second_device_of_a_platform() -> None:
    """Two devices of one platform have two names, and results stay where their inputs are."""
    program = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import tinyaccel as ta
backend = ta.get_device("xla:cpu").backend
x = ta.arange(3, device="xla:cpu:1") + ta.ones(3, device="xla:cpu:1")
y = ta.jit(lambda t: t * 2)(x)
print(backend.devices(), x._data.device.id, y._data.device.id, y.device, y.tolist())
z = ta.jit(lambda t: t + 1)(ta.arange(3, device="xla:cpu:1"))
print(z._data.device.id, z.tolist())
"""
    assert fresh_python(program).splitlines() == [
        "['xla:cpu', 'xla:cpu:1'] 1 1 xla:cpu:1 [2.0, 4.0, 6.0]",
        "1 [1, 2, 3]",
    ]


def test_two_devices_in_one_op() -> None:
    """A tensor on the CPU backend and one on XLA don't mix, and the error names both."""
    with pytest.raises(DeviceError, match="add: tensors on cpu and xla:cpu"):
        ta.add(ta.tensor([1.0]), ta.tensor([1.0], device=DEVICE))


@pytest.mark.parametrize("size", [1, 16, 1000, 100_000])
def test_upload_never_aliases(size: int) -> None:
    """Changing the NumPy array after an upload doesn't show on the device, at once or later."""
    device = ta.get_device(DEVICE)
    for _ in range(5):
        source = np.zeros(size, np.float32)
        array = device.backend.upload(source, device)
        source[:] = 1
        assert not np.asarray(array).any()


def test_upload_of_strided_and_reversed_views() -> None:
    """Views with any strides arrive with their values in order."""
    source = np.arange(24, dtype=np.int64).reshape(4, 6)
    for view in (source.T, source[::-1, ::2], source[1:3, None, 5]):
        assert ta.tensor(view, device=DEVICE).numpy().tolist() == view.tolist()


def test_download_is_a_copy() -> None:
    """What is downloaded may be written to, and neither the device nor a second copy changes."""
    x = ta.tensor([1.0, 2.0], device=DEVICE)
    first = x.numpy()
    first[:] = 7
    assert x.numpy().tolist() == [1, 2]
    assert (x + 0).numpy().flags.writeable


@pytest.mark.parametrize("dtype", ta.dtypes.ALL, ids=str)
def test_round_trip_of_every_dtype(dtype: ta.DType) -> None:
    """Every dtype comes back as it went, 64 bits and 0-d included."""
    source = np.asarray([0, 1, 1], dtype.numpy)
    for array in (source, source[1], source[:0]):
        back = ta.tensor(np.asarray(array), device=DEVICE).numpy()
        assert back.dtype == dtype.numpy
        assert back.shape == np.shape(array)
        assert back.tolist() == np.asarray(array).tolist()


def test_synchronize() -> None:
    """Waiting for all work returns, and the work is done."""
    device = ta.get_device(DEVICE)
    x = ta.ones((256, 256), device=DEVICE)
    y = x @ x
    device.backend.synchronize()
    assert y._data.is_ready()
