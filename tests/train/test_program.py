"""run and resume: from a config to a folder with everything, and on from there."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import quarters

from tinyaccel import nn, train
from tinyaccel.backend import get_device
from tinyaccel.data import DATASETS, ArrayDataset, DataLoader, Splits
from tinyaccel.errors import ArgumentError, DataError, DeviceError, TrainError
from tinyaccel.nn.models import INPUT_SHAPES
from tinyaccel.train import RECIPES, Checkpoint, Config, History, Recipe, Report, program
from tinyaccel.train.recipes import recipe_for
from tinyaccel.train.run_folder import best_of, newest, steps_of
from tinyaccel.train.signals import Interrupted

for package in ("safetensors", "filelock", "sklearn"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

PLOT = History.plot
TINY = Recipe("mlp", epochs=2, batch_size=20, lr=0.01)


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data set "tiny", an empty folder to stand in, and no time spent on drawing."""
    monkeypatch.setitem(DATASETS, "tiny", lambda *_, **__: Splits(quarters(40), quarters(20, 2)))
    monkeypatch.setitem(RECIPES, "tiny", TINY)
    for kind, name in ((History, "plot"), (Report, "plot_confusion")):
        monkeypatch.setattr(kind, name, lambda _, path: Path(path).write_text("drawn"))
    monkeypatch.chdir(tmp_path)


def _run(out: str | None = None, **options: Any) -> train.Result:
    config = Config(data="tiny", device="cpu", workers=0).merged(options)
    return train.run(config, out=out, progress="quiet")


def _weights(path: Path | str) -> dict[str, Any]:
    return Checkpoint.read(path).part("model")


def test_the_recipe_is_used_unless_told_otherwise() -> None:
    """Defaults come from RECIPES; each can be replaced; both are written down."""
    first = _run()
    second = _run(epochs=1, batch_size=10, lr=0.5, seed=4, jit=False, schedule="linear")
    assert [r.folder for r in (first, second)] == [Path("runs/tiny-001"), Path("runs/tiny-002")]
    cases: list[tuple[train.Result, dict[str, object]]] = [
        (first, {"epochs": 2, "seed": 0, "jit": True}),
        (second, {"epochs": 1, "seed": 4, "jit": False}),
    ]
    for result, wanted in cases:
        metrics = json.loads((result.folder / "metrics.json").read_text())
        wanted |= {"model": "mlp", "data": "tiny", "parameters": 16 * 128 + 128 + 128 * 4 + 4}
        assert {name: metrics[name] for name in wanted} == wanted
    assert Config.from_toml("runs/tiny-001/config.toml").merged({"workers": 0}) == Config(
        data="tiny", device="cpu", workers=0
    ).completed(TINY.options())
    written = Config.from_toml("runs/tiny-002/config.toml")
    assert (written.lr, written.batch_size, written.schedule) == (0.5, 10, "linear")
    assert (written.model, written.optimizer) == ("mlp", "Adam")


def test_the_folder_and_what_the_model_is_judged_by() -> None:
    """All files; the test part, though there is a validation; the weights of the best epoch."""
    result = _run(epochs=2, lr=3.0)  # far too large, so that the first epoch is the best
    there = {str(p.relative_to(result.folder)) for p in result.folder.rglob("*") if p.is_file()}
    assert there - {".lock"} == {
        "config.toml", "history.csv", "history.json", "metrics.json", "model.safetensors",
        "curves.png", "confusion.png", "checkpoints/best.safetensors",
        "checkpoints/step-00000002.safetensors", "checkpoints/step-00000004.safetensors",
    }  # fmt: skip
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert (result.part, len(result.evaluation.labels)) == ("test", 20)
    assert metrics["test_accuracy"] == result.evaluation.accuracy
    assert metrics["test_loss"] == result.evaluation.loss
    model = nn.make_model("mlp", (1, 4, 4), 4)
    train.load_weights(model, result.folder / "model.safetensors")
    first, last = (
        _weights(result.folder / f"checkpoints/step-0000000{i}.safetensors") for i in (2, 4)
    )
    best = _weights(best_of(result.folder))
    for name, value in model.state_dict().items():
        assert np.array_equal(value, best[name]) and np.array_equal(value, first[name])
        assert not np.array_equal(value, last[name])


