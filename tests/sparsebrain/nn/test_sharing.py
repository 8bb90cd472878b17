"""Weights that synapses share, and gains on strengths that stay."""

import copy
import pickle

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer

N = 40
WAYS = ["synapse", "type", "projection", "source", "target"]


def key(data, by):
    """What tells the group of each synapse, as rows of numbers."""
    source, target = data.edge_index
    return {
        "synapse": torch.arange(data.num_edges).unsqueeze(0),
        "type": data.edge_type.unsqueeze(0),
        "projection": data.node_type[data.edge_index],
        "source": source.unsqueeze(0),
        "target": target.unsqueeze(0),
    }[by]


def with_gains(data, by="projection", **options):
    options = {"loops": 3, "activation": "tanh", "dtype": torch.float64} | options
    return GraphLayer(data, init="edge_weight", gain=by, **options)


def per_group(values, data, by):
    """Whether values [E] are equal within groups and as many as groups otherwise."""
    same = torch.cat([key(data, by), values.view(1, -1)]).unique(dim=1).size(1)
    return same == key(data, by).unique(dim=1).size(1)


@pytest.mark.parametrize("by", WAYS)
def test_synapses_of_a_group_have_one_weight_and_the_sum_of_the_gradients(populated, by):
    torch.manual_seed(0)
    shared = GraphLayer(populated, 3, weight_sharing=by, dtype=torch.float64)
    single = GraphLayer(populated, 3, dtype=torch.float64)
    weight = shared.weight_per_synapse().detach()
    assert per_group(weight, populated, by)
    assert len(weight.unique()) == key(populated, by).unique(dim=1).size(1)
    with torch.no_grad():
        single.weight.copy_(weight)
    x = torch.randn(5, N, dtype=torch.float64)
    torch.testing.assert_close(shared(x), single(x))
    (of_shared,) = torch.autograd.grad(shared(x).square().sum(), shared.weight)
    (of_single,) = torch.autograd.grad(single(x).square().sum(), single.weight)
    groups = key(populated, by).unique(dim=1, return_inverse=True)[1]
    summed = torch.zeros(int(groups.max()) + 1).double().index_add(0, groups, of_single)
    torch.testing.assert_close(of_shared[of_shared != 0], summed[summed != 0])


def test_projections_say_whose_weights_they_are(populated):
    layer = GraphLayer(populated, weight_sharing="projection")
    assert layer.projections.shape == (2, len(layer.weight))
    for number, (source, target) in enumerate(layer.projections.t().tolist()):
        at = populated.node_type[populated.edge_index] == torch.tensor([[source], [target]])
        assert bool((layer.weight_per_synapse()[at.all(0)] == layer.weight[number]).all())
    assert GraphLayer(populated).projections is None


@pytest.mark.parametrize("by", ["source", "target"])
def test_every_neuron_has_a_value_with_or_without_synapses(by):
    data = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=6, edge_weight=torch.ones(2))
    data.node_sign = torch.ones(6)
    for dale in (False, True):
        layer = GraphLayer(data, 2, weight_sharing=by, dale=dale)
        assert layer.weight.shape == (6,)
        assert with_gains(data, by, dale=dale).gain.tolist() == [1.0] * 6
    nothing = Data(edge_index=torch.zeros(2, 0).long(), num_nodes=6)
    assert GraphLayer(nothing, weight_sharing=by)(torch.ones(1, 6)).tolist() == [[0.0] * 6]


def test_projections_without_synapses_have_no_weight():
    data = Data(
        edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3, node_type=torch.tensor([0, 5, 9])
    )
    layer = GraphLayer(data, weight_sharing="projection")
    assert layer.projections.tolist() == [[0, 5], [5, 9]]
    empty = Data(edge_index=torch.zeros(2, 0).long(), num_nodes=2, node_type=torch.zeros(2).long())
    assert GraphLayer(empty, weight_sharing="projection").weight.shape == (0,)


@pytest.mark.parametrize("by", ["projection", "source", "target"])
def test_shared_weights_start_from_the_connectome_where_it_has_one_for_each_group(populated, by):
    groups = key(populated, by).unique(dim=1, return_inverse=True)[1]
    populated.edge_weight = groups.float() + 1
    del populated.node_sign
    layer = GraphLayer(populated, weight_sharing=by, init="edge_weight")
    assert torch.equal(layer.weight_per_synapse(), populated.edge_weight)
    populated.edge_weight[3] += 1
    with pytest.raises(
        ValueError, match=f"weight_sharing='{by}' gives .* their edge_weight differ"
    ):
        GraphLayer(populated, weight_sharing=by, init="edge_weight")


