"""Kernels of one's own: CudaCKernel and NumbaKernel, launched alike on GPU and emulator."""

from __future__ import annotations

import abc
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tinyaccel.errors import BackendError, KernelError
from tinyaccel_cuda import gpu
from tinyaccel_cuda.emulator import numba_emulator
from tinyaccel_cuda.emulator.c_emulator import CProgram
from tinyaccel_cuda.emulator.compiler import build, shared_names
from tinyaccel_cuda.emulator.reports import Index3, shown
from tinyaccel_cuda.signature import parse_signature

Extent: TypeAlias = int | tuple[int, ...]
Order = Literal["forward", "reversed", "shuffled"]
Argument: TypeAlias = object  # a NumPy array, a CuPy array (which has no types here), or a number

_MOST_THREADS = 1024
_MOST_SHARED = 227 * 1024  # bytes; what a block may have on the largest GPUs
_SHARED_UNASKED = 48 * 1024  # bytes; beyond it CUDA wants to be asked


class Kernel(abc.ABC):
    """A CUDA kernel that runs on a GPU ("cuda") and, emulated, on the CPU ("cuda-sim")."""

    name: str

    def __getitem__(self, shape: tuple[Extent, Extent]) -> Callable[..., None]:
        """`kernel[grid, block](*args)`: a launch, on the device where the arrays are."""
        grid, block = shape
        return lambda *args: self.launch(grid, block, args)

    def launch(
        self,
        grid: Extent,
        block: Extent,
        args: Sequence[Argument],
        shared_bytes: int = 0,
        device: str | None = None,
        order: Order = "forward",
        seed: int = 0,
    ) -> None:
        """Run the kernel with `grid` blocks of `block` threads; it writes to its array arguments.

        grid, block   how many, as an int or up to three
        args          NumPy arrays on "cuda-sim", CuPy arrays on "cuda", and numbers
        shared_bytes  dynamic shared memory for each block
        device        "cuda" or "cuda-sim"; None: where the arrays are
        order, seed   "cuda-sim" only: in which order threads and blocks take turns

        On "cuda-sim" each access is checked and arrays are changed only if the kernel ends well.
        Raises `KernelError` if the arguments don't fit the kernel, or, on "cuda-sim", for a bug
        inside it: a missing or divergent barrier, an access out of bounds, a read of shared memory
        that nobody wrote, a deadlock. Raises `DeviceError` where "cuda" finds no GPU,
        `BackendError` where a package or the C++ compiler is missing.

            >>> from tinyaccel_cuda.kernels import cuda_c
            >>> x, out = np.ones(100, np.float32), np.zeros(100, np.float32)
            >>> cuda_c("vector_add").launch(1, 256, (x, x, out, 100), order="shuffled")
            >>> float(out[99])
            2.0
        """
        blocks, threads = _extent(self.name, "grid", grid), _extent(self.name, "block", block)
        _check_limits(self.name, blocks, threads, shared_bytes)
        if order not in get_args(Order):
            raise KernelError(
                f"{self.name}: order {order!r}; expected forward, reversed or shuffled"
            )
        target = self._target(args, device)
        if target == "cuda":
            self._launch_gpu(blocks, threads, args, shared_bytes)
        else:
            self._launch_emulated(blocks, threads, args, shared_bytes, order, seed)

    def _target(self, args: Sequence[Argument], device: str | None) -> Literal["cuda", "cuda-sim"]:
        on_gpu = [hasattr(a, "__cuda_array_interface__") for a in args]
        target = device if device is not None else "cuda" if any(on_gpu) else "cuda-sim"
        if target.split(":")[0] not in ("cuda", "cuda-sim"):
            raise KernelError(f"{self.name}: device {device!r}; expected cuda or cuda-sim")
        if target == "cuda-sim":
            if any(on_gpu):
                raise KernelError(
                    f"{self.name}: argument {on_gpu.index(True)} is a CuPy array, device cuda-sim "
                    "takes NumPy arrays; pass cupy.asnumpy(...), or device='cuda'"
                )
            return "cuda-sim"
        try:
            gpu.gpu_count()
        except ImportError as error:
            raise BackendError(f"{self.name}: {error}; pip install 'tinyaccel[cuda]'") from error
        for i, argument in enumerate(args):
            if isinstance(argument, np.ndarray) and not on_gpu[i]:
                raise KernelError(
                    f"{self.name}: argument {i} is a NumPy array, device cuda takes CuPy arrays; "
                    "pass cupy.asarray(...), or device='cuda-sim'"
                )
        return "cuda"

    @abc.abstractmethod
    def _launch_gpu(
        self, grid: Index3, block: Index3, args: Sequence[Argument], shared_bytes: int
    ) -> None: ...

    @abc.abstractmethod
    def _launch_emulated(
        self,
        grid: Index3,
        block: Index3,
        args: Sequence[Argument],
        shared_bytes: int,
        order: Order,
        seed: int,
    ) -> None: ...


