"""A network's parameters: what is used, what is kept, and what is refused."""

import copy
import re

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.spiking import LIF
from sparsebrain.spiking.dynamics import decays


@pytest.fixture
def data():
    found = graphs.erdos_renyi(20, 0.2, seed=0)
    found.edge_weight = torch.rand(found.num_edges) + 0.5
    return found


def test_weights_start_from_the_connectome_or_a_draw(data):
    assert torch.equal(LIF(data).weight, data.edge_weight)
    torch.manual_seed(0)
    drawn = LIF(data, init="variance", threshold=2.0).weight
    target = data.edge_index[1]
    scaled = drawn.detach() * target.bincount(minlength=20)[target].sqrt()
    # A standard deviation of 2, from rest to threshold; four standard errors of the estimate.
    assert float(scaled.std()) == pytest.approx(2.0, abs=4 * 2 / (2 * len(drawn)) ** 0.5)
    del data.edge_weight
    with pytest.raises(ValueError, match="edge_weight, which is missing"):
        LIF(data, init="edge_weight")


def test_dale_keeps_signs_under_an_optimizer(data):
    data.node_sign = torch.tensor([1.0, -1.0] * 10)
    lif = LIF(data, dale=True)
    sign = data.node_sign[data.edge_index[0]]
    assert torch.equal(lif.weight, sign * data.edge_weight)
    optimizer = torch.optim.SGD(lif.parameters(), lr=100.0)
    lif(torch.full((1, 30, 20), 1.5))[0].sum().backward()
    optimizer.step()
    assert bool((lif.weight * sign >= 0).all())


def test_a_state_dict_fits_the_same_synapses_alone(data):
    lif, same = LIF(data), LIF(data, init="variance")
    same.load_state_dict(lif.state_dict())
    assert torch.equal(same.weight, lif.weight)
    other = LIF(Data(edge_index=data.edge_index.flip(0), num_nodes=20))
    before = other.weight.detach().clone()
    with pytest.raises(RuntimeError, match="saved with other synapses"):
        other.load_state_dict(lif.state_dict())
    assert torch.equal(other.weight, before)


def test_a_copy_is_independent(data):
    lif = LIF(data, delay=1.0)
    twin = copy.deepcopy(lif)
    assert torch.equal(lif.simulate(50, current=1.5).step, twin.simulate(50, current=1.5).step)
    with torch.no_grad():
        twin.weight.zero_()
    assert bool((lif.weight > 0).all())


def test_the_response_to_g_has_a_limit_where_both_time_constants_are_equal():
    tau = torch.tensor(20.0, dtype=torch.float64)
    equal = decays(tau, tau, 0.1, "exact")[2]
    assert float(equal) == pytest.approx(0.1 / 20 * float(torch.exp(-0.1 / tau)), rel=1e-15)
    for apart in (1e-3, 1e-6, 1e-9, 1e-12):
        near = decays(tau, tau * (1 + apart), 0.1, "exact")[2]
        assert float(near) == pytest.approx(float(equal), rel=0.01 * apart + 1e-15)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"delay": -1.0}, ValueError, "delay must be a finite number >= 0"),
        ({"refractory": -0.1}, ValueError, "refractory must be a finite number >= 0"),
        ({"tau": torch.ones(20).index_fill(0, torch.tensor(3), -1)}, ValueError, "at position 3"),
        ({"tau": torch.ones(19)}, ValueError, r"tau must be a .* tensor of shape \[20\]"),
        ({"delay": torch.full((3,), 1.0)}, ValueError, "delay must be"),
        ({"step": "euler", "dt": 40.0}, ValueError, "unstable where dt is at least 2 tau"),
        (
            {"step": "euler", "dt": 5.0, "tau_synapse": 2.0},
            ValueError,
            "at least 2 tau_synapse, got dt=5 and tau_synapse=2; pass a smaller dt",
        ),
        ({"reset": 2.0}, ValueError, "reset must be at most the threshold"),
        ({"threshold": float("nan")}, ValueError, "threshold must be a finite number"),
        ({"surrogate": "fast-sigmoid"}, ValueError, "surrogate='fast_sigmoid'"),
        ({"step": "exakt"}, ValueError, "step='exact'"),
        ({"refractory_holds": "g"}, ValueError, "refractory_holds must be one of 'all', 'v'"),
        ({"delay": 1e9}, ValueError, "delay must be at most 1048576 steps of dt=1 ms"),
        ({"rest": 1e100, "reset": 1e100, "threshold": 1e100}, None, ""),
        ({"rest": 1e100}, ValueError, "cannot represent; pass smaller values of rest"),
    ],
)
def test_what_no_network_can_have_is_refused(data, options, error, message):
    if error is None:
        LIF(data, **options)
        return
    with pytest.raises(error, match=message):
        LIF(data, **options)


def test_the_used_times_are_told(data):
    lif = LIF(data, delay=torch.full((data.num_edges,), 1.04), refractory=2.26, dt=0.1)
    assert torch.allclose(lif.delay, torch.full((data.num_edges,), 1.0, dtype=torch.float64))
    assert lif.refractory == pytest.approx(2.3)


def test_nan_currents_are_refused(data):
    current = torch.zeros(20)
    current[7] = float("nan")
    with pytest.raises(ValueError, match="current must be finite, got nan at position"):
        LIF(data).simulate(10, current=current)
    with pytest.raises(ValueError, match=re.escape("current must be a finite number, got nan")):
        LIF(data).simulate(10, current=float("nan"))
