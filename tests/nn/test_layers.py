"""Every layer and loss: against PyTorch, jitted against eager, and on input that doesn't fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, AxisError, DTypeError, ShapeError

Build = Callable[..., nn.Module]


class Case(NamedTuple):
    """A layer by name and settings, which are the same in PyTorch.

    shape  of its input
    terms  how many products or numbers the longest of its sums adds up, forward or backward
    linear whether result and gradients are linear in input, weight and bias
    """

    layer: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    shape: tuple[int, ...]
    terms: int = 1
    linear: bool = False

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options.items()]
        return f"{self.layer}({', '.join([*map(str, self.args), *options])})"


IMAGE = (3, 4, 7, 8)
CASES = [
    Case("Linear", (7, 5), {}, (6, 7), 7, True),
    Case("Linear", (7, 5), {"bias": False}, (6, 7), 7, True),
    Case("Linear", (7, 5), {}, (2, 3, 7), 7, True),
    Case("Linear", (7, 5), {}, (7,), 7, True),
    Case("Conv2d", (4, 6, 3), {}, IMAGE, 90, True),
    Case("Conv2d", (4, 6, (2, 3)), {"bias": False}, IMAGE, 108, True),
    Case("Conv2d", (4, 6, 3), {"stride": 2}, IMAGE, 54, True),
    Case("Conv2d", (4, 6, 3), {"stride": (2, 1), "padding": (1, 2)}, IMAGE, 120, True),
    Case("Conv2d", (4, 6, 3), {"dilation": 2, "padding": 1}, IMAGE, 90, True),
    Case("Conv2d", (4, 6, 3), {"groups": 2}, IMAGE, 90, True),
    Case("Conv2d", (4, 4, 3), {"groups": 4, "padding": 1}, IMAGE, 168, True),
    Case("Conv2d", (4, 6, (3, 4)), {"padding": "same"}, IMAGE, 168, True),
    Case("Conv2d", (4, 6, 3), {"padding": "valid"}, IMAGE, 90, True),
    Case("MaxPool2d", (2,), {}, IMAGE),
    Case("MaxPool2d", (3,), {"stride": 2, "padding": 1}, IMAGE, 4),
    Case("MaxPool2d", ((3, 2),), {"dilation": (1, 2), "stride": 1}, IMAGE, 6),
    Case("AvgPool2d", (2,), {}, IMAGE, 4),
    Case("AvgPool2d", (3,), {"stride": 2, "padding": 1}, IMAGE, 9),
    Case("BatchNorm2d", (4,), {}, IMAGE, 168),
    Case("BatchNorm2d", (4,), {"eps": 0.1, "momentum": 0.3}, IMAGE, 168),
    Case("BatchNorm2d", (4,), {"affine": False, "momentum": None}, IMAGE, 168),
    Case("BatchNorm2d", (4,), {"track_running_stats": False}, IMAGE, 168),
    Case("Flatten", (), {}, IMAGE),
    Case("Flatten", (), {"start_dim": 0, "end_dim": 2}, IMAGE),
    Case("Identity", (), {}, IMAGE),
    Case("ReLU", (), {}, IMAGE),
    Case("Sigmoid", (), {}, IMAGE),
    Case("Tanh", (), {}, IMAGE),
    Case("GELU", (), {}, IMAGE),
    Case("Softmax", (), {"dim": -1}, IMAGE, 8),
    Case("Softmax", (), {"dim": 1}, IMAGE, 4),
    Case("LogSoftmax", (), {"dim": 1}, IMAGE, 4),
]


def check(got: dict[str, np.ndarray], truth: dict[str, np.ndarray],
          size: dict[str, np.ndarray], eps: float, terms: int) -> None:  # fmt: skip
    """Every array within 4 sqrt(terms) eps of the truth, relative to the sizes that were summed.

    That is the budget for a sum of `terms` products, with sum |a| |b| replaced by its
    largest value over the array, and doubled: elementwise functions in between add a few eps.
    """
    assert got.keys() == truth.keys()
    for name, expected in truth.items():
        assert got[name].shape == expected.shape, name
        bound = 8 * np.sqrt(terms) * eps * max(1.0, np.abs(size[name]).max(initial=0))
        assert np.abs(got[name] - expected).max(initial=0) <= bound, name


MODES = [(case, "train") for case in CASES]
MODES += [(case, "eval") for case in CASES if case.layer == "BatchNorm2d"]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch
@pytest.mark.parametrize(("case", "mode"), MODES, ids=str)
def test_as_in_pytorch(
    case: Case,
    mode: str,
    rng: np.random.Generator,
    run_ours: Callable[..., Any],
    run_theirs: Callable[..., Any],
) -> None:
    """Result, gradients and running statistics are PyTorch's, from its own state_dict.

    float32 and float64 are both held against PyTorch in float64.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    torch.manual_seed(0)
    reference = getattr(torch.nn, case.layer)(*case.args, **case.options, **_double(case, torch))
    if case.layer == "BatchNorm2d" and case.options.get("affine", True):
        for p in reference.parameters():  # they start as 1 and 0, which would hide a mix-up
            p.data += torch.rand(p.shape, dtype=p.dtype)
    layers = {}
    for dtype in ("float32", "float64"):
        options = {"dtype": dtype} if _double(case, torch) else {}
        layers[dtype] = getattr(nn, case.layer)(*case.args, **case.options, **options)
        layers[dtype].load_state_dict(reference.state_dict())
        layers[dtype].train(mode == "train")
    reference.train(mode == "train")
    for _ in range(3):  # running statistics move on
        x = rng.standard_normal(case.shape).astype(np.float32).astype(np.float64)
        g = rng.standard_normal(reference.eval()(torch.tensor(x)).shape).astype(np.float32)
        reference.train(mode == "train")
        truth = run_theirs(reference, (x,), g)
        size = truth
        if case.linear:
            bare = getattr(torch.nn, case.layer)(*case.args, **case.options, **_double(case, torch))
            bare.load_state_dict({k: v.abs() for k, v in reference.state_dict().items()})
            size = run_theirs(bare, (np.abs(x),), np.abs(g))
        for dtype, layer in layers.items():
            layer.zero_grad()
            got = run_ours(layer, (x.astype(dtype),), g.astype(dtype))
            check(got, truth, size, float(np.finfo(dtype).eps), case.terms)


