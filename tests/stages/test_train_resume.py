"""A run killed at ten random moments and resumed ends in the same bytes as an uninterrupted run."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "training_run.py"


def outcome(folder: Path, mode: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), mode], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_run_killed_ten_times_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole = outcome(tmp_path / "whole", "whole")
    killed = outcome(tmp_path / "killed", "killed")
    assert killed["tree"] == whole["tree"]
    left = killed["left"]
    assert isinstance(left, list) and len(left) == 10
    # Every child but the first went on from a checkpoint, and got further before it was killed.
    assert left == sorted(set(left)) and left[0] >= 1
