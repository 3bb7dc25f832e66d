"""Functions that are no ops, and indexing, against PyTorch: values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from oracle import agree

import tinyaccel as ta
from tinyaccel.tensor import Tensor

torch: Any = pytest.importorskip("torch", reason="PyTorch is the oracle")
F: Any = torch.nn.functional

Call = Callable[..., Any]


def arrays(rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    """(3, 4, 5) of different numbers, and (4, 5) of few, in float64."""
    different = rng.permutation(60) / 8 - 3.5
    return [different.reshape(3, 4, 5), rng.integers(-2, 3, (4, 5)) / 2]


# Of one tensor (3, 4, 5): ours, and PyTorch's. A tuple of results is compared part by part.

OF_ONE: dict[str, tuple[Call, Call]] = {
    "topk": (lambda x: ta.topk(x, 2, axis=1), lambda x: tuple(torch.topk(x, 2, dim=1))),
    "topk, smallest": (
        lambda x: ta.topk(x, 5, largest=False), lambda x: tuple(torch.topk(x, 5, largest=False)),
    ),
    "topk of none": (lambda x: ta.topk(x, 0, axis=0), lambda x: tuple(torch.topk(x, 0, dim=0))),
    "split into parts": (
        lambda x: ta.split(x, 2, axis=1), lambda x: torch.tensor_split(x, 2, dim=1),
    ),
    "split before indices": (
        lambda x: ta.split(x, [1, 1, 4], axis=-1),
        lambda x: torch.tensor_split(x, (1, 1, 4), dim=-1),
    ),
    "stack": (lambda x: ta.stack([x, x * 2], axis=-1), lambda x: torch.stack([x, x * 2], dim=-1)),
    "unstack": (lambda x: ta.unstack(x, axis=1), lambda x: torch.unbind(x, 1)),
    "concat in a row": (
        lambda x: ta.concat([x, x[0]], axis=None),
        lambda x: torch.cat([x.ravel(), x[0].ravel()]),
    ),
    "diag of a vector": (
        lambda x: ta.diag(x[0, 0], k=-2), lambda x: torch.diag(x[0, 0], -2),
    ),
    "diag of a matrix": (lambda x: ta.diag(x[0], k=1), lambda x: torch.diag(x[0], 1)),
    "moveaxis": (
        lambda x: ta.moveaxis(x, (0, -1), (1, 0)), lambda x: torch.movedim(x, (0, -1), (1, 0)),
    ),
    "swapaxes": (lambda x: ta.swapaxes(x, 0, -1), lambda x: torch.transpose(x, 0, -1)),
    "transpose": (lambda x: ta.transpose(x), lambda x: x.permute(2, 1, 0)),
    "matrix_transpose": (lambda x: ta.matrix_transpose(x), lambda x: x.mT),
    "flatten": (lambda x: ta.flatten(x, 1), lambda x: torch.flatten(x, 1)),
    "ravel": (lambda x: ta.ravel(x), lambda x: x.ravel()),
    "broadcast_arrays": (
        lambda x: ta.broadcast_arrays(x, x[0, :, :1]),
        lambda x: torch.broadcast_tensors(x, x[0, :, :1]),
    ),
    "meshgrid, ij": (
        lambda x: ta.meshgrid(x[0, 0], x[0, :, 0], x[1, 0, :2], indexing="ij"),
        lambda x: torch.meshgrid(x[0, 0], x[0, :, 0], x[1, 0, :2], indexing="ij"),
    ),
    "meshgrid, xy": (
        lambda x: ta.meshgrid(x[0, 0], x[0, :, 0], x[1, 0, :2]),
        lambda x: torch.meshgrid(x[0, 0], x[0, :, 0], x[1, 0, :2], indexing="xy"),
    ),
    "pad": (
        lambda x: ta.pad(x, ((0, 0), (1, 0), (2, 3)), value=1.5),
        lambda x: F.pad(x, (2, 3, 1, 0), value=1.5),
    ),
    "pad, reflect": (
        lambda x: ta.pad(x, ((0, 0), (0, 0), (4, 2)), mode="reflect"),
        lambda x: F.pad(x, (4, 2), mode="reflect"),
    ),
    "pad, edge": (
        lambda x: ta.pad(x, ((0, 0), (0, 0), (4, 7)), mode="edge"),
        lambda x: F.pad(x, (4, 7), mode="replicate"),
    ),
    "take from all": (
        lambda x: ta.take(x, ta.tensor([[3, 59], [-1, 3]])),
        lambda x: torch.take(x, torch.tensor([[3, 59], [-1, 3]])),
    ),
    "einsum": (
        lambda x: ta.einsum("abi, bj, cbk -> ", x, x[0], x),
        lambda x: torch.einsum("abi, bj, cbk -> ", x, x[0], x),
    ),
    "einsum of a batch": (
        lambda x: ta.einsum("...ij,kj->...ki", x, x[1]),
        lambda x: torch.einsum("...ij,kj->...ki", x, x[1]),
    ),
    "cross_entropy of probabilities": (
        lambda x: ta.cross_entropy(x, x * x, label_smoothing=0.2),
        lambda x: F.cross_entropy(x, x * x, label_smoothing=0.2),
    ),
    "minus one of an index": (lambda x: x[::-1, :, ::-2], lambda x: x.flip(0, 2)[:, :, ::2]),
}  # fmt: skip


def parts(function: Call) -> list[Call]:
    """The results of a function one by one, if it has several: at most 5."""

    def part(i: int) -> Call:
        def one(x: Any) -> Any:
            found = function(x)
            return found[i] if isinstance(found, tuple | list) else found

        return one

    return [part(i) for i in range(5)]


@pytest.mark.parametrize("name", OF_ONE)
def test_functions_as_pytorch(name: str, rng: np.random.Generator) -> None:
    """Values are PyTorch's, and of floats the gradients, too."""
    ours, theirs = OF_ONE[name]
    x = arrays(rng)[0]
    expected = theirs(torch.tensor(x))
    count = len(expected) if isinstance(expected, tuple | list) else 1
    got = ours(ta.tensor(x))
    assert isinstance(got, Tensor) == (not isinstance(expected, tuple | list))
    assert isinstance(got, Tensor) or len(got) == count
    pairs = list(zip(parts(ours), parts(theirs), strict=True))[:count]
    for mine, other in pairs:
        if mine(ta.tensor(x)).dtype.is_float:
            agree(mine, other, x, order=1)
        else:
            np.testing.assert_array_equal(mine(ta.tensor(x)).numpy(), other(torch.tensor(x)))


