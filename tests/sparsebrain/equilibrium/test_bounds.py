"""What a constraint guarantees, after any step of any optimizer."""

import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.equilibrium.bounds import Contraction
from sparsebrain.kernels import Structure
from sparsebrain.kernels.activations import ACTIVATIONS

KINDS = ["norm", "perron"]
OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=100.0, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=3.0),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=1.0, weight_decay=0.1),
    "Rprop": lambda parameters: torch.optim.Rprop(parameters, lr=1.0),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, lr=1.0),
    "Adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=10.0),
}


def size(layer, kind):
    source, target = layer.edge_index
    matrix = torch.zeros(layer.num_nodes, layer.num_nodes, dtype=torch.float64)
    synapses = layer.weight_per_synapse().detach().double()
    matrix = matrix.index_put((target, source), synapses, accumulate=True)
    if kind == "norm":
        return float(torch.linalg.matrix_norm(matrix, 2))
    return float(torch.linalg.eigvals(matrix.abs()).abs().max())


@pytest.fixture
def data():
    made = graphs.small_world(60, 8, 0.3, self_loops=True, seed=0)
    made.node_sign = torch.where(torch.arange(60) % 4 == 0, -1.0, 1.0)
    return made


@pytest.mark.parametrize("dale", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_step_leaves_the_bound_and_all_starts_lead_to_one_state(data, kind, optimizer, dale):
    torch.manual_seed(0)
    options = Equilibrium(constraint=kind, bound=0.9, tol=1e-6, max_loops=1000)
    layer = GraphLayer(data, options, activation="tanh", bias=True, dale=dale)
    steps = OPTIMIZERS[optimizer](layer.parameters())
    x, wanted = torch.randn(4, 60), 3 * torch.randn(4, 60)
    sizes = []
    for _ in range(8):
        steps.zero_grad()
        (layer(x) - wanted).square().mean().backward()
        steps.step()
        sizes.append(size(layer, kind))
        assert sizes[-1] <= 0.9 * (1 + 1e-5)
        if dale:
            assert bool((layer.weight * data.node_sign[data.edge_index[0]] >= 0).all())
    assert max(sizes) > 0.8, "the steps must have been large enough to reach the bound"

    layer = layer.double()
    x = x.double()
    with torch.no_grad():
        z = layer(x)
        for start in (torch.randn_like(x), 1e3 * torch.randn_like(x)):
            again, _ = layer(x, state=start)
            # Each is within tol / (1 - 0.9) of the equilibrium; in the other norm, a constant more.
            torch.testing.assert_close(again, z, rtol=0, atol=1e-3)
            assert bool(layer.report.converged.all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "activation", [None, *(name for name in ACTIVATIONS if name != "none"), torch.sin]
)
def test_a_loop_brings_states_together_by_the_bound(data, kind, activation):
    """In the Euclidean norm, or in the maximum weighted by the Perron vector of |W|."""
    lipschitz = 1.0 if callable(activation) else None
    options = Equilibrium(constraint=kind, bound=0.8, lipschitz=lipschitz)
    layer = GraphLayer(data, options, activation=activation, dtype=torch.float64)
    layer.weight = layer.weight.detach() * 0.5
    layer.parametrizations.weight.original.data.mul_(100)
    source, target = layer.edge_index
    matrix = torch.zeros(60, 60, dtype=torch.float64)
    matrix = matrix.index_put((target, source), layer.weight.detach())
    first, second = torch.randn(2, 100, 60, dtype=torch.float64)
    function = activation if callable(activation) else ACTIVATIONS[activation or "none"].function
    apart = (function(first @ matrix.t()) - function(second @ matrix.t())).abs()
    before = (first - second).abs()
    if kind == "norm":
        assert bool((apart.norm(dim=1) <= 0.8 * before.norm(dim=1)).all())
    else:
        values, vectors = torch.linalg.eig(matrix.abs())
        perron = vectors[:, values.abs().argmax()].real.abs()
        assert bool(((apart / perron).amax(1) <= 0.8 * (before / perron).amax(1) + 1e-9).all())


def test_a_flatter_activation_leaves_more_room(data):
    for kind in KINDS:
        options = Equilibrium(constraint=kind, bound=0.8)
        layer = GraphLayer(data, options, activation="sigmoid")
        layer.parametrizations.weight.original.data.mul_(100)
        assert 0.9 * 3.2 <= size(layer, kind) <= 3.2 * (1 + 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_weights_are_bounded_too(kind):
    data = graphs.grid_local((6, 6), 1)
    layer = GraphLayer(data, Equilibrium(constraint=kind), weight_sharing="type")
    assert layer.weight.shape == (9,)
    layer.parametrizations.weight.original.data.mul_(100)
    assert 0.7 * 0.95 <= size(layer, kind) <= 0.95 * (1 + 1e-5)
    layer(torch.randn(3, 36)).sum().backward()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_gradient_passes_through_the_bound(kind, scale):
    data = graphs.small_world(12, 4, 0.5, self_loops=True, seed=1)
    structure = Structure(data.edge_index, 12)
    # All N steps of Lanczos are taken, and power iteration has come to its end.
    bounded = Contraction(structure, kind, 0.9)
    free = scale * torch.randn(data.num_edges, generator=torch.Generator().manual_seed(0)).double()
    assert torch.autograd.gradcheck(bounded, free.requires_grad_(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_too_large_are_refused_or_scaled_when_measured(data, kind):
    layer = GraphLayer(data, Equilibrium(constraint=kind))
    before = layer.weight.detach().clone()
    with pytest.raises(ValueError, match=r"by 0.95, but it would be .*; pass 0\.\d+ \*"):
        layer.weight = torch.ones(data.num_edges)
    assert torch.equal(layer.weight, before)
    layer.weight = before / 2
    torch.testing.assert_close(layer.weight.detach(), before / 2)

    data.edge_weight = torch.randint(1, 9, (data.num_edges,)).float()
    measured = GraphLayer(data, Equilibrium(constraint=kind), init="edge_weight")
    ratio = measured.weight.detach() / torch.from_numpy(graphs.signed_weights(data))
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert 0.9 < size(measured, kind) <= 0.95 * (1 + 1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_not_hidden(data, kind, wrong):
    layer = GraphLayer(data, Equilibrium(constraint=kind), activation="tanh")
    layer.parametrizations.weight.original.data[3] = wrong
    with pytest.warns(UserWarning, match="did not converge for 2 of 2"):
        layer(torch.randn(2, 60))
    assert not bool(layer.report.converged.any())


@pytest.mark.parametrize("kind", KINDS)
def test_it_moves_with_the_layer(data, kind):
    torch.manual_seed(0)
    layer = GraphLayer(data, Equilibrium(constraint=kind), device="meta")
    assert layer.weight.is_meta
    layer.to_empty(device="cpu").reset_parameters(torch.Generator().manual_seed(0))
    expected = GraphLayer(data, Equilibrium(constraint=kind))
    expected.reset_parameters(torch.Generator().manual_seed(0))
    assert torch.equal(layer.weight, expected.weight)
    assert layer.double().weight.dtype == torch.float64


def test_a_graph_without_cycles_is_no_contraction_in_the_norm_but_settles(data):
    layered = graphs.layered([10, 20, 5])
    for kind in KINDS:
        torch.manual_seed(0)
        layer = GraphLayer(layered, Equilibrium(constraint=kind), bias=True)
        layer(torch.randn(3, 35))
        # Three layers are passed in as many loops; one more sees that nothing changes.
        assert int(layer.report.loops.max()) <= 5
        assert size(layer, kind) <= 0.95
    cell = Data(edge_index=torch.zeros(2, 1).long(), num_nodes=1)
    layer = GraphLayer(cell, Equilibrium(constraint="perron"))
    layer.parametrizations.weight.original.data.fill_(-7)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([-0.95]))
