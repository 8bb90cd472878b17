"""Simulations have the spikes of a known simulator, and every backend has the same."""

import math
import pathlib
import signal
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from sparsebrain import kernels
from sparsebrain.kernels import native_calls
from sparsebrain.spiking import LIF, SpikeTrains, simulation

BACKENDS = [name for name in ("native", "reference") if kernels.available()[name] is None]
SHIU = {"tau": 20.0, "tau_synapse": 5.0, "rest": -52.0, "reset": -52.0, "threshold": -45.0}


@pytest.fixture(scope="module")
def known():
    with np.load(pathlib.Path(__file__).parent / "data" / "shiu_network.npz") as arrays:
        return {name: torch.from_numpy(arrays[name].astype(float)) for name in arrays}


def shiu_network(known, dtype):
    source, target, count = known["synapses"].T
    edges = torch.stack([source, target]).long()
    refractory = torch.full((300,), 2.2)
    refractory[:10] = 0
    lif = LIF(
        Data(edge_index=edges, num_nodes=300),
        **SHIU,
        refractory=refractory,
        delay=1.8,
        dt=0.1,
        dtype=dtype,
    )
    lif.assign_weight((1.2 * count).to(dtype))
    step, neuron = known["inputs"].T.long()
    return lif, SpikeTrains(step=step, neuron=neuron, jump=68.75)


def pair(weight=1.0, **options):
    """Neuron 0 sends to neuron 1, in float64."""
    data = Data(
        edge_index=torch.tensor([[0], [1]]), num_nodes=2, edge_weight=torch.tensor([weight])
    )
    return LIF(data, **{"dtype": torch.float64, **options})


def alone(**options):
    edges = torch.empty(2, 0, dtype=torch.int64)
    return LIF(Data(edge_index=edges, num_nodes=1), **{"dtype": torch.float64, **options})


def at(step, neuron=0, jump=2.0):
    steps = torch.as_tensor(step).reshape(-1)
    return SpikeTrains(step=steps, neuron=torch.full_like(steps, neuron), jump=jump)


