"""Trainer: it learns, says what it did, and does the same again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tiny import network, quarters

import tinyaccel as ta
from tinyaccel import nn, optim
from tinyaccel.data import ArrayDataset, DataLoader
from tinyaccel.errors import ArgumentError, ShapeError, TrainError
from tinyaccel.train import Callback, Trainer, fitting, steps
from tinyaccel.train.callbacks import Row

TRAIN, TEST = quarters(200, seed=1), quarters(50, seed=2)


def _fit(model: nn.Module, *data: Any, lr: float = 1e-3, **given: Any) -> Trainer:
    """A trainer after `fit`, with Adam, quiet; options of `fit` apart from those of `Trainer`."""
    of_fit = {"epochs", "batch_size", "validation_split", "workers", "out", "transform", "resume"}
    trainer = Trainer(
        model,
        optimizer=optim.Adam(model.parameters(), lr),
        **{name: value for name, value in given.items() if name not in of_fit},
    )
    options = {name: value for name, value in given.items() if name in of_fit}
    trainer.fit(*data, **{"progress": "quiet", "workers": 0, **options})
    return trainer


def _figures(trainer: Trainer) -> list[Row]:
    """What is the same in every run: all but the time that it took."""
    clocks = ("seconds", "images_per_second")
    return [{k: v for k, v in row.items() if k not in clocks} for row in trainer.history.rows]


def _equal(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_it_learns(device: str) -> None:
    """In 8 epochs the loss falls below half of the first epoch's, and most of the test is right."""
    trainer = _fit(network(), TRAIN, TEST, epochs=8, batch_size=32, lr=0.02)
    rows = trainer.history.rows
    assert rows[-1]["loss"] < rows[0]["loss"] / 2  # type: ignore[operator]
    assert rows[-1]["val_accuracy"] > 0.9  # type: ignore[operator]
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert list(rows[0]) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "images_per_second",
        "seconds",
    ]  # fmt: skip
    assert trainer.device is ta.get_device(device)
    assert trainer.finished and trainer.step == trainer.updates == 56
    # Training takes less time than training and testing.
    assert rows[0]["images_per_second"] > len(TRAIN) / rows[0]["seconds"]  # type: ignore[operator]


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
        trainer = _fit(model, *data, batch_size=16, jit=jit)
        found.append((trainer.history.rows[0], model.state_dict()))
    (row, state), (jitted_row, jitted_state) = found
    for name in ("loss", "val_loss"):
        assert math.isclose(row[name], jitted_row[name], rel_tol=1e-6)  # type: ignore[arg-type]
    assert row["accuracy"] == jitted_row["accuracy"]
    for name, value in state.items():
        assert np.abs(value - jitted_state[name]).max() < 1e-6, name  # a step moves by 1e-3


@pytest.mark.parametrize("jit", [True, False])
def test_same_seed_same_result(jit: bool) -> None:
    """Two runs from the same weights and seed agree to the bit, whatever was drawn in between."""
    runs = []
    for _ in range(2):
        model = network()
        trainer = _fit(model, TRAIN, TEST, epochs=2, seed=5, jit=jit)
        runs.append((_figures(trainer), model.state_dict()))
        ta.random.default_generator().uniform(3)
    assert runs[0][0] == runs[1][0]
    assert _equal(runs[0][1], runs[1][1])


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_another_seed_another_order(dropout: float) -> None:
    """The seed changes the result from the same weights, without dropout too."""
    runs = [_fit(network(dropout=dropout), TRAIN, seed=seed) for seed in (1, 2)]
    assert runs[0].history["loss"] != runs[1].history["loss"]


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
    row = _fit(model, odd, odd, batch_size=16, lr=1e-12).history.rows[0]
    for prefix in ("", "val_"):
        loss, accuracy = row[f"{prefix}loss"], row[f"{prefix}accuracy"]
        assert loss is not None and math.isclose(loss, losses.mean(), rel_tol=1e-6)
        assert accuracy == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("jit", [True, False])
def test_modes(jit: bool) -> None:
    """Testing is done in evaluation mode: batch norm's statistics stay, nothing is dropped."""
    model = network(dropout=0.5)
    before = model.state_dict()
    trainer = Trainer(model, jit=jit)
    first, second = (trainer.evaluate(TEST, batch_size=16) for _ in range(2))
    assert np.array_equal(first.outputs, second.outputs)
    assert model.training and _equal(model.state_dict(), before)
    model.eval()
    trainer.fit(TRAIN, TEST, progress="quiet")
    assert not model.training  # put back; but while it learnt, it was on:
    assert not np.array_equal(model.state_dict()["1.running_mean"], before["1.running_mean"])


