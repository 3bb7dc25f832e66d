"""Going on after a stop: to the same bits, on another device, and what doesn't fit."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import network, quarters

import tinyaccel as ta
from tinyaccel import data, nn, optim
from tinyaccel.errors import ArgumentError, DataError, SaveError, TrainError
from tinyaccel.train import Callback, EarlyStopping, Progress, Trainer, run_folder
from tinyaccel.train.callbacks import Row
from tinyaccel.train.checkpoint import Checkpoint
from tinyaccel.train.run_folder import best_of, newest, steps_of
from tinyaccel.train.signals import Interrupted, Terminated

for package in ("safetensors", "filelock"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

TRAIN, TEST = quarters(60, seed=1), quarters(20, seed=2)


class StopAt(Callback):
    """Sends this process a signal after an epoch, as somebody at the keyboard would."""

    def __init__(self, epoch: int, number: int = signal.SIGINT) -> None:
        self.epoch, self.number = epoch, number

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        if epoch == self.epoch:
            os.kill(os.getpid(), self.number)


class Told(Progress):
    """Keeps what the user would be told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def _trainer(*callbacks: Callback, device: str | None = None, **options: Any) -> Trainer:
    model = network(dropout=0.3)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    schedule = optim.CosineAnnealingLR(optimizer, T_max=24)
    return Trainer(
        model, optimizer=optimizer, schedule=schedule, device=device, seed=4, callbacks=callbacks,
        **options,
    )  # fmt: skip


def _fit(trainer: Trainer, out: Path | None, **options: Any) -> Trainer:
    given = {
        "epochs": 4, "batch_size": 10, "progress": "quiet", "workers": 0, "out": out,
        "transform": data.augmentation("flip"), **options,
    }  # fmt: skip
    trainer.fit(TRAIN, TEST, **given)
    return trainer


def _same(a: Checkpoint, b: Checkpoint) -> None:
    """All tensors are equal to the bit, and all that is told but the time."""
    assert a.tensors.keys() == b.tensors.keys()
    for name, value in a.tensors.items():
        assert np.array_equal(value, b.tensors[name]), name
    for c in (a, b):
        rows: Any = c.facts["history"]
        assert all(row.pop("seconds") > 0 for row in rows)
        assert all(row.pop("images_per_second") > 0 for row in rows)
    assert a.facts["history"] == b.facts["history"]


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9, "accumulate": 2}, {"precision": "float16", "clip_norm": 1.0}]
)
def test_ctrl_c_and_on(options: dict[str, Any], jit: bool, tmp_path: Path) -> None:
    """Ctrl-C in the third epoch saves after that step, says how to go on, and nothing is lost."""
    whole = _fit(_trainer(jit=jit, **options), tmp_path / "whole").checkpoint()
    out = tmp_path / "stopped"
    with pytest.raises(Interrupted) as caught:
        _fit(_trainer(StopAt(3), jit=jit, **options), out)
    steps = options.get("accumulate", 1)
    text = (
        f"stopped at epoch 3, step {steps} of 6; saved in {out}/checkpoints/step-{12 + steps:08d}"
        f".safetensors; go on with: fit(..., out={str(out)!r}, resume=True)"
    )
    assert str(caught.value) == text
    _same(_fit(_trainer(jit=jit, **options), out, resume=True).checkpoint(), whole)


def test_sigterm(tmp_path: Path) -> None:
    """SIGTERM does the same, and ends a program that doesn't catch it with status 143."""
    with pytest.raises(Terminated, match=r"stopped at epoch 2, step 1 of 6; saved in ") as caught:
        _fit(_trainer(StopAt(2, signal.SIGTERM)), tmp_path)
    assert caught.value.code == 143
    assert newest(tmp_path)[1].facts["progress"]["step"] == 7  # type: ignore[index, call-overload]


def test_stopped_without_a_folder() -> None:
    """There is nothing to go on from, and the line says why."""
    with pytest.raises(Interrupted, match=r"nothing was saved, since no folder was named \(out=\)"):
        _fit(_trainer(StopAt(1)), None)


def test_more_epochs(tmp_path: Path) -> None:
    """A run that is finished goes on for more epochs, as if it had been asked for them at first."""
    whole = _fit(_trainer(), tmp_path / "whole").checkpoint()
    _fit(_trainer(), tmp_path / "b", epochs=2)
    _same(_fit(_trainer(), tmp_path / "b", resume=True).checkpoint(), whole)


def test_a_path_to_go_on_from(tmp_path: Path) -> None:
    """Any checkpoint's path serves, also into another folder, which then has a run of its own."""
    whole = _fit(_trainer(), tmp_path / "whole", save_every=1, keep=99).checkpoint()
    middle = tmp_path / "whole" / "checkpoints" / "step-00000009.safetensors"
    on = _fit(_trainer(), tmp_path / "b", resume=middle)
    _same(on.checkpoint(), whole)
    assert steps_of(tmp_path / "b")[0].name == "step-00000024.safetensors"


