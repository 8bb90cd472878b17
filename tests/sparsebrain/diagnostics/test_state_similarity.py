import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer
from sparsebrain.diagnostics import similarity, similarity_of


def positive(loops, seed=0, **options):
    """A primitive W: a small world with self-loops and weights in [0.5, 1.5] / 8."""
    data = graphs.small_world(60, 6, 0.3, self_loops=True, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    data.edge_weight = (torch.rand(data.num_edges, generator=draw) + 0.5) / 8
    return GraphLayer(data, loops, init="edge_weight", dtype=torch.float64, **options)


@pytest.mark.parametrize("seed", range(3))
def test_differences_fade_as_the_eigenvalues_say(seed, dense):
    """The step of the last loops is |lambda_2 / lambda_1|; complex pairs turn, so over many."""
    layer = positive(120, seed)
    values = np.sort(np.abs(np.linalg.eigvals(dense(layer).numpy())))[::-1]
    x = torch.rand(4, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = similarity(layer, x)
    assert found.ratio == pytest.approx(values[1] / values[0], rel=1e-9)
    first, last = (20, 50) if found.difference[60] < 1e-13 else (30, 60)
    step = float(found.difference[last] / found.difference[first]) ** (1 / (last - first))
    assert step == pytest.approx(found.ratio, rel=0.02)
    assert float(found.cosine[-1]) == pytest.approx(1, abs=1e-12)


def test_a_known_gap_is_met_to_the_last_digits(weighted):
    """W = [[2, 1], [1, 2]]: inputs (1, 0) and (0, 1) become (3^L +- 1) / 2."""
    pair = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])
    data = Data(edge_index=pair, num_nodes=2)
    layer = weighted(data, torch.tensor([2.0, 1.0, 1.0, 2.0], dtype=torch.float64), 20)
    found = similarity(layer, torch.eye(2, dtype=torch.float64))
    power = 3.0 ** torch.arange(21, dtype=torch.float64)
    # Two unit vectors at angle 2 a from each other, with tan a = 1 / 3^L.
    angle = torch.atan(1 / power)
    torch.testing.assert_close(found.cosine, torch.cos(2 * angle))
    torch.testing.assert_close(found.difference, 2 * torch.sin(angle), rtol=1e-7, atol=1e-15)
    assert found.ratio == pytest.approx(1 / 3, rel=1e-12)
    torch.testing.assert_close(found.prediction[-5:], found.difference[-5:], rtol=1e-6, atol=0)


def test_the_mean_is_over_all_pairs(layer):
    x = torch.randn(5, 20, dtype=torch.float64)
    _, states = layer(x, return_states=True)
    states = states.detach()
    found = similarity(layer, x, predict=False)
    pairs = [(one, other) for one in range(5) for other in range(one)]
    for loop, state in enumerate(states):
        alike = torch.stack([cosine_similarity(state[a], state[b], dim=0) for a, b in pairs])
        if layer.inject and loop == 0:
            assert bool(found.cosine[0].isnan())
            assert bool(found.difference[0].isnan())
            continue
        torch.testing.assert_close(found.cosine[loop], alike.mean())
        chord = (2 - 2 * alike.abs()).sqrt().mean()
        torch.testing.assert_close(found.difference[loop], chord)
    assert math.isnan(found.ratio)


def test_the_sign_does_not_count():
    """All features are lost too where states differ in nothing but their sign."""
    state = torch.randn(1, 1, 6)
    found = similarity_of(torch.cat([state, -3 * state], dim=1))
    assert float(found.difference) == pytest.approx(0, abs=1e-6)
    assert float(found.cosine) == pytest.approx(-1)


def test_sizes_do_not_count():
    states = torch.rand(3, 4, 6, dtype=torch.float64)
    scale = 10.0 ** torch.tensor([-300.0, -200, 200, 300], dtype=torch.float64).unsqueeze(1)
    one, other = similarity_of(states), similarity_of(states * scale)
    torch.testing.assert_close(one.cosine, other.cosine)
    torch.testing.assert_close(one.difference, other.difference)


def test_states_of_zeros_have_no_pairs():
    states = torch.rand(2, 3, 6, dtype=torch.float64)
    states[1, 0] = 0
    found = similarity_of(states)
    torch.testing.assert_close(found.cosine[1], similarity_of(states[1:, 1:]).cosine[0])
    assert bool(similarity_of(torch.zeros(1, 3, 6)).cosine.isnan())


def test_further_dimensions_are_averaged_over():
    states = torch.rand(4, 3, 2, 6, dtype=torch.float64)
    parts = [similarity_of(states[:, number]).difference for number in range(3)]
    torch.testing.assert_close(similarity_of(states).difference, torch.stack(parts).mean(0))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"S = 2 inputs to compare, got \[3, 1, 60\]"):
        similarity(positive(2), torch.rand(60, dtype=torch.float64))
    states = torch.ones(4, 2, 3)
    states[2:, 1, 0] = float("inf")
    with pytest.raises(ValueError, match="are not from loop 2 on"):
        similarity_of(states)
    layer = GraphLayer(graphs.grid_local(5, 1), aggr="max")
    with pytest.raises(ValueError, match="not W x"):
        similarity(layer, torch.rand(2, 5))
    assert similarity(layer, torch.rand(2, 5), predict=False).cosine.shape == (2,)


def test_the_picture_shows_measurement_and_prediction():
    found = similarity(positive(10), torch.rand(3, 60, dtype=torch.float64))
    measured, predicted = found.plot().get_lines()
    np.testing.assert_array_equal(measured.get_ydata(), found.difference)
    np.testing.assert_array_equal(predicted.get_ydata(), found.prediction)
    alone = similarity_of(torch.rand(3, 2, 6))
    assert len(alone.plot().get_lines()) == 1


def test_a_complex_pair_in_front_is_told():
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    states = torch.stack([torch.eye(2) @ torch.matrix_power(turn, loop) for loop in range(4)])
    ax = similarity_of(states, ratio=1.0).plot()
    measured, predicted = ax.get_lines()
    assert predicted.get_label().startswith("no slope")
    np.testing.assert_allclose(measured.get_ydata(), predicted.get_ydata())
