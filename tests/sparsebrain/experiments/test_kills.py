"""What commands leave that are killed at random moments; tests/kills.py does it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kills import CASES

KILLS = os.environ.get("SPARSEBRAIN_KILLS", "2")


@pytest.mark.parametrize("case", CASES)
def test_nothing_finished_is_lost_or_repeated_and_every_file_is_whole(case):
    # In a process of its own, which is forked for each command.
    done = subprocess.run(
        [sys.executable, "-m", "tests.kills", case, KILLS],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert f"{KILLS} kills" in done.stdout
