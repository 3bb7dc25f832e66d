"""The folder of a run: which checkpoints stay, which is taken, and who may write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train.checkpoint import Checkpoint
from tinyaccel.train.run_folder import RunFolder, best_of, newest, steps_of

for package in ("safetensors", "filelock"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint({"w": np.full(2, step)}, {"step": step})


def test_the_newest_few_stay(tmp_path: Path) -> None:
    """Of eleven checkpoints the newest three stay, in order of steps, and the best beside them."""
    run = RunFolder(tmp_path / "run", keep=3)
    for step in range(1, 12):
        run.save(_checkpoint(step), step, best=step == 4)
    run.close()
    assert [p.name for p in steps_of(run.path)] == [
        f"step-{n:08d}.safetensors" for n in (11, 10, 9)
    ]
    assert Checkpoint.read(best_of(run.path)).facts == {"step": 4}
    path, checkpoint, problems = newest(run.path)
    assert (path.name, checkpoint.facts, problems) == (
        "step-00000011.safetensors",
        {"step": 11},
        [],
    )


def test_steps_are_numbers(tmp_path: Path) -> None:
    """A step of nine digits is newer than one of eight; other files are no checkpoints."""
    run = RunFolder(tmp_path)
    for step in (100_000_000, 99_999_999):
        run.save(_checkpoint(step), step)
    run.write("checkpoints/notes.txt", "mine")
    run.close()
    assert newest(tmp_path)[1].facts == {"step": 100_000_000}
    assert (tmp_path / "checkpoints" / "notes.txt").exists()


def test_an_older_one_serves(tmp_path: Path) -> None:
    """Where the newest is truncated the one before is taken, and what was wrong is told."""
    with_two = RunFolder(tmp_path)
    for step in (1, 2):
        path = with_two.save(_checkpoint(step), step)
    with_two.close()
    path.write_bytes(path.read_bytes()[:-3])
    _, checkpoint, problems = newest(tmp_path)
    assert checkpoint.facts == {"step": 1}
    assert len(problems) == 1 and "step-00000002.safetensors is no whole" in problems[0]
    steps_of(tmp_path)[1].write_bytes(b"")
    with pytest.raises(DataError, match=r"no checkpoint is whole: .*step-00000002"):
        newest(tmp_path)


def test_killed_before_its_first_checkpoint(tmp_path: Path) -> None:
    """There is nothing to go on from; the command that begins it again is named."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.toml").write_text("")
    text = r"first checkpoint; begin again with: tinyaccel train --config .*config.toml --out .*$"
    with pytest.raises(DataError, match=text):
        newest(tmp_path)


NO_RUNS = {
    "nowhere": "nowhere doesn't exist; name the folder of a run: here are runs/boats, runs/cats",
    "runs/cat": "runs/cat doesn't exist, did you mean 'runs/cats'?; name the folder of a run",
    "runs": "runs is no run, but has runs/boats, runs/cats; name one of these",
    "empty": "empty has no checkpoints; name the folder of a run (tinyaccel train wrote its name)",
    "runs/cats/checkpoints": "runs/cats/checkpoints is a part of a run; did you mean runs/cats?",
    "a.jpg": "a.jpg is a picture; the run comes first: tinyaccel predict RUN IMAGE...",
    "a.csv": "a.csv is a table; the run comes first: ",
    "notes": "notes is no run; name the folder of a run: here are ",
}


@pytest.mark.parametrize("given", NO_RUNS)
def test_no_run(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no run is called what it is, and the run that may have been meant is named."""
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "boats"):
        run = RunFolder(Path("runs", name))
        run.save(_checkpoint(1), 1)
        run.close()
    for name in ("a.jpg", "notes"):
        Path(name).touch()
    Path("empty").mkdir()
    with pytest.raises(DataError) as caught:
        newest(given)
    assert str(caught.value).startswith(NO_RUNS[given])


_SECOND = """
import sys
from tinyaccel.errors import ArgumentError
from tinyaccel.train.run_folder import RunFolder
try:
    RunFolder(sys.argv[1])
except ArgumentError as error:
    print(error)
"""


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second process is refused while the first one holds the folder, and let in after."""

    def second() -> str:
        command = [sys.executable, "-c", _SECOND, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    run = RunFolder(tmp_path)
    assert (
        second() == f"{tmp_path}: another run is writing into it; wait for its end, or choose "
        "another folder\n"
    )
    run.close()
    assert second() == ""


def test_what_a_killed_run_left(tmp_path: Path) -> None:
    """Half-written files are cleared away by the next run; whole ones stay."""
    RunFolder(tmp_path).close()
    part = tmp_path / "checkpoints" / ".step-00000003.safetensors.123.part"
    part.write_bytes(b"half")
    (tmp_path / "history.csv").write_text("whole")
    RunFolder(tmp_path).close()
    assert not part.exists() and (tmp_path / "history.csv").exists()


def test_impossible_folders(tmp_path: Path) -> None:
    """A file where the folder is to be, and no checkpoints to keep, in one line each."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match=r"^out: .*file can't be made a folder: .*; choose"):
        RunFolder(tmp_path / "file")
    with pytest.raises(ArgumentError, match=r"^keep=0; expected how many"):
        RunFolder(tmp_path, keep=0)
