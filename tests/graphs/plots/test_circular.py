import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from torch_geometric.data import Data

import graphs
from graphs.plots import colors


def curves(ax):
    return next(each for each in ax.collections if isinstance(each, LineCollection))


def test_neurons_go_clockwise_from_the_top_by_population():
    data = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=4)
    data.node_type = torch.tensor([1, 0, 1, 0])
    ax = graphs.plot_circular(data)
    first, second = np.array(curves(ax).get_segments())
    # The order is 1, 3, 0, 2: one in each quarter.
    assert np.sign(first[0]).tolist() == [-1, -1]
    assert np.sign(first[-1]).tolist() == [1, 1]
    np.testing.assert_allclose(first[-1], second[0])
    assert np.sign(second[-1]).tolist() == [-1, 1]
    np.testing.assert_allclose(np.linalg.norm(first[[0, -1]], axis=1), 1)


def test_both_directions_of_a_pair_are_seen():
    data = Data(edge_index=torch.tensor([[0, 2], [2, 0]]), num_nodes=4)
    there, back = np.array(curves(graphs.plot_circular(data)).get_segments())
    ends = there[[0, -1]]
    for curve in (there, back):
        way, bend = curve[-1] - curve[0], curve[12] - ends.mean(axis=0)
        assert way[0] * bend[1] - way[1] * bend[0] < 0
    assert np.linalg.norm(there[12] - back[12]) > 0.05


def test_every_population_has_an_arc_and_a_name():
    data = graphs.c_elegans()
    ax = graphs.plot_circular(data)
    assert [text.get_text() for text in ax.texts] == data.node_type_names
    arcs = ax.collections[1].get_segments()
    assert len(arcs) == 8
    ax.figure.canvas.draw()


def test_names_without_room_are_left_out():
    data = graphs.layered([300, *[1] * 40, 300])
    named = {text.get_text() for text in graphs.plot_circular(data).texts}
    assert {"layer 0", "layer 41"} <= named
    assert len(named) < 42


def test_colors_are_those_of_signs_else_of_the_source():
    data = graphs.layered([1, 1, 1])
    ax = graphs.plot_circular(data, alpha=1)
    kinds = colors.populations(data)
    assert [tuple(each) for each in curves(ax).get_colors()] == [
        to_rgba(kinds[0].color),
        to_rgba(kinds[1].color),
    ]
    assert ax.get_legend() is None
    data.edge_sign = torch.tensor([1.0, -1.0])
    ax = graphs.plot_circular(data, alpha=1)
    assert [tuple(each) for each in curves(ax).get_colors()] == [
        to_rgba(colors.EXCITATORY),
        to_rgba(colors.INHIBITORY),
    ]
    assert [each.get_text() for each in ax.get_legend().get_texts()] == ["excitatory", "inhibitory"]
    ax = graphs.plot_circular(data, edge_color="green", alpha=0.5)
    assert tuple(curves(ax).get_colors()[0]) == to_rgba("green", 0.5)


def test_a_sample_is_drawn_and_told():
    data = graphs.layered([100, 100, 100])
    ax = graphs.plot_circular(data, max_edges=50)
    assert len(curves(ax).get_segments()) == 50
    assert ax.get_title() == "300 neurons, 20,000 synapses (50 drawn)"
    fitted = len(curves(graphs.plot_circular(data)).get_segments())
    assert 500 < fitted < 20_000
    small = plt.figure(figsize=(2, 2)).add_subplot()
    assert len(curves(graphs.plot_circular(data, ax=small)).get_segments()) < fitted


@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_hardly_any_neurons_can_be_drawn(neurons):
    data = graphs.coordinate_random(neurons, 5.0, 5.0, profile="step", self_loops=True)
    graphs.plot_circular(data).figure.canvas.draw()
    data.node_type = torch.zeros(neurons, dtype=torch.int64)
    graphs.plot_circular(data).figure.canvas.draw()


def test_bad_arguments():
    data = graphs.layered([2, 2])
    with pytest.raises(ValueError, match=r"alpha must be a finite number in \[0, 1\], got 2"):
        graphs.plot_circular(data, alpha=2)
    with pytest.raises(TypeError, match="edge_color must be a Matplotlib color, .*; pass edge_col"):
        graphs.plot_circular(data, edge_color={})
    with pytest.raises(ValueError, match="got axes of the projection '3d'"):
        graphs.plot_circular(data, ax=plt.figure().add_subplot(projection="3d"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'order'"):
        graphs.plot_circular(data, order="name")
    with pytest.raises(TypeError, match=r"expected a torch_geometric\.data\.Data, got int"):
        graphs.plot_circular(3)
