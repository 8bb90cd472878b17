"""The page about a user's own topologies, rules and data does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "your_own.md").read_text(encoding="utf-8")


def test_the_page_runs(tmp_path):
    """Its Python as a script, in an empty folder."""
    script = tmp_path / "page.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rsplit(" ", 1)[0] for line in done.stdout.splitlines()]
    labels = ["wire", "wire:null=rewire_degrees", "brain", "brain:null=rewire_degrees", "no graph"]
    assert lines == [f"{rule} {label}" for rule in ("Scaled", "backprop") for label in labels]
