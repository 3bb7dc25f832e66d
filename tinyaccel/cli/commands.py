"""The commands and their options; what they do is elsewhere."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tinyaccel.backend import backend_names
from tinyaccel.cli import verify as verifying
from tinyaccel.cli.devices import print_devices
from tinyaccel.cli.status import Interrupted
from tinyaccel.data.registry import DATASETS
from tinyaccel.nn.models import MODELS
from tinyaccel.train.loop import Result
from tinyaccel.train.program import run
from tinyaccel.train.recipes import RECIPES

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="A small tensor engine: train a network on a CPU, an NVIDIA GPU or a TPU.",
)


def _defaults(what: str) -> str:
    """For a help text: an option's default for each data set."""
    return ", ".join(f"{getattr(recipe, what)} for {name}" for name, recipe in RECIPES.items())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinyaccel {version('tinyaccel')}")
        raise typer.Exit


# Read by main, which is where errors end up.
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback()
def tinyaccel(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    """What comes before a command."""


@app.command()
def train(
    data: Annotated[str, typer.Option(help=f"Data set: {', '.join(DATASETS)}.")] = "digits",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the data set's files: mnist/*.gz, cifar10/*.bin (digits needs none). "
            "Default: the environment variable TINYACCEL_DATA.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Network: {', '.join(sorted(MODELS))}. Default: {_defaults('model')}.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(help=f"Device: {', '.join(backend_names())}, cuda:1, xla:cpu, ..., or auto."),
    ] = "auto",
    epochs: Annotated[
        int | None,
        typer.Option(
            help=f"Times through the data. Default: {_defaults('epochs')}.", show_default=False
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Images in a step. Default: {_defaults('batch_size')}.", show_default=False
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help=f"Adam's learning rate. Default: {_defaults('lr')}.", show_default=False),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of weights, order of images, and dropout: same seed, same run.")
    ] = 0,
    no_jit: Annotated[
        bool, typer.Option("--no-jit", help="Run op by op instead of compiling the step.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for metrics.json, history.csv and model.safetensors. "
            "Default: a fresh one under runs/.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress bar; print the test accuracy alone.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Train a network, by default the CNN for 8x8 digits, and print its test accuracy.

    Writes metrics.json, history.csv and the weights, anew after each epoch: Ctrl-C leaves what is
    finished.
    """
    try:
        result = run(
            data, data_dir=data_dir, model=model, device=device, epochs=epochs,
            batch_size=batch_size, lr=lr, seed=seed, jit=not no_jit, out=out, quiet=quiet,
        )  # fmt: skip
    except KeyboardInterrupt as stop:  # here, because typer would end without a word
        raise Interrupted(str(stop)) from stop
    if not quiet:
        typer.echo(_summary(result))
    typer.echo(f"test accuracy {result.test_accuracy:.4f}")


def _summary(result: Result) -> str:
    return (
        f"{len(result.history)} epochs on {result.device} in {result.seconds:.1f} s, "
        f"{result.images_per_second:,.0f} images/s; test loss {result.test_loss:.4f}; "
        f"files in {result.out}"
    )


@app.command()
def verify(
    backends: Annotated[
        str | None,
        typer.Option(
            help=f"Devices: {', '.join(backend_names())}, cuda:1, xla:cpu, ... Default: all here.",
            show_default=False,
        ),
    ] = None,
    ops: Annotated[
        str | None, typer.Option(help="Ops: exp,conv2d,... Default: all.", show_default=False)
    ] = None,
    examples: Annotated[
        int, typer.Option(help="Examples for each op, dtype, order and mode.", min=1)
    ] = 5,
    seed: Annotated[int, typer.Option(help="Of the examples, or of the random programs.")] = 0,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with a heat map here.", show_default=False)
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write all results as JSON here.", show_default=False)
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit's XML here.", show_default=False)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write a table in Markdown here.", show_default=False)
    ] = None,
    fuzz: Annotated[
        bool, typer.Option("--fuzz", help="Random programs on all backends, instead of single ops.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="How long to fuzz.", min=0.0)] = 5.0,
    debug: Debug = False,
) -> None:
    """Hold backends to the error budget of every op, to the conventions, and to jit's promises.

    Prints each op's worst error in units of its budget. Exit status 1 if anything is out of it.
    """
    named = verifying.devices_named(backends)
    if fuzz:
        status = verifying.fuzz(named, minutes=minutes, seed=seed)
    else:
        status = verifying.verify(
            named, verifying.ops_named(ops), examples=examples, seed=seed,
            files=verifying.Files(html, json, junit, markdown),
        )  # fmt: skip
    if status:
        raise typer.Exit(status)


@app.command()
def devices(
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Measure memory, arithmetic, bandwidth and time of an op."),
    ] = False,
    debug: Debug = False,
) -> None:
    """List all known devices: which are here, and how to get those that aren't.

    With --measure, how fast each of them is: to choose one.
    """
    print_devices(measure)
