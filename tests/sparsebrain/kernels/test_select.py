import subprocess
import sys

import pytest
import torch

from sparsebrain import kernels
from sparsebrain.kernels.select import resolve


def test_every_backend_runs_here_and_auto_takes_the_first():
    assert kernels.available() == dict.fromkeys(kernels.BACKENDS)
    assert resolve("auto", torch.device("cpu")).name == next(iter(kernels.BACKENDS))


def test_where_torch_has_no_sparse_kernels_auto_falls_back_and_a_request_fails():
    elsewhere = torch.device("mps")
    assert "only on 'cpu' and 'cuda'" in kernels.available(elsewhere)["torch"]
    assert resolve("auto", elsewhere).name == "reference"
    with pytest.raises(
        RuntimeError, match="backend 'torch' was asked for, but .* use backend='auto'"
    ):
        resolve("torch", elsewhere)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="one of 'auto', 'torch', 'reference', got 'native'"):
        resolve("native", torch.device("cpu"))


def test_torchs_beta_warning_does_not_reach_the_user():
    program = (
        "import torch; from sparsebrain import kernels as k;"
        "s = k.Structure(torch.tensor([[0], [1]]), 2);"
        "k.correlate(s, torch.ones(2, 1), torch.ones(2, 1), backend='torch')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""
