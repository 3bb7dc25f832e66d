"""Pictures made alike: which of a folder's can be read, what they have in common, what to do."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from tinyaccel.data.display import Display
from tinyaccel.data.images import Color, ImageFormat, image_format
from tinyaccel.data.pictures import Decoded, Wanted, decode
from tinyaccel.data.plural import counted
from tinyaccel.errors import DataError

Say: TypeAlias = Callable[[str], None]


class Part(NamedTuple):
    """The files of one part, and the class of each."""

    paths: list[Path]
    labels: list[int]


def read_alike(
    root: Path,
    parts: Mapping[str, Part],
    size: tuple[int, int] | None,
    color: Color | None,
    *,
    skip_bad: bool,
    limit: int,
    show: Display,
    say: Say,
) -> tuple[ImageFormat, dict[str, Decoded]]:
    """The format that all pictures are in, and what became of the files of each part.

    Where it isn't said which colours are wanted, and some pictures are gray and some are not, all
    become rgb, which loses nothing; `say` is told. Raises `DataError` for several sizes where it
    isn't said which is wanted, and for bad files unless they are skipped: all in one line.
    """
    first = _first_format(parts["train"])
    form = ImageFormat(size or first.size, color or first.color)
    # Gray pictures can be made rgb as they come, but not the other way round.
    wanted = Wanted(form, size is not None, color is not None or form.color == "rgb")
    results = _decoded(parts, wanted, limit, show)
    formats = sum((result.formats for result in results.values()), Counter[ImageFormat]())
    bad = [] if skip_bad else list(_faults(parts, results))
    _check(root, bad, formats, size)
    kinds = Counter[str]()
    for own, n in formats.items():
        kinds[own.color] += n
    if color is None and len(kinds) > 1:
        say(
            f"{counted(kinds['rgb'], 'picture')} in colour, {kinds['gray']:,} gray: all are read "
            "as rgb (or give --color gray)"
        )
        if form.color == "gray":
            form = ImageFormat(form.size, "rgb")
            results = _decoded(parts, wanted._replace(form=form, recolor=True), limit, show)
    return form, results


def some(paths: Sequence[Path], most: int = 5) -> str:
    """A few paths, and how many more there are."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(map(str, paths[:most])) + more


def _first_format(part: Part) -> ImageFormat:
    """The format of the first picture that has one; if none has, any: each is told of later."""
    for path in part.paths:
        with contextlib.suppress(DataError):
            return image_format(path)
    return ImageFormat((1, 1), "gray")


def _decoded(
    parts: Mapping[str, Part], wanted: Wanted, limit: int, show: Display
) -> dict[str, Decoded]:
    """The files of each part, kept if all of them take no more than `limit` bytes."""
    count = sum(len(part.paths) for part in parts.values())
    keep = count * math.prod(wanted.form.shape) <= limit
    return {
        name: decode(part.paths, wanted, keep, show, f"reading {name}")
        for name, part in parts.items()
    }


def _faults(
    parts: Mapping[str, Part], results: Mapping[str, Decoded]
) -> Iterator[tuple[Path, DataError]]:
    """The bad files, and what is wrong with each."""
    for name, result in results.items():
        for i, fault in result.faults.items():
            yield parts[name].paths[i], fault


def _check(
    root: Path,
    bad: Sequence[tuple[Path, DataError]],
    formats: Counter[ImageFormat],
    size: tuple[int, int] | None,
) -> None:
    """Raise `DataError` with all that stands in the way, and the options that would help."""
    findings: list[str] = []
    options: list[str] = []
    sizes = Counter[tuple[int, int]]()
    for form, n in formats.items():
        sizes[form.size] += n
    if len(sizes) > 1 and size is None:
        most = ", ".join(f"{n:,} of {h} x {w}" for (h, w), n in sizes.most_common(4))
        more = f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""
        findings.append(f"pictures of {len(sizes)} sizes (height x width): {most}{more}")
        shorter = np.median([min(form.size) for form in formats.elements()])
        options.append(f"--image-size {64 if shorter >= 64 else 32}")
    if bad:
        (_, first), *others = bad
        rest = f" (bad, too: {some([path for path, _ in others])})" if others else ""
        findings.append(f"{counted(len(bad), 'bad picture')}: {first}{rest}")
        options.append("--skip-bad")
    if findings:
        raise DataError(f"{root}: {'; '.join(findings)}; try: {' '.join(options)}")
