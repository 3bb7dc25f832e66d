"""kill -9 at any moment: the run goes on from its last checkpoint to the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("safetensors", "filelock"):
    pytest.importorskip(package, reason=f"{package} (the extra 'train')")

TIMES = 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_twenty_kills(tmp_path: Path) -> None:
    """Twenty runs, jitted and eager, each killed at a random moment: weights, moments, averages,
    random state and history end as those of a run that nobody disturbed, to the bit.
    """
    program = Path(__file__).with_name("kill_and_resume.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path), "0", str(TIMES)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kills) == TIMES
    assert [kill for kill in kills if not kill["same"]] == []
    # The moments did fall where they should: most of them between two checkpoints of a run.
    assert len({kill["resumed_at_step"] for kill in kills}) >= 5, kills
