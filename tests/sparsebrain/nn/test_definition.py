"""The layer against its definition and the paper's (definitions: the graph layer)."""

import math

import numpy
import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

import graphs
from sparsebrain import GraphLayer
from sparsebrain.kernels.activations import ACTIVATIONS


def dense(layer):
    """W [N, N] with W[target, source] = weight, out of the public attributes alone."""
    source, target = layer.edge_index
    matrix = layer.weight.new_zeros(layer.num_nodes, layer.num_nodes)
    return matrix.index_put((target, source), layer.weight.detach(), accumulate=True)


def scatter(image, windows, distance, loops):
    """The paper's loop as it is written: out[y-d:y+d+1, x-d:x+d+1] += in[y, x] * W[y, x]."""
    height, width = image.shape
    for _ in range(loops):
        out = image.new_zeros(height + 2 * distance, width + 2 * distance)
        for y in range(height):
            for x in range(width):
                window = out[y : y + 2 * distance + 1, x : x + 2 * distance + 1]
                window += image[y, x] * windows[y, x]
        image = out[distance : height + distance, distance : width + distance]
    return image


@pytest.mark.parametrize("distance", [1, 2])
def test_the_grid_is_the_papers_scatter_of_windows(distance):
    shape, loops = (6, 7), 3
    data = graphs.grid_local(shape, distance)
    layer = GraphLayer(data, loops, dtype=torch.float64)
    windows = torch.zeros(*shape, 2 * distance + 1, 2 * distance + 1, dtype=torch.float64)
    source, target = data.edge_index
    for s, t, w in zip(source.tolist(), target.tolist(), layer.weight.tolist(), strict=True):
        (sy, sx), (ty, tx) = divmod(s, shape[1]), divmod(t, shape[1])
        windows[sy, sx, ty - sy + distance, tx - sx + distance] = w
    image = torch.randn(shape, dtype=torch.float64)
    expected = scatter(image, windows, distance, loops)
    torch.testing.assert_close(layer(image.flatten()).view(shape), expected)


@pytest.mark.parametrize("distance", [1, 2])
@pytest.mark.parametrize("loops", [1, 4])
def test_weights_shared_by_offset_are_a_convolution(distance, loops):
    shape, side = (9, 8), 2 * distance + 1
    layer = GraphLayer(
        graphs.grid_local(shape, distance), loops, weight_sharing="type", dtype=torch.float64
    )
    assert layer.weight.shape == (side**2,)
    x = torch.randn(5, *shape, dtype=torch.float64)
    kernel = layer.weight.detach().view(1, 1, side, side).requires_grad_()
    expected = flipped = x.unsqueeze(1)
    for _ in range(loops):
        expected = conv_transpose2d(expected, kernel, padding=distance)
        flipped = conv2d(flipped, kernel.flip(2, 3), padding=distance)

    out = layer(x.flatten(1))
    torch.testing.assert_close(out, expected.flatten(1))
    torch.testing.assert_close(out, flipped.flatten(1))
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, kernel.grad.flatten())


