"""Dopamine and STDP: exact totals, and one step at a time."""

import math

import pytest
import torch

import graphs
from sparsebrain.plasticity import DopamineSTDP
from sparsebrain.spiking import LIF
from tests.sparsebrain.plasticity.conftest import pair, trains


def total(dt, pairing_at, dopamine_at):
    """The total change by a pair of size 1 and dopamine of 0.5, times in ms."""
    steps = round(5000 / dt)
    # Coincident spikes are a pair of size 1 at one time.
    rule = DopamineSTDP(pair(dt=dt), a_plus=1.0, coincidence="potentiation")
    at = round(pairing_at / dt)
    dopamine = torch.zeros(1, steps).double()
    dopamine[0, round(dopamine_at / dt)] = 0.5
    return rule(trains(steps, [at], [at]), dopamine).item()


@pytest.mark.parametrize("dt", [0.5, 1.0, 10.0])
def test_the_total_change_does_not_depend_on_the_step(dt):
    # What is left after 4.7 s is e^-28 of it.
    assert total(dt, 0, 300) == pytest.approx(61.7348517, abs=5e-8)
    assert total(dt, 300, 0) == pytest.approx(18.5941800, abs=5e-8)


def random(samples=3, steps=30, neurons=12):
    generator = torch.Generator().manual_seed(0)
    spikes = torch.full((samples, steps, neurons), 0.2).double()
    dopamine = torch.randn(samples, steps, dtype=torch.float64, generator=generator)
    return torch.bernoulli(spikes, generator=generator), dopamine


def test_the_equations_in_scalars():
    spikes, dopamine = random(samples=1, neurons=2)
    rule = DopamineSTDP(pair(), 0.1, 0.2, 5.0, 7.0, tau_c=40.0, tau_d=13.0)
    c = d = x = y = expected = 0.0
    rate = 1 / 40 + 1 / 13
    for (pre, post), released in zip(spikes[0].tolist(), dopamine[0].tolist(), strict=True):
        c = c * math.exp(-1 / 40) + 0.1 * post * x - 0.2 * pre * y
        d = d * math.exp(-1 / 13) + released
        x, y = (x + pre) * math.exp(-1 / 5), (y + post) * math.exp(-1 / 7)
        expected += c * d * (1 - math.exp(-rate)) / rate
    assert rule(spikes, dopamine).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("pairing", ["all", "nearest"])
@pytest.mark.parametrize("coincidence", ["none", "potentiation"])
def test_steps_are_the_sequence(pairing, coincidence):
    lif = LIF(graphs.small_world(12, 4, 0.3, seed=0), dt=2.0, dtype=torch.float64)
    rule = DopamineSTDP(lif, pairing=pairing, coincidence=coincidence)
    spikes, dopamine = random()
    whole = rule(spikes, dopamine)
    for _ in range(2):
        lif.weight.grad = None
        pairs = zip(spikes.unbind(1), dopamine.unbind(1), strict=True)
        changes = [rule.step(*now) for now in pairs]
        assert torch.allclose(sum(changes), whole, rtol=1e-11, atol=1e-15)
        assert torch.allclose(lif.weight.grad, -whole, rtol=1e-11, atol=1e-15)
        rule.reset()


def test_a_sequence_does_not_see_the_steps():
    rule = DopamineSTDP(pair())
    spikes, dopamine = random(neurons=2)
    first = rule(spikes, dopamine)
    rule.step(spikes[:, 0], dopamine[:, 0])
    assert torch.equal(rule(spikes, dopamine), first)


def test_without_dopamine_nothing_changes():
    rule = DopamineSTDP(pair())
    spikes, dopamine = random(neurons=2)
    assert rule(spikes, 0 * dopamine).abs().item() == 0
    # The sign of the dopamine is that of the change.
    assert torch.equal(rule(spikes, -dopamine), -rule(spikes, dopamine))


def test_wrong_dopamine_and_another_batch_are_refused():
    rule = DopamineSTDP(pair())
    spikes, dopamine = random(neurons=2)
    with pytest.raises(ValueError, match=r"dopamine must be .* of shape \[3, 30\], got \[3, 29\]"):
        rule(spikes, dopamine[:, 1:])
    with pytest.raises(ValueError, match="dopamine must be finite"):
        rule(spikes, dopamine / 0)
    with pytest.raises(ValueError, match="tau_c must be"):
        DopamineSTDP(pair(), tau_c=0.0)
    rule.step(spikes[:, 0], dopamine[:, 0])
    with pytest.raises(ValueError, match=r"spikes must continue the 3 samples.*rule.reset\(\)"):
        rule.step(spikes[:2, 0], dopamine[:2, 0])
    rule.reset()
    rule.step(spikes[:2, 0], dopamine[:2, 0])


def test_a_saved_rule_continues_the_run(tmp_path):
    lif = LIF(graphs.small_world(12, 4, 0.3, seed=0), dtype=torch.float64)
    rule, copy = DopamineSTDP(lif), DopamineSTDP(lif)
    spikes, dopamine = random()
    for step in range(10):
        rule.step(spikes[:, step], dopamine[:, step])
    torch.save(rule.state_dict(), tmp_path / "rule.pt")
    copy.load_state_dict(torch.load(tmp_path / "rule.pt"))
    for step in range(10, 20):
        found = copy.step(spikes[:, step], dopamine[:, step])
        assert torch.equal(found, rule.step(spikes[:, step], dopamine[:, step]))
    # A rule at rest is saved as such.
    rule.reset()
    copy.load_state_dict(rule.state_dict())
    first = spikes[:1, 0], dopamine[:1, 0]
    assert torch.equal(copy.step(*first), DopamineSTDP(lif).step(*first))


def test_a_run_of_another_network_is_refused():
    lif, other = (LIF(graphs.small_world(n, 4, 0.3, seed=0)).double() for n in (12, 20))
    rule = DopamineSTDP(other)
    rule.step(torch.ones(1, 20).double(), torch.ones(1).double())
    state = rule.get_extra_state()
    with pytest.raises(ValueError, match=r"pre must be .*\[1, 12\]"):
        DopamineSTDP(lif).set_extra_state(state)
    for wrong in (3, {"pre": state["pre"]}):
        with pytest.raises(TypeError, match="state must be the dictionary of another DopamineSTDP"):
            DopamineSTDP(lif).set_extra_state(wrong)
