"""Synapses and thresholds that change during a simulation."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from sparsebrain import kernels
from sparsebrain.kernels import native
from sparsebrain.plasticity import STDP, DopamineSTDP
from sparsebrain.spiking import LIF, AdaptiveThreshold, Normalization, SpikeTrains, simulation

BACKENDS = [name for name in ("native", "reference") if kernels.available()[name] is None]


def network(edges, neurons, weight, **options):
    data = Data(edge_index=torch.as_tensor(edges), num_nodes=neurons)
    lif = LIF(data, **{"dtype": torch.float64, **options})
    lif.assign_weight(torch.as_tensor(weight, dtype=lif.weight.dtype).expand_as(lif.weight))
    return lif


def driven(trains, jump=50.0):
    """Input that makes each neuron spike at given steps, whatever else it receives."""
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
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
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
