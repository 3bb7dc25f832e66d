"""Tests of tinyaccel.ops.random: the same bits everywhere, from a counter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError, TraceError
from tinyaccel.ops.random import (
    Generator,
    default_generator,
    host_bits,
    host_uniform,
    random_bits,
    random_integers,
    random_normal,
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


# Scaled uniforms, normals, integers, permutations


def test_scaled_uniform(device: str) -> None:
    """low + (high - low) * u, to within two roundings, in [low, high]; 0 to 1 is left as it is."""
    u = np.array(words(4, 0, 500), np.uint64) >> 8
    exact = -3 + 5 * (u.astype(float) * 2.0**-24)
    got = Generator(4).uniform((500,), -3, 2).numpy()
    assert got.dtype == np.float32
    assert np.abs(got - exact).max() <= 2 * 2.0**-23 * 5
    assert got.min() >= -3 and got.max() <= 2
    assert Generator(4).uniform(3, 2.5, 2.5).tolist() == [2.5] * 3
    narrow = Generator(4).uniform((500,), -3, 2, dtype="float16").numpy()
    assert np.abs(narrow - (-3 + 5 * (u >> 13) * 2.0**-11)).max() <= 2.0**-10


def exact_normals(seed: int, n: int) -> Any:
    """Box and Muller in float64, from the words of a draw by pairs."""
    pairs = np.array(words(seed, 0, 2 * n), np.uint64).reshape(n, 2) >> 8
    u, v = (pairs * 2.0**-24).T
    return np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)


@pytest.mark.parametrize(("dtype", "roundings"), [("float32", 40), ("float64", 20)])
def test_normal_is_box_muller(dtype: str, roundings: float, device: str) -> None:
    """Element i comes of words 2i and 2i + 1, to a few roundings."""
    got = Generator(8).normal((10, 30), dtype=dtype)
    exact = exact_normals(8, 300)
    assert (got.shape, got.dtype.name) == ((10, 30), dtype)
    error = np.abs(got.numpy().ravel() - exact)
    assert error.max() <= roundings * got.dtype.eps
    shifted = Generator(8).normal((300,), 100, 0.5, dtype=dtype).numpy()
    assert np.abs(shifted - (100 + 0.5 * exact)).max() <= 200 * got.dtype.eps


def test_normal_in_narrow_dtypes() -> None:
    """float16 and bfloat16 normals are the float32 ones, rounded once."""
    wide = Generator(2).normal((50,), 1, 2)
    for dtype in ("float16", "bfloat16"):
        narrow = Generator(2).normal((50,), 1, 2, dtype=dtype)
        assert narrow.tolist() == wide.astype(dtype).tolist()


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 10, "int32"), (-128, 128, "int8"), (0, 256, "uint8"), (-5, -4, "int32"),
     (-(2**31), 2**31, "int32"), (0, 2**32, "uint32"), (-(2**62), -(2**62) + 12345, "int64")],
)  # fmt: skip
def test_randint(low: int, high: int, dtype: str, device: str) -> None:
    """The remainder of 64 bits, to the bit, up to the limits of every dtype."""
    got = Generator(7).randint(low, high, (3, 20), dtype=dtype)
    w = words(7, 0, 120)
    expected = [low + (w[2 * i] * 2**32 + w[2 * i + 1]) % (high - low) for i in range(60)]
    assert (got.shape, got.dtype.name) == ((3, 20), dtype)
    assert got.numpy().ravel().tolist() == expected


def test_permutation(device: str) -> None:
    """The stable order of as many words; a tensor is shuffled by it along one axis."""
    w = words(3, 0, 100)
    order = sorted(range(100), key=lambda i: w[i])
    got = Generator(3).permutation(100)
    assert (got.tolist(), got.dtype) == (order, ta.int32)
    x = np.arange(300).reshape(3, 100)
    shuffled = Generator(3).permutation(ta.tensor(x), axis=-1)
    np.testing.assert_array_equal(shuffled.numpy(), x[:, order], strict=True)
    assert Generator(3).permutation(0).tolist() == []


def test_permuted_tensors_have_gradients() -> None:
    """Each element's gradient goes back to where it was."""
    x = ta.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = Generator(1).permutation(x)
    (y * ta.tensor([1.0, 10.0, 100.0])).sum().backward()
    order = Generator(1).permutation(3).tolist()
    assert x.grad is not None
    assert [x.grad.tolist()[i] for i in order] == [1, 10, 100]


# Distributions: at a fixed seed, SciPy finds nothing wrong at the level of 1 in 1,000


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_distributions(seed: int) -> None:
    """Uniforms and normals pass Kolmogorov and Smirnov's test, integers the chi-square test."""
    generator = Generator(seed)
    n = 20_000
    assert stats.kstest(generator.uniform(n, -1, 3).numpy(), stats.uniform(-1, 4).cdf)[1] > 1e-3
    assert stats.kstest(generator.normal(n, 2, 3).numpy(), stats.norm(2, 3).cdf)[1] > 1e-3
    for count in (2, 7, 100):
        drawn = generator.randint(-5, count - 5, n).numpy() + 5
        assert stats.chisquare(np.bincount(drawn, minlength=count))[1] > 1e-3
    hits = generator.bernoulli(n, p=0.3).numpy().sum()
    assert stats.binomtest(int(hits), n, 0.3).pvalue > 1e-3


