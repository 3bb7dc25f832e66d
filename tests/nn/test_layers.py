"""Every layer and loss: against PyTorch with the same weights, eager and jitted."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from layer_cases import ACTIVATIONS, IMAGE, LAYERS, LOSSES, ROWS, Array, Case, Drawn, case

import tinyaccel as ta
from tinyaccel import budgets, nn

ROOMS = (
    "linear", "convolution", "pooling", "normalization", "dropout", "resize", "padding",
    "rearrange", "distance", "activations", "softmax", "losses", "margin_losses",
)  # fmt: skip
# PyTorch's gradient is g times a sixth that was rounded to float32.
SINGLE = ("Hardsigmoid", "x0")
STATEFUL = ("BatchNorm1d", "BatchNorm2d")
MODES = [(case, "train") for case in [*LAYERS, *ACTIVATIONS, *LOSSES] if case.layer != "RReLU"]
MODES += [(case, "eval") for case in LAYERS if case.layer in STATEFUL]
MODES += [(case, "eval") for case in ACTIVATIONS if case.layer == "RReLU"]  # it draws when training


def their_layer(case: Case, torch: Any) -> Any:
    """PyTorch's layer, in float64, with weights that hide no mix-up."""
    arrays = {k: torch.tensor(v) for k, v in case.options.items() if isinstance(v, np.ndarray)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = getattr(torch.nn, case.layer)(*case.args, **case.options | arrays).double()
    torch.manual_seed(0)
    for p in layer.parameters():
        p.data += torch.rand(p.shape, dtype=p.dtype)  # those of normalisations are 1 and 0
    return layer


def our_layer(case: Case, dtype: str = "float64") -> nn.Module:
    arrays = {k: ta.tensor(v) for k, v in case.options.items() if isinstance(v, np.ndarray)}
    build: Callable[..., nn.Module] = getattr(nn, case.layer)
    of_dtype = {"dtype": dtype} if "dtype" in inspect.signature(build).parameters else {}
    return build(*case.args, **case.options | arrays | of_dtype)


def drawn(case: Case, rng: np.random.Generator) -> list[ta.Tensor]:
    """The inputs, with a gradient where there is one; floats are float64."""
    found = []
    for given in case.inputs:
        draw, slope = given if isinstance(given, Drawn) else (shaped(given), True)
        found.append(ta.tensor(draw(rng), requires_grad=slope))
    return found


def shaped(shape: tuple[int, ...]) -> Callable[[np.random.Generator], Array]:
    return lambda rng: rng.normal(size=shape)


def their_results(
    layer: Any, inputs: Sequence[ta.Tensor], g: Array, torch: Any
) -> dict[str, Array]:
    """The result, the gradients of sum(result * g), and the buffers that the call left."""
    layer.zero_grad()
    xs = [torch.tensor(x.numpy(), requires_grad=x.requires_grad) for x in inputs]
    xs = [x.long() if x.dtype is torch.int32 else x for x in xs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of even kernels with padding="same"
        y = layer(*xs)
    y.backward(torch.tensor(g))
    found = {"y": y} | {f"x{i}": x.grad for i, x in enumerate(xs) if x.requires_grad}
    found |= {name: p.grad for name, p in layer.named_parameters()} | dict(layer.named_buffers())
    return {name: t.detach().numpy().copy() for name, t in found.items()}


def our_step(layer: nn.Module) -> Callable[..., list[ta.Tensor]]:
    """The same of ours, as a function of the inputs and g, in the same order."""

    def step(g: ta.Tensor, *xs: ta.Tensor) -> list[ta.Tensor]:
        y = layer(*xs)
        y.backward(g)
        floats = [x for x in xs if x.requires_grad]
        grads = [t.grad for t in (*floats, *layer.parameters()) if t.grad is not None]
        # Times 1, so that each is a result of the graph's own, also where it is an input.
        return [t * 1 for t in (y, *grads, *layer.buffers())]

    return step


def worst(case: Case, mode: str, theirs: Any, ours: nn.Module, rng: np.random.Generator,
          torch: Any) -> dict[str, budgets.Worst]:  # fmt: skip
    """How far off the results of ours are, eager and jitted, from the state that theirs has.

    What may be between us is twice the error budget of the graph that jit made of the layer: once
    for us, once for PyTorch.
    """
    theirs.train(mode == "train")
    ours.train(mode == "train")
    before = {name: t.numpy().copy() for name, t in theirs.state_dict().items()}
    assert ours.state_dict().keys() == before.keys()
    inputs = drawn(case, rng)
    with ta.no_grad():
        g = np.asarray(rng.normal(size=ours(*inputs).shape))
    truth = their_results(theirs, inputs, g, torch)
    args = [ta.tensor(g), *inputs]
    step = our_step(ours)
    jitted = ta.jit(step)
    results = []
    for run in (step, jitted):
        ours.load_state_dict(before)
        results.append(fresh(run, ours, args))
    ours.load_state_dict(before)
    errors = [bound.error for bound in permitted(jitted, args, len(truth))]
    found = {}
    for kind, got in zip(("eager", "jitted"), results, strict=True):
        for y, (name, expected), error in zip(got, truth.items(), errors, strict=True):
            assert y.shape == expected.shape, name
            single = 2.0**-24 * np.abs(expected) if (case.layer, name) == SINGLE else 0
            found[f"{kind} {name}"] = budgets.measure(y, expected, 2 * error + single)
    return found


def permitted(jitted: Any, args: Sequence[ta.Tensor], count: int) -> list[budgets.Bounded]:
    """How far each result of a jitted step may be off, from the state that there is now."""
    compiled = jitted._latest()
    graph = replace(compiled.graph, outputs=compiled.graph.outputs[:count])
    host = [args[0].device.backend.download(a) for a in compiled.read(args)]
    return budgets.bounds(graph, host, rounded_constants=True)


def fresh(
    run: Callable[..., list[ta.Tensor]], layer: nn.Module, args: Sequence[ta.Tensor]
) -> list[Array]:
    """The results of a step that finds no gradients."""
    for t in (*args, *layer.parameters()):
        t.grad = None
    return [t.numpy() for t in run(*args)]


@pytest.mark.parametrize(("case", "mode"), MODES, ids=str)
def test_as_in_pytorch(case: Case, mode: str, rng: np.random.Generator) -> None:
    """From PyTorch's state_dict: its result, gradients and buffers, in float64, in the budget."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    theirs, ours = their_layer(case, torch), our_layer(case)
    for _ in range(2 if case.layer in STATEFUL else 1):  # running statistics move on
        for name, found in worst(case, mode, theirs, ours, rng, torch).items():
            assert found.ok, f"{name} {found}"


NEARLY = [
    (case("BatchNorm2d", 4, of=IMAGE), case("BatchNorm2d", 4, 1.001e-5, of=IMAGE), "eager y"),
    (case("BatchNorm1d", 5, of=ROWS), case("BatchNorm1d", 5, 1e-5, 0.1 + 1e-12, of=ROWS),
     "jitted running_var"),
    (case("Softplus", of=ROWS), case("Softplus", 1 + 1e-13, of=ROWS), "jitted x0"),
    (case("MaxPool2d", 3, 2, 1, of=IMAGE), case("AvgPool2d", 3, 2, 1, of=IMAGE), "eager x0"),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours", "where"), NEARLY, ids=str)
def test_small_differences_are_seen(
    theirs: Case, ours: Case, where: str, rng: np.random.Generator
) -> None:
    """The comparison can fail: of a layer whose settings are a little different, it does."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    found = worst(theirs, "train", their_layer(theirs, torch), our_layer(ours), rng, torch)
    assert not found[where].ok


# jitted on other devices

DRAWING = [
    case("Dropout", 0.3, of=IMAGE),
    case("Dropout1d", 0.3, of=(4, 5, 3)),
    case("Dropout2d", 0.3, of=IMAGE),
    case("RReLU", of=IMAGE),
]
# Each XLA compilation takes most of a second, and the kit tests every op there: those with state,
# with integers, and with constants that are made in the layer.
ON_XLA = ["Dropout2d", "BatchNorm1d", "Embedding", "ConvTranspose2d", "MultiLabelMarginLoss"]
BY_NAME = {case.layer: case for case in [*LAYERS, *LOSSES, *DRAWING]}
JITTED = [(case, "cpu") for case in DRAWING]
JITTED += [(BY_NAME[name], "xla:cpu") for name in ON_XLA]


@pytest.mark.parametrize(("case", "device"), JITTED, indirect=["device"], ids=str)
def test_jitted_as_eager(case: Case, device: str, rng: np.random.Generator) -> None:
    """Jitted on a device, two calls in float32 give what they give eagerly on the CPU."""
    arrays = [(x.numpy(), x.requires_grad) for x in drawn(case, rng)]
    arrays = [(a.astype(np.float32) if a.dtype.kind == "f" else a, slope) for a, slope in arrays]
    outcomes: list[list[Array]] = []
    g = np.ones(())
    for where in ("cpu", device):
        with ta.default_device(where):
            ta.manual_seed(5)
            layer = our_layer(case, "float32")
            xs = [ta.tensor(a, requires_grad=slope) for a, slope in arrays]
            if not outcomes:
                with ta.no_grad():
                    g = rng.normal(size=layer(*xs).shape)
                ta.manual_seed(5)
                layer = our_layer(case, "float32")
            args = [ta.tensor(np.asarray(g, np.float32)), *xs]
            run = jitted = ta.jit(our_step(layer))
            if not outcomes:
                run = our_step(layer)  # type: ignore[assignment]  # as good for calling
            outcomes.append([t for _ in range(2) for t in fresh(run, layer, args)])
    assert jitted.traces == 1
    allowed = 2 * [bound.error for bound in permitted(jitted, args, len(outcomes[0]) // 2)]
    for eager, compiled, error in zip(*outcomes, allowed, strict=True):
        found = budgets.measure(compiled, eager, 2 * error)
        assert found.ok, str(found)


# The table


def test_every_layer_is_in_the_table() -> None:
    """A layer of these rooms is exported, and is among the cases."""
    tested = {case.layer for case in [*LAYERS, *ACTIVATIONS, *LOSSES, *DRAWING]}
    found = set()
    for room in ROOMS:
        module = importlib.import_module(f"tinyaccel.nn.{room}")
        classes = inspect.getmembers(module, inspect.isclass)
        found |= {name for name, kind in classes if kind.__module__ == module.__name__}
    found = {name for name in found if not name.startswith("_")} - {"Loss"}
    assert found == tested
    assert found <= set(nn.__all__)
