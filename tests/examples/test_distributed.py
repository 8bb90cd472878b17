"""The two commands of the example, and what they write."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed"


def test_the_readme_names_the_commands_that_are_tested():
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert "sparsebrain generate grid:distance=2 --shape 64x64 --parts 2 -o parts\n" in readme
    assert "torchrun --nproc-per-node 2 examples/distributed/train.py parts\n" in readme


def test_two_processes_train_from_their_parts(tmp_path):
    commands = [
        "-m sparsebrain.cli generate grid:distance=2 --shape 12x12 --parts 2 -o parts",
        f"-m torch.distributed.run --standalone --nproc-per-node 2 {EXAMPLE / 'train.py'} parts "
        "--steps 40",
    ]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    told = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0].startswith("Wrote parts: 2 parts\n")
    assert sorted(os.listdir(tmp_path / "parts")) == ["part-0-of-2.npz", "part-1-of-2.npz"]
    losses = [float(line.split()[-1]) for line in told[1].splitlines() if "loss" in line]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    assert os.listdir(tmp_path / "checkpoints") == ["checkpoint-00000001"]
