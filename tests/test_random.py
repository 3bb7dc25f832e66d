"""Tests of tinyaccel.ops.random: the same bits everywhere, from a counter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError, TraceError
from tinyaccel.ops.random import (
    Generator,
    default_generator,
    host_bits,
    host_uniform,
    random_bits,
)

M = 0xFFFFFFFF


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32-20 in plain Python integers, written from the paper alone."""
    k = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x = [(counter[0] + k[0]) & M, (counter[1] + k[1]) & M]
    for i in range(20):
        r = [13, 15, 26, 6, 17, 29, 16, 24][i % 8]
        x[0] = (x[0] + x[1]) & M
        x[1] = ((x[1] << r) | (x[1] >> (32 - r))) & M
        x[1] ^= x[0]
        if i % 4 == 3:
            s = i // 4 + 1
            x = [(x[0] + k[s % 3]) & M, (x[1] + k[(s + 1) % 3] + s) & M]
    return x[0], x[1]


def words(seed: int, draw: int, n: int) -> list[int]:
    """The first n words of a draw, by that."""
    key = (seed & M, seed >> 32)
    return [threefry(key, (i // 2, draw))[i % 2] for i in range(n)]


def test_oracle() -> None:
    """The oracle itself gives the published answer."""
    assert threefry((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3)) == (0xC4923A9C, 0x483DF7A0)


# Bits


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 5, 2**64 - 1])
def test_bits(seed: int, device: str) -> None:
    """Each draw's words, to the bit, for small and for 64-bit seeds."""
    generator = Generator(seed)
    for draw, shape in enumerate([(5,), (2, 3), (), (0, 4), (4,)]):
        got = generator.bits(shape)
        assert (got.shape, got.dtype, got.device.name) == (shape, ta.uint32, device)
        assert got.numpy().ravel().tolist() == words(seed, draw, math.prod(shape))


def test_golden_values() -> None:
    """The first words of seed 0, written down: a change of stream is a change for every user."""
    assert Generator(0).bits(4).tolist() == [1797259609, 2579123966, 1351547692, 3235790642]


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_longer_draw_begins_like_a_shorter_one(a: int, b: int) -> None:
    """Element i depends on the seed, the draw and i alone, not on how many are drawn."""
    state = ta.tensor(np.array([7, 9, 3], np.uint32))
    x, y = random_bits(state, shape=(a,)).tolist(), random_bits(state, shape=(b,)).tolist()
    assert x[: min(a, b)] == y[: min(a, b)]


def test_random_bits_is_pure() -> None:
    """The op draws from a state without moving it on; a state of another kind raises."""
    state = ta.tensor(np.array([7, 9, 3], np.uint32))
    assert random_bits(state, shape=(3,)).tolist() == random_bits(state, shape=(3,)).tolist()
    for wrong in (ta.tensor([1, 2, 3]), ta.tensor(np.array([1, 2], np.uint32))):
        with pytest.raises(ShapeError, match=r"random_bits: state .*; expected uint32\[3\]"):
            random_bits(wrong, shape=(3,))


# Uniform and Bernoulli


def test_uniform_is_exact(device: str) -> None:
    """float32 uniforms are (bits >> 8) * 2**-24, to the bit."""
    got = Generator(3).uniform((101,)).numpy()
    expected = [(w >> 8) * 2.0**-24 for w in words(3, 0, 101)]
    assert got.dtype == np.float32
    assert got.tolist() == expected


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8), ("float64", 24)])
def test_uniform_in_other_dtypes(dtype: str, digits: int) -> None:
    """As many bits as the dtype holds, so that nothing is rounded, least of all up to 1."""
    got = Generator(0).uniform((20_000,), dtype=dtype)
    expected = [(w >> (32 - digits)) * 2.0**-digits for w in words(0, 0, 20_000)]
    assert got.dtype.name == dtype
    assert got.tolist() == expected
    assert min(expected) >= 0 and max(expected) < 1


def test_uniform_is_uniform() -> None:
    """Mean, variance and the largest gap from the straight line, as they should be."""
    u = np.sort(Generator(11).uniform(100_000).numpy().astype(np.float64))
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(u.var() - 1 / 12) < 0.002
    assert np.abs(u - (np.arange(u.size) + 0.5) / u.size).max() < 1.95 / math.sqrt(u.size)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_bernoulli(p: float, device: str) -> None:
    """True where the word is at least (1 - p) * 2**32, so about p of the time; 0 and 1 exactly."""
    got = Generator(5).bernoulli((4000,), p=p)
    assert got.dtype is ta.bool_
    assert got.tolist() == [w >= round((1 - p) * 2**32) for w in words(5, 0, 4000)]
    assert abs(got.numpy().mean() - p) <= 4 * math.sqrt(p * (1 - p) / 4000)


