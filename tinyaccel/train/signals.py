"""Being asked to stop: Ctrl-C and SIGTERM are noted, and obeyed where nothing gets lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after what was reached has been saved; the text says where, and how to go on."""

    code = 128 + signal.SIGINT  # a process's exit status, as a shell gives it


class Terminated(SystemExit):
    """SIGTERM, likewise; a program that doesn't catch it ends with status 143."""

    def __init__(self, text: str) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.text = text

    def __str__(self) -> str:
        return self.text


class StopRequest:
    """Whether a signal has arrived, and which."""

    signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def stop(self, text: str) -> Interrupted | Terminated:
        """What to raise, with a text for the user."""
        return Terminated(text) if self.signal == signal.SIGTERM else Interrupted(text)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note the first Ctrl-C or SIGTERM instead of stopping at once; a second one stops at once.

    Only Python's main thread is told of signals: elsewhere nothing changes, and the main thread
    stops as it always does. What handled the signals before is put back at the end.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request:
            text = "stopped at once, as asked twice; the last checkpoint is whole"
            raise request.stop(text)
        request.signal = number

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, note)
        yield request
    finally:
        for number, handler in before.items():
            # None: it was set outside Python, and can't be put back from here.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
