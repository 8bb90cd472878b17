import math

import pytest
import torch

import graphs
from sparsebrain.learning import RULES
from sparsebrain.models import classifier, spiking_classifier
from sparsebrain.models.spiking_classifier import SpikingNeurons
from sparsebrain.spiking import LIF


def test_it_is_the_classifier_with_spiking_neurons_in_place_of_the_loops():
    data = graphs.grid_local((4, 4), 1)
    model = spiking_classifier(data, 3, in_features=5)
    names = [type(part).__name__ for part in model]
    assert names == ["Linear", "BatchNorm1d", "SpikingNeurons", "BatchNorm1d", "Linear"]
    other = classifier(data, 3, in_features=5)

    def count(model):
        return sum(each.numel() for each in model.parameters())

    assert count(model) == count(other)
    assert model(torch.randn(6, 5)).shape == (6, 3)


def test_readouts():
    lif = LIF(graphs.grid_local((3, 3), 1), dtype=torch.float64)
    current = 20 * torch.rand(4, 9, dtype=torch.float64)
    spikes, _ = lif(current.unsqueeze(1).expand(4, 6, 9))
    rate = SpikingNeurons(lif, 6)(current)
    torch.testing.assert_close(rate, spikes.mean(1))
    # A leaky neuron with a time constant of two steps.
    potential = torch.zeros(4, 9, dtype=torch.float64)
    for number in range(6):
        potential = math.exp(-0.5) * potential + (1 - math.exp(-0.5)) * spikes[:, number]
    torch.testing.assert_close(SpikingNeurons(lif, 6, "membrane")(current), potential)
    assert 0 < float(rate.detach().mean()) < 1


def test_currents_start_around_the_threshold_in_every_unit():
    rates = []
    for options in ({}, {"rest": -65.0, "reset": -65.0, "threshold": -50.0}):
        torch.manual_seed(0)
        model = spiking_classifier(graphs.grid_local((4, 4), 1), 3, in_features=5, **options)
        x = torch.randn(32, 5)
        rates.append(model.spiking(model.encode_norm(model.encode(x))).mean())
    assert 0.01 < float(rates[0].detach()) < 0.3
    torch.testing.assert_close(rates[0], rates[1], atol=2e-3, rtol=0.02)


@pytest.mark.parametrize("options", [{}, {"readout": "membrane", "tau_synapse": 5.0, "delay": 2.0}])
def test_it_learns(options):
    torch.manual_seed(0)
    y = torch.arange(60) % 3
    x = torch.randn(60, 6) + 2 * torch.nn.functional.one_hot(y, 6)
    model = spiking_classifier(graphs.grid_local((4, 4), 1), 3, in_features=6, steps=10, **options)
    rule = RULES["backprop"](model)
    optimizer = rule.make_optimizer(0.02)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        losses.append(float(rule(x, y)))
        assert all(float(each.grad.abs().sum()) > 0 for each in model.parameters())
        optimizer.step()
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("name", [name for name in RULES if name != "backprop"])
def test_other_rules_refuse_it_with_the_reason(name):
    model = spiking_classifier(graphs.grid_local((3, 3), 1), 2)
    with pytest.raises(ValueError, match=r"cannot train this model: .*(LIF|no cells|no energy)"):
        RULES[name](model)


def test_bad_arguments():
    data = graphs.grid_local((3, 3), 1)
    for options, match in (
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"readout": "last"}, "readout must be one of 'rate', 'membrane', got 'last'"),
        ({"in_features": 0}, "in_features must be an integer >= 1"),
        ({"tau": -1.0}, "tau must be"),
    ):
        with pytest.raises(ValueError, match=match):
            spiking_classifier(data, 2, **options)
    with pytest.raises(TypeError, match="leak"):
        spiking_classifier(data, 2, leak=0.5)
