"""STDP: exact pairs, coincidences, bounds, and the drift of independent trains."""

import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.plasticity import STDP, spike_timing
from sparsebrain.spiking import LIF
from tests.sparsebrain.plasticity.conftest import pair, trains

PRE, POST = (5, 12, 40, 41), (8, 12, 30, 45)
SPIKES = trains(60, PRE, POST)


def stdp(lif=None, **options):
    return STDP(pair() if lif is None else lif, 0.01, 0.012, **options)


def change(rule, spikes=SPIKES):
    """The change of the weights; the gradient is minus that."""
    rule.zero_grad()
    found = rule(spikes)
    assert torch.equal(rule.layer.weight.grad, -found)
    return found


@pytest.mark.parametrize(
    ("pairing", "expected"), [("all", 0.007305973686), ("nearest", 0.003880430112)]
)
def test_the_pairs_of_two_trains(pairing, expected):
    assert change(stdp(pairing=pairing)).item() == pytest.approx(expected, abs=5e-13)


@pytest.mark.parametrize("pairing", ["all", "nearest"])
def test_the_window(pairing):
    """One pair at every distance."""
    for apart in (-50, -7, -1, 0, 1, 7, 50):
        rule = STDP(pair(), 0.3, 0.2, 11.0, 23.0, pairing=pairing)
        found = change(rule, trains(200, [60], [60 + apart])).item()
        expected = 0.0
        if apart:
            expected = 0.3 * math.exp(-apart / 11) if apart > 0 else -0.2 * math.exp(apart / 23)
        assert found == pytest.approx(expected, rel=1e-12)


def test_time_is_in_ms_whatever_the_step():
    for dt in (0.1, 0.5, 2.0):
        found = change(stdp(pair(dt=dt)), trains(300, [3], [13])).item()
        assert found == pytest.approx(0.01 * math.exp(-10 * dt / 20), rel=1e-12)


def test_a_coincidence_counts_as_potentiation_where_asked():
    for pairing in ("all", "nearest"):
        rule = stdp(pairing=pairing, coincidence="potentiation")
        assert change(rule, trains(9, [4], [4])).item() == pytest.approx(0.01, rel=1e-12)
    # All pairs of the two trains and one coincidence, at 12.
    rule = stdp(coincidence="potentiation")
    assert change(rule).item() == pytest.approx(0.007305973686 + 0.01, abs=5e-13)
    # The last presynaptic spike of that at 12 is then the one at 12, not that at 5.
    rule = stdp(pairing="nearest", coincidence="potentiation")
    expected = 0.003880430112 + 0.01 * (1 - math.exp(-7 / 20))
    assert change(rule).item() == pytest.approx(expected, abs=5e-13)


def test_spikes_count_from_when_they_are_sent():
    lif = LIF(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2), delay=9.0).double()
    assert torch.equal(change(stdp(lif)), change(stdp()))