def _double(case: Case, torch: Any) -> dict[str, Any]:
    """dtype=float64 for the layers that have parameters or buffers."""
    return {"dtype": torch.float64} if case.layer in ("Linear", "Conv2d", "BatchNorm2d") else {}


DROPOUT = Case("Dropout", (0.3,), {}, IMAGE)


JITTED = [(case, mode, "cpu") for case, mode in [*MODES, (DROPOUT, "train"), (DROPOUT, "eval")]]
# Each XLA compilation takes most of a second, and the kit tests every op there: one of each.
JITTED += [(case, "train", "xla:cpu") for case in {c.layer: c for c in [*CASES, DROPOUT]}.values()]


@pytest.mark.parametrize(("case", "mode", "device"), JITTED, indirect=["device"], ids=str)
def test_jitted_as_eager(case: Case, mode: str, device: str, rng: np.random.Generator) -> None:
    """Jitted on a device, forward and backward give what they give eagerly on the CPU.

    Results, gradients and state after three calls. The gradient that arrives is random: that of
    sum(y**2) would cancel to 0 in batch norm.
    """
    outcomes = []
    x = rng.standard_normal(case.shape).astype(np.float32)
    g = rng.standard_normal(4096).astype(np.float32)
    for jitted in (False, True):
        with ta.default_device(device if jitted else "cpu"):
            ta.manual_seed(5)
            layer = getattr(nn, case.layer)(*case.args, **case.options).train(mode == "train")
            tape = ta.tensor(x, requires_grad=True)

            def run(t: ta.Tensor, layer: nn.Module = layer) -> ta.Tensor:
                y = layer(t)
                y.backward(ta.tensor(g[: y.size].reshape(y.shape)))
                return y

            step = ta.jit(run) if jitted else run
            results = [step(tape).numpy() for _ in range(3)]
            state = [t.numpy() for t in (*layer.parameters(), *layer.buffers())]
            grads = [p.grad.numpy() for p in (tape, *layer.parameters()) if p.grad is not None]
            outcomes.append([*results, *grads, *state])
            if jitted:
                assert step.traces <= 2  # type: ignore[attr-defined]  # .grad was None at first
    for eager, compiled in zip(*outcomes, strict=True):
        bound = 8 * np.sqrt(case.terms) * np.finfo(np.float32).eps * max(1, np.abs(eager).max())
        assert np.abs(eager - compiled).max() <= bound


