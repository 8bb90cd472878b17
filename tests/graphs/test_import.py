"""Effects that importing `graphs` may and may not have."""

import subprocess
import sys

import pytest

import graphs

# NumPy, SciPy, torch and PyG are imported first, because they change global state.
PROGRAM = """
import logging, sys, warnings
import numpy, scipy.sparse, scipy.spatial, torch, torch_geometric
def settings():
    return (
        numpy.random.get_state()[1].tolist(), numpy.geterr(), numpy.get_printoptions(),
        torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.get_default_device(),
        torch.get_num_threads(), torch.is_grad_enabled(),
        list(warnings.filters), list(logging.getLogger().handlers), logging.getLogger().level,
    )
before = settings()
import graphs
assert settings() == before
assert logging.getLogger("graphs").handlers == []
for name in ("sparsebrain", "matplotlib", "networkx", "plotly"):
    assert name not in sys.modules, name
"""


def test_import_is_silent_and_light_and_changes_nothing():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_lists_what_is_there():
    for name in graphs.__all__:
        assert getattr(graphs, name) is not None
    assert len(set(graphs.__all__)) == len(graphs.__all__)


def test_version_is_text():
    assert graphs.__version__[0].isdigit()


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'grid'"):
        _ = graphs.grid
