"""Effects that importing `graphs` may and may not have."""

import importlib
import pickle
import subprocess
import sys

import pytest

import graphs

# NumPy, SciPy, torch and PyG are imported first, because they change global state.
QUIET = """
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
from graphs import *
assert settings() == before
assert logging.getLogger("graphs").handlers == []
for name in ("sparsebrain", "matplotlib", "networkx", "plotly"):
    assert name not in sys.modules, name
"""
LIGHT = """
import sys
import graphs
names = dir(graphs)
assert {"load", "grid_local", "contract", "io", "__version__"} <= set(names), names
assert graphs.__version__
assert not hasattr(graphs, "__wrapped__")
assert not hasattr(graphs, "grid")
for name in ("torch", "torch_geometric", "scipy", "numpy"):
    assert name not in sys.modules, name
"""
MODULES = """
import graphs
assert graphs.contract.build is not None
assert graphs.io.load is graphs.load
from graphs import arguments, plots
assert graphs.plot is plots.plot
"""


@pytest.mark.parametrize("program", [QUIET, LIGHT, MODULES])
def test_import_is_silent_and_light_and_changes_nothing(program):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_lists_what_is_there():
    for name in graphs.__all__:
        assert getattr(graphs, name) is not None
    assert len(set(graphs.__all__)) == len(graphs.__all__)
    assert set(graphs.__all__) <= set(dir(graphs))


def test_each_name_is_exported_by_one_package():
    packages = ("brains", "downloads", "generators", "io", "measures", "plots", "transforms")
    exported = [
        name for home in packages for name in importlib.import_module(f"graphs.{home}").__all__
    ]
    assert sorted((*exported, "signed_weights", "validate", "__version__")) == sorted(
        graphs.__all__
    )


def test_functions_and_warnings_can_be_pickled():
    for each in (graphs.load, graphs.grid_local, graphs.LeftOutWarning, graphs.FixedProbability):
        assert pickle.loads(pickle.dumps(each)) is each


def test_version_is_text():
    assert graphs.__version__[0].isdigit()


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'grid'"):
        _ = graphs.grid
