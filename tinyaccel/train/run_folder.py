"""RunFolder: where a run keeps its checkpoints, its history and its best weights."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyaccel.data.images import is_image_name
from tinyaccel.data.registry import TABLES
from tinyaccel.data.suggest import near
from tinyaccel.errors import ArgumentError, DataError, SaveError
from tinyaccel.extras import optional
from tinyaccel.storage import write
from tinyaccel.train.checkpoint import Checkpoint

if TYPE_CHECKING:
    from filelock import FileLock

_STEP = re.compile(r"step-(\d+)\.safetensors")


class RunFolder:
    """The folder of one run, which no second run may write into meanwhile.

        checkpoints/step-00000938.safetensors   after that many batches; the newest `keep` of them
        checkpoints/best.safetensors            of the epoch with the best figure
        history.csv, history.json, metrics.json, model.safetensors

    keep  how many checkpoints stay, beside the best

    Made if need be. Raises `ArgumentError` if that can't be, or if another run is going on in it:
    both before any training.
    """

    def __init__(self, path: str | Path, keep: int = 3) -> None:
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise ArgumentError(f"keep={keep!r}; expected how many checkpoints to keep, 1 or more")
        optional("safetensors", "checkpoints")
        self.path, self.keep = Path(path), keep
        try:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArgumentError(
                f"out: {path} can't be made a folder: {error.strerror}; choose another"
            ) from error
        self._lock = _locked(self.path)
        for part in (*self.path.glob(".*.part"), *self._checkpoints.glob(".*.part")):
            with contextlib.suppress(OSError):  # what a killed run had half written
                part.unlink()

    def close(self) -> None:
        """Let other runs in."""
        self._lock.release()

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Where the best checkpoint is, if there is one."""
        return best_of(self.path)

    def save(self, checkpoint: Checkpoint, step: int, *, best: bool = False) -> Path:
        """Keep a checkpoint, and the newest few before it; `best` keeps it for that, too.

        Raises `SaveError` if it can't be written; those before are all there then.
        """
        data = checkpoint.as_bytes()
        path = self._checkpoints / f"step-{step:08d}.safetensors"
        if best:
            write(self.best, data)
        write(path, data)
        for old in steps_of(self.path)[self.keep :]:
            with contextlib.suppress(OSError):  # one too many does no harm
                old.unlink()
        return path

    def write(self, name: str, data: str | bytes) -> None:
        """Put another file into the folder, whole."""
        write(self.path / name, data)


def steps_of(folder: Path) -> list[Path]:
    """The checkpoints of a run's folder, the newest first."""
    found = [(int(m[1]), p) for p in folder.glob("checkpoints/*") if (m := _STEP.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


def best_of(folder: Path) -> Path:
    """Where a run's best checkpoint is, if it has one."""
    return folder / "checkpoints" / "best.safetensors"


def newest(folder: str | Path) -> tuple[Path, Checkpoint, list[str]]:
    """The newest whole checkpoint of a run's folder, and what was wrong with newer ones.

    Raises `DataError` if there is none, and says where there may be one.
    """
    problems: list[str] = []
    best = best_of(Path(folder))  # whole, too, and there if the disk was full after it
    for path in [*steps_of(Path(folder)), *([best] if best.exists() else [])]:
        try:
            return path, Checkpoint.read(path), problems
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(f"{folder}: no checkpoint is whole: {problems[0]}")
    raise no_run(Path(folder))


def runs_in(folder: Path) -> list[Path]:
    """The runs whose folders lie in a folder."""
    beside = sorted(path.parent for path in folder.glob("*/checkpoints"))
    return [path for path in beside if steps_of(path)]


def no_run(path: Path) -> DataError:
    """The error for what isn't a run's folder: what it is, and what may have been meant."""
    kind = "picture" if is_image_name(path) else "table" if path.suffix in TABLES else None
    if kind and not path.is_dir():
        order = "tinyaccel predict RUN IMAGE... (or TABLE.csv)"
        return DataError(f"{path} is a {kind}; the run comes first: {order}")
    run = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    if steps_of(run) and (path.is_file() or path.name == "checkpoints"):
        return DataError(f"{path} is a part of a run; did you mean {run}?")
    if path.is_dir():
        inside = runs_in(path)
        if inside:
            return DataError(f"{path} is no run, but has {_listed(inside)}; name one of these")
        if (path / "config.toml").exists():
            return DataError(
                f"{path} was stopped before its first checkpoint; begin again with: "
                f"tinyaccel train --config {path / 'config.toml'} --out {path}"
            )
        return DataError(
            f"{path} has no checkpoints; name the folder of a run (tinyaccel train wrote its name)"
        )
    what = "is no run" if path.exists() else "doesn't exist"
    there = list(map(str, dict.fromkeys([*runs_in(path.parent), *runs_in(Path("runs"))])))
    meant = near(str(path), there)
    listed = f": here are {_listed(there)}" if there and not meant else ""
    return DataError(f"{path} {what}{meant}; name the folder of a run{listed}")


def _listed(runs: Sequence[str | Path]) -> str:
    """The first few of them."""
    shown = ", ".join(map(str, runs[:5]))
    return f"{shown} and {len(runs) - 5} more" if len(runs) > 5 else shown


def _locked(folder: Path) -> FileLock:
    """The folder's lock, held; the system lets go of it however the process ends."""
    library = optional("filelock", "checkpoints")
    lock: FileLock = library.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except library.Timeout as error:
        raise ArgumentError(
            f"{folder}: another run is writing into it; wait for its end, or choose another folder"
        ) from error
    except OSError as error:
        raise SaveError(
            f"{folder} can't be written to: {error.strerror}; choose another"
        ) from error
    return lock
