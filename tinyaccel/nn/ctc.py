"""Connectionist temporal classification: the loss of a sequence whose alignment isn't known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.nn.losses import Loss
from tinyaccel.nn.recurrent import time_steps
from tinyaccel.ops.creation import arange
from tinyaccel.ops.elementwise import equal, less, maximum, where
from tinyaccel.ops.indexing import take, take_along_axis
from tinyaccel.ops.loss import Reduction, reduced
from tinyaccel.ops.movement import concat, pad, stack
from tinyaccel.ops.reduce import logsumexp
from tinyaccel.tensor import Tensor, full, tensor

Lengths: TypeAlias = Tensor | Sequence[int] | int


class CTCLoss(Loss):
    """-log of the probability that T frames spell a target, summed over all alignments.

    An alignment names a class for each frame; it spells what is left when repeated classes are
    made one, and blanks taken out. The sum is over paths along the target with a blank before,
    between and behind its labels, of S' = 2 S + 1 places s:

        alpha[0, s] = 1 at s = 0, before the first frame
        alpha[t, s] = (alpha[t-1, s] + alpha[t-1, s-1] + alpha[t-1, s-2]) * p[t, s's class]

    whose last term is there only where s and s-2 are different labels. All in logarithms.

    blank          the class that spells nothing, 0 to C - 1
    reduction      "mean": each loss divided by its target's length (at least 1), then averaged;
                   "sum"; or "none" for all of them, (N,)
    zero_infinity  whether a loss is 0 where it would be inf: where no alignment is short enough

    Called with

    log_probs       (T, N, C), float, as `LogSoftmax(2)` gives them; or (T, C) for one sequence
    targets         labels, integers from 0 to C - 1 other than the blank: (N, S), of which the
                    first target_lengths count; or all of them in one row
    input_lengths   (N,): how many frames of each sequence count; more than T count as T
    target_lengths  (N,): how many labels each target has, none is fine

    Lengths are integers, in tensors or sequences, or one integer for one sequence. Those in
    tensors may change without a new trace; but of targets in one row each might then be as long
    as all together, which takes time and memory: pad these, or give their lengths as a sequence.
    The loop over the frames is traced frame by frame, anew for each T.

    A loss of inf has no gradient. The gradient is the slope by log_probs; PyTorch's has
    e**log_probs added, which `log_softmax` takes off again: behind it both are the same. Raises
    `ArgumentError`, `ShapeError` and `DTypeError` for what doesn't fit, on the CPU
    `IndexRangeError` for a label that is no class or a target longer than S; where a device can't
    raise, the loss is NaN.
    A. Graves et al., "Connectionist Temporal Classification", ICML 2006, section 4.1.

    >>> import tinyaccel as ta
    >>> even = ta.log_softmax(ta.zeros((2, 1, 2)))  # 3 of the 4 alignments spell one 1
    >>> loss = ta.nn.CTCLoss()(even, ta.tensor([[1]]), [2], [1])
    >>> ta.exp(-loss)
    tensor(0.75)
    """

    blank: int
    zero_infinity: bool

    def __init__(
        self, blank: int = 0, reduction: Reduction = "mean", zero_infinity: bool = False
    ) -> None:
        if not isinstance(blank, int) or isinstance(blank, bool) or blank < 0:
            raise ArgumentError(f"CTCLoss: blank={blank!r}; expected a class, 0 or more")
        super().__init__(reduction, blank=blank, zero_infinity=zero_infinity)

    def forward(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Lengths,
        target_lengths: Lengths,
    ) -> Tensor:
        batch = log_probs.expand_dims(1) if log_probs.ndim == 2 else log_probs
        self._check(batch, targets, log_probs)
        n, device = batch.shape[1], batch.device
        frames = _lengths("input_lengths", input_lengths, n, device)
        counts = _lengths("target_lengths", target_lengths, n, device)
        longest = _longest(targets, target_lengths)
        labels = _rows(targets, counts, longest)
        inside = less(arange(longest, device=device), counts.expand_dims(1))
        path = _path(where(inside, labels, self.blank), self.blank)
        losses = self._along(batch, path, frames, counts)
        if self.zero_infinity:
            losses = where(equal(losses, math.inf), 0, losses)
        if self.reduction == "mean":
            losses = losses / maximum(counts, 1).astype(losses.dtype)
        losses = losses.astype(log_probs.dtype)
        return reduced(losses.squeeze(0) if log_probs.ndim == 2 else losses, self.reduction)

    def _check(self, batch: Tensor, targets: Tensor, given: Tensor) -> None:
        if batch.ndim != 3 or 0 in batch.shape:
            raise ShapeError(
                f"CTCLoss: log_probs {given.shape}; expected (T, N, C), or (T, C) for one "
                "sequence, each at least 1"
            )
        if not given.dtype.is_float:
            raise DTypeError(f"CTCLoss: log_probs are {given.spec}; expected floats")
        if not targets.dtype.is_integer:
            raise DTypeError(f"CTCLoss: targets are {targets.spec}; expected integers, labels")
        n, classes = batch.shape[1:]
        if targets.ndim != 1 and (targets.ndim != 2 or targets.shape[0] != n):
            raise ShapeError(
                f"CTCLoss: targets {targets.shape} for log_probs {given.shape}; expected ({n}, S), "
                "or all labels in one row"
            )
        if self.blank >= classes:
            raise ArgumentError(
                f"CTCLoss: blank={self.blank} of {classes} classes; expected one of them"
            )

    def _along(self, log_probs: Tensor, path: Tensor, frames: Tensor, counts: Tensor) -> Tensor:
        """(N,): minus the log of the sum over all ways along `path`: (N, S'), classes."""
        wide = log_probs.astype(dtypes.promote(log_probs.dtype, dtypes.float32))
        n, places = path.shape
        index = where(less(path, 0), wide.shape[2], path)  # no class, and not one from the end
        seen = take_along_axis(wide, index.broadcast_to((wide.shape[0], n, places)), axis=2)
        # From a label to another one, over the blank between them. At the first two places it
        # makes no difference: nothing is before them.
        jumps = ~equal(path, pad(path, ((0, 0), (2, 0)))[:, :places])
        frames = frames.expand_dims(1)
        # log alpha, with two places in front that nothing reaches: (N, 2 + S')
        start = [-math.inf, -math.inf, 0.0] + [-math.inf] * (places - 1)
        state = tensor(np.array([start] * n), dtype=wide.dtype, device=wide.device)
        for t, emitted in enumerate(time_steps(seen, 0)):
            stay = state[:, 2:]
            ways = [stay, state[:, 1:-1], where(jumps, state[:, :-2], -math.inf)]
            moved = logsumexp(stack(ways), axis=0) + emitted
            state = pad(where(less(t, frames), moved, stay), ((0, 0), (2, 0)), value=-math.inf)
        # The path ends at the last blank, or at the label before it; an empty target has none.
        # A count below 0 is put beyond all places: it is as wrong as one that is too large.
        last = where(less(counts, 0), places + 3, 2 * counts + 2).expand_dims(1)
        ends = take_along_axis(state, concat([last, last - 1], axis=1), axis=1)
        return -logsumexp(ends, axis=1)


def _lengths(name: str, given: Lengths, n: int, device: Device) -> Tensor:
    """As a tensor: (N,), int32 or int64."""
    lengths = given
    if not isinstance(lengths, Tensor):
        values = np.asarray(lengths)
        if values.dtype.kind not in "iu" or (values.size and values.min() < 0):
            raise ArgumentError(
                f"CTCLoss: {name}={given!r}; expected integers of at least 0, one per sequence"
            )
        lengths = tensor(values.astype(np.int32), device=device)
    if not lengths.dtype.is_integer:
        raise DTypeError(f"CTCLoss: {name} are {lengths.spec}; expected integers")
    if lengths.shape != (n,) and (n, lengths.shape) != (1, ()):
        raise ShapeError(
            f"CTCLoss: {name} {lengths.shape} for {n} sequences; expected ({n},), one for each"
        )
    return lengths.reshape(n).astype(dtypes.promote(lengths.dtype, dtypes.int32))


def _longest(targets: Tensor, lengths: Lengths) -> int:
    """How many labels the longest target may have; lengths that are known must fit them."""
    size = targets.shape[-1]
    if isinstance(lengths, Tensor):
        return size
    known = np.asarray(lengths)
    if known.max() > size or (targets.ndim == 1 and known.sum() != size):
        many = "in all" if targets.ndim == 1 else "each at most"
        raise ShapeError(
            f"CTCLoss: target_lengths={lengths} for targets {targets.shape}; expected {many} {size}"
        )
    return int(known.max())


def _rows(targets: Tensor, counts: Tensor, longest: int) -> Tensor:
    """(N, longest): targets in one row cut into rows; what is behind a target is any label."""
    targets = targets.astype(dtypes.promote(targets.dtype, dtypes.int32))
    if targets.ndim == 2:
        return targets[:, :longest]
    if not longest:
        return full((counts.size, 0), 0, dtype=targets.dtype, device=targets.device)
    places = arange(longest, device=targets.device)
    inside = less(places, counts.expand_dims(1))
    starts = (counts.cumsum() - counts).expand_dims(1)
    return take(targets, where(inside, starts + places, 0), axis=0)


def _path(labels: Tensor, blank: int) -> Tensor:
    """(N, 2 S + 1): a blank before, between and behind the labels (N, S)."""
    n, s = labels.shape
    blanks = full((n, s + 1), blank, dtype=labels.dtype, device=labels.device)
    pairs = stack([blanks[:, :s], labels], axis=2).reshape(n, 2 * s)
    return concat([pairs, blanks[:, s:]], axis=1)
