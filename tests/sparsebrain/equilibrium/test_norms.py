"""Sizes of directed weight matrices against dense linear algebra."""

import math

import pytest
import torch

import graphs
from sparsebrain.equilibrium.norms import norm_bound, perron_bound, spectral_radius
from sparsebrain.kernels import Structure

GRAPHS = {
    "small world": graphs.small_world(150, 8, 0.3, seed=0),
    "grid": graphs.grid_local((12, 12), 1),
    "places": graphs.coordinate_random(120, (6, 5), 1.2, seed=0),
    "layers": graphs.layered([20, 30, 10]),
    "ring": graphs.small_world(100, 2, 0.0, seed=0),
}


def drawn(name, kind, dtype=torch.float64):
    data = GRAPHS[name]
    structure = Structure(data.edge_index, data.num_nodes)
    weight = torch.randn(structure.num_edges, generator=torch.Generator().manual_seed(3))
    weight = weight.abs() if kind == "positive" else weight
    return structure, weight.to(dtype)


def dense(structure, weight):
    source, target = structure.edge_index
    matrix = weight.new_zeros(structure.num_nodes, structure.num_nodes)
    return matrix.index_put((target, source), weight, accumulate=True).double()


def radius(matrix):
    return float(torch.linalg.eigvals(matrix).abs().max())


@pytest.mark.parametrize("kind", ["signed", "positive"])
@pytest.mark.parametrize("name", GRAPHS)
def test_sizes_are_those_of_the_dense_matrix(name, kind):
    structure, weight = drawn(name, kind)
    matrix = dense(structure, weight)
    norm = float(torch.linalg.matrix_norm(matrix, 2))
    assert norm <= float(norm_bound(structure, weight).bound) <= 1.027 * norm
    largest = radius(matrix.abs())
    bound = float(perron_bound(structure, weight).bound)
    # Without a cycle the radius is 0, and what remains of the bound falls with the loops alone.
    assert largest * (1 - 1e-12) <= bound <= 1.1 * largest + 0.05 * float(matrix.abs().sum(1).max())
    if name != "layers":
        assert spectral_radius(structure, weight) == pytest.approx(radius(matrix), rel=1e-6)


def test_the_bounds_hold_in_float32_too():
    structure, weight = drawn("small world", "signed", torch.float32)
    matrix = dense(structure, weight)
    assert float(norm_bound(structure, weight).bound) >= torch.linalg.matrix_norm(matrix, 2)
    assert float(perron_bound(structure, weight).bound) >= radius(matrix.abs())


def test_complex_eigenvalues_are_no_obstacle():
    """Three neurons in a ring have 2, and 2 turned by a third; what hangs on them has less."""
    structure, weight = drawn("small world", "signed")
    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
    edges = torch.cat([ring, structure.edge_index + 3], 1)
    weight = weight * 0.5 / spectral_radius(structure, weight)
    joined = torch.cat([torch.tensor([1.0, -2.0, 4.0]).double(), weight])
    structure = Structure(edges, 153)
    assert spectral_radius(structure, joined) == pytest.approx(2)
    assert float(perron_bound(structure, joined).bound) >= 2


@pytest.mark.parametrize("neurons", [150, 1200])
def test_around_a_ring_they_are_the_roots_of_the_product_of_its_weights(neurons):
    weight = torch.rand(neurons, generator=torch.Generator().manual_seed(0)).double() + 0.5
    number = torch.arange(neurons)
    ring = Structure(torch.stack([number, (number + 1) % neurons]), 2 * neurons)
    mean = float(weight.log().mean().exp())
    assert spectral_radius(ring, weight) == pytest.approx(mean, rel=1e-12)
    assert float(perron_bound(ring, weight).bound) >= mean
    assert float(norm_bound(ring, weight).bound) == pytest.approx(float(weight.max()), rel=0.027)


def test_what_does_not_converge_is_told(monkeypatch):
    """A ring with a shortcut has its eigenvalues near a circle; the dense way out is closed."""
    monkeypatch.setattr("graphs.eigenvalues._RESCUE", 0)
    monkeypatch.setattr("graphs.eigenvalues._ATTEMPTS", ((40, 2),))
    number = torch.arange(400)
    ends = torch.stack([number, (number + 1) % 400])
    ring = Structure(torch.cat([ends, torch.tensor([[0], [2]])], 1), 400)
    with pytest.raises(RuntimeError, match="did not converge.*use perron_bound"):
        spectral_radius(ring, torch.ones(401))


@pytest.mark.parametrize("seed", range(4))
def test_many_eigenvalues_near_the_largest_hide_it_not(seed):
    """Weights at random have theirs in a disc, of which a thin rim holds dozens."""
    data = graphs.small_world(600, 20, 1.0, seed=seed)
    structure = Structure(data.edge_index, 600)
    weight = torch.randn(structure.num_edges, generator=torch.Generator().manual_seed(seed))
    wanted = radius(dense(structure, weight))
    assert spectral_radius(structure, weight) == pytest.approx(wanted, rel=1e-6)


def test_without_cycles_the_radius_is_zero():
    structure, weight = drawn("layers", "signed")
    assert spectral_radius(structure, weight) == 0.0


def test_parts_that_do_not_reach_each_other_count_all():
    """Two strong parts and a chain between them, which has no cycle of its own."""
    edges = torch.tensor([[0, 1, 1, 2, 3, 4, 5, 5], [1, 0, 2, 3, 4, 5, 4, 5]])
    weight = torch.tensor([1.0, 4.0, 9.0, 9.0, 9.0, 0.5, 0.5, 0.5], dtype=torch.float64)
    structure = Structure(edges, 7)
    assert spectral_radius(structure, weight) == pytest.approx(2.0)
    assert 2 <= float(perron_bound(structure, weight).bound) <= 2.4


@pytest.mark.parametrize("bound", [norm_bound, perron_bound])
def test_vectors_are_the_derivative(bound):
    structure, weight = drawn("small world", "signed")
    options = {"vectors": True} if bound is perron_bound else {}
    size = bound(structure, weight, **options)
    matrix = dense(structure, weight).requires_grad_()
    if bound is norm_bound:
        exact = torch.linalg.matrix_norm(matrix, 2)
    else:
        exact = torch.linalg.eigvals(matrix.abs()).abs().max()
    (wanted,) = torch.autograd.grad(exact, matrix)
    source, target = structure.edge_index
    got = size.left[target] * size.right[source]
    if bound is perron_bound:
        got = got * weight.sign()
    if bound is norm_bound:
        got = got * exact.item() / size.bound
    torch.testing.assert_close(got, wanted[target, source], rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("bound", [norm_bound, perron_bound])
@pytest.mark.parametrize("weight", [0.0, math.nan, math.inf])
def test_bounds_of_extreme_weights(bound, weight):
    structure = Structure(torch.tensor([[0, 1, 1], [1, 0, 1]]), 2)
    found = float(bound(structure, torch.tensor([weight, weight, weight])).bound)
    assert found == weight or (math.isnan(weight) and math.isnan(found))
    none = Structure(torch.empty(2, 0, dtype=torch.int64), 3)
    assert float(bound(none, torch.empty(0)).bound) == 0
