"""`tinyaccel evaluate` and `tinyaccel predict`: what they take, what they print."""

from __future__ import annotations

import json as encoder
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinyaccel.cli.options import Debug, DeviceName, Json, ProgressKind, Quiet, completion, shown
from tinyaccel.train.checkpoint import Json as JsonValue
from tinyaccel.train.inference import BATCH_SIZE, Judgement, Mistake, Prediction, Trained

Checkpoint = Annotated[
    Path,
    typer.Argument(
        help="A checkpoint's file, or the folder of a run: then its best epoch, or its last.",
        metavar="CHECKPOINT",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Images at a time.", min=1)]


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
        typer.Option("--report", help="Precision, recall and F1 of each class, and confusions."),
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
    trained = Trained.read(checkpoint, device)
    say_which(trained, kind)
    judged = trained.evaluate(data, data_dir=data_dir, batch_size=batch_size, progress=kind)
    if confusion is not None:
        judged.evaluation.report().plot_confusion(confusion)
    wrong = judged.mistakes(mistakes) if mistakes else []
    if kind == "json":
        print_json(_as_json(trained, judged, report, wrong))
        return
    if report:
        typer.echo(judged.evaluation.report().text())
    for one in wrong:
        typer.echo(
            f"{one.sample}: {one.true}, taken for {one.answer} with probability "
            f"{one.probability:.4f}"
        )
    typer.echo(f"{judged.part} loss {judged.evaluation.loss:.4f}")
    for name, value in sorted(judged.evaluation.metrics.items(), key=lambda m: m[0] == "accuracy"):
        typer.echo(f"{judged.part} {name} {value:.4f}")


def predict(
    checkpoint: Checkpoint,
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, or folders of them.", metavar="IMAGE...")
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
    """Tell what is on pictures: the likeliest classes, with their probabilities.

    They are read as the pictures that the network was trained on: scaled, gray or in colour.
    """
    kind = shown("auto", quiet, json)
    trained = Trained.read(checkpoint, device)
    say_which(trained, kind)
    found = trained.predict(images, top=top, invert=invert, batch_size=batch_size)
    if kind == "json":
        print_json([one.as_json() for one in found])
        return
    for line in _aligned(found):
        typer.echo(line)


def say_which(trained: Trained, kind: str) -> None:
    """Name the checkpoint that is used, on stderr."""
    if kind not in ("quiet", "json"):
        typer.echo(f"{trained.path}, epoch {trained.epoch}, on {trained.trainer.device}", err=True)


def print_json(value: JsonValue) -> None:
    """A value on stdout, for programs."""
    typer.echo(encoder.dumps(value, indent=2, allow_nan=False))


def _as_json(
    trained: Trained, judged: Judgement, report: bool, wrong: Sequence[Mistake]
) -> dict[str, JsonValue]:
    whole: dict[str, JsonValue] = {
        "checkpoint": str(trained.path), "epoch": trained.epoch,
        "device": trained.trainer.device.name, "data": judged.data.name, "part": judged.part,
        "samples": len(judged.data), "loss": judged.evaluation.loss,
        **judged.evaluation.metrics,
    }  # fmt: skip
    if report:
        whole["report"] = judged.evaluation.report().as_json()
    if wrong:
        whole["mistakes"] = [{**one._asdict()} for one in wrong]
    return whole


def _aligned(found: Sequence[Prediction]) -> list[str]:
    """A line for each picture: its path, then class and probability, in columns."""
    path = max(len(str(one.path)) for one in found)
    name = max(len(name) for one in found for name, _ in one.answers)
    return [
        "  ".join([f"{one.path!s:{path}}", *(f"{n:{name}} {p:.4f}" for n, p in one.answers)])
        for one in found
    ]
