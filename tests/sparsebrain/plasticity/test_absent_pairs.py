"""Pairs without a synapse are drawn uniformly, and never by listing all pairs of a large graph."""

import itertools

import pytest
import torch
from scipy.stats import chi2

from sparsebrain.plasticity.absent_pairs import draw_absent

NEURONS = 8
DRAWS = 2000
# The false-alarm rate of each test.
ALARM = 1e-6


def some(number, self_loops=False):
    """That many synapses, spread over all pairs."""
    pairs = [
        (source, target)
        for source, target in itertools.product(range(NEURONS), repeat=2)
        if self_loops or source != target
    ]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(1))
    return torch.tensor(pairs)[order[:number]].T


@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("synapses", [10, 40])
@pytest.mark.parametrize("given", [False, True])
def test_every_absent_pair_is_equally_likely(synapses, self_loops, given):
    """Both where pairs are rejected and where they are listed, since most are connected."""
    edge_index = some(synapses, self_loops)
    pairs = some(64 if self_loops else 56, self_loops)[:, :50] if given else None
    allowed = some(64 if self_loops else 56, self_loops) if pairs is None else pairs
    present = {*map(tuple, edge_index.T.tolist())}
    absent = sorted({*map(tuple, allowed.T.tolist())} - present)
    generator = torch.Generator().manual_seed(0)
    count = 5
    counts = dict.fromkeys(absent, 0)
    for _ in range(DRAWS):
        drawn = draw_absent(
            edge_index, NEURONS, count, pairs=pairs, self_loops=self_loops, generator=generator
        )
        chosen = [*map(tuple, drawn.T.tolist())]
        assert len({*chosen}) == count
        for each in chosen:
            counts[each] += 1
    expected = DRAWS * count / len(absent)
    # Counts without replacement vary less than those of a multinomial.
    scale = (len(absent) - 1) / (len(absent) - count)
    found = scale * sum((each - expected) ** 2 / expected for each in counts.values())
    assert found < chi2.isf(ALARM, len(absent) - 1)


def test_a_large_graph_is_no_matrix():
    """A million neurons have 10^12 pairs, and int64 codes beyond 2^31 are drawn."""
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(10**6, (2, 1000), generator=generator)
    drawn = draw_absent(edge_index, 10**6, 5000, generator=generator)
    assert drawn.shape == (2, 5000)
    # The means of uniform ends, within 5 standard errors (false alarm 1e-6).
    error = (drawn.double().mean(1) / 10**6 - 0.5).abs()
    assert (error < 5 / (12 * 5000) ** 0.5).all()


def test_too_few_absent_pairs_are_told():
    with pytest.raises(ValueError, match=r"5 synapses would .* only 3 pairs .* not connected"):
        draw_absent(some(53), NEURONS, 5)
    assert draw_absent(some(53), NEURONS, 5, all_of_them=False).shape == (2, 3)
    assert draw_absent(some(56), NEURONS, 0).shape == (2, 0)
