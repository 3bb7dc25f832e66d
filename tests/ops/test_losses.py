"""Losses: PyTorch's values and derivatives for all options, their errors, and mixed derivatives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import agree

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TinyaccelError

REDUCTIONS = ("mean", "sum", "none")
NAMES = {"l1": "l1_loss", "mse": "mse_loss", "huber": "huber_loss", "smooth_l1": "smooth_l1_loss",
         "nll": "nll_loss", "bce": "binary_cross_entropy",
         "bce_with_logits": "binary_cross_entropy_with_logits"}  # fmt: skip


def _torch(name: str) -> Callable[..., Any]:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    found: Callable[..., Any] = getattr(torch.nn.functional, NAMES.get(name, name))
    return found


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("name", "options"),
    [("mse", {}), ("l1", {}), ("huber", {}), ("huber", {"delta": 0.3}), ("smooth_l1", {}),
     ("smooth_l1", {"beta": 0.3}), ("smooth_l1", {"beta": 0.0})],
    ids=str,
)  # fmt: skip
def test_distances_as_in_pytorch(
    name: str, options: dict[str, Any], reduction: str, rng: np.random.Generator
) -> None:
    """Near and far, at the kink and where both are equal, to the second order."""
    x, y = rng.normal(size=(2, 6, 5)) * 10.0 ** rng.integers(-3, 4, (6, 5))
    y[0], y[1] = x[0], 0.0
    x[1] = [0.3, -0.3, 1.0, -1.0, 0.0]  # at delta
    order = 1 if name in ("huber", "smooth_l1") else 2  # at the kink the second one is a choice
    theirs = _torch(name)
    agree(
        lambda a, b: getattr(ta, name)(a, b, reduction=reduction, **options),
        lambda a, b: theirs(a, b, reduction=reduction, **options),
        x, y, order=order,
    )  # fmt: skip
    x[1], x[0] = 0.1, y[0] + 0.01
    agree(
        lambda a, b: getattr(ta, name)(a, b, reduction=reduction, **options),
        lambda a, b: theirs(a, b, reduction=reduction, **options),
        x, y,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_bce_as_in_pytorch(reduction: str, weighted: bool, rng: np.random.Generator) -> None:
    """bce to the second order, and to the first for probabilities from 1e-50, and at 0 and 1."""
    p = rng.uniform(0.05, 0.95, (6, 5))
    t = rng.random((6, 5))
    w = rng.random(5) + 0.5
    theirs = _torch("bce")

    def ours(p: Any, t: Any) -> Any:
        return ta.bce(p, t, w if weighted else None, reduction=reduction)

    def other(p: Any, t: Any) -> Any:
        weight = p.new_tensor(w) if weighted else None
        return theirs(p, t, weight, reduction=reduction)

    agree(ours, other, p, t, rtol=1e-9)  # PyTorch's second derivative has its 1e-12 throughout
    p = p * 10.0 ** rng.integers(-9, 1, (6, 5))
    p[0], t[0] = [0, 0, 1, 1, 0.5], [0, 1, 0, 1, 1]
    p[1], t[1] = [1e-50, 1e-50, 1e-14, 1e-14, 0.5], [0, 1, 0, 1, 0]
    # By the target PyTorch's gradient is infinite there; ours is that of the value, which ends.
    # Its 1e-12 is the nearest of float32.
    agree(lambda p: ours(p, t), lambda p: other(p, p.new_tensor(t)), p, order=1, rtol=1e-8)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("weighted", "positive"), [*itertools.product([False, True], repeat=2)])
def test_bce_with_logits_as_in_pytorch(
    reduction: str, weighted: bool, positive: bool, rng: np.random.Generator
) -> None:
    """All four ways to give the two weights; logits to 1e4, and the target's gradient too."""
    x = rng.normal(size=(6, 5)) * 10.0 ** rng.integers(-3, 5, (6, 5))
    t = rng.random((6, 5))
    x[0], t[0] = [1e4, -1e4, 1e4, -1e4, 0], [0, 0, 1, 1, 1]
    w, v = rng.random((6, 1)) + 0.5, rng.random(5) * 3
    theirs = _torch("bce_with_logits")

    def ours(x: Any, t: Any) -> Any:
        return ta.bce_with_logits(
            x, t, w if weighted else None, pos_weight=v if positive else None, reduction=reduction
        )

    def other(x: Any, t: Any) -> Any:
        return theirs(
            x, t, x.new_tensor(w) if weighted else None, reduction=reduction,
            pos_weight=x.new_tensor(v) if positive else None,
        )  # fmt: skip

    agree(ours, other, x, t)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # PyTorch's advice
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_as_in_pytorch(reduction: str, log_target: bool, rng: np.random.Generator) -> None:
    """Of probabilities and of their logarithms; where the target is 0 the gradient is no NaN."""
    logits, others = rng.normal(size=(2, 6, 5)) * 3
    q, p = (np.log(np.exp(v) / np.exp(v).sum(1, keepdims=True)) for v in (logits, others))
    target = p if log_target else np.exp(p)
    theirs = _torch("kl_div")
    agree(
        lambda q, p: ta.kl_div(q, p, log_target=log_target, reduction=reduction),
        lambda q, p: theirs(q, p, log_target=log_target, reduction=reduction),
        q, target,
    )  # fmt: skip
    if not log_target:
        target[0] = [0, 0, 0, 0, 1]
        agree(
            lambda q: ta.kl_div(q, target, reduction=reduction),
            lambda q: theirs(q, q.new_tensor(target), reduction=reduction),
            q, order=1,
        )  # fmt: skip


