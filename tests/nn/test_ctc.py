"""CTCLoss: PyTorch's values and gradients, all alignments counted one by one, and bad input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError

FRAMES, BATCH, CLASSES = 6, 5, 4
# A label twice, whose blank between costs a frame; one that needs more frames than there are; one
# behind whose end is no class; none at all. The blank is class 3.
TARGETS = np.array([[0, 1, 1], [2, 0, 1], [0, 0, 0], [1, -7, 99], [0, 0, 0]], np.int32)
COUNTS = np.array([3, 2, 3, 1, 0], np.int32)
LENGTHS = np.array([6, 5, 4, 2, 3], np.int32)


def step_of(loss: nn.CTCLoss) -> Callable[..., tuple[ta.Tensor, ta.Tensor]]:
    """The loss behind log_softmax, and the gradient of its sum by the logits."""

    def step(logits: ta.Tensor, *rest: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        total = loss(ta.log_softmax(logits, axis=2), *rest)
        return total, ta.grad(lambda x: loss(ta.log_softmax(x, axis=2), *rest).sum())(logits)

    return step


def theirs(options: dict[str, Any], logits: np.ndarray, *rest: np.ndarray) -> list[np.ndarray]:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = torch.tensor(logits, requires_grad=True)
    given = [torch.tensor(np.clip(a, 0, 9)).long() for a in rest]
    y = torch.nn.CTCLoss(**options)(x.log_softmax(2), *given)
    y.sum().backward()
    return [y.detach().numpy(), x.grad.numpy()]


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_as_in_pytorch(reduction: Any, zero_infinity: bool, rng: np.random.Generator) -> None:
    """Losses and gradients, eager and jitted; one trace serves all lengths and targets.

    Where the loss is inf, PyTorch's gradient is NaN, and ours 0.
    """
    options: dict[str, Any] = {"blank": 3, "reduction": reduction, "zero_infinity": zero_infinity}
    logits = rng.normal(size=(FRAMES, BATCH, CLASSES)) * 3
    step = step_of(nn.CTCLoss(**options))
    jitted = ta.jit(step)
    first: list[np.ndarray] = [TARGETS, LENGTHS, COUNTS]
    turned: list[np.ndarray] = [np.roll(a, 1, axis=0) for a in first]
    for rest in (first, turned):
        loss, slope = theirs(options, logits, *rest)
        slope = np.where(np.isnan(slope), 0, slope)
        for run in (step, jitted):
            found = run(*[ta.tensor(a) for a in [logits, *rest]])
            np.testing.assert_allclose(found[0].numpy(), loss, rtol=1e-13)
            np.testing.assert_allclose(found[1].numpy(), slope, rtol=1e-11, atol=1e-14)
    assert jitted.traces == 1


def spelled(alignment: tuple[int, ...]) -> list[int]:
    """What is left without repetitions and blanks (0)."""
    return [label for label, _ in itertools.groupby(alignment) if label]


@pytest.mark.parametrize("target", [[1, 1], [2, 1], [2], []], ids=str)
def test_every_alignment_counts(target: list[int], rng: np.random.Generator) -> None:
    """For scores that are no probabilities: the sum over all alignments, and its slopes."""
    scores = rng.normal(size=(4, 3))
    ways = [way for way in itertools.product(range(3), repeat=4) if spelled(way) == target]
    weights = np.array([math.exp(sum(scores[t, c] for t, c in enumerate(way))) for way in ways])
    shares = np.zeros_like(scores)
    for way, weight in zip(ways, weights, strict=True):
        for t, c in enumerate(way):
            shares[t, c] -= weight / weights.sum()
    x = ta.tensor(scores, requires_grad=True)
    labels = ta.tensor(np.array(target, np.int32))
    loss = nn.CTCLoss(reduction="sum")(x, labels, 4, len(target))
    loss.backward()
    assert loss.shape == () and x.grad is not None
    np.testing.assert_allclose(loss.item(), -math.log(weights.sum()), rtol=1e-13)
    np.testing.assert_allclose(x.grad.numpy(), shares, rtol=1e-12, atol=1e-15)


def test_curvature(rng: np.random.Generator) -> None:
    """The gradient's own gradient is its slope, places that nothing reaches included."""
    x, v = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    labels = ta.tensor([1, 1])

    def loss(s: ta.Tensor) -> ta.Tensor:
        return nn.CTCLoss(reduction="sum")(s, labels, 4, 2)

    slopes = [ta.grad(loss)(ta.tensor(x + h * v)).numpy() for h in (1e-5, -1e-5)]
    numeric = (slopes[0] - slopes[1]) / 2e-5
    found = np.asarray(ta.hvp(loss, (ta.tensor(x),), (ta.tensor(v),)))
    np.testing.assert_allclose(found, numeric, rtol=1e-6, atol=1e-8)


