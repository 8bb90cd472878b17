"""Rewiring keeps the number of synapses, the survivors and all that is known of them."""

import copy

import pytest
import torch
from scipy.stats import chi2
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.learning import Backprop
from sparsebrain.models import classifier
from sparsebrain.plasticity import Rewiring
from sparsebrain.plasticity.pruning import METHODS
from tests.sparsebrain.plasticity.conftest import NEURONS, inputs, signed

OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05, amsgrad=True),
}


def make(method, optimizer="adam", seed=0, **options):
    torch.manual_seed(seed)
    layer = GraphLayer(graphs.small_world(NEURONS, 6, 0.2, seed=0), loops=2, activation="tanh")
    made = OPTIMIZERS[optimizer](layer.parameters())
    generator = torch.Generator().manual_seed(seed)
    return Rewiring(layer, made, method, generator=generator, **options)


def train(rewiring, seed=0, target=1.0):
    """A step of the optimizer; with "rigl" candidates are observed."""
    layer, optimizer = rewiring.layer, rewiring.optimizer

    def descend():
        optimizer.zero_grad()
        (layer(inputs(seed=seed)) - target).square().sum().backward()

    if rewiring.method == "rigl":
        with rewiring.observe():
            descend()
    else:
        descend()
    optimizer.step()


def crossing(rewiring):
    """Let three synapses cross zero, so that deep rewiring prunes them."""
    if rewiring.method == "deep-r":
        with torch.no_grad():
            rewiring.layer.weight[[4, 50, 100]] *= -1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_survivors_keep_their_weights_and_moments_exactly(method, optimizer):
    rewiring = make(method, optimizer, l1=0.0)
    layer = rewiring.layer
    parameter, edges = layer.weight, layer.edge_index.clone()
    train(rewiring)
    crossing(rewiring)
    weight = layer.weight.detach().clone()
    before = copy.deepcopy({**rewiring.optimizer.state[parameter]})
    grad = layer.weight.grad.clone()
    replaced, origin = rewiring.step()
    assert layer.weight is parameter
    assert replaced == (origin < 0).sum() >= 3
    assert layer.edge_index.shape == edges.shape
    old = origin >= 0
    assert torch.equal(layer.edge_index[:, old], edges[:, origin[old]])
    assert torch.equal(layer.weight[old], weight[origin[old]])
    assert torch.equal(layer.weight.grad[old], grad[origin[old]])
    moments = [key for key, value in before.items() if value.shape == weight.shape]
    assert len(moments) == (1 if optimizer == "sgd" else 3)
    for key in moments:
        after = rewiring.optimizer.state[parameter][key]
        assert torch.equal(after[old], before[key][origin[old]])
        assert (after[~old] == 0).all()
    # The order is canonical, and no synapse exists twice.
    key = layer.edge_index[1] * NEURONS + layer.edge_index[0]
    assert (key.diff() > 0).all()
    assert (layer.edge_index[0] != layer.edge_index[1]).all()
    for seed in range(1, 4):
        train(rewiring, seed)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_is_the_same_run(method):
    found = []
    for _ in range(2):
        rewiring = make(method)
        for seed in range(3):
            train(rewiring, seed)
            crossing(rewiring)
            rewiring.step()
        found.append((rewiring.layer.edge_index, rewiring.layer.weight.detach()))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("method", METHODS)
def test_kept_signs_follow_their_synapses(method):
    torch.manual_seed(0)
    layer = GraphLayer(signed(), activation="tanh", dale=True)
    optimizer = OPTIMIZERS["sgd"](layer.parameters())
    rewiring = Rewiring(layer, optimizer, method, l1=0.3)
    expected = signed().node_sign
    total = 0
    for seed in range(6):
        train(rewiring, seed, target=-1.0)
        total += rewiring.step().replaced
        sign = expected[layer.edge_index[0]]
        assert torch.equal(layer.sign, sign)
        assert (layer.weight * sign >= 0).all()
    assert total > 0


def test_set_prunes_the_smallest_of_each_sign():
    rewiring = make("set", fraction=0.25)
    weight = rewiring.layer.weight.detach().clone()
    _, origin = rewiring.step()
    gone = torch.ones(len(weight), dtype=torch.bool)
    gone[origin[origin >= 0]] = False
    for those in (weight >= 0, weight < 0):
        assert gone[those].sum() == round(0.25 * int(those.sum()))
        assert weight[those & gone].abs().max() <= weight[those & ~gone].abs().min()
    # The mean square of all weights, within 5 standard errors (false alarm 1e-6).
    new = rewiring.layer.weight.detach()[origin < 0]
    scale = weight.square().mean()
    assert (new.square().mean() / scale - 1).abs() < 5 * (2 / len(new)) ** 0.5


