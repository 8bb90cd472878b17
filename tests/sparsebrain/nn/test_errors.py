"""Every wrong call gets one clear error that names the remedy."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer


def ring(**fields):
    return Data(
        **{"edge_index": torch.tensor([[0, 1, 2], [1, 2, 0]]), "num_nodes": 3, **fields},
    )


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"loops": 0}, ValueError, "loops must be an integer >= 1, got 0"),
        ({"loops": 2.0}, TypeError, "loops must be an integer >= 1, got"),
        (
            {"activation": "tahn"},
            ValueError,
            "activation must be one of None, 'tanh', .*'tahn'",
        ),
        ({"activation": "none"}, ValueError, "activation must be one of None, 'tanh'"),
        ({"activation": torch.nn.Tanh}, TypeError, r"the class Tanh; pass activation=Tanh\(\)"),
        ({"inject": "no"}, TypeError, "inject must be True or False, got 'no'"),
        (
            {"bias": 1},
            TypeError,
            "bias must be True, .* got 1 of type int",
        ),
        ({"loops": Equilibrium}, TypeError, r"loops is the class Equilibrium.*Equilibrium\(\)"),
        (
            {"dtype": torch.float16},
            TypeError,
            "got torch.float16; pass.*torch.float32.*autocast",
        ),
        ({"dale": None}, TypeError, "dale must be True or False"),
        ({"aggr": None}, TypeError, "aggr must name an aggregation of PyG, or be one, got None"),
        ({"aggr": 3}, TypeError, "aggr must name an aggregation of PyG, or be one, got 3"),
        ({"aggr": ["sum", 3]}, TypeError, "aggr must name an aggregation of PyG, or be one, got 3"),
        ({"aggr": ""}, ValueError, "aggr must name an aggregation of PyG, got ''; pass aggr='sum'"),
        ({"aggr": "summ"}, ValueError, "aggr must name an aggregation of PyG, got 'summ'"),
        ({"aggr": []}, ValueError, "aggr must name an aggregation of PyG, got none"),
        ({"loops": 2**63}, ValueError, "loops must be an integer >= 1 and at most 1000000"),
        ({"device": "gpu"}, ValueError, "device must be a device, got 'gpu'"),
        ({"device": 1.5}, TypeError, "device must be a device, got 1.5 of type float"),
        ({"dtype": "float32"}, TypeError, "dtype must be torch.float32 or torch.float64"),
        ({"backend": None}, TypeError, "backend must be one of 'auto'"),
        ({"weight_sharing": "edge"}, ValueError, "weight_sharing must be one of 'synapse', 'type'"),
        (
            {"init": "xavier"},
            ValueError,
            "init must be one of 'variance', 'identity', 'edge_weight'",
        ),
        ({"backend": "cuda"}, ValueError, "backend must be one of"),
        ({"weight_sharing": "type"}, ValueError, "needs connectome.edge_type"),
        ({"dale": True}, ValueError, r"needs connectome.edge_sign \[E\] or connectome.node_sign"),
        ({"init": "edge_weight"}, ValueError, "needs connectome.edge_weight"),
        ({"init": "identity"}, ValueError, "needs a self-loop at every neuron, 3 of 3 have none"),
        ({"loop": 3}, TypeError, "unexpected keyword argument 'loop'"),
    ],
)
def test_wrong_options(options, error, match):
    with pytest.raises(error, match=match):
        GraphLayer(ring(), **options)


@pytest.mark.parametrize(
    ("fields", "options", "error", "match"),
    [
        (
            {
                "edge_index": torch.tensor([[0, 1, 2, 0], [0, 1, 2, 1]]),
                "edge_type": torch.zeros(4, dtype=torch.int64),
            },
            {"init": "identity", "weight_sharing": "type"},
            ValueError,
            "one type here has self-loops and other synapses",
        ),
        (
            {"edge_type": torch.tensor([0, 1])},
            {},
            ValueError,
            r"edge_type must be an int64 tensor of shape \[3\], got \[2\]",
        ),
        ({"edge_type": torch.ones(3)}, {}, TypeError, "edge_type must be an int64 tensor"),
        ({"edge_type": torch.tensor([0, -1, 1])}, {}, ValueError, "edge_type must be >= 0, got -1"),
        (
            {"edge_weight": torch.tensor([1.0, float("nan"), 1.0])},
            {"init": "edge_weight"},
            ValueError,
            "edge_weight must be finite, got nan at position 1",
        ),
        (
            {"edge_weight": torch.ones(3, 1)},
            {"init": "edge_weight"},
            ValueError,
            r"got \[3, 1\]; .*edge_weight.flatten\(\)",
        ),
        (
            {"edge_sign": torch.tensor([1.0, 2.0, -1.0])},
            {},
            ValueError,
            r"edge_sign must be -1, 0 \(unknown\) or \+1, got 2.0",
        ),
        (
            {"node_sign": torch.ones(2)},
            {"dale": True},
            ValueError,
            r"node_sign must be a float32 tensor of shape \[3\]",
        ),
        (
            {
                "edge_weight": torch.tensor([1.0, 2.0, 3.0]),
                "edge_type": torch.zeros(3, dtype=torch.int64),
            },
            {"init": "edge_weight", "weight_sharing": "type"},
            ValueError,
            "their edge_weight differ",
        ),
        (
            {"edge_weight": -torch.ones(3), "edge_sign": torch.ones(3)},
            {"init": "edge_weight", "dale": True},
            ValueError,
            r"edge_weight must not be negative where edge_sign is \+1, got -1 at position 0",
        ),
    ],
)
def test_wrong_connectomes(fields, options, error, match):
    with pytest.raises(error, match=match):
        GraphLayer(ring(**fields), **options)


@pytest.mark.parametrize(
    ("connectome", "error", "match"),
    [
        (
            torch.tensor([[0], [0]]),
            TypeError,
            "connectome must be a .*Data, got Tensor",
        ),
        (np.eye(3), TypeError, "got ndarray"),
        (Data(num_nodes=3), ValueError, "edge_index is missing"),
        (
            Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2.5),
            TypeError,
            "num_nodes must be an int, got 2.5",
        ),
        (
            Data(edge_index=torch.tensor([[0], [3]]), num_nodes=3),
            ValueError,
            "got the synapse 0 -> 3",
        ),
        (
            Data(edge_index=torch.tensor([[0, 0], [1, 1]]), num_nodes=2),
            ValueError,
            "no two synapses may have the same .* got 0 -> 1 at positions 0 and 1; set",
        ),
        (
            Data(
                edge_index=torch.tensor([[0, 1, 0, 0], [1, 0, 1, 1]]),
                num_nodes=2,
                edge_type=torch.tensor([1, 0, 0, 1]),
            ),
            ValueError,
            "got 0 -> 1 at positions 0 and 3; set different",
        ),
    ],
)
def test_what_is_no_connectome(connectome, error, match):
    with pytest.raises(error, match=match):
        GraphLayer(connectome)


def test_types_may_be_any_large_integers():
    data = Data(
        edge_index=torch.tensor([[0, 0, 1], [1, 1, 0]]),
        num_nodes=2,
        edge_type=torch.tensor([2**62, 2**62 + 1, 0]),
    )
    assert GraphLayer(data).weight.shape == (3,)


def test_parallel_synapses_of_different_types_are_allowed():
    data = Data(
        edge_index=torch.tensor([[0, 0, 1], [1, 1, 0]]),
        num_nodes=2,
        edge_type=torch.tensor([0, 1, 0]),
    )
    layer = GraphLayer(data)
    x = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(layer(x)[1], layer.weight[0] + layer.weight[1])


@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (
            torch.ones(2, 4),
            ValueError,
            r"of shape \[..., 3\], got \[2, 4\].*layer\(x, edge_index\)",
        ),
        (torch.tensor(1.0), ValueError, r"of shape \[..., 3\], got \[\]"),
        (torch.ones(2, 3).double(), TypeError, r"x must be a float32 .*float64; pass x.float\(\)"),
        (
            torch.ones(2, 3, dtype=torch.int64),
            TypeError,
            r"x must be a float32 .*int64; pass x.float\(\)",
        ),
    ],
)
def test_wrong_inputs(x, error, match):
    with pytest.raises(error, match=match):
        GraphLayer(ring())(x)


@pytest.mark.parametrize("x", [None, np.ones((2, 3)), ring()])
def test_what_is_no_tensor(x):
    with pytest.raises(TypeError, match=r"x must be a (float32 )?tensor.*(pass|call) "):
        GraphLayer(ring())(x)
    with pytest.raises(
        TypeError, match=r"state must be a float32 tensor .*, got list; pass torch.as_tensor\(state"
    ):
        GraphLayer(ring(), inject=True)(torch.ones(2, 3), state=[0.0])
    with pytest.raises(TypeError, match="return_states must be True or False"):
        GraphLayer(ring())(torch.ones(2, 3), return_states="yes")


@pytest.mark.parametrize("aggr", ["sum", "max"])
def test_an_activation_that_changes_the_shape(aggr):
    with pytest.raises(ValueError, match="activation must keep the shape of the state"):
        GraphLayer(ring(), activation=torch.sum, aggr=aggr)(torch.ones(2, 3))


def test_half_precision_weights_are_refused_at_the_call():
    layer = GraphLayer(ring()).half()
    with pytest.raises(TypeError, match=r"float32 or float64.*torch.float16; call layer.float\(\)"):
        layer(torch.ones(2, 3).half())
    with pytest.raises(TypeError, match=r"got torch.float16; pass x.float\(\)"):
        layer.float()(torch.ones(2, 3).half())


def test_a_narrow_default_dtype_is_refused_at_once():
    torch.set_default_dtype(torch.bfloat16)
    try:
        with pytest.raises(TypeError, match="got torch.bfloat16; pass dtype=torch.float32"):
            GraphLayer(ring())
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_class_of_an_equilibrium_is_no_number_of_loops():
    layer = GraphLayer(ring())
    with pytest.raises(TypeError, match="pass an instance"):
        layer.loops = Equilibrium
    assert layer.loops == 1


def _double(edges):
    return torch.cat([edges, edges + 3], 1)


@pytest.mark.parametrize(
    ("rows", "change", "match"),
    [
        (6, lambda e: _double(e).flip(1), "not that of the layer's connectome in the same order"),
        (6, lambda e: torch.cat([e, e.flip(1) + 3], 1), "not that of the layer's connectome"),
        (6, lambda e: torch.cat([e, e], 1), "not that of the layer's connectome"),
        (6, lambda e: e, r"\[2, 6\], got \[2, 3\]; pass the batch.edge_index of 2 copies"),
        (3, lambda e: e.flip(0), "not that of the layer's connectome"),
        (5, lambda e: e, r"B \* 3 rows.*got 5"),
    ],
)
def test_edges_that_are_not_the_layers_own(rows, change, match):
    data = ring()
    layer = GraphLayer(data)
    with pytest.raises(ValueError, match=match):
        layer(torch.ones(rows, 2), change(data.edge_index))


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (torch.Tensor.float, "torch.float32"),
        (torch.Tensor.int, r"torch.int32; pass edge_index.long\(\)"),
        (torch.Tensor.cfloat, "torch.complex64"),
        (torch.Tensor.tolist, r"list; pass torch.as_tensor\(edge_index, dtype=torch.int64\)"),
        (torch.Tensor.to_sparse, "the layout torch.sparse_coo"),
        (lambda edges: edges.to("meta"), "one on 'meta'"),
        (torch.Tensor.numpy, "ndarray"),
    ],
)
def test_edges_that_are_no_integers(change, got):
    data = ring()
    with pytest.raises((TypeError, ValueError), match=f"edge_index must be an int64 .*, got {got}"):
        GraphLayer(data)(torch.ones(3, 2), change(data.edge_index))


def test_edges_changed_in_place_after_a_good_call_are_noticed():
    data = ring()
    layer, edges, x = GraphLayer(data), _double(data.edge_index), torch.ones(6, 1)
    layer(x, edges)
    layer(x, edges)
    edges[:, 3:] = edges[:, 3:].flip(1)
    with pytest.raises(ValueError, match="not that of the layer's connectome"):
        layer(x, edges)


def test_a_vector_of_nodes_needs_a_channel():
    data = ring()
    with pytest.raises(ValueError, match=r"x must be .* shape \[B \* 3, C\].*x.unsqueeze\(-1\)"):
        GraphLayer(data)(torch.ones(3), data.edge_index)


def test_a_state_needs_injection_and_the_shape_of_x():
    with pytest.raises(ValueError, match="state needs inject=True"):
        GraphLayer(ring())(torch.ones(2, 3), state=torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"the shape of x \[2, 3\]"):
        GraphLayer(ring(), inject=True)(torch.ones(2, 3), state=torch.ones(1, 3))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"num_nodes": True},
        {"num_nodes": 2},
        {"edge_index": torch.tensor([[0, 1, 2], [1, 2, 0]], dtype=torch.int32)},
        {"edge_index": torch.tensor([[0.0, 1.0], [1.0, 0.0]])},
        {"edge_index": torch.tensor([[0, 0], [1, 1]])},
        {"edge_weight": torch.ones(3)},
        {"edge_weight": torch.ones(3, dtype=torch.float64)},
        {"edge_weight": torch.ones(3, dtype=torch.int64)},
        {"edge_weight": torch.tensor([1.0, float("inf"), 1.0])},
        {"edge_type": torch.zeros(3, dtype=torch.int64)},
        {"edge_type": torch.zeros(3, dtype=torch.int32)},
        {"edge_sign": torch.tensor([1.0, 0.0, -1.0])},
        {"edge_sign": torch.tensor([1.0, 0.5, -1.0])},
        {"node_sign": torch.ones(2)},
        {"node_type": torch.tensor([0, 1, 2])},
        {"node_type": torch.tensor([0.0, 1.0, 2.0])},
        {"names": ["a", "b", "c"]},
        {"names": ["a", "b"]},
        {"pos": torch.zeros(3, 2)},
        {"pos": torch.zeros(3, 2, dtype=torch.float64)},
        {"shape": (3,)},
        {"shape": (2, 2)},
        {"x": torch.randn(3, 5), "y": torch.tensor([1]), "color": "outside of the contract"},
    ],
)
@pytest.mark.parametrize("without", [None, "num_nodes"])
def test_the_layer_takes_what_graphs_validate_takes_and_nothing_else(fields, without):
    data = ring(**fields)
    if without is not None:
        del data[without]

    def answer(call):
        try:
            call(data)
        except (TypeError, ValueError) as error:
            return type(error), str(error)
        return None

    assert answer(graphs.validate) == answer(GraphLayer)


@pytest.mark.parametrize(
    ("name", "value", "error", "match"),
    [
        ("activation", "tahn", ValueError, "activation must be one of None, 'tanh'"),
        ("activation", torch.nn.Tanh, TypeError, r"pass activation=Tanh\(\)"),
        ("activation", Data(), TypeError, "activation must be one of None, 'tanh'"),
        ("inject", 1, TypeError, "inject must be True or False"),
        ("checkpoint", None, TypeError, "checkpoint must be True or False"),
        ("backend", "cuda", ValueError, "backend must be one of 'auto'"),
        ("noise", -1.0, ValueError, "noise must be 0 or more"),
        ("noise", None, TypeError, "noise must be a number, got None"),
        ("leak", 2.0, ValueError, "leak must be more than 0 and at most 1"),
        ("leak", "neuron", TypeError, "leak must be a number, got 'neuron'"),
        ("threshold", float("nan"), ValueError, "threshold must be finite"),
        ("loops", 2**63, ValueError, "loops must be an integer >= 1 and at most 1000000"),
        ("loops", torch.nn.Tanh(), TypeError, r"loops must be an integer >= 1, got Tanh\(\)"),
    ],
)
def test_values_that_are_assigned_are_checked(name, value, error, match):
    layer = GraphLayer(ring(), 2)
    before = getattr(layer, name)
    with pytest.raises(error, match=match):
        setattr(layer, name, value)
    assert getattr(layer, name) is before


def test_options_may_be_assigned():
    layer, x = GraphLayer(ring(), 2, activation=torch.nn.Tanh()), torch.randn(4, 3)
    plain = GraphLayer(ring(), 2)
    plain.load_state_dict(layer.state_dict())
    layer.activation = None
    assert layer.activation == "none"
    assert torch.equal(layer(x), plain(x))
    layer.activation = layer.activation
    layer.activation, layer.leak, layer.threshold = "tanh", 0.5, 0.25
    other = GraphLayer(ring(), 2, activation="tanh", leak=0.5, threshold=0.25)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), other(x))
    assert repr(layer) == repr(other)
    layer.activation, layer.leak, layer.threshold = torch.nn.PReLU(), None, None
    assert [name for name, _ in layer.named_parameters()] == ["weight", "activation.weight"]


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("activation", "relu", "activation cannot change, since constraint='norm'"),
        ("inject", False, "inject cannot be False with an Equilibrium"),
        ("checkpoint", True, "checkpoint=True is for a number of loops"),
        ("noise", 0.1, "noise changes the state"),
    ],
)
def test_an_equilibrium_keeps_what_it_rests_on(name, value, match):
    layer = GraphLayer(ring(), Equilibrium(constraint="norm"), activation="tanh")
    with pytest.raises(ValueError, match=match):
        setattr(layer, name, value)


def test_a_weight_that_is_assigned_is_not_broadcast():
    layer = GraphLayer(ring())
    for wrong in (torch.ones(1), torch.ones(()), torch.ones(3, 1), torch.ones(1, 3)):
        with pytest.raises(ValueError, match=r"weight must be .* of shape \[3\]"):
            layer.assign_weight(wrong)
    signed = GraphLayer(ring(edge_sign=torch.ones(3)), dale=True)
    for wrong in ([1.0, 1.0, 1.0], np.ones(3), torch.ones(3).to_sparse(), torch.nn.Tanh()):
        with pytest.raises(TypeError, match="weight must be a float32 or float64 tensor of shape"):
            signed.assign_weight(wrong)


def test_a_strength_of_minus_zero_is_zero():
    weights = torch.tensor([[1.0, 0.0, 2.0], [1.0, -0.0, 2.0]])
    one, other = (
        GraphLayer(ring(edge_weight=each.clone()), gain="synapse") for each in weights.unbind()
    )
    one.load_state_dict(other.state_dict())
