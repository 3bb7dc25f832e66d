"""Tests of testing.compare: planted bugs are named by op, layer, phase, index and step."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.backend import Device, Executable, register_backend
from tinyaccel.errors import ArgumentError, DeviceError, TraceError
from tinyaccel.graph import Graph, Instr
from tinyaccel.nn.models import make_model
from tinyaccel.op import Kernel
from tinyaccel.testing import Agreement, Divergence, compare, compare_training
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS

Array = npt.NDArray[Any]
PAIR = ("cpu", "planted")


class Planted(NumpyBackend):
    """NumPy with bugs: in kernels; in compiled programs only; or where two ops become one."""

    name: ClassVar[str] = "planted"
    wrong: ClassVar[dict[str, Kernel]] = {}
    wrong_compiled: ClassVar[dict[str, Kernel]] = {}
    wrong_fused: ClassVar[bool] = False

    def __init__(self) -> None:
        self.kernels = KERNELS | self.wrong

    def devices(self) -> list[str]:
        return [self.name]

    def instr_kernel(self, instr: Instr, graph: Graph) -> Kernel:
        return self.wrong_compiled.get(instr.op) or super().instr_kernel(instr, graph)

    def compile(self, graph: Graph, device: Device) -> Executable:
        if self.wrong_fused:  # add of a product that nobody else needs: the product is lost
            used = [v for instr in graph.instrs for v in instr.inputs] + graph.outputs
            lost = {i.out for i in graph.instrs if i.op == "mul" and used.count(i.out) == 1}
            lost -= set(graph.outputs)
            fused = [
                replace(i, inputs=(i.inputs[1], i.inputs[1]))
                if i.op == "add" and i.inputs[0] in lost
                else i
                for i in graph.instrs
            ]
            graph = replace(graph, instrs=fused)
        return super().compile(graph, device)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts bugs into the device "planted" for the length of a test."""

    def put(**bugs: object) -> None:
        for name, bug in bugs.items():
            monkeypatch.setattr(Planted, name, bug)
        register_backend("planted", Planted)

    return put


# Bugs


def _tanh_one_off(x: Array) -> Array:
    """Wrong in one place of its 3rd row."""
    y = np.tanh(x)
    if y.shape == (4, 5):
        y[2, 1] += np.float32(1e-5)
    return y


def _tanh_one_ulp(x: Array) -> Array:
    """Not the nearest number, but well within the budget."""
    return np.nextafter(np.tanh(x), np.float32(2))


def _flipped_weight_grad(g: Array, x: Array, **attrs: Any) -> Array:
    return np.asarray(KERNELS["conv2d_weight_grad"](g, x, **attrs)[:, :, ::-1, ::-1])


def _second_row_of_pool(x: Array, **attrs: Any) -> Array:
    y = KERNELS["max_pool2d"](x, **attrs)
    y[..., 1, :] = y[..., 0, :]
    return np.asarray(y)


def _one_unit_off(x: Array) -> Array:
    y = np.sqrt(x)
    return np.where(y > 0, np.nextafter(y, np.float32(np.inf)), y)


def _inexact_exp(x: Array) -> Array:
    return np.exp(x) * x.dtype.type(1 + 1e-5)


def _wide_exp(x: Array) -> Array:
    return np.exp(x.astype(np.float64))


def _no_exp(x: Array) -> Array:
    raise MemoryError("the kernel wanted too much")


class Net(nn.Module):
    """A convolution, a pool and two linear layers in a block."""

    def __init__(self) -> None:
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Dropout(0.2), nn.Linear(5, 3)
        )

    def forward(self, x: ta.Tensor) -> ta.Tensor:
        return self.head(self.pool(ta.relu(self.conv(x))))


class Root(nn.Module):
    """A layer of one op."""

    def forward(self, x: ta.Tensor) -> ta.Tensor:
        return ta.sqrt(x)