def test_targets_in_one_row(rng: np.random.Generator) -> None:
    """They are what they are as rows, however wide; by lengths in sequences and in tensors."""
    logs = ta.log_softmax(ta.tensor(rng.normal(size=(FRAMES, BATCH, CLASSES))), axis=2)
    loss = nn.CTCLoss(3, "none")
    lengths, counts = ta.tensor(LENGTHS), ta.tensor(COUNTS)
    expected = loss(logs, ta.tensor(TARGETS), lengths, counts).numpy()
    row = ta.tensor(np.concatenate([t[:n] for t, n in zip(TARGETS, COUNTS, strict=True)]))
    wider = ta.tensor(np.pad(TARGETS, ((0, 0), (0, 2))))
    for found in (
        loss(logs, wider, LENGTHS.tolist(), COUNTS.tolist()),
        loss(logs, row, LENGTHS.tolist(), COUNTS.tolist()),
        loss(logs, row, lengths, counts),
        ta.jit(loss)(logs, row, lengths, counts),
    ):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)
    nothing = loss(logs, row[:0], lengths, [0] * BATCH)
    first = np.cumsum(logs.numpy()[:, :, 3], axis=0)[LENGTHS - 1, np.arange(BATCH)]
    np.testing.assert_allclose(nothing.numpy(), -first, rtol=1e-14)


