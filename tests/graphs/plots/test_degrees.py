import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs

# Neuron 0 sends to all five others, 1 to 0 and 2: out-degrees 5, 2, 0, 0, 0, 0.
STAR = Data(
    edge_index=torch.tensor([[0, 0, 0, 0, 0, 1, 1], [1, 2, 3, 4, 5, 0, 2]]),
    num_nodes=6,
)


def test_shares_of_neurons_with_so_many_synapses_or_more():
    ax = graphs.plot_degrees(STAR)
    inward, outward = ax.lines
    np.testing.assert_allclose(inward.get_xydata(), [[1, 1], [2, 1 / 6]])
    np.testing.assert_allclose(outward.get_xydata(), [[2, 2 / 6], [5, 1 / 6]])
    assert inward.get_label() == "in"
    assert outward.get_label() == "out (66.7 % of degree 0)"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    ax.figure.canvas.draw()


def test_bins_double_and_lose_no_neuron():
    ax = graphs.plot_degrees(STAR, direction="out", cumulative=False)
    # One neuron in [2, 4), one in [4, 8).
    expected = [[np.sqrt(2 * 3), 1 / 6 / 2], [np.sqrt(4 * 7), 1 / 6 / 4]]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), expected)
    data = graphs.c_elegans()
    middle, share = graphs.plot_degrees(data, cumulative=False, direction="in").lines[0].get_data()
    width = 2.0 ** np.floor(np.log2(middle))
    some = (np.bincount(data.edge_index[1], minlength=302) > 0).mean()
    assert (share * width).sum() == pytest.approx(some)


def test_a_power_law_has_as_many_neurons_from_its_smallest_degree_on():
    data = graphs.c_elegans()
    ax = graphs.plot_degrees(data, direction="out", power_law=2.0, power_law_from=3)
    seen, law = (dict(line.get_xydata().tolist()) for line in ax.lines)
    assert law[3] == pytest.approx(seen[3])
    assert min(law) == 3
    # Sums of 1 / k^2 from 3 and from 5 on, by Euler's sum over all k.
    rest = np.pi**2 / 6 - 1 - 1 / 4
    assert law[5] / law[3] == pytest.approx((rest - 1 / 9 - 1 / 16) / rest)
    ax = graphs.plot_degrees(data, direction="out", cumulative=False, power_law=2.0)
    k, share = ax.lines[1].get_data()
    np.testing.assert_allclose(share * k**2, share[0])
    assert share[0] == pytest.approx((1 - 10 / 302) * 6 / np.pi**2, rel=1e-3)


def test_a_power_law_beyond_all_degrees_is_empty():
    ax = graphs.plot_degrees(STAR, power_law=2.5, power_law_from=4)
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 0, 2, 2]


@pytest.mark.parametrize("cumulative", [True, False])
@pytest.mark.parametrize("neurons", [0, 1, 3])
def test_without_synapses(neurons, cumulative):
    data = Data(edge_index=torch.empty((2, 0), dtype=torch.int64), num_nodes=neurons)
    ax = graphs.plot_degrees(data, cumulative=cumulative, power_law=2.0)
    ax.figure.canvas.draw()
    assert not any(len(line.get_xdata()) for line in ax.lines)


def test_draws_on_the_axes_given():
    _, axes = plt.subplots(1, 2)
    assert graphs.plot_degrees(STAR, ax=axes[1]) is axes[1]
    assert not axes[0].lines


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"direction": "up"}, ValueError, r"direction must be one of .*, got 'up'"),
        ({"cumulative": 1}, TypeError, r"cumulative must be True or False"),
        ({"power_law": 1}, ValueError, r"power_law must be an exponent > 1, got 1"),
        ({"power_law": "2"}, TypeError, r"power_law must be a finite number in \[0, 100\]"),
        ({"power_law": 1e308}, ValueError, r"power_law must be a finite number in \[0, 100\]"),
        (
            {"power_law": 2, "power_law_from": 2**40},
            ValueError,
            r"power_law_from must be at most \d+, the largest degree, .*; pass power_law_from=1",
        ),
        ({"power_law_from": 0}, ValueError, r"power_law_from must be an integer >= 1, got 0"),
        ({"bins": 3}, TypeError, r"unexpected keyword argument 'bins'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        graphs.plot_degrees(STAR, **arguments)


def test_numbers_are_plain():
    ax = graphs.plot_degrees(graphs.grid_local((10, 10), 1))
    ax.figure.canvas.draw()
    told = [
        [label.get_text() for label in axis.get_ticklabels(which="both")]
        for axis in (ax.xaxis, ax.yaxis)
    ]
    assert set("456789") <= set(told[0])
    assert {"0.7", "0.8", "1"} <= set(told[1])
    assert not any("times" in each for each in told[0] + told[1])