class Training:
    """A step of training `Net` with Adam, and batches for it."""

    def __init__(self, seed: int = 5) -> None:
        ta.manual_seed(seed)
        self.model = Net()
        self.optimizer = ta.optim.Adam(self.model.parameters(), lr=0.05)
        rng = np.random.default_rng(seed)
        self.y = ta.tensor(rng.integers(0, 3, 4).astype(np.int32))
        self.batches = [
            (ta.tensor(rng.normal(size=(4, 1, 4, 4)).astype(np.float32)), self.y) for _ in range(4)
        ]

    def loss(self, x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        return ta.cross_entropy(self.model(x), y)

    def step(self, x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> list[Array]:
        """All that a step changes."""
        tensors = [*self.model.state_dict().values(), *self.optimizer.state_dict().values()]
        return [*tensors, ta.random.default_generator("cpu").state.numpy()]


@dataclass(frozen=True)
class Bug:
    """A wrong kernel, and what must be said of it."""

    kernel: dict[str, Kernel]
    layer: str
    phase: str
    says: str
    within: tuple[str, ...] = ()


BUGS = {
    "forward": Bug({"tanh": _tanh_one_off}, "Net.head.2 (Tanh)", "forward", "at [2, 1]: got"),
    "backward only": Bug({"conv2d_weight_grad": _flipped_weight_grad}, "Net.conv (Conv2d)",
                         "backward", "backward of Net.conv (Conv2d)"),
    "a composite's kernel": Bug({"max_pool2d": _second_row_of_pool}, "Net.pool (MaxPool2d)",
                                "forward", "kernel=(2, 2)"),
    "an optimizer's op": Bug({"sqrt": _one_unit_off}, "conv.weight (Adam)", "update",
                             "update of conv.weight (Adam), step 0"),
    "in a composite's body": Bug({"exp": _inexact_exp}, "", "forward",
                                 "in the body of cross_entropy > log_softmax",
                                 ("cross_entropy", "log_softmax")),
    "another dtype": Bug({"exp": _wide_exp}, "", "forward", "returned float64[4, 3], expected",
                         ("cross_entropy", "log_softmax")),
    "a kernel that raises": Bug({"exp": _no_exp}, "", "forward",
                                "raised MemoryError: the kernel wanted too much",
                                ("cross_entropy", "log_softmax")),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_wrong_kernel_is_named(name: str, plant: Callable[..., None]) -> None:
    """The op, the layer, forward or backward, the index, and the user's own line."""
    bug = BUGS[name]
    plant(wrong=bug.kernel)
    training = Training()
    found = compare_training(training.step, training.batches[:1], backends=PAIR, compiled=False)
    assert isinstance(found, Divergence), found
    (op,) = bug.kernel
    assert (found.op, found.backend, found.compiled) == (op, "planted", False)
    assert (found.layer, found.phase, found.step) == (bug.layer, bug.phase, 0)
    assert found.within[: len(bug.within)] == bug.within
    assert bug.says in str(found)
    assert found.line.startswith("test_compare.py:")
    # The broken backend is to blame wherever it stands, also where the values come from it.
    turned = compare_training(training.step, training.batches[:1], backends=PAIR[::-1])
    assert replace(found, line="") == replace(turned, line="")  # type: ignore[type-var]


def test_the_line_is_the_callers(plant: Callable[..., None]) -> None:
    """What happens backward is traced to the line that went forward."""
    plant(wrong={"conv2d_weight_grad": _flipped_weight_grad})
    training = Training()
    found = compare_training(training.step, training.batches[:1], backends=PAIR, compiled=False)
    assert isinstance(found, Divergence)
    assert "self.head(self.pool(ta.relu(self.conv(x))))" in found.line


@pytest.mark.parametrize("compiled", [False, True])
def test_source_shows_the_bug(
    compiled: bool, plant: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines that come with a divergence run as they are, are few, and print two results."""
    kernel = {"conv2d_weight_grad": _flipped_weight_grad}
    plant(**{"wrong_compiled" if compiled else "wrong": kernel})
    training = Training()
    found = compare(training.loss, *training.batches[0], backends=PAIR)
    assert isinstance(found, Divergence)
    assert found.compiled is compiled
    assert len(found.source().splitlines()) < 20
    for array in found.arrays:
        assert array.size <= 16
        np.testing.assert_allclose(array, np.round(array, 2), 1e-6)
    exec(found.source(), {})  # noqa: S102  # our own text, which must need nothing else
    wrong, right = capsys.readouterr().out.splitlines()
    assert wrong.removeprefix("planted float32 [[") != right.removeprefix("cpu float32 [[")
    exact = np.array(ast.literal_eval(found.source().rpartition("# exactly: ")[2]))
    np.testing.assert_allclose(ast.literal_eval(right.removeprefix("cpu float32 ")), exact, 1e-6)


# Compiled programs


def test_only_the_compiled_program_is_off(plant: Callable[..., None]) -> None:
    """An op that is right by itself and wrong once compiled is found by halving."""
    plant(wrong_compiled={"tanh": _tanh_one_off})
    training = Training()
    found = compare(training.loss, *training.batches[0], backends=PAIR)
    assert isinstance(found, Divergence), found
    assert (found.op, found.layer, found.phase) == ("tanh", "Net.head.2 (Tanh)", "forward")
    assert found.compiled
    assert found.index == (2, 1)
    assert "tanh on planted (compiled only)" in str(found)
    assert compare(training.loss, *training.batches[0], backends=PAIR, compiled=False).ok


def test_only_one_branch_is_off(plant: Callable[..., None]) -> None:
    """What comes later on another branch may be right: the wrong one is followed to its start."""
    plant(wrong_compiled={"tanh": lambda x: np.tanh(x) + x.dtype.type(1e-3)})
    x = ta.tensor(np.linspace(-1, 1, 6, dtype=np.float32))
    found = compare(lambda x: ta.tanh(x) + ta.sin(ta.cos(x)), x, backends=PAIR, backward=False)
    assert isinstance(found, Divergence)
    assert (found.op, found.compiled) == ("tanh", True)


def test_a_bug_that_hides_when_it_is_looked_at(plant: Callable[..., None]) -> None:
    """Two ops that are wrong only as one are shown together: the program has both."""
    plant(wrong_fused=True)
    x = ta.tensor(np.linspace(1, 2, 12, dtype=np.float32).reshape(3, 4))
    found = compare(lambda x: ta.tanh(x * x + ta.tanh(x)), x, backends=PAIR, backward=False)
    assert isinstance(found, Divergence)
    assert (found.op, found.compiled) == ("add", True)
    assert [instr.op for instr in found.program.instrs] == ["mul", "add"]


def test_a_comparison_may_fall_the_other_way(plant: Callable[..., None]) -> None:
    """Rounding that tips a comparison is no bug, however large its consequence."""

    def rounded_up(a: Array, b: Array) -> Array:
        return np.nextafter(a + b, np.float32(np.inf))  # within the budget of add

    plant(wrong_compiled={"add": rounded_up})
    rng = np.random.default_rng(3)
    below = np.nextafter(np.float32(1.5), np.float32(0))
    a = rng.uniform(0.5, 1, 400).astype(np.float32)
    b = below - a
    assert (a + b == below).mean() > 0.9

    def step_function(a: ta.Tensor, b: ta.Tensor) -> ta.Tensor:
        return ta.where(a + b >= 1.5, 1000.0, -1000.0) * 2

    found = compare(step_function, ta.tensor(a), ta.tensor(b), backends=PAIR, backward=False)
    assert found.ok, found


# Agreement


def test_a_cnn_agrees_on_numpy_and_xla() -> None:
    """Two Adam steps of the digits CNN, dropout included: each op and both compiled programs."""
    pytest.importorskip("jax", reason="the XLA backend needs JAX")
    ta.manual_seed(1)
    model = make_model("digits_cnn")
    optimizer = ta.optim.Adam(model.parameters(), lr=2e-3)
    rng = np.random.default_rng(2)

    def step(x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        optimizer.zero_grad()
        loss = ta.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    batches = [
        (ta.tensor(rng.normal(size=(4, 1, 8, 8)).astype(np.float32)),
         ta.tensor(rng.integers(0, 10, 4).astype(np.int32)))
        for _ in range(2)
    ]  # fmt: skip
    found = compare_training(step, batches)
    assert isinstance(found, Agreement), found
    assert found.steps == 2
    assert found.instructions > 2 * 200
    for extremes in (found.worst, found.compiled):
        assert extremes.keys() == {"cpu", "xla:cpu"}
        assert all(0.005 < e.units <= 1 for e in extremes.values())
    text = str(found)
    assert "cpu, xla:cpu agree: " in text
    assert "in 2 steps" in text
    assert "of the budget at most (" in text


def test_compare_changes_nothing(plant: Callable[..., None]) -> None:
    """Parameters, gradients, random state and the inputs are as before."""
    plant()
    training = Training()
    before = training.state()
    x, y = training.batches[0]
    assert compare(training.step, x, y, backends=PAIR).ok
    assert compare(training.loss, x, y, backends=PAIR).ok
    for a, b in zip(before, training.state(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(p.grad is None for p in training.model.parameters())
    assert x.grad is None
    assert not x.requires_grad


def test_backward_goes_to_the_inputs_too(plant: Callable[..., None]) -> None:
    """A function without parameters is differentiated by its inputs, or not, as asked."""
    plant(wrong={"cos": lambda x: np.cos(x) + x.dtype.type(1e-4)})
    x = ta.tensor(np.linspace(-1, 1, 6, dtype=np.float32))
    assert compare(ta.sin, x, backends=PAIR, backward=False).ok
    found = compare(ta.sin, x, backends=PAIR)
    assert isinstance(found, Divergence)
    assert (found.op, found.phase) == ("cos", "backward")


def test_a_function_that_goes_back_itself() -> None:
    """Its own backward is the only one."""
    weight = ta.nn.Parameter(ta.ones(3))

    def loss() -> ta.Tensor:
        weight.grad = None
        out = ta.tanh(weight).sum()
        out.backward()
        return out

    counts = []
    for backward in (False, True):
        report = compare(loss, backends=["cpu"], backward=backward)
        assert isinstance(report, Agreement)
        counts.append(report.instructions)
    assert counts[0] == counts[1] > 3


def test_values_go_on_from_the_first_backend(plant: Callable[..., None]) -> None:
    """Every backend's next op is run on what the first one has computed."""
    seen: list[Array] = []

    def recorded(x: Array) -> Array:
        seen.append(x)
        return np.sqrt(x)

    plant(wrong={"tanh": _tanh_one_ulp, "sqrt": recorded})
    x = np.linspace(0.1, 0.9, 7, dtype=np.float32)
    for pair, tanh in ((PAIR, np.tanh), (PAIR[::-1], _tanh_one_ulp)):
        seen.clear()
        model = nn.Sequential(nn.Tanh(), Root())
        assert compare(model, ta.tensor(x), backends=pair, backward=False, compiled=False).ok
        np.testing.assert_array_equal(seen, [tanh(x)])


def test_a_kernel_may_know_a_number_more_exactly(plant: Callable[..., None]) -> None:
    """A composite's body rounds its own numbers to the dtype, which a kernel need not."""
    plant()
    factor = np.float32(1 + 513.49 / 1024)  # between two neighbours in float16
    scaled = ta.custom_op(
        "compare_scaled",
        body=lambda x: x * float(factor),
        kernels={"planted": lambda x: (x.astype(np.float32) * factor).astype(x.dtype)},
        replace=True,
    )
    x = ta.tensor(np.linspace(1.33, 1.4, 70), dtype="float16")
    found = compare(scaled, x, backends=PAIR, backward=False, compiled=False)
    assert found.ok, found


def test_tensors_inside_trees_and_python_values() -> None:
    """The arguments are trees, as jit's are."""
    given = {"x": ta.ones((2, 3)), "more": (ta.ones(3), 2.0)}

    def product(given: dict[str, Any]) -> ta.Tensor:
        return ta.exp(given["x"] * given["more"][0]) * given["more"][1]

    report = compare(product, given, backends=["cpu"])
    assert isinstance(report, Agreement)
    assert report.instructions > 3
    assert 0 < report.worst["cpu"].units <= 1
    assert 0 < report.compiled["cpu"].units <= 1


# Training


def test_the_first_step_is_named(plant: Callable[..., None]) -> None:
    """A bug that large inputs alone bring out is found at their step; before it, all is as run."""
    plant(wrong={"tanh": lambda x: np.where(np.abs(x) > 4, np.sign(x) * 0.999, np.tanh(x))})
    training, alone = Training(), Training()
    x, y = training.batches[2]
    training.batches[2] = (x * 100, y)
    ta.manual_seed(9)
    found = compare_training(training.step, training.batches, backends=PAIR)
    assert isinstance(found, Divergence)
    assert (found.step, found.op, found.layer) == (2, "tanh", "Net.head.2 (Tanh)")
    state = training.state()
    ta.manual_seed(9)
    jitted = ta.jit(alone.step)
    for batch in alone.batches[:2]:
        jitted(*batch)
    for a, b in zip(alone.state(), state, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("other", [{}, {"tanh": _tanh_one_ulp}], ids=["equal", "other bits"])
def test_training_moves_on(
    compiled: bool, other: dict[str, Kernel], plant: Callable[..., None]
) -> None:
    """After agreeing steps the state is the first backend's, as if they had been run there.

    Also if the model is on another device than the first; and the others' bits don't matter.
    """
    plant(wrong=other)
    pair = PAIR if other else PAIR[::-1]
    training, alone = Training(), Training()
    ta.manual_seed(9)
    found = compare_training(
        training.step, iter(training.batches[:2]), backends=pair, compiled=compiled
    )
    assert found.ok, found
    state = training.state()
    ta.manual_seed(9)
    for batch in alone.batches[:2]:
        alone.step(*batch)
    for a, b in zip(alone.state(), state, strict=True):
        np.testing.assert_array_equal(a, b)


# Errors


def test_errors(plant: Callable[..., None]) -> None:
    """What can't be compared says why, in the words of jit, of the devices, or our own."""
    plant()
    x = ta.ones(3)
    with pytest.raises(TraceError, match="branching on a tensor can't be traced by jit"):
        compare(lambda x: x if x.sum() > 0 else -x, x, backends=PAIR)
    with pytest.raises(ArgumentError, match=r"got a NumPy array; pass tinyaccel.tensor"):
        compare(ta.exp, np.ones(3), backends=PAIR)
    with pytest.raises(DeviceError, match="'nowhere' is unknown"):
        compare(ta.exp, x, backends=("cpu", "nowhere"))
    with pytest.raises(ArgumentError, match="compare: no backends; name at least one"):
        compare(ta.exp, x, backends=())
    batches: Sequence[tuple[()]] = []
    with pytest.raises(ArgumentError, match="compare_training: no batches; give one"):
        compare_training(lambda: None, batches, backends=PAIR)
