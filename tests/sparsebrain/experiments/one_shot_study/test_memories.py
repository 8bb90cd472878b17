"""Memories score letters as their equations say."""

import pytest
import torch
from torch.nn import functional

from sparsebrain.experiments.one_shot_study import memories


def draw(*shape, seed=0):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(values, dim=-1)


EXAMPLES, QUERIES = draw(26, 3, 16), draw(40, 16, seed=1)


def test_hebbian_scores_are_cosines_with_the_mean_example():
    means = functional.normalize(EXAMPLES.mean(1), dim=1)
    for memory in (memories.hebb, memories.average):
        torch.testing.assert_close(memory(EXAMPLES, QUERIES), QUERIES @ means.T)


def test_the_delta_rule_is_that_of_the_explicit_matrix():
    weight = torch.zeros(26, 16)
    for example in EXAMPLES.unbind(1):
        for letter, key in enumerate(example):
            error = functional.one_hot(torch.tensor(letter), 26) - weight @ key
            weight = weight + torch.outer(error, key)
    expected = QUERIES @ functional.normalize(weight, dim=1).T
    torch.testing.assert_close(memories.delta(EXAMPLES, QUERIES), expected)


def test_one_example_gives_the_same_scores_in_all_but_the_delta_rule():
    once = EXAMPLES[:, :1]
    for memory in (memories.nearest, memories.hopfield, memories.hebb, memories.average):
        torch.testing.assert_close(memory(once, QUERIES), QUERIES @ once[:, 0].T)


def test_the_hopfield_network_attends_by_a_softmax_of_all_examples():
    scores = memories.hopfield(EXAMPLES, QUERIES)
    attention = (16 * QUERIES @ EXAMPLES.flatten(0, 1).T).softmax(1).view(-1, 26, 3).sum(2)
    torch.testing.assert_close((16 * scores).softmax(1), attention)


def test_the_mushroom_body_expands_with_five_percent_of_the_cells_active():
    body = memories.MushroomBody(16, torch.Generator().manual_seed(0))
    code = body(EXAMPLES)
    assert code.shape == (26, 3, 2075)
    assert torch.equal((code > 0).sum(2), torch.full((26, 3), 104))
    torch.testing.assert_close(code.norm(dim=2), torch.ones(26, 3))
    # 437 synapses of each copy, some of which come from the same feature.
    assert body.weight.sum() == 25 * 437


@pytest.mark.parametrize("write", ["hebb", "delta"])
def test_a_pair_is_stored_for_every_example(write):
    assert memories.stored(EXAMPLES, write).num_pairs == 78
