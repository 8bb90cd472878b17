import pytest
import torch

import graphs
from sparsebrain.experiments.neuron_options import (
    SpikingOptions,
    draw_spiking,
    parse_neurons,
)


@pytest.mark.parametrize(
    ("given", "spec", "spiking"),
    [
        ("rate", "rate", None),
        (" lif", "lif", SpikingOptions()),
        ("lif:", "lif", SpikingOptions()),
        (
            "lif:tau_synapse=5, steps=7,readout=membrane",
            "lif:steps=7,readout=membrane,tau_synapse=5",
            SpikingOptions(steps=7, readout="membrane", tau_synapse=5.0),
        ),
        (
            "lif:delay=2,refractory=1.5,surrogate=arctan,tau=4",
            "lif:tau=4,refractory=1.5,delay=2,surrogate=arctan",
            SpikingOptions(tau=4.0, refractory=1.5, delay=2.0, surrogate="arctan"),
        ),
    ],
)
def test_texts_are_read(given, spec, spiking):
    assert parse_neurons(given) == (spec, spiking)
    assert parse_neurons(spec) == (spec, spiking)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("spiking", "neurons must be rate or lif, got 'spiking'; pass for example neurons=lif"),
        ("", "neurons must be rate or lif, got ''"),
        ("rate:tau=1", "neurons must be rate or lif, got 'rate:tau=1'"),
        ("lif:time=1", "cannot read 'time=1'; .* options steps=, readout=, tau="),
        ("lif:steps=0", "neurons='lif:steps=0': steps must be an integer >= 1, got 0"),
        ("lif:steps=1.5", "steps='1.5' is not an integer"),
        ("lif:steps=200000", "steps must be .* at most 100000, got 200000"),
        ("lif:tau=0", "tau must be a finite number > 0, got 0"),
        ("lif:tau_synapse=nan", "tau_synapse must be a finite number > 0, got nan"),
        ("lif:delay=-1", "delay must be a finite number in .0, 100000., got -1"),
        ("lif:readout=last", "readout must be one of 'rate', 'membrane', got 'last'"),
        ("lif:surrogate=step", "surrogate must be one of 'fast_sigmoid'"),
        ("lif:tau=1,tau=2", "tau is given twice"),
    ],
)
def test_what_cannot_be_read_is_told(given, match):
    with pytest.raises(ValueError, match=match):
        parse_neurons(given)


def test_models_with_and_without_a_connectome():
    options = SpikingOptions(steps=3, refractory=2.0, delay=1.0)
    data = graphs.grid_local((3, 3), 1)
    for connectome, synapses in ((data, data.num_edges), (None, 0)):
        model = draw_spiking(options, connectome, 5, 2, hidden=9)
        lif = model.spiking.lif
        assert (lif.num_nodes, len(lif.weight)) == (9, synapses)
        assert (lif.tau, lif.refractory, lif.delay, model.spiking.steps) == (10.0, 2.0, 1.0, 3)
        assert model(torch.randn(4, 5)).shape == (4, 2)
