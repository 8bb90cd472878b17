"""What importing does and does not."""

import subprocess
import sys

import pytest

PROGRAM = """
import random, sys, warnings
import numpy, torch
before = (
    random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
    torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
    numpy.geterr(), list(warnings.filters),
)
import {module}
{use}
after = (
    random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
    torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
    numpy.geterr(), list(warnings.filters),
)
assert before == after, [pair for pair in zip(before, after) if pair[0] != pair[1]]
loaded = {{name.partition(".")[0] for name in sys.modules}}
assert {foreign!r} not in loaded
"""


@pytest.mark.parametrize(
    ("module", "use", "foreign"),
    [
        ("graphs", "graphs.grid_local", "sparsebrain"),
        (
            "sparsebrain",
            "from sparsebrain import GraphLayer, diagnostics, models, kernels",
            "matplotlib",
        ),
    ],
)
def test_importing_one_package_is_silent_and_loads_no_other(module, use, foreign):
    # These add to the warning filters themselves when they are first imported.
    program = "import torch_geometric, scipy.sparse.csgraph, scipy.spatial\n" + PROGRAM.format(
        module=module, use=use, foreign=foreign
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_import_alone_loads_no_torch():
    program = "import sys, sparsebrain; assert 'torch' not in sys.modules; sparsebrain.__version__"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_table_of_contents_is_complete():
    import sparsebrain

    assert dir(sparsebrain) == sparsebrain.__all__
    for name in sparsebrain.__all__:
        assert getattr(sparsebrain, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'GraphLayr'"):
        _ = sparsebrain.GraphLayr
