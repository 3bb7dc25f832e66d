"""The cache: where downloaded data lies, and how one process at a time puts something there."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tinyaccel.data.display import Display
from tinyaccel.errors import SaveError

VARIABLE = "TINYACCEL_CACHE"
_LOOK_AGAIN = 0.2  # seconds between two looks at whether another process is done


def cache_folder() -> Path:
    """Where downloaded data is kept.

    That is the environment variable TINYACCEL_CACHE; else `tinyaccel` in the platform's folder for
    caches: XDG_CACHE_HOME or ~/.cache, ~/Library/Caches on macOS, LOCALAPPDATA on Windows.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "tinyaccel"


@contextlib.contextmanager
def alone_in(folder: Path, show: Display) -> Iterator[None]:
    """While this holds, no other process is inside `alone_in` for the folder, which is made.

    A process that ends, however it ends, lets go. Raises `SaveError` for a folder that can't be
    written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+b")
    except OSError as error:
        raise SaveError(
            f"{folder} can't be written: {error.strerror}; name another cache with {VARIABLE}"
        ) from error
    with lock:
        waits = False
        while not _try_to_lock(lock):
            if not waits:
                show.message(f"another process downloads to {folder}; waiting for it")
            waits = True
            time.sleep(_LOOK_AGAIN)
        yield  # closing the file lets go


def _try_to_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks: go on, as if there were one process
        return True
    return True
