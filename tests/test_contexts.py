"""Tests of tinyaccel.contexts."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from tinyaccel.contexts import setting

LEVEL: ContextVar[int] = ContextVar("level", default=0)


def test_setting_nests() -> None:
    """The value holds within the block, and the one before comes back."""
    with setting(LEVEL, 1):
        assert LEVEL.get() == 1
        with setting(LEVEL, 2):
            assert LEVEL.get() == 2
        assert LEVEL.get() == 1
    assert LEVEL.get() == 0


def test_setting_survives_exceptions() -> None:
    """An exception leaves the block as its end does."""
    with pytest.raises(KeyError), setting(LEVEL, 1):
        raise KeyError
    assert LEVEL.get() == 0


def test_threads_start_from_the_default() -> None:
    """A thread that is started within a block doesn't inherit its setting."""
    seen: list[int] = []
    with setting(LEVEL, 1):
        thread = threading.Thread(target=lambda: seen.append(LEVEL.get()))
        thread.start()
        thread.join()
    assert seen == [0]