def spikes(recording):
    return list(zip(recording.step.tolist(), recording.neuron.tolist(), strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_spike_and_state_of_a_known_simulator(known, backend):
    lif, events = shiu_network(known, torch.float64)
    record = (("v", [10, 50, 100], 5.0), ("g", [10, 50, 100], 5.0))
    found = lif.simulate(200, events=events, record=record, backend=backend)
    assert len(found.step) == 5383
    assert torch.equal(torch.stack([found.step, found.neuron], 1), known["spikes"].long())
    v, g = found.states
    assert torch.equal(v.step, known["states"][:, 0].long())
    assert torch.allclose(v.values[0], known["states"][:, 1:4], rtol=0, atol=1e-10)
    assert torch.allclose(g.values[0], known["states"][:, 4:], rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS[:1])
def test_float32_has_the_same_spikes(known, backend):
    lif, events = shiu_network(known, torch.float32)
    found = lif.simulate(200, events=events, backend=backend)
    assert torch.equal(torch.stack([found.step, found.neuron], 1), known["spikes"].long())


@pytest.mark.parametrize(
    ("current", "refractory", "step", "interval"),
    [
        (1.5, 2.0, "exact", 23),
        (1.05, 2.0, "exact", 62),
        (1.05, 2.0, "euler", 61),
        (1.5, 0.0, "exact", 22),
        (1.05, 0.0, "exact", 61),
        (1.05, 0.0, "euler", 60),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_interspike_intervals(current, refractory, step, interval, backend):
    lif = alone(refractory=refractory, step=step)
    found = lif.simulate(500, current=current, backend=backend)
    assert set(found.step.diff().tolist()) == {interval}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("delay", "steps"), [(0.0, 0), (0.1, 1), (1.8, 18), (100.0, 1000)])
def test_a_spike_arrives_after_its_delay(delay, steps, backend):
    lif = pair(weight=5.0, delay=delay, dt=0.1)
    record = ("v", [1], 0.1)
    found = lif.simulate(130, events=at(10), record=record, backend=backend)
    # The input counts in the step after, and what arrives in a step is seen at the next one.
    arrived = found.states[0].values[0, :, 0].nonzero()[0].item()
    assert spikes(found) == [(11, 0), (11 + steps + 1, 1)]
    assert arrived == 11 + steps + 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_synapse_has_its_own_delay(backend):
    edges = torch.tensor([[0, 0, 0, 3], [1, 2, 3, 1]])
    data = Data(edge_index=edges, num_nodes=4, edge_weight=torch.full((4,), 9.0))
    lif = LIF(data, delay=torch.tensor([3.0, 0.0, 1.0, 7.0]), dtype=torch.float64)
    found = lif.simulate(40, events=at([4, 20]), backend=backend)
    # Neuron 3 spikes at 7, and reaches neuron 1 at 14.
    expected = [(5, 0), (6, 2), (7, 3), (9, 1), (15, 1), (21, 0), (22, 2), (23, 3), (25, 1)]
    assert spikes(found) == [*expected, (31, 1)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("holds", "later"), [("all", 0.0), ("v", 0.25)])
def test_input_to_a_refractory_neuron_is_lost(holds, later, backend):
    lif = pair(weight=0.25, tau_synapse=5.0, refractory=4.0, refractory_holds=holds)
    given = SpikeTrains(
        step=torch.tensor([2, 2, 4]), neuron=torch.tensor([0, 1, 1]), jump=torch.tensor([9.0, 9, 9])
    )
    found = lif.simulate(
        10, events=given, record=(("v", [1], 1.0), ("g", [1], 1.0)), backend=backend
    )
    # Neuron 1 spikes at 3, when the spike of neuron 0 arrives, and is refractory until 7.
    assert spikes(found) == [(3, 0), (3, 1)]
    v, g = (trace.values[0, :, 0] for trace in found.states)
    assert g[4].item() == later
    assert v[4:8].tolist() == [0.0] * 4
    assert (v[8].item() > 0) is (later > 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tau_synapse", [5.0, 20.0, 20.0 * (1 - 1e-13)])
def test_the_response_to_a_spike(tau_synapse, backend):
    lif = pair(weight=1.0, tau_synapse=tau_synapse, threshold=[1.0][0], dt=0.5)
    found = lif.simulate(60, events=at(0), record=("v", [1], 0.5), backend=backend)
    time = 0.5 * torch.arange(118, dtype=torch.float64)
    v = found.states[0].values[0, 2:, 0]
    if tau_synapse == 5.0:
        expected = 5 / (5 - 20) * (torch.exp(-time / 5) - torch.exp(-time / 20))
    else:
        expected = time / 20 * torch.exp(-time / 20)
    assert torch.allclose(v, expected, rtol=1e-9, atol=1e-12)


def test_times_are_rounded_to_the_nearest_step():
    lif = pair(delay=1.84, refractory=2.16, dt=0.1, dtype=torch.float32)
    assert (lif.delay, lif.refractory) == (pytest.approx(1.8), pytest.approx(2.2))
    assert lif.delay_steps == 18


@pytest.mark.parametrize("backend", BACKENDS)
def test_silent_neurons_never_spike(backend):
    lif = pair(weight=9.0)
    assert len(lif.simulate(20, events=at(3), backend=backend).step) == 2
    assert spikes(lif.simulate(20, events=at(3), silence=[1], backend=backend)) == [(4, 0)]
    assert not len(lif.simulate(20, events=at(3), silence=[0], backend=backend).step)


@st.composite
def cases(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    neurons = draw(st.sampled_from([1, 7, 65, 200]))
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randint(neurons, (2, 8 * neurons), generator=generator).unique(dim=1)
    count = edges.size(1)
    options = {
        "tau": draw(st.sampled_from([5.0, 20.0])),
        "tau_synapse": draw(st.sampled_from([None, 5.0, 3.0])),
        "refractory": draw(st.sampled_from([0.0, 1.0, 3.0])),
        "refractory_holds": draw(st.sampled_from(["all", "v"])),
        "rest": draw(st.sampled_from([0.0, -0.7])),
        "dt": draw(st.sampled_from([0.5, 1.0])),
        "step": draw(st.sampled_from(["exact", "euler"])),
        "dtype": draw(st.sampled_from([torch.float32, torch.float64])),
    }
    if draw(st.booleans()):
        options["threshold"] = torch.rand(neurons, generator=generator) + 0.5
    delay = draw(st.sampled_from([0.0, 0.5, 2.0, 20.0, "each", "each, none 0"]))
    if isinstance(delay, str):
        delay = torch.randint(30, (count,), generator=generator) / 2
        delay = delay.clamp_min(2.0) if delay == "each, none 0" else delay
    lif = LIF(Data(edge_index=edges, num_nodes=neurons), **options, delay=delay)
    lif.assign_weight(2 * lif.weight * torch.rand(count, generator=generator).to(lif.weight))
    call = {
        "poisson": (range(neurons), 40.0, 1.5),
        "current": draw(st.sampled_from([None, 0.4, 1.2])),
        "samples": draw(st.sampled_from([1, 2, 3])),
        "silence": [0] if draw(st.booleans()) else [],
        "record": draw(st.sampled_from([(), (("v", range(neurons), 3.0), ("v", [0], 7.0))])),
    }
    return lif, call, seed


def same(a, b):
    assert torch.equal(a.sample, b.sample)
    assert torch.equal(a.step, b.step)
    assert torch.equal(a.neuron, b.neuron)
    for one, other in zip(a.states, b.states, strict=True):
        assert torch.equal(one.values, other.values)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_kernels_agree_with_the_reference_bit_for_bit(case):
    lif, call, seed = case
    found = []
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        # Several spans, whose ends lie anywhere between the delays.
        patch.setattr(simulation, "_LONGEST_SPAN", 23)
        for backend, count in [(BACKENDS[-1], 1), (BACKENDS[0], 1), (BACKENDS[0], 2)]:
            torch.set_num_threads(count)
            try:
                source = torch.Generator().manual_seed(seed)
                found.append(lif.simulate(60, **call, backend=backend, generator=source))
            finally:
                torch.set_num_threads(threads)
    same(found[0], found[1])
    same(found[1], found[2])


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the compiled kernels")
@pytest.mark.parametrize("options", [{}, {"tau_synapse": 5.0}, {"threshold": torch.rand(70) + 0.5}])
def test_every_instruction_set_has_the_same_spikes_and_states(options, monkeypatch):
    edges = torch.randint(70, (2, 700), generator=torch.Generator().manual_seed(0)).unique(dim=1)
    torch.manual_seed(0)
    lif = LIF(Data(edge_index=edges, num_nodes=70), delay=2.0, **options)
    found = []
    for name in native_calls.module().instruction_sets():
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        found.append(lif.simulate(100, current=1.3, record=("v", range(70), 5.0)))
    for each in found[1:]:
        same(found[0], each)


def test_a_simulation_and_a_layer_have_the_same_spikes():
    edges = torch.randint(50, (2, 500), generator=torch.Generator().manual_seed(0)).unique(dim=1)
    torch.manual_seed(0)
    lif = LIF(Data(edge_index=edges, num_nodes=50), delay=2.0, tau_synapse=5.0, dtype=torch.float64)
    current = torch.linspace(0.8, 1.6, 50, dtype=torch.float64)
    layer, _ = lif(current.expand(1, 200, 50))
    found = lif.simulate(200, current=current)
    assert torch.equal(layer[0].nonzero(), torch.stack([found.step, found.neuron], 1))
    assert len(found.step) > 200


def test_a_fresh_network_is_active():
    edges = torch.randint(100, (2, 2000), generator=torch.Generator().manual_seed(0)).unique(dim=1)
    for seed in range(5):
        torch.manual_seed(seed)
        lif = LIF(Data(edge_index=edges, num_nodes=100), tau_synapse=5.0)
        driven = torch.zeros(100)
        driven[:20] = 1.5
        rates = lif.simulate(1000, current=driven).rates[0]
        assert (rates[20:] > 0).double().mean() > 0.05
        assert rates.mean() < 200


def test_samples_share_events_and_have_their_own_trains():
    lif = pair(weight=0.1)
    both = lif.simulate(50, events=at([3, 30]), samples=2)
    assert spikes(both) == [(4, 0), (31, 0)] * 2
    assert both.sample.tolist() == [0, 0, 1, 1]
    given = SpikeTrains(
        step=torch.tensor([3, 30]),
        neuron=torch.tensor([0, 0]),
        jump=2.0,
        sample=torch.tensor([1, 0]),
    )
    assert lif.simulate(50, events=given, samples=2).step.tolist() == [31, 4]
    trains = lif.simulate(2000, poisson=([0], 50.0, 2.0), samples=2)
    apart = [trains.step[trains.sample == sample] for sample in (0, 1)]
    assert not torch.equal(*(each[:20] for each in apart))


def test_the_same_generator_gives_the_same_spikes():
    lif = pair()
    once, again = (
        lif.simulate(3000, poisson=([0, 1], 50.0, 2.0), generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    )
    same(once, again)


def test_an_interrupted_simulation_keeps_what_it_has(monkeypatch):
    lif = alone()
    monkeypatch.setattr(simulation, "_LONGEST_SPAN", 100)
    spans = simulation._spans

    def interrupted(*arguments):
        for number, part in enumerate(spans(*arguments)):
            if number == 3:
                signal.raise_signal(signal.SIGINT)
            yield part

    monkeypatch.setattr(simulation, "_spans", interrupted)
    # A shell that starts the tests in the background makes them ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(UserWarning, match="interrupted after 300 of 1000 ms"):
            found = lif.simulate(1000, current=1.5, record=("v", [0], 1.0))
    finally:
        signal.signal(signal.SIGINT, before)
    assert found.duration == 300
    assert found.states[0].values.shape == (1, 300, 1)
    with warnings.catch_warnings():
        whole = LIF.simulate(alone(), 299, current=1.5)
    assert torch.equal(found.step, whole.step)


def test_memory_that_is_not_there_is_refused_before_it_is_used():
    with pytest.raises(ValueError, match=r"samples=.* needs .* GiB .*; pass fewer samples"):
        alone().simulate(1, samples=2**38)


def test_nothing_happens_in_no_time():
    found = pair().simulate(0, current=9.0, record=("v", [0], 1.0))
    assert len(found.step) == 0
    assert found.rates.tolist() == [[0.0, 0.0]]
    assert found.states[0].values.shape == (1, 0, 1)


def test_a_network_without_neurons():
    edges = torch.empty(2, 0, dtype=torch.int64)
    lif = LIF(Data(edge_index=edges, num_nodes=0))
    assert lif.simulate(10, samples=2).rates.shape == (2, 0)


def test_weights_that_change_are_read_again():
    edges = torch.tensor([[1, 0], [0, 1]])
    lif = LIF(Data(edge_index=edges, num_nodes=2, edge_weight=torch.tensor([0.0, 0.0])))
    assert len(lif.simulate(20, events=at(3)).step) == 1
    lif.weight.data[1] = 5.0
    assert len(lif.simulate(20, events=at(3)).step) == 2


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the compiled kernels")
def test_a_damaged_index_is_refused_and_harms_nothing():
    lif = pair(weight=9.0)
    lif.structure.by_source.neuron[0] = 10**6
    with pytest.raises(ValueError, match="lead to neurons or synapses that it does not have"):
        lif.simulate(20, events=at(3), backend="native")


def test_the_rate_of_a_poisson_train():
    # Of 20,000 steps each is an event with probability 0.05: 1000 +- 31. Each test fails by chance
    # in one of 10^5 runs.
    lif = alone(refractory=0.0)
    found = lif.simulate(
        20000, poisson=([0], 50.0, 2.0), generator=torch.Generator().manual_seed(0)
    )
    assert abs(len(found.step) - 1000) < 4.5 * math.sqrt(950)
