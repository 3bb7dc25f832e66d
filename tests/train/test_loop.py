"""fit and evaluate: they learn, say what they did, and do the same again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tiny import network, quarters

import tinyaccel as ta
from tinyaccel import nn, train
from tinyaccel.data import ArrayDataset, DataLoader
from tinyaccel.errors import ArgumentError, ShapeError, TrainError
from tinyaccel.train import loop
from tinyaccel.train.record import Row

TRAIN, TEST = quarters(200, seed=1), quarters(50, seed=2)


def _figures(history: list[Row]) -> list[tuple[float | None, ...]]:
    """What is the same in every run: all but the seconds."""
    return [row[:-1] for row in history]


def test_it_learns(device: str) -> None:
    """In 8 epochs the loss falls below half of the first epoch's, and most of the test is right."""
    result = train.fit(network(), TRAIN, TEST, epochs=8, batch_size=32, lr=0.02, quiet=True)
    first, last = result.history[0], result.history[-1]
    assert last.train_loss < first.train_loss / 2
    assert result.test_accuracy == last.test_accuracy
    assert result.test_loss == last.test_loss
    assert last.test_accuracy is not None and last.test_accuracy > 0.9
    assert [row.epoch for row in result.history] == list(range(1, 9))
    assert result.device == ta.get_device(device).name
    assert 0 < sum(row.seconds for row in result.history) <= result.seconds
    # Training takes less time than training and testing.
    assert result.images_per_second > 8 * len(TRAIN) / result.seconds


def test_eager_is_jitted(device: str) -> None:
    """Three steps from one state: losses and weights agree to rounding, eager and jitted.

    Without layers whose gradient is exactly 0 in theory, which Adam would scale up to a full step
    (a bias before batch norm, say).
    """
    found = []
    for jit in (False, True):
        ta.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
        data = TRAIN.subset(slice(0, 48)), TEST.subset(slice(0, 48))
        result = train.fit(model, *data, batch_size=16, lr=1e-3, jit=jit, quiet=True)
        found.append((result.history[0], model.state_dict()))
    (row, state), (jitted_row, jitted_state) = found
    assert math.isclose(row.train_loss, jitted_row.train_loss, rel_tol=1e-6)
    assert row.test_loss is not None and jitted_row.test_loss is not None
    assert math.isclose(row.test_loss, jitted_row.test_loss, rel_tol=1e-6)
    assert row[2] == jitted_row[2]
    for name, value in state.items():
        assert np.abs(value - jitted_state[name]).max() < 1e-6, name  # a step moves by 1e-3


def test_a_whole_network_eager_is_jitted() -> None:
    """With convolution, batch norm and dropout, from one state: the losses agree to rounding."""
    rows = [
        train.fit(network(), TRAIN, TEST, lr=1e-5, jit=jit, quiet=True).history[0]
        for jit in (False, True)
    ]
    assert math.isclose(rows[0].train_loss, rows[1].train_loss, rel_tol=1e-6)
    assert math.isclose(rows[0].test_loss or 0, rows[1].test_loss or 1, rel_tol=1e-5)


@pytest.mark.parametrize("jit", [True, False])
def test_same_seed_same_result(jit: bool) -> None:
    """Two runs from the same weights and seed agree to the bit, whatever was drawn in between."""
    runs = []
    for _ in range(2):
        model = network()
        result = train.fit(model, TRAIN, TEST, epochs=2, seed=5, jit=jit, quiet=True)
        runs.append((_figures(result.history), model.state_dict()))
        ta.random.default_generator().uniform(3)
    assert runs[0][0] == runs[1][0]
    for name, value in runs[0][1].items():
        assert np.array_equal(value, runs[1][1][name]), name


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_another_seed_another_order(dropout: float) -> None:
    """The seed of fit changes the result from the same weights, without dropout too."""
    losses = {
        train.fit(network(dropout=dropout), TRAIN, seed=seed, quiet=True).history[0].train_loss
        for seed in (1, 2)
    }
    assert len(losses) == 2


def test_figures_are_means_over_images() -> None:
    """With a step too small to matter, the figures are those of the whole data set at once.

    The last batch is smaller: a mean over batches would be another number.
    """
    ta.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    odd = TRAIN.subset(slice(0, 37))
    x, y = odd.batch(slice(0, None))
    logits = model(ta.tensor(x)).numpy().astype(np.float64)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(37), y]
    right = (logits.argmax(1) == y).mean()
    row = train.fit(model, odd, odd, batch_size=16, lr=1e-12, quiet=True).history[0]
    for loss, accuracy in [
        (row.train_loss, row.train_accuracy),
        (row.test_loss, row.test_accuracy),
    ]:
        assert loss is not None and math.isclose(loss, losses.mean(), rel_tol=1e-6)
        assert accuracy == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("jit", [True, False])
def test_modes(jit: bool) -> None:
    """Testing is done in evaluation mode: batch norm's statistics stay, nothing is dropped."""
    model = network(dropout=0.5)
    before = model.state_dict()
    first, second = (train.evaluate(model, TEST, batch_size=16, jit=jit) for _ in range(2))
    assert first == second
    assert model.training
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    model.eval()
    train.fit(model, TRAIN, TEST, jit=jit, quiet=True)
    assert not model.training  # put back; but while it learnt, it was on:
    assert not np.array_equal(model.state_dict()["1.running_mean"], before["1.running_mean"])


