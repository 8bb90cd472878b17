import math
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import networkx
import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import graphs


def collection(ax, kind):
    return next(each for each in ax.collections if isinstance(each, kind))


def segments(ax):
    return np.array(collection(ax, LineCollection).get_segments())


def test_neurons_are_dots_and_synapses_lines_where_pos_says():
    data = graphs.coordinate_random(50, (20, 10), 4, seed=0)
    ax = graphs.plot(data)
    np.testing.assert_allclose(collection(ax, PathCollection).get_offsets(), data.pos, rtol=1e-6)
    source, target = data.edge_index
    expected = torch.stack((data.pos[source], data.pos[target]), dim=1)
    np.testing.assert_allclose(segments(ax), expected, rtol=1e-6)
    assert ax.get_aspect() == 1
    assert ax.get_title() == f"50 neurons, {data.num_edges} synapses"


def test_one_dimension_is_drawn_as_arcs():
    data = graphs.layered([1, 1])
    data.pos = torch.tensor([[0.0], [4.0]])
    data.edge_index = torch.tensor([[0, 1], [1, 0]])
    right, left = segments(graphs.plot(data))
    np.testing.assert_allclose(right[[0, -1]], [[0, 0], [4, 0]], atol=1e-6)
    np.testing.assert_allclose(left[[0, -1]], [[4, 0], [0, 0]], atol=1e-6)
    assert right[:, 1].max() == pytest.approx(2)
    assert left[:, 1].min() == pytest.approx(-2)
    assert abs(left[1:-1, 1].max()) < 2


def test_three_dimensions():
    data = graphs.coordinate_random(30, (5, 4, 3), 2.0, seed=0)
    ax = graphs.plot(data)
    assert ax.name == "3d"
    assert len(ax.collections) == 2
    ax.figure.canvas.draw()


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_hardly_any_neurons_can_be_drawn(axes, neurons):
    data = graphs.coordinate_random(neurons, (5.0,) * axes, 1.0, self_loops=True, seed=0)
    ax = graphs.plot(data)
    ax.figure.canvas.draw()
    assert ax.get_title() == f"{neurons} neurons, {neurons} synapses"


def test_too_many_synapses_are_sampled_and_the_title_says_so():
    data = graphs.grid_local((10, 10), 1)
    ax = graphs.plot(data, max_edges=100)
    assert ax.get_title() == "100 neurons, 784 synapses (100 drawn)"
    assert len(segments(ax)) == 100
    again = segments(graphs.plot(data, max_edges=100))
    other = segments(graphs.plot(data, max_edges=100, seed=1))
    assert np.array_equal(segments(ax), again)
    assert not np.array_equal(segments(ax), other)
    assert graphs.plot(data, max_edges=0).get_title().endswith("(0 drawn)")


def test_draws_on_the_axes_given():
    _, axes = plt.subplots(1, 2)
    assert graphs.plot(graphs.grid_local((3, 3), 1), ax=axes[1]) is axes[1]
    assert not axes[0].collections


def test_populations_and_signs_have_colors():
    data = graphs.layered([2, 3])
    data.node_sign = torch.tensor([1.0, -1.0, 1.0, 1.0, 1.0])
    ax = graphs.plot(data, alpha=1)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *("excitatory", "inhibitory", "layer 0", "layer 1")
    ]
    colors = collection(ax, LineCollection).get_colors()
    assert len(np.unique(colors, axis=0)) == 2
    sender = data.edge_index[0].numpy()
    assert len(np.unique(colors[sender == 1], axis=0)) == 1
    data.node_sign[0] = 0
    ax = graphs.plot(data, alpha=1)
    assert "unknown sign" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(np.unique(collection(ax, LineCollection).get_colors(), axis=0)) == 2
    data.edge_sign = torch.ones(6)
    colors = collection(graphs.plot(data), LineCollection).get_colors()
    assert len(np.unique(colors, axis=0)) == 1


def test_style():
    data = graphs.grid_local((3, 3), 1)
    ax = graphs.plot(data, node_size=5, node_color="red", edge_color="green", alpha=0.5)
    dots, lines = collection(ax, PathCollection), collection(ax, LineCollection)
    assert dots.get_sizes().tolist() == [5]
    assert tuple(dots.get_facecolor()[0]) == to_rgba("red")
    assert tuple(lines.get_colors()[0]) == to_rgba("green", 0.5)


def test_settings_of_matplotlib_and_the_connectome_are_left_alone():
    data = graphs.coordinate_random(20, (4, 4), 1, seed=0)
    before = dict(mpl.rcParams), mpl.get_backend(), data.pos.clone()
    graphs.plot(data)
    assert (dict(mpl.rcParams), mpl.get_backend()) == before[:2]
    assert torch.equal(data.pos, before[2])


def test_long_layers_are_not_squeezed():
    assert graphs.plot(graphs.layered([100, 10])).get_aspect() == "auto"


def test_wide_layers_leave_paper_between_their_lines():
    data = graphs.layered([784, 100, 10])
    large = graphs.plot(data)
    small = graphs.plot(data, ax=plt.figure(figsize=(3, 2)).add_subplot())
    assert 100 < len(segments(small)) < len(segments(large)) < 10_000
    assert large.get_title().endswith(f"({len(segments(large)):,} drawn)")
    assert len(segments(graphs.plot(data, max_edges=12_345))) == 12_345