# Without a gradient

FIXED: dict[str, tuple[Call, Call]] = {
    "greater": (lambda x, y: ta.greater(x, y), lambda x, y: torch.gt(x, y)),
    "greater_equal": (lambda x, y: ta.greater_equal(x, y), lambda x, y: torch.ge(x, y)),
    "nonzero": (lambda x, y: ta.nonzero(y), lambda x, y: torch.nonzero(y, as_tuple=True)),
    "argwhere": (lambda x, y: ta.argwhere(y), lambda x, y: torch.argwhere(y)),
    **{
        f"searchsorted, {side}": (
            lambda x, y, side=side: ta.searchsorted(ta.sort(ta.ravel(y)), x, side=side),
            lambda x, y, side=side: torch.searchsorted(
                torch.sort(y.ravel()).values, x, side=side
            ),
        )
        for side in ("left", "right")
    },
    "full": (
        lambda x, y: ta.full((2, 3), -0.5, dtype="float64"),
        lambda x, y: torch.full((2, 3), -0.5, dtype=torch.float64),
    ),
    "eye": (
        lambda x, y: ta.eye(3, 5, dtype="float64"),
        lambda x, y: torch.eye(3, 5, dtype=torch.float64),
    ),
    "arange of integers": (lambda x, y: ta.arange(7, -4, -3), lambda x, y: torch.arange(7, -4, -3)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_values_as_pytorch(name: str, rng: np.random.Generator) -> None:
    """What has no gradient is the same to the bit."""
    ours, theirs = FIXED[name]
    x, y = arrays(rng)
    x = np.round(x * 2) / 4  # so that some are equal
    got, expected = (
        f(*args) for f, args in ((ours, [ta.tensor(a) for a in (x, y)]),
                                 (theirs, [torch.tensor(a) for a in (x, y)]))
    )  # fmt: skip
    both = zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]
    for a, b in both:
        np.testing.assert_array_equal(a.numpy(), b.numpy(), strict=a.dtype is ta.float64)


@pytest.mark.parametrize("seed", range(30))
def test_ranges_as_pytorch(seed: int) -> None:
    """Ranges of floats have PyTorch's elements, as many, to a few roundings of the largest."""
    rng = np.random.default_rng(seed)
    start, stop = rng.uniform(-5, 5, 2).tolist()
    number = int(rng.integers(0, 40))
    step = float(rng.choice([0.1, 0.25, 1 / 3, 2.0]) * np.sign(stop - start))
    pairs = [
        (ta.linspace(start, stop, number, dtype="float64"),
         torch.linspace(start, stop, number, dtype=torch.float64)),
        (ta.arange(start, stop, step, dtype="float64"),
         torch.arange(start, stop, step, dtype=torch.float64)),
    ]  # fmt: skip
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-14)
    if number > 1:
        assert pairs[0][0].tolist()[-1] == stop


