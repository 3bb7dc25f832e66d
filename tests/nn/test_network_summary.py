"""summary: shapes, parameters and operations, against formulas; and that nothing changes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, ShapeError, TraceError
from tinyaccel.nn import flops


def test_lenet_by_hand() -> None:
    """Every layer's shape, parameters and operations, from the formulas of a textbook."""
    table = nn.summary(nn.make_model("lenet"), (1, 28, 28), batch_size=3)
    conv1, conv2 = 6 * 28 * 28, 16 * 10 * 10  # results a sample
    expected = [
        ("", "Sequential", (3, 10), 0, 0),
        ("0", "Conv2d", (3, 6, 28, 28), 6 * 26, (2 * 25 + 1) * conv1),
        ("1", "ReLU", (3, 6, 28, 28), 0, conv1),
        ("2", "MaxPool2d", (3, 6, 14, 14), 0, 4 * conv1 // 4),
        ("3", "Conv2d", (3, 16, 10, 10), 16 * 151, (2 * 150 + 1) * conv2),
        ("4", "ReLU", (3, 16, 10, 10), 0, conv2),
        ("5", "MaxPool2d", (3, 16, 5, 5), 0, 4 * conv2 // 4),
        ("6", "Flatten", (3, 400), 0, 0),
        ("7", "Linear", (3, 120), 401 * 120, (2 * 400 + 1) * 120),
        ("8", "ReLU", (3, 120), 0, 120),
        ("9", "Linear", (3, 84), 121 * 84, (2 * 120 + 1) * 84),
        ("10", "ReLU", (3, 84), 0, 84),
        ("11", "Linear", (3, 10), 85 * 10, (2 * 84 + 1) * 10),
    ]
    got = [(r.path, r.kind, r.outputs, r.parameters, r.flops) for r in table.rows]
    assert got == [(p, k, (s,), n, 3 * f) for p, k, s, n, f in expected]
    assert table.parameters == table.trainable == 61_706 and table.frozen == 0
    assert table.flops == 3 * sum(f for *_, f in expected)
    assert all(row.calls == 1 for row in table.rows)
    assert table.parameter_bytes == 4 * 61_706


def test_resnet20_is_the_papers() -> None:
    """0.27 M parameters, and the 41 M multiplications in convolutions and the last layer."""
    table = nn.summary(nn.make_model("resnet20"), (3, 32, 32))
    products = 9 * 3 * 16 * 32**2 + 6 * 9 * 16 * 16 * 32**2  # the first, and stage 1
    products += 9 * 16 * 32 * 16**2 + 5 * 9 * 32 * 32 * 16**2
    products += 9 * 32 * 64 * 8**2 + 5 * 9 * 64 * 64 * 8**2
    counted = sum(r.flops for r in table.rows if r.kind == "Conv2d")
    assert counted == 2 * products
    assert round(products / 1e6) == 41 and round(table.parameters / 1e6, 2) == 0.27
    norms = sum(3 * (n + c) for n, c in 7 * [(16 * 32**2, 16)] + 6 * [(32 * 16**2, 32)]
                + 6 * [(64 * 8**2, 64)])  # fmt: skip
    assert sum(r.flops for r in table.rows if r.kind == "BatchNorm2d") == norms
    relus = 7 * 16 * 32**2 + 6 * 32 * 16**2 + 6 * 64 * 8**2
    sums = 3 * 16 * 32**2 + 3 * 32 * 16**2 + 3 * 64 * 8**2
    rest = relus + sums + 64 * (8**2 + 1)  # the mean adds up, and divides
    assert table.flops == counted + norms + rest + (2 * 64 + 1) * 10


class Fn(nn.Module):
    """A function as a model."""

    def __init__(self, fn: Callable[..., ta.Tensor]) -> None:
        self.fn = fn

    def forward(self, *x: ta.Tensor) -> ta.Tensor:
        return self.fn(*x)


N = 2 * 3 * 5
COUNTED: list[tuple[str, Callable[..., ta.Tensor], list[tuple[int, ...]], int]] = [
    ("matmul", lambda a, b: a @ b, [(4, 2, 3), (3, 5)], 2 * 4 * 2 * 5 * 3),
    ("vectors", lambda a, b: a @ b, [(3,), (3,)], 2 * 3),
    ("linear", ta.linear, [(7, 3), (5, 3), (5,)], 7 * 5 * (2 * 3 + 1)),
    ("einsum", lambda a, b: ta.einsum("ij,kj->ik", a, b), [(2, 3), (5, 3)], 2 * 2 * 5 * 3),
    ("conv2d", lambda x, w: ta.conv2d(x, w, stride=2, groups=2), [(1, 4, 7, 9), (6, 2, 3, 3)],
     2 * 6 * 3 * 4 * 2 * 9),
    ("conv1d", ta.conv1d, [(2, 4, 9), (6, 4, 3)], 2 * 2 * 6 * 7 * 4 * 3),
    ("conv_transpose2d", lambda x, w: ta.conv_transpose2d(x, w, stride=2),
     [(1, 4, 3, 3), (4, 6, 2, 2)], 2 * 4 * 3 * 3 * 6 * 4),
    ("max_pool", lambda x: ta.max_pool2d(x, kernel=(3, 2), stride=1), [(1, 2, 5, 5)],
     2 * 3 * 4 * 6),
    ("avg_pool1d", lambda x: ta.avg_pool1d(x, kernel=3, stride=3), [(1, 2, 9)], 2 * 3 * 3),
    ("adaptive", lambda x: ta.adaptive_avg_pool2d(x, size=(2, 2)), [(1, 2, 4, 4)], 2 * 16),
    ("adaptive_max", lambda x: ta.adaptive_max_pool2d(x, size=(2, 2)), [(1, 2, 4, 4)], 2 * 16),
    ("sum", lambda x: x.sum(1), [(2, 3, 5)], N),
    ("mean", lambda x: x.mean(), [(2, 3, 5)], N + 1),
    ("tanh", ta.tanh, [(2, 3, 5)], N),
    ("sigmoid", ta.sigmoid, [(2, 3, 5)], N),
    ("gelu", ta.gelu, [(2, 3, 5)], N),
    ("broadcast", lambda x, y: x + y, [(2, 3, 5), (5,)], N),
    ("softmax", lambda x: ta.softmax(x, axis=-1), [(6, 5)], 5 * 30),  # max, -, exp, sum, /
    ("attention", ta.scaled_dot_product_attention, [(2, 3, 4), (2, 5, 4), (2, 5, 7)],
     2 * 3 * 4 + 2 * (2 * 3 * 5 * 4) + 5 * N + 2 * (2 * 3 * 7 * 5)),
    ("movement", lambda x: x.T.reshape(-1)[3:].astype("int32"), [(3, 5)], 0),
    ("indexing", lambda x: ta.sort(x)[[2, 0]], [(3,)], 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fn", "inputs", "expected"), COUNTED, ids=[c[0] for c in COUNTED])
def test_what_an_op_counts(
    name: str, fn: Callable[..., ta.Tensor], inputs: list[tuple[int, ...]], expected: int
) -> None:
    """One op at a time, by hand; a model of several inputs takes several shapes."""
    table = nn.summary(Fn(fn), inputs, None)
    assert table.flops == expected
    assert table.uncounted == {}
    assert [spec.shape for spec in table.inputs] == inputs


def test_counts_of_their_own_are_of_ops() -> None:
    """No entry of the table of counts is left behind when an op is renamed."""
    assert set(flops.COUNTS) <= ta.OPS.keys()


def test_all_gradients_of_a_convolution_cost_the_same() -> None:
    """The three members of the family multiply each weight by each pixel once."""

    def both(x: ta.Tensor, w: ta.Tensor) -> ta.Tensor:
        x, w = x.detach(), w.detach()
        g = ta.conv2d(x, w, padding=1)
        at = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
        ta.Tensor._apply("conv2d_input_grad", g, w, size=(5, 6), **pairs(at))
        return ta.Tensor._apply("conv2d_weight_grad", g, x, kernel=(3, 3), **pairs(at))

    def pairs(at: dict[str, int]) -> dict[str, Any]:
        twice = ((1, 1), (1, 1))
        return at | {"stride": (1, 1), "padding": twice, "dilation": (1, 1)}

    assert nn.summary(Fn(both), [(2, 3, 5, 6), (4, 3, 3, 3)], None).flops == 3 * 2 * (
        2 * 4 * 5 * 6 * 3 * 9
    )


class Shared(nn.Module):
    """One layer called twice, one never; a tensor that two layers share; a layer in a layer."""

    def __init__(self) -> None:
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        self.again = self.inner[0]
        self.idle = nn.Linear(4, 3)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.again.weight

    def forward(self, x: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        y = self.again(self.inner(x))
        return self.tied(y) * 2, y[:2]


def test_shared_idle_and_frozen() -> None:
    """What is shared counts once as a parameter, and as often as it is called as operations."""
    model = Shared()
    model.idle.bias.requires_grad = False
    table = nn.summary(model, (4,), batch_size=5)
    rows = {row.path: row for row in table.rows}
    assert list(rows) == ["", "inner", "inner.0", "inner.1", "idle", "tied"]
    linear = 5 * 4 * (2 * 4 + 1)
    assert (rows["inner.0"].calls, rows["inner.0"].flops) == (2, 2 * linear)
    assert (rows["idle"].calls, rows["idle"].outputs, rows["idle"].frozen) == (0, (), 3)
    assert (rows["tied"].parameters, rows["tied"].flops) == (0, linear - 20)
    assert rows[""].outputs == ((5, 4), (2, 4)) and rows[""].flops == 20
    assert (rows["inner.1"].outputs, rows["inner.1"].flops) == (((5, 4),), 0)
    assert (table.parameters, table.trainable, table.frozen) == (35, 32, 3)
    text = str(table)
    assert re.search(r"inner\.0 \(Linear\) +\(5, 4\)  2x +20 +360\n", text) and "not called" in text
    assert "32 parameters are trained, 3 are frozen" in text


def test_recurrent_and_embedding() -> None:
    """Integers go in where layers want them; each step of an LSTM is counted."""
    model = nn.Sequential({"words": nn.Embedding(50, 6), "reads": nn.LSTM(6, 8, batch_first=True)})
    table = nn.summary(model, (7,), batch_size=2, dtype="int32")
    rows = {row.path: row for row in table.rows}
    assert rows["words"].outputs == ((2, 7, 6),)
    assert rows["reads"].outputs == ((2, 7, 8), (1, 2, 8), (1, 2, 8))
    products = 2 * 2 * 7 * 4 * 8 * (6 + 8)
    assert products < rows["reads"].flops < products + 2 * 7 * 8 * 40  # gates: a few a unit
    assert rows["reads"].parameters == 4 * 8 * (6 + 8 + 2)
    assert str(table.inputs[0]) == "int32[2, 7]"


def test_nothing_changes() -> None:
    """Modes, buffers, random state and gradients stay; a jitted model isn't traced again."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten())
    model[1].eval()
    run = ta.jit(model)
    x = ta.ones((2, 1, 5, 5))
    run(x)
    before, random = model.state_dict(), ta.random.default_generator("cpu").state.tolist()
    nn.summary(model, (1, 5, 5))
    assert [m.training for m in model] == [True, False, True, True]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert ta.random.default_generator("cpu").state.tolist() == random
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all("forward" not in vars(m) for m in model.modules())
    run(x)
    assert run.traces == 1


def test_an_exception_leaves_the_model_as_it_was() -> None:
    """Where the input doesn't fit, the layer says so, and modes and methods are put back."""
    model = nn.Sequential(nn.Linear(4, 2))
    own = Fn(ta.relu)
    vars(own)["forward"] = method = lambda x: model(x)
    with pytest.raises(ShapeError, match=r"linear: input \(1, 3\) has 3 features"):
        nn.summary(nn.Sequential(own, model), (3,))
    assert vars(own)["forward"] is method and "forward" not in vars(model)
    assert model.training and model[0].training


def test_dtypes_and_memory() -> None:
    """Inputs follow the parameters' dtype; bytes are those of parameters and of results."""
    model = nn.Sequential(nn.Linear(4, 8, dtype="float64"), nn.ReLU(), nn.BatchNorm1d(8).eval())
    table = nn.summary(model[:2], (4,), batch_size=10)
    assert str(table.inputs[0]) == "float64[10, 4]"
    assert table.parameter_bytes == 8 * (32 + 8)
    assert table.activation_bytes == 8 * (2 * 80)  # the linear layer's result, and relu's
    assert table.peak_bytes == 8 * 160
    assert nn.summary(model[2], (8,)).parameter_bytes == 4 * 4 * 8 + 8  # a count in int64
    assert "at one time 1.2 KiB" in str(table)
    sizes = {0: "0 bytes", 1023: "1023 bytes", 3 * 2**20: "3.0 MiB", 5 * 2**30: "5.0 GiB"}
    assert {n: nn.Summary([], (), n, 0, 0, {}).__str__().split("buffers ")[1].split(",")[0]
            for n in sizes} == sizes  # fmt: skip


def test_ops_of_ones_own_are_named() -> None:
    """An op without a body can't be counted, and the table says so."""
    name = "summarised_cube"
    cube = ta.custom_op(name, infer=lambda x: x, kernels={"cpu": lambda x: x**3})
    try:
        table = nn.summary(Fn(lambda x: cube(cube(x)) + 1), (3,))
    finally:
        del ta.OPS[name]
    assert table.uncounted == {name: 2} and table.flops == 3
    assert str(table).endswith(f"not counted: {name} (2x)")


def test_what_cannot_be_summarised() -> None:
    """Wrong shapes and dtypes, a trace under way, and a model that wants values."""
    model = nn.Linear(4, 2)
    with pytest.raises(ArgumentError, match="summary: 2 dtypes for 1 inputs; expected one each"):
        nn.summary(model, (4,), dtype=["int32", "float32"])
    with pytest.raises(ShapeError, match="summary: "):
        nn.summary(model, (-4,))
    with pytest.raises(TraceError, match=r"summary can't be traced .* outside the jitted function"):
        ta.jit(lambda x: (nn.summary(model, (4,)), x)[1])(ta.zeros(1))
    with pytest.raises(TraceError, match="summary"):
        nn.summary(Fn(lambda x: x * x.sum().item()), (4,))
    assert math.prod(nn.summary(model, (3, 4)).rows[0].outputs[0]) == 6
