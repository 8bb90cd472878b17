"""Ternary weights: what they are, and that the rule is the same, at the rounded weights."""

import copy
import pickle

import pytest
import torch

from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.error_diffusion.layout import longest_paths
from sparsebrain.kernels import Structure
from sparsebrain.learning import Backprop
from tests.sparsebrain.error_diffusion.test_rule import BOTH, NETWORKS, hidden, make, samples


def latent(network):
    """The magnitudes [K, E] behind the weights, in the order of edge_index."""
    return network.strength.detach().abs()[network.places]


def matrices(network):
    """The matrix of each synapse: its target's layer, or in a single stage whether it is fed."""
    source, target = network.edge_index
    if len(network.stages) == 1:
        return torch.isin(source, network.stages[0].cells).long()
    return longest_paths(Structure(network.edge_index, network.num_nodes))[target]


@pytest.mark.parametrize("learns", ["quadratic", "cross-entropy"])
@pytest.mark.parametrize("name", ["one layer", "layers", "sparse layers", "unpaired", "loops"])
def test_weights_are_zero_or_the_mean_magnitude_of_their_matrix(name, learns):
    network = make(name, learns, weights="ternary").model
    with torch.no_grad():
        # As an optimizer may leave them.
        network.strength[::3] *= -1
    free, weight, matrix = latent(network), network.weight.detach(), matrices(network)
    assert bool((weight * network.sign >= 0).all())
    for of_network, found in zip(free, weight.abs(), strict=True):
        for number in matrix.unique().tolist():
            chosen = matrix == number
            scale = of_network[chosen].mean()
            values = found[chosen].unique()
            assert len(values) <= 2
            expected = torch.where(of_network[chosen] > scale / 2, scale, 0)
            torch.testing.assert_close(found[chosen], expected, rtol=1e-12, atol=0)


def test_a_matrix_by_hand():
    network = ErrorDiffusionNetwork.around(hidden(1), 1, networks=1, weights="ternary")
    # The output reads the bias pair and the hidden cell; the hidden cell its inputs and the bias.
    source, target = network.edge_index
    free = torch.zeros(1, len(source))
    free[0, target == network.output] = torch.tensor([3.0, 0.5, 1.0])
    free[0, target != network.output] = torch.tensor([0.1, 0.2, 0.4, 0.1])
    network.weight = network.sign * free
    found = network.weight.detach().abs()[0]
    assert found[target == network.output].tolist() == [1.5, 0.0, 1.5]
    expected = torch.tensor([0.0, 0.2, 0.2, 0.0])
    torch.testing.assert_close(found[target != network.output], expected)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("name", "learns"), BOTH)
def test_the_update_is_the_full_rule_at_the_rounded_weights(name, learns, compiled):
    rule, full = make(name, learns, weights="ternary"), make(name, learns)
    full.model.weight = rule.model.weight.detach()
    if not compiled:
        rule.model.compiled = full.model.compiled = None
    before = rule.model.strength.detach().clone()
    x, y = samples(6)
    assert torch.equal(rule(x, y), full(x, y))
    assert torch.equal(rule.model.strength.grad, full.model.strength.grad)
    assert torch.equal(rule.model.strength, before)
    assert torch.equal(rule.predict(x), full.predict(x))


@pytest.mark.parametrize("name", ["layers", "loops"])
def test_backpropagation_goes_straight_through(name):
    rule, full = make(name, "cross-entropy", weights="ternary"), make(name, "cross-entropy")
    full.model.weight = rule.model.weight.detach()
    x, y = samples(6)
    for each in (rule, full):
        Backprop(each.model)(x, y)
    # A magnitude of 0 has the derivative 0 of torch's abs.
    kept = full.model.strength.detach() > 0
    assert bool((~kept).any())
    found, expected = rule.model.strength.grad[kept], full.model.strength.grad[kept]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_free_signs_give_minus_one_zero_and_one():
    network = make("layers", weights="ternary", keep_signs=False).model
    values = network.weight.detach()[0, network.edge_index[1] == network.output].unique()
    assert len(values) == 3
    assert values[0] == -values[2]
    assert values[1] == 0


@pytest.mark.parametrize("name", ["layers", "one layer", "few inputs, more sweeps"])
def test_cancelling_pairs_changes_no_score_in_full_precision(name):
    rule = make(name, "cross-entropy")
    network, (x, _) = rule.model, samples(6)
    before, free = rule.predict(x), latent(network)
    network.cancel_pairs()
    torch.testing.assert_close(rule.predict(x), before, rtol=1e-12, atol=1e-12)
    after = latent(network)
    source, target = network.edge_index.tolist()
    number = {pair: at for at, pair in enumerate(zip(source, target, strict=True))}
    paired = set()
    for (cell, to), at in number.items():
        # Cells 0 to output - 1 are the bias and the inputs, in pairs.
        if cell < network.output and cell % 2 == 0:
            other = number[cell + 1, to]
            paired |= {at, other}
            smaller = torch.minimum(free[:, at], free[:, other])
            assert torch.equal(after[:, at], free[:, at] - smaller)
            assert torch.equal(after[:, other], free[:, other] - smaller)
    others = [at for at in range(len(source)) if at not in paired]
    assert torch.equal(after[:, others], free[:, others])
    network.cancel_pairs()
    assert torch.equal(latent(network), after)


@pytest.mark.parametrize("name", ["unpaired", "sparse layers"])
def test_synapses_without_a_partner_stay(name):
    network = make(name).model
    free = latent(network)
    network.cancel_pairs()
    after = latent(network)
    source, target = network.edge_index
    here = torch.zeros(network.num_nodes, network.num_nodes, dtype=torch.bool)
    here[source, target] = True
    held = source < network.output
    alone = ~held | ~here[torch.where(held, source ^ 1, 0), target]
    if name == "unpaired":
        # Every input is a feature of its own.
        alone |= source >= 2
    assert bool((alone & held).any())
    assert torch.equal(after[:, alone], free[:, alone])
    assert bool((after[:, ~alone] == 0).any())


def test_networks_are_told_copied_and_saved():
    network = make("layers", weights="ternary").model
    assert repr(network).endswith("weights='ternary')")
    assert "weights" not in repr(make("layers").model)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other.weight, network.weight)
    # The same strengths serve both.
    full = NETWORKS["layers"](networks=1)
    full.load_state_dict(network.state_dict())
    assert torch.equal(full.strength, network.strength)
    network.float().cancel_pairs()
    assert network.weight.dtype == torch.float32


@pytest.mark.parametrize("weights", ["binary", None, True])
def test_weights_are_full_or_ternary(weights):
    with pytest.raises((ValueError, TypeError), match="weights must be one of 'full', 'ternary'"):
        make("layers", weights=weights)


def test_ternary_weights_learn():
    """Two classes by the brighter of two features; the latent strengths decide."""
    torch.manual_seed(0)
    network = ErrorDiffusionNetwork.around(hidden(8), 2, networks=1, weights="ternary")
    rule = ErrorDiffusion(network, loss="quadratic")
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.8)
    x = torch.rand(64, 2)
    y = (x[:, 0] > x[:, 1]).long()
    for _ in range(200):
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
        network.cancel_pairs()
    assert float((rule.predict(x).argmax(1) == y).float().mean()) > 0.9
