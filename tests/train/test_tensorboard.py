"""TensorBoard: the event files, read back by frame and checksum."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, SaveError
from tinyaccel.train.tensorboard import TensorBoard

pytest.importorskip("tensorboardX", reason="tensorboardX (the extra 'train')")
event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
crc = pytest.importorskip("tensorboardX.record_writer").masked_crc32c


def events(folder: Path) -> list[Any]:
    """All events of all files of a folder, in the order in which TensorBoard reads them."""
    found = []
    for path in sorted(folder.iterdir()):
        assert ".out.tfevents." in path.name
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            assert struct.unpack("<I", data[8:12]) == (crc(data[:8]),)
            assert struct.unpack("<I", data[12 + size : 16 + size]) == (crc(data[12 : 12 + size]),)
            found.append(event_pb2.Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    """(step, tag, value) of all scalars."""
    return [
        (event.step, value.tag, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def texts(folder: Path) -> dict[str, str]:
    return {
        value.tag: value.tensor.string_val[0].decode()
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("tensor")
    }


def fake(step: int = 0, folder: Path | None = None) -> Any:
    """What the callback needs of a trainer."""
    run = None if folder is None else SimpleNamespace(path=folder)
    return SimpleNamespace(step=step, folder=run, model=nn.Linear(2, 3))


def test_scalars(tmp_path: Path) -> None:
    """What is logged and each epoch's row, by the step of the run; no NaN, no None."""
    board, trainer = TensorBoard(tmp_path / "a" / "b"), fake()
    board.on_train_begin(trainer)
    trainer.step = 12
    log = {"epoch": 1, "step": 10, "loss": 0.5, "accuracy": 0.25, "lr": 0.125}
    board.on_log(trainer, log)
    row = {"epoch": 1, "loss": 0.75, "val_loss": math.nan, "val_accuracy": None, "seconds": 2.0}
    board.on_epoch_end(trainer, row)
    board.on_train_end(trainer)
    board.on_train_end(trainer)
    found = scalars(tmp_path / "a" / "b")
    assert found == [
        (10, "loss", 0.5), (10, "accuracy", 0.25), (10, "lr", 0.125),
        (12, "epoch/epoch", 1.0), (12, "epoch/loss", 0.75), (12, "epoch/seconds", 2.0),
    ]  # fmt: skip
    assert events(tmp_path / "a" / "b")[0].file_version == "brain.Event:2"
    assert texts(tmp_path / "a" / "b") == {"model/text_summary": f"    {trainer.model!r}"}


def test_seen_while_it_runs(tmp_path: Path) -> None:
    """An epoch's figures are in the file at once, not only at the end."""
    board, trainer = TensorBoard(tmp_path), fake()
    board.on_train_begin(trainer)
    board.on_epoch_end(trainer, {"epoch": 1, "loss": 0.75})
    assert len(scalars(tmp_path)) == 2
    board.on_train_end(trainer)


def test_a_resumed_run(tmp_path: Path) -> None:
    """It writes into a file of its own, at once, which hides the steps that it does again."""
    for step in (0, 7):
        board = TensorBoard(tmp_path)
        board.on_train_begin(fake(step))
        board.on_log(fake(step + 5), {"loss": step + 0.5})
        board.on_train_end(fake())
    assert len(list(tmp_path.iterdir())) == 2
    assert scalars(tmp_path) == [(5, "loss", 0.5), (12, "loss", 7.5)]
    starts = [e.step for e in events(tmp_path) if e.HasField("session_log")]
    assert starts == [8]
    assert [e.session_log.status for e in events(tmp_path) if e.HasField("session_log")] == [1]


def test_texts_and_settings(tmp_path: Path) -> None:
    """The config as JSON, a text as it is; hparams name the figures that the rows have, once."""
    board = TensorBoard(
        config={"lr": 0.1, "out": Path("runs")}, hparams={"lr": 0.1, "model": "mlp", "clip": None}
    )
    trainer = fake(folder=tmp_path)
    board.on_train_begin(trainer)
    for epoch in (1, 2):
        board.on_epoch_end(trainer, {"epoch": epoch, "loss": 0.5})
    board.on_train_end(trainer)
    folder = tmp_path / "tensorboard"
    wanted = '    {\n      "lr": 0.1,\n      "out": "runs"\n    }'
    assert texts(folder)["config/text_summary"] == wanted
    plugin = pytest.importorskip("tensorboardX.proto.plugin_hparams_pb2").HParamsPluginData
    data = [
        plugin.FromString(value.metadata.plugin_data.content)
        for event in events(folder)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    ]
    experiment, start = data
    assert [metric.name.tag for metric in experiment.experiment.metric_infos] == ["epoch/loss"]
    settings = start.session_start_info.hparams
    assert (settings["lr"].number_value, settings["model"].string_value) == (0.1, "mlp")
    assert "clip" not in settings
    board = TensorBoard(tmp_path / "t", config="a\nb")
    board.on_train_begin(fake())
    board.on_train_end(fake())
    assert texts(tmp_path / "t")["config/text_summary"] == "    a\n    b"


def test_histograms(tmp_path: Path) -> None:
    """Each parameter's values are counted after an epoch; one that isn't finite is left out."""
    board, trainer = TensorBoard(tmp_path, histograms=True), fake(step=0)
    weight, bias = trainer.model.weight, trainer.model.bias
    weight.assign(ta.tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 4.0]]))
    bias.assign(ta.full(bias.shape, math.inf))
    board.on_train_begin(trainer)
    board.on_epoch_end(trainer, {"epoch": 1})
    board.on_train_end(trainer)
    ((tag, found),) = [
        (value.tag, value.histo)
        for event in events(tmp_path)
        for value in event.summary.value
        if value.HasField("histo")
    ]
    assert tag == "weights/weight"
    assert (found.num, found.min, found.max, found.sum, found.sum_squares) == (6, 0, 4, 10, 26)
    counts = np.asarray(found.bucket)
    assert counts[counts > 0].tolist() == [1, 2, 2, 1]


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is warned of once, and training goes on without."""
    board, trainer = TensorBoard(tmp_path), fake()
    board.on_train_begin(trainer)

    def full(_data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(board._writer, "write", full)
    text = r"TensorBoard: its file can't be written \(No space left on device\); training goes on"
    with pytest.warns(RuntimeWarning, match=text):
        board.on_log(trainer, {"loss": 0.5})
    board.on_log(trainer, {"loss": 0.5})
    board.on_epoch_end(trainer, {"epoch": 1, "loss": 0.5})
    board.on_train_end(trainer)
    assert scalars(tmp_path) == []


def test_folders_that_can_not_be(tmp_path: Path) -> None:
    """A file in the way is said before training; so is that there is no folder at all."""
    (tmp_path / "f").write_text("mine")
    board = TensorBoard(tmp_path / "f" / "g")
    with pytest.raises(
        SaveError, match=r"TensorBoard: .*g can't be written to: Not a directory; c"
    ):
        board.on_train_begin(fake())
    board.on_train_end(fake())
    with pytest.raises(ArgumentError, match=r"neither it nor the run has a folder; give TensorBo"):
        TensorBoard().on_train_begin(fake())
