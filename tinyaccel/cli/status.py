"""How the program ends: its exit statuses, and the end by Ctrl-C."""

from __future__ import annotations

WRONG = 2  # what the user can put right
INTERRUPTED = 130  # as a shell gives it for Ctrl-C: 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM


class Interrupted(Exception):  # noqa: N818  # it is no error
    """Ctrl-C in a command, with what to tell the user."""
