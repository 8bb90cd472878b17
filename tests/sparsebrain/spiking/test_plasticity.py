"""Synapses and thresholds that change during a simulation."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from sparsebrain import kernels
from sparsebrain.kernels import native, native_calls
from sparsebrain.kernels.plastic_spikes import Pairs, Plasticity, at_rest
from sparsebrain.kernels.spikes import Coefficients, Network, Running, Span, Train
from sparsebrain.plasticity import STDP, DopamineSTDP
from sparsebrain.spiking import LIF, AdaptiveThreshold, Normalization, SpikeTrains, simulation

BACKENDS = [name for name in ("native", "reference") if kernels.available()[name] is None]


def network(edges, neurons, weight, **options):
    data = Data(edge_index=torch.as_tensor(edges), num_nodes=neurons)
    lif = LIF(data, **{"dtype": torch.float64, **options})
    lif.assign_weight(torch.as_tensor(weight, dtype=lif.weight.dtype).expand_as(lif.weight))
    return lif


def driven(trains, jump=50.0):
    """Input that makes each neuron spike at given steps, no two of them in a row.

    What arrives in the step of a spike is lost.
    """
    pairs = [(step - 1, neuron) for neuron, steps in enumerate(trains) for step in steps]
    step, neuron = torch.tensor(sorted(pairs)).T
    return SpikeTrains(step=step, neuron=neuron, jump=jump)


def dense(recording, steps):
    spikes = torch.zeros(1, steps, recording.num_nodes, dtype=torch.float64)
    spikes[0, recording.step, recording.neuron] = 1
    return spikes


def random_network(seed, delay, order=0, **options):
    """A network of 60 neurons in float64, with its synapses in any order or sorted by target."""
    generator = torch.Generator().manual_seed(seed)
    key = torch.randperm(3600, generator=generator)[:700]
    edges = torch.stack([key % 60, key // 60])[:, (key.argsort() if order else slice(None))]
    if delay == "each":
        delay = torch.randint(7, (700,), generator=generator).double()
    weight = 0.5 * torch.rand(700, generator=generator)
    return network(edges, 60, weight, delay=delay, **options), generator


@st.composite
def cases(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    options = {
        "tau": draw(st.sampled_from([5.0, 20.0])),
        "tau_synapse": draw(st.sampled_from([None, 5.0])),
        "refractory": draw(st.sampled_from([0.0, 3.0])),
        "refractory_holds": draw(st.sampled_from(["all", "v"])),
    }
    options["order"] = draw(st.integers(0, 1))
    options["delay"] = draw(st.sampled_from([0.0, 2.0, "each"]))
    lif, generator = random_network(seed, **options)
    some = torch.rand(700, generator=generator) < 0.7
    rule = {
        "a_plus": 0.05,
        "a_minus": 0.04,
        "tau_plus": 7.0,
        "pairing": draw(st.sampled_from(["all", "nearest"])),
        "coincidence": draw(st.sampled_from(["none", "potentiation"])),
        "bounds": draw(st.sampled_from([None, "hard", "soft"])),
        "w_max": 0.6,
        "synapses": some if draw(st.booleans()) else None,
    }
    every = draw(st.sampled_from([None, 1.0, 17.0]))
    masked = draw(st.booleans())
    rising = draw(st.booleans())
    call = {
        "poisson": (range(60), 40.0, 1.5),
        "current": draw(st.sampled_from([None, 0.6])),
        "silence": [0] if draw(st.booleans()) else [],
        "record": (("v", range(60), 3.0), ("v", [0], 7.0)),
    }

    def run(backend):
        lif_now, _ = random_network(seed, **options)
        adaptation = None
        if rising:
            adaptation = AdaptiveThreshold(lif_now, torch.linspace(0, 0.3, 60), tau=50.0)
        normalization = None
        if every is not None:
            mask = some if masked else None
            normalization = Normalization(lif_now, 2.0, every, synapses=mask)
        recording = lif_now.simulate(
            60,
            **call,
            plasticity=STDP(lif_now, **rule),
            adaptation=adaptation,
            normalization=normalization,
            backend=backend,
            generator=torch.Generator().manual_seed(seed),
        )
        theta = torch.zeros(1) if adaptation is None else adaptation.theta
        return recording, lif_now.weight.detach(), theta

    return run, lif


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the compiled kernels")
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_kernels_agree_with_the_reference(case):
    """Bit for bit, or within rounding where spikes of several delays add up."""
    run, lif = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "_LONGEST_SPAN", 23)
        (a, weight, theta), (b, weight_2, theta_2) = run("native"), run("reference")
    rtol = 1e-12 if lif.delay_steps.dim() else 0
    assert torch.equal(a.step, b.step)
    assert torch.equal(a.neuron, b.neuron)
    assert torch.allclose(weight, weight_2, rtol=rtol, atol=rtol)
    assert torch.allclose(theta, theta_2, rtol=rtol, atol=rtol)
    for one, other in zip(a.states, b.states, strict=True):
        assert torch.allclose(one.values, other.values, rtol=rtol, atol=rtol)
    assert not torch.equal(weight, lif.weight)


PRE, POST = (5, 12, 40, 41), (8, 12, 30, 45)


def pair(weight=0.5, **options):
    """Neuron 0 sends to neuron 1."""
    return network([[0], [1]], 2, weight, **options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("pairing", "expected"), [("all", 0.007305973686), ("nearest", 0.003880430112)]
)
def test_the_pairs_of_two_trains(pairing, expected, backend):
    lif = pair(refractory=0.0, dt=0.5)
    rule = STDP(lif, 0.01, 0.012, pairing=pairing)
    events = driven([[2 * time for time in train] for train in (PRE, POST)])
    found = lif.simulate(60, events=events, plasticity=rule, backend=backend)
    times = found.step[found.neuron == 0] * 0.5
    assert (times.tolist(), len(found.step)) == (list(PRE), 8)
    assert lif.weight.item() - 0.5 == pytest.approx(expected, abs=5e-13)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bounds", [None, "hard", "soft"])
@pytest.mark.parametrize("pairing", ["all", "nearest"])
@pytest.mark.parametrize("coincidence", ["none", "potentiation"])
def test_fixed_trains_change_the_weights_as_the_rule_does(backend, bounds, pairing, coincidence):
    """Where weights are too small to add spikes."""
    generator = torch.Generator().manual_seed(0)
    lif = network(graphs.small_world(20, 6, 0.3, seed=0).edge_index, 20, 0.004, refractory=0.0)
    trains = [2 * torch.randperm(74, generator=generator)[:30].sort()[0] + 2 for _ in range(20)]
    rule = STDP(
        lif, 3e-4, 2e-4, pairing=pairing, coincidence=coincidence, bounds=bounds, w_max=0.006
    )
    start, events = lif.weight.detach().clone(), driven(trains)
    found = lif.simulate(150, events=events, plasticity=rule, backend=backend)
    change = lif.weight.detach() - start
    assert len(found.step) == 600
    lif.assign_weight(start)
    assert torch.allclose(change, rule(dense(found, 150)), rtol=1e-10, atol=1e-17)
    assert change.abs().max() > 1e-4


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_spike_carries_the_weight_of_the_step_that_sends_it(backend):
    """Later changes do not reach it, and earlier ones do."""
    lif = pair(refractory=0.0, delay=3.0, threshold=5.0)
    # The pair (4, 6) changes the weight after the spike at 4 has left, before that at 9.
    rule = STDP(lif, 0.1, 0.2)
    found = lif.simulate(
        14,
        events=driven([[4, 9], [6]]),
        plasticity=rule,
        record=("v", [1], 1.0),
        backend=backend,
    )
    v, decay = found.states[0].values[0, :, 0], math.exp(-1 / 20)
    assert found.step.tolist() == [4, 6, 9]
    # What arrives at 7 is seen at 8.
    assert v[8].item() == pytest.approx(0.5, rel=1e-14)
    later = 0.5 + 0.1 * math.exp(-2 / 20)
    assert v[13].item() == pytest.approx(0.5 * decay**5 + later, rel=1e-13)
    assert lif.weight.item() == pytest.approx(later - 0.2 * math.exp(-3 / 20), rel=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_chosen_synapses_change(backend):
    lif = network([[0, 1, 2], [2, 2, 0]], 3, 0.1, refractory=0.0, threshold=9.0)
    chosen = torch.tensor([True, False, True])
    rule = STDP(lif, synapses=chosen)
    events = driven([[5], [5], [8]])
    found = lif.simulate(20, events=events, plasticity=rule, backend=backend)
    grown = 0.01 * math.exp(-3 / 20)
    shrunk = 0.0105 * math.exp(-3 / 20)
    expected = torch.tensor([0.1 + grown, 0.1, 0.1 - shrunk], dtype=torch.float64)
    assert torch.allclose(lif.weight.detach(), expected, rtol=1e-13)
    assert torch.allclose(rule(dense(found, 20)), expected - 0.1, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_everything_that_reads_weights_sees_the_change(backend):
    """A later simulation, the layer and the fingerprint of arranged weights."""
    lif, _ = random_network(3, 1.0)
    other, _ = random_network(3, 1.0)
    call = {"poisson": (range(60), 50.0, 1.5), "backend": backend}
    seeded = {"generator": torch.Generator().manual_seed(0)}
    lif.simulate(50, **call, plasticity=STDP(lif, 0.02, 0.01), **seeded)
    other.assign_weight(lif.weight.detach())
    runs = [
        each.simulate(80, **call, generator=torch.Generator().manual_seed(1))
        for each in (lif, other)
    ]
    assert torch.equal(runs[0].step, runs[1].step)
    assert torch.equal(runs[0].neuron, runs[1].neuron)
    current = torch.full((1, 40, 60), 1.2).double()
    assert torch.equal(lif(current)[0], other(current)[0])
    assert lif.weight.grad is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_threshold_rises_and_decays(backend):
    edges = torch.empty(2, 0, dtype=torch.int64)
    lif = LIF(Data(edge_index=edges, num_nodes=3), dtype=torch.float64)
    rise = torch.tensor([0.0, 0.2, 0.2], dtype=torch.float64)
    adaptation = AdaptiveThreshold(lif, rise, torch.tensor([9.0, 1e9, 40.0]))
    found = lif.simulate(400, current=1.5, adaptation=adaptation, backend=backend)
    expected, theta = [], [0.0, 0.0, 0.0]
    for neuron, (rise, tau) in enumerate(((0.0, 9.0), (0.2, 1e9), (0.2, 40.0))):
        v, wait = 0.0, 0
        for n in range(400):
            if not wait:
                v = math.exp(-1 / 20) * v + (1 - math.exp(-1 / 20)) * 1.5
            spike = not wait and v > 1 + theta[neuron]
            wait = 1 if spike else max(wait - 1, 0)
            v = 0.0 if spike else v
            theta[neuron] = theta[neuron] * math.exp(-1 / tau) + rise * spike
            expected += [(n, neuron)] * spike
    spikes = list(zip(found.step.tolist(), found.neuron.tolist(), strict=True))
    assert spikes == sorted(expected)
    assert adaptation.theta.tolist() == pytest.approx(theta, rel=1e-12)
    counts = [sum(neuron == each for _, neuron in spikes) for each in range(3)]
    assert counts[0] > counts[2] > counts[1] == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_threshold_continues_and_is_saved(backend):
    lif, _ = random_network(0, 0.0)
    adaptation = AdaptiveThreshold(lif, 0.1, tau=1e6)
    for _ in range(2):
        found = lif.simulate(30, current=1.6, adaptation=adaptation, backend=backend)
    assert adaptation.theta.min() > 0.1
    copy = AdaptiveThreshold(lif, 0.1, tau=1e6)
    copy.load_state_dict(adaptation.state_dict())
    runs = [
        lif.simulate(30, current=1.6, adaptation=each, backend=backend)
        for each in (adaptation, copy)
    ]
    assert torch.equal(runs[0].step, runs[1].step)
    assert runs[0].step.min() > found.step.min()


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_are_scaled_to_their_sum(backend):
    lif, generator = random_network(1, 0.0)
    chosen = torch.rand(700, generator=generator) < 0.5
    lif.assign_weight(torch.randn(700, generator=generator))
    before, target = lif.weight.detach().clone(), lif.edge_index[1]
    normalization = Normalization(lif, 3.0, every=20.0, synapses=chosen)
    lif.simulate(19, normalization=normalization, backend=backend)
    assert torch.equal(lif.weight, before)
    lif.simulate(20, normalization=normalization, backend=backend)
    after = lif.weight.detach()
    assert torch.equal(after[~chosen], before[~chosen])
    sums = torch.zeros(60).double().index_add(0, target, after.abs() * chosen)
    assert torch.allclose(sums[sums > 0], torch.tensor(3.0).double(), rtol=1e-14)
    assert torch.equal(after.sign(), before.sign())
    lif.assign_weight(before)
    normalization()
    assert torch.allclose(lif.weight, after, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scaled_weights_stay_within_the_bounds_of_the_rule(backend):
    """A second run starts from the weights that the first one leaves."""
    lif, _ = random_network(1, 0.0)
    rule = {"a_plus": 0.01, "a_minus": 0.01, "bounds": "hard", "w_max": 0.6}
    for _ in range(2):
        lif.simulate(
            40,
            plasticity=STDP(lif, **rule),
            normalization=Normalization(lif, 6.0, every=20.0),
            backend=backend,
        )
        assert 0 <= lif.weight.min() <= lif.weight.max() == 0.6


def test_weights_that_sum_to_zero_stay():
    lif = pair(0.0)
    Normalization(lif, 1.0, every=5.0)()
    assert lif.weight.item() == 0


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the compiled kernels")
def test_every_instruction_set_learns_the_same(monkeypatch):
    found = []
    for name in native_calls.module().instruction_sets():
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        # All neurons send to the same ones, which follow each other.
        edges = torch.stack([torch.arange(60).repeat_interleave(40), torch.arange(40).repeat(60)])
        lif = network(edges, 60, torch.linspace(0, 0.2, 2400), dtype=torch.float32)
        lif.simulate(
            100,
            poisson=(range(60), 60.0, 1.5),
            plasticity=STDP(lif, 0.03, 0.02, bounds="soft"),
            adaptation=AdaptiveThreshold(lif, 0.01),
            normalization=Normalization(lif, 3.0, every=30.0),
            generator=torch.Generator().manual_seed(0),
        )
        found.append(lif.weight.detach())
    for each in found[1:]:
        assert torch.equal(found[0], each)


def test_what_cannot_change_is_refused():
    lif, other = pair(), pair()
    signed = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2, node_sign=torch.ones(2))
    dale = LIF(signed, dale=True, dtype=torch.float64)
    hard = STDP(lif, bounds="hard", w_max=0.3)
    single = AdaptiveThreshold(pair(dtype=torch.float32))
    for network_, options, error, message in (
        (lif, {"plasticity": "stdp"}, TypeError, "plasticity must be .*pass plasticity=.*STDP"),
        (lif, {"adaptation": 0.1}, TypeError, "adaptation must be .*AdaptiveThreshold"),
        (lif, {"normalization": 1.0}, TypeError, "normalization must be .*Normalization"),
        (lif, {"plasticity": STDP(other)}, ValueError, "plasticity is for another network"),
        (lif, {"normalization": Normalization(other, 1.0, 5.0)}, ValueError, "another network"),
        (lif, {"adaptation": single}, ValueError, "float32, and the network has 2 .*float64"),
        (lif, {"plasticity": STDP(lif), "samples": 2}, ValueError, "samples must be 1"),
        (lif, {"plasticity": hard}, ValueError, r"needs weights in \[0, 0.3\]"),
        (dale, {"plasticity": STDP(dale)}, ValueError, "plasticity .*dale=False"),
        (lif, {"plasticity": DopamineSTDP(lif)}, ValueError, r"dopamine of every step.*rule\.step"),
    ):
        with pytest.raises(error, match=message):
            network_.simulate(10, **options)
    with pytest.raises(ValueError, match="Normalization .*dale=False"):
        Normalization(dale, 1.0, 5.0)
    for make, message in (
        (lambda: AdaptiveThreshold(lif, -0.1), "increment must be"),
        (lambda: AdaptiveThreshold(lif, tau=0.0), "tau must be"),
        (lambda: Normalization(lif, 0.0, 5.0), "total must be"),
        (lambda: Normalization(lif, 1.0, -5.0), "every must be"),
        (lambda: Normalization(lif, 1.0, 5.0, synapses=torch.ones(3).bool()), "synapses must be"),
        (lambda: STDP(lif, synapses=torch.ones(3).bool()), "synapses must be"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_thresholds_and_normalization_follow_the_step_of_the_network():
    lif = LIF(Data(edge_index=torch.tensor([[0], [0]]), num_nodes=1), dt=1.0)
    adaptation = AdaptiveThreshold(lif, 0.2, tau=50.0)
    normalization = Normalization(lif, 1.0, every=10.0)
    lif.dt = 0.5
    assert adaptation.coefficients(lif.dt).keep.item() == pytest.approx(math.exp(-0.5 / 50))
    assert normalization.coefficients().every == 20


@pytest.mark.skipif(
    "native" not in kernels.available() or kernels.available()["native"], reason="not compiled"
)
def test_a_compiled_simulation_refuses_negative_steps_and_delays():
    delay = torch.tensor([1, 2])
    each = torch.tensor([0.5]).expand(3)
    coefficients = Coefficients(each, each, None, None, each, each, torch.ones(3).int(), True)
    structure = kernels.Structure(torch.tensor([[0, 1], [1, 2]]), 3)
    network = Network(structure, torch.ones(2), delay, coefficients, torch.zeros(3), None)
    pairs = Pairs(0.1, 0.1, 0.9, 0.9, False, False, None, 1.0, None)
    run = native.NativeBackend().plastic_spike(network, Plasticity(pairs, None, None))
    none = torch.empty(0, dtype=torch.int64)
    nothing = Train(torch.zeros(2, dtype=torch.int64), none, none)
    running = Running(torch.zeros(1, 3), None, torch.zeros(1, 3).int(), nothing)
    span = Span(20, nothing, torch.empty(0), [])
    changing = at_rest(network, None)
    with pytest.raises(ValueError, match="must not be negative"):
        run(running, changing._replace(steps=torch.tensor(-37)), span)
    with pytest.raises(ValueError, match=r"-1 steps|has -1"):
        run(running, changing, span._replace(steps=-1))
    delay.fill_(-1)
    with pytest.raises(ValueError, match="must not be negative"):
        run(running, changing, span)
