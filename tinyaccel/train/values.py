"""What an option's value may be: read from Python, TOML, JSON or the command line alike."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyaccel.train.checkpoint import Json


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    expected  how a message names it: "an integer, 1 or more"
    read      gives the value as it is kept, or raises `ValueError` for one that it can't be
    written   what stands for it in TOML and JSON
    type      what the command line gives: bool for a flag, list for an option that may come again
    metavar   what a help text shows in place of a value
    names     all values that there are, if they are names
    """

    expected: str
    read: Callable[[Any], Any]
    written: Callable[[Any], Json] = lambda value: value
    type: type = str
    metavar: str = "TEXT"
    names: tuple[str, ...] = ()


def integer(least: int) -> Kind:
    """An integer of at least so much."""

    def read(given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or given < least:
            raise ValueError
        return given

    return Kind(f"an integer, {least} or more", read, type=int, metavar="N")


def number(above: float | None = None, least: float | None = None, below: float = math.inf) -> Kind:
    """A finite number above something, or of at least so much, and below something else."""
    parts = [f"above {above:g}"] if above is not None else []
    parts += [f"of {least:g} or more"] if least is not None else []
    parts += [f"below {below:g}"] if math.isfinite(below) else []

    def read(given: object) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ValueError
        value = float(given)
        low = (above is not None and value <= above) or (least is not None and value < least)
        if not math.isfinite(value) or low or value >= below:
            raise ValueError
        return value

    return Kind(f"a number {' and '.join(parts)}", read, type=float, metavar="X")


def choice(*names: str) -> Kind:
    """One of some names; capitals and small letters are the same."""
    by_lower = {name.lower(): name for name in names}

    def read(given: object) -> str:
        if not isinstance(given, str) or given.lower() not in by_lower:
            raise ValueError
        return by_lower[given.lower()]

    return Kind(f"one of {', '.join(names)}", read, metavar="NAME", names=names)


def among(known: Iterable[str]) -> Kind:
    """A name in whatever letters `known` has it; an unknown one is left for others to refuse.

    known  may grow: it is looked at when a value is read
    """

    def read(given: object) -> str:
        name = _text(given)
        return {one.lower(): one for one in known}.get(name.lower(), name)

    return Kind("a text", read, metavar="NAME")


def _text(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValueError
    return given


def _path(given: object) -> str:
    return _text(str(given) if isinstance(given, Path) else given)


def _column(given: object) -> str:
    return _text(str(given) if isinstance(given, int) else given)


def _flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError
    return given


def _names(given: object) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, Sequence) or not parts:
        raise ValueError
    return tuple(_text(part).strip() for part in parts)


def _size(given: object) -> tuple[int, int]:
    if isinstance(given, str):
        given = [int(part) for part in given.lower().split("x")]
    sides = [given, given] if isinstance(given, int) else given
    if not isinstance(sides, Sequence) or not 1 <= len(sides) <= 2:
        raise ValueError
    height, width = (sides[0], sides[-1])
    if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in (height, width)):
        raise ValueError
    return height, width


def _table(given: object) -> dict[str, Json]:
    if isinstance(given, Mapping):
        if not all(isinstance(name, str) for name in given):
            raise ValueError
        return dict(given)
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError
    return dict(_assignment(text) for text in given)


def _assignment(text: object) -> tuple[str, Json]:
    """KEY=VALUE; the value as TOML has it, and a plain text if it isn't TOML."""
    name, equals, value = _text(text).partition("=")
    if not equals or not name.strip():
        raise ValueError
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _sides(given: tuple[int, int]) -> list[Json]:
    return [*given]


TEXT = Kind("a text", _text)
COLUMN = Kind("a column's name or number", _column)
PATH = Kind("a path", _path, metavar="PATH")
FLAG = Kind("true or false", _flag, type=bool)
NAMES = Kind("names with commas between them", _names, lambda names: [*names], metavar="NAME,...")
SIZE = Kind("a number of pixels, or HEIGHTxWIDTH", _size, _sides, metavar="N | HxW")
TABLE = Kind("KEY=VALUE, or a table of them", _table, type=list, metavar="KEY=VALUE")


def shown(value: object) -> str:
    """A value in a message: texts in quotation marks."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def toml(value: Json) -> str:
    """A value as TOML writes it, which is nearly as JSON does."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{toml(key)} = {toml(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    # JSON leaves one control character as it is that TOML doesn't allow.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
