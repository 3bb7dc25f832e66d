"""run: data, model and device by name, the defaults, and the folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import quarters

from tinyaccel import nn, train
from tinyaccel.data import DATASETS, Splits
from tinyaccel.errors import ArgumentError, DeviceError, TrainError
from tinyaccel.nn.models import INPUT_SHAPES, MODELS
from tinyaccel.train import RECIPES, Recipe
from tinyaccel.train.program import model_for

pytest.importorskip("safetensors", reason="safetensors (the extra 'train')")


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data set "tiny", and an empty folder to stand in."""
    monkeypatch.setitem(DATASETS, "tiny", lambda _: Splits(quarters(40), quarters(20, 2)))
    monkeypatch.setitem(RECIPES, "tiny", Recipe("mlp", epochs=2, batch_size=20, lr=0.01))
    monkeypatch.chdir(tmp_path)


def test_the_recipe_is_used_unless_told_otherwise() -> None:
    """Defaults come from RECIPES; each can be replaced; both are written down."""
    first = train.run("tiny", quiet=True)
    second = train.run("tiny", epochs=1, batch_size=10, lr=0.5, seed=4, jit=False, quiet=True)
    assert [r.out for r in (first, second)] == [Path("runs/tiny-001"), Path("runs/tiny-002")]
    cases: list[tuple[train.Result, dict[str, object]]] = [
        (first, {"epochs": 2, "batch_size": 20, "lr": 0.01, "seed": 0, "jit": True}),
        (second, {"epochs": 1, "batch_size": 10, "lr": 0.5, "seed": 4, "jit": False}),
    ]
    for result, wanted in cases:
        assert result.out is not None
        metrics = json.loads((result.out / "metrics.json").read_text())
        wanted |= {"model": "mlp", "data": "tiny", "parameters": 16 * 128 + 128 + 128 * 10 + 10}
        assert {name: metrics[name] for name in wanted} == wanted


def test_the_seed_decides_everything() -> None:
    """Same seed, same figures, weights included; another seed, others."""
    runs = [train.run("tiny", seed=seed, quiet=True) for seed in (1, 1, 2)]
    figures = [[row[:-1] for row in r.history] for r in runs]
    assert figures[0] == figures[1] != figures[2]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_finishes_nothing_leaves_no_folder() -> None:
    """Neither a wrong option nor a loss that explodes at once leaves an empty folder behind."""
    with pytest.raises(ArgumentError):
        train.run("tiny", quiet=True, epochs=0)
    with pytest.raises(TrainError):
        train.run("tiny", quiet=True, lr=1e38)
    assert not list(Path("runs").iterdir())


def test_names_are_looked_at_before_files() -> None:
    """An unknown model or device is said first, whatever is wrong with the data."""
    with pytest.raises(ArgumentError, match="model 'cnn' is unknown; expected one of cifar_net"):
        train.run("mnist", data_dir="nowhere", model="cnn")
    with pytest.raises(DeviceError, match=r"device: 'gpu' is unknown; expected one of .*cpu"):
        train.run("mnist", data_dir="nowhere", device="gpu")


@pytest.mark.parametrize("name", [n for n, r in RECIPES.items() if r.model in MODELS])
def test_each_recipe_fits_its_data(name: str) -> None:
    """The default model of a data set takes its images."""
    shapes = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
    assert INPUT_SHAPES[RECIPES[name].model] == shapes[name]


def test_models_that_do_not_fit() -> None:
    """The line names the models that do; one that can be told its size is told."""
    splits = Splits(quarters(4), quarters(4))
    net = model_for("mlp", splits, "tiny")
    assert next(net.parameters()).shape == (128, 16)
    with pytest.raises(ArgumentError) as caught:
        model_for("digits_cnn", splits, "tiny")
    text = (
        "model 'digits_cnn' takes images of (1, 8, 8), but tiny has (1, 4, 4); expected one of mlp"
    )
    assert str(caught.value) == text


def test_it_learns_the_digits(tmp_path: Path) -> None:
    """Three epochs of the default CNN on the real scans reach 95 %, from the first command."""
    pytest.importorskip("sklearn", reason="scikit-learn (the extra 'train')")
    result = train.run(epochs=3, out=tmp_path / "out", device="cpu", quiet=True)
    assert result.test_accuracy is not None and result.test_accuracy > 0.95
    model = nn.make_model("digits_cnn")
    train.load_weights(model, tmp_path / "out" / "model.safetensors")
    again = train.evaluate(model, DATASETS["digits"](None).test, batch_size=540)
    assert again.accuracy == result.test_accuracy
    assert np.isclose(again.loss, result.test_loss or 0, rtol=1e-5)
