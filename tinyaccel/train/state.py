"""A trainer's whole state as a checkpoint, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt

from tinyaccel.errors import ArgumentError, TinyaccelError
from tinyaccel.nn.module import Module
from tinyaccel.ops.random import Generator, default_generator
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.train.callbacks import Best
from tinyaccel.train.checkpoint import Checkpoint, Json
from tinyaccel.train.environment import differences, environment
from tinyaccel.train.history import History, strict_row

if TYPE_CHECKING:
    from tinyaccel.train.trainer import Trainer


def state_of(trainer: Trainer) -> Checkpoint:
    """See `Trainer.checkpoint`."""
    facts: dict[str, Json] = {
        **trainer.facts,
        "progress": {
            "epoch": trainer.epoch, "batch": trainer.batch, "step": trainer.step,
            "updates": trainer.updates, "seconds": trainer.seconds,
        },
        "history": cast(Json, [strict_row(row) for row in trainer.history.rows]),
        "best": None if trainer.best is None else cast(Json, trainer.best.state_dict()),
        "schedule": None if trainer.schedule is None else trainer.schedule.state_dict(),
        "callbacks": [callback.state_dict() for callback in trainer.callbacks],
        "environment": environment(trainer.device, trainer.jit),
    }  # fmt: skip
    checkpoint = Checkpoint({}, facts)
    for name, part in _parts(trainer).items():
        checkpoint.add(name, part.state_dict())
    checkpoint.add("random", {name: t.numpy() for name, t in _random(trainer).items()})
    return checkpoint


def load_state(trainer: Trainer, checkpoint: Checkpoint, where: str) -> list[str]:
    """See `Trainer.load`."""
    before = state_of(trainer)
    try:
        _load(trainer, checkpoint)
    except TinyaccelError as error:
        _load(trainer, before)
        raise ArgumentError(f"{where} doesn't fit: {error}") from error
    old = checkpoint.facts.get("environment")
    now = environment(trainer.device, trainer.jit)
    return differences(old, now) if isinstance(old, dict) else []


def _load(trainer: Trainer, checkpoint: Checkpoint) -> None:
    facts = cast("dict[str, Any]", checkpoint.facts)
    for name, part in _parts(trainer).items():
        part.load_state_dict(checkpoint.part(name))
    given = checkpoint.part("random")
    for name, t in _random(trainer).items():
        if name not in given:
            raise ArgumentError(f"random state {name!r} is missing; expected {', '.join(given)}")
        t.assign(tensor(given[name], device=t.device))
    progress = facts.get("progress", {})
    trainer.epoch, trainer.batch = int(progress["epoch"]), int(progress["batch"])
    trainer.step, trainer.updates = int(progress["step"]), int(progress["updates"])
    trainer.seconds = float(progress["seconds"])
    trainer.history = History(facts.get("history", []))
    if trainer.schedule is not None and facts.get("schedule") is not None:
        trainer.schedule.load_state_dict(facts["schedule"])
    best = facts.get("best")
    if best is not None:
        trainer.best = Best(best["monitor"])
        trainer.best.load_state_dict(best)
    kept = facts.get("callbacks", [])
    if len(kept) == len(trainer.callbacks):  # else there are others now, which begin anew
        for callback, state in zip(trainer.callbacks, kept, strict=True):
            callback.load_state_dict(state)


def _parts(trainer: Trainer) -> dict[str, Any]:
    """What has a state of tensors, by name."""
    steps = trainer.steps(None)
    parts = {
        "model": trainer.model, "optimizer": trainer.optimizer, "ema": trainer.ema,
        "scaler": trainer.scaler, "totals": steps.totals,
    }  # fmt: skip
    return {name: part for name, part in parts.items() if part is not None}


def _random(trainer: Trainer) -> dict[str, Tensor]:
    """The random states that training draws from: the device's, and those that layers have."""
    found = {"state": default_generator(trainer.device).state}
    for path, module in trainer.model.named_modules():
        for name, value in _attributes(module).items():
            if isinstance(value, Generator):
                found[f"{path}.{name}" if path else name] = value.state
    return found


def _attributes(module: Module) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def averaged(model: Module, checkpoint: Checkpoint) -> dict[str, npt.NDArray[Any]]:
    """The weights that a checkpoint's model is evaluated with: averages where there are any."""
    state = checkpoint.part("model")
    averages = checkpoint.part("ema")
    for i, (name, _) in enumerate(model.named_parameters()):
        if f"average.{i}" in averages:
            state[name] = averages[f"average.{i}"]
    return state
