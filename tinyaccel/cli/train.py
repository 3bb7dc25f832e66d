"""`tinyaccel train` and `tinyaccel resume`: what they take, what they print."""

from __future__ import annotations

import json as encoder
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tinyaccel.cli.options import (
    Debug,
    DeviceName,
    Json,
    ProgressKind,
    Quiet,
    checked,
    complete_run,
    completion,
    config_options,
    shown,
)
from tinyaccel.cli.status import Interrupted
from tinyaccel.data.plural import counted
from tinyaccel.train.config import Config, options_from_toml
from tinyaccel.train.program import Result, run
from tinyaccel.train.program import resume as go_on
from tinyaccel.train.recipes import RECIPES, Recipe, recipe_for

_OUT = "Running"  # the heading under which a command's own options stand


def _line(name: str, recipe: Recipe) -> str:
    augment = "" if recipe.augment == "none" else f", {recipe.augment}"
    return (
        f"{name}: {recipe.model}, {recipe.epochs} epochs, batches of {recipe.batch_size}, "
        f"{recipe.optimizer}, lr {recipe.lr:g}, {recipe.schedule}{augment}"
    )


def recipes() -> str:
    """What each data set is trained with, a paragraph each, for the end of a help text."""
    others = {"pictures": recipe_for("", (3, 64, 64)), "tables": recipe_for("", (8,))}
    lines = [_line(name, recipe) for name, recipe in (RECIPES | others).items()]
    return "\n\n".join(["What is left open is, for", *lines])


@config_options
def train(
    given: Mapping[str, object],
    config: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with options, a key each: epochs = 5. What is given here wins.",
            show_default=False, rich_help_panel=_OUT,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for everything that comes of it. Default: a fresh one under runs/.",
            show_default=False, rich_help_panel=_OUT,
        ),
    ] = None,
    progress: ProgressKind = "auto",
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Train a network on pictures or a table, by default the CNN for 8x8 digits.

    \b
    tinyaccel train --data pictures --image-size 64 --out runs/pictures
    tinyaccel train --data table.csv --label kind --epochs 100
    tinyaccel train --config runs/pictures/config.toml --lr 3e-4

    The folder of the run gets checkpoints/, config.toml, history.csv, metrics.json,
    model.safetensors, curves.png and confusion.png. Ctrl-C saves, and says how to go on. The last
    line printed is how good the network became: on the test part of the data, or, where there is
    none, on what was held out to validate with.
    """
    kind = shown(progress, quiet, json)
    options = options_from_toml(config) if config is not None else {}
    wanted = Config(**options).merged(checked(given, "train"))
    with stoppable():
        result = run(wanted, out=out, progress=kind)
    print_result(result, kind)


def resume(
    run: Annotated[
        Path,
        typer.Argument(
            help="The folder of the run.", metavar="RUN", autocompletion=complete_run
        ),
    ],
    epochs: Annotated[
        int | None,
        typer.Option(
            help="How many more than were planned. Default: what is left of those.", min=1,
            show_default=False,
        ),
    ] = None,
    device: DeviceName = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Where the same data is now. Default: where it was.", metavar="PATH",
            show_default=False, autocompletion=completion("data"),
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where the files of a named data set are now.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that prepare batches.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of NumPy's products.", show_default=False)
    ] = None,
    save_every: Annotated[
        int | None, typer.Option(help="Save every N steps, too.", show_default=False)
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="How many checkpoints stay.", show_default=False)
    ] = None,
    on_save_error: Annotated[
        str | None,
        typer.Option(
            help="What to do when a checkpoint can't be saved: stop or continue.", metavar="NAME",
            show_default=False, autocompletion=completion("on_save_error"),
        ),
    ] = None,
    progress: ProgressKind = "auto",
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Go on with a run that was stopped or killed, from its newest whole checkpoint.

    On the same device, with the same versions, threads and options, the weights become the same to
    the bit as if it had never been stopped.
    """
    kind = shown(progress, quiet, json)
    given = {
        "device": device, "data": data, "data_dir": data_dir, "workers": workers,
        "threads": threads, "save_every": save_every, "keep": keep, "on_save_error": on_save_error,
    }  # fmt: skip
    changes = checked({k: v for k, v in given.items() if v is not None}, "resume")
    with stoppable():
        result = go_on(run, epochs=epochs, changes=changes, progress=kind)
    print_result(result, kind)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C into an error that typer lets pass: it would end without a word."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(str(stop)) from stop


def print_result(result: Result, kind: str) -> None:
    """What came of a run, in the form that was asked for; the accuracy last."""
    if kind == "json":
        typer.echo(encoder.dumps({"event": "result", **result.as_json()}, allow_nan=False))
        return
    evaluation, part = result.evaluation, result.part
    if kind != "quiet":
        typer.echo(
            f"{counted(len(result.history), 'epoch')} on {result.trainer.device} in "
            f"{result.seconds:.1f} s, {result.images_per_second:,.0f} {result.unit}/s; "
            f"{part} loss {evaluation.loss:.4f}; files in {result.folder}"
        )
    figures = dict(evaluation.metrics) or {"loss": evaluation.loss}
    if "accuracy" in figures:  # the line that is looked for comes last
        figures["accuracy"] = figures.pop("accuracy")
    for name, value in figures.items():
        which = "" if kind == "quiet" else _which(result, name)
        typer.echo(f"{part} {name} {value:.4f}{which}")


def _which(result: Result, name: str) -> str:
    """Which epoch a figure is of, and what the last one had, where that isn't the same."""
    best, last = result.trainer.best, len(result.history)
    if best is None or result.best_epoch is None:
        return ""
    figure = result.history.rows[-1].get(f"val_{name}") if result.part == "validation" else None
    after = f"; the last had {figure:.4f}" if best.epoch != last and figure is not None else ""
    return f" (epoch {best.epoch}, the best by {best.monitor}{after})"