def test_data_is_held_out_only_where_it_has_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth by default; none if told so; the data's own part if there is one; none of four."""
    seen: list[tuple[int, int | None]] = []
    fit = train.Trainer.fit

    def spy(self: Any, data: Any, validation: Any = None, **options: Any) -> Any:
        seen.append((len(data), None if validation is None else len(validation)))
        return fit(self, data, validation, **options)

    monkeypatch.setattr(train.Trainer, "fit", spy)
    results = [_run(epochs=1), _run(epochs=1, validation_split=0.0)]
    own: Any = Splits(quarters(30), None, validation=quarters(10, 3))
    monkeypatch.setitem(DATASETS, "tiny", lambda *_, **__: own)
    results.append(_run(epochs=1))
    with pytest.raises(ArgumentError, match=r"validation_split=0.2: tiny has a part for validat"):
        _run(epochs=1, validation_split=0.2)
    four: Any = Splits(quarters(4), None)
    monkeypatch.setitem(DATASETS, "tiny", lambda *_, **__: four)
    results.append(_run(epochs=1))
    assert seen == [(36, 4), (40, None), (30, 10), (4, None)]
    assert [r.part for r in results] == ["test", "test", "validation", "training"]
    assert not best_of(results[1].folder).exists()  # nothing to find the best by: the last


def test_the_seed_decides_everything() -> None:
    """Same seed, same figures; another seed, others."""
    runs = [_run(seed=seed, validation_split=0.0) for seed in (1, 1, 2)]
    losses = [r.history["loss"] for r in runs]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_finishes_nothing_leaves_no_folder() -> None:
    """Neither a wrong option nor a loss that explodes at once leaves a folder of its own behind."""
    with pytest.raises(ArgumentError, match="warmup=2 epochs of 2; expected fewer than all"):
        _run(warmup=2)
    with pytest.raises(TrainError):
        _run(lr=1e38)
    with pytest.raises(TrainError):
        _run("mine", lr=1e38)
    assert not list(Path("runs").iterdir())
    assert Path("mine").is_dir()  # which was named, and may have been there before


