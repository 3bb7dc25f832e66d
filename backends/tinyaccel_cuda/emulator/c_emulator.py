"""Runs a kernel in CUDA C on the CPU: memory, launch, and what emulator.cpp reports in words."""

from __future__ import annotations

import ctypes
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType

import numpy as np

from tinyaccel.errors import BackendError, KernelError
from tinyaccel_cuda.emulator import reports
from tinyaccel_cuda.emulator.compiler import run_tool
from tinyaccel_cuda.emulator.reports import Index3, Place
from tinyaccel_cuda.signature import Signature

ORDERS = ("forward", "reversed", "shuffled")

# The fields of these, and the numbers, are those of protocol.h.
_BUFFER, _SHARED, _DYNAMIC, _MODULE = range(4)
_INTERRUPTED = 9

_LOCKS: dict[Path, threading.Lock] = {}


class _Region(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_void_p), ("bytes", ctypes.c_uint64), ("kind", ctypes.c_int))


_INTERRUPTED_TYPE = ctypes.CFUNCTYPE(ctypes.c_int)


class _Request(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("order", ctypes.c_int),
        ("seed", ctypes.c_uint64),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("regions", ctypes.POINTER(_Region)),
        ("region_count", ctypes.c_int),
        ("interrupted", _INTERRUPTED_TYPE),
    )


class _Site(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("file", ctypes.c_char_p), ("line", ctypes.c_int))


class _Report(ctypes.Structure):
    _fields_ = (
        ("bug", ctypes.c_int),
        ("block", ctypes.c_uint * 3),
        ("thread", ctypes.c_uint * 3),
        ("other", ctypes.c_uint * 3),
        ("writes", ctypes.c_int),
        ("other_writes", ctypes.c_int),
        ("site", _Site),
        ("other_site", _Site),
        ("region", ctypes.c_int),
        ("offset", ctypes.c_int64),
        ("address", ctypes.c_uint64),
        ("bytes", ctypes.c_uint),
        ("here", ctypes.c_uint),
        ("elsewhere", ctypes.c_uint),
        ("exited", ctypes.c_uint),
        ("text", ctypes.c_char * 200),
    )


@dataclass(frozen=True)
class _Named:
    """A region of memory with what a report needs to speak of it."""

    name: str
    region: _Region
    itemsize: int  # 0: take that of the access

    def element(self, offset: int, access: int) -> str:
        size = self.itemsize or access
        if offset % size:
            return f"byte {offset} of {self.name}"
        return f"{self.name}[{offset // size}]"

    def extent(self, access: int) -> str:
        size = self.itemsize or access
        if self.region.kind == _DYNAMIC:
            return f"the launch gave shared_bytes={self.region.bytes}"
        count = self.region.bytes // size
        return f"{self.name} has {count} element{'' if count == 1 else 's'}"


