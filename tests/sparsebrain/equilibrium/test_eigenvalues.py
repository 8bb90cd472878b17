"""On structures and weights by themselves; tests/sparsebrain/diagnostics has those of layers."""

import numpy as np
import pytest
import torch

from sparsebrain.equilibrium.eigenvalues import eigenvalues
from sparsebrain.kernels import Structure


def test_companion_matrices_have_the_roots_of_their_polynomial():
    """x^3 = 6 x^2 - 11 x + 6 has the roots 1, 2 and 3."""
    structure = Structure(torch.tensor([[2, 1, 0, 0, 1], [0, 0, 0, 1, 2]]), num_nodes=3)
    weight = torch.tensor([6.0, -11.0, 6.0, 1.0, 1.0], dtype=torch.float64)
    found = eigenvalues(structure, weight, 3)
    torch.testing.assert_close(found.real, torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
    assert float(found.imag.abs().max()) < 1e-12
    assert eigenvalues(structure, weight, 1).shape == (1,)


@pytest.mark.parametrize("seed", range(6))
def test_all_of_them_are_those_of_the_dense_matrix(seed):
    """Parallel synapses add up, and sparse graphs fall apart into components of every size."""
    draw = torch.Generator().manual_seed(seed)
    neurons = 90
    edges = torch.randint(0, neurons, (2, neurons + 40 * seed), generator=draw)
    weight = torch.randn(edges.size(1), generator=draw, dtype=torch.float64)
    matrix = torch.zeros(neurons, neurons, dtype=torch.float64)
    matrix.index_put_((edges[1], edges[0]), weight, accumulate=True)
    found = eigenvalues(Structure(edges, neurons), weight, neurons)
    # Not one by one: zeros of long chains come out of the dense matrix as circles.
    large = found[found.abs() > 0.2]
    dense = torch.linalg.eigvals(matrix)
    apart = (large.unsqueeze(1) - dense.unsqueeze(0)).abs().amin(1)
    assert float(apart.max()) < 1e-6
    powers = torch.stack([found.pow(p).sum() for p in range(1, 6)])
    traces = torch.stack([torch.linalg.matrix_power(matrix, p).trace() for p in range(1, 6)])
    np.testing.assert_allclose(powers.real, traces, rtol=1e-9, atol=1e-8)
    assert bool((found.abs().diff() <= 1e-12).all())


def test_pairs_come_together_the_upper_first():
    ring = Structure(torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
    found = eigenvalues(ring, torch.ones(3), 3)
    upper = found.imag > 0.5
    assert int(upper.sum()) == 1
    assert float((found**3 - 1).abs().max()) < 1e-12


def test_nothing_has_none():
    with pytest.raises(ValueError, match="number of neurons, 0, got 1; pass k=1"):
        eigenvalues(Structure(torch.zeros(2, 0, dtype=torch.int64), 0), torch.zeros(0), 1)
    alone = Structure(torch.zeros(2, 0, dtype=torch.int64), 4)
    assert eigenvalues(alone, torch.zeros(0), 4).tolist() == [0, 0, 0, 0]