def test_fit_evaluate_and_predict_agree() -> None:
    """The last row is what evaluate says afterwards, of the logits that predict gives."""
    trainer = _fit(network(), TRAIN, TEST, epochs=2, batch_size=16)
    row, tested = trainer.history.rows[-1], trainer.evaluate(TEST, batch_size=16)
    assert (tested.loss, tested.accuracy) == (row["val_loss"], row["val_accuracy"])
    logits = trainer.predict(TEST, batch_size=16)
    assert np.array_equal(logits, tested.outputs) and logits.shape == (50, 4)
    assert tested.accuracy == (logits.argmax(1) == TEST.y).mean()
    x, _ = TEST.batch(slice(0, 16))
    assert np.array_equal(trainer.predict(x), logits[:16])


def test_validation_split() -> None:
    """A part of the training data is kept for the validation, the same one for the same seed."""
    trainer = _fit(network(), TRAIN, validation_split=0.25, batch_size=10)
    assert trainer.step == 15  # 150 of 200
    assert trainer.history["val_loss"][0] is not None
    with pytest.raises(ArgumentError, match=r"^fit: validation and validation_split are given; "):
        _fit(network(), TRAIN, TEST, validation_split=0.5)


def test_a_step_is_traced_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many epochs and learning rates: one trace for full batches, one for what remains."""
    made: dict[str, Any] = {}

    def spy(fn: Any) -> Any:
        made[fn.__name__] = ta.jit(fn)
        return made[fn.__name__]

    monkeypatch.setattr(steps, "compile_function", spy)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.StepLR(optimizer, step_size=2, gamma=0.9)
    trainer = Trainer(model, optimizer=optimizer, schedule=schedule)
    trainer.fit(TRAIN, TEST, epochs=3, batch_size=32, progress="quiet")
    assert (made["_whole"].traces, made["_test"].traces) == (2, 2)
    rates = trainer.history["lr"]
    assert rates == pytest.approx([0.1 * 0.9 ** (u // 2) for u in (6, 13, 20)], rel=1e-6)


def test_no_gradients_stay_behind() -> None:
    """After training no parameter keeps a gradient, and one from before has no effect."""
    plain, stale = network(), network()
    for parameter in stale.parameters():
        parameter.grad = ta.full(parameter.shape, 1e3)
    for model in (plain, stale):
        _fit(model, TRAIN)
        assert all(p.grad is None for p in model.parameters())
    assert _equal(plain.state_dict(), stale.state_dict())


def test_without_a_validation() -> None:
    """There are no validation figures, rather than figures made up; evaluation still works."""
    trainer = _fit(network(), TRAIN)
    assert "val_loss" not in trainer.history.rows[0]
    assert trainer.evaluate(TEST).accuracy > 0


@pytest.mark.parametrize("jit", [True, False])
def test_accumulation_is_a_larger_batch(jit: bool) -> None:
    """Two batches for an update give what one batch of twice the size gives, to rounding.

    Also for the last update of an epoch, made of a batch that is whole and one of 5 (37 images).
    """
    odd, states = TRAIN.subset(slice(0, 37)), []
    for size, accumulate in ((16, 1), (8, 2)):
        ta.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        trainer = Trainer(model, optimizer=optimizer, accumulate=accumulate, jit=jit)
        trainer.fit(odd, epochs=2, batch_size=size, progress="quiet")
        assert trainer.updates == 6
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert np.abs(value - states[1][name]).max() < 1e-6, name


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(precision: str) -> None:
    """It learns as float32 does, with float32 weights, and no step is lost to an overflow."""
    runs = [_fit(network(dropout=0), TRAIN, TEST, epochs=6, batch_size=32, lr=0.02, precision=p)
            for p in ("float32", precision)]  # fmt: skip
    exact, mixed = (run.history["loss"] for run in runs)
    assert mixed != exact
    # Sums and products of numbers with 8 bits, a few thousand of them: a few percent.
    assert mixed[-1] == pytest.approx(exact[-1], rel=0.1)
    assert {p.dtype.name for p in runs[1].model.parameters()} == {"float32"}


def test_float16_without_scaling_would_lose_gradients() -> None:
    """A loss whose gradients are below float16's smallest number still moves the weights."""
    ta.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    before = model.state_dict()

    def small(out: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        return ta.cross_entropy(out, y) * 1e-6

    optimizer = optim.SGD(model.parameters(), lr=1e4)
    Trainer(model, optimizer=optimizer, loss=small, precision="float16").fit(
        TRAIN, batch_size=200, progress="quiet"
    )
    moved = {name: np.abs(v - before[name]).max() for name, v in model.state_dict().items()}
    assert min(moved.values()) > 1e-4, moved


def test_clipping() -> None:
    """With plain SGD, one step is never longer than lr times the norm's bound."""
    ta.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    Trainer(model, optimizer=optimizer, clip_norm=1e-3).fit(TRAIN, batch_size=200, progress="quiet")
    after = model.state_dict()
    length = math.sqrt(sum(float(np.square(after[k] - before[k]).sum()) for k in before))
    assert length == pytest.approx(1e-3, rel=1e-3)


def test_averaged_weights() -> None:
    """They are what is evaluated, and what the model has at the end: the average of each step's."""
    ta.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    seen: list[Any] = [model.state_dict()["1.weight"]]

    class Watch(Callback):
        def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
            seen.append(trainer.model.state_dict()["1.weight"])

    optimizer = optim.SGD(model.parameters(), lr=0.5)
    trainer = Trainer(model, optimizer=optimizer, ema=0.5, callbacks=[Watch()])
    trainer.fit(TRAIN, TEST, epochs=3, batch_size=200, progress="quiet")
    average = seen[1]  # the first step's, which the average begins with
    for weights in seen[2:]:
        average = 0.5 * average + 0.5 * weights
    assert np.abs(model.state_dict()["1.weight"] - average).max() < 1e-6
    assert trainer.evaluate(TEST, batch_size=200).loss == trainer.history["val_loss"][-1]


def test_regression() -> None:
    """Data with float targets is fitted by the mean squared error, without accuracies."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype(np.float32)
    data = ArrayDataset(x, x @ np.array([[1.0], [2.0], [-1.0]], np.float32) + 0.5)
    ta.manual_seed(0)
    model = nn.Linear(3, 1)
    trainer = _fit(model, data, data, epochs=60, batch_size=16, lr=0.05, metrics=["mae"])
    row = trainer.history.rows[-1]
    assert row["val_loss"] < 1e-4 and row["val_mae"] < 1e-2  # type: ignore[operator]
    assert "accuracy" not in row
    assert np.abs(model.state_dict()["bias"] - 0.5).max() < 1e-2


class _Counting:
    """Stands in for the clock: each look at it takes a while."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def perf_counter(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.mark.parametrize("seconds", [1e-6, 0.4])
def test_a_step_never_waits(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step gave is read some steps later, when the display is due, or at the epoch's end.

    Each read names the step of what it read; with a display due at every third step, what is read
    then is of three steps before.
    """
    reads: list[tuple[int, int]] = []
    done = [0]
    item = ta.Tensor.item

    def counted(self: ta.Tensor) -> bool | int | float:
        value = item(self)
        if self.label == "totals.step" or self.dtype is ta.int32:
            reads.append((done[0], int(value)))
        return value

    def spy(fn: Any) -> Any:
        def counting(*args: ta.Tensor) -> Any:
            done[0] += fn.__name__ == "_whole"
            return fn(*args)

        counting.__name__ = fn.__name__
        return counting

    monkeypatch.setattr(ta.Tensor, "item", counted)
    monkeypatch.setattr(steps, "compile_function", spy)
    monkeypatch.setattr(fitting, "time", _Counting(seconds))
    _fit(network(), TRAIN, batch_size=10)
    assert done == [20]
    during = [(now, value) for now, value in reads if 0 < now < 20 and value > 0]
    if seconds < 1e-3:
        assert during == []
    else:
        assert during
        samples = {(now, value) for now, value in during if value % 10 == 0 and value > 4}
        assert samples and all(value <= 10 * (now - 1) for now, value in samples)


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
    text = (
        r"^fit: the loss is no finite number at epoch 1, step 3; try a smaller lr, clip_norm, or "
        r"look for extreme values in the data$"
    )
    with pytest.raises(TrainError, match=text):
        _fit(model, data, batch_size=10, lr=1.0, jit=jit)


def test_weights_that_are_no_numbers() -> None:
    """evaluate says which data set gave no finite loss."""
    model = network()
    for parameter in model.parameters():
        parameter.assign(ta.full(parameter.shape, math.nan))
    with pytest.raises(TrainError, match=r"evaluate: the loss on quarters is nan; "):
        Trainer(model).evaluate(TEST)


def test_a_loader_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """fit takes a DataLoader as it is, here one that leaves the last batch out; each epoch is
    trained on that epoch's own order of it.
    """
    trainer = Trainer(network())
    loader = DataLoader(TRAIN, 64, shuffle=True, seed=3, drop_last=True)
    seen: list[Any] = []
    upload = trainer.upload
    monkeypatch.setattr(trainer, "upload", lambda x: seen.append(x) or upload(x))
    trainer.fit(loader, epochs=2, progress="quiet")
    wanted = [part for epoch in (1, 2) for batch in loader.epoch(epoch) for part in batch]
    assert len(seen) == len(wanted) == 12
    assert all(np.array_equal(a, b) for a, b in zip(seen, wanted, strict=True))


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
FIVE = ArrayDataset(np.zeros((1, 1, 4, 4)), [0], classes=5, name="t")

WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = {
    "epochs 0": ({}, {"epochs": 0}, ArgumentError, "fit: epochs=0; expected an integer, 1 or more"),
    "epochs 1.5": ({}, {"epochs": 1.5}, ArgumentError,
                   "fit: epochs=1.5; expected an integer, 1 or more"),
    "save_every 0": ({}, {"save_every": 0}, ArgumentError,
                     "fit: save_every=0; expected an integer, 1 or more"),
    "on_save_error": ({}, {"on_save_error": "cry"}, ArgumentError,
                      "fit: on_save_error='cry'; expected stop or continue"),
    "resume nothing": ({}, {"resume": True}, ArgumentError,
                       "fit: resume=True without out=; name the run's folder, too"),
    "accumulate 0": ({"accumulate": 0}, {}, ArgumentError,
                     "Trainer: accumulate=0; expected an integer, 1 or more"),
    "precision": ({"precision": "float8"}, {}, ArgumentError,
                  "precision 'float8'; expected one of float32, bfloat16, float16"),
    "clip_norm": ({"clip_norm": 0.0}, {}, ArgumentError,
                  "Trainer: clip_norm=0.0; expected a number above 0"),
    "batch 0": ({}, {"batch_size": 0}, ArgumentError,
                "DataLoader: batch_size=0; expected 1 or more"),
    "too few logits": ({"model": LINEAR}, {}, ShapeError,
                       "model: it gives (64, 3) for a batch (64, 1, 4, 4), but the data has 4 "
                       "classes; expected (64, 4): change its last layer"),
    "no classifier": ({"model": nn.Conv2d(1, 4, 3)}, {}, ShapeError,
                      "model: it gives (64, 4, 2, 2) for a batch (64, 1, 4, 4), but the data has 4 "
                      "classes; expected (64, 4): change its last layer"),
    "more classes": ({}, {"validation": FIVE}, ArgumentError,
                     "fit: t has 5 classes, quarters 4; the model can't learn what it never sees: "
                     "use data sets with the same classes"),
    "no parameters": ({"model": nn.Flatten()}, {}, ArgumentError,
                      "Trainer: Flatten has no parameters; nothing can be learnt"),
    "no mean": ({"loss": lambda out, y: ta.cross_entropy(out, y, reduction="none")}, {}, ShapeError,
                "loss: it gives (64,); expected one number, the batch's mean"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_it_refuses(case: str) -> None:
    """Each impossible argument gives its one line."""
    of_trainer, of_fit, kind, text = WRONG[case]
    with pytest.raises(kind) as caught:
        Trainer(**{"model": network(), **of_trainer}).fit(
            TRAIN, **{"progress": "quiet", "workers": 0, **of_fit}
        )
    assert str(caught.value) == text


def test_callbacks_are_called_in_order() -> None:
    """Begin, epoch, epoch's end, end, for each callback in the order given; stop is obeyed."""
    calls: list[str] = []

    class Note(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_train_begin(self, trainer: Trainer) -> None:
            calls.append(f"{self.name} begin")

        def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
            calls.append(f"{self.name} epoch {epoch}")

        def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
            calls.append(f"{self.name} row {row['epoch']}")
            if row["epoch"] == 2:
                trainer.stop = "enough"

        def on_train_end(self, trainer: Trainer) -> None:
            calls.append(f"{self.name} end")

    trainer = _fit(network(), TRAIN, epochs=5, batch_size=100, callbacks=[Note("a"), Note("b")])
    names = ["begin", "epoch 1", "row 1", "epoch 2", "row 2", "end"]
    assert calls == [f"{who} {name}" for name, who in itertools.product(names, "ab")]
    assert trainer.stop == "enough" and len(trainer.history.rows) == 2
