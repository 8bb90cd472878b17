import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def test_by_hand():
    # 0, 1 and 2 form a cycle, 0 and 1 also send to 3, and 4 has no synapses.
    edge_index = torch.tensor([[0, 1, 2, 0, 1, 3], [1, 2, 0, 3, 3, 3]])
    found = graphs.rich_club(Data(edge_index=edge_index, num_nodes=5))
    # Degrees 3, 3, 2, 2, 0.
    assert found.degree.tolist() == [0, 1, 2]
    assert found.coefficient.tolist() == pytest.approx([5 / 12, 5 / 12, 1 / 2])
    assert found.null is found.null_std is found.normalized is None


def test_it_is_normalized_by_the_nulls():
    rng = np.random.default_rng(0)
    # Ten hubs that are all connected, among neurons with random targets.
    hubs = [(a, b) for a in range(10) for b in range(10) if a != b]
    others = [(a, b) for a in range(10, 200) for b in rng.choice(200, 5, replace=False) if a != b]
    outward = [(a, b) for a in range(10) for b in rng.choice(np.arange(10, 200), 25, replace=False)]
    edge_index = torch.tensor(sorted({*hubs, *others, *outward})).T.contiguous()
    data = Data(edge_index=edge_index, num_nodes=200)
    nulls = [graphs.rewire_degrees(data, seed=seed) for seed in range(5)]
    found = graphs.rich_club(data, nulls=nulls)
    every = np.stack([graphs.rich_club(null).coefficient for null in nulls])
    np.testing.assert_allclose(found.null, every.mean(axis=0))
    np.testing.assert_allclose(found.null_std, every.std(axis=0, ddof=1))
    np.testing.assert_allclose(found.normalized, found.coefficient / found.null)
    assert found.coefficient[30] == 1
    assert found.normalized[30] > 1.5
    again = graphs.rich_club(data, nulls=3, seed=1).normalized
    assert np.array_equal(again, graphs.rich_club(data, nulls=3, seed=1).normalized)


def test_nulls_of_other_degrees_count_as_empty_where_they_end():
    data = graphs.small_world(20, 6, 0.2, seed=0)
    found = graphs.rich_club(data, nulls=[graphs.small_world(20, 2, 0.0)])
    assert found.null[5] == 0
    assert np.isnan(found.normalized[5])


def test_it_prints_in_one_line():
    grid = graphs.grid_local((6, 6), 1)
    told = "rich club of degrees 0 to 15: coefficient 0.175 to 0.35"
    assert str(graphs.rich_club(grid)) == told
    told += ", normalized at most 1.19, at degree 10; nulls: rewire_degrees"
    assert str(graphs.rich_club(grid, nulls=3, null_model="rewire_degrees")) == told
    assert str(graphs.rich_club(graphs.layered([1]))) == "rich club of no degree"
