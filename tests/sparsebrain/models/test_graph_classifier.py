import numpy
import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.kernels import activations
from sparsebrain.models import ACTIVATIONS, classifier, perceptron


def names(model):
    return [type(part).__name__ for part in model]


def test_the_classifier_is_the_papers_chain_of_modules():
    data = graphs.grid_local((8, 8), 1)
    model = classifier(data, 10)
    assert names(model) == [
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "GraphLayer",
        "BatchNorm1d",
        "ReLU",
        "Linear",
    ]
    assert isinstance(model.graph, GraphLayer)
    assert model.graph.loops == 5
    assert model(torch.randn(4, 64)).shape == (4, 10)
    assert names(perceptron(64, 64, 10)) == ["Linear", "BatchNorm1d", "ReLU", "Linear"]


WAYS = {
    "numbers": [2, 0],
    "tensor": torch.tensor([2, 0]),
    "array": numpy.array([2, 0]),
    "mask": torch.tensor([True, False, True, False]),
    "array mask": numpy.array([True, False, True, False]),
    "names": ["C", "A"],
    "array of names": numpy.array(["C", "A"]),
    "population": "sensory",
}


@pytest.fixture
def named():
    return Data(
        edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]),
        num_nodes=4,
        names=["A", "B", "C", "D"],
        node_type=torch.tensor([1, 0, 1, 0]),
        node_type_names=["motor", "sensory"],
    )


@pytest.mark.parametrize("way", WAYS)
def test_inputs_and_outputs_may_be_named_in_every_way(named, way):
    model = classifier(named, 3, loops=1, inputs=WAYS[way], outputs="motor", activation=None)
    order = [0, 2] if way in ("mask", "array mask", "population") else [2, 0]
    placed = model.place(torch.tensor([[1.0, 2.0]]))
    assert placed[0, order].tolist() == [1, 2]
    assert placed[0, [1, 3]].tolist() == [0, 0]
    assert model.read(torch.arange(4.0).unsqueeze(0)).tolist() == [[1, 3]]
    assert model(torch.randn(5, 2)).shape == (5, 3)


def test_signals_reach_the_outputs_only_along_the_synapses():
    data = graphs.layered([4, 3, 2])
    model = classifier(data, 2, loops=2, inputs="layer 0", outputs="layer 2", in_features=7)
    x = torch.randn(16, 7)
    assert float(model(x).detach().std()) > 0
    model.graph.loops = 1
    model.eval()
    outcome = model(x)
    torch.testing.assert_close(outcome, outcome[:1].expand_as(outcome))


def test_all_parameters_are_trained():
    model = classifier(graphs.small_world(30, 4, 0.2, seed=0), 3, loops=3)
    torch.nn.functional.cross_entropy(
        model(torch.randn(8, 30)), torch.randint(0, 3, (8,))
    ).backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.isfinite().all())
        for parameter in model.parameters()
    )


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"inputs": [0, 4]}, ValueError, "inputs must be from 0 to 3.*1 of 2 are not: 4"),
        (
            {"inputs": range(-2, 60)},
            ValueError,
            "58 of 62 are not: .* 9 and 50 more; pass inputs",
        ),
        ({"inputs": []}, ValueError, "inputs must name at least one neuron"),
        ({"inputs": 3}, ValueError, "inputs must be neuron numbers"),
        ({"inputs": {1, 2}}, ValueError, "inputs must be neuron numbers"),
        ({"inputs": [0.5]}, ValueError, "inputs must be neuron numbers"),
        ({"outputs": [[0], [1]]}, ValueError, "outputs must be neuron numbers"),
        ({"outputs": [1, 1]}, ValueError, "outputs names a neuron twice"),
        ({"outputs": torch.tensor([True, False])}, ValueError, r"a mask \[4\] of bool"),
        ({"inputs": ["A", "Z"]}, ValueError, "inputs names 'Z'"),
        (
            {"inputs": "visual"},
            ValueError,
            "inputs must be one of 'motor', 'sensory', got 'visual'",
        ),
        ({"activation": "swish"}, ValueError, "activation must be one of None, 'relu'"),
        ({"in_features": 0}, ValueError, "in_features must be an integer >= 1"),
        ({"loops": 0}, ValueError, "loops must be an integer >= 1"),
        ({"input": [0]}, TypeError, "unexpected keyword argument 'input'"),
    ],
)
def test_wrong_options_are_refused(named, options, error, match):
    with pytest.raises(error, match=match):
        classifier(named, 2, **options)