class CudaCKernel(Kernel):
    """A kernel in CUDA C: a `__global__` function, with extern "C", in a text or a file.

    source  the text; or the file, as a pathlib.Path
    name    the function's name

    Raises `KernelError` where the source has no such function. On "cuda" CuPy compiles it (NVRTC),
    on "cuda-sim" the machine's C++ compiler, at the first launch.

        >>> twice = CudaCKernel('''
        ...     extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }
        ... ''', "twice")
        >>> x = np.arange(3, dtype=np.float32)
        >>> twice[1, 3](x)
        >>> x.tolist()
        [0.0, 2.0, 4.0]
    """

    def __init__(self, source: str | Path, name: str) -> None:
        self.name = name
        self.source = source.read_text() if isinstance(source, Path) else source
        self._shown = shown(source) if isinstance(source, Path) else f"<{name}>"
        self._folder = source.resolve().parent if isinstance(source, Path) else None
        self.signature = parse_signature(self.source, name)

    def _launch_emulated(
        self,
        grid: Index3,
        block: Index3,
        args: Sequence[Argument],
        shared_bytes: int,
        order: Order,
        seed: int,
    ) -> None:
        values = self.signature.check(args)
        self._program.launch(grid, block, values, shared_bytes, order, seed)

    def _launch_gpu(
        self, grid: Index3, block: Index3, args: Sequence[Argument], shared_bytes: int
    ) -> None:
        values = tuple(self.signature.check(args))
        with _device_of(args):
            function = self._module.get_function(self.name)
            if shared_bytes > _SHARED_UNASKED:
                function.max_dynamic_shared_size_bytes = shared_bytes
            function(grid, block, values, shared_mem=shared_bytes)

    @cached_property
    def _program(self) -> CProgram:
        library = build(self.source, self.name, self._shown, self._folder)
        return CProgram(library, self.signature, self._shown, shared_names(self.source))

    @cached_property
    def _module(self) -> Any:  # a cupy.RawModule, which has no types
        options = ["-std=c++17", *([f"-I{self._folder}"] if self._folder else [])]
        return gpu.import_cupy().RawModule(code=self.source, options=tuple(options))


