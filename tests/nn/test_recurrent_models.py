"""The LSTM classifier: its size, what it reads in which order, that it learns, and bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, ShapeError


def test_size_and_shapes() -> None:
    """As many weights as PyTorch's layers have; images and sequences of any size; layers."""
    model = nn.make_model("lstm_classifier")
    assert sum(p.size for p in model.parameters()) == 4 * 128 * (28 + 128 + 2) + 128 * 10 + 10
    for shape in ((3, 6, 5), (7, 4)):
        model = nn.make_model("lstm_classifier", shape, 3, hidden=8, layers=2)
        assert model(ta.zeros((2, *shape))).shape == (2, 3)
        assert isinstance(model, nn.LSTMClassifier)
        assert model.lstm.input_size == (15 if len(shape) == 3 else 4)
        assert model.lstm.num_layers == 2


def test_rows_are_read_from_the_top(rng: np.random.Generator) -> None:
    """A step is a row with all its channels; the head sees the last layer's last state."""
    model = nn.LSTMClassifier((2, 4, 3), 5, hidden=6, layers=2)
    x = rng.normal(size=(2, 2, 4, 3)).astype(np.float32)
    rows = np.stack([np.concatenate([x[:, 0, i], x[:, 1, i]], axis=1) for i in range(4)])
    output, _ = nn.LSTM.forward(model.lstm, ta.tensor(rows.transpose(1, 0, 2)))
    expected = model.head(output[:, -1])
    np.testing.assert_allclose(model(ta.tensor(x)).numpy(), expected.numpy(), atol=1e-6)


def test_it_learns_what_came_first(rng: np.random.Generator) -> None:
    """In 40 jitted steps it learns to tell which of three rows was marked: it must remember."""
    y = rng.integers(0, 3, 48)
    x = 0.1 * rng.normal(size=(48, 6, 4))
    x[np.arange(48), y, 0] += 2
    images, labels = ta.tensor(x, dtype="float32"), ta.tensor(y, dtype="int32")
    model = nn.LSTMClassifier((6, 4), 3, hidden=12)
    optimizer = ta.optim.Adam(model.parameters(), lr=3e-2)

    @ta.jit
    def step() -> ta.Tensor:
        optimizer.zero_grad()
        loss = ta.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    losses = [step().item() for _ in range(40)]
    assert losses[0] > 1 > 0.3 > losses[-1]
    assert (model(images).argmax(1) == labels).numpy().mean() > 0.95
    assert step.traces <= 2


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: nn.make_model("lstm_classifier", (28,)), ArgumentError,
     "lstm_classifier: input_shape=(28,); expected (channels, height, width) or (steps, features) "
     "of one sample, each at least 1"),
    (lambda: nn.make_model("lstm_classifier", hidden=0), ArgumentError,
     "lstm_classifier: hidden=0; expected an integer of at least 1"),
    (lambda: nn.LSTMClassifier((1, 4, 4))(ta.zeros((2, 4, 4))), ShapeError,
     "lstm_classifier: input (2, 4, 4); expected (N, 1, 4, 4)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), BAD, ids=[text[:50] for _, _, text in BAD])
def test_bad_input(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    """One line says what arrived, and what was expected."""
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