def test_names_need_a_connectome_that_has_them():
    bare = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)
    with pytest.raises(ValueError, match="no node_type and node_type_names"):
        classifier(bare, 2, inputs="sensory")
    with pytest.raises(ValueError, match="set connectome.names"):
        classifier(bare, 2, inputs=["A"])
    with pytest.raises(ValueError, match="num_classes must be an integer >= 1"):
        classifier(bare, 0)
    with pytest.raises(ValueError, match="hidden must be an integer >= 1"):
        perceptron(3, 0, 2)


@pytest.mark.parametrize("loops", [1, 3])
def test_outputs_that_nothing_can_reach_in_so_many_loops_are_refused(loops):
    with pytest.raises(ValueError, match=f"loops={loops} is too few.*as many as its depth"):
        classifier(graphs.layered([4, 3, 2]), 2, loops=loops, inputs="layer 0", outputs="layer 2")


def test_options_of_the_layer_reach_it():
    data = graphs.small_world(30, 4, 0.2, seed=0)
    data.node_sign = torch.ones(30)
    model = classifier(data, 3, loops=3, inject=True, dale=True, bias=True, checkpoint=True)
    assert repr(model.graph) == (
        "GraphLayer(30 neurons, 120 synapses, loops=3, bias=True, inject=True, checkpoint=True, "
        "dale=True)"
    )
    with pytest.raises(ValueError, match="checkpoint=True is for a number of loops"):
        classifier(data, 3, loops=Equilibrium(), checkpoint=True)


def test_checkpoints_change_no_gradient_of_the_model():
    """Of several hundred loops, in float64."""
    data = graphs.small_world(40, 6, 0.3, self_loops=True, seed=0)
    x = torch.randn(8, 40, generator=torch.Generator().manual_seed(0)).double()
    found = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        model = classifier(data, 3, loops=300, loop_activation="tanh", checkpoint=checkpoint)
        model.double()
        scores = model(x)
        torch.nn.functional.cross_entropy(scores, torch.arange(8) % 3).backward()
        found.append([scores.detach(), *(each.grad for each in model.parameters())])
    for plain, kept in zip(*found, strict=True):
        torch.testing.assert_close(kept, plain, rtol=1e-10, atol=1e-12)
    assert float(found[0][5].abs().max()) > 0


def test_with_a_leak_a_signal_stays():
    options = {"inputs": "layer 0", "outputs": "layer 2", "leak": 0.5, "activation": None}
    for loops in (2, 5):
        model = classifier(graphs.layered([4, 3, 2]), 2, loops=loops, **options).eval()
        scores = model(torch.randn(5, 4))
        assert not torch.equal(scores, scores[:1].expand_as(scores))
    with pytest.raises(ValueError, match="loops=1 is too few"):
        classifier(graphs.layered([4, 3, 2]), 2, loops=1, **options)


@pytest.mark.parametrize(("loops", "reached"), [(2, False), (3, True), (5, True)])
def test_with_injection_a_signal_needs_one_loop_more_and_then_stays(loops, reached):
    options = {"loops": loops, "inputs": "layer 0", "outputs": "layer 2"}
    options |= {"inject": True, "activation": None}
    if reached:
        model = classifier(graphs.layered([4, 3, 2]), 2, **options).eval()
        scores = model(torch.randn(5, 4))
        assert not torch.equal(scores, scores[:1].expand_as(scores))
        return
    with pytest.raises(ValueError, match=f"loops={loops} is too few"):
        classifier(graphs.layered([4, 3, 2]), 2, **options)


@pytest.mark.parametrize("name", sorted(activations.ACTIVATIONS.keys() - {"none"}))
def test_layers_and_loops_know_the_same_activations(name):
    x = torch.linspace(-3, 3, 101)
    expected = activations.ACTIVATIONS[name].function(x)
    torch.testing.assert_close(ACTIVATIONS[name]()(x), expected)
