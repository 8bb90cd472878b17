import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer, models
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.figures import layer_output


def noise(sheet=(4, 4), pixels=9):
    """Two classes, of which the test images hold 9 and 11, more than are run at once."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, pixels, generator=draw), torch.arange(40) % 2
    y[22] = 1
    return Images("noise", 2, sheet, x[:20], y[:20], x[20:], y[20:])


def make_model(data, pixels=9, **options):
    torch.manual_seed(0)
    return models.classifier(data, 2, loops=3, in_features=pixels, **options)


def states_of(model, x):
    """The input of the layer and its output at each of the three loops, by running the parts."""
    with torch.no_grad():
        state = model.eval().encode_activation(model.encode_norm(model.encode(x)))
        states = [state]
        dense = torch.zeros(len(state.T), len(state.T))
        source, target = model.graph.edge_index
        dense[target, source] = model.graph.weight
        for _ in range(3):
            states.append(states[-1] @ dense.T)
    return torch.stack(states)


def root_mean_square(distances, pairs):
    return (distances.square()[:, pairs]).mean(1).sqrt()


@pytest.mark.parametrize("copies", [1, 60])
def test_distances_are_root_mean_squares_over_all_pairs(copies):
    """60 copies of 20 images are more than the layer is given at once."""
    images = noise()
    x, y = images.test_x.repeat(copies, 1), images.test_y.repeat(copies)
    images = Images("noise", 2, (4, 4), images.train_x, images.train_y, x, y)
    model = make_model(graphs.grid_local((4, 4), 1))
    found = layer_output.measure_distances(model, images)
    states = states_of(model, x).double()
    apart = torch.cdist(states, states, compute_mode="donot_use_mm_for_euclid_dist")
    different = ~torch.eye(len(y), dtype=torch.bool)
    same = (y[:, None] == y) & different
    torch.testing.assert_close(found.within, root_mean_square(apart, same), rtol=1e-5, atol=0)
    other = root_mean_square(apart, ~same & different)
    torch.testing.assert_close(found.between, other, rtol=1e-5, atol=0)
    torch.testing.assert_close(found.ratio, found.between / found.within)


def test_distances_of_two_points_are_exact():
    """Class 0 lies at 0 and 2, class 1 at 10 and 12, and loops double them."""
    x = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    y = torch.tensor([0, 0, 1, 1])
    images = Images("line", 2, (1,), x, y, x, y)
    one = Data(edge_index=torch.zeros(2, 1, dtype=torch.int64), num_nodes=1)
    model = torch.nn.Sequential()
    model.add_module("encode", torch.nn.Identity())
    layer = GraphLayer(one, 2)
    torch.nn.init.constant_(layer.weight, 2.0)
    model.add_module("graph", layer)
    found = layer_output.measure_distances(model, images)
    assert found.within.tolist() == [2, 4, 8]
    # 10, 12, 8 and 10.
    assert found.between.tolist() == pytest.approx([102**0.5, 2 * 102**0.5, 4 * 102**0.5])
    before = layer_output.Distances(found.within, 3 * found.within)
    table = layer_output.distance_table({7: found}, {7: before})
    assert [row[:3] for row in table] == [(7, 0, 2), (7, 1, 4), (7, 2, 8)]
    assert table[0][3:] == pytest.approx((102**0.5, 102**0.5 / 2, 3))
    assert len(table[0]) == len(layer_output.DISTANCE_COLUMNS)


def test_samples_are_the_first_two_images_of_each_class():
    images = noise()
    model = make_model(graphs.grid_local((4, 4), 1))
    found = layer_output.take_samples(model, images)
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.images.tolist() == [0, 4, 1, 2]
    wanted = states_of(model, images.test_x[found.images])
    torch.testing.assert_close(found.states.flatten(2), wanted)
    table = list(layer_output.sample_table(found))
    assert len(table) == 2 * 4 * 16
    assert table[0][:5] == (0, 0, 1, 0, 0)
    assert table[-1][:5] == (1, 2, 3, 3, 3)
    assert table[-1][5] == pytest.approx(float(found.states[3, 3, 3, 3]))
    assert len(table[0]) == len(layer_output.SAMPLE_COLUMNS)


@pytest.mark.parametrize(
    ("sheet", "pixels", "plane"), [((16,), 9, (1, 16)), ((2, 2, 4), 8, (4, 4))]
)
def test_any_lattice_and_number_of_pixels_is_drawn(sheet, pixels, plane):
    images = noise(sheet, pixels)
    model = make_model(graphs.grid_local(sheet, 1), pixels)
    samples = layer_output.take_samples(model, images)
    assert samples.states.shape == (4, 4, *plane)
    distances = {seed: layer_output.measure_distances(model, images) for seed in (0, 1)}
    figure = layer_output.draw(samples, distances, distances, images, title="noise")
    figure.canvas.draw()
    pictures = [ax for ax in figure.get_axes() if ax.images]
    # Two images of both classes, and their states after two loops.
    assert len(pictures) >= 3 * 2 * 2


def test_a_class_with_one_test_image_has_one_sample():
    images = noise()
    few = Images(
        "few", 3, (4, 4), images.train_x, images.train_y, images.test_x[:3], torch.tensor([0, 1, 1])
    )
    model = make_model(graphs.grid_local((4, 4), 1))
    samples = layer_output.take_samples(model, few)
    assert samples.labels.tolist() == [0, 1, 1]
    found = layer_output.measure_distances(model, few)
    layer_output.draw(samples, {0: found}, {0: found}, few, title="few").canvas.draw()