# Indices

_ROWS, _COLUMNS = np.array([[0, 2], [-1, 1]]), np.array([3, 0])
_MASK = np.arange(12).reshape(3, 4) % 3 == 1

INDICES: dict[str, Any] = {
    "an integer": -1,
    "slices": (slice(None), slice(1, None, 2), slice(-3, None)),
    "an empty slice": slice(2, 1),
    "None and ...": (None, 1, ..., None, slice(0, 2)),
    "a list": [2, 0, 2],
    "an array in front": _ROWS,
    "an array at the end": (..., _COLUMNS),
    "arrays side by side": (_ROWS, _COLUMNS),
    "arrays apart": (_ROWS, slice(None), _COLUMNS),
    "arrays and None": (_ROWS, None, _COLUMNS),
    "a mask of two axes": _MASK,
    "a mask and a slice": (slice(1, 2), np.array([True, False, True, True]), slice(None, None, 2)),
    "a mask and an array": (np.array([True, False, True]), _COLUMNS),
    "an array of no elements": np.zeros((0,), np.int64),
    "everything": (),
}


def _of_torch(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_of_torch, index))
    return torch.tensor(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("what", INDICES)
def test_reading_as_pytorch(what: str, rng: np.random.Generator) -> None:
    """x[index] is PyTorch's, and so are its gradients."""
    index = INDICES[what]
    agree(lambda x: x[index], lambda x: x[_of_torch(index)], arrays(rng)[0], order=1)


@pytest.mark.parametrize("what", INDICES)
def test_putting_as_pytorch(what: str, rng: np.random.Generator) -> None:
    """x.at[index].set and .add are PyTorch's index assignment to a clone, and its gradients.

    `set` only where no element is named twice: what PyTorch does then is open.
    """
    index = INDICES[what]
    x = arrays(rng)[0]
    places = np.arange(x.size).reshape(x.shape)[index]
    values = rng.normal(size=places.shape)
    given = _of_torch(index)

    def put(x: Any, v: Any) -> Any:
        y = x.clone()
        y[given] = v
        return y

    def added(x: Any, v: Any) -> Any:
        flat = torch.arange(x.numel()).reshape(x.shape)[given].ravel()
        return x.ravel().index_add(0, flat, v.ravel()).reshape(x.shape)

    agree(lambda x, v: x.at[index].add(v), added, x, values, order=1)
    if len(set(places.ravel().tolist())) == places.size:
        agree(lambda x, v: x.at[index].set(v), put, x, values, order=1)


# Where PyTorch does otherwise


def _shapes(ours: Sequence[int], theirs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(ours), tuple(theirs)


def test_an_integer_beside_an_array() -> None:
    """To NumPy, and to us, an integer is an array of indices; PyTorch takes it first, by itself."""
    x = np.arange(60.0).reshape(3, 4, 5)
    ours = ta.tensor(x)[0, :, _COLUMNS]
    theirs = torch.tensor(x)[0, :, torch.tensor(_COLUMNS)]
    assert _shapes(ours.shape, theirs.shape) == ((2, 4), (4, 2))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy().T)


def test_splitting_by_numbers() -> None:
    """PyTorch's split takes the size of the parts; ours, as NumPy's, how many there are."""
    assert [part.shape for part in ta.split(ta.ones(6), 2)] == [(3,), (3,)]
    assert [tuple(part.shape) for part in torch.split(torch.ones(6), 2)] == [(2,), (2,), (2,)]


def test_eps_of_rms_norm() -> None:
    """PyTorch takes float32's eps for float16, computing in that; ours is the input's dtype's."""
    x = np.full((1, 2), 2.0**-10, np.float16)
    ours = ta.rms_norm(ta.tensor(x), normalized_shape=2)
    theirs = F.rms_norm(torch.tensor(x), (2,))
    wide = x.astype(np.float64)
    for got, eps in ((ours.numpy(), 2.0**-10), (theirs.numpy(), 2.0**-23)):
        exact = wide / np.sqrt((wide * wide).mean() + eps)
        np.testing.assert_allclose(got, exact, rtol=1e-3)
