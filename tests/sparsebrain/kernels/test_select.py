import subprocess
import sys

import pytest
import torch

from sparsebrain import kernels
from sparsebrain.kernels.select import resolve


def test_auto_takes_the_first_that_runs():
    obstacles = kernels.available()
    assert list(obstacles) == list(kernels.BACKENDS) == ["native", "triton", "torch", "reference"]
    assert obstacles["torch"] is obstacles["reference"] is None
    runs = [name for name, obstacle in obstacles.items() if obstacle is None]
    assert resolve("auto", torch.device("cpu")).name == runs[0]


def test_without_the_compiled_kernels_auto_takes_torch_and_a_request_fails():
    program = (
        "import sys; sys.modules['sparsebrain.kernels._native'] = None;"
        "import torch; from sparsebrain import kernels as k;"
        "s = k.Structure(torch.tensor([[0], [1]]), 2);"
        "assert k.propagate(s, torch.ones(1), torch.ones(2, 1)).flatten().tolist() == [0, 1];"
        "assert 'cannot be loaded' in k.available()['native'];"
        "k.propagate(s, torch.ones(1), torch.ones(2, 1), backend='native')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "'native' cannot run, since the compiled kernels cannot be loaded" in done.stderr
    assert "install with a C++17 compiler" in done.stderr


def test_where_torch_has_no_sparse_kernels_auto_falls_back_and_a_request_fails():
    elsewhere = torch.device("mps")
    assert "only on 'cpu' and 'cuda'" in kernels.available(elsewhere)["torch"]
    assert resolve("auto", elsewhere).name == "reference"
    with pytest.raises(
        RuntimeError, match="backend 'torch' cannot run, since .* pass backend='auto'"
    ):
        resolve("torch", elsewhere)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="one of 'auto', 'native', .* got 'nativ'"):
        resolve("nativ", torch.device("cpu"))


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
