"""What a recording tells."""

import matplotlib.pyplot as plt
import pytest
import torch
from torch_geometric.data import Data

from sparsebrain.spiking import LIF, SpikeTrains


@pytest.fixture
def recording():
    lif = LIF(
        Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=3), rest=-5.0, reset=-5.0
    )
    events = SpikeTrains(
        step=torch.tensor([9, 2, 40, 2]),
        neuron=torch.tensor([1, 2, 1, 0]),
        jump=9.0,
        sample=torch.tensor([1, 0, 1, 1]),
    )
    return lif.simulate(50, events=events, samples=2, record=("v", [2, 0], 10.0))


def test_spikes_are_sorted_by_sample_step_and_neuron(recording):
    assert recording.sample.tolist() == [0, 1, 1, 1]
    assert recording.step.tolist() == [3, 3, 10, 41]
    assert recording.neuron.tolist() == [2, 0, 1, 1]
    assert repr(recording) == "Recording(4 spikes of 3 neurons in 50 ms, samples=2)"


def test_rates_are_spikes_per_second(recording):
    assert recording.rates.tolist() == [[0.0, 0.0, 20.0], [20.0, 40.0, 0.0]]


def test_states_are_those_asked_for(recording):
    (trace,) = recording.states
    assert trace.variable == "v"
    assert trace.step.tolist() == [0, 10, 20, 30, 40]
    assert trace.neurons.tolist() == [2, 0]
    assert trace.values.shape == (2, 5, 2)
    assert bool((trace.values == -5.0).all())


def test_a_raster_has_a_dot_for_each_spike(recording):
    ax = recording.plot(sample=1)
    (dots,) = ax.lines
    assert dots.get_xdata().tolist() == [3.0, 10.0, 41.0]
    assert dots.get_ydata().tolist() == [0, 1, 1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "neuron")
    assert recording.plot(ax) is ax
    plt.close("all")


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_dataframe_has_a_row_for_each_spike(recording, library):
    frame = recording.to_dataframe(library)
    read = frame.to_pydict() if library == "pyarrow" else dict(frame)
    assert {name: list(values) for name, values in read.items()} == {
        "sample": [0, 1, 1, 1],
        "neuron": [2, 0, 1, 1],
        "step": [3, 3, 10, 41],
        "time": [3.0, 3.0, 10.0, 41.0],
    }
    with pytest.raises(ValueError, match="library must be one of 'pandas'"):
        recording.to_dataframe("spark")
