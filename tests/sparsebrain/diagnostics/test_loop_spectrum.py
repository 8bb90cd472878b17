import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer
from sparsebrain.diagnostics import Spectrum, spectrum

RANDOM = {
    "dense way": lambda seed: graphs.small_world(50, 6, 0.5, seed=seed),
    "small world": lambda seed: graphs.small_world(300, 8, 0.3, seed=seed),
    "space": lambda seed: graphs.coordinate_random(400, (8, 5), 1.5, seed=seed),
    "thin, many components": lambda seed: graphs.coordinate_random(300, (20, 10), 1.0, seed=seed),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", RANDOM)
def test_it_is_that_of_the_dense_matrix(name, seed, dense):
    """Signed normal weights, of which most eigenvalues are complex."""
    torch.manual_seed(seed)
    layer = GraphLayer(RANDOM[name](seed), dtype=torch.float64)
    found = spectrum(layer, k=4)
    wanted = np.sort(np.abs(np.linalg.eigvals(dense(layer).numpy())))[::-1][:4]
    np.testing.assert_allclose(found.eigenvalues.abs(), wanted, rtol=1e-8)
    assert found.radius == pytest.approx(wanted[0], rel=1e-9)
    assert found.gap == pytest.approx(wanted[0] - wanted[1], abs=1e-8)
    assert found.ratio == pytest.approx(wanted[1] / wanted[0], rel=1e-8)
    assert found.eigenvalues.dtype == torch.complex128


def test_a_complex_pair_in_front_has_no_gap(weighted):
    """A turn by 30 degrees, twice as long at every loop, beside a slower neuron."""
    turn = 2 * torch.tensor([[3**0.5, -1.0], [1.0, 3**0.5]], dtype=torch.float64) / 2
    synapses = torch.tensor([[0, 1, 0, 1, 2], [0, 0, 1, 1, 2]])
    weight = torch.tensor([*turn.flatten(), 1.5], dtype=torch.float64)
    found = spectrum(weighted(Data(edge_index=synapses, num_nodes=3), weight, 1), k=3)
    wanted = torch.tensor([3**0.5 + 1j, 3**0.5 - 1j, 1.5], dtype=torch.complex128)
    torch.testing.assert_close(found.eigenvalues, wanted)
    assert found.radius == pytest.approx(2)
    assert found.gap == pytest.approx(0, abs=1e-14)
    assert found.ratio == pytest.approx(1)


@pytest.mark.parametrize("sizes", [[3, 4, 2], [60, 80, 40, 10]])
def test_a_layered_connectome_has_exactly_zero(sizes):
    """Where rounding would leave eps^(1 / depth), and with shuffled numbers more."""
    data = graphs.layered(sizes)
    shuffled = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(0))
    data = Data(edge_index=shuffled[data.edge_index], num_nodes=data.num_nodes)
    found = spectrum(GraphLayer(data), k=3)
    assert found.eigenvalues.tolist() == [0, 0, 0]
    assert found.radius == found.gap == 0
    assert np.isnan(found.ratio)


def test_components_are_joined(weighted):
    """Two cycles, a self-loop and a chain between them: roots of products, and the loop."""
    synapses = torch.tensor([[0, 1, 2, 3, 4, 2, 5], [1, 0, 3, 4, 2, 5, 5]])
    weight = torch.tensor([4.0, 4.0, 1.0, 1.0, 27.0, 100.0, -3.5], dtype=torch.float64)
    layer = weighted(Data(edge_index=synapses, num_nodes=6), weight, 1)
    found = spectrum(layer, k=6).eigenvalues
    np.testing.assert_allclose(found.abs(), [4, 4, 3.5, 3, 3, 3], rtol=1e-12)
    assert sorted(found[:2].real.round(decimals=9).tolist()) == [-4, 4]


def test_a_synapse_of_weight_zero_is_none(weighted):
    ring = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
    layer = weighted(ring, torch.tensor([1.0, 0.0], dtype=torch.float64), 1)
    assert spectrum(layer).radius == 0


@pytest.mark.parametrize("option", [{"weight_sharing": "type"}, {"dale": True}])
def test_shared_and_signed_weights_count_as_they_act(option):
    data = graphs.grid_local((4, 4), 1)
    data.node_sign = torch.where(torch.arange(16) % 3 == 0, -1.0, 1.0)
    layer = GraphLayer(data, dtype=torch.float64, **option)
    acts = layer(torch.eye(16, dtype=torch.float64)).detach().T
    wanted = np.abs(np.linalg.eigvals(acts.numpy())).max()
    assert spectrum(layer).radius == pytest.approx(wanted, rel=1e-9)


def test_it_agrees_with_graphs():
    data = graphs.grid_local((12, 12), 1)
    data.edge_weight = torch.rand(data.num_edges, generator=torch.Generator().manual_seed(0))
    found = spectrum(GraphLayer(data, init="edge_weight")).eigenvalues.abs()
    np.testing.assert_allclose(found, np.abs(graphs.spectrum(data)), rtol=1e-9)


def test_bad_input_is_refused():
    layer = GraphLayer(graphs.grid_local(5, 1))
    with pytest.raises(ValueError, match="k must be at most the number of neurons, 5, got 6"):
        spectrum(layer, k=6)
    with pytest.raises(ValueError, match="k must be an integer >= 1"):
        spectrum(layer, k=0)
    with pytest.raises(ValueError, match=r"not W x but \(1 - a\) x \+ a W x"):
        spectrum(GraphLayer(graphs.grid_local(5, 1), leak=0.5))
    with pytest.raises(ValueError, match="loop is not W x"):
        spectrum(GraphLayer(graphs.grid_local(5, 1), aggr="max"))
    with pytest.raises(ValueError, match=r"call spectrum\(layer, k=2\)"):
        _ = spectrum(layer, k=1).gap
    with torch.no_grad():
        layer.weight[0] = float("nan")
    with pytest.raises(ValueError, match="weight must be finite"):
        spectrum(layer)


def test_a_ring_that_arnoldi_cannot_part_has_the_roots_of_one():
    number = torch.arange(1200)
    ring = Data(
        edge_index=torch.stack((number, (number + 1) % 1200)),
        num_nodes=1200,
        edge_weight=torch.ones(1200),
    )
    found = spectrum(GraphLayer(ring, init="edge_weight"), k=3)
    assert found.radius == pytest.approx(1, rel=1e-12)
    wanted = np.exp(2j * np.pi / 1200 * np.array([0, 1, -1]))
    np.testing.assert_allclose(found.eigenvalues, wanted, atol=1e-12)


def test_the_picture_shows_every_eigenvalue():
    ax = Spectrum(torch.tensor([2.0, 1j, -1j], dtype=torch.complex128)).plot()
    assert ax.get_lines()[2].get_xydata().tolist() == [[2, 0], [0, 1], [0, -1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["unit circle", "radius 2"]
