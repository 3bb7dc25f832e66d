"""Data files: where they lie, and how their bytes are read; every fault in one line."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from tinyaccel.data.cache import cache_folder
from tinyaccel.errors import DataError

VARIABLE = "TINYACCEL_DATA"
OFFLINE = "TINYACCEL_OFFLINE"
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


def data_folder(
    name: str,
    folder: str | Path | None,
    example: str,
    *inside: str,
    pattern: str,
    fetch: Callable[[Path], None] | None = None,
    itself: bool = True,
) -> Path:
    """The folder with the files of data set `name`.

    That is `folder`; else what the environment variable TINYACCEL_DATA names, if that has it; in
    either the first of the folders `inside` that is there, else itself. Else it is the data set's
    folder in the cache, after `fetch(folder)` has seen that all files are there.

    pattern  of file names by which a folder has the data set
    fetch    None: don't download, as if the environment variable TINYACCEL_OFFLINE were set
    itself   False: the files must be in a folder `inside` of what TINYACCEL_DATA names

    Raises `DataError` if the folder isn't named or isn't there.
    """
    if folder is not None:
        return _inside(_there(name, Path(folder), f"folder {folder}", example), *inside)
    cached = cache_folder() / name
    can_fetch = fetch is not None and not os.environ.get(OFFLINE)
    named = os.environ.get(VARIABLE)
    if named:
        root = _there(name, Path(named), f"{VARIABLE}={named}", example)
        where = _inside(root, *inside)
        has_it = any(where.glob(pattern)) and (itself or where != root)
        if has_it or not (can_fetch or any(cached.glob(pattern))):
            return where
    if fetch is not None and can_fetch:
        fetch(cached)
    elif not any(cached.glob(pattern)):
        raise DataError(
            f"{name}: no folder given; name one that has {example} in it, with --data-dir or the "
            f"environment variable {VARIABLE}, or allow the download"
        )
    return cached


def _there(name: str, path: Path, source: str, example: str) -> Path:
    if not path.is_dir():
        what = "is a file" if path.exists() else "doesn't exist"
        raise DataError(f"{name}: {source} {what}; expected a folder that has {example} in it")
    return path


def _inside(path: Path, *inside: str) -> Path:
    return next((path / sub for sub in inside if (path / sub).is_dir()), path)


def find_file(name: str, folder: Path, *candidates: str) -> Path:
    """The first of `candidates` that is in `folder`, or `DataError` that says what is."""
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    raise missing(name, folder, " or ".join(candidates))


def missing(name: str, folder: Path, wanted: str) -> DataError:
    """The error for files that aren't in `folder`: what was wanted, and what there is instead."""
    there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
    return DataError(
        f"{name}: {wanted} is not in {folder}, which has {shown or 'nothing'}; put it there, or "
        f"name the folder that has it with --data-dir or {VARIABLE}"
    )


class ByteReader:
    """The bytes of a file, unpacked if it is gzip by its first bytes, whatever its name says."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                packed = file.read(2) == _GZIP
            self._file = gzip.open(path, "rb") if packed else path.open("rb")  # noqa: SIM115
        except OSError as error:
            raise DataError(
                f"{name}: {path} can't be read: {error.strerror}; check its permissions"
            ) from error
        if self.size == 0:
            self.close()
            raise self.fault("is empty (0 bytes)", "copy it again")

    def __enter__(self) -> ByteReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def read(self, n: int | None = None) -> bytes:
        """The next `n` bytes, or fewer at the end; None: all that are left.

        In chunks: a header may claim far more bytes than there are, which must not be allocated.
        """
        parts: list[bytes] = []
        left = n if n is not None else -1
        try:
            while left:
                part = self._file.read(_CHUNK if left < 0 else min(left, _CHUNK))
                if not part:
                    break
                parts.append(part)
                left -= len(part) if left > 0 else 0
        except EOFError as error:
            unpacked = sum(map(len, parts))
            raise self.fault(
                f"ends in the middle of its gzip stream ({self.size} bytes, of which {unpacked} "
                "could be unpacked here)", "it is truncated: copy it again",
            ) from error  # fmt: skip
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.fault(f"is corrupt gzip ({error})", "copy it again") from error
        except OSError as error:
            raise self.fault(f"can't be read ({error.strerror})", "check the disk") from error
        return b"".join(parts)

    def fault(self, arrived: str, remedy: str) -> DataError:
        """The error for this file: what arrived, what to do."""
        return DataError(f"{self.name}: {self.path} {arrived}; {remedy}")
