"""Ctrl-C and SIGTERM: the first is a request, the second is obeyed at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tinyaccel.train.signals import Interrupted, Terminated, stop_requests


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)]
)
def test_first_a_request_then_at_once(number: int, kind: type[BaseException]) -> None:
    """The first signal only says so; the second raises; what handled it before is put back."""
    before = signal.getsignal(number)
    with stop_requests() as request:
        assert not request
        os.kill(os.getpid(), number)
        assert request and request.signal == number
        assert isinstance(request.stop("text"), kind) and str(request.stop("text")) == "text"
        with pytest.raises(kind, match="stopped at once"):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_they_end_a_program_as_they_should() -> None:
    """A program that doesn't catch them: KeyboardInterrupt for one, status 143 for the other."""
    assert issubclass(Interrupted, KeyboardInterrupt) and Interrupted.code == 130
    assert isinstance(Terminated("x"), SystemExit) and Terminated("x").code == 143


def test_in_another_thread_nothing_changes() -> None:
    """A thread that isn't the main one can't handle signals; training there works all the same."""
    seen = []

    def inside() -> None:
        with stop_requests() as request:
            seen.append((bool(request), signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
