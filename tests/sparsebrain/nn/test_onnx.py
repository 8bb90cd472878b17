"""A layer that torch.onnx exports computes the same in ONNX Runtime, which has no sparsebrain."""

import logging

import numpy as np
import pytest
import torch

import graphs
from sparsebrain import Equilibrium, GraphLayer, Maxout
from sparsebrain.models import classifier

N = 12
ON_WAY = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def data():
    found = graphs.small_world(N, 4, 0.3, seed=0)
    found.edge_weight = torch.rand(found.num_edges, generator=torch.Generator().manual_seed(0))
    found.node_sign = torch.where(torch.arange(N) % 2 == 0, 1.0, -1.0)
    found.node_type = torch.arange(N) % 3
    return found


OPTIONS = {
    "plain": {},
    "neurons": {
        "activation": "tanh",
        "bias": True,
        "threshold": "neuron",
        "leak": "population",
        "inject": True,
    },
    "gains": {"gain": "source", "dale": True, "activation": "relu", "dtype": torch.float64},
    "mean": {"aggr": "mean", "activation": "softplus"},
}


def run(model, x, tmp_path):
    """Export a model for any batch, and run it on x in ONNX Runtime."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(
        model.eval(), (x[:3],), dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    program.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    assert {node.domain for node in program.model.graph} == {""}
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return found


@ON_WAY
@pytest.mark.parametrize("name", OPTIONS)
def test_a_layer(data, name, tmp_path):
    layer = GraphLayer(data, 3, **OPTIONS[name])
    x = torch.rand(7, N).to(layer.weight.dtype)
    tolerance = 1e-14 if layer.weight.dtype == torch.float64 else 1e-6
    np.testing.assert_allclose(
        run(layer, x, tmp_path), layer(x).detach().numpy(), rtol=0, atol=tolerance
    )


@ON_WAY
@pytest.mark.parametrize("make", [Maxout, classifier], ids=lambda make: make.__name__)
def test_models(data, make, tmp_path):
    model = make(data, 2).eval()
    if make is classifier:
        # Torch cannot export a module that has the name "graph".
        model = torch.nn.Sequential(*model)
    x = torch.rand(7, N)
    np.testing.assert_allclose(run(model, x, tmp_path), model(x).detach().numpy(), atol=1e-5)


@ON_WAY
@pytest.mark.parametrize("make", [GraphLayer, Maxout, classifier], ids=lambda make: make.__name__)
def test_the_old_exporter_is_refused_in_one_sentence(data, make, tmp_path):
    with pytest.raises(NotImplementedError, match=r"dynamo=False cannot .* sums .*dynamo=True"):
        torch.onnx.export(
            make(data, 3).eval(), (torch.rand(3, N),), tmp_path / "model.onnx", dynamo=False
        )


@ON_WAY
def test_an_equilibrium_is_refused_in_one_sentence(data, tmp_path):
    layer = GraphLayer(data, Equilibrium(), activation="tanh")
    with pytest.raises(RuntimeError, match=r"an Equilibrium .* torch.onnx.export do not allow"):
        run(layer, torch.rand(7, N), tmp_path)
