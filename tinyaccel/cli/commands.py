"""The app: every command with its name; of `devices` and `verify` the options, too."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tinyaccel.backend import backend_names
from tinyaccel.cli import verify as verifying
from tinyaccel.cli.ask import evaluate, predict
from tinyaccel.cli.devices import print_devices
from tinyaccel.cli.options import Debug
from tinyaccel.cli.train import recipes, resume, train

app = typer.Typer(
    no_args_is_help=True,
    help="A small tensor engine: train a network on a CPU, an NVIDIA GPU or a TPU.",
    epilog="Exit status: 0 if all went well; 1 if verify found something out of budget; 2 for what "
    "you can put right, in one line on stderr; 130 for Ctrl-C, 143 for SIGTERM, after saving.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinyaccel {version('tinyaccel')}")
        raise typer.Exit


@app.callback()
def tinyaccel(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    """What comes before a command."""


app.command(epilog=recipes())(train)
app.command()(resume)
app.command()(evaluate)
app.command()(predict)


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
