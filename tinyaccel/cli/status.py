"""How the program ends: its exit statuses, the end by Ctrl-C, and what an error says."""

from __future__ import annotations

import re

WRONG = 2  # what the user can put right
INTERRUPTED = 130  # as a shell gives it for Ctrl-C: 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM


class Interrupted(Exception):  # noqa: N818  # it is no error
    """Ctrl-C in a command, with what to tell the user."""


# What a message says to a program in Python: the function that speaks, and its arguments' names.
_FUNCTION = re.compile(r"^(fit|config): ")
_ARGUMENT = re.compile(r" \([a-z_]{2,}=(?:True|False|\d+|'[^']*')?\)")


def plain(text: str) -> str:
    """A message without what only Python's users need: `--skip-bad (skip_bad=True)`.

    >>> plain("fit: too large; give --lr (lr=)")
    'too large; give --lr'
    """
    return _ARGUMENT.sub("", _FUNCTION.sub("", text))
