"""A rewired layer is a new layer of the other connectome in which what stays kept its values."""

import weakref

import pytest
import torch
from torch.nn.utils import parametrize, prune
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer, Maxout
from sparsebrain.nn import rewire
from sparsebrain.nn.replacement import weight_parameter

BEFORE = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
# Three stay, in another order, two are pruned and four grow.
AFTER = torch.tensor([[3, 3, 0, 2, 0, 1, 2], [1, 0, 1, 0, 3, 3, 3]])
ORIGIN = torch.tensor([-1, 3, 0, -1, -1, -1, 2])
N = 4


def brain(edges, **fields):
    """Four neurons of two populations; the sign of each is fixed."""
    source, target = edges
    return Data(
        edge_index=edges,
        num_nodes=N,
        edge_weight=(1.0 + source + 10 * target).float(),
        edge_type=(source + target) % 3,
        node_type=torch.tensor([0, 0, 1, 1]),
        node_sign=torch.tensor([1.0, 1.0, -1.0, -1.0]),
        **fields,
    )


def symmetric(edges):
    return torch.cat([edges, edges.flip(0)], 1).unique(dim=1)


def trained(layer, make=torch.optim.Adam, steps=3, **options):
    """Train a layer for some steps, and return its optimizer."""
    optimizer = make(layer.parameters(), lr=0.01, **options)
    x = torch.rand(5, N, generator=torch.Generator().manual_seed(0)).to(layer.weight.dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
    return optimizer


def same_call(one, other):
    x = torch.rand(3, N, generator=torch.Generator().manual_seed(1)).to(one.weight.dtype)
    results = []
    for layer in (one, other):
        layer.zero_grad()
        out = layer(x)
        out.square().sum().backward()
        results.append([out.detach(), *(each.grad for each in layer.parameters())])
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
def test_what_stays_keeps_weights_and_moments_and_the_rest_starts(optimizer):
    layer = GraphLayer(brain(BEFORE), 3, activation="tanh", bias=True, init="edge_weight")
    optimizer = trained(layer, optimizer)
    parameter, weight, bias = (
        layer.weight,
        layer.weight.detach().clone(),
        layer.bias.detach().clone(),
    )
    grad = layer.weight.grad.clone()
    state = {name: each.clone() for name, each in optimizer.state[parameter].items()}
    kept = {name: each.clone() for name, each in optimizer.state[layer.bias].items()}
    after = brain(AFTER)
    assert torch.equal(rewire(layer, after, optimizer), ORIGIN)
    assert layer.weight is parameter
    assert torch.equal(layer.edge_index, AFTER)
    signed = torch.from_numpy(graphs.signed_weights(after))
    stays = ORIGIN >= 0
    assert torch.equal(layer.weight.detach(), torch.where(stays, weight[ORIGIN], signed))
    assert torch.equal(layer.weight.grad, torch.where(stays, grad[ORIGIN], 0))
    assert torch.equal(layer.bias, bias)
    for name, before in state.items():
        now = optimizer.state[parameter][name]
        expected = before if before.dim() == 0 else torch.where(stays, before[ORIGIN], 0)
        assert torch.equal(now, expected), name
    for name, before in kept.items():
        assert torch.equal(optimizer.state[layer.bias][name], before)
    other = GraphLayer(after, 3, activation="tanh", bias=True, init="edge_weight")
    other.load_state_dict(layer.state_dict())
    same_call(layer, other)
    optimizer.step()
    assert not torch.equal(layer.weight, other.weight)


def test_momentum_follows():
    layer = GraphLayer(brain(BEFORE))
    optimizer = trained(layer, torch.optim.SGD, momentum=0.9)
    before = optimizer.state[layer.weight]["momentum_buffer"].clone()
    rewire(layer, brain(AFTER), optimizer)
    now = optimizer.state[layer.weight]["momentum_buffer"]
    assert torch.equal(now, torch.where(ORIGIN >= 0, before[ORIGIN], 0))


OPTIONS = {
    "plain": {},
    "several loops": {"loops": 4, "activation": "relu", "inject": True},
    "identity": {"loops": 2, "init": "identity"},
    "neurons": {"bias": True, "threshold": "neuron", "leak": "population"},
    "dale": {"dale": True},
    "float64": {"dtype": torch.float64},
    "type": {"weight_sharing": "type"},
    "source": {"weight_sharing": "source"},
    "target": {"weight_sharing": "target"},
    "projection": {"weight_sharing": "projection"},
    "pair": {"weight_sharing": "pair"},
    "projection, dale": {"weight_sharing": "projection", "dale": True},
    "gain": {"gain": "synapse"},
    "gain, dale": {"gain": "synapse", "dale": True},
    "gain of projections": {"gain": "projection", "dale": True},
    "gain of types": {"gain": "type"},
    "gain of pairs": {"gain": "pair"},
    "gain of sources": {"gain": "source", "dale": True},
    "equilibrium": {"loops": Equilibrium(), "activation": "tanh"},
    "equilibrium, constraint": {
        "loops": Equilibrium(constraint="norm"),
        "activation": "tanh",
    },
    "aggr": {"aggr": "mean", "loops": 2},
    "checkpoint": {"checkpoint": True, "loops": 5},
    "reference": {"backend": "reference", "loops": 3},
    "torch": {"backend": "torch", "loops": 3},
}


def key_of(by, data, layer):
    """What identifies each value of the weight parameter, written in another way."""
    source, target = layer.edge_index.tolist()
    of_synapse = {
        "synapse": list(zip(source, target, strict=True)),
        "pair": [(min(ends), max(ends)) for ends in zip(source, target, strict=True)],
        "type": data.edge_type.tolist(),
        "source": source,
        "target": target,
        "projection": [
            (int(data.node_type[s]), int(data.node_type[t]))
            for s, t in zip(source, target, strict=True)
        ],
    }[by]
    groups = layer.weight_index
    if layer.gain_sharing is not None:
        groups = layer.parametrizations.weight[0].groups
    groups = range(len(source)) if groups is None else groups.tolist()
    return dict(zip(groups, of_synapse, strict=True))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option(name):
    options = OPTIONS[name]
    torch.manual_seed(0)
    by = options.get("gain", options.get("weight_sharing", "synapse"))
    before, after = brain(BEFORE), brain(AFTER)
    if by == "pair":
        before, after = brain(symmetric(BEFORE)), brain(symmetric(AFTER))
        for data in (before, after):
            del data.node_sign
            low, high = data.edge_index.aminmax(dim=0)
            data.edge_weight = (1.0 + low + 10 * high).float()
    if name == "identity":
        loops = torch.arange(N).repeat(2, 1)
        before, after = (brain(torch.cat([loops, edges], 1)) for edges in (BEFORE, AFTER))
    layer = GraphLayer(before, **options)
    optimizer = trained(layer)
    old_keys = {key: at for at, key in key_of(by, before, layer).items()}
    old = weight_parameter(layer).detach().clone()
    moment = optimizer.state[weight_parameter(layer)]["exp_avg"].clone()
    origin = rewire(layer, after, optimizer)
    new = weight_parameter(layer)
    assert new.shape == origin.shape
    assert any(param is new for param in optimizer.param_groups[0]["params"])
    for at, key in key_of(by, after, layer).items():
        assert origin[at] == old_keys.get(key, -1)
    for at, place in enumerate(origin.tolist()):
        if place >= 0:
            assert new[at] == old[place]
        assert optimizer.state[new]["exp_avg"][at] == (moment[place] if place >= 0 else 0)
    made = GraphLayer(after, **options)
    made.load_state_dict(layer.state_dict())
    same_call(layer, made)
    trained_further = layer.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(layer.weight, trained_further)
    assert repr(layer) == repr(made)


def test_new_weights_are_those_of_a_new_layer():
    torch.manual_seed(3)
    layer = GraphLayer(brain(BEFORE), 5)
    torch.manual_seed(7)
    rewire(layer, brain(AFTER))
    torch.manual_seed(7)
    fresh = GraphLayer(brain(AFTER), 5)
    assert torch.equal(layer.weight[ORIGIN < 0], fresh.weight[ORIGIN < 0])


def test_new_weights_of_zero_do_not_change_the_output():
    layer = GraphLayer(brain(BEFORE), 3, activation="tanh")
    optimizer = trained(layer)
    x = torch.rand(5, N)
    before = layer(x)
    grown = brain(torch.cat([BEFORE, torch.tensor([[3, 1], [2, 3]])], 1))
    grown.edge_weight.zero_()
    rewire(layer, grown, optimizer, init="edge_weight")
    torch.testing.assert_close(layer(x), before)
    assert layer.weight.detach()[-2:].tolist() == [0, 0]
    layer.reset_parameters()
    assert layer.weight.detach()[-2:].all()


def test_lesions_and_batches_follow():
    data = graphs.small_world(20, 4, 0.3, seed=0)
    layer = GraphLayer(data, 2)
    lesioned = graphs.lesion(data, fraction=0.3, seed=0)
    rewire(layer, lesioned)
    assert layer.structure.num_edges == lesioned.num_edges
    x = torch.rand(20, 2)
    batch = next(iter(DataLoader([Data(x, lesioned.edge_index, num_nodes=20)] * 2, batch_size=2)))
    torch.testing.assert_close(layer(batch.x, batch.edge_index)[:20], layer(x.T).T)
    with pytest.raises(ValueError, match="edge_index"):
        layer(x, data.edge_index)


def test_all_synapses_may_go_and_come_back():
    layer = GraphLayer(brain(BEFORE))
    optimizer = trained(layer)
    empty = Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=N)
    assert rewire(layer, empty, optimizer).tolist() == []
    assert layer(torch.ones(1, N)).tolist() == [[0.0] * N]
    assert rewire(layer, brain(AFTER), optimizer).tolist() == [-1] * 7
    assert layer.weight.detach().all()


