"""Where the program `tinyaccel` begins: so light that Ctrl-C is heard before anything is loaded.

A package of its own, because importing any part of tinyaccel loads all of it, and NumPy: Ctrl-C
meanwhile would end in a long traceback out of the middle of an import.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from importlib import import_module


def main() -> int:
    """Load the command line and run it; Ctrl-C while it loads ends the process without a word."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:  # not where it is ignored, as in the background of a shell
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    program = import_module("tinyaccel.cli")
    with suppress(ImportError):  # a package is missing: the program says which
        import_module("tinyaccel.cli.commands")
    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status: int = program.main()
    return status
