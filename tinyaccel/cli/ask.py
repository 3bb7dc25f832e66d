"""`tinyaccel evaluate` and `tinyaccel predict`: what they take, what they print."""

from __future__ import annotations

import json as encoder
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinyaccel.cli.options import (
    Debug,
    DeviceName,
    Json,
    ProgressKind,
    Quiet,
    complete_run,
    completion,
    shown,
)
from tinyaccel.cli.status import WRONG, plain
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train.checkpoint import Json as JsonValue
from tinyaccel.train.history import strict_row
from tinyaccel.train.inference import BATCH_SIZE, Judgement, Mistake, Prediction, Trained
from tinyaccel.train.metrics import find_metric
from tinyaccel.train.plots import check_png

Checkpoint = Annotated[
    Path,
    typer.Argument(
        help="The folder of a run: then its best epoch, or its last; or a checkpoint's file.",
        metavar="RUN",
        autocompletion=complete_run,
    ),
]
BatchSize = Annotated[int, typer.Option(help="Images or rows at a time.", min=1)]
_OF_TARGETS = ("mae", "mse", "r2")  # what a report tells of numbers that are fitted


def evaluate(
    checkpoint: Checkpoint,
    data: Annotated[
        str | None,
        typer.Option(
            help="Other data: a data set's name, or a folder of pictures, a .csv or .npz file. "
            "Default: what it was trained with, its test part.",
            metavar="PATH", show_default=False, autocompletion=completion("data"),
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder with the files of a named data set.", show_default=False),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Precision, recall and F1 of each class, and confusions; mae, mse and r2 of "
            "targets.",
        ),
    ] = False,
    confusion: Annotated[
        Path | None,
        typer.Option(help="Draw the confusion matrix here, a PNG.", show_default=False),
    ] = None,
    mistakes: Annotated[
        int, typer.Option(help="List so many wrong answers, the surest first.", min=0)
    ] = 0,
    device: DeviceName = None,
    batch_size: BatchSize = BATCH_SIZE,
    progress: ProgressKind = "auto",
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Tell how good a trained network is, on its test data or on other data."""
    kind = shown(progress, quiet, json)
    if confusion is not None:
        check_png(confusion)
    trained = Trained.read(checkpoint, device)
    if confusion is not None and not trained.classes:
        raise ArgumentError(f"--confusion: {trained.path} has targets, not classes; leave it out")
    say_which(trained, kind)
    judged = trained.evaluate(data, data_dir=data_dir, batch_size=batch_size, progress=kind)
    says = kind not in ("quiet", "json")
    if judged.learnt and says:
        typer.echo(
            f"{data} is what it was trained on: new data will come out worse; without --data it is "
            "judged by what was held out",
            err=True,
        )
    if confusion is not None:
        judged.evaluation.report().plot_confusion(confusion)
        if says:
            typer.echo(f"written to {confusion}", err=True)
    wrong = judged.mistakes(mistakes) if mistakes else []
    figures = _figures(judged, report)
    if kind == "json":
        print_json(_as_json(trained, judged, figures, report, wrong))
        return
    if report and trained.classes:
        typer.echo(judged.evaluation.report().text())
    for one in wrong:
        typer.echo(
            f"{one.sample}: {one.true}, taken for {one.answer} with probability "
            f"{one.probability:.4f}"
        )
    typer.echo(f"{judged.part} loss {judged.evaluation.loss:.4f}")
    for name, value in sorted(figures.items(), key=lambda m: m[0] == "accuracy"):
        typer.echo(f"{judged.part} {name} {value:.4f}")


def _figures(judged: Judgement, report: bool) -> dict[str, float]:
    """The metrics of the run; and in the report of targets, which has no classes, all of theirs."""
    evaluation = judged.evaluation
    more = _OF_TARGETS if report and not evaluation.classes else ()
    return evaluation.metrics | {
        name: find_metric(name)(evaluation.outputs, evaluation.labels) for name in more
    }


def predict(
    checkpoint: Checkpoint,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, or folders of them; tables (.csv), if it was trained on one.",
            metavar="FILE...",
        ),
    ],
    top: Annotated[int, typer.Option(help="How many classes to tell of each.", min=1)] = 3,
    invert: Annotated[
        bool,
        typer.Option(
            "--invert",
            help="Swap dark and light: the digits of MNIST are light on dark, ink on paper isn't.",
        ),
    ] = False,
    device: DeviceName = None,
    batch_size: BatchSize = BATCH_SIZE,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell what is on pictures, or what rows of a table are: the likeliest classes, or numbers.

    Pictures are read as those that the network was trained on: scaled, gray or in colour. A table
    has the columns that it was trained on, by name. What can't be read is named at the end.
    """
    kind = shown("auto", quiet, json)
    trained = Trained.read(checkpoint, device)
    say_which(trained, kind)
    bad: dict[Path, str] = {}

    def note(path: Path, error: DataError) -> None:
        bad[path] = plain(str(error))

    found = trained.predict(files, top=top, invert=invert, batch_size=batch_size, on_bad=note)
    if kind == "json":
        wrong: list[JsonValue] = [{"file": str(path), "error": text} for path, text in bad.items()]
        print_json([*(one.as_json() for one in found), *wrong])
    for line in _aligned(found) if kind != "json" else ():
        typer.echo(line)
    for text in bad.values():
        typer.echo(f"tinyaccel: {text}", err=True)
    if bad:
        raise typer.Exit(WRONG)


def say_which(trained: Trained, kind: str) -> None:
    """Name the checkpoint that is used, on stderr."""
    if kind not in ("quiet", "json"):
        typer.echo(f"{trained.path}, epoch {trained.epoch}, on {trained.trainer.device}", err=True)


def print_json(value: JsonValue) -> None:
    """A value on stdout, for programs."""
    typer.echo(encoder.dumps(value, indent=2, allow_nan=False))


def _as_json(
    trained: Trained,
    judged: Judgement,
    figures: Mapping[str, float],
    report: bool,
    wrong: Sequence[Mistake],
) -> dict[str, JsonValue]:
    whole: dict[str, JsonValue] = {
        "checkpoint": str(trained.path), "epoch": trained.epoch,
        "device": trained.trainer.device.name, "data": judged.data.name, "part": judged.part,
        "samples": len(judged.data), "trained_on": judged.learnt,
        **strict_row({"loss": judged.evaluation.loss, **figures}),
    }  # fmt: skip
    if report and trained.classes:
        whole["report"] = judged.evaluation.report().as_json()
    if wrong:
        whole["mistakes"] = [{**one._asdict()} for one in wrong]
    return whole


def _aligned(found: Sequence[Prediction]) -> list[str]:
    """A line each: the picture's path, or table:line; class and probability, or numbers."""
    places = [str(one.path) + (f":{one.line}" if one.line else "") for one in found]
    place = max(map(len, places), default=0)
    name = max((len(name) for one in found for name, _ in one.answers), default=0)
    return [
        "  ".join([
            f"{where:{place}}", *(f"{n:{name}} {p:.4f}" for n, p in one.answers),
            *(f"{value:.6g}" for value in one.values),
        ])
        for where, one in zip(places, found, strict=True)
    ]  # fmt: skip
