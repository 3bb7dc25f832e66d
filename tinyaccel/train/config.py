"""Config: every option of a training run, checked in one place; as TOML, JSON and back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self, cast

from tinyaccel import optim
from tinyaccel.data.suggest import near
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.nn.models import MODELS
from tinyaccel.train.checkpoint import Json
from tinyaccel.train.values import (
    COLUMN,
    FLAG,
    NAMES,
    PATH,
    SIZE,
    TABLE,
    TEXT,
    Kind,
    among,
    choice,
    integer,
    number,
    shown,
    toml,
)

DATA, MODEL, LEARNING, SCHEDULE = "Data", "Model", "Learning", "Schedule"
WATCHING, RUNNING, SAVING = "Watching", "Running", "Saving"
GROUPS = (DATA, MODEL, LEARNING, SCHEDULE, WATCHING, RUNNING, SAVING)

OPTIMIZERS = tuple(
    name for name in optim.__all__
    if isinstance(make := getattr(optim, name), type)
    and issubclass(make, optim.Optimizer) and make is not optim.Optimizer
)  # fmt: skip
# A schedule's own options and what they are unless told otherwise; lengths are in epochs.
SCHEDULES: Mapping[str, Mapping[str, float]] = {
    "constant": {},
    "step": {"every": 10, "gamma": 0.1},
    "exponential": {"gamma": 0.9},
    "cosine": {"min_lr": 0.0},
    "onecycle": {"pct_start": 0.3, "div_factor": 25, "final_div_factor": 1e4},
    "linear": {"end_factor": 0.01},
}


class Option(NamedTuple):
    """One option, as a help text shows it.

    kind   what its value may be
    group  the theme under which it is listed
    help   a sentence or two
    """

    kind: Kind
    group: str
    help: str


def _option(kind: Kind, group: str, help: str, default: object = None) -> Any:
    note = {"option": Option(kind, group, help)}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=note)
    return field(default=default, metadata=note)


@dataclass(frozen=True)
class Config:
    """Every option of a training run; what is None is left to the data set's recipe.

    The command line has an option for each field, and a TOML file a key, of the same name:

        data = "pictures"
        image_size = 64
        epochs = 20
        augment = "crop:4,flip"

        [model_options]
        hidden = 64

    Raises `ArgumentError` for a value that is impossible: which, and what is expected.

    >>> Config(data="mnist", epochs=5).merged({"lr": 0.01}).lr
    0.01
    >>> Config(epochs=0)
    Traceback (most recent call last):
    tinyaccel.errors.ArgumentError: config: epochs=0; expected an integer, 1 or more
    """

    data: str = _option(
        PATH, DATA, "A data set's name, or a folder of pictures, a .csv or an .npz file.", "digits"
    )
    data_dir: str | None = _option(
        PATH, DATA, "The folder with the files of a data set that goes by name: mnist/*.gz, "
        "cifar10/*.bin (digits needs none). Default: the environment variable TINYACCEL_DATA, "
        "else they are downloaded.",
    )  # fmt: skip
    download: bool = _option(FLAG, DATA, "Whether what isn't here may be downloaded.", True)
    validation_split: float | None = _option(
        number(least=0, below=1), DATA, "The part of the training data that is kept to validate "
        "each epoch; 0 for none. Default: 0.1, and none where the data has a part for that.",
    )  # fmt: skip
    image_size: tuple[int, int] | None = _option(
        SIZE, DATA, "Scale all pictures to this size. Default: as they are, if all have one."
    )
    color: str | None = _option(
        choice("gray", "rgb"),
        DATA,
        "Turn all pictures gray, or to rgb. Default: as they are; rgb where some are gray.",
    )
    skip_bad: bool = _option(
        FLAG, DATA, "Leave out pictures that can't be read, and say it.", False
    )
    label: str | None = _option(
        COLUMN,
        DATA,
        "A table's column with the labels, by name or number from 0. Default: the last.",
    )
    ignore: tuple[str, ...] | None = _option(
        NAMES, DATA, "A table's columns to leave out, by name or number: names, words, row numbers."
    )
    model: str | None = _option(among(MODELS), MODEL, "The network, by name.")
    model_options: Mapping[str, Json] = _option(
        TABLE, MODEL, "An option of the network's own, as in hidden=64; may be given again.", {}
    )
    weights: str | None = _option(
        PATH, MODEL, "A safetensors file with the weights to start from. Default: fresh ones."
    )
    epochs: int | None = _option(integer(1), LEARNING, "Times through the data.")
    batch_size: int | None = _option(integer(1), LEARNING, "Images in a step.")
    optimizer: str | None = _option(choice(*OPTIMIZERS), LEARNING, "How weights are moved.")
    lr: float | None = _option(number(above=0), LEARNING, "The learning rate.")
    momentum: float | None = _option(
        number(least=0, below=1), LEARNING, "Of SGD and RMSprop. Default: 0.9 for SGD, else 0."
    )
    weight_decay: float | None = _option(
        number(least=0), LEARNING, "How strongly weights are pulled to 0. Default: the optimizer's."
    )
    label_smoothing: float = _option(
        number(least=0, below=1), LEARNING, "The part of the target that all classes share.", 0.0
    )
    augment: str | None = _option(
        TEXT, LEARNING, "Random changes to training images, as in crop:4,flip,rotate:15,cutout:8; "
        "or none.",
    )  # fmt: skip
    accumulate: int = _option(integer(1), LEARNING, "How many steps' gradients make one update.", 1)
    clip_norm: float | None = _option(
        number(above=0), LEARNING, "The most that the norm of all gradients may be."
    )
    clip_value: float | None = _option(
        number(above=0), LEARNING, "The most that a single number of a gradient may be."
    )
    ema: float | None = _option(
        number(above=0, below=1), LEARNING, "Average the weights with this decay, as in 0.999."
    )
    schedule: str | None = _option(
        choice(*SCHEDULES), SCHEDULE, "How the learning rate goes on from lr."
    )
    schedule_options: Mapping[str, Json] = _option(
        TABLE, SCHEDULE, "An option of the schedule's own, as in every=10 (epochs) or gamma=0.5; "
        "may be given again.", {},
    )  # fmt: skip
    warmup: float = _option(
        number(least=0), SCHEDULE, "Epochs in which the learning rate rises to lr first.", 0.0
    )
    metrics: tuple[str, ...] = _option(
        NAMES, WATCHING, "What to measure: accuracy, top5, precision, recall, f1; of targets that "
        "are numbers mae, mse, r2. Default: accuracy; mae,r2 of targets.", ("accuracy",),
    )  # fmt: skip
    monitor: str | None = _option(
        TEXT, WATCHING, "The figure by which the best epoch is found. Default: val_loss."
    )
    early_stopping: int | None = _option(
        integer(1), WATCHING, "Stop when the monitored figure hasn't improved for so many epochs."
    )
    tensorboard: bool = _option(FLAG, WATCHING, "Write the figures for TensorBoard, too.", False)
    device: str = _option(TEXT, RUNNING, "Device: cpu, cuda:1, xla:cpu, tpu, ..., or auto.", "auto")
    precision: str = _option(
        choice("float32", "bfloat16", "float16"), RUNNING,
        "What forward and backward are computed in; weights stay float32.", "float32",
    )  # fmt: skip
    seed: int = _option(
        integer(0), RUNNING, "Of weights, order of images, and dropout: same seed, same run.", 0
    )
    jit: bool = _option(FLAG, RUNNING, "Compile the whole step, or run op by op.", True)
    workers: int = _option(
        integer(0), RUNNING, "Threads that prepare batches while the device computes.", 1
    )
    threads: int | None = _option(
        integer(1), RUNNING, "Threads that NumPy's products (BLAS) take. Default: its own choice, "
        "often one for each core; 1 is faster where the machine has other work, too.",
    )  # fmt: skip
    save_every: int | None = _option(
        integer(1), SAVING, "Save a checkpoint every N steps, too. Default: after each epoch."
    )
    keep: int = _option(integer(1), SAVING, "How many checkpoints stay, beside the best.", 3)
    on_save_error: str = _option(
        choice("stop", "continue"), SAVING, "What to do when a checkpoint can't be saved.", "stop"
    )

    def __post_init__(self) -> None:
        for name in OPTIONS:
            object.__setattr__(self, name, read_option(name, getattr(self, name), "config"))
        if self.schedule is not None:
            _check_schedule(self.schedule, self.schedule_options)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """What a TOML file says; the rest as it is by default.

        Raises `DataError` for a file that can't be read or is no TOML, `ArgumentError` with file
        and line for a key that is no option, or whose value is impossible.
        """
        return cls(**options_from_toml(path))

    @classmethod
    def from_json(cls, values: Mapping[str, Json]) -> Self:
        """What `as_json` gave. Raises `ArgumentError` for an unknown name or impossible value."""
        for name in values:
            _known(name, "config")
        return cls(**cast("dict[str, Any]", values))

    def merged(self, overrides: Mapping[str, object]) -> Self:
        """A copy in which these options are others; those that are None stay as they are.

        Tables are merged key by key; with another model or schedule they begin anew. Raises
        `ArgumentError` for an unknown name.

        >>> Config(model_options={"a": 8}).merged({"model_options": {"b": 2}}).model_options
        {'a': 8, 'b': 2}
        """
        changes: dict[str, Any] = {}
        for name, value in overrides.items():
            _known(name, "config")
            if value is None:
                continue
            read = read_option(name, value, "config")
            changes[name] = {**self._table(name, overrides), **read} if _is_table(name) else read
        for owner in ("model", "schedule"):
            table = f"{owner}_options"
            changes.setdefault(table, self._table(table, overrides))
        return replace(self, **changes)

    def _table(self, name: str, overrides: Mapping[str, object]) -> Mapping[str, Json]:
        """A table to add to: that of now, unless what its options belong to is replaced."""
        owner = name.removesuffix("_options")
        old, new = getattr(self, owner), overrides.get(owner)
        same = old is None or new is None or old == read_option(owner, new, "config")
        table: Mapping[str, Json] = getattr(self, name) if same else {}
        return table

    def completed(self, recipe: Mapping[str, object]) -> Self:
        """A copy in which what is None is as the recipe says."""
        return self.merged({k: v for k, v in recipe.items() if getattr(self, k, None) is None})

    def as_json(self) -> dict[str, Json]:
        """The options as JSON has them; without those that are None."""
        given = {name: getattr(self, name) for name in OPTIONS}
        return {
            name: OPTIONS[name].kind.written(value)
            for name, value in given.items() if value is not None
        }  # fmt: skip

    def as_toml(self) -> str:
        """The options as a TOML file, in groups; without those that are None.

        >>> print(Config(data="mnist").as_toml()[:21])
        # Data
        data = "mnist"
        """
        values = self.as_json()
        lines: list[str] = []
        for group in GROUPS:
            lines += ["", f"# {group}"]
            lines += [
                f"{name} = {toml(value)}"
                for name, value in values.items()
                if OPTIONS[name].group == group and not isinstance(value, dict)
            ]
        for name, value in values.items():  # TOML wants tables last
            if isinstance(value, dict) and value:
                lines += ["", f"[{name}]"]
                lines += [f"{toml(key)} = {toml(item)}" for key, item in value.items()]
        return "\n".join(lines[1:]) + "\n"


OPTIONS: Mapping[str, Option] = MappingProxyType(
    {each.name: each.metadata["option"] for each in fields(Config)}
)


def read_option(name: str, value: object, where: str) -> Any:
    """The value of an option, as it is kept.

    where  what a message begins with: a file and line, say. Raises `ArgumentError`.
    """
    default = Config.__dataclass_fields__[name].default
    if value is None and default is None:
        return None
    try:
        return OPTIONS[name].kind.read(value)
    except (ValueError, TypeError):
        kind = OPTIONS[name].kind
        meant = near(value, kind.names) if isinstance(value, str) else ""
        raise ArgumentError(
            f"{where}: {name}={shown(value)}{meant}; expected {kind.expected}"
        ) from None


def options_from_toml(path: str | Path) -> dict[str, Any]:
    """The options that a TOML file names, checked. Raises as `Config.from_toml` does."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except OSError as error:
        raise DataError(
            f"{path} can't be read: {error.strerror}; name a TOML file with options"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no TOML: {error}; expected lines as in epochs = 5") from error
    found: dict[str, Any] = {}
    for name, value in given.items():
        where = f"{path}{_line(text, name)}"
        _known(name, where)
        found[name] = read_option(name, value, where)
    if "schedule" in found:
        where = f"{path}{_line(text, 'schedule_options')}"
        _check_schedule(found["schedule"], found.get("schedule_options", {}), where)
    return found


def _is_table(name: str) -> bool:
    return OPTIONS[name].kind is TABLE


def _known(name: str, where: str) -> None:
    if name not in OPTIONS:
        meant = near(name.replace("-", "_"), OPTIONS)
        raise ArgumentError(
            f"{where}: {name!r} is no option{meant or '; tinyaccel train --help lists them'}"
        )


def _check_schedule(name: str, options: Mapping[str, Json], where: str = "config") -> None:
    known = SCHEDULES[name]
    for option, value in options.items():
        if option not in known:
            listed = f"expected one of {', '.join(known)}" if known else "it has none"
            raise ArgumentError(
                f"{where}: schedule_options: {option!r} is no option of {name}"
                f"{near(option, known)}; {listed}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise ArgumentError(
                f"{where}: schedule_options: {option}={shown(value)}; expected a number, 0 or more"
            )


def _line(text: str, name: str) -> str:
    """ ", line 3", where a key or table of that name stands."""
    quoted = rf"[\"']?{re.escape(name)}[\"']?"
    pattern = re.compile(rf"\s*(\[+\s*{quoted}\s*[\].]|{quoted}\s*[=.])")
    for number_, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return f", line {number_}"
    return ""
