"""Kills a training at random moments and resumes it: what tests/train/test_kill.py runs.

    python kill_and_resume.py FOLDER SEED TIMES

Trains once undisturbed, then TIMES times from the start again, each in a process of its own that is
killed (SIGKILL) at a moment drawn uniformly from the time that training takes, and resumed by
another. Prints a line of JSON for each: the steps of the checkpoint it was resumed from, and
whether all weights and states at the end are those of the first run, to the bit.

A process is forked from this one, which has imported everything and has no threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

import tinyaccel as ta
from tinyaccel import data, nn, optim, train
from tinyaccel.train.run_folder import steps_of


def build(jit: bool) -> tuple[train.Trainer, data.ArrayDataset, data.ArrayDataset]:
    """A small network with everything that has a state, and images to train it on."""
    rng = np.random.default_rng(7)
    x = rng.integers(0, 256, (90, 1, 8, 8)).astype(np.uint8)
    images = data.ArrayDataset(x, rng.integers(0, 3, 90), classes=3, mean=0.5, std=0.25)
    ta.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(144, 3),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    trainer = train.Trainer(
        model, optimizer=optimizer, schedule=optim.CosineAnnealingLR(optimizer, T_max=60),
        ema=0.9, accumulate=2, jit=jit, seed=11,
        callbacks=[train.EarlyStopping(50, restore_best=False)],
    )  # fmt: skip
    return trainer, images.subset(slice(0, 75)), images.subset(slice(75, 90))


def run(folder: Path, jit: bool, resume: bool) -> None:
    """Train to the end, and leave a digest of all states."""
    trainer, images, held_out = build(jit)
    trainer.fit(
        images, held_out, epochs=3, batch_size=5, out=folder, resume=resume, save_every=2, keep=2,
        transform=data.augmentation("crop:1,flip"), workers=1, progress="quiet",
    )  # fmt: skip
    final = trainer.checkpoint()
    digest = hashlib.sha256()
    for name in sorted(final.tensors):
        digest.update(name.encode() + final.tensors[name].tobytes())
    clocks = ("seconds", "images_per_second")
    rows = [{k: v for k, v in row.items() if k not in clocks} for row in trainer.history.rows]
    digest.update(json.dumps(rows).encode())
    (folder / "digest").write_text(digest.hexdigest())


def forked(folder: Path, jit: bool, resume: bool, kill_after: float | None = None) -> bool:
    """Run in a process of its own; whether it came to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(folder, jit, resume)
            status = 0
        finally:
            os._exit(status)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if kill_after is None and status:
        raise SystemExit(f"training failed with status {status}")
    return status == 0


def main() -> None:
    folder, seed, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    moments = random.Random(seed)  # noqa: S311
    undisturbed = {}
    for jit in (True, False):
        start = time.perf_counter()
        forked(folder / f"whole-{jit}", jit, False)
        seconds = time.perf_counter() - start
        undisturbed[jit] = (folder / f"whole-{jit}" / "digest").read_text(), seconds
    done = 0
    while done < times:
        jit = done % 2 == 0
        wanted, seconds = undisturbed[jit]
        after = moments.uniform(0, seconds)
        out = folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        if forked(out, jit, False, after):
            continue  # it was faster this time: there was nothing to kill
        halves = len(list(out.glob("checkpoints/.*.part")))
        found = steps_of(out)
        forked(out, jit, bool(found))
        same = (out / "digest").read_text() == wanted
        step = int(found[0].stem.removeprefix("step-")) if found else 0
        print(json.dumps({"jit": jit, "after": round(after, 3), "resumed_at_step": step,
                          "half_written": halves, "same": same}), flush=True)  # fmt: skip
        done += 1


if __name__ == "__main__":
    main()
