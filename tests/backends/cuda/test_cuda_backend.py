"""The devices "cuda" and "cuda-sim": their kernels for add and sum; life without a GPU."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from tinyaccel.errors import BackendError, DeviceError, KernelError
from tinyaccel_cuda import CudaBackend, CudaSimBackend, NumbaKernel, gpu
from tinyaccel_cuda.kernel import CudaCKernel
from tinyaccel_cuda.kernels import cuda_c

EPS = float(np.finfo(np.float32).eps)


@pytest.fixture(scope="module")
def sim() -> CudaSimBackend:
    return CudaSimBackend()


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the kernels that were launched."""
    names: list[str] = []
    real = CudaCKernel._launch_emulated

    def launch(self: CudaCKernel, *args: object) -> None:
        names.append(self.name)
        real(self, *args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(CudaCKernel, "_launch_emulated", launch)
    return names


def test_add_goes_through_the_cuda_kernel(sim: CudaSimBackend, launched: list[str]) -> None:
    """Equal shapes in float32 are added by vector_add, with NumPy's bits."""
    x, y = np.random.default_rng(0).standard_normal((2, 7, 50)).astype(np.float32)
    out = sim.kernels["add"](x, y)
    np.testing.assert_array_equal(out, x + y)
    assert (out.dtype, launched) == (np.float32, ["vector_add"])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.ones((3, 1), np.float32), np.ones(4, np.float32)),
        (np.ones((3, 4), np.float32).T, np.ones((4, 3), np.float32)),
        (np.arange(3, dtype=np.int32), np.arange(3, dtype=np.int32)),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
    ],
    ids=["broadcast", "strided", "int32", "empty"],
)
def test_add_of_anything_else_falls_back(
    sim: CudaSimBackend, launched: list[str], x: np.ndarray, y: np.ndarray
) -> None:
    """What vector_add doesn't take is still added."""
    out = sim.kernels["add"](x, y)
    np.testing.assert_array_equal(out, x + y)
    assert (out.dtype, launched) == (x.dtype, [])