def test_regrowth_is_uniform_over_the_absent_pairs():
    """A chi-square test over all pairs that are absent after pruning (false alarm 1e-6)."""
    layer = GraphLayer(graphs.small_world(10, 4, 0.2, seed=0))
    start, rounds = copy.deepcopy(layer), 400
    counts = torch.zeros(10, 10)
    generator = torch.Generator().manual_seed(0)
    for _ in range(rounds):
        layer = copy.deepcopy(start)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        rewiring = Rewiring(layer, optimizer, fraction=0.2, generator=generator)
        replaced, origin = rewiring.step()
        source, target = layer.edge_index[:, origin < 0]
        counts[source, target] += 1
    kept = layer.edge_index[:, origin >= 0]
    absent = ~torch.eye(10, dtype=torch.bool)
    absent[kept[0], kept[1]] = False
    number = int(absent.sum())
    assert counts.sum() == counts[absent].sum() == rounds * replaced
    expected = rounds * replaced / number
    found = float(((counts[absent] - expected) ** 2 / expected).sum())
    assert found * (number - 1) / (number - replaced) < chi2.isf(1e-6, number - 1)


def test_rigl_grows_the_candidates_with_the_largest_gradients():
    """Gradients of absent synapses are those of a layer that has them, with weight 0."""
    rewiring = make("rigl", fraction=0.1, candidates=100.0)
    layer = copy.deepcopy(rewiring.layer)
    every = _all_pairs()
    full = GraphLayer(Data(edge_index=every, num_nodes=NEURONS), loops=2, activation="tanh")
    matrix = torch.zeros(NEURONS, NEURONS)
    matrix[layer.edge_index[0], layer.edge_index[1]] = layer.weight.detach()
    present = torch.zeros(NEURONS, NEURONS, dtype=torch.bool)
    present[layer.edge_index[0], layer.edge_index[1]] = True
    full.assign_weight(matrix[every[0], every[1]])
    (full(inputs()) - 1.0).square().sum().backward()
    with rewiring.observe():
        (rewiring.layer(inputs()) - 1.0).square().sum().backward()
    # A second backward pass adds up outside of the block alone.
    (layer(inputs()) - 1.0).square().sum().backward()
    assert torch.allclose(rewiring.layer.weight.grad, layer.weight.grad, rtol=1e-4, atol=1e-5)
    replaced, origin = rewiring.step()
    grad = torch.where(present[every[0], every[1]], 0, full.weight.grad.abs())
    best = {*map(tuple, every[:, grad.topk(replaced).indices].T.tolist())}
    assert {*map(tuple, rewiring.layer.edge_index[:, origin < 0].T.tolist())} == best
    assert (rewiring.layer.weight[origin < 0] == 0).all()


def _all_pairs():
    source, target = torch.meshgrid(torch.arange(NEURONS), torch.arange(NEURONS), indexing="ij")
    different = source != target
    return torch.stack([source[different], target[different]])


def test_rigl_observes_pyg_batches_and_classifiers():
    data = graphs.small_world(NEURONS, 6, 0.2, seed=0)
    layer = GraphLayer(data, loops=2)
    rewiring = Rewiring(layer, torch.optim.SGD(layer.parameters(), lr=0.1), "rigl")
    data.x = torch.rand(NEURONS, 1)
    batch = next(iter(DataLoader([data] * 2, batch_size=2)))
    with rewiring.observe():
        layer(batch.x, batch.edge_index).sum().backward()
    assert rewiring.step().replaced == 36
    model = classifier(graphs.small_world(NEURONS, 6, 0.2, seed=0), 3, loops=2)
    rule = Backprop(model)
    rewiring = Rewiring(model.graph, rule.make_optimizer(), "rigl")
    with rewiring.observe():
        rule(inputs(), torch.arange(8) % 3)
    assert rewiring.step().replaced == 36
    with pytest.raises(RuntimeError, match=r"within `with rewiring.observe\(\):` before"):
        rewiring.step()


def test_deep_rewiring_prunes_what_crosses_zero():
    rewiring = make("deep-r", "sgd", l1=0.5)
    before = rewiring.layer.weight.detach().clone()
    # No gradient: every magnitude shrinks by the rate times l1.
    _, origin = rewiring.step()
    gone = before.abs() < 0.05
    assert int(gone.sum()) == int((origin < 0).sum()) > 0
    old = origin >= 0
    shrunk = before - 0.05 * before.sign()
    assert torch.allclose(rewiring.layer.weight[old], shrunk[origin[old]], rtol=0, atol=1e-7)
    assert (rewiring.layer.weight[~old] == 0).all()
    # A new synapse is pruned again if it does not grow.
    assert rewiring.step().replaced >= int((~old).sum())


