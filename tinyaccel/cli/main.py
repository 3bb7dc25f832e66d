"""The door of the command line: every error is one line on stderr, with an exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from tinyaccel.cli.status import INTERRUPTED, WRONG, Interrupted
from tinyaccel.data.extras import optional
from tinyaccel.errors import PackageError, TinyaccelError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `tinyaccel` with these arguments (default: the process's own); returns the exit status.

    0 if all went well; 2, with one line on stderr, for a wrong command, option, name or file and
    for a missing package; 130 for Ctrl-C. With `--debug` errors show their traceback.

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

    usage_error = typer.BadParameter.__base__  # click's, for which typer has no name of its own
    try:
        status = app(given, prog_name="tinyaccel", standalone_mode=False)
    except usage_error as error:
        if not error.message:  # no command at all: the help was asked for, and has been shown
            return WRONG
        context = error.ctx.command_path if error.ctx is not None else "tinyaccel"
        return _say(f"{error.format_message().rstrip('.')}; {context} --help lists what there is")
    except TinyaccelError as error:
        if "--debug" in given:
            traceback.print_exc()
            return WRONG
        return _say(str(error))
    except (Interrupted, KeyboardInterrupt, typer.Abort) as error:
        _say(str(error) or "interrupted")
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _say(text: str) -> int:
    sys.stderr.write(f"tinyaccel: {' '.join(text.split())}\n")
    return WRONG