def test_dots_fit_the_axes_and_the_gaps_between_neurons():
    def dot(data, figsize):
        ax = graphs.plot(data, ax=plt.figure(figsize=figsize).add_subplot())
        return collection(ax, PathCollection).get_sizes()[0]

    few, many = graphs.grid_local((30, 30), 1), graphs.grid_local((60, 60), 1)
    assert dot(few, (8, 6)) > 2 * dot(few, (4, 3))
    assert dot(few, (8, 6)) > 2 * dot(many, (8, 6))
    # Populations at the same places do not reduce the size of the dots.
    twice = graphs.grid_local((30, 30), 1)
    twice.update({"num_nodes": 1800, "pos": twice.pos.repeat(2, 1), "shape": (2, 30, 30)})
    assert dot(twice, (8, 6)) == pytest.approx(dot(few, (8, 6)))


def test_many_populations_share_one_color_map():
    data = graphs.layered([1] * 30)
    ax = graphs.plot(data)
    assert ax.get_legend() is None
    assert len(np.unique(collection(ax, PathCollection).get_facecolors(), axis=0)) == 30


def test_without_coordinates():
    data = graphs.grid_local((2, 2, 2, 2), 1)
    with pytest.raises(ValueError, match=r"needs pos, .*set data.pos = torch.rand") as raised:
        graphs.plot(data)
    advice = re.search(r"layout = .*\.float\(\)", str(raised.value))
    exec(advice[0], {"networkx": networkx, "graphs": graphs, "torch": torch, "data": data})
    assert graphs.validate(data).pos.shape == (16, 2)


def test_axes_of_another_dimension():
    flat, deep = graphs.grid_local((3, 3), 1), graphs.grid_local((3, 3, 3), 1)
    with pytest.raises(ValueError, match=r"3 dimensions, .*'rectilinear'; .*projection=\"3d\""):
        graphs.plot(deep, ax=plt.figure().add_subplot())
    with pytest.raises(ValueError, match=r"2 dimensions, got axes of the projection '3d'"):
        graphs.plot(flat, ax=plt.figure().add_subplot(projection="3d"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_edges": -1}, ValueError, r"max_edges must be an integer >= 0, got -1"),
        ({"max_edges": 1e4}, TypeError, r"got 10000.0 of type float; pass max_edges=10000"),
        ({"alpha": 1.5}, ValueError, r"alpha must be a finite number in \[0, 1\], got 1.5"),
        ({"node_size": -1}, ValueError, r"node_size must be a finite number in \[0, 1e\+06\]"),
        ({"node_size": 1e308}, ValueError, r"node_size must be a finite number in \[0, 1e\+06\]"),
        *(
            ({name: wrong}, error, rf"{name} must be a Matplotlib color, .*; pass {name}='tab:")
            for name in ("node_color", "edge_color")
            for wrong, error in (
                ("abcd", ValueError),
                ([], ValueError),
                (["red"] * 3, ValueError),
                ((math.nan, 0, 0), ValueError),
                ({}, TypeError),
                (3, TypeError),
                (torch.zeros(3), TypeError),
                (np.zeros((2, 2)), ValueError),
                (graphs.grid_local((3, 3), 1), TypeError),
            )
        ),
        ({"seed": "x"}, TypeError, r"seed must be an int >= 0"),
        ({"color": "red"}, TypeError, r"unexpected keyword argument 'color'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        graphs.plot(graphs.grid_local((3, 3), 1), **arguments)
    # Arguments are checked before a figure is made.
    assert not plt.get_fignums()


@pytest.mark.parametrize("draw", [graphs.plot, graphs.plot_circular])
def test_each_synapse_may_have_its_own_color(draw):
    data = graphs.grid_local((3, 3), 1)
    one_red = [(0.0, 0.0, 1.0)] * data.num_edges
    one_red[40] = "red"
    ax = draw(data, edge_color=one_red)
    assert np.flatnonzero(collection(ax, LineCollection).get_colors()[:, 0] == 1).tolist() == [40]
    few = draw(data, edge_color=np.eye(3)[np.arange(data.num_edges) % 3], max_edges=5)
    assert len(collection(few, LineCollection).get_colors()) == 5


def test_each_neuron_may_have_its_own_color():
    ax = graphs.plot(graphs.layered([2, 1]), node_color=["red", "0.5", (0, 0, 1)])
    faces = collection(ax, PathCollection).get_facecolors()
    np.testing.assert_allclose(faces[:, :3], [(1, 0, 0), (0.5, 0.5, 0.5), (0, 0, 1)])


def test_the_largest_coordinates_are_drawn():
    data = graphs.layered([2, 1])
    data.pos = torch.tensor([[-3e38, 0.0], [3e38, 0.0], [0.0, 3e38]])
    graphs.plot(data).figure.canvas.draw()


def test_axes_of_another_kind_are_refused():
    data = graphs.layered([2, 1])
    with pytest.raises(TypeError, match="got polar"):
        graphs.plot(data, ax=Figure().add_subplot(projection="polar"))
    with pytest.raises(TypeError, match="got Figure"):
        graphs.plot(data, ax=Figure())
