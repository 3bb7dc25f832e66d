"""Random numbers: the same bits on every device, eager or jitted, from a counter.

Draw number d of a generator takes element i from Threefry-2x32 with the generator's key, at the
counter (i // 2, d): its word i % 2. The state is one small tensor (key, key, d), which a draw
moves on with `assign`, so that `jit` carries it along like any other state.

Uniforms on [0, 1), integers, bools and permutations are the same to the bit everywhere; normals and
scaled uniforms are computed from such bits, within the error budget.
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
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import EXACT, Spec
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import cos, less_equal, log1p, sqrt
from tinyaccel.ops.indexing import take
from tinyaccel.ops.movement import reshape, stack
from tinyaccel.ops.sorting import argsort
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


def _pairs(name: str, bits: Spec) -> None:
    if bits.dtype is not dtypes.uint32 or bits.shape[-1:] != (2,):
        raise ShapeError(f"{name}: bits {bits}; expected uint32[..., 2], two words an element")


def _prepare_normal(bits: Spec, *, dtype: DTypeLike) -> dict[str, Any]:
    _pairs("random_normal", bits)
    kind = dtypes.as_dtype(dtype)
    if kind not in (dtypes.float32, dtypes.float64):
        raise DTypeError(f"random_normal: dtype {kind}; expected float32 or float64; use astype")
    return {"dtype": kind}


@composite(takes="any", prepare=_prepare_normal)
def random_normal(bits: Tensor, *, dtype: DTypeLike) -> Tensor:
    """Normal numbers from pairs of words: sqrt(-2 log(1 - u)) cos(2 pi v), u and v on [0, 1).

    bits: uint32 (..., 2). u and v have 24 bits, so no result is beyond 5.77. G. Box, M. Muller, "A
    note on the generation of random normal deviates", 1958.
    """
    u = (bits >> 8).astype(dtype) * 2.0**-24
    radius = sqrt(-2 * log1p(-u[..., 0]))  # u is less than 1, and 1 - u exact
    return radius * cos(2 * math.pi * u[..., 1])


def _prepare_integers(bits: Spec, *, count: int) -> dict[str, Any]:
    _pairs("random_integers", bits)
    if not 1 <= count <= 2**32:
        raise ArgumentError(f"random_integers: {count} values; expected 1 to 2**32")
    return {"count": count}


@composite(takes="any", prepare=_prepare_integers, budget=EXACT)
def random_integers(bits: Tensor, *, count: int) -> Tensor:
    """int64 integers below `count` from pairs of words: (bits[0] * 2**32 + bits[1]) mod count.

    bits: uint32 (..., 2). Some values are met by one more of the 2**64 pairs than others: their
    probabilities differ by at most count * 2**-64, relatively, which is 2**-32 or less.
    """
    words = bits.astype(dtypes.int64)
    high, low = words[..., 0], words[..., 1]
    # By long division, 16 bits at a time: what is left is below 2**32, so 48 bits are enough.
    left = high % count
    left = (left * 2**16 + (low >> 16)) % count
    return (left * 2**16 + (low & 0xFFFF)) % count


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

    def uniform(
        self,
        shape: int | Sequence[int],
        low: float = 0.0,
        high: float = 1.0,
        *,
        dtype: DTypeLike | None = None,
    ) -> Tensor:
        """Random floats from `low` to `high`, all equally likely: low + (high - low) * u.

        u is (bits >> 8) * 2**-24, on [0, 1), and is returned as it is for 0 to 1. Elsewhere the
        sum is rounded, and may come to `high` itself. float16 and bfloat16 take as many bits as
        they hold, so that no u rounds up to 1.

        Raises `ArgumentError` unless low <= high, both finite; `DTypeError` unless a float.
        """
        kind = _float_dtype(dtype, "uniform")
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ArgumentError(f"uniform: from {low} to {high}; expected finite, low <= high")
        digits = min(24, 1 - round(math.log2(kind.eps)))
        words = self.bits(shapes.as_shape(shape, "uniform")) >> (32 - digits)
        u = words.astype(_computed_in(kind)) * 2.0**-digits
        if (low, high) != (0, 1):
            u = u * (high - low) + low
        return u.astype(kind)

    def normal(
        self,
        shape: int | Sequence[int],
        mean: float = 0.0,
        std: float = 1.0,
        *,
        dtype: DTypeLike | None = None,
    ) -> Tensor:
        """Random floats of the normal distribution with this mean and standard deviation.

        By Box and Muller's method (`random_normal`) from a pair of words each, in float32 for
        narrower dtypes; none is further than 5.77 std from the mean.

        Raises `ArgumentError` unless both are finite and std >= 0; `DTypeError` unless a float.
        """
        kind = _float_dtype(dtype, "normal")
        if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
            raise ArgumentError(f"normal: mean {mean}, std {std}; expected finite, std >= 0")
        z = random_normal(self._pairs(shape, "normal"), dtype=_computed_in(kind))
        return (z * std + mean).astype(kind)

    def randint(
        self,
        low: int,
        high: int,
        shape: int | Sequence[int],
        *,
        dtype: DTypeLike | None = None,
    ) -> Tensor:
        """Random integers from `low` up to, not including, `high`; int32 by default.

        The remainder of 64 random bits each (`random_integers`), so that no value's probability is
        off by more than a factor of 1 + 2**-32.

        Raises `ArgumentError` unless 1 to 2**32 integers are to choose from, `DTypeError` for
        those that the dtype can't hold.
        """
        kind = dtypes.DEFAULT_INT if dtype is None else dtypes.as_dtype(dtype)
        if not kind.is_integer:
            raise DTypeError(f"randint: dtype {kind}; expected integers")
        if not all(isinstance(n, int | np.integer) for n in (low, high)):
            raise ArgumentError(f"randint: from {low!r} to {high!r}; expected integers")
        if not 1 <= int(high) - int(low) <= 2**32:
            raise ArgumentError(
                f"randint: from {low} to {high}; expected low < high <= low + 2**32"
            )
        dtypes.check_scalar(int(low), kind, "randint")
        dtypes.check_scalar(int(high) - 1, kind, "randint")
        words = self._pairs(shape, "randint")
        chosen = random_integers(words, count=int(high) - int(low))
        return (chosen + int(low)).astype(kind)

    def bernoulli(self, shape: int | Sequence[int], *, p: float = 0.5) -> Tensor:
        """Random bools, True with probability p to within 2**-32."""
        if not 0 <= p <= 1:
            raise ArgumentError(f"bernoulli: p={p}; expected a probability from 0 to 1")
        words = self.bits(shapes.as_shape(shape, "bernoulli"))
        threshold = round((1 - p) * 2**32)
        if threshold >= 2**32:
            return full(words.shape, False, device=words.device)
        return less_equal(threshold, words)

    def permutation(self, x: int | Tensor, *, axis: int = 0) -> Tensor:
        """The integers below x in random order, int32; or a tensor, shuffled along `axis`.

        In the order of as many random words; two that are equal, which n elements have with
        probability n**2 * 2**-33, stay as they were.
        """
        if not isinstance(x, Tensor):
            if not isinstance(x, int | np.integer) or x < 0:
                raise ArgumentError(f"permutation: {x!r}; expected a tensor, or 0 or more integers")
            return argsort(self.bits(int(x)), axis=0)
        at = shapes.normalize_axis(axis, x.ndim, "permutation")
        return take(x, argsort(self.bits(x.shape[at]), axis=0), axis=at)

    def _pairs(self, shape: int | Sequence[int], op: str) -> Tensor:
        """Two words for each element of `shape`: both of one counter."""
        return self.bits((*shapes.as_shape(shape, op), 2))


def _float_dtype(dtype: DTypeLike | None, op: str) -> DType:
    kind = dtypes.DEFAULT_FLOAT if dtype is None else dtypes.as_dtype(dtype)
    if not kind.is_float:
        raise DTypeError(f"{op}: dtype {kind}; expected a float")
    return kind


def _computed_in(kind: DType) -> DType:
    return dtypes.float64 if kind is dtypes.float64 else dtypes.float32


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


# Draws from a device's default generator, the current default device's unless told otherwise.


def uniform(
    shape: int | Sequence[int], low: float = 0.0, high: float = 1.0, *,
    dtype: DTypeLike | None = None, device: str | Device | None = None,
) -> Tensor:  # fmt: skip
    """Random floats from `low` to `high`: `Generator.uniform` of the device's default generator."""
    return default_generator(device).uniform(shape, low, high, dtype=dtype)


def normal(
    shape: int | Sequence[int], mean: float = 0.0, std: float = 1.0, *,
    dtype: DTypeLike | None = None, device: str | Device | None = None,
) -> Tensor:  # fmt: skip
    """Normal random floats: `Generator.normal` of the device's default generator."""
    return default_generator(device).normal(shape, mean, std, dtype=dtype)


def randint(
    low: int, high: int, shape: int | Sequence[int], *,
    dtype: DTypeLike | None = None, device: str | Device | None = None,
) -> Tensor:  # fmt: skip
    """Random integers, low <= i < high: `Generator.randint` of the device's default generator."""
    return default_generator(device).randint(low, high, shape, dtype=dtype)


def bernoulli(
    shape: int | Sequence[int], *, p: float = 0.5, device: str | Device | None = None
) -> Tensor:
    """Random bools: `Generator.bernoulli` of the device's default generator."""
    return default_generator(device).bernoulli(shape, p=p)


def permutation(x: int | Tensor, *, axis: int = 0, device: str | Device | None = None) -> Tensor:
    """A random order: `Generator.permutation` of the default generator, a tensor's own device's."""
    where = x.device if isinstance(x, Tensor) else device
    return default_generator(where).permutation(x, axis=axis)


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