SHAPES = [(7, 4), (3, 4, 5), (2, 4, 2, 3)]
CLASSES = list(itertools.product(REDUCTIONS, [False, True], [0.0, 0.3], [None, 0]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("reduction", "weighted", "smoothing", "ignored"), CLASSES)
def test_cross_entropy_of_labels_as_in_pytorch(
    shape: tuple[int, ...], reduction: str, weighted: bool, smoothing: float,
    ignored: int | None, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Every combination of weight, smoothing, ignored label and reduction, with far logits."""
    x = rng.normal(size=shape) * 10.0 ** rng.integers(-2, 4, shape)
    labels = rng.integers(0, 4, (shape[0], *shape[2:]))
    w = rng.random(4) + 0.5
    theirs = _torch("cross_entropy")
    at = {"label_smoothing": smoothing, "reduction": reduction}
    if ignored is not None:
        labels.flat[0] = labels.flat[3] = ignored
    agree(
        lambda x: ta.cross_entropy(x, labels, w if weighted else None, ignore_index=ignored, **at),
        lambda x: theirs(
            x, x.new_tensor(labels).long(), x.new_tensor(w) if weighted else None,
            ignore_index=-100 if ignored is None else ignored, **at,
        ),
        x,
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("reduction", "weighted", "smoothing"),
    [*itertools.product(REDUCTIONS, [False, True], [0.0, 0.3])],
)
def test_cross_entropy_of_probabilities_as_in_pytorch(
    shape: tuple[int, ...], reduction: str, weighted: bool, smoothing: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A float target of the logits' shape is taken as probabilities, which have gradients too."""
    x = rng.normal(size=shape) * 10.0 ** rng.integers(-2, 4, shape)
    target, w = rng.random(shape), rng.random(4) + 0.5
    theirs = _torch("cross_entropy")
    at = {"label_smoothing": smoothing, "reduction": reduction}
    agree(
        lambda x, t: ta.cross_entropy(x, t, w if weighted else None, **at),
        lambda x, t: theirs(x, t, x.new_tensor(w) if weighted else None, **at),
        x, target,
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("reduction", "weighted", "ignored"),
    [*itertools.product(REDUCTIONS, [False, True], [None, -7])],
)
def test_nll_as_in_pytorch(
    shape: tuple[int, ...], reduction: str, weighted: bool, ignored: int | None,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Every combination of weight, ignored label and reduction."""
    x, w = rng.normal(size=shape), rng.random(4) + 0.5
    labels = rng.integers(0, 4, (shape[0], *shape[2:]))
    theirs = _torch("nll")
    if ignored is not None:
        labels.flat[1] = ignored
    agree(
        lambda x: ta.nll(x, labels, w if weighted else None, ignore_index=ignored,
                         reduction=reduction),
        lambda x: theirs(
            x, x.new_tensor(labels).long(), x.new_tensor(w) if weighted else None,
            ignore_index=-100 if ignored is None else ignored, reduction=reduction,
        ),
        x,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64"])
def test_any_integers_are_labels(dtype: str, rng: np.random.Generator) -> None:
    """Labels of every integer dtype give one loss and one gradient; 200 classes don't fit int8."""
    x = ta.tensor(rng.normal(size=(5, 200)))
    labels = rng.integers(0, 127, 5)
    expected = ta.value_and_grad(lambda x: ta.cross_entropy(x, ta.tensor(labels)))(x)
    found = ta.value_and_grad(lambda x: ta.cross_entropy(x, ta.tensor(labels, dtype=dtype)))(x)
    np.testing.assert_array_equal(found[0].numpy(), expected[0].numpy())
    np.testing.assert_array_equal(found[1].numpy(), expected[1].numpy())


def test_a_label_that_is_no_class_raises() -> None:
    """Below 0, too: a label of -1 doesn't count back from the last class. Ignored, it is fine."""
    x = ta.zeros((2, 3))
    for wrong in (-1, -100, 3):
        labels = ta.tensor([0, wrong])
        for loss in (ta.cross_entropy, ta.nll):
            with pytest.raises(IndexRangeError, match="out of range for an axis of 3"):
                loss(x, labels)
            assert loss(x, labels, ignore_index=wrong).shape == ()
    with pytest.raises(IndexRangeError):
        ta.cross_entropy(x, ta.tensor([0, -1], dtype="int8"))


def test_plain_cross_entropy_keeps_its_few_steps() -> None:
    """Without options the gradient is softmax minus one-hot, whatever the body has for the rest."""
    labels = ta.tensor([1, 0])
    step = ta.jit(ta.grad(lambda x: ta.cross_entropy(x, labels)))
    step(ta.zeros((2, 3)))
    assert [i.op for i in step.graph(optimized=True).instrs] == [
        "reshape", "arange", "equal", "astype", "div", "max", "sub", "exp", "sum", "div", "sub",
        "mul",
    ]  # fmt: skip


def test_many_halves_have_a_mean() -> None:
    """The mean of more float16 than float16 can count, and its gradient, are right."""
    n = 70_000
    x, y = ta.full(n, 0.5, dtype="float16"), ta.zeros(n, dtype="float16")
    for loss, slope in ((ta.bce, 2.0), (ta.mse, 1.0)):
        assert abs(loss(x, y).item() - (0.25 if loss is ta.mse else np.log(2))) < 1e-3
        g = ta.grad(lambda x, loss=loss: loss(x, y) * 1000)(x).numpy().astype(np.float64)
        np.testing.assert_allclose(g * n / 1000, slope, rtol=2e-3)
    labels = ta.zeros(n, dtype="int32")
    logits = ta.zeros((n, 2), dtype="float16")
    assert abs(ta.cross_entropy(logits, labels, ignore_index=5).item() - np.log(2)) < 1e-3


def test_a_gradient_may_be_differentiated_by_the_other_input() -> None:
    """d/dy of d/dx mse(x, y) is -2/n, though the first of them was asked for x alone."""
    x, y, v = (ta.tensor(v) for v in ([1.0, 2.0, 4.0], [0.5, 1.0, 7.0], [1.0, 2.0, 3.0]))
    mixed = ta.grad(lambda y: (ta.grad(lambda x: ta.mse(x, y))(x) * v).sum())(y)
    np.testing.assert_allclose(mixed.numpy(), -2 / 3 * v.numpy(), rtol=1e-6)
    p, t = x / 8, y / 8
    mixed = ta.grad(lambda t: (ta.grad(lambda p: ta.bce(p, t))(p) * v).sum())(t)
    exact = -v.numpy() / (p * (1 - p)).numpy() / 3
    np.testing.assert_allclose(mixed.numpy(), exact, rtol=1e-6)


def test_a_weight_has_a_gradient(rng: np.random.Generator) -> None:
    """Weights are inputs like others: by finite differences, for the mean that divides by them."""
    x, labels = ta.tensor(rng.normal(size=(6, 3))), ta.tensor([0, 1, 2, 0, 1, 1])
    w, d = rng.random(3) + 0.5, np.array([1e-6, -2e-6, 1e-6])

    def loss(w: ta.Tensor) -> ta.Tensor:
        return ta.cross_entropy(x, labels, w, label_smoothing=0.2, ignore_index=2)

    slope = (ta.grad(loss)(ta.tensor(w)).numpy() * d).sum()
    ahead, behind = (loss(ta.tensor(v)).item() for v in (w + d, w - d))
    np.testing.assert_allclose(slope, (ahead - behind) / 2, rtol=1e-7)


X, L = (2, 3), [0, 1]
BAD: list[tuple[Callable[[], object], type[TinyaccelError], str]] = [
    (lambda: ta.mse(ta.ones(2), ta.ones(2), reduction="avg"),  # type: ignore[arg-type]
     ArgumentError, "mse: reduction='avg'; expected \"mean\", \"sum\" or \"none\""),
    (lambda: ta.kl_div(ta.ones(2), ta.ones(2), reduction="avg"),  # type: ignore[arg-type]
     ArgumentError,
     "kl_div: reduction='avg'; expected \"mean\", \"sum\", \"none\" or \"batchmean\""),
    (lambda: ta.l1(ta.ones(2), ta.ones((2, 1))), ShapeError,
     "l1: prediction (2,) and target (2, 1); must be equal"),
    (lambda: ta.huber(ta.ones(2), ta.ones(2), delta=-1.0), ArgumentError,
     "huber: delta=-1.0; expected a number of at least 0"),
    (lambda: ta.smooth_l1(ta.ones(2), ta.ones(2), beta=float("nan")), ArgumentError,
     "smooth_l1: beta=nan; expected a number of at least 0"),
    (lambda: ta.bce(ta.ones(2), ta.ones(2), ta.ones((2, 2))), ShapeError,
     "bce: weight (2, 2) for (2,); must broadcast to it"),
    (lambda: ta.bce_with_logits(ta.ones(X), ta.ones(X), pos_weight=ta.ones(2)), ShapeError,
     "bce_with_logits: shapes (2,) and (2, 3) don't broadcast; "
     "sizes must be equal or 1, counted from the last axis"),
    (lambda: ta.nll(ta.ones(X), ta.ones(2)), DTypeError,
     "nll: labels are float32[2]; expected integers, a class each"),
    (lambda: ta.nll(ta.ones(X), ta.tensor([0])), ShapeError,
     "nll: input (2, 3) and labels (1,); expected (N, classes, ...) and (N, ...), N at least 1"),
    (lambda: ta.nll(ta.ones(X), ta.tensor(L), ta.ones(2)), ShapeError,
     "nll: weight (2,); expected (3,), one per class"),
    (lambda: ta.nll(ta.ones(X), ta.tensor(L), ignore_index=0.5),  # type: ignore[arg-type]
     ArgumentError, "nll: ignore_index=0.5; expected an integer or None"),
    (lambda: ta.cross_entropy(ta.ones(X), ta.tensor(L), label_smoothing=2.0), ArgumentError,
     "cross_entropy: label_smoothing=2.0; expected from 0 to 1"),
    (lambda: ta.cross_entropy(ta.ones(X), ta.ones(X), ignore_index=1), ArgumentError,
     "cross_entropy: ignore_index=1 with probabilities; leave it out"),
    (lambda: ta.cross_entropy(ta.ones(X), ta.ones(X), ta.ones(2)), ShapeError,
     "cross_entropy: weight (2,); expected (3,), one per class"),
    (lambda: ta.soft_cross_entropy(ta.ones(X), ta.ones((3, 2))), ShapeError,
     "soft_cross_entropy: logits (2, 3) and probabilities (3, 2); expected (N, classes, ...) both"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), BAD, ids=[b[2][:40] for b in BAD])
def test_bad_input(make: Callable[[], object], error: type[TinyaccelError], text: str) -> None:
    """What doesn't fit is named in one line, by the loss that was called."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == text
