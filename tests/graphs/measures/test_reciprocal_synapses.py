import importlib
from types import SimpleNamespace

import pytest

import graphs

# The package has a function of the same name.
MODULE = importlib.import_module("graphs.measures.reciprocal_synapses")


def test_the_same_where_the_helpers_cannot_count(monkeypatch):
    data = graphs.erdos_renyi(num_nodes=30, probability=0.2, seed=0)
    expected = graphs.reciprocity(data)
    # An object without functions: calling a helper would fail.
    monkeypatch.setattr(MODULE, "compiled", SimpleNamespace(module=object))
    monkeypatch.setattr(MODULE, "MOST", data.num_edges)
    assert graphs.reciprocity(data) == pytest.approx(expected, rel=1e-12)
