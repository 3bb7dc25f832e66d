"""The files of a run: what is in them, that they are whole, and what an interruption leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import network, quarters

from tinyaccel import train
from tinyaccel.data import DataLoader
from tinyaccel.errors import ArgumentError, TrainError
from tinyaccel.train import weights
from tinyaccel.train.record import Row, as_csv, fresh_folder

pytest.importorskip("safetensors", reason="safetensors (the extra 'train')")
FILES = ["history.csv", "metrics.json", "model.safetensors"]


def test_the_three_files(tmp_path: Path) -> None:
    """They hold what the result says, under the names that are promised, and nothing else."""
    model, out = network(), tmp_path / "deep" / "run"
    result = train.fit(
        model, quarters(40), quarters(20, 2), epochs=2, batch_size=16, lr=0.01, seed=3, out=out,
        quiet=True, facts={"data": "quarters"},
    )  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert result.out == out
    metrics = json.loads((out / "metrics.json").read_text())
    promised = {
        "test_accuracy": result.test_accuracy, "test_loss": result.test_loss,
        "seconds": result.seconds, "images_per_second": result.images_per_second,
        "device": "cpu", "seed": 3, "epochs": 2, "epochs_wanted": 2, "lr": 0.01, "batch_size": 16,
        "jit": True, "train_images": 40, "test_images": 20, "data": "quarters",
    }  # fmt: skip
    assert {name: metrics.get(name) for name in promised} == promised
    assert {"tinyaccel", "python", "numpy"} <= set(metrics["versions"])
    with (out / "history.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == [row._asdict() for row in result.history]
    other = network(seed=9)
    train.load_weights(other, out / "model.safetensors")
    assert all(np.array_equal(v, model.state_dict()[k]) for k, v in other.state_dict().items())


def test_figures_that_there_are_not() -> None:
    """Without a test set the cells are empty."""
    text = as_csv([Row(1, 0.5, 0.25, None, None, 2.0)])
    assert text == (
        "epoch,train_loss,train_accuracy,test_loss,test_accuracy,seconds\n1,0.5,0.25,,,2.0\n"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrainError])
def test_what_is_finished_stays(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the third epoch, the files are those of the first two, and fit together."""
    orders = DataLoader.order

    def stop(self: Any, epoch: int) -> Any:
        if epoch == 3 and self.shuffle:
            raise error("stop")
        return orders(self, epoch)

    two = network()
    train.fit(two, quarters(40), epochs=2, out=tmp_path / "two", quiet=True)
    monkeypatch.setattr(DataLoader, "order", stop)
    with pytest.raises(error) as caught:
        train.fit(network(), quarters(40), epochs=5, out=tmp_path / "five", quiet=True)
    if error is KeyboardInterrupt:
        kept = f"2 finished epochs are in {tmp_path / 'five'}"
        assert str(caught.value) == f"fit: interrupted in epoch 3; {kept}"
    metrics = json.loads((tmp_path / "five" / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["epochs_wanted"]) == (2, 5)
    assert (tmp_path / "five" / "history.csv").read_text().count("\n") == 3
    saved = network(seed=9)
    train.load_weights(saved, tmp_path / "five" / "model.safetensors")
    assert all(np.array_equal(v, two.state_dict()[k]) for k, v in saved.state_dict().items())


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk harms neither the file that is there nor its folder."""
    weights.write(tmp_path / "a", "old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ArgumentError, match="can't be written: No space left on device; choose"):
        weights.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_can_not_be(tmp_path: Path) -> None:
    """A file where the folder should be is said in one line, before any training."""
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ArgumentError, match=r"out: .*out can't be made a folder: .*; choose"):
        train.fit(network(), quarters(8), out=tmp_path / "out", quiet=True)
    assert (tmp_path / "out").read_text() == "mine"


def test_fresh_folders(tmp_path: Path) -> None:
    """The first number that is free; what is there is left alone."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a-002").write_text("")
    names = [fresh_folder(tmp_path / "runs", "a").name for _ in range(2)]
    assert names == ["a-001", "a-003"]
