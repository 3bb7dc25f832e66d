"""Options of commands: one for each field of a Config, what several share, and shell completion."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from tinyaccel.backend import backend_names
from tinyaccel.data.registry import DATASETS
from tinyaccel.data.suggest import near
from tinyaccel.errors import ArgumentError, DeviceError
from tinyaccel.nn.models import MODELS
from tinyaccel.train.config import OPTIONS, Config, read_option
from tinyaccel.train.display import KINDS
from tinyaccel.train.run_folder import runs_in

Completion = Callable[[str], list[str]]

_METRICS = ("accuracy", "top5", "precision", "recall", "f1", "mae", "mse", "r2")
_CHANGES = ("crop:4", "flip", "vflip", "rotate:15", "cutout:8")
_AFTER_COMMA = ("metrics", "augment")  # options whose value is several names


def device_names() -> list[str]:
    """What `--device` may be, as far as names go: numbers and kinds come after a colon."""
    return ["auto", *backend_names(), "xla:cpu"]


_NAMES: Mapping[str, Callable[[], Sequence[str]]] = {
    "data": lambda: [*DATASETS],
    "model": lambda: sorted(MODELS),
    "device": device_names,
    "metrics": lambda: _METRICS,
    "augment": lambda: ("none", *_CHANGES),
}


def names_of(option: str) -> list[str]:
    """The names that an option of `Config` may be; none if it isn't one of names."""
    if option in _NAMES:
        return [*_NAMES[option]()]
    return [*OPTIONS[option].kind.names]


def completion(option: str) -> Completion:
    """What the shell is told when Tab is pressed after `--option`."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = "", "", incomplete
        if option in _AFTER_COMMA:
            before, comma, last = incomplete.rpartition(",")
        found = [before + comma + name for name in names_of(option) if name.startswith(last)]
        return found + (_paths(incomplete) if option == "data" else [])

    return complete


def complete_run(incomplete: str) -> list[str]:
    """What the shell is told for a run: those here and in the folders here, else any folders."""
    start = Path(incomplete)
    folder = start if incomplete.endswith("/") or start == Path() else start.parent
    here = [run for place in (folder, *_folders(folder)) for run in runs_in(place)]
    found = [str(run) for run in here if str(run).startswith(incomplete)]
    return found or [path for path in _paths(incomplete) if Path(path).is_dir()]


def _folders(folder: Path) -> list[Path]:
    """Those in a folder, without hidden ones; none where it can't be read."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    except OSError:
        return []


def _paths(incomplete: str) -> list[str]:
    """Folders, and files that data can be read from."""
    start = Path(incomplete)
    folder = start if incomplete.endswith("/") else start.parent
    try:
        there = sorted(folder.iterdir())
    except OSError:
        return []
    wanted = [p for p in there if p.is_dir() or p.suffix.lower() in (".csv", ".npz")]
    return [str(p) for p in wanted if str(p).startswith(incomplete) and p.name[0] != "."]


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator for a command: its first argument becomes the options of `Config` that were given.

    Each field is an option of the same name, with its help text under its theme's heading.
    """
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        given = {name: values.pop(name) for name in OPTIONS}
        command({k: v for k, v in given.items() if v is not None}, **values)

    added = [_parameter(name) for name in OPTIONS]
    parameters = [*added, *(p.replace(kind=p.KEYWORD_ONLY) for p in own)]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options


def _parameter(name: str) -> inspect.Parameter:
    """The argument, as typer wants it, for one field."""
    option = OPTIONS[name]
    kind = option.kind
    flag = name.replace("_", "-")
    spelled = [f"--{flag}/--no-{flag}"] if kind.type is bool else [f"--{flag}"]
    names = names_of(name)
    declared = typer.Option(
        *spelled,
        help=_help(name, names),
        metavar=None if kind.type is bool else kind.metavar,
        show_default=False,
        rich_help_panel=option.group,
        autocompletion=completion(name) if names else None,
    )
    type_ = list[str] if kind.type is list else kind.type
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[type_ | None, declared],
    )  # fmt: skip


def _help(name: str, names: Sequence[str]) -> str:
    """An option's help text, with the names that it may be and its default."""
    default = Config.__dataclass_fields__[name].default
    parts = [OPTIONS[name].help]
    if names and name not in _AFTER_COMMA:
        parts.append(f"One of {', '.join(names)}.")
    if OPTIONS[name].kind.type is not bool and isinstance(default, str | int | float):
        parts.append(f"Default: {default}.")
    elif default is None and name in _OF_RECIPES:
        parts.append("Default: by the data, see below.")
    return " ".join(parts)


_OF_RECIPES = ("model", "epochs", "batch_size", "lr", "optimizer", "schedule", "augment")


def check_device(name: str | None) -> str | None:
    """The name; raises `DeviceError` if it is unknown and another one is near."""
    meant = "" if name is None else near(name, device_names())
    if name is not None and meant and name.partition(":")[0] not in device_names():
        raise DeviceError(
            f"device: {name!r} is unknown{meant}; expected one of {', '.join(device_names())}"
        )
    return name


def checked(given: Mapping[str, object], command: str) -> dict[str, object]:
    """The options as they are kept; raises `ArgumentError` in the name of the command."""
    check_device(cast("str | None", given.get("device")))
    return {name: read_option(name, value, command) for name, value in given.items()}


# What several commands share. Debug is read by main, which is where errors end up.
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="As --progress quiet.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ProgressKind = Annotated[
    str,
    typer.Option(
        "--progress",
        help=f"What to show meanwhile: {', '.join(KINDS)}.",
        metavar="NAME",
        autocompletion=lambda incomplete: [k for k in KINDS if k.startswith(incomplete)],
    ),
]
DeviceName = Annotated[
    str | None,
    typer.Option(
        "--device",
        help=f"Device: {', '.join(device_names())}, cuda:1, ...",
        metavar="NAME",
        show_default=False,
        callback=check_device,
        autocompletion=completion("device"),
    ),
]


def shown(progress: str, quiet: bool, json: bool) -> str:
    """The one kind of progress that these three options ask for."""
    if quiet and json:
        raise ArgumentError("--quiet and --json: expected one of them")
    if quiet:
        return "quiet"
    return "json" if json else progress
