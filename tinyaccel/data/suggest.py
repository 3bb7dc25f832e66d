"""Names that nearly match: what an error suggests."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Other words for a thing, too far from its name to be found by their letters.
_ALSO_CALLED = {
    "acc": "accuracy", "bf16": "bfloat16", "fp16": "float16", "half": "float16",
    "fp32": "float32", "single": "float32", "gpu": "cuda", "nvidia": "cuda",
}  # fmt: skip


def near(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'mnist'?` if one of `known` is near enough, else nothing.

    Capitals and small letters count as the same; what is suggested is spelled as it is known.

    >>> near("minst", ["mnist", "digits"])
    ", did you mean 'mnist'?"
    >>> near("adm", ["SGD", "Adam"]), near("gpu", ["cpu", "cuda"])
    (", did you mean 'Adam'?", ", did you mean 'cuda'?")
    """
    by_lower = {one.lower(): one for one in known}
    given = name.lower()
    if _ALSO_CALLED.get(given) in by_lower:
        return f", did you mean {by_lower[_ALSO_CALLED[given]]!r}?"
    found = difflib.get_close_matches(given, by_lower, n=1)
    return f", did you mean {by_lower[found[0]]!r}?" if found else ""
