import numpy as np
import pytest
import torch

import graphs
from sparsebrain.experiments.figures import lost_features


@pytest.fixture(scope="module")
def measured():
    return lost_features.measure(seed=0)


@pytest.fixture(scope="module")
def weights():
    """The dense matrix [784, 784] of the same draw, float64."""
    grid = graphs.grid_local((28, 28), 1)
    drawn = torch.rand(grid.num_edges, generator=torch.Generator().manual_seed(0))
    matrix = np.zeros((784, 784))
    source, target = grid.edge_index.numpy()
    matrix[target, source] = drawn.numpy()
    return matrix


def test_the_states_are_the_power_iteration(measured, weights):
    first = measured.states[:, 0].flatten(2)
    after = torch.from_numpy(weights) @ first.flatten(0, 1).T
    after = (after / after.norm(dim=0)).T.reshape(first.shape)
    torch.testing.assert_close(measured.states[:, 1].flatten(2), after)


def test_both_inputs_turn_into_the_perron_vector(measured, weights):
    values, vectors = np.linalg.eig(weights)
    perron = np.abs(vectors[:, np.argmax(np.abs(values))].real)
    alike = measured.states[:, -1].flatten(2).numpy() @ (perron / np.linalg.norm(perron))
    assert (alike > 0.997).all()


def test_the_difference_fades_as_the_eigenvalues_say(measured, weights):
    second, first = np.sort(np.abs(np.linalg.eigvals(weights)))[-2:]
    assert measured.similarity.ratio == pytest.approx(second / first, rel=1e-9)
    difference = measured.similarity.difference
    assert difference.shape == (361,)
    slope = float((difference[360] / difference[300]) ** (1 / 60))
    assert slope == pytest.approx(measured.similarity.ratio, abs=5e-4)


def test_the_table_holds_both_curves(measured):
    rows = lost_features.table(measured)
    assert len(rows) == 361
    assert len(rows[0]) == len(lost_features.COLUMNS)
    assert rows[360][1] == pytest.approx(rows[360][2])
    assert rows[0][1] == pytest.approx(float(measured.similarity.difference[0]))
