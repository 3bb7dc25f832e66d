"""The training step: forward, loss, backward, clipping and update, each jitted as one graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tinyaccel.dtypes import DType, float16, float32
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.jit import jit as compile_function
from tinyaccel.nn.module import Module
from tinyaccel.optim import EMA, GradScaler, Optimizer, clip_grad_norm_, clip_grad_value_
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor
from tinyaccel.train.metrics import count_correct
from tinyaccel.train.precision import computing_in
from tinyaccel.train.totals import Totals

LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Steps:
    """What training does to one batch, and what evaluation does.

    totals   what each training step adds its loss to
    classes  how many there are; 0 for regression. Where the loss takes labels, right answers are
             counted, and the model must give a logit for each class
    scaler   keeps float16's gradients away from 0; None for the other dtypes
    ema      averages of the weights that follow each update, or None

    A trace is made for each shape of a batch. What changes between steps, the learning rate too,
    is a tensor that the trace reads, so that nothing makes another trace.
    """

    model: Module
    loss: LossFunction
    optimizer: Optimizer
    totals: Totals
    classes: int
    dtype: DType = float32
    jit: bool = True
    clip_norm: float | None = None
    clip_value: float | None = None
    scaler: GradScaler | None = None
    ema: EMA | None = None

    def __post_init__(self) -> None:
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ArgumentError(f"Trainer: {name}={value!r}; expected a number above 0")
        if (self.dtype is float16) != (self.scaler is not None):
            raise ArgumentError("Trainer: float16, and it alone, needs a GradScaler")
        compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = (
            compile_function if self.jit else lambda fn: fn
        )
        self.whole, self.part = compiled(self._whole), compiled(self._part)
        self.update = compiled(self._update)
        self.test = compiled(self._test)
        self.forward = compiled(self._forward)

    def _answer(self, x: Tensor) -> Tensor:
        """The model's output in float32, of a shape that every class fits in."""
        with computing_in(self.model, self.dtype):
            given = x.astype(self.dtype) if x.dtype.is_float else x
            out = self.model(given)
        if self.classes:
            n = x.shape[0]
            if out.ndim != 2 or out.shape[0] != n or out.shape[1] < self.classes:
                raise ShapeError(
                    f"model: it gives {out.shape} for a batch {x.shape}, but the data has "
                    f"{self.classes} classes; expected ({n}, {self.classes}): change its last layer"
                )
        return out.astype(float32) if out.dtype is not float32 else out

    def _whole(self, x: Tensor, y: Tensor) -> None:
        """A step from one batch."""
        self._learn(x, y, None)
        self._update()

    def _part(self, x: Tensor, y: Tensor, share: Tensor) -> None:
        """One of several batches from which an update is made, and its share of the samples."""
        self._learn(x, y, share)

    def _learn(self, x: Tensor, y: Tensor, share: Tensor | None) -> None:
        """Forward and backward: gradients are added to those that are there."""
        out = self._answer(x)
        loss = self.loss(out, y)
        if loss.shape != ():
            raise ShapeError(f"loss: it gives {loss.shape}; expected one number, the batch's mean")
        weighed = loss if share is None else loss * share
        (self.scaler.scale(weighed) if self.scaler is not None else weighed).backward()
        right = count_correct(out.detach(), y) if self.classes and y.ndim == 1 else None
        self.totals.add(loss.detach(), x.shape[0], right)

    def _update(self) -> None:
        """Clip the gradients, move the parameters, forget the gradients."""
        parameters = self.optimizer.params
        finite = self.scaler.unscale_(parameters) if self.scaler is not None else None
        if self.clip_value is not None:
            clip_grad_value_(parameters, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(parameters, self.clip_norm)
        self.optimizer.step(when=finite)
        if self.scaler is not None and finite is not None:
            self.scaler.update(finite)
        if self.ema is not None:
            self.ema.update(when=finite)
        self.optimizer.zero_grad()  # here, so that no gradient outlives the step

    def _test(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with no_grad():
            out = self._answer(x)
            return self.loss(out, y), out

    def _forward(self, x: Tensor) -> Tensor:
        with no_grad():
            return self._answer(x)