def test_neighbours_are_independent() -> None:
    """Normals of one draw, and of one draw and the next, have no correlation."""
    generator = Generator(5)
    a, b = generator.normal(20_000).numpy(), generator.normal(20_000).numpy()
    for x, y in ((a[:-1], a[1:]), (a[::2], a[1::2]), (a, b)):
        assert stats.pearsonr(x, y)[1] > 1e-3
        assert stats.pearsonr(x * x, y * y)[1] > 1e-3


def test_permutations_are_all_alike() -> None:
    """Each of the 24 orders of 4 elements comes equally often."""
    generator = Generator(0)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(1200):
        order = tuple(generator.permutation(4).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values()))[1] > 1e-3


def test_a_test_of_distributions_can_fail() -> None:
    """A biased source, and one with a gap, are found at this size."""
    u = Generator(0).uniform(20_000).numpy()
    assert stats.kstest(u**1.05, "uniform")[1] < 1e-3
    skewed = np.floor(u**1.05 * 7).astype(int)
    assert stats.chisquare(np.bincount(skewed, minlength=7))[1] < 1e-3


# Functions of the module


def test_module_functions_draw_from_the_default_generator(device: str) -> None:
    """random.uniform and its kin are the methods of the default generator, of any device."""
    draws: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("uniform", ((2, 3), -1, 1), {"dtype": "float64"}),
        ("normal", (5, 1.0, 2.0), {}),
        ("randint", (-3, 9, (4,)), {"dtype": "int64"}),
        ("bernoulli", ((7,),), {"p": 0.3}),
        ("permutation", (6,), {}),
    ]
    for name, args, options in draws:
        for where in (None, device, "cpu"):
            ta.manual_seed(4)
            expected = getattr(Generator(4, where), name)(*args, **options)
            got = getattr(ta.random, name)(*args, **options, device=where)
            assert got.device.name == (where or device)
            np.testing.assert_array_equal(got.numpy(), expected.numpy(), strict=True)
    x = ta.tensor([1, 2, 3], device="cpu")
    assert ta.random.permutation(x).device.name == "cpu"


def test_the_same_on_every_device(device: str) -> None:
    """Uniforms, integers, masks and orders are the CPU's to the bit, eager and jitted."""

    def draw(generator: Generator) -> list[ta.Tensor]:
        return [
            generator.uniform((2, 17)), generator.randint(-9, 2**31 - 20, (33,)),
            generator.bernoulli((31,), p=0.7), generator.permutation(65),
        ]  # fmt: skip

    here = Generator(11)
    for found in (draw(here), ta.jit(draw)(here)):
        assert {x.device.name for x in found} == {device}
    there = Generator(11, "cpu")
    draw(there)
    again = Generator(11)
    eager, jitted = draw(again), ta.jit(draw)(again)
    reference = Generator(11, "cpu")
    for found in (eager, jitted):
        for x, y in zip(found, draw(reference), strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy(), strict=True)


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
    (lambda: Generator().uniform(3, 2, 1), ArgumentError, "uniform: from 2 to 1; expected finite"),
    (lambda: Generator().uniform(3, 0, math.inf), ArgumentError, "uniform: from 0 to inf"),
    (lambda: Generator().normal(3, 0, -1), ArgumentError, "normal: mean 0, std -1; expected"),
    (lambda: Generator().normal(3, dtype=int), DTypeError, "normal: dtype int32; expected a float"),
    (lambda: Generator().randint(3, 3, 1), ArgumentError, "randint: from 3 to 3; expected low < "),
    (lambda: Generator().randint(0, 2**32 + 1, 1, dtype="int64"), ArgumentError, "low + 2**32"),
    (lambda: Generator().randint(0, 300, 1, dtype="uint8"), DTypeError, "randint: 299 doesn't fit"),
    (lambda: Generator().randint(-1, 3, 1, dtype="uint8"), DTypeError, "randint: -1 doesn't fit"),
    (lambda: Generator().randint(0, 3, 1, dtype=float), DTypeError, "randint: dtype float32; exp"),
    (lambda: Generator().randint(0, 1.5, 1), ArgumentError, "randint: from 0 to 1.5; expected int"),  # type: ignore[arg-type]
    (lambda: Generator().permutation(-1), ArgumentError, "permutation: -1; expected a tensor, or"),
    (lambda: Generator().permutation(1.5), ArgumentError, "permutation: 1.5; expected a tensor"),  # type: ignore[arg-type]
    (lambda: Generator().uniform(-1), ShapeError, "uniform: shape (-1,) has a negative size"),
    (lambda: Generator().normal(-1), ShapeError, "normal: shape (-1,) has a negative size"),
    (
        lambda: random_normal(ta.zeros(3), dtype="float32"),
        ShapeError,
        "random_normal: bits float32[3]; expected uint32[..., 2], two words an element",
    ),
    (
        lambda: random_integers(ta.zeros((3, 2), dtype="uint32"), count=0),
        ArgumentError,
        "random_integers: 0 values; expected 1 to 2**32",
    ),
    (
        lambda: random_normal(ta.zeros(2, dtype="uint32"), dtype="float16"),
        DTypeError,
        "random_normal: dtype float16; expected float32 or float64; use astype",
    ),
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
    with pytest.raises(ArgumentError):
        generator.normal(3, 0, -1)
    with pytest.raises(DTypeError):
        generator.randint(0, 300, 3, dtype="int8")
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