LOSSES = [(name, r) for name in ("CrossEntropyLoss", "MSELoss") for r in ("mean", "sum", "none")]


@pytest.mark.parametrize(("name", "reduction"), LOSSES)
def test_losses_as_in_pytorch(
    name: str,
    reduction: str,
    rng: np.random.Generator,
    run_ours: Callable[..., Any],
    run_theirs: Callable[..., Any],
) -> None:
    """Every loss and reduction has PyTorch's value and gradient, in float32 and float64."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    reference = getattr(torch.nn, name)(reduction=reduction)
    x = rng.standard_normal((9, 5)).astype(np.float32).astype(np.float64)
    target = rng.integers(0, 5, 9) if name[0] == "C" else rng.random((9, 5))
    for dtype in ("float32", "float64"):
        second = target if name[0] == "C" else target.astype(dtype)
        truth = run_theirs(reference, (x.astype(dtype).astype("f8"), _wide(second)), None)
        got = run_ours(getattr(nn, name)(reduction=reduction), (x.astype(dtype), second), None)
        check(got, truth, truth, float(np.finfo(dtype).eps), 45)


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def test_losses_jitted_as_eager(device: str, rng: np.random.Generator) -> None:
    """A loss jitted on a device is the eager one on the CPU, for every loss and reduction."""
    x = ta.tensor(rng.standard_normal((9, 5)), dtype="float32")
    targets = {
        "CrossEntropyLoss": ta.tensor(rng.integers(0, 5, 9), dtype="int32"),
        "MSELoss": ta.tensor(rng.random((9, 5)), dtype="float32"),
    }
    for name, reduction in LOSSES:
        loss = getattr(nn, name)(reduction=reduction)
        eager = loss(x, targets[name]).numpy()
        jitted = ta.jit(loss)(x.to(device), targets[name].to(device)).numpy()
        np.testing.assert_allclose(jitted, eager, rtol=1e-5, err_msg=f"{name} {reduction}")


# Batch norm


def test_batch_norm_uses_the_batch_or_the_past(rng: np.random.Generator) -> None:
    """Training normalises by the batch and moves the running statistics; evaluating does not."""
    layer = nn.BatchNorm2d(3)
    x = ta.tensor(rng.standard_normal((8, 3, 5, 5)) * 3 + 2, dtype="float32")
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, atol=1e-5)
    batch = x.numpy().astype(np.float64)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * batch.mean((0, 2, 3)), rtol=1e-5)
    unbiased = 0.9 + 0.1 * batch.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_var.numpy(), unbiased, rtol=1e-5)
    before = layer.state_dict()
    z = layer.eval()(x).numpy()
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    mean, var = (before[f"running_{m}"][:, None, None] for m in ("mean", "var"))
    np.testing.assert_allclose(z, (x.numpy() - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_batch_norm_in_low_precision(dtype: str, rng: np.random.Generator) -> None:
    """float16 and bfloat16 are normalised in float32: sums past 65504 don't overflow."""
    x = ta.tensor(rng.standard_normal((16, 2, 16, 16)) + 30, dtype="float32").astype(dtype)
    layer = nn.BatchNorm2d(2, dtype=dtype)
    y = layer(x)
    assert y.dtype.name == dtype and layer.running_mean.dtype.name == dtype
    wide = x.numpy().astype(np.float64)
    expected = (wide - wide.mean((0, 2, 3), keepdims=True)) / np.sqrt(
        wide.var((0, 2, 3), keepdims=True) + 1e-5
    )
    error = np.abs(y.numpy().astype(np.float64) - expected).max()
    assert error <= y.dtype.eps * np.abs(expected).max()


