"""The benchmark for GPUs, as far as it runs without one."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from sparsebrain import kernels

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys):
    assert gpu.main([]) == 2
    told = capsys.readouterr().err
    assert "no GPU can be measured here, since torch finds no GPU" in told
    assert "TRITON_INTERPRET=1 python -m benchmarks.gpu --tiny" in told


@pytest.mark.skipif(
    "triton cannot be imported" in str(kernels.available("cuda")["triton"]), reason="no triton"
)
def test_it_runs_in_miniature(tmp_path):
    path = tmp_path / "gpu.csv"
    done = subprocess.run(
        [*(sys.executable, "-m", "benchmarks.gpu", "--tiny"), "--rounds", "1", "--csv", path],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "triton equals the reference in" in done.stdout
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert {row["graph"] for row in rows} == {"layer Y", "small", "hubs"}
    assert {row["peer"] for row in rows} == set(gpu.PEERS)
    assert {row["pass"] for row in rows} == set(gpu.PASSES)
    assert {row["gpu"] for row in rows} == {"none (Triton's interpreter)"}
    assert all(float(row["largest_error"]) < 2e-5 for row in rows)
