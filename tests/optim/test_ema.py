"""EMA: averages of weights, against PyTorch's; how they are applied, saved and moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.errors import ArgumentError, DeviceError, DTypeError, TraceError


def leaf(values: object = (1.0, 2.0), **options: Any) -> ta.Tensor:
    """A parameter."""
    return ta.tensor(values, requires_grad=True, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999, 1.0])
def test_averages_as_pytorch(decay: float, rng: np.random.Generator) -> None:
    """After each of six updates the averages are PyTorch's, eager and jitted."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )
    runs = []
    for jitted in (False, True):
        ours = [leaf(p.detach().numpy().copy()) for p in model.parameters()]
        ema = optim.EMA(ours, decay)
        runs.append((ours, ema, ta.jit(ema.update) if jitted else ema.update))
    for _ in range(6):
        for i, p in enumerate(model.parameters()):
            values = rng.standard_normal(tuple(p.shape))
            p.data = torch.tensor(values)
            for ours, _, _ in runs:
                ours[i].assign(values)
        averaged.update_parameters(model)
        for _, ema, update in runs:
            update()
            for mine, theirs in zip(ema.averages, averaged.module.parameters(), strict=True):
                np.testing.assert_allclose(mine.numpy(), theirs.detach().numpy(), rtol=1e-13)
    assert runs[1][2].traces == 1  # type: ignore[attr-defined]


def test_applied() -> None:
    """Inside, the parameters hold the averages; after it their own values, exception or not."""
    net = ta.nn.Linear(2, 1)
    ema = optim.EMA(net.named_parameters(), decay=0.5)
    x, own = ta.tensor([[1.0, 2.0]]), net.state_dict()
    predict = ta.jit(net)
    ema.update()
    for p in net.parameters():
        p.assign(p + 1)
    ema.update()
    plain = predict(x).item()
    with pytest.raises(KeyError), ema.applied():  # noqa: PT012  # the block is what is tested
        assert predict(x).item() == pytest.approx(plain - 2)  # each of 3 numbers is 0.5 lower
        raise KeyError
    assert predict(x).item() == plain and predict.traces == 1
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(p.numpy(), own[name] + 1)
        assert p.requires_grad and p.is_leaf
    assert [t.label for t in ema.averages] == ["weight.average", "bias.average"]


def test_low_precision_is_averaged_in_float32() -> None:
    """Steps that float16 can't hold add up."""
    p = leaf([1.0], dtype="float16")
    ema = optim.EMA([p], decay=0.999)
    ema.update()
    p.assign(ta.tensor([1.125], dtype="float16"))
    for _ in range(100):
        ema.update()
    expected = 1.125 - 0.125 * 0.999**100
    assert ema.averages[0].item() == pytest.approx(expected, rel=1e-5)
    with ema.applied():
        assert p.dtype is ta.float16 and p.item() == np.float16(expected)


@pytest.mark.parametrize("good", [False, True])
def test_an_update_that_is_left_out(good: bool) -> None:
    """update(when) changes all or nothing, jitted as eager."""
    for jitted in (False, True):
        p = leaf()
        ema = optim.EMA([p], decay=0.5)
        ema.update()
        p.assign(p * 3)
        update = ta.jit(ema.update) if jitted else ema.update
        update(ta.tensor(good))
        assert ema.averages[0].tolist() == ([2, 4] if good else [1, 2])
        assert ema.count.item() == (2 if good else 1)


def test_a_resumed_average_is_the_same() -> None:
    """Saved and loaded after three updates, three more give the same bits."""
    rng = np.random.default_rng(8)
    values = [rng.standard_normal(5).astype(np.float32) for _ in range(6)]
    p, q = leaf(values[0]), leaf(values[0])
    ema, other = optim.EMA([p], 0.9), optim.EMA([q], 0.9)
    for i, value in enumerate(values):
        if i == 3:
            other.load_state_dict(ema.state_dict())
        p.assign(value)
        ema.update()
        if i >= 3:
            q.assign(value)
            other.update()
    assert ema.state_dict().keys() == {"count", "average.0"}
    for name, array in ema.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    """What is missing, unexpected or of another shape is named."""
    ema = optim.EMA([leaf()])
    text = r"this EMA: missing: average\.0; unexpected: other; wrong shape: count \(1,\) for \(\);"
    with pytest.raises(ArgumentError, match=text):
        ema.load_state_dict({"count": np.ones(1), "other": np.ones(2)})
    assert ema.count.item() == 0


def test_moving(device: str) -> None:
    """The averages follow the parameters with to(device); until then it is said what is missing."""
    net = ta.nn.Module()
    net.p = leaf([1.0], device="cpu")
    ema = optim.EMA(net.parameters(), decay=0.5)
    ema.update()
    with ema.applied():
        net.to(device)
    assert net.p.tolist() == [1]
    if device != "cpu":
        with pytest.raises(DeviceError, match=rf"p is on {device}, the averages on cpu; use ema"):
            ema.update()
    assert ema.to(device) is ema
    net.p.assign(net.p * 3)
    ema.update()
    assert ema.averages[0].tolist() == [2]


def test_mistakes() -> None:
    """Impossible decays, parameters and places raise one line."""
    for decay in (-0.1, 1.5, "1"):
        with pytest.raises(ArgumentError, match=r"EMA: decay=.*; expected a number from 0 to 1"):
            optim.EMA([leaf()], decay)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match=r"EMA: parameter 0 is int32\[2\]; expected a float"):
        optim.EMA([ta.tensor([1, 2])])
    ema = optim.EMA([leaf()])
    with pytest.raises(ArgumentError, match=r"EMA\.update: when is 1; expected a 0-d bool"):
        ema.update(when=1)  # type: ignore[arg-type]

    def inside() -> None:
        with ema.applied():
            pass

    with pytest.raises(TraceError, match=r"EMA\.applied can't be traced .* around the jitted"):
        ta.jit(inside)()
    assert repr(ema) == "EMA(decay=0.999) of 1 parameters after 0 updates"
