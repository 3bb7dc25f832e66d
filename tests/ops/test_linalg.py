"""Products of vectors and matrices, einsum and trace: against NumPy, with their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, AxisError, ShapeError, TinyaccelError
from tinyaccel.op import OPS
from tinyaccel.ops.define import body_graph


def whole(rng: np.random.Generator, *shape: int) -> Any:
    """Small whole numbers, whose sums of products are exact."""
    return rng.integers(-4, 5, shape).astype(np.float32)


# matmul

PRODUCTS = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)),
    ((2, 3), (3, 4)), ((4, 1, 2, 3), (5, 3, 2)), ((300,), (300, 2)), ((2, 1, 300), (300,)),
    ((0,), (0,)), ((0,), (0, 2)), ((2, 0, 3), (3,)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), PRODUCTS)
def test_matmul_of_vectors(a: Any, b: Any, device: str, rng: np.random.Generator) -> None:
    """Every mix of vectors, matrices and stacks gives NumPy's product, and exact gradients."""
    x, y = whole(rng, *a), whole(rng, *b)
    expected = np.asarray(x @ y)
    left, right = (ta.tensor(v, device=device, requires_grad=True) for v in (x, y))
    product = left @ right
    np.testing.assert_array_equal(product.numpy(), expected, strict=True)
    g = whole(rng, *expected.shape)
    product.backward(ta.tensor(g, device=device))
    # The gradient is linear in g, so it is what makes <g, dx @ y> for every unit dx.
    for moved, slope in ((x, left.grad), (y, right.grad)):
        assert slope is not None
        for index in list(np.ndindex(moved.shape))[:7]:
            unit = np.zeros_like(moved)
            unit[index] = 1
            change = unit @ y if moved is x else x @ unit
            assert slope.numpy()[index] == (g * change).sum()


def test_precision_reaches_the_body_of_a_composite() -> None:
    """A body is traced again for another precision: an earlier "fast" doesn't stay."""
    specs = [ta.ones((2, 3)).spec, ta.ones((4, 3)).spec]
    found = []
    for level in ("fast", "highest"):
        with ta.precision(level):
            graph = body_graph(OPS["linear"], specs, {})
        found += [i.attrs["precision"] for i in graph.instrs if i.op == "matmul"]
    assert found == ["fast", "highest"]


# einsum

STRINGS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ba", [(2, 3)]),
    ("aB", [(2, 3)]), (" i j -> j i ", [(2, 3)]), ("ii", [(3, 3)]), ("ii->i", [(3, 3)]),
    ("iji->j", [(3, 2, 3)]), ("iiij->ji", [(2, 2, 2, 3)]), ("i,i", [(3,), (3,)]),
    ("i,i->i", [(3,), (3,)]), ("i,j", [(3,), (4,)]), ("ij,ij->", [(2, 3), (2, 3)]),
    ("ij->", [(2, 3)]), (",i", [(), (3,)]), ("", [()]), (",->", [(), ()]),
    ("i,->i", [(3,), ()]), ("...", [(2, 3)]), ("i...", [(2, 3, 4)]), ("i...->...", [(2, 3)]),
    ("...,...", [(2, 1), (3,)]), ("...ij,...jk", [(5, 2, 3), (3, 4)]), ("i->i...", [(3,)]),
    ("b...ij,b...jk->b...ik", [(5, 7, 2, 3), (1, 7, 3, 4)]), ("...i->...i", [(3,)]),
    ("...i,i...->...", [(2, 3), (3, 4, 2)]), ("i,i", [(1,), (3,)]), ("ij,jk", [(2, 1), (3, 4)]),
    ("ij,jk,kl", [(2, 3), (3, 4), (4, 5)]), ("ij,jk,kl,ij->", [(2, 3), (3, 4), (4, 5), (2, 3)]),
    ("i,ij,j->", [(2,), (2, 3), (3,)]), ("ijk,ij->k", [(2, 3, 4), (1, 3)]),
    ("ij,j", [(2, 0), (0,)]),
    ("ij,kl->iljk", [(2, 3), (4, 5)]), ("i,j,i->ji", [(3,), (2,), (1,)]),
]  # fmt: skip


@pytest.mark.parametrize(("subscripts", "given"), STRINGS)
def test_einsum(subscripts: str, given: Any, rng: np.random.Generator) -> None:
    """Whatever NumPy reads, explicit or not, with dots, diagonals, ones and many operands."""
    arrays = [whole(rng, *shape) for shape in given]
    expected = np.einsum(subscripts, *arrays)
    got = ta.einsum(subscripts, *arrays).numpy()
    np.testing.assert_array_equal(got, np.asarray(expected), strict=True)