def test_every_draw_moves_on() -> None:
    """Draws of any kind, of any p and of no element, count as one each."""
    generator = Generator(5)
    generator.bernoulli((3,), p=0.0)
    generator.uniform((0,))
    generator.bernoulli((3,), p=1.0)
    assert generator.bits((2,)).tolist() == words(5, 3, 2)
    assert generator.state.tolist() == [5, 0, 4]


# Seeds and generators


def test_seed_starts_again() -> None:
    """seed() brings a generator back to where a new one starts, in the same state tensor."""
    generator = Generator(1)
    state = generator.state
    first = generator.bits(3).tolist()
    generator.bits(3)
    generator.seed(1)
    assert generator.state is state
    assert generator.bits(3).tolist() == first
    generator.seed(2)
    assert generator.bits(3).tolist() == words(2, 0, 3)


def test_manual_seed(device: str) -> None:
    """All default generators start again, those of other devices and the host's draws too."""
    here, cpu = default_generator(), default_generator("cpu")
    assert default_generator(device) is here
    ta.manual_seed(9)
    a, b, h = here.bits(3).tolist(), host_uniform((3,)).tolist(), cpu.state.tolist()
    ta.manual_seed(9)
    assert here.bits(3).tolist() == a == words(9, 0, 3)
    assert host_uniform((3,)).tolist() == b
    assert cpu.state.tolist()[:2] == h[:2] == [9, 0]


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: ta.manual_seed(-1), ArgumentError, "seed: -1; expected an integer from 0 to 2**64"),
    (lambda: Generator(2**64), ArgumentError, "expected an integer from 0 to 2**64 - 1"),
    (lambda: Generator(1.5), ArgumentError, "seed: 1.5; expected an integer"),  # type: ignore[arg-type]
    (lambda: Generator().bernoulli(3, p=1.5), ArgumentError, "bernoulli: p=1.5; expected a prob"),
    (lambda: Generator().uniform(3, dtype="int32"), DTypeError, "uniform: dtype int32; expected"),
    (lambda: Generator().bits(-1), ShapeError, "bits: shape (-1,) has a negative size"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_refuses(call: Any, error: type[Exception], text: str) -> None:
    """Bad seeds, probabilities, dtypes and shapes have one line each."""
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_failed_draw_moves_nothing() -> None:
    """A draw that raises leaves the state where it was."""
    generator = Generator(4)
    with pytest.raises(DTypeError):
        generator.uniform(3, dtype=int)
    with pytest.raises(ArgumentError):
        generator.bernoulli(3, p=-1)
    assert generator.state.tolist() == [4, 0, 0]


# On the host


def test_host_draws_share_no_counter_with_devices() -> None:
    """Host draws have the top bit in their number; the same seed gives other words."""
    assert host_bits(3, 2, 5).tolist() == words(3, 0x80000000 | 2, 5)
    ta.manual_seed(3)
    first, second = host_uniform((2, 2)), host_uniform((4,))
    assert first.ravel().tolist() == [(w >> 8) * 2.0**-24 for w in words(3, 0x80000000, 4)]
    assert second.tolist() == [(w >> 8) * 2.0**-24 for w in words(3, 0x80000001, 4)]
    assert first.dtype == np.float64


# Under jit


def test_jit_carries_the_state(device: str) -> None:
    """Jitted draws are the eager draws, one call after the other, and so is the state after."""
    eager, jitted = Generator(6), Generator(6)

    def draw(generator: Generator) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        a, b = generator.uniform((5,)), generator.bits((2, 3))
        return a, b, generator.bernoulli((4,), p=0.3)

    compiled = ta.jit(draw)
    for _ in range(3):
        for x, y in zip(draw(eager), compiled(jitted), strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy(), strict=True)
        assert eager.state.tolist() == jitted.state.tolist()
    assert compiled.traces == 1
    eager.seed(8)
    jitted.seed(8)  # outside the jitted function, and yet seen by it
    np.testing.assert_array_equal(draw(eager)[0].numpy(), compiled(jitted)[0].numpy())


def test_default_generator_first_used_in_a_trace(device: str) -> None:
    """A generator that a trace is the first to ask for is real, and goes on outside."""
    from tinyaccel.ops import random as module

    module._generators.pop(ta.get_device(device), None)
    ta.manual_seed(12)
    draw = ta.jit(lambda: default_generator().bits(2))
    assert draw().tolist() == words(12, 0, 2)
    assert draw().tolist() == words(12, 1, 2)
    assert default_generator().bits(2).tolist() == words(12, 2, 2)


def test_manual_seed_is_refused_in_a_trace() -> None:
    """It would act when tracing only."""
    with pytest.raises(TraceError, match=r"manual_seed can't be traced by .*test_random\.py:"):
        ta.jit(lambda: ta.manual_seed(1))()
