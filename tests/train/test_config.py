"""Config: what it takes, how it refuses the rest, and its way through TOML and JSON."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyaccel.errors import ArgumentError, DataError, TinyaccelError
from tinyaccel.train import config as module
from tinyaccel.train import values
from tinyaccel.train.config import GROUPS, OPTIONS, SCHEDULES, Config

EVERYTHING: dict[str, Any] = {
    "data": "pictures", "data_dir": "here", "download": False, "validation_split": 0.25,
    "image_size": (48, 64), "color": "rgb", "skip_bad": True, "label": "kind",
    "ignore": ("row",), "model": "mlp",
    "model_options": {"hidden": 8, "name": "a \"b\" \\ \x7f \u00e9", "deep": {"x": [1, 2.5]}},
    "weights": "w.safetensors", "epochs": 3, "batch_size": 7, "optimizer": "SGD", "lr": 1e-05,
    "momentum": 0.5, "weight_decay": 0.0001, "label_smoothing": 0.1, "augment": "crop:4,flip",
    "accumulate": 2, "clip_norm": 1.0, "clip_value": 0.5, "ema": 0.999, "schedule": "step",
    "schedule_options": {"every": 2}, "warmup": 0.5, "metrics": ("accuracy", "top5"),
    "monitor": "val_accuracy", "early_stopping": 4, "tensorboard": True, "device": "xla:cpu",
    "precision": "bfloat16", "seed": 11, "jit": False, "workers": 0, "threads": 2,
    "save_every": 100, "keep": 1,
    "on_save_error": "continue",
}  # fmt: skip


def test_every_option_comes_back(tmp_path: Path) -> None:
    """Through TOML and through JSON, with all options other than their defaults, and with none."""
    assert EVERYTHING.keys() == OPTIONS.keys()
    for config in (Config(**EVERYTHING), Config()):
        path = tmp_path / "config.toml"
        path.write_text(config.as_toml(), encoding="utf-8")
        assert Config.from_toml(path) == config
        assert Config.from_json(json.loads(json.dumps(config.as_json()))) == config
    changed = {k for k, v in EVERYTHING.items() if getattr(Config(), k) == v}
    assert changed == set()  # or it would show nothing


@settings(max_examples=20)
@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans()))
def test_any_text_comes_back(table: dict[str, Any]) -> None:
    """Keys and texts of any letters, quotation marks and control characters through TOML."""
    text = Config(model_options=table).as_toml()
    assert values.TABLE.read(module.tomllib.loads(text).get("model_options", {})) == table


def test_one_line_for_each_option(tmp_path: Path) -> None:
    """A flat file, in groups with headings; tables last, as TOML wants them."""
    lines = Config(data="mnist", epochs=2, model_options={"a": 1}).as_toml().splitlines()
    assert lines[:2] == ["# Data", 'data = "mnist"']
    assert [line[2:] for line in lines if line.startswith("#")] == list(GROUPS)
    assert lines[-2:] == ["[model_options]", '"a" = 1']


WRONG: dict[str, tuple[Any, str]] = {
    "epochs": (0, "epochs=0; expected an integer, 1 or more"),
    "batch_size": (True, "batch_size=True; expected an integer, 1 or more"),
    "accumulate": (1.0, "accumulate=1.0; expected an integer, 1 or more"),
    "lr": (float("nan"), "lr=nan; expected a number above 0"),
    "momentum": (1, "momentum=1; expected a number of 0 or more and below 1"),
    "ema": (0, "ema=0; expected a number above 0 and below 1"),
    "validation_split": ("0.1", 'validation_split="0.1"; expected a number of 0 or more and '),
    "weight_decay": (True, "weight_decay=True; expected a number of 0 or more"),
    "download": (1, "download=1; expected true or false"),
    "optimizer": ("adm", 'optimizer="adm", did you mean \'Adam\'?; expected one of SGD'),
    "precision": ("fp16", 'precision="fp16", did you mean \'float16\'?; expected one of float32, '),
    "color": ("red", 'color="red"; expected one of gray, rgb'),
    "image_size": ("64x", 'image_size="64x"; expected a number of pixels, or HEIGHTxWIDTH'),
    "metrics": ("accuracy,,top5", 'metrics="accuracy,,top5"; expected names with commas '),
    "data": (" ", 'data=" "; expected a path'),
    "model": (3, "model=3; expected a text"),
    "model_options": (["hidden"], "model_options=['hidden']; expected KEY=VALUE, or a table"),
    "seed": (-1, "seed=-1; expected an integer, 0 or more"),
    "warmup": (None, "warmup=None; expected a number of 0 or more"),
    "schedule_options": ({"gamma": 1}, "schedule_options: 'gamma' is no option of cosine; expected "
                         "one of min_lr"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_impossible_value_is_one_line(name: str, tmp_path: Path) -> None:
    """Python's way says what arrived and what is expected; a file's way says the line, too."""
    value, text = WRONG[name]
    with pytest.raises(ArgumentError) as caught:
        Config(schedule="cosine", **{name: value})
    assert str(caught.value).startswith(f"config: {text}")
    if value is None or isinstance(value, dict | list) or value != value:
        return
    path = tmp_path / "my.toml"
    written = json.dumps(value)
    path.write_text(f"# comment\n\n{name} = {written}\n", encoding="utf-8")
    with pytest.raises(ArgumentError) as caught:
        Config.from_toml(path)
    assert str(caught.value).startswith(f"{path}, line 3: {text}")


FILES = {
    "near": ("data = 'mnist'\nepoch = 3", ArgumentError,
             ", line 2: 'epoch' is no option, did you mean 'epochs'?"),
    "dash": ("'batch-size' = 3", ArgumentError,
             ", line 1: 'batch-size' is no option, did you mean 'batch_size'?"),
    "table": ("seed = 1\n[data]\nname = 'mnist'", ArgumentError,
              ", line 2: data={'name': 'mnist'}; expected a path"),
    "far": ("zzz = 1", ArgumentError,
            ", line 1: 'zzz' is no option; tinyaccel train --help lists them"),
    "schedule": ("schedule = 'step'\n[schedule_options]\nevry = 2", ArgumentError,
                 ", line 2: schedule_options: 'evry' is no option of step, did you mean 'every'?; "
                 "expected one of every, gamma"),
    "number": ("schedule = 'step'\n[schedule_options]\nevery = 'x'", ArgumentError,
               ', line 2: schedule_options: every="x"; expected a number, 0 or more'),
    "none": ("schedule = 'constant'\nschedule_options = {gamma = 2}", ArgumentError,
             ", line 2: schedule_options: 'gamma' is no option of constant; it has none"),
    "no TOML": ("epochs: 3", DataError, " is no TOML: "),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_what_is_wrong_with_a_file(case: str, tmp_path: Path) -> None:
    """One line that names file and line, and the name that was meant."""
    content, kind, text = FILES[case]
    path = tmp_path / "a.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(kind) as caught:
        Config.from_toml(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{text}") and "\n" not in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that isn't there, and one that is no text."""
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    for name, text in (("a", "can't be read: No such file"), ("b", "is no TOML: ")):
        with pytest.raises(DataError, match=text):
            Config.from_toml(tmp_path / name)


