"""How many of something there are, in words: what a message counts."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """`1 picture`, `1,200 pictures`: a number with its noun, which gets an s unless it is one.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