def test_what_is_refused_leaves_the_layer_as_it_was():
    data = brain(BEFORE)
    layer = GraphLayer(data, dale=True, leak="population")
    optimizer = torch.optim.Adam(layer.parameters())
    state = {name: each.clone() for name, each in layer.state_dict().items()}
    larger, other = Data(edge_index=AFTER, num_nodes=5), brain(AFTER)
    other.node_sign = -other.node_sign
    moved = brain(AFTER)
    moved.node_type = moved.node_type.flip(0)
    unsigned = brain(AFTER)
    del unsigned.node_sign
    parallel = brain(torch.tensor([[0, 0], [1, 1]]))
    parallel.edge_type = torch.tensor([0, 1])
    elsewhere = torch.optim.Adam([torch.nn.Parameter(torch.ones(5))])
    for connectome, trains, error, match in (
        ("ring", optimizer, TypeError, "connectome must be a torch_geometric.data.Data, got"),
        (larger, optimizer, ValueError, "connectome must have the layer's 4 neurons, got 5"),
        (other, optimizer, ValueError, "stay the sign that the layer fixed with dale=True"),
        (moved, optimizer, ValueError, "connectome.node_type must be that of the layer"),
        (unsigned, optimizer, ValueError, "dale=True needs connectome.edge_sign"),
        (parallel, optimizer, ValueError, "connectome must have one synapse from a neuron"),
        (brain(AFTER), elsewhere, ValueError, "optimizer must train the weight of the layer"),
        (brain(AFTER), "Adam", TypeError, "optimizer must be a torch.optim.Optimizer"),
        (
            brain(AFTER),
            torch.optim.LBFGS(layer.parameters()),
            ValueError,
            "optimizer must keep a state for each parameter",
        ),
    ):
        with pytest.raises(error, match=match):
            rewire(layer, connectome, trains)
    with pytest.raises(ValueError, match="init must be one of"):
        rewire(layer, brain(AFTER), init="zeros")
    assert torch.equal(layer.edge_index, BEFORE)
    for name, before in state.items():
        assert torch.equal(layer.state_dict()[name], before)


