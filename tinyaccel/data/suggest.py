"""Names that nearly match: what an error suggests."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'mnist'?` if one of `known` is near enough, else nothing.

    >>> near("minst", ["mnist", "digits"])
    ", did you mean 'mnist'?"
    """
    found = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {found[0]!r}?" if found else ""
