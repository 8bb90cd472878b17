"""Input events: what is drawn, and what is refused."""

import math

import pytest
import torch
from torch_geometric.data import Data

from sparsebrain.spiking import LIF, SpikeTrains
from sparsebrain.spiking.events import Inputs, Poisson, draw


def test_events_are_independent_and_have_their_rate():
    probability = torch.tensor([0.02, 0.01, 0.0], dtype=torch.float64)
    poisson = Poisson(torch.tensor([2, 5, 7]), probability, 1.0)
    generator = torch.Generator().manual_seed(0)
    sample, step, neuron = draw(poisson, 4, 25_000, generator)
    key = (sample * 25_000 + step) * 10 + neuron
    assert bool((key.diff() > 0).all())
    assert int(step.max()) < 25_000
    # 100,000 cells for each neuron: each test fails by chance in one of 10^5 runs.
    for number, wanted in ((2, 0.02), (5, 0.01)):
        count = int((neuron == number).sum())
        assert abs(count - 1e5 * wanted) < 4.5 * math.sqrt(1e5 * wanted)
    assert not bool((neuron == 7).any())
    # Gaps are geometric: their mean is 1 / p, and their standard deviation nearly so.
    gaps = step[(neuron == 2) & (sample == 0)].diff().double()
    assert float(gaps.mean()) == pytest.approx(50, abs=4.5 * 50 / math.sqrt(len(gaps)))
    both = ((neuron[:-1] == 2) & (neuron[1:] == 5) & (step[:-1] == step[1:])).sum()
    assert abs(int(both) - 20) < 4.5 * math.sqrt(20)


def test_every_step_can_have_an_event():
    lif = LIF(Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=2), refractory=0.0)
    found = lif.simulate(10, poisson=([1], 1000.0, 3.0))
    # An input in the step of a spike is lost.
    assert found.step.tolist() == [1, 3, 5, 7, 9]
    assert found.neuron.tolist() == [1] * 5


def test_events_of_one_neuron_and_step_add_up():
    trains = SpikeTrains(
        step=torch.tensor([7, 3, 7]), neuron=torch.tensor([1, 0, 1]), jump=torch.tensor([1.0, 2, 4])
    )
    inputs = Inputs(trains, None, samples=2, num_nodes=3, like=torch.zeros(0), generator=None)
    span = inputs.span(5, 10)
    assert span.events.begin.tolist() == [0, 1, 2]
    assert span.events.step.tolist() == [2, 2]
    assert span.jump.tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poisson": ([0], 2000.0, 1.0)}, "at most one event per step of dt=1 ms, 1000 Hz"),
        ({"poisson": ([0], -1.0, 1.0)}, r"poisson\[1\] must be a finite number >= 0"),
        ({"poisson": ([9], 1.0, 1.0)}, r"poisson\[0\] must be from 0 to 1"),
        ({"poisson": ([0, 0], 1.0, 1.0)}, r"poisson\[0\] must not name a neuron twice"),
        ({"poisson": ([0], 1.0, float("inf"))}, r"poisson\[2\] must be a finite number"),
        ({"silence": [2]}, "silence must be from 0 to 1"),
        ({"record": ("v", [5], 1.0)}, "record's neurons must be from 0 to 1"),
        ({"record": ("w", [0], 1.0)}, "record's variable must be one of 'v', 'g'"),
        ({"record": ("g", [0], 1.0)}, "only with tau_synapse"),
        ({"record": ("v", [0], 0.0)}, "record's interval must be a finite number > 0"),
        ({"duration": -1.0}, "duration must be a finite number >= 0"),
        (
            {"events": SpikeTrains(step=torch.tensor([20]), neuron=torch.tensor([0]), jump=1.0)},
            "events.step must be less than 10, the number of steps of this duration, got 20; pass",
        ),
        (
            {"events": SpikeTrains(step=torch.tensor([2]), neuron=torch.tensor([2]), jump=1.0)},
            "events.neuron must be less than 2",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused(options, message):
    lif = LIF(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
    with pytest.raises(ValueError, match=message):
        lif.simulate(**{"duration": 10.0, **options})


def test_negative_steps_are_refused():
    with pytest.raises(ValueError, match="step must not be negative, got -1 at position 1; pass"):
        SpikeTrains(step=torch.tensor([0, -1]), neuron=torch.tensor([0, 0]), jump=1.0)