def test_save_every(tmp_path: Path) -> None:
    """A checkpoint every so many steps and at each epoch's end; history.csv grows with them."""
    kept: list[list[str]] = []

    class Look(Callback):
        def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
            kept.append([p.stem[-2:] for p in steps_of(tmp_path)])

    _fit(_trainer(Look()), tmp_path, save_every=4, keep=99, epochs=3)
    assert kept == [[], ["06", "04"], ["12", "10", "06", "04"]]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 4
    assert (tmp_path / "model.safetensors").exists()


def _gradients(trainer: Trainer) -> dict[str, Any]:
    """The gradients of one batch of the epoch that comes next, and the loss."""
    loader = data.DataLoader(TRAIN, 10, shuffle=True, seed=4)
    x, y = next(iter(loader.epoch(trainer.epoch, start=trainer.batch)))
    trainer.model.train()
    loss = ta.cross_entropy(trainer.model(trainer.upload(x)), trainer.upload(y))
    loss.backward()
    grads = {name: p.grad for name, p in trainer.model.named_parameters()}
    found = {name: g.numpy() for name, g in grads.items() if g is not None}
    return {"loss": loss.numpy(), "x": x, **found}


@pytest.mark.parametrize(("first", "then"), [("cpu", "xla:cpu"), ("xla:cpu", "cpu")])
def test_on_another_device(first: str, then: str, tmp_path: Path) -> None:
    """Stopped here and resumed there: the same batches, masks, moments; gradients within budget.

    Sums of at most 160 float32 numbers of size about 1: 4 sqrt(160) eps, 6e-6 of the largest.
    """
    pytest.importorskip("jax", reason="XLA")
    with pytest.raises(Interrupted):
        _fit(_trainer(StopAt(2), device=first), tmp_path)
    state = newest(tmp_path)[0]
    here, there = _trainer(device=first), _trainer(device=then)
    assert here.load(state) == []
    changed = there.load(state)
    assert f"device {then} instead of {first}" in changed
    a, b = here.checkpoint(), there.checkpoint()
    assert all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
    ours, theirs = _gradients(here), _gradients(there)
    assert ours.keys() == theirs.keys() and len(ours) == 8
    assert np.array_equal(ours["x"], theirs["x"])
    for name, value in ours.items():
        assert np.abs(value - theirs[name]).max() <= 6e-6 * max(1, np.abs(value).max()), name
    told = Told()
    _fit(_trainer(device=then), tmp_path, resume=True, progress=told)
    assert told.texts[0].startswith(f"going on from {state}: epoch 2, step 7")
    assert "not where it was saved: device " in told.texts[1]


def test_what_is_different_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and the jit mode, which bits may depend on, are told of; equal ones aren't."""
    trainer = _fit(_trainer(), tmp_path, epochs=1)
    path = newest(tmp_path)[0]
    assert trainer.load(path) == []
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    found = _trainer(jit=False).load(path)
    assert "jit False instead of True" in found
    assert any(text.startswith("OMP_NUM_THREADS 17 instead of ") for text in found)


def test_a_truncated_checkpoint(tmp_path: Path) -> None:
    """The one before serves, and that is said; the end is the same."""
    whole = _fit(_trainer(), tmp_path / "whole").checkpoint()
    out = tmp_path / "b"
    _fit(_trainer(), out, epochs=2)
    last = steps_of(out)[0]
    last.write_bytes(last.read_bytes()[:1000])
    told = Told()
    on = _fit(_trainer(), out, resume=True, progress=told)
    assert "no whole safetensors file" in told.texts[0] and "an older" in told.texts[0]
    _same(on.checkpoint(), whole)


