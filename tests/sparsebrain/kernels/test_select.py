import subprocess
import sys

import pytest
import torch

from sparsebrain import kernels
from sparsebrain.kernels.select import resolve


def test_auto_takes_the_first_that_runs():
    obstacles = kernels.available()
    assert (
        list(obstacles)
        == list(kernels.BACKENDS)
        == [*("native", "triton", "torch", "dense", "reference")]
    )
    assert obstacles["torch"] is obstacles["reference"] is None
    runs = [name for name, obstacle in obstacles.items() if obstacle is None]
    assert resolve("auto", torch.device("cpu")).name == runs[0]


MISSING = """
import sys, warnings
sys.modules["sparsebrain.kernels._native"] = None
import torch
from sparsebrain import kernels

structure = kernels.Structure(torch.tensor([[0], [1]]), 2)
call = lambda **options: kernels.propagate(structure, torch.ones(1), torch.ones(2, 1), **options)
"""


def run_without_kernels(program, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", MISSING + program],
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_compiled_kernels_auto_takes_torch_with_one_warning_and_a_request_fails():
    done = run_without_kernels(
        "call(backend='torch'); kernels.available(); print('begin', file=sys.stderr)\n"
        "for _ in range(3): assert call().flatten().tolist() == [0, 1]\n"
        "print('end', file=sys.stderr)\n"
        "assert 'cannot be loaded' in kernels.available()['native']\n"
        "call(backend='native')"
    )
    assert done.returncode == 1
    before, _, rest = done.stderr.partition("begin")
    warned, _, after = rest.partition("end")
    assert "compiled code is missing" not in before + after
    assert warned.count("MissingCompiledWarning") == 1
    assert (
        "compiled code is missing, so layers run 3 to 15 times slower: the compiled kernels cannot "
        "be loaded (import of sparsebrain.kernels._native halted; None in sys.modules); install "
        "with a C++17 compiler (GCC 9 or newer, or Clang), and call pip install -v . to see why a "
        "build fails. The command sparsebrain doctor shows more. To silence this warning, call "
        "warnings.filterwarnings('ignore', 'compiled code is missing')"
    ) in warned
    assert "'native' cannot run, since the compiled kernels cannot be loaded" in after
    assert "install with a C++17 compiler" in after


def test_where_warnings_are_errors_a_filter_lets_calls_pass():
    done = run_without_kernels(
        "warnings.simplefilter('error')\n"
        "for _ in range(2):\n"
        "    try: call()\n"
        "    except RuntimeWarning as error: print(type(error).__name__)\n"
        "warnings.filterwarnings('ignore', 'compiled code is missing')\n"
        "print(call().flatten().tolist())"
    )
    assert done.stdout.splitlines() == [*["MissingCompiledWarning"] * 2, "[0.0, 1.0]"]
    assert done.stderr == ""


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
