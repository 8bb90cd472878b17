import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def counts(ax):
    return [image.get_array().filled(0) for image in ax.images]


def test_small_matrices_are_those_of_scipy():
    data = graphs.coordinate_random(50, (20, 10), 4, self_loops=True, seed=0)
    ax = graphs.plot_adjacency(data)
    (image,) = counts(ax)
    assert np.array_equal(image, graphs.to_scipy(data).toarray() != 0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("target", "source")
    # The first neuron is at the top left.
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 50), (50, 0))


def test_neurons_are_sorted_by_population_with_borders_and_names():
    data = Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
    data.node_type, data.node_type_names = torch.tensor([1, 0, 1]), ["$a", "b$"]
    ax = graphs.plot_adjacency(data)
    # The order is 1, 0, 2.
    assert counts(ax)[0].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert [each.get_text() for each in ax.get_yticklabels()] == [r"\$a", r"b\$"]
    assert ax.get_yticks().tolist() == [0.5, 2]
    across, down = (each.get_segments() for each in ax.collections)
    assert np.array(across).tolist() == [[[0, 1], [3, 1]]]
    assert np.array(down).tolist() == [[[1, 0], [1, 3]]]
    ax.figure.canvas.draw()


@pytest.mark.parametrize("cells", [None, 1, 7, 100, 4096])
def test_large_matrices_are_counted_in_cells_that_lose_no_synapse(cells):
    data = graphs.layered([784, 100, 10])
    ax = graphs.plot_adjacency(data, cells=cells)
    (image,) = counts(ax)
    assert image.sum() == data.num_edges
    assert len(image) <= (cells or 894)
    assert (
        f"up to {image.max():,} per cell" in ax.get_title().replace("\n", " ") or image.max() == 1
    )


def test_a_hundred_thousand_neurons_need_no_matrix_of_them():
    rng = np.random.default_rng(0)
    ends = torch.from_numpy(rng.choice(10**10, 200_000, replace=False))
    data = Data(edge_index=torch.stack((ends // 10**5, ends % 10**5)), num_nodes=10**5)
    ax = graphs.plot_adjacency(data)
    assert counts(ax)[0].sum() == 200_000
    assert counts(ax)[0].size < 10**6


def test_signs_are_two_images():
    data = graphs.layered([3, 2])
    data.node_sign = torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0])
    ax = graphs.plot_adjacency(data)
    assert [image.sum() for image in counts(ax)] == [4, 2]
    assert np.argwhere(counts(ax)[1]).tolist() == [[1, 3], [1, 4]]
    assert [each.get_text() for each in ax.get_legend().get_texts()] == ["excitatory", "inhibitory"]
    data.node_sign[2] = 0
    ax = graphs.plot_adjacency(data)
    assert [image.sum() for image in counts(ax)] == [2, 2, 2]
    assert ax.get_legend().get_texts()[2].get_text() == "unknown sign"


def test_synapses_of_several_types_add_up():
    data = graphs.c_elegans("both")
    (image,) = counts(graphs.plot_adjacency(data, cells=302))
    assert image.sum() == data.num_edges
    assert image.max() == 2


@pytest.mark.parametrize("neurons", [0, 1])
def test_hardly_any_neurons_can_be_drawn(neurons):
    data = graphs.coordinate_random(neurons, 5.0, 5.0, profile="step", self_loops=True)
    data.node_type = torch.zeros(neurons, dtype=torch.int64)
    ax = graphs.plot_adjacency(data)
    ax.figure.canvas.draw()
    assert counts(ax)[0].sum() == data.num_edges


def test_draws_on_the_axes_given():
    _, axes = plt.subplots(1, 2)
    assert graphs.plot_adjacency(graphs.layered([2, 2]), ax=axes[1]) is axes[1]
    assert not axes[0].images


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        (0, ValueError, r"cells must be an integer >= 1, got 0"),
        (5000, ValueError, r"cells must be an integer in \[1, 4096\], got 5000"),
        (1.5, TypeError, r"cells must be an integer >= 1, got 1.5"),
    ],
)
def test_bad_arguments(cells, error, message):
    with pytest.raises(error, match=message):
        graphs.plot_adjacency(graphs.layered([2, 2]), cells=cells)
