import math

import numpy as np
import pytest
import torch

import graphs
from graphs.generators import growth
from graphs.generators.proximity import _mixed

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def grown_by_hand(neurons, alpha, beta, sides, directed, seed, tries):
    """The rule of the paper, position by position, with the same positions and random numbers."""
    rng = np.random.default_rng(seed)
    pos = np.asarray([sides], np.float32) / 2
    first = rng.integers(2**64, size=(2, 1), dtype=np.uint64)
    pos = np.concatenate((pos, (rng.random((tries - 1, len(sides))) * sides).astype(np.float32)))
    rest = rng.integers(2**64, size=(2, tries - 1), dtype=np.uint64)
    sends, receives = np.concatenate((first, rest), axis=1)
    kept, synapses = [0], set()
    for place in range(1, tries):
        if len(kept) == neurons:
            break
        old = np.array(kept)
        gap = pos[old].astype(float) - pos[place].astype(float)
        chance = beta * np.exp(-alpha * np.sqrt((gap**2).sum(axis=1)))
        here = _mixed(sends[old] + receives[place]) < chance
        back = _mixed(sends[place] + receives[old]) < chance if directed else here
        if not (here | back).any():
            continue
        number = len(kept)
        synapses |= {(int(at), number) for at in np.flatnonzero(here)}
        synapses |= {(number, int(at)) for at in np.flatnonzero(back)}
        kept.append(place)
    return pos[kept], synapses


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize(
    ("neurons", "alpha", "beta", "sides"),
    [(150, 12.0, 1.0, (1.0, 1.0)), (80, 2.0, 0.2, (3.0,)), (60, 3.0, 0.9, (1.0, 2.0, 1.0))],
)
def test_equals_the_rule_place_by_place(neurons, alpha, beta, sides, directed):
    # At first twice as many positions as neurons are drawn, which is enough here.
    data = graphs.kaiser_hilgetag(neurons, alpha, beta, extent=sides, directed=directed, seed=5)
    pos, synapses = grown_by_hand(neurons, alpha, beta, sides, directed, 5, 2 * neurons)
    assert len(pos) == neurons
    assert torch.equal(data.pos, torch.from_numpy(pos))
    assert set(zip(*data.edge_index.tolist(), strict=True)) == synapses


def test_hardly_any_reach():
    # Most positions are rejected, so many more are drawn than are kept.
    data = graphs.kaiser_hilgetag(300, 120, seed=1)
    assert graphs.strongly_connected(data) == 1
    assert data.pos[0].tolist() == [0.5, 0.5]
    # Growth goes outwards: the first fifth is closer to the center than the last.
    away = (data.pos - 0.5).norm(dim=1)
    assert away[:60].mean() < away[-60:].mean()
    source, target = data.edge_index
    earlier = source < target
    assert (target[earlier].bincount(minlength=300)[1:] > 0).all()


def test_without_a_fall_it_is_a_random_graph():
    neurons, beta = 400, 0.05
    data = graphs.kaiser_hilgetag(neurons, 0, beta, seed=0)
    # Only the first few positions may be rejected; later ones are almost certainly connected.
    late = int((data.edge_index.max(dim=0).values >= 200).sum()) / 2
    pairs = neurons * (neurons - 1) / 2 - 200 * 199 / 2
    assert abs(late - pairs * beta) / math.sqrt(pairs * beta * (1 - beta)) < Z


def test_all_are_connected_with_certainty_at_no_distance():
    data = graphs.kaiser_hilgetag(20, 0, seed=0)
    assert data.num_edges == 20 * 19
    assert graphs.kaiser_hilgetag(20, 0, self_loops=True, seed=0).num_edges == 400


@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_hardly_any_neurons(neurons):
    data = graphs.validate(graphs.kaiser_hilgetag(neurons, 1.0, seed=0))
    assert data.num_nodes == neurons
    assert data.num_edges == neurons * (neurons - 1)
    assert data.pos.shape == (neurons, 2)


def test_growth_that_does_not_come_off_is_given_up(monkeypatch):
    monkeypatch.setattr(growth, "_FIRST_TRIES", 1000)
    with pytest.raises(ValueError, match=r"alpha must .* got 1e\+09: of 2,000 positions only 1 "):
        graphs.kaiser_hilgetag(10, 1e9, seed=0)


def test_the_same_without_compiled_helpers(plain):
    for directed in (False, True):
        options = {"num_nodes": 500, "alpha": 20.0, "directed": directed, "seed": 3}
        found = graphs.kaiser_hilgetag(**options)
        expected = plain(graphs.kaiser_hilgetag, **options)
        assert torch.equal(found.edge_index, expected.edge_index)
        assert torch.equal(found.pos, expected.pos)


def test_pinned_synapses():
    data = graphs.kaiser_hilgetag(30, 6.0, 0.8, seed=11)
    assert data.num_edges == 130
    assert data.edge_index[0, :6].tolist() == [1, 3, 4, 5, 12, 13]
    assert data.pos[2].tolist() == pytest.approx([0.36899313, 0.51139003], abs=1e-7)