@pytest.mark.parametrize("shape", [(), (1,), (5, 4097), (2, 3, 4), (300_000,)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_whole_sum_goes_through_the_cuda_kernel(
    sim: CudaSimBackend, launched: list[str], shape: tuple[int, ...], keepdims: bool
) -> None:
    """The sum of a whole float32 array: two launches, within the error budget."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    out = sim.kernels["sum"](x, axis=tuple(range(x.ndim)), keepdims=keepdims)
    assert out.shape == ((1,) * x.ndim if keepdims else ())
    budget = 4 * math.sqrt(x.size) * EPS * float(np.abs(x).sum(dtype=np.float64))
    assert abs(float(out.reshape(())) - math.fsum(x.ravel().tolist())) <= budget
    assert launched == ["shared_sum", "shared_sum"]


@pytest.mark.parametrize(
    ("x", "axis"),
    [
        (np.ones((3, 4), np.float32), (1,)),
        (np.ones((3, 4), np.int32), (0, 1)),
        (np.ones((0, 4), np.float32), (0, 1)),
    ],
    ids=["one axis", "int32", "empty"],
)
def test_any_other_sum_falls_back(
    sim: CudaSimBackend, launched: list[str], x: np.ndarray, axis: tuple[int, ...]
) -> None:
    """Sums over some axes, of integers and of nothing go to the defaults, and keep their dtype."""
    out = sim.kernels["sum"](x, axis=axis, keepdims=False)
    np.testing.assert_array_equal(out, x.sum(axis))
    assert (out.dtype, launched) == (x.dtype, [])


def test_a_sum_of_a_transposed_array(sim: CudaSimBackend) -> None:
    """A strided array is copied first: the kernel walks consecutive memory."""
    x = np.arange(12, dtype=np.float32).reshape(3, 4).T
    assert float(sim.kernels["sum"](x, axis=(0, 1), keepdims=False)) == 66


def test_both_devices_have_the_whole_op_set(sim: CudaSimBackend) -> None:
    """cuda-sim lacks no primitive: it is a device for whole tensors; it is never `auto`."""
    assert sim.missing_kernels() == []
    assert sim.priority < 0
    assert sim.devices() == ["cuda-sim"]


def test_no_array_is_shared_with_the_caller(sim: CudaSimBackend) -> None:
    """upload and download copy."""
    x = np.ones(3, np.float32)
    there = sim.upload(x, None)  # type: ignore[arg-type]  # the device plays no part
    x[:] = 2
    back = sim.download(there)
    back[:] = 3
    np.testing.assert_array_equal(there, 1)


def no_gpu() -> bool:
    try:
        gpu.gpu_count()
    except (ImportError, DeviceError):
        return True
    return False


def test_cupy_has_what_the_backend_calls() -> None:
    """The names that the GPU path uses exist in this CuPy: it can't be run here, so look."""
    cupy = pytest.importorskip("cupy")
    for name in ("ndarray", "array", "asnumpy", "empty", "empty_like", "ascontiguousarray"):
        assert hasattr(cupy, name), name
    assert hasattr(cupy.RawModule, "get_function")
    assert hasattr(cupy.RawKernel, "max_dynamic_shared_size_bytes")
    assert hasattr(cupy.cuda, "get_current_stream")
    numba_cuda = pytest.importorskip("numba.cuda")
    assert hasattr(numba_cuda, "external_stream")
    assert hasattr(numba_cuda, "gpus")


class FakeGpuArray(np.ndarray):
    """A NumPy array that looks like one of CuPy's."""

    __cuda_array_interface__: ClassVar[dict[str, object]] = {}
    device = contextlib.nullcontext(SimpleNamespace(id=1))


def test_what_a_launch_asks_of_cupy_and_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU the calls can be looked at: grid, block, typed scalars, stream, device."""
    calls: list[object] = []

    class Function:
        max_dynamic_shared_size_bytes = 0

        def __call__(self, grid: object, block: object, args: object, *, shared_mem: int) -> None:
            calls.append((grid, block, args, shared_mem, self.max_dynamic_shared_size_bytes))

    def raw_module(*, code: str, options: tuple[str, ...]) -> object:
        assert "__global__" in code
        assert options[0] == "-std=c++17"
        return SimpleNamespace(get_function=lambda name: Function())

    stream = SimpleNamespace(ptr=77)
    cupy = SimpleNamespace(
        ndarray=FakeGpuArray,
        RawModule=raw_module,
        cuda=SimpleNamespace(get_current_stream=lambda: stream),
    )
    monkeypatch.setattr(gpu, "import_cupy", lambda: cupy)
    monkeypatch.setattr(gpu, "gpu_count", lambda: 2)
    x = np.ones(4, np.float32).view(FakeGpuArray)

    text = 'extern "C" __global__ void f(float* x, long long n, float a) {}'
    CudaCKernel(text, "f").launch((2, 3), 32, (x, 4, 1), shared_bytes=50_000)
    ((grid, block, args, shared, most),) = calls  # type: ignore[misc]  # one call of five things
    assert (grid, block, shared, most) == ((2, 3, 1), (32, 1, 1), 50_000, 50_000)
    assert args[0] is x
    assert [type(value) for value in args[1:]] == [np.int64, np.float32]
    with pytest.raises(KernelError, match="argument 0 is a NumPy array, device cuda takes CuPy"):
        CudaCKernel(text, "f").launch(1, 1, (np.ones(4, np.float32), 4, 1), device="cuda")

    cuda = pytest.importorskip("numba.cuda")
    calls.clear()
    current = {1: contextlib.nullcontext()}
    monkeypatch.setattr(cuda, "gpus", current)
    monkeypatch.setattr(cuda, "external_stream", lambda pointer: ("stream", pointer))

    class Dispatcher:
        def __getitem__(self, shape: object) -> object:
            return lambda *args: calls.append((shape, args))

        @staticmethod
        def py_func(x: object, n: object) -> None:
            raise AssertionError("not to be run as Python")

    NumbaKernel(Dispatcher()).launch(5, 64, (x, 3), shared_bytes=8)  # type: ignore[arg-type]
    assert calls == [(((5, 1, 1), (64, 1, 1), ("stream", 77), 8), (x, 3))]


@pytest.mark.skipif(not no_gpu(), reason="this machine has a GPU")
def test_without_a_gpu_cuda_says_so_in_one_line() -> None:
    """With CuPy but no GPU: a DeviceError with the driver's words and what to use instead."""
    pytest.importorskip("cupy")
    says = r"^device 'cuda': no NVIDIA GPU found \(.+\); use device='cuda-sim' to run the kernels"
    with pytest.raises(DeviceError, match=says) as caught:
        CudaBackend()
    assert "\n" not in str(caught.value)
    with pytest.raises(DeviceError, match=says):
        cuda_c("vector_add").launch(1, 1, (), device="cuda")


def test_without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CuPy the backend's ImportError comes out (the engine names the extra)."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="CuPy can't be imported"):
        CudaBackend()
    with pytest.raises(BackendError, match=r"vector_add: CuPy .*; pip install 'tinyaccel\[cuda\]'"):
        cuda_c("vector_add").launch(1, 1, (), device="cuda")


@pytest.mark.skipif(no_gpu(), reason="no NVIDIA GPU, or no CuPy")
def test_on_a_gpu_the_kernels_agree_with_the_emulator(sim: CudaSimBackend) -> None:
    """On a GPU: add and sum have the emulator's bits."""
    cuda = CudaBackend()
    x = np.random.default_rng(0).standard_normal((5, 4097)).astype(np.float32)
    there = cuda.xp.asarray(x)  # type: ignore[union-attr]  # CuPy
    np.testing.assert_array_equal(cuda.download(cuda.kernels["add"](there, there)), x + x)
    sums = [
        np.asarray(backend.download(backend.kernels["sum"](array, axis=(0, 1), keepdims=False)))
        for backend, array in ((cuda, there), (sim, x))
    ]
    assert sums[0].tobytes() == sums[1].tobytes()


def test_importing_the_package_imports_no_gpu_library() -> None:
    """tinyaccel_cuda, and a CUDA C kernel on cuda-sim, load neither CuPy, Numba nor greenlet."""
    program = (
        "import sys, numpy as np; from tinyaccel_cuda import CudaSimBackend\n"
        "x = np.ones(4, np.float32); CudaSimBackend().kernels['add'](x, x)\n"
        "print(sorted({'cupy', 'numba', 'greenlet'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
