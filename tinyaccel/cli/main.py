"""The door of the command line: every error is one line on stderr, with an exit status."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from tinyaccel.cli.status import INTERRUPTED, TERMINATED, WRONG, Interrupted, plain
from tinyaccel.errors import PackageError, TinyaccelError
from tinyaccel.extras import optional


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `tinyaccel` with these arguments (default: the process's own); returns the exit status.

    0 if all went well; 1 if `verify` found something out of its budget; 2, with one line on stderr,
    for a wrong command, option, name or file, for a missing package, and for training that can't
    go on; 130 for Ctrl-C and 143 for SIGTERM, after what was reached has been saved, with how to
    go on from there. With `--debug` errors show their traceback.

    >>> main(["--version"])
    tinyaccel 0.1.0
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        typer = optional("typer", "tinyaccel's command line")
    except PackageError as error:
        return _say(str(error))
    from tinyaccel.cli.commands import app  # needs typer
    from tinyaccel.train.signals import Terminated

    usage_error = typer.BadParameter.__base__  # click's, for which typer has no name of its own
    try:
        status = app(given, prog_name="tinyaccel", standalone_mode=False)
    except usage_error as error:
        return _say(_usage(error)) if error.format_message() else WRONG  # else help was shown
    except TinyaccelError as error:
        if "--debug" in given:
            traceback.print_exc()
            return WRONG
        return _say(plain(str(error)))
    except (Interrupted, KeyboardInterrupt, typer.Abort) as error:
        _say(str(error) or "interrupted")
        return INTERRUPTED
    except Terminated as end:
        _say(str(end))
        return TERMINATED
    except SystemExit as end:  # how typer ends after shell completion
        return end.code if isinstance(end.code, int) else 0
    return status if isinstance(status, int) else 0


def _usage(error: Any) -> str:
    """What is wrong with the words of a command, what may have been meant, and where help is."""
    text = error.format_message().rstrip(".")
    command = error.ctx.command_path if error.ctx is not None else "tinyaccel"
    option = getattr(error, "option_name", None)
    if option is not None and getattr(error, "possibilities", None):
        text = f"No such option: {option}, did you mean {error.possibilities[0]}?"
    stray = re.search(r"unexpected extra argument\S* \((\S+)\)$", text)
    if stray and command == "tinyaccel train":
        text += f", did you mean --data {stray[1]}?"
    return f"{text}; {command} --help lists what there is"


def _say(text: str) -> int:
    sys.stderr.write(f"tinyaccel: {' '.join(text.split())}\n")
    return WRONG