@pytest.mark.parametrize("loops", [1, 5])
def test_loops_are_a_power_of_the_matrix_with_its_gradients(random_graph, loops):
    layer = GraphLayer(random_graph, loops, dtype=torch.float64)
    matrix = dense(layer).requires_grad_()
    x = torch.randn(7, 40, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    expected = x @ torch.linalg.matrix_power(matrix, loops).t()
    torch.testing.assert_close(y, expected)

    source, target = layer.edge_index
    got = torch.autograd.grad(y.square().sum(), [layer.weight, x])
    wanted = torch.autograd.grad(expected.square().sum(), [matrix, x])
    torch.testing.assert_close(got[0], wanted[0][target, source])
    torch.testing.assert_close(got[1], wanted[1])


@pytest.mark.parametrize(
    "activation", [None, *(name for name in ACTIVATIONS if name != "none"), torch.cos]
)
@pytest.mark.parametrize("inject", [False, True])
def test_loops_with_bias_activation_and_injection(random_graph, activation, inject):
    layer = GraphLayer(
        random_graph, 3, activation=activation, bias=True, inject=inject, dtype=torch.float64
    )
    torch.nn.init.normal_(layer.bias)
    function = activation or (lambda u: u)
    if isinstance(activation, str):
        function = getattr(torch.nn.functional, activation)
    x = torch.randn(2, 3, 40, dtype=torch.float64)
    state = torch.zeros_like(x) if inject else x
    expected = [state]
    for _ in range(3):
        state = function(state @ dense(layer).t() + layer.bias + (x if inject else 0))
        expected.append(state)

    output, states = layer(x, return_states=True)
    assert states.shape == (4, 2, 3, 40)
    torch.testing.assert_close(states, torch.stack(expected))
    torch.testing.assert_close(output, expected[-1])
    torch.testing.assert_close(layer(x), expected[-1])


def test_a_given_state_goes_on_where_the_last_call_stopped(random_graph):
    once = GraphLayer(random_graph, 6, activation="tanh", inject=True)
    twice = GraphLayer(random_graph, 3, activation="tanh", inject=True)
    with torch.no_grad():
        twice.weight.copy_(once.weight)
    x = torch.randn(4, 40)
    output, state = twice(x, state=torch.zeros(4, 40))
    output, state = twice(x, state=state)
    torch.testing.assert_close(output, once(x))
    assert torch.equal(output, state)


@pytest.mark.parametrize(("distance", "loops"), [(1, 1), (1, 4), (2, 3)])
def test_one_pixel_reaches_exactly_chebyshev_distance_d_times_loops(distance, loops):
    side, middle = 21, 10
    layer = GraphLayer(graphs.grid_local((side, side), distance), loops)
    with torch.no_grad():
        layer.weight.fill_(1)
    image = torch.zeros(side, side)
    image[middle, middle] = 1
    reached = layer(image.flatten()).view(side, side) > 0
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    chebyshev = torch.maximum((rows - middle).abs(), (columns - middle).abs())
    assert torch.equal(reached, chebyshev <= distance * loops)


def test_different_inputs_align_with_the_perron_vector_at_the_rate_of_the_second_eigenvalue():
    """Figure 6: with a primitive positive W the error falls as |lambda2 / lambda1| ** loops."""
    torch.manual_seed(0)
    data = graphs.grid_local((6, 6), 1)
    layer = GraphLayer(data, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.rand(data.num_edges) + 0.1)
    values, vectors = torch.linalg.eig(dense(layer))
    order = values.abs().argsort(descending=True)
    perron = vectors[:, order[0]].real
    perron = perron / perron.norm() * perron.sum().sign()
    rate = float(values[order[1]].abs() / values[order[0]].abs())

    x = torch.rand(2, 36, dtype=torch.float64)
    errors = []
    for _ in range(120):
        x = layer(x).detach()
        x = x / x.norm(dim=1, keepdim=True)
        errors.append(float((x - perron).norm(dim=1).max()))
    measured = (errors[119] / errors[59]) ** (1 / 60)
    assert errors[-1] < 1e-2
    assert measured == pytest.approx(rate, rel=0.02)


def test_the_edge_order_of_the_connectome_is_the_order_of_the_weights(random_graph):
    layer = GraphLayer(random_graph, 1)
    assert torch.equal(layer.edge_index, random_graph.edge_index)
    for synapse in (0, 17, 80):
        source, target = random_graph.edge_index[:, synapse]
        x = torch.zeros(40)
        x[source] = 1
        assert layer(x)[target] == layer.weight[synapse]


@pytest.mark.parametrize("seed", range(20))
def test_twenty_linear_loops_keep_the_variance(topology, seed):
    """The variance of 256 columns along few eigenvectors spreads by 10 %, far inside the bounds."""
    torch.manual_seed(seed)
    data = topology(seed)
    layer = GraphLayer(data, loops=20)
    x = torch.randn(256, data.num_nodes)
    with torch.no_grad():
        gain = float(layer(x).var() / x.var())
    assert 0.3 <= gain <= 3


@pytest.mark.parametrize("weight_sharing", ["synapse", "type"])
@pytest.mark.parametrize("signed", [False, True])
def test_shared_and_signed_weights_keep_the_variance_too(weight_sharing, signed):
    data = graphs.grid_local((16, 16), 2)
    if signed:
        data.edge_sign = torch.where(data.edge_type % 3 == 0, -1.0, 1.0)
    torch.manual_seed(0)
    layer = GraphLayer(data, loops=20, weight_sharing=weight_sharing, dale=signed)
    x = torch.randn(256, 256)
    with torch.no_grad():
        assert 0.3 <= float(layer(x).var() / x.var()) <= 3


def test_a_layered_graph_keeps_the_variance_of_what_arrives():
    torch.manual_seed(0)
    sizes = [300, 200, 100]
    layer = GraphLayer(graphs.layered(sizes), loops=2)
    x = torch.randn(500, 600)
    gain = float(layer(x)[:, 500:].detach().var())
    assert 0.3 <= gain <= 3
    assert bool((layer(x)[:, :500] == 0).all())


def test_without_synapses_everything_is_forgotten_at_once():
    data = graphs.layered([3])
    layer = GraphLayer(data, 2, bias=True, activation="sigmoid")
    assert layer.weight.shape == (0,)
    assert torch.equal(layer(torch.randn(2, 3)), torch.full((2, 3), 0.5))


def test_parameters_come_from_torchs_generator_or_the_one_passed(grid):
    torch.manual_seed(3)
    first = GraphLayer(grid, 2)
    torch.manual_seed(3)
    assert torch.equal(GraphLayer(grid, 2).weight, first.weight)
    following = torch.rand(1)
    torch.manual_seed(3)
    torch.randn(first.weight.shape)
    assert torch.equal(torch.rand(1), following), "the calibration must not use torch's generator"

    first.reset_parameters(torch.Generator().manual_seed(5))
    other = GraphLayer(grid, 2)
    before = torch.get_rng_state()
    other.reset_parameters(torch.Generator().manual_seed(5))
    assert torch.equal(other.weight, first.weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_start_from_the_connectome_on_request(random_graph):
    random_graph.edge_weight = torch.rand(random_graph.num_edges)
    layer = GraphLayer(random_graph, 3, init="edge_weight")
    assert torch.equal(layer.weight, random_graph.edge_weight)


@pytest.mark.parametrize("loops", [1, 5, 20])
def test_near_the_identity_the_state_stays_much_what_it_is(loops):
    data = graphs.grid_local((28, 28), 2)
    torch.manual_seed(0)
    layer = GraphLayer(data, loops, init="identity")
    at_self = data.edge_index[0] == data.edge_index[1]
    own = layer.weight.detach()[at_self]
    assert torch.equal(own, own[:1].expand(784))
    x = torch.randn(256, 784)
    out = layer(x).detach()
    assert float(out.var()) == pytest.approx(1, abs=0.1)
    # (I + N)^L keeps 1 of sum_k (L choose k)^2 / L^(2k), which is 2 for L = 1 and I_0(2) = 2.28
    # for many loops; at the borders, where fewer synapses end, as much.
    kept = sum(math.comb(loops, k) ** 2 / loops ** (2 * k) for k in range(loops + 1)) ** -0.5
    assert float((out * x).mean()) == pytest.approx(kept, abs=0.05)


def test_the_identity_keeps_signs_and_shares_weights(grid):
    grid.edge_sign = torch.where(grid.edge_type % 2 == 0, -1.0, 1.0)
    layer = GraphLayer(grid, 3, init="identity", dale=True, weight_sharing="type")
    assert layer.weight.shape == (9,)
    assert torch.equal(layer.weight.detach().sign(), torch.tensor([-1.0, 1.0] * 4 + [-1.0]))
    others = layer.weight.detach().abs()[[0, 1, 2, 3, 5, 6, 7, 8]]
    assert float(others.max()) < float(layer.weight.detach()[4].abs())


def test_dale_gives_measured_counts_their_sign(random_graph):
    counts = torch.randint(1, 9, (random_graph.num_edges,)).float()
    random_graph.edge_weight = counts
    random_graph.node_sign = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
    sign = random_graph.node_sign[random_graph.edge_index[0]]
    layer = GraphLayer(random_graph, 1, init="edge_weight", dale=True)
    assert torch.equal(layer.weight, counts * sign)
    random_graph.edge_weight = counts * sign
    layer = GraphLayer(random_graph, 1, init="edge_weight", dale=True)
    assert torch.equal(layer.weight, counts * sign)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.Rprop])
def test_under_dale_no_step_flips_a_sign(grid, optimizer):
    torch.manual_seed(0)
    grid.edge_sign = torch.where(torch.rand(grid.num_edges) < 0.3, -1.0, 1.0)
    layer = GraphLayer(grid, 3, activation="tanh", dale=True)
    steps = optimizer(layer.parameters(), lr=1.0)
    for _ in range(10):
        steps.zero_grad()
        layer(torch.randn(4, 30)).sum().backward()
        steps.step()
        assert bool((layer.weight * grid.edge_sign >= 0).all())
    assert float(layer.weight.detach().abs().max()) > 1, (
        "the steps must have been large enough to flip"
    )


def test_dale_refuses_an_assigned_weight_of_the_wrong_sign(grid):
    grid.edge_sign = torch.ones(grid.num_edges)
    layer = GraphLayer(grid, dale=True)
    with pytest.raises(
        ValueError, match=r"fixes the sign of synapse 0 at \+1.*sign \* weight.abs\(\)"
    ):
        layer.weight = -torch.ones(grid.num_edges)


def test_numpys_integers_count_as_integers(grid):
    layer = GraphLayer(grid, numpy.int64(2))
    assert layer.loops == 2
    assert type(layer.loops) is int