def test_other_layers_are_refused():
    after = brain(AFTER)
    with pytest.raises(TypeError, match="layer must be a GraphLayer, got"):
        rewire(Maxout(brain(BEFORE)), after)
    with pytest.raises(ValueError, match="layer must have weights with values"):
        rewire(GraphLayer(brain(BEFORE), device="meta"), after)
    layer = GraphLayer(brain(BEFORE))
    parametrize.register_parametrization(layer, "weight", torch.nn.Tanh(), unsafe=True)
    with pytest.raises(ValueError, match="no parametrizations of its own"):
        rewire(layer, after)
    pruned = prune.random_unstructured(GraphLayer(brain(BEFORE)), "weight", 0.5)
    with pytest.raises(ValueError, match="which pruning replaced"):
        rewire(pruned, after)
    parallel = brain(torch.tensor([[0, 0], [1, 1]]))
    parallel.edge_type = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="layer must have one synapse from a neuron"):
        rewire(GraphLayer(parallel), after)
    shared = GraphLayer(parallel, weight_sharing="type")
    assert rewire(shared, after).tolist() == [0, 1, -1]


ALIVE = ("plain", "several loops", "dale", "gain", "gain, dale", "type", "projection, dale")


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("name", [*ALIVE, "equilibrium", "float64", "torch", "reference"])
def test_training_continues_while_an_earlier_loss_is_referenced(name, finished):
    before, after = brain(BEFORE), brain(AFTER)
    options = {"init": "edge_weight", **OPTIONS[name]}
    if options["init"] == "edge_weight":
        before.edge_weight /= 100
        after.edge_weight /= 100
    if "weight_sharing" in options:
        # Of fewer types and projections.
        before = brain(BEFORE[:, :2])
        del options["init"]
    layer = GraphLayer(before, **options)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    parameter = weight_parameter(layer)
    seen, reference = [], weakref.ref(parameter)
    parameter.register_hook(lambda grad: seen.append(grad.shape))
    x = torch.rand(5, N, dtype=layer.weight.dtype)
    loss = layer(x).square().sum()
    if finished:
        loss.backward(retain_graph=True)
        optimizer.step()
    before_shape = parameter.shape
    rewire(layer, after, optimizer)
    assert weight_parameter(layer) is parameter is reference()
    assert parameter.shape != before_shape
    made = GraphLayer(after, **options)
    made.load_state_dict(layer.state_dict())
    same_call(layer, made)
    assert seen[-1] == parameter.shape
    # Twice, because the first call makes the new node.
    same_call(layer, made)
    grad = parameter.grad.clone()
    with pytest.raises(RuntimeError, match=r"before it was rewired|inplace operation"):
        loss.backward()
    assert torch.equal(parameter.grad, grad)
    optimizer.step()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("options", [{}, {"dale": True}, {"gain": "synapse", "loops": 2}])
def test_training_continues_after_a_rewiring_without_gradients(mode, options):
    layer = GraphLayer(brain(BEFORE), **options)
    optimizer = trained(layer)
    with mode():
        rewire(layer, brain(AFTER), optimizer)
    made = GraphLayer(brain(AFTER), **options)
    made.load_state_dict(layer.state_dict())
    same_call(layer, made)
    optimizer.step()
