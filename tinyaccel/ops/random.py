"""Random numbers: the same bits on every device, eager or jitted, from a counter.

Draw number d of a generator takes element i from Threefry-2x32 with the generator's key, at the
counter (i // 2, d): its word i % 2. The state is one small tensor (key, key, d), which a draw
moves on with `assign`, so that `jit` carries it along like any other state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api, dtypes, shapes
from tinyaccel.backend import DEFAULT_DEVICE, Device, get_device
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import EXACT, Spec
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import less_equal
from tinyaccel.ops.movement import reshape, stack
from tinyaccel.tensor import DTypeLike, Tensor, full, tensor
from tinyaccel.trace import TRACE, refuse


def _prepare_bits(state: Spec, *, shape: Sequence[int]) -> dict[str, Any]:
    if state != Spec((3,), dtypes.uint32):
        raise ShapeError(f"random_bits: state {state}; expected uint32[3], a generator's state")
    return {"shape": shapes.as_shape(shape, "random_bits")}


@composite(takes="any", prepare=_prepare_bits, budget=EXACT)
def random_bits(state: Tensor, *, shape: Sequence[int]) -> Tensor:
    """Random uint32 words of `shape`, a pure function of `state` (key, key, draw)."""
    n = math.prod(shape)
    counter = arange((n + 1) // 2, dtype=dtypes.uint32, device=state.device)
    draw = state[2].broadcast_to(counter.shape)
    words = array_api.threefry2x32(state[0], state[1], counter, draw)
    return reshape(reshape(stack(words, axis=1), shape=-1)[:n], shape=shape)


class Generator:
    """A stream of random numbers on a device, from a seed.

    state: uint32[3], the two key words and the number of draws so far.

    >>> Generator(0).bits(2)
    tensor([1797259609, 2579123966], dtype=uint32)
    """

    def __init__(self, seed: int = 0, device: str | Device | None = None) -> None:
        with setting(TRACE, None):  # state is real even if the first draw is traced
            where = device if device is not None else DEFAULT_DEVICE.get()
            self.state = tensor(_start(seed), device=where)
            self.state.label = "random state"

    def seed(self, seed: int) -> None:
        """Start again, as a new generator with this seed would."""
        self.state.assign(tensor(_start(seed), device=self.state.device))

    def bits(self, shape: int | Sequence[int]) -> Tensor:
        """Random uint32 words, all 2**32 equally likely."""
        words = random_bits(self.state, shape=shapes.as_shape(shape, "bits"))
        step = tensor(np.array([0, 0, 1], np.uint32), device=self.state.device)
        self.state.assign(self.state + step)
        return words

    def uniform(self, shape: int | Sequence[int], *, dtype: DTypeLike | None = None) -> Tensor:
        """Random floats on [0, 1): (bits >> 8) * 2**-24.

        float16 and bfloat16 take as many bits as they hold, so that none rounds up to 1.
        """
        kind = dtypes.DEFAULT_FLOAT if dtype is None else dtypes.as_dtype(dtype)
        if not kind.is_float:
            raise DTypeError(f"uniform: dtype {kind}; expected a float")
        digits = min(24, 1 - round(math.log2(kind.eps)))
        words = self.bits(shape) >> (32 - digits)
        return (words.astype(dtypes.float32) * 2.0**-digits).astype(kind)

    def bernoulli(self, shape: int | Sequence[int], *, p: float = 0.5) -> Tensor:
        """Random bools, True with probability p to within 2**-32."""
        if not 0 <= p <= 1:
            raise ArgumentError(f"bernoulli: p={p}; expected a probability from 0 to 1")
        words = self.bits(shape)
        threshold = round((1 - p) * 2**32)
        if threshold >= 2**32:
            return full(words.shape, False, device=words.device)
        return less_equal(threshold, words)


def _start(seed: int) -> npt.NDArray[np.uint32]:
    if not isinstance(seed, int | np.integer) or seed < 0 or seed >= 2**64:
        raise ArgumentError(f"seed: {seed!r}; expected an integer from 0 to 2**64 - 1")
    return np.array([seed & 0xFFFFFFFF, seed >> 32, 0], np.uint32)


_seed = 0
_generators: dict[Device, Generator] = {}


def default_generator(device: str | Device | None = None) -> Generator:
    """The generator that a device's layers draw from unless they are given one."""
    where = get_device(device if device is not None else DEFAULT_DEVICE.get())
    if where not in _generators:
        _generators[where] = Generator(_seed, where)
    return _generators[where]


def manual_seed(seed: int) -> None:
    """Start all default generators again from `seed`; initial weights too."""
    global _seed
    refuse("manual_seed", "call it outside jit")
    _start(seed)
    _seed = int(seed)
    _host_draws.clear()
    for generator in _generators.values():
        generator.seed(_seed)


# On the host: initial weights and the order of batches, in NumPy, whatever the device.

_host_draws: list[None] = []  # its length counts the draws since the last manual_seed
_HOST = 0x8000_0000  # draws on the host have this bit, so that they share no counter with devices


def host_bits(seed: int, draw: int, n: int) -> npt.NDArray[np.uint32]:
    """n random words on the host: draw number `draw` of `seed`, apart from all device draws."""
    key = _start(seed)
    counter = np.arange((n + 1) // 2, dtype=np.uint32)
    number = np.full_like(counter, _HOST | draw)
    return np.stack(array_api.threefry2x32(key[0], key[1], counter, number), axis=-1).reshape(-1)[
        :n
    ]


def host_uniform(shape: shapes.Shape) -> npt.NDArray[np.float64]:
    """The next draw of floats on [0, 1) from the global seed, on the host, in float64."""
    words = host_bits(_seed, len(_host_draws), shapes.size(shape))
    _host_draws.append(None)
    return ((words >> 8).astype(np.float64) * 2.0**-24).reshape(shape)