def test_on_a_device(device: str, rng: np.random.Generator) -> None:
    """Jitted in float32, loss and gradient are those of float64 on the CPU."""
    logs = ta.tensor(rng.normal(size=(2, 2, 3)), device="cpu")
    labels = np.array([[1, 2], [2, 0]], np.int32)
    rest = [ta.tensor(a, device="cpu") for a in (labels, np.array([2, 1]), np.array([2, 1]))]
    step = ta.value_and_grad(nn.CTCLoss())
    there = [t.to(device) for t in (logs.astype("float32"), *rest)]
    for a, b in zip(ta.jit(step)(*there), step(logs, *rest), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_impossible_classes() -> None:
    """A probability of 0 is a log of -inf, and makes no NaN; an impossible target has no slope."""
    half = math.log(0.5)
    x = ta.tensor([[[half, half]], [[0.0, -math.inf]]], requires_grad=True)
    loss = nn.CTCLoss()(x, ta.tensor([[1]]), [2], [1])  # only 1, then a blank
    loss.backward()
    assert loss.item() == -x[0, 0, 1].item()
    assert x.grad is not None and x.grad.tolist() == [[[0, -1]], [[-1, 0]]]
    x.grad = None
    loss = nn.CTCLoss()(x, ta.tensor([[1, 1]]), [2], [2])
    loss.backward()
    assert loss.item() == math.inf
    assert x.grad is not None and not x.grad.numpy().any()


def test_no_frames() -> None:
    """Of 0 frames only a target without labels is spelled, and that for certain."""
    logs = ta.zeros((2, 2, 3))
    loss = nn.CTCLoss(reduction="none")(logs, ta.tensor([[1], [1]]), [0, 0], [0, 1])
    assert loss.tolist() == [0.0, math.inf]


def test_half_precision(rng: np.random.Generator) -> None:
    """float16 is summed in float32 and rounded once."""
    logs = ta.tensor(rng.normal(size=(12, 20, 3)), dtype="float16")
    rest = (ta.tensor([[1, 2]] * 20), [12] * 20, [2] * 20)
    loss = nn.CTCLoss(reduction="none")
    found = loss(logs, *rest)
    assert found.dtype is ta.float16
    assert found.tolist() == loss(logs.astype("float32"), *rest).astype("float16").tolist()


LOGS, LABELS = ta.zeros((4, 2, 3)), ta.tensor([[1, 2], [2, 0]])
BAD: list[tuple[str, tuple[Any, ...], type[Exception], str]] = [
    ("axes", (ta.zeros(3), LABELS, [4, 4], [2, 1]), ShapeError,
     r"log_probs \(3,\); expected \(T, N, C\), or \(T, C\) for one sequence"),
    ("no frames", (ta.zeros((0, 2, 3)), LABELS, [0, 0], [2, 1]), ShapeError, "each at least 1"),
    ("whole", (LOGS.astype("int32"), LABELS, [4, 4], [2, 1]), DTypeError,
     r"log_probs are int32\[4, 2, 3\]; expected floats"),
    ("floats", (LOGS, ta.zeros((2, 2)), [4, 4], [2, 1]), DTypeError,
     r"targets are float32\[2, 2\]; expected integers, labels"),
    ("rows", (LOGS, ta.tensor([[1]]), [4, 4], [1, 1]), ShapeError,
     r"targets \(1, 1\) for log_probs \(4, 2, 3\); expected \(2, S\), or all labels in one row"),
    ("too few lengths", (LOGS, LABELS, [4], [2, 1]), ShapeError,
     r"input_lengths \(1,\) for 2 sequences; expected \(2,\), one for each"),
    ("float lengths", (LOGS, LABELS, [4, 4], ta.zeros(2)), DTypeError,
     r"target_lengths are float32\[2\]; expected integers"),
    ("below 0", (LOGS, LABELS, [4, 4], [2, -1]), ArgumentError,
     r"target_lengths=\[2, -1\]; expected integers of at least 0, one per sequence"),
    ("too long", (LOGS, LABELS, [4, 4], [3, 1]), ShapeError,
     r"target_lengths=\[3, 1\] for targets \(2, 2\); expected each at most 2"),
    ("not all", (LOGS, ta.tensor([1, 2, 1]), [4, 4], [1, 1]), ShapeError,
     r"target_lengths=\[1, 1\] for targets \(3,\); expected in all 3"),
    ("tensor too long", (LOGS, LABELS, [4, 4], ta.tensor([3, 1])), IndexRangeError, "index 8"),
    ("tensor below 0", (LOGS, LABELS, [4, 4], ta.tensor([2, -1])), IndexRangeError, "index 8"),
    ("no class", (LOGS, ta.tensor([[1, 3], [1, 1]]), [4, 4], [2, 1]), IndexRangeError, "index 3"),
    ("negative", (LOGS, ta.tensor([[1, -1], [1, 1]]), [4, 4], [2, 1]), IndexRangeError, "index 3"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "text"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_does_not_fit(given: tuple[Any, ...], error: type[Exception], text: str) -> None:
    """Inputs that can't be raise one line that says what arrived, and what was expected."""
    with pytest.raises(error, match=text) as caught:
        nn.CTCLoss()(*given)
    assert "\n" not in str(caught.value)


def test_settings_that_do_not_fit() -> None:
    """A blank that is no class, and an unknown reduction."""
    with pytest.raises(ArgumentError, match=r"^CTCLoss: blank=-1; expected a class, 0 or more"):
        nn.CTCLoss(-1)
    with pytest.raises(ArgumentError, match=r"^CTCLoss: blank=3 of 3 classes; expected"):
        nn.CTCLoss(3)(LOGS, LABELS, [4, 4], [2, 1])
    with pytest.raises(ArgumentError, match=r"^CTCLoss: reduction='avg'; expected \"mean\""):
        nn.CTCLoss(reduction="avg")  # type: ignore[arg-type]