# Dropout


def test_dropout_masks_are_equal_for_equal_seeds(device: str) -> None:
    """The same seed drops the same numbers on every device; another seed, or draw, others."""

    def masks(seed: int, where: str) -> list[np.ndarray]:
        ta.manual_seed(seed)
        layer = nn.Dropout(0.4)
        return [layer(ta.ones((40, 25), device=where)).numpy() for _ in range(2)]

    first, second = masks(3, device)
    np.testing.assert_array_equal(np.stack(masks(3, "cpu")), np.stack([first, second]))
    assert (first != second).any() and (masks(4, device)[0] != first).any()
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.6)}
    kept = (first > 0).mean()  # of 1000 with probability 0.6: four deviations are 0.062
    assert abs(kept - 0.6) < 0.062


def test_dropout_draws_from_its_own_generator() -> None:
    """A generator given to the layer is the one that moves; the default one stays."""
    ta.manual_seed(0)
    default = ta.random.default_generator("cpu").state.tolist()
    own = ta.Generator(7)
    x = ta.ones((64,))
    y = nn.Dropout(generator=own)(x)
    assert own.state.tolist()[2] == 1
    assert ta.random.default_generator("cpu").state.tolist() == default
    bits = ta.Generator(7).bits((64,))
    np.testing.assert_array_equal(y.numpy(), ta.dropout(x, bits, p=0.5).numpy())


@pytest.mark.parametrize(("p", "value"), [(0.0, 1.0), (1.0, 0.0)])
def test_dropout_at_its_ends(p: float, value: float) -> None:
    """p=0 keeps everything as it is, p=1 nothing."""
    assert nn.Dropout(p)(ta.ones((50,))).tolist() == [value] * 50


def test_dropout_when_evaluating_draws_nothing() -> None:
    """eval() passes x through, and leaves the generator where it is."""
    own = ta.Generator(7)
    x = ta.ones((4,))
    assert nn.Dropout(generator=own).eval()(x) is x
    assert own.state.tolist()[2] == 0


# What doesn't fit

