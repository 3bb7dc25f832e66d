"""Context variables that a `with` block sets: grad mode, precision, default device, the trace.

A new thread starts from their defaults, so a worker thread is eager whatever its parent does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def setting(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Set `variable` to `value` for the length of a `with` block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