def test_einsum_of_random_strings(rng: np.random.Generator) -> None:
    """Two hundred random strings of one to three operands, with repeated letters and ones."""
    for _ in range(200):
        sizes = dict(zip("abcd", rng.integers(1, 4, 4).tolist(), strict=True))
        terms, arrays = [], []
        for _ in range(rng.integers(1, 4)):
            term = "".join(rng.choice(list("abcd"), rng.integers(0, 5)))
            own = {c: 1 if rng.random() < 0.1 else sizes[c] for c in term}
            terms.append(term)
            arrays.append(whole(rng, *(own[c] for c in term)))
        letters = sorted(set("".join(terms)))
        rng.shuffle(letters)
        output = "".join(letters[: rng.integers(0, len(letters) + 1)])
        subscripts = ",".join(terms) + ("->" + output if rng.random() < 0.7 else "")
        expected = np.asarray(np.einsum(subscripts, *arrays))
        got = ta.einsum(subscripts, *arrays).numpy()
        np.testing.assert_array_equal(got, expected, strict=True, err_msg=subscripts)


def test_einsum_keeps_small_integers(rng: np.random.Generator) -> None:
    """int8 stays int8 and wraps, also where an axis is summed before the product."""
    x = rng.integers(-128, 128, (5, 6), dtype=np.int8)
    for subscripts, arrays in (("ij->i", [x]), ("ij,k->i", [x, x[0]]), ("ii", [x[:, :5]])):
        expected = np.asarray(np.einsum(subscripts, *arrays))
        np.testing.assert_array_equal(ta.einsum(subscripts, *arrays).numpy(), expected, strict=True)


def test_einsum_gradients(rng: np.random.Generator) -> None:
    """First and second gradients of a chain with a diagonal and a broadcast are PyTorch's."""
    torch: Any = pytest.importorskip("torch")
    arrays = [rng.normal(size=s) for s in ((3, 3, 2), (2, 4), (1, 4))]
    subscripts = "iij,jk,lk->li"
    mine = [ta.tensor(a, requires_grad=True) for a in arrays]
    others = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = ta.einsum(subscripts, *mine)
    (value * value).sum().backward(create_graph=True)
    grads = [x.grad for x in mine]
    slopes = torch.autograd.grad(
        (torch.einsum(subscripts, *others) ** 2).sum(), others, create_graph=True
    )
    second = torch.autograd.grad(sum((s**2).sum() for s in slopes), others)
    total = ta.tensor(0.0, dtype="float64")
    for g, slope in zip(grads, slopes, strict=True):
        assert g is not None
        np.testing.assert_allclose(g.numpy(), slope.detach().numpy(), rtol=1e-12)
        total = total + (g * g).sum()
    for x in mine:
        x.grad = None
    total.backward()
    for x, wanted in zip(mine, second, strict=True):
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), wanted.numpy(), rtol=1e-10)


# The others


def test_products_against_numpy(rng: np.random.Generator) -> None:
    """dot, inner, outer, kron, tensordot, vecdot and trace are NumPy's, for every kind of shape."""
    x, y, v = whole(rng, 2, 3, 4), whole(rng, 5, 4, 6), whole(rng, 4)
    square = whole(rng, 3, 4, 4)
    cases: list[tuple[Any, Any]] = [
        (ta.dot(x, y), np.dot(x, y)), (ta.dot(x, v), np.dot(x, v)), (ta.dot(v, v), np.dot(v, v)),
        (ta.dot(v, ta.tensor(2.0)), v * 2), (ta.dot(x[0], y[0]), x[0] @ y[0]),
        (ta.inner(x, v), np.inner(x, v)), (ta.inner(x, square), np.inner(x, square)),
        (ta.inner(ta.tensor(3.0), v), v * 3), (ta.outer(v, x[0, 0]), np.outer(v, x[0, 0])),
        (ta.kron(x, y[0]), np.kron(x, y[0])), (ta.kron(v, x), np.kron(v, x)),
        (ta.tensordot(x, y, axes=(2, 1)), np.tensordot(x, y, axes=(2, 1))),
        (ta.tensordot(x, y, axes=([-1], [1])), np.tensordot(x, y, axes=([-1], [1]))),
        (ta.tensordot(x, x, axes=([0, 2], [0, 2])), np.tensordot(x, x, axes=([0, 2], [0, 2]))),
        (ta.tensordot(x, x[0]), np.tensordot(x, x[0])),
        (ta.tensordot(x, y, axes=0), np.tensordot(x, y, axes=0)),
        (ta.vecdot(x, v), (x * v).sum(-1)),
        (ta.vecdot(x, x[:1], axis=1), (x * x[:1]).sum(1)),
        (ta.vecdot(x, x[0, :, :1], axis=-2), (x * x[0, :, :1]).sum(-2)),
        (ta.trace(square), np.trace(square, axis1=1, axis2=2)),
        (ta.trace(x[0], offset=2), np.trace(x[0], offset=2)),
        (ta.trace(x, offset=-1), np.trace(x, offset=-1, axis1=1, axis2=2)),
        (ta.trace(x[0], offset=9), np.float32(0)),
        (ta.trace(ta.full((2, 2), 100, dtype="int8")), np.int32(200)),
    ]  # fmt: skip
    for got, expected in cases:
        np.testing.assert_array_equal(got.numpy(), np.asarray(expected), strict=True)


