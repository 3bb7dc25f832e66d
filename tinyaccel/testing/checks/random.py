"""Random numbers: the same to the bit on every device, and a stream that moves on."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.errors import CheckError
from tinyaccel.jit import jit
from tinyaccel.ops.random import Generator
from tinyaccel.shapes import Shape
from tinyaccel.tensor import Tensor
from tinyaccel.testing.checks.common import collector, expect
from tinyaccel.testing.lacking import lacking
from tinyaccel.testing.references.random import random_bits, threefry

Array: TypeAlias = npt.NDArray[Any]

CHECKS, named = collector("random")

_SEED = 2**40 + 12345  # both key words at work
_KEY = (_SEED & 0xFFFFFFFF, _SEED >> 32)


def _exact_bits(draw: int, shape: Shape) -> Array:
    """The words of one draw, from the reference."""
    return random_bits(np.array([*_KEY, draw], np.uint32), shape=shape)


def _equal(what: str, got: Array, wanted: Array) -> None:
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype) or (got != wanted).any():
        raise CheckError(f"{what}: got {got.ravel()[:4]}, expected {wanted.ravel()[:4]}")


@named("random: bits are Threefry's, draw after draw")
def _bits(device: Device) -> None:
    generator = Generator(_SEED, device)
    for draw, shape in enumerate(((4,), (), (3, 5), (0,), (129,), (1,))):
        _equal(f"draw {draw} of shape {shape}", generator.bits(shape).numpy(),
               _exact_bits(draw, shape))  # fmt: skip


@named("random: a long stream doesn't begin again")
def _long(device: Device) -> None:
    n = 2**17 + 5  # more words than a counter of 16 bits has
    got = Generator(_SEED, device).bits((n,)).numpy()
    for i in (0, 1, 2**16 - 1, 2**16, 2**17 - 1, 2**17, n - 1):
        expect(f"word {i}", int(got[i]), threefry(_KEY, (i // 2, 0))[i % 2])


@named("random: a draw moves the state on by one")
def _state(device: Device) -> None:
    generator = Generator(_SEED, device)
    expect("the state at first", generator.state.tolist(), [*_KEY, 0])
    first = generator.bits((8,)).tolist()
    expect("the state after a draw", generator.state.tolist(), [*_KEY, 1])
    second = generator.bits((8,)).tolist()
    if first == second:
        raise CheckError(f"two draws are the same: {first}")
    generator.seed(_SEED)
    expect("the first draw after seeding again", generator.bits((8,)).tolist(), first)


@named("random: uniforms are the bits' own, below 1")
def _uniform(device: Device) -> None:
    missing = lacking(device)
    for kind, digits in ((dtypes.float32, 24), (dtypes.float16, 11), (dtypes.bfloat16, 8)):
        if kind in missing:
            continue
        got = Generator(_SEED, device).uniform((65,), dtype=kind).numpy()
        exact = (_exact_bits(0, (65,)) >> (32 - digits)) * 2.0**-digits
        _equal(kind.name, got, exact.astype(kind.numpy))


@named("random: masks are the bits' own")
def _bernoulli(device: Device) -> None:
    words = _exact_bits(0, (65,)).astype(np.uint64)
    for p in (0.0, 0.1, 0.5, 0.9, 1.0):
        got = Generator(_SEED, device).bernoulli((65,), p=p).numpy()
        _equal(f"p={p}", got, words >= round((1 - p) * 2**32))


@named("random: jitted draws are the eager ones")
def _jitted(device: Device) -> None:
    jit_one, eager_one = Generator(_SEED, device), Generator(_SEED, device)

    def draws(generator: Generator) -> tuple[Tensor, ...]:
        return (
            generator.bits((5,)),
            generator.uniform((33,)),
            generator.bernoulli((9,), p=0.3),
        )

    jitted = jit(lambda: draws(jit_one))
    for call in range(3):
        for name, got, wanted in zip(
            ("bits", "uniform", "bernoulli"), jitted(), draws(eager_one), strict=True
        ):
            _equal(f"{name} of call {call}", got.numpy(), wanted.numpy())
    expect("the state after nine draws", jit_one.state.tolist(), [*_KEY, 9])
