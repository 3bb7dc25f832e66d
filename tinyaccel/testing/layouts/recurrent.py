"""Shapes that the gates of recurrent networks are tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

_STATES = ((2, 3), (1,), (33,), (0, 2), (2, 1, 3))

LAYOUTS: dict[str, list[Layout]] = {
    "lstm_gates": [of((*s[:-1], 4 * s[-1]), s) for s in _STATES],
    "gru_gates": [of((*s[:-1], 3 * s[-1]), (*s[:-1], 3 * s[-1]), s) for s in _STATES],
}