def f(*shape: int) -> Any:
    return ta.ones(shape)


WRONG: dict[str, tuple[Callable[[], object], type[TinyaccelError], str]] = {
    "no string": (
        lambda: ta.einsum(f(2), f(2)),
        ArgumentError,
        "einsum: subscripts are Tensor; expected a string, 'ij,jk->ik'",
    ),
    "a digit": (
        lambda: ta.einsum("i1", f(2, 3)),
        ArgumentError,
        "einsum: '1' in 'i1'; expected letters, at most one '...' for each operand, ',' between "
        "them, and '->' before the result",
    ),
    "dots twice": (
        lambda: ta.einsum("...i...", f(2, 3)),
        ArgumentError,
        "einsum: '.' in '...i...'; expected letters, at most one '...' for each operand, ',' "
        "between them, and '->' before the result",
    ),
    "an unknown letter": (
        lambda: ta.einsum("i->j", f(2)),
        ArgumentError,
        "einsum: 'j' of the result of 'i->j' is in no operand; expected each of its letters once, "
        "out of the operands'",
    ),
    "a letter put out twice": (
        lambda: ta.einsum("ij->ii", f(2, 2)),
        ArgumentError,
        "einsum: 'i' of the result of 'ij->ii' stands there twice; expected each of its letters "
        "once, out of the operands'",
    ),
    "too few operands": (
        lambda: ta.einsum("i,j", f(2)),
        ArgumentError,
        "einsum: 'i,j->ij' is for 2 operands, but got 1; separate the operands' letters by ','",
    ),
    "too few axes": (
        lambda: ta.einsum("ij", f(2)),
        ShapeError,
        "einsum: 'ij' for an operand of (2,); expected a letter for each of its 1 axes, or '...' "
        "for those without",
    ),
    "too many axes": (
        lambda: ta.einsum("i", f(2, 3)),
        ShapeError,
        "einsum: 'i' for an operand of (2, 3); expected a letter for each of its 2 axes, or '...' "
        "for those without",
    ),
    "sizes": (
        lambda: ta.einsum("ij,jk", f(2, 3), f(4, 5)),
        ShapeError,
        "einsum: 'j' has sizes 3 and 4 in 'ij,jk->ik'; expected equal ones, or 1 in another "
        "operand",
    ),
    "a diagonal with 1": (
        lambda: ta.einsum("ii", f(1, 3)),
        ShapeError,
        "einsum: 'i' has sizes 1 and 3 in 'ii->'; expected equal ones, or 1 in another operand",
    ),
    "dots that don't broadcast": (
        lambda: ta.einsum("...i,...i", f(2, 3), f(4, 3)),
        ShapeError,
        "einsum: an axis under '...' has sizes 2 and 4 in '...i,...i->...'; expected equal ones, "
        "or 1 in another operand",
    ),
    "dots left out": (
        lambda: ta.einsum("...i->i", f(2, 3)),
        ShapeError,
        "einsum: the result of '...i->i' lacks the 1 axes under '...'; expected '...' in it, too",
    ),
    "tensordot of too many": (
        lambda: ta.tensordot(f(2), f(2, 3)),
        AxisError,
        "tensordot: axes=2 for (2,) and (2, 3); expected at least 0, and at most as many as either "
        "has",
    ),
    "tensordot of three": (
        lambda: ta.tensordot(f(2), f(2), axes=(0, 0, 0)),
        ArgumentError,
        "tensordot: axes=(0, 0, 0); expected how many, or the axes of a and those of b",
    ),
    "tensordot of unequal sizes": (
        lambda: ta.tensordot(f(2, 3), f(2, 3), axes=(0, 1)),
        ShapeError,
        "tensordot: axes (0,) of (2, 3) and (1,) of (2, 3); expected as many of each, with equal "
        "sizes in this order",
    ),
    "tensordot of an axis twice": (
        lambda: ta.tensordot(f(2, 2), f(2, 2), axes=([0, 0], [0, 1])),
        AxisError,
        "tensordot: axes [0, 0] of (2, 2); name each axis once",
    ),
    "outer of matrices": (
        lambda: ta.outer(f(2, 3), f(2)),
        ShapeError,
        "outer: (2, 3) and (2,); expected two vectors, flatten them",
    ),
    "vecdot of unequal sizes": (
        lambda: ta.vecdot(f(2, 3), f(2, 1)),
        ShapeError,
        "vecdot: (2, 3) and (2, 1) along axis -1; expected equal sizes there",
    ),
    "vecdot from the front": (
        lambda: ta.vecdot(f(2, 3), f(2), axis=0),
        AxisError,
        "vecdot: axis 0 of (2, 3) and (2,); they have different numbers of axes, so count from "
        "the end: -1 is the last",
    ),
    "trace of a vector": (
        lambda: ta.trace(f(3)),
        ShapeError,
        "trace: float32[3]; expected (..., n, m), a matrix or a stack of them",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input(case: str) -> None:
    """One line says what arrived and what was expected."""
    call, kind, text = WRONG[case]
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