class CProgram:
    """A built kernel: the shared library with it, its emulator, and its static variables."""

    def __init__(
        self, library: Path, signature: Signature, shown: str, shared: frozenset[str]
    ) -> None:
        self._path = library
        self._shown = shown
        self._signature = signature
        self._library = ctypes.CDLL(str(library))
        self._library.tinyaccel_base.restype = ctypes.c_uint64
        self._library.tinyaccel_dynamic.restype = ctypes.c_void_p
        self._base: int = self._library.tinyaccel_base()
        self._statics = list(_static_variables(library, self._base, shared))
        # One emulator a library, which all kernels with this source share: one launch at a time.
        self._lock = _LOCKS.setdefault(library, threading.Lock())

    def launch(
        self,
        grid: Index3,
        block: Index3,
        arguments: Sequence[object],
        shared_bytes: int,
        order: str,
        seed: int,
    ) -> None:
        """Run the kernel; arrays are changed only if it ends well.

        Raises `KernelError` that names the bug where there is one.
        """
        arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
        with self._lock, _Copies(arrays) as copies:
            named = [*self._buffers(arguments, copies), *self._statics]
            dynamic = _Region(self._library.tinyaccel_dynamic(), shared_bytes, _DYNAMIC)
            named.append(_Named("the dynamic shared memory", dynamic, 0))
            values = [self._value(argument, copies) for argument in arguments]
            addresses = [ctypes.addressof(value) for value in values]
            report = _Report()
            with _interrupt_flag() as interrupted:
                request = _Request(
                    (ctypes.c_uint * 3)(*grid),
                    (ctypes.c_uint * 3)(*block),
                    ORDERS.index(order),
                    seed % 2**64,
                    (ctypes.c_void_p * max(len(values), 1))(*addresses),
                    (_Region * len(named))(*(item.region for item in named)),
                    len(named),
                    _INTERRUPTED_TYPE(interrupted),
                )
                status = self._library.tinyaccel_launch(ctypes.byref(request), ctypes.byref(report))
            if status == 2:
                raise BackendError(
                    f"{self._signature.kernel}: no memory for the stacks of the emulated threads"
                )
            if report.bug == _INTERRUPTED:
                raise KeyboardInterrupt
            if report.bug:
                raise self._error(report, named, block)
            parameters = zip(self._signature.parameters, arguments, strict=True)
            copies.write_back(
                [a for p, a in parameters if isinstance(a, np.ndarray) and not p.const]
            )

    def _buffers(self, arguments: Sequence[object], copies: _Copies) -> Iterator[_Named]:
        for parameter, argument in zip(self._signature.parameters, arguments, strict=True):
            if isinstance(argument, np.ndarray):
                region = _Region(copies.address(argument), argument.nbytes, _BUFFER)
                yield _Named(parameter.name, region, argument.itemsize)

    @staticmethod
    def _value(argument: object, copies: _Copies) -> ctypes.Array[ctypes.c_char] | ctypes.c_void_p:
        if isinstance(argument, np.ndarray):
            return ctypes.c_void_p(copies.address(argument))
        scalar = np.asarray(argument)  # a NumPy scalar of the parameter's dtype, by Signature.check
        return ctypes.create_string_buffer(scalar.tobytes(), scalar.itemsize)

    def _error(self, report: _Report, named: Sequence[_Named], block: Index3) -> KernelError:
        thread, other = _index3(report.thread), _index3(report.other)
        place = Place(
            self._signature.kernel, "c", self._source(report.site), _index3(report.block), thread
        )
        writes, other_writes = bool(report.writes), bool(report.other_writes)
        region = named[report.region] if report.region >= 0 else None
        element, extent = f"address 0x{report.address:x}", "no array is near it"
        if region is not None and report.bytes:
            element = region.element(report.offset, report.bytes)
            extent = region.extent(report.bytes)
        if report.bug == 1 and report.address < 4096:
            element, extent = f"address {report.address}", "that is a null pointer"
        other_source = self._source(report.other_site)
        match report.bug:
            case 1:
                shared = region is not None and region.region.kind in (_SHARED, _DYNAMIC)
                return reports.out_of_bounds(place, writes, element, extent, shared)
            case 2:
                return reports.uninitialised(place, element)
            case 3:
                return reports.race(place, writes, element, other, other_writes, other_source)
            case 4 if report.exited:
                return reports.exited_barrier(place, report.here, report.exited, other)
            case 4:
                return reports.split_barrier(
                    place, report.here, report.elsewhere, other, other_source
                )
            case 5:
                return reports.deadlock(
                    place, report.here, report.elsewhere, report.exited, other_source
                )
            case 6:
                return place.error(
                    "stack overflow",
                    "its calls and local arrays need more than an emulated thread's stack",
                    "end the recursion, or make the local arrays smaller",
                )
            case 7:
                lane = (thread[0] + block[0] * (thread[1] + block[1] * thread[2])) % 32
                return reports.bad_mask(place, report.here, lane)
        text = report.text.decode(errors="replace")
        return place.error("failed assertion", f"assert({text})", "make the condition hold")

    def _source(self, site: _Site) -> str:
        if site.file:
            return f"{site.file.decode(errors='replace')}:{site.line}"
        path, _, line = _source_line(self._path, site.offset).rpartition(":")
        # Debug information makes every file name absolute.
        return f"{self._shown if path.endswith('/' + self._shown) else path}:{line}"


def _index3(values: Sequence[int]) -> Index3:
    return (values[0], values[1], values[2])