def test_a_network_is_its_pairs():
    lif = LIF(graphs.small_world(12, 4, 0.3, seed=0), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    spikes = torch.bernoulli(torch.full((3, 40, 12), 0.2).double(), generator=generator)
    found = change(stdp(lif), spikes)
    apart = torch.arange(40.0).double()
    apart = apart - apart.unsqueeze(1)  # [from, to]
    window = 0.01 * (-apart / 20).exp() * (apart > 0) - 0.012 * (apart / 20).exp() * (apart < 0)
    source, target = lif.edge_index
    expected = torch.einsum("bie,ij,bje->e", spikes[..., source], window, spikes[..., target]) / 3
    assert torch.allclose(found, expected, rtol=0, atol=1e-14)


def test_pieces_are_the_whole(monkeypatch):
    whole = change(stdp())
    monkeypatch.setattr(spike_timing, "_PIECE", 14)
    assert torch.allclose(change(stdp()), whole, rtol=1e-12)


def test_the_drift_of_independent_trains():
    """20 and 10 Hz: a z of 5 over 400 pairs of trains of 5 s (false alarm 6e-7)."""
    generator = torch.Generator().manual_seed(0)
    rate = torch.tensor([20.0, 10.0]).double() / 1000
    steps, samples = 5000, 400
    spikes = torch.bernoulli(rate.expand(samples, steps, 2), generator=generator)
    lif = LIF(
        Data(edge_index=torch.arange(2 * samples).view(-1, 2).t(), num_nodes=2 * samples),
        dtype=torch.float64,
    )
    # Every sample is a pair of neurons of its own.
    apart = spikes.transpose(0, 1).reshape(1, steps, 2 * samples)
    drift = change(stdp(lif), apart) * 1000 / steps
    plus = minus = 1 / (math.exp(1 / 20) - 1)
    expected = 1000 * 0.02 * 0.01 * (0.01 * plus - 0.012 * minus)
    assert expected == pytest.approx(-0.0078017, abs=5e-8)
    # The first spikes of a train have fewer predecessors.
    expected *= 1 - (1 + plus) / steps
    assert abs(drift.mean() - expected) < 5 * drift.std() / samples**0.5


@pytest.mark.parametrize("bounds", ["hard", "soft"])
def test_bounds_step_by_step(bounds):
    """As the definition says, in scalars."""
    rule = stdp(bounds=bounds, w_max=0.5)
    for start in (0.0, 0.003, 0.25, 0.499, 0.5):
        rule.layer.assign_weight(torch.tensor([start], dtype=torch.float64))
        weight = start
        for now in range(60):
            grows = sum(0.01 * math.exp((t - now) / 20) for t in PRE if t < now)
            shrinks = sum(0.012 * math.exp((t - now) / 20) for t in POST if t < now)
            grows, shrinks = grows * (now in POST), shrinks * (now in PRE)
            if bounds == "soft":
                grows, shrinks = grows * (1 - weight / 0.5), shrinks * weight / 0.5
            weight = min(max(weight + grows - shrinks, 0.0), 0.5)
        assert change(rule).item() == pytest.approx(weight - start, abs=1e-15)


def test_hard_bounds_out_of_reach_change_nothing():
    lif = pair()
    lif.assign_weight(torch.tensor([0.5]).double())
    assert torch.allclose(change(stdp(lif, bounds="hard")), change(stdp(lif)), rtol=1e-10)


@pytest.mark.parametrize("bounds", ["hard", "soft"])
@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_steps_stay_within_the_bounds(bounds, rate):
    lif = LIF(graphs.small_world(12, 4, 0.3, seed=0))
    lif.assign_weight(torch.rand(lif.weight.shape, generator=torch.Generator().manual_seed(0)))
    rule = STDP(lif, 3.0, 2.0, bounds=bounds)
    optimizer = rule.make_optimizer(rate)
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        spikes = torch.bernoulli(torch.full((4, 30, 12), 0.2), generator=generator)
        optimizer.zero_grad()
        rule(spikes)
        optimizer.step()
        assert -1e-6 <= lif.weight.min() <= lif.weight.max() <= 1 + 1e-6
        lif.assign_weight(lif.weight.detach().clamp(0, 1))


def test_the_final_weights_of_samples_are_averaged():
    lif = pair()
    lif.assign_weight(torch.tensor([0.004]).double())
    rule = stdp(lif, bounds="hard")
    other = SPIKES.flip(1)
    both = change(rule, torch.cat([SPIKES, other]))
    assert torch.allclose(both, (change(rule) + change(rule, other)) / 2, rtol=1e-12)


def test_weights_outside_the_bounds_are_refused():
    lif = pair()
    for wrong in (-0.1, 1.5, math.nan):
        lif.assign_weight(torch.tensor([wrong]).double())
        with pytest.raises(ValueError, match=r"w_max=1 .*needs weights in \[0, 1\].*synapse 0"):
            stdp(lif, bounds="hard")(SPIKES)
    assert lif.weight.grad is None


def test_wrong_options_are_refused():
    for options, message in (
        ({"pairing": "some"}, "pairing must be"),
        ({"coincidence": "depression"}, "coincidence must be"),
        ({"bounds": "firm"}, "bounds must be"),
        ({"w_max": 0.0}, "w_max must be"),
        ({"tau_plus": -1.0}, "tau_plus must be"),
    ):
        with pytest.raises(ValueError, match=message):
            stdp(**options)
