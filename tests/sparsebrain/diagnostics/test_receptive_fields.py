import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.diagnostics import reach, receptive_field


def chebyshev(shape, neuron):
    """The distance of every neuron of a grid from one of them, [N]."""
    y, x = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
    return torch.maximum((y - neuron // shape[1]).abs(), (x - neuron % shape[1]).abs()).flatten()


@pytest.mark.parametrize("distance", [1, 2])
def test_on_a_grid_it_is_chebyshev_distance(distance):
    shape, neurons = (11, 13), [0, 70, 142, 40]
    layer = GraphLayer(graphs.grid_local(shape, distance), 5)
    found = reach(layer, neurons)
    assert found.reached.shape == (6, 4, 143)
    for place, neuron in enumerate(neurons):
        away = chebyshev(shape, neuron)
        for loop in range(6):
            assert torch.equal(found.reached[loop, place], away <= distance * loop)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_a_power_of_the_matrix(seed):
    data = graphs.small_world(30, 2, 0.4, seed=seed)
    walks = torch.zeros(30, 30, dtype=torch.int64)
    walks[data.edge_index[1], data.edge_index[0]] = 1
    neurons = torch.tensor([3, 7])
    found = reach(GraphLayer(data), neurons, loops=6)
    power = torch.eye(30, dtype=torch.int64)
    for loop in range(7):
        assert torch.equal(found.reached[loop], power[neurons] > 0)
        power = walks @ power
    assert torch.equal(found.size, found.reached.sum(2))


def test_injected_inputs_arrive_along_all_shorter_walks():
    line = Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]), num_nodes=4)
    found = reach(GraphLayer(line, 3, inject=True), 3).reached[:, 0]
    assert found.int().tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]]


def test_gradients_are_rows_of_the_jacobian(layer):
    x = torch.randn(3, 20, dtype=torch.float64)
    neurons = [0, 7, 19]
    found = receptive_field(layer, x, neurons)
    wanted = torch.zeros(5, 3, 20, dtype=torch.float64)
    for sample in x:

        def states(value):
            return layer(value, return_states=True)[1]

        jacobian = torch.autograd.functional.jacobian(states, sample)
        wanted += jacobian[:, neurons].abs() / 3
    torch.testing.assert_close(found.gradient, wanted)
    assert bool((found.gradient[~found.reached] == 0).all())
    assert torch.equal(found.reached, reach(layer, neurons).reached)


def test_positive_weights_answer_to_all_that_reaches_them(weighted):
    data = graphs.grid_local((7, 7), 1)
    layer = weighted(data, torch.rand(data.num_edges) + 0.1, 3, activation="tanh")
    found = receptive_field(layer, torch.rand(2, 49, dtype=torch.float64) / 10, [24, 3])
    assert torch.equal(found.gradient > 0, found.reached)


def test_linear_layers_answer_with_a_power_of_their_matrix(weighted, dense):
    data = graphs.small_world(40, 4, 0.3, seed=0)
    layer = weighted(data, torch.randn(data.num_edges), 4)
    found = receptive_field(layer, torch.randn(40, dtype=torch.float64), 5)
    wanted = torch.stack([torch.linalg.matrix_power(dense(layer), loop)[5] for loop in range(5)])
    torch.testing.assert_close(found.gradient[:, 0], wanted.abs())


def test_the_effective_size_counts_equals(weighted):
    """A mean of 3 inputs counts as 3, whatever its scale; unequal ones count as less."""
    star = Data(edge_index=torch.tensor([[0, 1, 2], [3, 3, 3]]), num_nodes=4)
    x = torch.ones(4, dtype=torch.float64)
    equal = receptive_field(weighted(star, torch.full((3,), 1e-200, dtype=torch.float64), 1), x, 3)
    assert equal.size.flatten().tolist() == pytest.approx([1, 3])
    other = receptive_field(weighted(star, torch.tensor([1.0, 1.0, 2.0]), 2), x, 3)
    assert other.size.flatten().tolist() == pytest.approx([1, 16 / 6, 0])


