"""Tests of tinyaccel.tape: the walk, on nodes made by hand with numbers for gradients."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import pytest

import tinyaccel as ta
from tinyaccel.tape import GRAD_MODE, Node, reachable, walk


def add(a: float, b: float) -> float:
    return a + b


def weighted(node: Node, g: float, needs: Sequence[bool]) -> list[float | None]:
    """A pullback: the gradient times the node's `weights`, where it is needed."""
    return [g * w if need else None for w, need in zip(node.attrs["weights"], needs, strict=True)]


def step(*parents: Node | None, weights: Sequence[float] | None = None) -> Node:
    return Node(parents=parents, attrs={"weights": weights or [1.0] * len(parents)})


def test_reachable_is_topological() -> None:
    """The latest first: no node comes before one that was made from it."""
    a = Node()
    b = step(a)
    c = step(b, a)
    d = step(c, None, b)
    Node()
    assert reachable(d) == [d, c, b, a]


def test_walk_adds_over_paths() -> None:
    """A diamond: the gradients of both ways arrive, added; each node is pulled through once."""
    pulled = []

    def pullback(node: Node, g: float, needs: Sequence[bool]) -> list[float | None]:
        pulled.append(node)
        return weighted(node, g, needs)

    x = Node()
    left, right = step(x, weights=[2.0]), step(x, weights=[3.0])
    top = step(left, right, weights=[5.0, 7.0])
    assert walk(top, 1.0, pullback, add) == {x: 5 * 2 + 7 * 3}
    assert pulled == [top, right, left]


def test_walk_of_a_leaf() -> None:
    """The root itself may be the leaf, or the target."""
    x = Node()
    assert walk(x, 4.0, weighted, add) == {x: 4.0}
    assert walk(x, 4.0, weighted, add, [x]) == {x: 4.0}


def test_walk_stops_at_targets() -> None:
    """With a target, what lies behind it or beside it is never pulled through."""

    def only_top(node: Node, g: float, needs: Sequence[bool]) -> list[float | None]:
        assert node is top
        assert list(needs) == [True, False]
        return weighted(node, g, needs)

    x = Node()
    middle, beside = step(x), step(x)
    top = step(middle, beside, weights=[2.0, 3.0])
    assert walk(top, 1.0, only_top, add, [middle]) == {middle: 2.0}


def test_walk_reaches_a_target_behind_a_target() -> None:
    """Of two targets on one path, only the nearer one is found: it is where the walk stops."""
    x = Node()
    middle = step(x)
    top = step(middle, x)
    assert walk(top, 1.0, weighted, add, [middle, x]) == {middle: 1.0, x: 1.0}


def test_walk_without_gradient() -> None:
    """A pullback that gives None for a parent leaves it out."""
    x, y = Node(), Node()
    top = step(x, y)
    assert walk(top, 1.0, lambda node, g, needs: [None, g], add) == {y: 1.0}
    assert walk(top, 1.0, lambda node, g, needs: [None, g], add, [x]) == {}


def test_walk_ignores_targets_elsewhere() -> None:
    """A target that the root doesn't depend on has no entry."""
    x, other = Node(), Node()
    assert walk(step(x), 1.0, weighted, add, [other]) == {}


def test_walk_is_iterative() -> None:
    """A chain far longer than Python's stack, both ways: walking and deleting it."""
    x = node = Node()
    for _ in range(100_000):
        node = step(node)
    assert walk(node, 1.0, weighted, add) == {x: 1.0}
    last = weakref.ref(node)
    del node
    assert last() is None


def test_pullback_must_answer_for_each_parent() -> None:
    """Too few gradients raise instead of being matched to the wrong parents."""
    with pytest.raises(ValueError, match="shorter"):
        walk(step(Node(), Node()), 1.0, lambda node, g, needs: [g], add)


def test_leaf_is_held_weakly() -> None:
    """A tape doesn't keep a leaf tensor alive that nobody else holds."""
    x = ta.tensor(1.0, requires_grad=True)
    node = x._node
    assert node is not None and node.leaf is not None
    assert node.is_leaf
    assert node.leaf() is x
    gc.disable()
    try:
        del x
        assert node.leaf() is None
    finally:
        gc.enable()


def test_grad_modes() -> None:
    """no_grad records nothing, enable_grad inside of it does, and both end with their block."""
    x = ta.tensor(1.0, requires_grad=True)
    with ta.no_grad():
        assert not (x * 2).requires_grad
        with ta.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    assert GRAD_MODE.get()