def test_dale_keeps_signs_of_projections(populated):
    layer = GraphLayer(populated, 3, weight_sharing="projection", dale=True)
    sign = populated.node_sign[populated.edge_index[0]]
    assert bool((layer.weight_per_synapse() * sign > 0).all())


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_dale_refuses_weights_that_are_not_finite(populated, wrong):
    layer = GraphLayer(populated, dale=True)
    weight = layer.weight.detach().clone()
    weight[2] *= wrong
    with pytest.raises(ValueError, match="must be finite, got .* for synapse 2"):
        layer.weight = weight


# Gains


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("dale", [False, True])
def test_a_weight_is_its_strength_times_the_gain_of_its_group(populated, by, dale):
    layer = with_gains(populated, by, dale=dale)
    counts = populated.edge_weight.double() * populated.node_sign[populated.edge_index[0]]
    assert torch.equal(layer.weight.detach(), counts)
    assert torch.equal(layer.gain.detach(), torch.ones_like(layer.gain))
    with torch.no_grad():
        layer.parametrizations.weight.original.normal_()
    ratio = layer.weight.detach() / counts
    assert per_group(ratio.round(decimals=10), populated, by)
    assert bool((ratio > 0).all()) == dale
    # Types and neurons may have no synapse; every other gain is that of some.
    assert set(ratio.unique().round(decimals=10).tolist()) <= set(
        layer.gain.detach().round(decimals=10).tolist()
    )


@pytest.mark.parametrize("by", WAYS)
def test_only_gains_learn_and_their_gradient_is_the_sum_of_strength_times_gradient(populated, by):
    layer = with_gains(populated, by, dale=True)
    single = GraphLayer(populated, 3, activation="tanh", dtype=torch.float64)
    with torch.no_grad():
        single.weight.copy_(layer.weight)
    x = 0.1 * torch.randn(5, N, dtype=torch.float64)
    (parameter,) = layer.parameters()
    (got,) = torch.autograd.grad(layer(x).square().sum(), parameter)
    (of_weight,) = torch.autograd.grad(single(x).square().sum(), single.weight)
    groups = key(populated, by).unique(dim=1, return_inverse=True)[1]
    summed = torch.zeros(int(groups.max()) + 1).double()
    summed = summed.index_add(0, groups, of_weight * layer.weight.detach())
    torch.testing.assert_close(got[got != 0], summed[summed != 0])


def test_weights_that_gains_can_make_are_assigned(populated):
    layer = with_gains(populated, "source", dale=True)
    factor = torch.rand(N, dtype=torch.float64)
    layer.weight = wanted = layer.weight.detach() * factor[populated.edge_index[0]]
    torch.testing.assert_close(layer.weight.detach(), wanted)
    sends = populated.edge_index[0].unique()
    torch.testing.assert_close(layer.gain.detach()[sends], factor[sends])
    with pytest.raises(ValueError, match="no gains give this weight; pass layer.weight times"):
        layer.weight = torch.randn(populated.num_edges, dtype=torch.float64)
    with pytest.raises(ValueError, match="keeps gains at 0 or more, but gain 0 would be -0.5"):
        layer.weight = -0.5 * wanted.sign().abs() * layer._initial_weight
    torch.testing.assert_close(layer.weight.detach(), wanted)
    layer.reset_parameters()
    assert bool((layer.gain == 1).all())


@pytest.mark.parametrize("by", ["synapse", "type"])
@pytest.mark.parametrize("size", [1e20, 1e-25])
def test_strengths_may_have_any_size(populated, by, size):
    populated.edge_weight = size * (1 + torch.rand(populated.num_edges))
    layer = with_gains(populated, by, dtype=torch.float32)
    torch.testing.assert_close(layer.gain.detach(), torch.ones_like(layer.gain))
    layer.weight = wanted = 2 * layer.weight.detach()
    torch.testing.assert_close(layer.weight.detach(), wanted, atol=0, rtol=1e-5)
    with pytest.raises(ValueError, match="no gains give this weight"):
        layer.weight = torch.full_like(wanted, torch.nan)


@pytest.mark.parametrize("by", WAYS)
def test_gains_of_no_synapses(by):
    nothing = torch.zeros(2, 0).long()
    data = Data(edge_index=nothing, num_nodes=2, node_type=torch.zeros(2).long())
    data.edge_type, data.edge_weight = nothing[0], torch.zeros(0)
    assert with_gains(data, by)(torch.ones(3, 2, dtype=torch.float64)).shape == (3, 2)


def test_strengths_of_zero_stay_and_have_a_gain_of_one(populated):
    populated.edge_weight[populated.edge_index[0] == 7] = 0
    layer = with_gains(populated, "source", dale=True)
    assert layer.gain[7] == 1
    layer(torch.randn(5, N, dtype=torch.float64)).sum().backward()
    assert not bool(layer.weight[populated.edge_index[0] == 7].any())