def test_models_and_batches_of_pyg_are_taken():
    data = graphs.small_world(10, 4, 0.3, seed=0)
    layer = GraphLayer(data, 3, activation="tanh", dtype=torch.float64)
    x = torch.randn(2, 10, dtype=torch.float64)
    edges = torch.cat([data.edge_index, data.edge_index + 10], dim=1)
    batched = receptive_field(layer, (x.reshape(20, 1), edges), [1, 4])
    torch.testing.assert_close(batched.gradient, receptive_field(layer, x, [1, 4]).gradient)
    model = torch.nn.Sequential(torch.nn.Identity(), layer, torch.nn.ReLU())
    torch.testing.assert_close(receptive_field(model, x, [1, 4]).gradient, batched.gradient)


@pytest.mark.parametrize(
    ("neurons", "match"),
    [
        ([10], "from 0 to 9.*: 10"),
        ([3, -1], "1 of 2 are not: -1"),
        ([], r"numbers of neurons \[K\]"),
        ([0.5], r"numbers of neurons \[K\]"),
        ([[1]], r"numbers of neurons \[K\]"),
        (torch.ones(10, dtype=torch.bool), "got a mask"),
    ],
)
def test_bad_neurons_are_refused(neurons, match):
    layer = GraphLayer(graphs.grid_local(10, 1))
    with pytest.raises((TypeError, ValueError), match=match):
        reach(layer, neurons)
    with pytest.raises(ValueError, match="loops must be an integer >= 1"):
        reach(layer, 0, loops=0)


def test_an_equilibrium_has_no_loops_to_look_into():
    layer = GraphLayer(graphs.grid_local(10, 1), Equilibrium(), activation="tanh")
    with pytest.raises(ValueError, match="make a layer with loops=N, inject=True"):
        receptive_field(layer, torch.randn(2, 10), 4)
    with pytest.raises(ValueError, match="pass loops=N"):
        reach(layer, 4)
    assert reach(layer, 4, loops=2).size.tolist() == [[0], [1], [3]]


def test_the_pictures_show_sizes_and_the_field():
    layer = GraphLayer(graphs.grid_local((5, 6), 1), 2)
    field = receptive_field(layer, torch.randn(3, 30), [14, 0])
    reached, effective = field.plot().get_lines()
    assert reached.get_ydata().tolist() == [1, (9 + 4) / 2, (25 + 9) / 2]
    np.testing.assert_array_equal(effective.get_ydata(), field.size.mean(1))
    assert reach(layer, 0).plot().get_lines()[0].get_ydata().tolist() == [1, 4, 9]
    ax = field.plot_map((5, 6), which=1, loop=1)
    assert ax.get_title() == "neuron 0, 1 loops"
    np.testing.assert_array_equal(ax.get_images()[0].get_array().ravel(), field.gradient[1, 1])


def test_a_map_fits_its_grid():
    field = receptive_field(GraphLayer(graphs.grid_local((3, 4), 1), loops=2), torch.rand(2, 12), 5)
    for shape in ((3, 3), (12,), (2, 2, 3)):
        with pytest.raises(ValueError, match=r"shape must be \(height, width\) of the 12 neurons"):
            field.plot_map(shape)
    with pytest.raises(TypeError, match="shape must be a sequence of int"):
        field.plot_map("12")
    with pytest.raises(ValueError, match="which must be an integer >= 0 and at most 0|which must"):
        field.plot_map((3, 4), which=1)
    with pytest.raises(ValueError, match="loop must be an integer >= 0"):
        field.plot_map((3, 4), loop=3)
    with pytest.raises(TypeError, match="ax must be the Axes of a figure, got 3 of type int"):
        field.plot(3)


@pytest.mark.parametrize("neurons", ["0", {0}, None, True, 2**63, torch.tensor([0.5]), [None]])
def test_what_is_no_number_of_a_neuron_is_refused(neurons):
    with pytest.raises((TypeError, ValueError), match="neurons must be"):
        reach(GraphLayer(graphs.grid_local(10, 1)), neurons)


def test_a_reach_that_needs_too_much_memory_is_refused():
    layer = GraphLayer(graphs.grid_local((50, 50), 1))
    with pytest.raises(ValueError, match="loops=1000000 needs .* GiB of memory"):
        reach(layer, list(range(2500)), loops=10**6)
