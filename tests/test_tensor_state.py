"""Tests of a tensor's state: assign, leaves, backward and .grad."""

from __future__ import annotations

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import (
    GradientError,
    ShapeError,
)

# State


def test_assign(device: str) -> None:
    """The tensor takes new values and stays itself; what was computed from it keeps its own."""
    x = ta.tensor([1.0, 2.0])
    double, old = x * 2, x.detach()
    assert x.assign(ta.tensor([5.0, 6.0])) is x
    assert x.tolist() == [5, 6]
    assert x.assign([7, 8]).tolist() == [7, 8]  # type: ignore[arg-type]  # lists are read, too
    assert x.assign(np.array([9.0, 10.0])).dtype is ta.float32
    assert double.tolist() == [2, 4]
    assert old.tolist() == [1, 2]


def test_assign_takes_the_values_of_now() -> None:
    """Assigning one tensor to another doesn't tie them together."""
    x, y = ta.tensor([1.0]), ta.tensor([2.0])
    x.assign(y)
    y.assign([3.0])  # type: ignore[arg-type]
    assert x.item() == 2


def test_assign_keeps_the_tape() -> None:
    """A gradient is taken at the values that an op saw, whatever was assigned since."""
    p = ta.tensor(3.0, requires_grad=True)
    y = p * p
    p.assign(100.0)
    y.backward()
    assert p.grad is not None
    assert p.grad.item() == 6
    assert p.requires_grad


def test_assign_refuses() -> None:
    """Another shape or dtype, another device, a computed target: each has its line."""
    x = ta.tensor([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"assign: float32\[3\] to float32\[2\]; shape and dtype"):
        x.assign(ta.zeros(3))
    with pytest.raises(ShapeError, match=r"assign: int32\[2\] to float32\[2\]"):
        x.assign(ta.tensor([1, 2]))
    p = ta.tensor([1.0], requires_grad=True)
    with pytest.raises(GradientError, match="assign: the tensor was computed and is on the tape"):
        (p * 2).assign(p)
    assert x.tolist() == [1, 2]


# Leaves and .grad


def test_leaf_rules() -> None:
    """Leaves are made by the user; only theirs is requires_grad to set."""
    x = ta.tensor(1.0)
    p = ta.tensor(1.0, requires_grad=True)
    y = p * 2
    assert x.is_leaf and p.is_leaf and not y.is_leaf
    assert (x * 2).is_leaf  # nothing was recorded
    x.requires_grad = True
    assert (x * 2).requires_grad
    p.requires_grad = False
    assert not (p * 2).requires_grad
    with pytest.raises(GradientError, match="only a leaf's can be set; use detach"):
        y.requires_grad = False
    with pytest.raises(GradientError, match="has no gradient"):
        ta.tensor(1).requires_grad = True


def test_setting_requires_grad_again_keeps_the_tape() -> None:
    """Setting it to what it is changes nothing: an earlier result still reaches the leaf."""
    p = ta.tensor(2.0, requires_grad=True)
    y = p * p
    p.requires_grad = True
    y.backward()
    assert p.grad is not None
    assert p.grad.item() == 4


def test_backward_accumulates(device: str) -> None:
    """.grad grows with each backward until it is set to None; only leaves have one."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    y = p * p
    y.sum().backward()
    y.sum().backward()
    assert p.grad is not None
    assert p.grad.tolist() == [4, 8]
    assert not p.grad.requires_grad
    assert y.grad is None
    p.grad = None
    (p * 3).sum().backward()
    assert p.grad is not None
    assert p.grad.tolist() == [3, 3]


def test_backward_makes_a_new_gradient() -> None:
    """A gradient that somebody kept isn't changed by the next backward."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    (p * p).sum().backward()
    kept = p.grad
    (p * p).sum().backward()
    assert kept is not None
    assert kept.tolist() == [2, 4]


def test_backward_of_a_used_twice_leaf_and_of_a_leaf_itself() -> None:
    """All uses add up; the gradient of a leaf with respect to itself is one."""
    p = ta.tensor(3.0, requires_grad=True)
    (p * p + p).backward()
    assert p.grad is not None
    assert p.grad.item() == 7
    q = ta.tensor(3.0, requires_grad=True)
    q.backward()
    assert q.grad is not None
    assert q.grad.item() == 1


def test_backward_from_a_gradient() -> None:
    """A tensor of several elements starts from gradient=, of its own shape and dtype."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    (p * p).backward(ta.tensor([1.0, 10.0]))
    assert p.grad is not None
    assert p.grad.tolist() == [2, 40]
    with pytest.raises(GradientError, match=r"backward: float32\[2\] is no scalar; reduce it, or"):
        (p * p).backward()
    with pytest.raises(GradientError, match=r"backward: gradient float32\[\] for float32\[2\]"):
        (p * p).backward(ta.tensor(1.0))
    with pytest.raises(GradientError, match="nothing here requires a gradient; set requires_grad"):
        ta.tensor(1.0).backward()


def test_backward_create_graph() -> None:
    """With create_graph the gradient is itself on the tape."""
    p = ta.tensor(2.0, requires_grad=True)
    (p**3).backward(create_graph=True)
    first = p.grad
    assert first is not None and first.requires_grad
    p.grad = None
    first.backward()
    assert p.grad is not None
    assert p.grad.item() == 12


def test_backward_in_other_dtypes() -> None:
    """A gradient has its leaf's dtype, though the sum went through another one."""
    p = ta.tensor([1.0, 2.0], dtype="float16", requires_grad=True)
    q = ta.tensor([3.0, 4.0], requires_grad=True)
    (p * q).sum().backward()
    assert p.grad is not None and q.grad is not None
    assert (p.grad.dtype, q.grad.dtype) == (ta.float16, ta.float32)
    assert p.grad.tolist() == [3, 4]


def test_backward_sums_over_broadcasts() -> None:
    """What was broadcast gets the sum over its copies, in its own shape."""
    a = ta.tensor([[1.0], [2.0]], requires_grad=True)
    b = ta.tensor([1.0, 2.0, 3.0], requires_grad=True)
    c = ta.tensor(2.0, requires_grad=True)
    (a * b * c).sum().backward()
    assert a.grad is not None and b.grad is not None and c.grad is not None
    assert a.grad.tolist() == [[12], [12]]
    assert b.grad.tolist() == [6, 6, 6]
    assert c.grad.item() == 18


def test_backward_outlives_leaves() -> None:
    """A leaf that is gone receives nothing, and doesn't get in the way."""
    p, q = (ta.tensor(2.0, requires_grad=True) for _ in range(2))
    y = p * q
    del q
    y.backward()
    assert p.grad is not None
    assert p.grad.item() == 2


def test_grad_can_be_set() -> None:
    """.grad takes a tensor of the same shape, dtype and device, or None."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    g = ta.tensor([5.0, 6.0])
    p.grad = g
    assert p.grad is g
    p.sum().backward()
    assert p.grad.tolist() == [6, 7]
    p.grad = None
    assert p.grad is None
    with pytest.raises(GradientError, match=r"grad: float32\[\] set on a tensor of float32\[2\]"):
        p.grad = ta.tensor(1.0)


def test_detach() -> None:
    """The same values without the tape, and a leaf of its own."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    d = (p * 2).detach()
    assert not d.requires_grad
    assert d.is_leaf
    assert d.tolist() == [2, 4]
    (p * p.detach()).sum().backward()
    assert p.grad is not None
    assert p.grad.tolist() == [1, 2]
