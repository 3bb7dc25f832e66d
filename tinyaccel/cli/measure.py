"""`tinyaccel devices --measure`: how fast each device computes, moves data and starts an op."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from tinyaccel.backend import Device, get_device
from tinyaccel.jit import jit
from tinyaccel.ops.creation import ones
from tinyaccel.tensor import Tensor

_LONG = 0.02  # seconds: a call of this length says more about the device than about the call
_SIDES = (64, 256, 1024, 4096)  # of square matrices
_LENGTHS = (2**10, 2**16, 2**20, 2**24, 2**27)  # of vectors


@dataclass(frozen=True)
class Speed:
    """What was measured of a device.

    memory     bytes that it has, or None where its backend doesn't know
    products   float32 operations a second in a matrix product, a multiplication and an addition
               counting as two
    bandwidth  bytes a second that x + 1 reads and writes
    start      seconds that one eager op of one element takes
    """

    memory: int | None
    products: float
    bandwidth: float
    start: float


def measure(name: str) -> Speed:
    """Measure a device, with sizes that grow until a call takes 20 ms: under a second or two.

    Machines are busy, so the best of some calls counts.
    """
    device = get_device(name)
    return Speed(
        device.backend.memory(device),
        _largest(device, _SIDES, lambda n: ones((n, n), device=device), lambda x: x @ x,
                 lambda n: 2.0 * n**3),
        _largest(device, _LENGTHS, lambda n: ones(n, device=device), lambda x: x + 1.0,
                 lambda n: 8.0 * n),
        _best(device, lambda x: x + 1.0, ones(1, device=device), calls=50),
    )  # fmt: skip


def _largest(
    device: Device,
    sizes: tuple[int, ...],
    make: Callable[[int], Tensor],
    fn: Callable[[Tensor], Tensor],
    work: Callable[[int], float],
) -> float:
    """Work a second, at the size at which most gets done."""
    best = 0.0
    for n in sizes:
        seconds = _best(device, jit(fn), make(n), calls=5)
        best = max(best, work(n) / seconds)
        if seconds > _LONG:
            break
    return best


def _best(device: Device, fn: Callable[[Tensor], Tensor], x: Tensor, *, calls: int) -> float:
    """The shortest time of a call, once it has been compiled."""
    y = fn(x)  # held, or nothing would have to be waited for
    device.backend.synchronize()
    times = []
    for _ in range(calls):
        start = perf_counter()
        y = fn(x)
        device.backend.synchronize()
        times.append(perf_counter() - start)
    del y
    return min(times)


def row(speed: Speed) -> list[str]:
    """The cells of a table: GiB, GFLOP/s, GB/s, us."""
    memory = "" if speed.memory is None else f"{speed.memory / 2**30:.0f} GiB"
    return [
        memory,
        f"{speed.products / 1e9:,.3g} GFLOP/s",
        f"{speed.bandwidth / 1e9:,.3g} GB/s",
        f"{speed.start * 1e6:,.0f} us",
    ]
