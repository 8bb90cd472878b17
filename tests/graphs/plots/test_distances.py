import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def histograms(ax):
    return [patch.get_data().values for patch in ax.patches]


def linear(r):
    return np.maximum(0, 1 - r / 0.8)


def test_every_synapse_but_loops_is_counted():
    data = graphs.coordinate_random(300, (20, 10), 2, self_loops=True, seed=0)
    seen, expected = histograms(graphs.plot_distances(data))
    assert seen.sum() == data.num_edges - 300
    assert expected.sum() == pytest.approx(data.num_edges - 300)


def test_small_cases_are_exact():
    # Three neurons on a line: ordered pairs at distance 1 (2), 2 (2) and 3 (2).
    data = Data(edge_index=torch.tensor([[0, 2], [2, 0]]), num_nodes=3)
    data.pos = torch.tensor([[0.0], [1.0], [3.0]])
    seen, expected = histograms(graphs.plot_distances(data, profile=lambda r: 1 / r, bins=3))
    # Distance 1 lies on the border of the second bin, as 2 on that of the third.
    assert seen.tolist() == [0, 0, 2]
    np.testing.assert_allclose(expected, [0, 2, 2 / 2 + 2 / 3])


def test_expectation_is_that_of_the_generator():
    data = graphs.coordinate_random(4000, (20, 10), 0.8, seed=0)
    seen, expected = histograms(graphs.plot_distances(data, profile=linear, bins=20))
    # The variance of a sum of independent draws is below its expectation: five of these standard
    # deviations in 20 bins are a false alarm in 80,000.
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected) + 1)


def test_a_sample_of_neurons_stands_for_all_and_the_legend_says_so():
    data = graphs.coordinate_random(4000, (20, 10), 0.8, seed=0)
    exact = histograms(graphs.plot_distances(data, profile=linear))[1]
    ax = graphs.plot_distances(data, profile=linear, max_pairs=10_000)
    sampled = histograms(ax)[1]
    assert "(estimated from " in ax.get_legend().get_texts()[1].get_text()
    # About 6,500 of 13,000 expected pairs, in clusters: 5 % are more than five sigmas.
    assert sampled.sum() == pytest.approx(exact.sum(), rel=0.05)
    assert not np.array_equal(sampled, exact)
    again = histograms(graphs.plot_distances(data, profile=linear, max_pairs=10_000))[1]
    assert np.array_equal(sampled, again)


def test_on_a_torus_lengths_go_the_shorter_way():
    data = graphs.grid_local((10, 10), 1, periodic=True)
    ax = graphs.plot_distances(data, period=10, profile=lambda r: (r < 1.5).astype(float))
    seen, expected = histograms(ax)
    assert np.array_equal(seen, expected)
    assert ax.patches[0].get_data().edges[-1] == pytest.approx(np.sqrt(2))
    flat = graphs.plot_distances(data, period=(10, 0))
    assert flat.patches[0].get_data().edges[-1] > 9


@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_hardly_any_neurons_can_be_drawn(neurons):
    data = graphs.coordinate_random(neurons, 5.0, 5.0, profile="step", self_loops=True)
    ax = graphs.plot_distances(data)
    ax.figure.canvas.draw()
    assert histograms(ax)[0].sum() == (2 if neurons == 2 else 0)


def test_neurons_at_one_place():
    data = graphs.layered([2, 2])
    data.pos = torch.zeros(4, 3)
    seen, expected = histograms(graphs.plot_distances(data))
    assert seen[0] == 4
    assert expected[0] == pytest.approx(4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"profile": "linear"}, TypeError, r"profile must be a function of distances or None"),
        ({"profile": lambda r: r + 5}, ValueError, r"probabilities in \[0, 1\], got .* at r = "),
        ({"profile": lambda r: 1.0}, ValueError, r"one probability for each of \d+ distances"),
        ({"period": (1.0, 2.0, 3.0)}, ValueError, r"each of the 2 axes, got 3"),
        ({"period": -1}, ValueError, r"period must be a finite number >= 0"),
        ({"period": (1, -1)}, ValueError, r"period\[1\] must be a finite number >= 0"),
        (
            {"period": 2},
            ValueError,
            r"period needs positions in \[0, 2\) .* 1, got 2 at neuron 2",
        ),
        ({"period": np.array(2)}, ValueError, r"period needs positions in \[0, 2\) along axis 1"),
        ({"period": torch.zeros(2)}, TypeError, r"period must be a finite number >= 0, .*Tensor"),
        ({"period": b"12"}, TypeError, r"period must be a finite number >= 0, got b'12'"),
        (
            {"profile": lambda: 1},
            TypeError,
            r"profile must take an array of \d+ distances, .*; pass",
        ),
        ({"bins": 2**32}, ValueError, r"bins must be .* at most 100000, got 4294967296; pass bin"),
        ({"bins": 0}, ValueError, r"bins must be an integer >= 1, got 0"),
        ({"max_pairs": 0}, ValueError, r"max_pairs must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        graphs.plot_distances(graphs.grid_local((3, 3), 1), **arguments)


def test_axes():
    data = graphs.grid_local((3, 3, 3), 1)
    _, axes = plt.subplots(1, 2)
    assert graphs.plot_distances(data, ax=axes[1]) is axes[1]
    with pytest.raises(ValueError, match=r"2 dimensions, got axes of the projection '3d'"):
        graphs.plot_distances(data, ax=plt.figure().add_subplot(projection="3d"))
    with pytest.raises(ValueError, match="needs pos"):
        graphs.plot_distances(graphs.grid_local((2, 2, 2, 2), 1))