def test_merging() -> None:
    """None changes nothing; tables are merged, and begin anew with what they belong to."""
    base = Config(epochs=3, model="mlp", model_options={"a": 1}, schedule="step",
                  schedule_options={"every": 2})  # fmt: skip
    assert base.merged({"epochs": None, "lr": None}) == base
    assert base.merged({"model_options": ["b=x y", "c=[1, 2]"]}).model_options == {
        "a": 1, "b": "x y", "c": [1, 2]
    }  # fmt: skip
    assert base.merged({"schedule": "step"}).schedule_options == {"every": 2}
    assert base.merged({"schedule": "cosine"}).schedule_options == {}
    assert base.merged({"model": "lenet", "model_options": {"z": 1}}).model_options == {"z": 1}
    assert (base.model_options, base.epochs) == ({"a": 1}, 3)
    with pytest.raises(ArgumentError, match=r"'epoch' is no option, did you mean 'epochs'\?"):
        base.merged({"epoch": 1})


def test_a_recipe_fills_gaps_alone() -> None:
    """What was asked for stays; what wasn't is the recipe's."""
    config = Config(lr=0.5, schedule="step").completed(
        {"lr": 0.1, "epochs": 9, "schedule": "cosine"}
    )
    assert (config.lr, config.epochs, config.schedule) == (0.5, 9, "step")


def test_spellings() -> None:
    """Names of choices in any case; sizes as one number or two; names as a list or with commas."""
    config = Config(optimizer="adamw", precision="BFLOAT16", image_size="32X48", metrics=["top5"])  # type: ignore[arg-type]
    assert (config.optimizer, config.precision) == ("AdamW", "bfloat16")
    assert (Config(model="ResNet20").model, Config(model="mine").model) == ("resnet20", "mine")
    assert (config.image_size, config.metrics) == ((32, 48), ("top5",))
    assert Config(image_size=8).image_size == (8, 8)  # type: ignore[arg-type]
    assert Config(label=2).label == "2"  # type: ignore[arg-type]


def test_defaults_are_possible() -> None:
    """Each schedule's own options pass its own check; examples in docstrings run."""
    for name, options in SCHEDULES.items():
        Config(schedule=name, schedule_options=dict(options))
    assert doctest.testmod(module).failed == 0
    assert issubclass(ArgumentError, TinyaccelError)