@pytest.mark.parametrize("constraint", [None, "norm", "perron"])
def test_gains_have_equilibria_under_a_constraint(populated, constraint):
    layer = with_gains(populated, loops=Equilibrium(constraint=constraint), leak=0.5, dale=True)
    if constraint is None:
        layer.weight = 0.01 * layer.weight.detach()
    x = torch.randn(5, N, dtype=torch.float64)
    for _ in range(2):
        layer(x).sum().backward()
        assert bool(layer.report.converged.all())
        assert bool(layer.report.gradient.converged.all())
        ratio = layer.weight.detach() / layer._initial_weight
        assert per_group(ratio.round(decimals=10), populated, "projection")
        if constraint is not None:
            with torch.no_grad():
                layer.parametrizations.weight.original.normal_(std=10)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("constraint", [None, "norm"])
def test_copies_are_whole_and_independent(populated, copied, constraint):
    loops = 3 if constraint is None else Equilibrium(constraint=constraint)
    layer = with_gains(populated, loops=loops, dale=True, leak="population")
    with torch.no_grad():
        layer.parametrizations.weight.original.uniform_(0, 0.01)
    twin, x = copied(layer), torch.randn(5, N, dtype=torch.float64)
    assert torch.equal(twin(x), layer(x))
    assert repr(twin) == repr(layer)
    with torch.no_grad():
        twin.parametrizations.weight.original.mul_(2)
    assert not torch.equal(twin.gain, layer.gain)


def test_a_state_dict_of_other_strengths_or_populations_is_refused(populated):
    layer = with_gains(populated, leak="population")
    state = layer.state_dict()
    with_gains(populated, leak="population").load_state_dict(state)
    with_gains(populated, leak="population").float().load_state_dict(state)
    other = populated.clone()
    other.edge_weight = populated.edge_weight + 1
    with pytest.raises(RuntimeError, match="fixed strengths and fixed signs count"):
        with_gains(other, leak="population").load_state_dict(state)
    layer = GraphLayer(populated, leak="population")
    other.node_type = populated.node_type.flip(0)
    with pytest.raises(RuntimeError, match="other synapses"):
        GraphLayer(other, leak="population").load_state_dict(layer.state_dict())


def test_a_model_of_the_flys_eye():
    """As in Lappalainen 2024: counts and signs are measured, gains, rests and tau are learned."""
    fly = graphs.fly_visual_system(radius=2)
    populations = len(fly.node_type_names)
    layer = GraphLayer(
        fly,
        3,
        activation="relu",
        inject=True,
        bias="population",
        leak="population",
        gain="projection",
        dale=True,
        init="edge_weight",
    )
    assert torch.equal(layer.weight, fly.edge_weight * fly.edge_sign)
    layer(torch.randn(2, fly.num_nodes)).square().mean().backward()
    shapes = {name: list(each.shape) for name, each in layer.named_parameters()}
    assert shapes == {
        "bias": [populations],
        "parametrizations.leak.original": [populations],
        "parametrizations.weight.original": [layer.projections.size(1)],
    }
    assert all(each.grad is not None for each in layer.parameters())
    assert repr(layer).endswith("inject=True, gain='projection', dale=True)")


@pytest.mark.parametrize(
    ("remove", "options", "error", "match"),
    [
        ("node_type", {"weight_sharing": "projection"}, ValueError, "needs connectome.node_type"),
        ("node_type", {"gain": "projection"}, ValueError, "gain='projection' needs connectome"),
        ("edge_weight", {"gain": "synapse"}, ValueError, "gain needs connectome.edge_weight"),
        ("edge_type", {"gain": "type"}, ValueError, "gain='type' needs connectome.edge_type"),
        ("edge_weight", {"gain": "synapse"}, ValueError, "needs connectome.edge_weight"),
        (
            None,
            {"gain": "neuron"},
            ValueError,
            "gain must be one of None, 'synapse', 'type', 'proj",
        ),
        (None, {"gain": "type", "init": "variance"}, ValueError, "pass init='edge_weight'"),
        (
            None,
            {"gain": "synapse", "weight_sharing": "type"},
            ValueError,
            "pass gain='type' and weight_sharing='synapse'",
        ),
    ],
)
def test_wrong_options(populated, remove, options, error, match):
    if remove is not None:
        del populated[remove]
    with pytest.raises(error, match=match):
        GraphLayer(populated, **options)


def test_strengths_of_the_wrong_sign_are_refused(populated):
    populated.edge_weight = -populated.edge_weight
    with pytest.raises(ValueError, match=r"edge_weight must not be negative where node_sign is"):
        with_gains(populated, dale=True)