class _Copies:
    """Copies of the arguments' memory, far from one another.

    An index that is out of range by little or much then meets nobody else's memory, every time.
    Arrays that overlap (an output that is also an input) share one copy.
    """

    _GAP = 1 << 24  # bytes; never touched, so they cost addresses and no memory

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        spans: list[list[np.ndarray]] = []
        for array in sorted(arrays, key=_begin):
            if spans and _begin(array) < max(_begin(a) + a.nbytes for a in spans[-1]):
                spans[-1].append(array)
            elif not any(array is a for span in spans for a in span):
                spans.append([array])
        gap = self._GAP + max((a.nbytes for a in arrays), default=0)
        total = sum(_end(span) - _begin(span[0]) + gap + 512 for span in spans)
        self._arena = np.empty(total + gap, np.uint8)
        self._at: dict[int, int] = {}
        cursor = -(-(self._arena.ctypes.data + gap) // 256) * 256  # as aligned as cudaMalloc's
        for span in spans:
            first = _begin(span[0])
            for array in span:
                self._at[id(array)] = cursor + _begin(array) - first
                self._view(array)[...] = array
            cursor = -(-(cursor + _end(span) - first + gap) // 256) * 256

    def __enter__(self) -> _Copies:
        return self

    def __exit__(self, *_: object) -> None:
        self._arena = np.empty(0, np.uint8)

    def address(self, array: np.ndarray) -> int:
        """Where the kernel finds `array`."""
        return self._at[id(array)]

    def _view(self, array: np.ndarray) -> np.ndarray:
        start = self._at[id(array)] - self._arena.ctypes.data
        memory = self._arena[start : start + array.nbytes]
        return memory.view(array.dtype).reshape(array.shape)

    def write_back(self, arrays: Sequence[np.ndarray]) -> None:
        """Give the results to these arrays of the caller."""
        for array in arrays:
            array[...] = self._view(array)


def _begin(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def _end(span: Sequence[np.ndarray]) -> int:
    return max(_begin(array) + array.nbytes for array in span)


@contextmanager
def _interrupt_flag() -> Iterator[Callable[[], int]]:
    """A function that says whether Ctrl-C was pressed within the block.

    Python's own handler runs only when the launch is over, which may be never: so while it runs,
    the signal only sets a flag, and the emulator asks for it.
    """
    pressed = False

    def handler(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True

    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if ours else None
    if before is not signal.default_int_handler:  # someone else's handler, or none: leave it
        yield lambda: 0
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield lambda: int(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _static_variables(library: Path, base: int, shared: frozenset[str]) -> Iterator[_Named]:
    """The kernel's shared arrays and constants, from the library's symbol table."""
    nm = shutil.which("nm")
    if nm is None:
        raise BackendError(
            "cuda-sim: nm, which comes with every C++ compiler, is not there; install binutils"
        )
    for line in run_tool([nm, "-SC", "-f", "sysv", str(library)]).stdout.splitlines():
        fields = [field.strip() for field in line.rsplit("|", 6)]
        if len(fields) != 7 or fields[3] != "OBJECT" or not fields[4]:
            continue
        name, section = fields[0], fields[6]
        own = "tinyaccel_" in name or name.startswith(("(anonymous namespace)", "__", "DW.ref"))
        if not own:
            short = name.rsplit("::", 1)[-1]
            kind = _SHARED if section == "tinyaccel_shared" or short in shared else _MODULE
            region = _Region(base + int(fields[1], 16), int(fields[4], 16), kind)
            yield _Named(short, region, 0)


@cache
def _source_line(library: Path, offset: int) -> str:
    """file:line of a machine instruction, the innermost inlined call that is the user's."""
    tool = shutil.which("addr2line")
    if tool is None:
        return "line unknown for want of addr2line:?"
    listing = run_tool([tool, "-i", "-e", str(library), hex(offset)]).stdout
    frames = [re.sub(r" \(discriminator \d+\)", "", line) for line in listing.splitlines()]
    ours = [f for f in frames if "cuda_on_host.h" not in f and not f.startswith(("?", "/usr/"))]
    return ours[0] if ours else "unknown file:?"
