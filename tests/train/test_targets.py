"""Targets that are numbers: learnt standardised, told in their own units, whatever these are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn, train
from tinyaccel.data import ArrayDataset
from tinyaccel.errors import ArgumentError
from tinyaccel.train import Config, Evaluation, History, Trained
from tinyaccel.train.plots import curves_figure
from tinyaccel.train.targets import InRows, Rescaled, doubt, squared_error, units_of

for package in ("safetensors", "filelock", "sklearn", "matplotlib"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to stand in, and no time spent on drawing."""
    monkeypatch.setattr(History, "plot", lambda *_: None)
    monkeypatch.chdir(tmp_path)


def _table(unit: float, start: float) -> str:
    """200 rows, nearly a line, its targets in units of any size."""
    rng = np.random.default_rng(4)
    x = rng.normal(170, 10, 200)
    y = unit * ((x - 170) / 10 + 0.1 * rng.normal(size=200)) + start
    rows = [f"{a:.3f},{b:.12g}" for a, b in zip(x, y, strict=True)]
    name = f"t{unit:g}.csv"
    Path(name).write_text("\n".join(["x,y", *rows]))
    return name


def _run(data: str, out: str, **options: Any) -> train.Result:
    config = Config(data=data, device="cpu", workers=0).merged(options)
    return train.run(config, out=out, progress="quiet")


def test_the_units_do_not_matter() -> None:
    """With the defaults, thousands and thousandths learn the same, and are told in their units."""
    large, small = (
        _run(_table(unit, start), f"run{unit}") for unit, start in ((8000.0, 70_000.0), (2e-5, 0.0))
    )
    for result, unit in ((large, 8000.0), (small, 2e-5)):
        assert result.evaluation.metrics["r2"] > 0.95
        assert result.evaluation.metrics["mae"] / unit == pytest.approx(0.1, abs=0.08)
        mse = np.mean((result.evaluation.outputs - result.evaluation.labels) ** 2)
        assert result.evaluation.loss == pytest.approx(mse, rel=1e-4)
        # What is told of training is in the same units: the last epoch's mean, near the end's.
        assert 0.003 < (result.history["loss"][-1] or 0) / unit**2 < 0.04
    one, other = (r.history["loss"][0] or 0 for r in (large, small))
    assert one / 8000.0**2 == pytest.approx(other / 2e-5**2, rel=1e-2)
    # From the checkpoint alone it is the same, and so it is after going on.
    judged = Trained.read("run8000.0", "cpu").evaluate(progress="quiet")
    assert judged.evaluation.metrics == pytest.approx(large.evaluation.metrics)
    again = train.resume("run8000.0", epochs=1, progress="quiet")
    assert again.evaluation.metrics["r2"] > 0.95
    # Weights of one are a start for the other, whose units stay its own.
    more = _run(_table(1.0, 5.0), "more", weights="run8000.0/model.safetensors", epochs=1, lr=1e-30)
    assert more.evaluation.metrics["r2"] > 0.95


def test_the_loss_and_its_gradient(rng: np.random.Generator) -> None:
    """The value is the mean squared error; the gradient that of standardised numbers."""
    out, y = (rng.normal(3e4, 1e3, (5, 2)).astype(np.float32) for _ in range(2))
    std = np.array([1e3, 1e-3], np.float32)
    given = ta.tensor(out)
    given.requires_grad = True
    loss = squared_error(std)(given, ta.tensor(y))
    assert loss.item() == pytest.approx(np.mean((out.astype(np.float64) - y) ** 2), rel=1e-6)
    loss.backward()
    assert given.grad is not None
    np.testing.assert_allclose(given.grad.numpy(), 2 * (out - y) / std**2 / out.size, rtol=1e-5)


def test_bfloat16_rounds_the_network_not_the_units() -> None:
    """A mean of 1000 deviations has more digits than bfloat16."""
    network = nn.make_model("mlp", (2,), 1)
    y = np.array([[1000.0], [1002.0]], np.float32)
    model = Rescaled(network, *units_of(y))
    trainer = train.Trainer(model, device="cpu", precision="bfloat16")
    x = np.array([[0.1, 0.2], [0.3, -0.5]], np.float32)
    small = train.Trainer(network, device="cpu", precision="bfloat16").predict(x)
    np.testing.assert_array_equal(trainer.predict(x), small * np.float32(1) + np.float32(1001))


def test_targets_of_any_shape() -> None:
    """One number, or several in a grid: (N, k) with their own units; one that never changes."""
    y = np.arange(12.0).reshape(3, 2, 2)
    y[:, 0, 0] = 7
    rows = InRows(ArrayDataset(np.zeros((3, 2)), y))
    assert rows.y.shape == (3, 4) and rows.batch([1])[1].tolist() == [[7, 5, 6, 7]]
    assert InRows(ArrayDataset(np.zeros((3, 2)), np.ones(3))).y.shape == (3, 1)
    mean, std = units_of(rows.y)
    np.testing.assert_allclose(mean, [7, 5, 6, 7])
    spread = float(np.std([1.0, 5.0, 9.0]))
    np.testing.assert_allclose(std, [1.0, spread, spread, spread], rtol=1e-6)


def test_a_model_that_tells_nothing() -> None:
    """r2 of about 0 or below is warned of; better ones, and those that aren't known, aren't."""
    nothing = np.zeros((1, 1), np.float32)
    for r2, warned in ((-3.0, True), (0.04, True), (0.1, False), (float("nan"), False)):
        told = doubt("test", Evaluation(1.0, {"mae": 1.0, "r2": r2}, nothing, nothing, ()))
        assert (told is not None) == warned
        assert told is None or told.startswith(f"test r2 is {r2:.4f}, no better than answering the")
    assert doubt("test", Evaluation(1.0, {"accuracy": 0.0}, nothing, nothing, ("a",))) is None


def test_a_table_of_noise_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """The line stands among the messages of the run; a single row to validate on does no harm."""
    rng = np.random.default_rng(3)
    for n, name in ((60, "noise"), (6, "few")):
        rows = "\n".join(f"{a},{b}" for a, b in rng.normal(size=(n, 2)))
        Path(f"{name}.csv").write_text("x,y\n" + rows)
    config = Config(data="noise.csv", device="cpu", epochs=1, lr=1e-6)
    train.run(config, out="noise", progress="lines")
    assert "validation r2 is -" in capsys.readouterr().err
    few = _run("few.csv", "few", epochs=1)
    curves_figure(few.history.rows)  # warnings are errors here
    assert few.as_json()["validation_r2"] is None


def test_options_that_are_for_pictures() -> None:
    """--augment, and a model of pictures, for rows of a table: in words, before training."""
    data = _table(1.0, 0.5)
    with pytest.raises(ArgumentError) as caught:
        _run(data, "a", augment="flip")
    assert str(caught.value) == (
        "--augment flip is for pictures, but t1.csv has rows of 1 number; leave it out"
    )
    text = "--model lenet isn't for rows of 1 number, which t1.csv.* has; take --model mlp"
    with pytest.raises(ArgumentError, match=text):
        _run(data, "a", model="lenet")
    with pytest.raises(ArgumentError, match=r"model 'lenet': option 'hidden' is unknown"):
        _run(data, "a", model="lenet", model_options={"hidden": 3})
    assert not Path("a").exists()
