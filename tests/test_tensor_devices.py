"""Tests of tensors on two devices: what mixes, what moves."""

from __future__ import annotations

import pytest

import tinyaccel as ta
from tinyaccel.errors import (
    ArgumentError,
    DeviceError,
    GradientError,
    TinyaccelError,
)
from tinyaccel.tensor import apply, relocate

# Two devices


def both() -> tuple[str, str]:
    try:
        ta.get_device("xla:cpu")
    except TinyaccelError as error:
        pytest.skip(str(error))
    return "cpu", "xla:cpu"


def test_mixed_devices() -> None:
    """An op, an assign and a .grad across devices raise, and name both."""
    here, there = both()
    x, y = ta.tensor([1.0], device=here), ta.tensor([2.0], device=there)
    with pytest.raises(DeviceError, match=r"add: tensors on cpu and xla:cpu; move one with \.to\("):
        x + y
    with pytest.raises(DeviceError, match="matmul: tensors on xla:cpu and cpu"):
        y @ x
    with pytest.raises(DeviceError, match=r"assign: xla:cpu to cpu; move it with \.to\(device\)"):
        x.assign(y)
    with pytest.raises(DeviceError, match="grad: xla:cpu on a tensor of cpu"):
        x.grad = y


def test_to() -> None:
    """A tensor moves with its values and its gradient comes back; to where it is, it is itself."""
    here, there = both()
    p = ta.tensor([1.0, 2.0], device=here, requires_grad=True)
    assert p.to(here) is p
    q = p.to(there)
    assert (q.device.name, q.tolist(), q.requires_grad) == (there, [1, 2], True)
    assert not q.is_leaf
    (q * q).sum().backward()
    assert p.grad is not None
    assert (p.grad.device.name, p.grad.tolist()) == (here, [2, 4])
    assert repr(q.detach()) == "tensor([1., 2.], device='xla:cpu')"


def test_second_derivative_across_devices() -> None:
    """The move is differentiable as often as one likes."""
    here, there = both()
    x = ta.tensor(2.0, device=here)
    cube = ta.grad(ta.grad(lambda x: (x.to(there) ** 3).to(here)))
    got = cube(x)
    assert isinstance(got, ta.Tensor)
    assert (got.item(), got.device.name) == (12, here)


def test_relocate() -> None:
    """A leaf moves where it stands, its gradient too; a computed tensor doesn't."""
    here, there = both()
    p = ta.tensor([1.0, 2.0], device=here, requires_grad=True)
    (p * p).sum().backward()
    relocate(p, ta.get_device(there))
    assert p.grad is not None
    assert p.device.name == p.grad.device.name == there
    assert (p.tolist(), p.grad.tolist(), p.requires_grad) == ([1, 2], [2, 4], True)
    with pytest.raises(GradientError, match=r"relocate: the tensor was computed; use \.to"):
        relocate(p * 2, ta.get_device(here))


def test_op_without_inputs_goes_where_it_is_sent() -> None:
    """device= places the result of an op that has no inputs."""
    _, there = both()
    x = apply("arange", start=0, stop=3, step=1, dtype=ta.int32, device=ta.get_device(there))
    assert (x.device.name, x.tolist()) == (there, [0, 1, 2])
    with pytest.raises(ArgumentError, match="arange: step 0"):
        apply("arange", start=0, stop=3, step=0, dtype=ta.int32)
