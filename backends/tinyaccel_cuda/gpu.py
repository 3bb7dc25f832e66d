"""CuPy and the GPU: imported when asked for, with a clear word where one of them is missing."""

from __future__ import annotations

from types import ModuleType

from tinyaccel.errors import DeviceError
from tinyaccel.op import Kernel


def import_cupy() -> ModuleType:
    """CuPy. Raises `ImportError` where it is not installed."""
    try:
        import cupy
    except ImportError as error:
        raise ImportError(f"CuPy can't be imported ({_line(error)})") from error
    module: ModuleType = cupy
    return module


def import_cupy_erf() -> Kernel:
    """CuPy's error function."""
    from cupyx.scipy.special import erf

    kernel: Kernel = erf
    return kernel


def gpu_count() -> int:
    """How many NVIDIA GPUs are here, at least one.

    Raises `DeviceError` where there is none, or no driver; `ImportError` without CuPy.
    """
    cupy = import_cupy()
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
        reason = "the driver lists none"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        count, reason = 0, _line(error)
    if count == 0:
        raise DeviceError(
            f"device 'cuda': no NVIDIA GPU found ({reason}); use device='cuda-sim' to run the "
            "kernels on the CPU"
        )
    return count


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