def test_what_does_not_fit(tmp_path: Path) -> None:
    """Another model, optimizer or order of batches: one line, and nothing has changed."""
    _fit(_trainer(), tmp_path, epochs=1)
    path = newest(tmp_path)[0]
    ta.manual_seed(8)
    other = Trainer(nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    sgd = Trainer(network(), optimizer=optim.SGD(network().parameters(), lr=0.1, momentum=0.9))
    for trainer, text in ((other, "wrong: 1.weight "), (sgd, "doesn't fit this SGD: ")):
        before = trainer.checkpoint()
        with pytest.raises(ArgumentError, match=rf"^{re.escape(str(path))} doesn't fit: .*{text}"):
            trainer.load(path)
        after = trainer.checkpoint()
        assert all(np.array_equal(before.tensors[k], after.tensors[k]) for k in before.tensors)
    with pytest.raises(ArgumentError, match=r"was trained on other batches: batch_size 20 "):
        _fit(_trainer(), tmp_path, batch_size=20, resume=True)
    with pytest.raises(ArgumentError, match=r"other batches: transform None instead of '"):
        _fit(_trainer(), tmp_path, transform=None, resume=True)
    with pytest.raises(ArgumentError, match=r"has a run in it already; go on with it \(resume=Tr"):
        _fit(_trainer(), tmp_path)
    with pytest.raises(DataError, match=r"^.*nothing has no checkpoints; name the folder"):
        _fit(_trainer(), tmp_path / "nothing", resume=True)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("choice", ["stop", "continue"])
def test_a_full_disk(choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older checkpoint survives, and training stops, or goes on and tries again, as asked."""

    class Fill(Callback):
        def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
            if epoch == 2:
                patch.setattr(os, "fsync", _full)
            if epoch == 3:
                patch.undo()

    told = Told()
    with monkeypatch.context() as patch:
        options = {"on_save_error": choice, "progress": told, "epochs": 3}
        if choice == "stop":
            text = r"can't be written: No space left on device; .*; stopped at epoch 3, step 0 of 6"
            with pytest.raises(SaveError, match=text):
                _fit(_trainer(Fill()), tmp_path, **options)
        else:
            _fit(_trainer(Fill()), tmp_path, **options)
            assert len(told.texts) == 1
            assert re.match(r"not saved: .*step-00000012.* can't be written: No ", told.texts[0])
    kept = [path.stem[-2:] for path in steps_of(tmp_path)]
    assert kept == (["06"] if choice == "stop" else ["18", "06"])
    assert all(Checkpoint.read(path) for path in steps_of(tmp_path))


def test_the_best_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the best epoch can't be written the model still ends with its weights, not with those
    of a best that was written before.
    """
    weights: list[Mapping[str, Any]] = []

    class Fill(Callback):
        def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
            weights.append(trainer.model.state_dict())
            row["val_loss"] = (3.0, 2.0, 4.0)[int(row["epoch"] or 0) - 1]
            if row["epoch"] == 2:
                patch.setattr(os, "fsync", _full)

    with monkeypatch.context() as patch:
        trainer = _trainer(Fill(), EarlyStopping(9))
        _fit(trainer, tmp_path, epochs=3, on_save_error="continue")
    found = trainer.model.state_dict()
    assert all(np.array_equal(found[k], v) for k, v in weights[1].items())
    assert newest(tmp_path)[1].facts["progress"]["step"] == 6  # type: ignore[index, call-overload]
    for path in steps_of(tmp_path):
        path.unlink()
    assert newest(tmp_path)[0] == best_of(tmp_path)


def test_a_loss_that_is_no_number_keeps_the_good_checkpoint(tmp_path: Path) -> None:
    """Nothing that was computed after the first bad step is ever saved."""

    class Spoil(Callback):
        def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
            if epoch == 2:
                bias = dict(trainer.model.named_parameters())["6.bias"]
                bias.assign(np.full(4, np.nan, np.float32))

    text = r"at epoch 2, step 1; .*; the last good checkpoint is .*step-00000006\.safetensors$"
    with pytest.raises(TrainError, match=text):
        _fit(_trainer(Spoil()), tmp_path, save_every=2)
    assert [path.stem[-2:] for path in steps_of(tmp_path)] == ["06", "04", "02"]


def test_early_stopping_and_the_best(tmp_path: Path) -> None:
    """It stops `patience` epochs after the best, whose weights the model has then; so after a
    resume, which counts the epochs before it, too.
    """

    class Curve(Callback):
        """Gives the validation's loss a course of its own."""

        losses = (5.0, 3.0, 4.0, 3.5, 9.0, 9.0)

        def __init__(self) -> None:
            self.weights: list[Mapping[str, Any]] = []

        def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
            row["val_loss"] = self.losses[int(row["epoch"] or 0) - 1]
            self.weights.append(trainer.model.state_dict())

    for out in (None, tmp_path / "whole"):
        curve = Curve()
        trainer = _fit(_trainer(curve, EarlyStopping(2)), out, epochs=6)
        text = "val_loss hasn't improved for 2 epochs; its best is 3.0000, of epoch 2"
        assert trainer.stop == text
        assert len(trainer.history.rows) == 4
        state = trainer.model.state_dict()
        assert all(np.array_equal(state[k], v) for k, v in curve.weights[1].items())
    assert Checkpoint.read(best_of(tmp_path / "whole")).facts["progress"]["step"] == 12  # type: ignore[index, call-overload]
    _fit(_trainer(Curve(), EarlyStopping(2)), tmp_path / "b", epochs=3)
    on = _fit(_trainer(Curve(), EarlyStopping(2)), tmp_path / "b", epochs=6, resume=True)
    assert on.stop == text
    found = on.model.state_dict()
    assert all(np.array_equal(found[k], state[k]) for k in state)


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    """While one is going on another is refused, before it has changed anything."""
    run = run_folder.RunFolder(tmp_path)
    try:
        with pytest.raises(ArgumentError, match=r"another run is writing into it; wait"):
            _fit(_trainer(), tmp_path)
    finally:
        run.close()