NAMES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "model": ({"model": "cnn"}, ArgumentError, "model 'cnn' is unknown; expected one of cifar_cnn"),
    "device": ({"device": "gpu"}, DeviceError, r"device: 'gpu' is unknown; expected one of .*cpu"),
    "metric": ({"metrics": "acuracy"}, ArgumentError, "acuracy"),
    "augment": ({"augment": "flop"}, ArgumentError, "flop"),
    "weights": ({"weights": "nowhere"}, DataError, "nowhere can't be read: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names_are_looked_at_before_data(case: str) -> None:
    """A wrong name is said first, whatever is wrong with the data."""
    options, kind, text = NAMES[case]
    with pytest.raises(kind, match=text):
        train.run(Config(data="mnist", data_dir="nowhere").merged(options), progress="quiet")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "momentum": ({"momentum": 0.5}, "momentum=0.5: Adam has no momentum; leave it out, or choose"),
    "monitor": ({"monitor": "val_los"}, "monitor 'val_los' is no figure of this run, did you mean "
                "'val_loss'?; expected one of loss, accuracy, val_loss, val_accuracy"),
    "no validation": ({"monitor": "val_loss", "validation_split": 0.0}, "monitor 'val_loss' is no "
                      "figure of this run, did you mean 'loss'?; expected one of loss, accuracy"),
    "model option": ({"model_options": {"hiden": 2}}, "model 'mlp': option 'hiden' is unknown"),
    "image size": ({"image_size": "8"}, "--image-size is for folders of pictures, but the data is"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_go_together(case: str) -> None:
    """Options that are possible, but not with this data or with each other: before any training."""
    options, text = WRONG[case]
    with pytest.raises(ArgumentError) as caught:
        _run(**options)
    assert str(caught.value).startswith(text)
    assert not list(Path().glob("runs/*"))


def _rates(**options: Any) -> list[float]:
    """The learning rate of each of the 6 updates of 3 epochs of 2, lr being 1."""
    model = nn.make_model("mlp", (1, 4, 4), 4)
    config = Config(lr=1.0, optimizer="SGD", epochs=3, **options)
    optimizer = program.build_optimizer(config, model)
    schedule = program.build_schedule(config, optimizer, 2)
    return [1.0] * 6 if schedule is None else [schedule.at(i)[0] for i in range(6)]


RATES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "constant": ({}, [1, 1, 1, 1, 1, 1]),
    "step": ({"schedule_options": {"every": 1, "gamma": 0.5}}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
    "exponential": ({"schedule_options": {"gamma": 0.25}}, [1, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
    "cosine": ({}, [(1 + np.cos(np.pi * i / 6)) / 2 for i in range(6)]),
    "linear": ({"schedule_options": {"end_factor": 0.4}}, [1, 0.9, 0.8, 0.7, 0.6, 0.5]),
}


@pytest.mark.parametrize("name", RATES)
def test_schedules_count_in_epochs(name: str) -> None:
    """What is given in epochs holds in updates, and the whole length is that of the training."""
    options, rates = RATES[name]
    assert _rates(schedule=name, **options) == pytest.approx(rates)


def test_warming_up() -> None:
    """The rate rises to lr in equal steps, from more than 0; the schedule has what is left."""
    assert _rates(schedule="constant", warmup=1) == pytest.approx([0.5, 0.75, 1, 1, 1, 1])
    rates = _rates(schedule="linear", warmup=1, schedule_options={"end_factor": 0.0})
    assert rates == pytest.approx([0.5, 0.75, 1, 0.75, 0.5, 0.25])
    one_cycle = _rates(schedule="onecycle")
    assert max(one_cycle) <= 1 and one_cycle[0] == pytest.approx(1 / 25)


def test_an_epoch_has_so_many_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """With batches that don't divide the data and gradients of several: as the trainer counts."""
    found: list[int] = []
    build = program.build_schedule

    def spy(config: Config, optimizer: Any, updates: int) -> Any:
        found.append(updates)
        return build(config, optimizer, updates)

    monkeypatch.setattr(program, "build_schedule", spy)
    for size, accumulate in ((7, 1), (7, 4), (64, 2)):
        result = _run(epochs=2, batch_size=size, accumulate=accumulate)
        assert result.trainer.updates == 2 * found[-1]
    assert found == [6, 2, 1]


def test_every_option_reaches_the_trainer() -> None:
    """A run with all of them at once, on other values than the defaults."""
    pytest.importorskip("tensorboardX")
    result = _run(
        "all", model_options={"hidden": 8}, optimizer="SGD", momentum=0.5, weight_decay=0.01,
        clip_norm=1.0, clip_value=0.5, ema=0.9, accumulate=2, precision="bfloat16", keep=1,
        label_smoothing=0.1, augment="flip", early_stopping=1, monitor="val_top2", epochs=9,
        metrics="accuracy,top2", save_every=1, tensorboard=True, schedule="cosine", lr=1e-9,
        batch_size=9, on_save_error="continue", jit=False,
    )  # fmt: skip
    trainer = result.trainer
    group = trainer.optimizer.param_groups[0]
    assert [float(group[k]) for k in ("momentum", "weight_decay")] == pytest.approx([0.5, 0.01])
    assert (trainer.clip_norm, trainer.clip_value, trainer.accumulate) == (1.0, 0.5, 2)
    assert trainer.dtype.name == "bfloat16" and trainer.ema is not None and not trainer.jit
    assert trainer.loss is not None and trainer.schedule is not None
    assert next(trainer.model.parameters()).shape == (8, 16)
    assert len(result.history) == 2 and "hasn't improved" in (trainer.stop or "")
    assert {"val_accuracy", "val_top2"} <= set(result.history.columns)
    assert len(steps_of(result.folder)) == 1
    assert list((result.folder / "tensorboard").iterdir())
    facts: Any = newest(result.folder)[1].facts
    assert "HorizontalFlip" in facts["loader"]["transform"]


def test_weights_to_start_from() -> None:
    """Those that fit are taken, from a checkpoint or from bare weights; the rest stays fresh."""
    first = _run(epochs=1, seed=1)
    for path in (best_of(first.folder), first.folder / "model.safetensors"):
        again = _run(epochs=1, lr=1e-30, seed=2, weights=str(path))
        assert again.config.weights == str(path.absolute())
        for name, value in again.trainer.model.state_dict().items():
            assert np.array_equal(value, first.trainer.model.state_dict()[name]), name
    wider = nn.make_model("mlp", (1, 4, 4), 7)
    told = _Told()
    program.start_from(wider, str(best_of(first.folder)), told)
    assert told.texts[0].startswith("weights: 2 of 4 tensors from ")
    assert told.texts[0].endswith("; fresh: 3.weight [7, 128], 3.bias [7]")
    with pytest.raises(ArgumentError, match=r"weights: none of the 4 tensors of .* fits the model"):
        program.start_from(nn.Linear(2, 2), str(best_of(first.folder)), told)


class _Told(train.Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


# Going on


def _stop_in_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Ctrl-C when that epoch's first batch is asked for."""
    epochs = DataLoader.epoch

    def stopping(self: Any, number: int, start: int = 0) -> Any:
        if number == epoch and self.shuffle:
            os.kill(os.getpid(), signal.SIGINT)
        return epochs(self, number, start)

    monkeypatch.setattr(DataLoader, "epoch", stopping)


def test_stopped_and_gone_on_with_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, then resume: from the folder alone, the very weights of a run that wasn't stopped."""
    options = {"epochs": 4, "augment": "flip", "schedule": "cosine", "ema": 0.9, "seed": 3}
    whole = _run("whole", **options)
    with monkeypatch.context() as context:
        _stop_in_epoch(context, 3)
        with pytest.raises(Interrupted, match="go on with: tinyaccel resume stopped"):
            _run("stopped", **options)
    assert Path("stopped/curves.png").read_text() == "drawn"  # of what has been trained so far
    result = train.resume("stopped", progress="quiet")
    assert len(result.history) == 4 and result.evaluation.loss == whole.evaluation.loss
    for name in ("step-00000006.safetensors", "step-00000008.safetensors", "best.safetensors"):
        a, b = (Checkpoint.read(Path(run, "checkpoints", name)) for run in ("stopped", "whole"))
        assert a.tensors.keys() == b.tensors.keys()
        assert all(np.array_equal(a.tensors[k], b.tensors[k]) for k in a.tensors), name
    metrics = json.loads(Path("stopped/metrics.json").read_text())
    assert metrics["test_accuracy"] == whole.evaluation.accuracy


def test_more_epochs() -> None:
    """A run that has finished goes on if more are asked for, with the changes that are named."""
    _run("run", epochs=1)
    with pytest.raises(ArgumentError, match=r"run has finished its 1 epoch; say how many more"):
        train.resume("run", progress="quiet")
    result = train.resume("run", epochs=2, changes={"keep": 1}, progress="quiet")
    assert len(result.history) == 3 and len(steps_of(Path("run"))) == 1
    assert Config.from_toml("run/config.toml").epochs == 3
    assert len(train.resume("run", epochs=1, progress="quiet").history) == 4


def test_killed_after_its_last_epoch() -> None:
    """A run that was killed before it was judged is judged, and its files are written."""
    _run("run", epochs=1)
    files = [Path("run") / name for name in ("metrics.json", "model.safetensors", "curves.png")]
    weights = files[1].read_bytes()
    for path in files:
        path.unlink()
    assert len(train.resume("run", progress="quiet").history) == 1
    assert all(path.exists() for path in files) and files[1].read_bytes() == weights


def test_more_epochs_that_are_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what they make of the learning rate, and that the best epoch is an old one."""
    good = quarters(20, 3)
    wrong = ArrayDataset(good.x, (good.y + 1) % 4, classes=4)  # the more it learns, the worse it is
    splits: Any = Splits(quarters(40), None, validation=wrong)
    monkeypatch.setitem(DATASETS, "tiny", lambda *_, **__: splits)
    _run("run", epochs=2, schedule="cosine")
    told = _Told()
    monkeypatch.setattr(program, "display", lambda kind: told)
    result = train.resume("run", epochs=1, progress="quiet")
    assert result.best_epoch == 1
    assert told.texts[-1] == "the best epoch is still 1: 1 more epoch hasn't helped"
    assert (
        "the learning rate goes on at 0.0025, after 0.0015: schedule cosine is over 3 epochs now, "
        "no longer over 2"
    ) in told.texts
    with pytest.raises(ArgumentError, match="run has a run in it already; go on with it: tinyaccel "
                                            "resume run, or"):  # fmt: skip
        train.run(Config(data="nowhere"), out="run", progress="quiet")  # before any data is read


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold for the run alone, are in its checkpoints, and a resume with others says so."""
    library = pytest.importorskip("threadpoolctl")
    before = library.threadpool_info()
    if not any(pool["internal_api"] == "openblas" for pool in before):
        pytest.skip("NumPy's BLAS is another one")
    _run("run", epochs=1, threads=2)
    facts: Any = newest("run")[1].facts
    assert facts["environment"]["threads"]["openblas threads"] == facts["config"]["threads"] == 2
    assert library.threadpool_info()[: len(before)] == before
    told = _Told()
    monkeypatch.setattr(program, "display", lambda kind: told)
    train.resume("run", epochs=1, changes={"threads": 1}, progress="quiet")
    assert any("openblas threads 1 instead of 2" in text for text in told.texts)


def test_other_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labels, other pixels or fewer of them: the line says which."""
    _run("run", epochs=1, validation_split=0.0)
    good = quarters(40)
    brighter = ArrayDataset(good.x + 1, good.y, classes=4)
    relabelled = ArrayDataset(good.x, (good.y + 1) % 4, classes=4)
    for data, says in (
        (brighter, "other labels or pixels"), (relabelled, "other labels or pixels"),
        (quarters(39), "samples 39 instead of 40"),
    ):  # fmt: skip
        splits: Any = Splits(data, None)
        monkeypatch.setitem(DATASETS, "tiny", lambda *_, splits=splits, **__: splits)
        with pytest.raises(ArgumentError, match=rf"isn't what run was trained on: .*{says}.*; put"):
            train.resume("run", epochs=1, progress="quiet")


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    """One that isn't there, one that is empty, and a run that another program began."""
    with pytest.raises(DataError, match="nowhere doesn't exist; name the folder of a run"):
        train.resume("nowhere")
    Path("empty").mkdir()
    with pytest.raises(DataError, match="empty has no checkpoints; name the folder of a run"):
        train.resume("empty")
    train.Trainer(nn.mlp((1, 4, 4), classes=4)).fit(quarters(8), out="own", progress="quiet")
    with pytest.raises(DataError, match=r"own wasn't written by tinyaccel train; .*resume=True"):
        train.resume("own")


def test_a_picture_that_cannot_be_drawn_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib all else is there, and the line says what is missing."""
    monkeypatch.setattr(History, "plot", PLOT)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = _Told()
    monkeypatch.setattr(program, "display", lambda kind: told)
    result = _run("run", epochs=1)
    assert "matplotlib is not installed" in told.texts[-1]
    assert (result.folder / "metrics.json").exists()
    assert not (result.folder / "curves.png").exists()


# Recipes, and the whole on real data


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "cifar10"])
def test_each_recipe_is_a_config(name: str) -> None:
    """Its options are possible, and the model takes the data's images."""
    shapes = {"digits": (1, 8, 8), "cifar10": (3, 32, 32)}
    config = Config(data=name).completed(RECIPES[name].options())
    program.check_names(config)
    assert INPUT_SHAPES[RECIPES[name].model] == shapes.get(name, (1, 28, 28))


@pytest.mark.parametrize("shape", [(1, 6, 9), (3, 18, 18), (3, 64, 48), (3, 65, 90), (7,), (2, 5)])
def test_there_is_a_recipe_for_everything(shape: tuple[int, ...]) -> None:
    """Samples of any shape get a model that takes them."""
    recipe = recipe_for("/home/me/pictures", shape)
    model = nn.make_model(recipe.model, shape, 3)
    trainer = train.Trainer(model, device=get_device("cpu"))
    assert trainer.predict(np.zeros((2, *shape), np.float32)).shape == (2, 3)


def test_it_learns_the_digits() -> None:
    """Three epochs of the default CNN on the real scans reach 92 %, from the first command."""
    config = Config(epochs=3, device="cpu")
    result = train.run(config, out="out", progress="quiet")
    assert result.part == "test" and result.evaluation.accuracy > 0.92
