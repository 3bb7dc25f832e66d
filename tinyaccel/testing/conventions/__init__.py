"""Where mathematics leaves a choice: what was chosen, as a table that every device is held to.

Gradients at kinks and ties, NaN, empty reductions, overflow, division by zero: finite differences
can't judge these, and random inputs rarely meet them. A file here belongs to the file of its name
in `ops`, has its part of the table as CONVENTIONS, and is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from tinyaccel.testing.conventions.common import Convention

__all__ = ["CONVENTIONS", "Convention"]


def _all() -> Sequence[Convention]:
    found: list[Convention] = []
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        room = importlib.import_module(f"{__name__}.{module}")
        found += getattr(room, "CONVENTIONS", ())
    return tuple(found)


CONVENTIONS = _all()