def test_the_noise_of_deep_rewiring_has_its_temperature():
    """The variance of a step is 2 eta T, within 5 standard errors (false alarm 1e-6)."""
    layer = GraphLayer(graphs.small_world(1000, 20, 0.2, seed=0))
    layer.assign_weight(torch.full_like(layer.weight, 100.0))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    rewiring = Rewiring(layer, optimizer, "deep-r", l1=0.0, temperature=5.0, generator=generator)
    assert rewiring.step().replaced == 0
    variance = (layer.weight.detach() - 100).square().mean()
    assert (variance - 1).abs() < 5 * (2 / 20_000) ** 0.5


def test_candidates_are_where_synapses_grow():
    data = graphs.layered([6, 5, 4])
    layer = GraphLayer(data, loops=2)
    layer.assign_weight(torch.linspace(0.1, 1, 50))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    rewiring = Rewiring(layer, optimizer, candidates=data.edge_index, fraction=0.5)
    # All pairs are connected, so pruned ones alone can grow.
    rewiring.step()
    key = layer.edge_index[1] * 15 + layer.edge_index[0]
    assert torch.equal(layer.edge_index, data.edge_index)
    assert len(key.unique()) == 50


def test_a_connectome_follows_for_new_batches():
    data = signed()
    data.edge_weight = torch.ones(data.num_edges)
    data.names = [f"n{each}" for each in range(NEURONS)]
    layer = GraphLayer(data, dale=True)
    rewiring = Rewiring(layer, torch.optim.SGD(layer.parameters(), lr=0.1))
    rewiring.step()
    found = rewiring.follow(data)
    graphs.validate(found)
    assert found.names == data.names
    assert torch.equal(found.node_sign, data.node_sign)
    assert torch.equal(found.edge_weight, layer.weight.detach())
    found.x = torch.rand(NEURONS, 1)
    batch = next(iter(DataLoader([found] * 2, batch_size=2)))
    layer(batch.x, batch.edge_index)
    with pytest.raises(ValueError, match="the layer's 20 neurons, got 4"):
        rewiring.follow(graphs.layered([2, 2]))
    with pytest.raises(TypeError, match="connectome must be a torch_geometric.data.Data"):
        rewiring.follow(None)


def layer_of(**options):
    data = graphs.small_world(NEURONS, 6, 0.2, seed=0)
    data.edge_type = torch.zeros(data.num_edges, dtype=torch.int64)
    data.edge_weight = torch.ones(data.num_edges)
    return GraphLayer(data, **options)


@pytest.mark.parametrize(
    ("options", "method", "message"),
    [
        ({"weight_sharing": "type"}, "set", "weight_sharing='synapse'"),
        ({"gain": "synapse", "init": "edge_weight"}, "set", "without gain"),
        ({"loops": Equilibrium(), "activation": "tanh"}, "rigl", "use loops=8, or method='set'"),
        ({"aggr": "mean"}, "rigl", "use aggr='sum', or method='set'"),
        ({"device": "meta"}, "set", r"call layer.to_empty\(device='cpu'\)"),
    ],
    ids=str,
)
def test_layers_whose_synapses_are_not_their_own_are_refused(options, method, message):
    layer = layer_of(**options)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=f"Rewiring cannot replace .*{message}"):
        Rewiring(layer, optimizer, method)


def test_mixed_signs_of_a_source_are_refused():
    data = graphs.small_world(NEURONS, 6, 0.2, seed=0)
    data.edge_sign = torch.ones(data.num_edges)
    data.edge_sign[::2] = -1
    layer = GraphLayer(data, dale=True)
    with pytest.raises(ValueError, match="have different signs; use connectome.node_sign"):
        Rewiring(layer, torch.optim.SGD(layer.parameters(), lr=0.1))


def test_optimizers_that_cannot_follow_are_refused():
    layer = layer_of()
    other = torch.nn.Linear(2, 2)
    for optimizer, message in (
        (torch.optim.SGD(other.parameters(), lr=0.1), "must train the weight of the layer"),
        (torch.optim.LBFGS(layer.parameters()), "LBFGS keeps one of all of them"),
    ):
        with pytest.raises(ValueError, match=message):
            Rewiring(layer, optimizer)
    with pytest.raises(TypeError, match="optimizer must be a torch.optim.Optimizer"):
        Rewiring(layer, None)
    with pytest.raises(TypeError, match="layer must be a GraphLayer"):
        Rewiring(other, torch.optim.SGD(other.parameters(), lr=0.1))


def test_a_full_graph_has_no_room():
    layer = GraphLayer(Data(edge_index=_all_pairs(), num_nodes=NEURONS))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    rewiring = Rewiring(layer, optimizer, "rigl")
    with rewiring.observe():
        layer(inputs()).sum().backward()
    with pytest.raises(ValueError, match="only 0 candidates; pass more candidates"):
        rewiring.step()
    with pytest.raises(ValueError, match="needs no gradients; pass method='rigl'"):
        Rewiring(layer, optimizer).observe().__enter__()