class NumbaKernel(Kernel):
    """A kernel in Numba-CUDA: a function that was given to `numba.cuda.jit`, or is still plain.

    On "cuda" Numba compiles it, on "cuda-sim" it runs as Python, one greenlet a thread. A negative
    index is an error there: it is nearly always a wrong one. Python's own floats are float64 in
    both; but what NumPy computes in float32 on the CPU, Numba may compute in float64 on the GPU.

        >>> from numba import cuda
        >>> @cuda.jit
        ... def twice(x):
        ...     x[cuda.threadIdx.x] *= 2
        >>> x = np.arange(3, dtype=np.float32)
        >>> NumbaKernel(twice)[1, 3](x)
        >>> x.tolist()
        [0.0, 2.0, 4.0]
    """

    def __init__(self, function: Callable[..., None]) -> None:
        plain = getattr(function, "py_func", function)
        if not isinstance(plain, FunctionType):
            kind = type(function).__name__
            raise KernelError(f"NumbaKernel: got {kind}, expected a function or numba.cuda.jit's")
        self.function: FunctionType = plain
        self.name = plain.__name__
        self._compiled: Any = function if plain is not function else None  # Numba's dispatcher

    def _check(self, args: Sequence[Argument]) -> None:
        parameters = list(inspect.signature(self.function).parameters)
        if len(args) != len(parameters):
            raise KernelError(
                f"{self.name}: got {len(args)} arguments, expected {len(parameters)}: "
                f"({', '.join(parameters)})"
            )
        for i, (name, argument) in enumerate(zip(parameters, args, strict=True)):
            array = hasattr(argument, "dtype") and hasattr(argument, "shape")
            if not array and not isinstance(argument, (bool, int, float, complex)):
                kind = type(argument).__name__
                raise KernelError(
                    f"{self.name}: argument {i} ({name}) is {kind}, expected an array or a number"
                )

    def _launch_emulated(
        self,
        grid: Index3,
        block: Index3,
        args: Sequence[Argument],
        shared_bytes: int,
        order: Order,
        seed: int,
    ) -> None:
        self._check(args)
        numba_emulator.launch(self.function, grid, block, args, shared_bytes, order, seed)

    def _launch_gpu(
        self, grid: Index3, block: Index3, args: Sequence[Argument], shared_bytes: int
    ) -> None:
        self._check(args)
        try:
            from numba import cuda
        except ImportError as error:
            raise BackendError(f"{self.name}: {error}; pip install 'tinyaccel[cuda]'") from error
        if self._compiled is None:
            self._compiled = cuda.jit(self.function)
        with _device_of(args) as number, cuda.gpus[number]:
            # CuPy's current stream, so that the kernel waits for what CuPy was asked before it.
            stream = cuda.external_stream(gpu.import_cupy().cuda.get_current_stream().ptr)
            self._compiled[grid, block, stream, shared_bytes](*args)


@contextmanager
def _device_of(args: Sequence[Argument]) -> Iterator[int]:
    """Make the GPU that holds the arrays the current one; gives its number."""
    cupy = gpu.import_cupy()
    devices = [a.device for a in args if isinstance(a, cupy.ndarray)]
    with devices[0] if devices else cupy.cuda.Device() as device:
        yield device.id


def _extent(kernel: str, what: str, extent: Extent) -> Index3:
    """One to three counts as three."""
    sizes = extent if isinstance(extent, tuple) else (extent,)
    fits = 1 <= len(sizes) <= 3 and all(isinstance(n, (int, np.integer)) and n >= 1 for n in sizes)
    if not fits:
        raise KernelError(
            f"{kernel}: {what} {extent!r}; expected one to three integers of at least 1"
        )
    x, y, z = (*map(int, sizes), 1, 1)[:3]
    return x, y, z


def _check_limits(kernel: str, grid: Index3, block: Index3, shared_bytes: int) -> None:
    """What every GPU would refuse, the emulator refuses too."""
    if math.prod(block) > _MOST_THREADS or block[2] > 64:
        raise KernelError(
            f"{kernel}: block {block} has {math.prod(block)} threads; a GPU takes at most "
            f"{_MOST_THREADS}, and 64 along z: use a smaller block and a larger grid"
        )
    if grid[0] >= 2**31 or max(grid[1:]) > 65535:
        raise KernelError(
            f"{kernel}: grid {grid} is too large; a GPU takes at most 2147483647 x 65535 x 65535 "
            "blocks: let each thread compute more (a grid-stride loop)"
        )
    if not 0 <= shared_bytes <= _MOST_SHARED:
        raise KernelError(
            f"{kernel}: shared_bytes={shared_bytes}; a block has at most {_MOST_SHARED} bytes: use "
            "smaller tiles"
        )
