"""Fast weights recall exactly what the explicit matrix recalls."""

import re

import pytest
import torch

import graphs
from sparsebrain.plasticity import FastWeights


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def explicit(connectome, keys, values, rate, decay, write):
    """Return W [N, N] after all pairs."""
    size = connectome.num_nodes
    source, target = connectome.edge_index
    ones = torch.zeros(size, size, dtype=torch.float64)
    ones.index_put_((target, source), torch.tensor(1.0, dtype=torch.float64), accumulate=True)
    weight = torch.zeros_like(ones)
    for key, value in zip(keys, values, strict=True):
        weight = decay * weight
        error = value - weight @ key if write == "delta" else value
        weight = weight + rate * torch.outer(error, key) * ones
    return weight


@pytest.mark.parametrize("write", ["hebb", "delta"])
@pytest.mark.parametrize("decay", [1.0, 0.9, 0.0])
def test_reading_is_a_product_with_the_explicit_matrix(write, decay):
    connectome = graphs.small_world(30, 6, 0.2, seed=0)
    keys, values, query = draw(7, 30), draw(7, 30, seed=1), draw(2, 5, 30, seed=2)
    memory = FastWeights(connectome, 0.05, decay, write)
    for key, value in zip(keys, values, strict=True):
        memory.write(key, value)
    weight = explicit(connectome, keys, values, 0.05, decay, write)
    torch.testing.assert_close(memory.read(query), query @ weight.T, rtol=1e-12, atol=1e-12)
    assert memory.num_pairs == 7


@pytest.mark.parametrize("write", ["hebb", "delta"])
def test_every_brain_has_its_own_weights(write):
    connectome = graphs.small_world(12, 4, 0.2, seed=0)
    keys, values, query = draw(5, 3, 12), draw(5, 3, 12, seed=1), draw(4, 3, 12, seed=2)
    memory = FastWeights(connectome, 0.1, 0.8, write)
    for key, value in zip(keys, values, strict=True):
        memory.write(key, value)
    recalled = memory.read(query)
    for brain in range(3):
        weight = explicit(connectome, keys[:, brain], values[:, brain], 0.1, 0.8, write)
        expected = query[:, brain] @ weight.T
        torch.testing.assert_close(recalled[:, brain], expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(memory.read(query[0]), recalled[0], rtol=1e-12, atol=1e-12)


def test_many_keys_are_read_in_parts(monkeypatch):
    memory = FastWeights(graphs.small_world(12, 4, 0.2, seed=0))
    for key, value in zip(draw(5, 12), draw(5, 12, seed=1), strict=True):
        memory.write(key, value)
    whole = memory.read(draw(3, 12, seed=2))
    monkeypatch.setattr("sparsebrain.plasticity.fast_weights._MOST_ELEMENTS", 1)
    torch.testing.assert_close(memory.read(draw(3, 12, seed=2)), whole, rtol=1e-13, atol=1e-13)


def test_the_delta_rule_recalls_the_last_value_exactly_and_replaces_an_older_one():
    memory = FastWeights(graphs.layered([4, 2]), write="delta")
    key = torch.tensor([0.5, 0.5, 0.5, 0.5, 0, 0])
    for value in ([0, 0, 0, 0, 1.0, 2], [0, 0, 0, 0, -3.0, 4]):
        memory.write(key, torch.tensor(value))
        assert torch.equal(memory.read(key), torch.tensor(value))


def test_familiarity_tells_stored_from_new_patterns():
    """W = X^T X / N with its diagonal gives scores 1.49 and 0.5 for N = 100 and P = 50.

    The means are within 5 standard errors of their expectation (false alarm 1e-6); the standard
    deviation of new scores is 0.0995.
    """
    size, stored, new = 100, 50, 2000
    generator = torch.Generator().manual_seed(0)
    patterns = 2.0 * torch.randint(2, (stored + new, size), generator=generator) - 1
    memory = FastWeights(graphs.erdos_renyi(size, 1.0, self_loops=True), rate=1 / size)
    for pattern in patterns[:stored]:
        memory.write(pattern, pattern)
    scores = (patterns * memory.read(patterns)).sum(1) / size
    old, unknown = scores[:stored].double(), scores[stored:].double()
    weight = patterns[:stored].T @ patterns[:stored] / size
    exact = ((patterns @ weight) * patterns).sum(1) / size
    torch.testing.assert_close(scores, exact, rtol=1e-5, atol=1e-5)
    assert abs(unknown.mean() - 0.5) < 0.02
    assert abs(unknown.std() - 0.0995) < 0.01
    assert abs(old.mean() - 1.49) < 5 * 0.0995 / 50**0.5
    assert old.min() > unknown.max()


def test_gradients_flow_through_writing_and_reading():
    connectome = graphs.small_world(6, 2, 0.2, seed=0)

    def recall(key, value, query):
        memory = FastWeights(connectome, 0.5, 0.9, "delta")
        memory.write(key, value)
        memory.write(value, key)
        return memory.read(query)

    inputs = [draw(6, seed=seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(recall, inputs)


def test_nothing_is_recalled_before_the_first_pair_and_after_clearing():
    memory = FastWeights(graphs.layered([2, 1]))
    assert torch.equal(memory.read(torch.ones(3)), torch.zeros(3))
    memory.write(torch.ones(3), torch.ones(3))
    memory.clear()
    assert memory.num_pairs == 0
    assert torch.equal(memory.read(torch.ones(3)), torch.zeros(3))


def test_wrong_arguments_are_refused():
    data = graphs.layered([2, 1])
    with pytest.raises(ValueError, match="decay must be a finite number in"):
        FastWeights(data, decay=1.1)
    with pytest.raises(ValueError, match="write must be one of 'hebb', 'delta'"):
        FastWeights(data, write="oja")
    with pytest.raises(TypeError, match="connectome must be"):
        FastWeights([2, 1])
    memory = FastWeights(data)
    with pytest.raises(ValueError, match=re.escape("key must be")):
        memory.read(torch.ones(4))
    memory.write(torch.ones(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"key must have the shape \[3\] of the stored pairs"):
        memory.write(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match="value must be"):
        memory.write(torch.ones(3), torch.ones(2))
    with pytest.raises(TypeError, match="key must be a float32 tensor"):
        memory.read(torch.ones(3).double())
    with pytest.raises(ValueError, match="value must be finite"):
        memory.write(torch.ones(3), torch.full((3,), torch.nan))
    several = FastWeights(data)
    several.write(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"key must be of shape \[..., 2, 3\]"):
        several.read(torch.ones(3))


def test_the_first_pair_is_a_copy():
    memory = FastWeights(graphs.grid_local((1, 3), 1))
    key, value = torch.zeros(3), torch.zeros(3)
    for number in range(3):
        key.zero_()[number] = 1
        memory.write(key, value.fill_(number + 1.0))
    assert torch.equal(memory.keys, torch.eye(3))
    assert memory.errors[:, 0].tolist() == [1, 2, 3]
