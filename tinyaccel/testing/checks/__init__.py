"""Checks by name: what a device must do that is no single op's business.

Arrays go there and come back; random numbers are the same to the bit; `jit` keeps, reads and
writes what it must. A file here has its part of the list as CHECKS.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.testing.checks import random, state, transfer
from tinyaccel.testing.checks.common import Check

__all__ = ["CHECKS", "Check"]

CHECKS: Sequence[Check] = (*transfer.CHECKS, *random.CHECKS, *state.CHECKS)