BAD: list[tuple[str, Callable[[], object], type[Exception], str]] = [
    ("linear size", lambda: nn.Linear(0, 3), ArgumentError,
     r"Linear: in_features=0; expected an integer of at least 1"),
    ("linear float size", lambda: nn.Linear(4, 2.5), ArgumentError,  # type: ignore[arg-type]
     r"Linear: out_features=2\.5; expected an integer"),
    ("linear dtype", lambda: nn.Linear(4, 2, dtype="int32"), DTypeError,
     r"dtype int32; expected a float"),
    ("linear input", lambda: nn.Linear(4, 2)(ta.zeros((3, 5))), ShapeError,
     r"linear: input \(3, 5\) has 5 features but weight \(2, 4\) expects"),
    ("conv channels", lambda: nn.Conv2d(0, 4, 3), ArgumentError, r"Conv2d: in_channels=0"),
    ("conv kernel", lambda: nn.Conv2d(1, 4, 0), ArgumentError, r"Conv2d: kernel_size=0"),
    ("conv stride", lambda: nn.Conv2d(1, 4, 3, stride=(1, 0)), ArgumentError,
     r"Conv2d: stride=\(1, 0\)"),
    ("conv padding", lambda: nn.Conv2d(1, 4, 3, padding=-1), ArgumentError,
     r"Conv2d: padding=-1; expected an int or a pair of ints, each at least 0"),
    ("conv same", lambda: nn.Conv2d(1, 4, 3, stride=2, padding="same"), ArgumentError,
     r'padding="same" with stride \(2, 2\); it needs stride 1'),
    ("conv word", lambda: nn.Conv2d(1, 4, 3, padding="sane"), ArgumentError, r"padding='sane'"),
    ("conv groups", lambda: nn.Conv2d(4, 3, 3, groups=2), ArgumentError,
     r"Conv2d: out_channels=3 doesn't divide into groups=2"),
    ("conv input", lambda: nn.Conv2d(4, 8, 3)(ta.zeros((1, 3, 8, 8))), ShapeError,
     r"conv2d: input has 3 channels but weight \(8, 4, 3, 3\)"),
    ("conv too small", lambda: nn.Conv2d(1, 1, 5)(ta.zeros((1, 1, 4, 8))), ShapeError,
     r"conv2d: a window of 5 doesn't fit into 4"),
    ("pool padding", lambda: nn.MaxPool2d(2, padding=2)(ta.zeros((1, 1, 4, 4))), ShapeError,
     r"max_pool2d: padding .* for a window of 2; at most half of it"),
    ("pool kernel", lambda: nn.AvgPool2d((2, 2, 2)), ArgumentError,  # type: ignore[arg-type]
     r"AvgPool2d: kernel_size=\(2, 2, 2\)"),
    ("pool input", lambda: nn.AvgPool2d(2)(ta.zeros((4, 4))), ShapeError,
     r"avg_pool2d: input \(4, 4\); expected \(N, C, H, W\)"),
    ("norm features", lambda: nn.BatchNorm2d(-1), ArgumentError, r"BatchNorm2d: num_features=-1"),
    ("norm eps", lambda: nn.BatchNorm2d(2, eps=-1.0), ArgumentError, r"BatchNorm2d: eps=-1\.0"),
    ("norm momentum", lambda: nn.BatchNorm2d(2, momentum=2.0), ArgumentError,
     r"BatchNorm2d: momentum=2\.0; expected None or 0 to 1"),
    ("norm input", lambda: nn.BatchNorm2d(2)(ta.zeros((1, 3, 4, 4))), ShapeError,
     r"BatchNorm2d: input \(1, 3, 4, 4\); expected \(N, 2, H, W\)"),
    ("norm of one value", lambda: nn.BatchNorm2d(2)(ta.zeros((1, 2, 1, 1))), ShapeError,
     r"1 value per channel; expected at least 2, use a larger batch or eval\(\)"),
    ("dropout p", lambda: nn.Dropout(1.5), ArgumentError, r"Dropout: p=1\.5"),
    ("dropout nan", lambda: nn.Dropout(float("nan")), ArgumentError, r"Dropout: p=nan"),
    ("flatten axis", lambda: nn.Flatten(3)(ta.zeros((2, 3))), AxisError, r"Flatten: axis 3"),
    ("flatten order", lambda: nn.Flatten(2, 1)(ta.zeros((2, 3, 4))), ArgumentError,
     r"Flatten: start_dim=2 comes after end_dim=1 in \(2, 3, 4\)"),
    ("softmax axis", lambda: nn.Softmax(2)(ta.zeros((2, 3))), AxisError, r"softmax: axis 2"),
    ("loss reduction", lambda: nn.MSELoss("average"), ArgumentError,  # type: ignore[arg-type]
     r"MSELoss: reduction='average'; expected \"mean\", \"sum\" or \"none\""),
    ("mse shapes", lambda: nn.MSELoss("none")(ta.zeros((2, 1)), ta.zeros((2,))), ShapeError,
     r"mse: prediction \(2, 1\) and target \(2,\); must be equal"),
    ("labels dtype", lambda: nn.CrossEntropyLoss(reduction="none")(ta.zeros((2, 3)), ta.zeros(2)),
     DTypeError, r"cross_entropy: labels are float32\[2\]; expected integers"),
    ("labels shape", lambda: nn.CrossEntropyLoss()(ta.zeros((2, 3)), ta.arange(3)), ShapeError,
     r"cross_entropy: logits \(2, 3\) and labels \(3,\)"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_does_not_fit(make: Callable[[], object], error: type[Exception], text: str) -> None:
    """Impossible settings and inputs raise one line that names layer, value and remedy."""
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)