def test_fit_and_evaluate_agree() -> None:
    """The last row's test figures are what evaluate says of the weights afterwards."""
    model = network()
    result = train.fit(model, TRAIN, TEST, epochs=2, batch_size=16, quiet=True)
    assert train.evaluate(model, TEST, batch_size=16) == (result.test_loss, result.test_accuracy)


def test_a_step_is_traced_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many epochs: one trace for full batches and one for what remains, twice."""
    made: list[Any] = []

    def spy(fn: Any) -> Any:
        made.append(ta.jit(fn))
        return made[-1]

    monkeypatch.setattr(loop, "compile_function", spy)
    train.fit(network(), TRAIN, TEST, epochs=3, batch_size=32, quiet=True)
    assert [step.traces for step in made] == [2, 2]


def test_no_gradients_stay_behind() -> None:
    """After training no parameter keeps a gradient, and one from before has no effect."""
    plain, stale = network(), network()
    for parameter in stale.parameters():
        parameter.grad = ta.full(parameter.shape, 1e3)
    for model in (plain, stale):
        train.fit(model, TRAIN, quiet=True)
        assert all(p.grad is None for p in model.parameters())
    assert all(np.array_equal(v, plain.state_dict()[k]) for k, v in stale.state_dict().items())


def test_without_a_test_set() -> None:
    """Test figures are None, not numbers made up."""
    result = train.fit(network(), TRAIN, quiet=True)
    assert (result.test_loss, result.test_accuracy, result.out) == (None, None, None)


class _Counting:
    """Stands in for the clock: a microsecond passes at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1e-6
        return self.now


def test_it_does_not_wait_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are read when the display is due, so within a second only at an epoch's end."""
    reads: list[int] = []
    steps: list[int] = []
    item = ta.Tensor.item

    def counted(self: ta.Tensor) -> bool | int | float:
        reads.append(len(steps))
        return item(self)

    def spy(fn: Any) -> Any:
        def counting(*args: ta.Tensor) -> Any:
            steps.append(1)
            return fn(*args)

        return counting

    monkeypatch.setattr(ta.Tensor, "item", counted)
    monkeypatch.setattr(loop, "compile_function", spy)
    monkeypatch.setattr(loop, "time", _Counting())
    train.fit(network(), TRAIN, batch_size=10, quiet=True)
    assert len(steps) == 20
    assert reads and set(reads) == {20}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_no_number_stops_it(jit: bool) -> None:
    """The line says the epoch and the very step, though losses are read later."""
    bright = TRAIN.subset(slice(0, 40))
    spoilt = np.array(bright.x)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    order = DataLoader(bright, 10, shuffle=True, seed=0).order(1)
    spoilt[order[25]] = 1e38  # in the third of four batches
    data = ArrayDataset(spoilt, bright.y, classes=4, name="bright")
    with pytest.raises(TrainError) as caught:
        train.fit(model, data, batch_size=10, lr=1.0, jit=jit, quiet=True)
    assert str(caught.value).endswith(
        " at epoch 1, step 3; try a smaller lr, or look for extreme values in the data"
    )
    assert str(caught.value).startswith(("fit: the loss is nan", "fit: the loss is inf"))


def test_weights_that_are_no_numbers() -> None:
    """evaluate says which batch of which data set gave no finite loss."""
    model = network()
    for parameter in model.parameters():
        parameter.assign(ta.full(parameter.shape, math.nan))
    with pytest.raises(TrainError, match=r"evaluate: the loss is nan at batch 1 of quarters; "):
        train.evaluate(model, TEST)


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "epochs 0": ({"epochs": 0}, ArgumentError, "fit: epochs=0; expected 1 or more"),
    "epochs 1.5": ({"epochs": 1.5}, ArgumentError, "fit: epochs=1.5; expected 1 or more"),
    "lr 0": ({"lr": 0.0}, ArgumentError, "fit: lr=0.0; expected a finite number above 0"),
    "lr nan": ({"lr": math.nan}, ArgumentError, "fit: lr=nan; expected a finite number above 0"),
    "batch 0": ({"batch_size": 0}, ArgumentError, "DataLoader: batch_size=0; expected 1 or more"),
    "too few logits": ({"model": LINEAR}, ShapeError,
                       "model: it gives (64, 3) for a batch (64, 1, 4, 4), but quarters has 4 "
                       "classes; expected (64, 4): change its last layer"),
    "no classifier": ({"model": nn.Conv2d(1, 4, 3)}, ShapeError,
                      "model: it gives (64, 4, 2, 2) for a batch (64, 1, 4, 4), but quarters has 4 "
                      "classes; expected (64, 4): change its last layer"),
    "more classes": ({"test": ArrayDataset(np.zeros((1, 1, 4, 4)), [0], classes=5, name="t")},
                     ArgumentError, "fit: t has 5 classes, quarters 4; the model can't learn what "
                     "it never sees: use data sets with the same classes"),
    "no parameters": ({"model": nn.Flatten()}, ArgumentError,
                      "fit: Flatten has no parameters; nothing can be learnt"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_it_refuses(case: str) -> None:
    """Each impossible argument gives its one line."""
    options, kind, text = WRONG[case]
    given: dict[str, Any] = {"model": network(), "train": TRAIN, "quiet": True, **options}
    with pytest.raises(kind) as caught:
        train.fit(**given)
    assert str(caught.value) == text
