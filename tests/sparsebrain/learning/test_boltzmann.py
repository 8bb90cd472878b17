import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.energy import BoltzmannMachine
from sparsebrain.learning import Boltzmann

NONE = Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=4)
# Neurons 0, 1, 11 and 12 cut it into two parts of 9, which can be enumerated.
RING = graphs.small_world(22, 4, 0.0, directed=False)
X = torch.tensor([[0.0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]])
Y = torch.tensor([0, 1, 1, 0])


def made(connectome, **options):
    torch.manual_seed(0)
    model = Boltzmann.build(connectome, 3, 2)
    with torch.no_grad():
        for each in model.parameters():
            each.normal_(0.0, 0.5)
    return Boltzmann(model, generator=torch.Generator().manual_seed(0), **options)


def gradient(rule, copies):
    rule(X.repeat(copies, 1), Y.repeat(copies))
    return [each.grad.clone() for each in (rule.model.machine.weight, rule.model.machine.bias)]


@pytest.mark.parametrize("inputs", ["clamped", "free"])
def test_many_sweeps_give_the_gradient_of_the_likelihood(inputs):
    """Of the labels given the inputs, or of both, over all 4 states of two label neurons."""
    rule = made(NONE, k=20, inputs=inputs)
    machine = rule.model.machine
    labels = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    chosen = torch.tensor([2, 1])[Y]
    energies = torch.stack(
        [machine.free_energy(torch.cat([X, each.expand(4, 2)], 1)) for each in labels], 1
    )
    right = energies.gather(1, chosen[:, None]).squeeze(1)
    if inputs == "clamped":
        loss = (right + torch.logsumexp(-energies, 1)).mean()
    else:
        loss = right.mean() + machine.log_partition()
    expected = torch.autograd.grad(loss, [machine.weight, machine.bias])
    copies = 5000
    for one, other in zip(gradient(rule, copies), expected, strict=True):
        # A difference of products in 0..1, five standard errors.
        assert float((one - other).abs().max()) < 5 * 0.5 / math.sqrt(4 * copies)


def test_drawn_hidden_neurons_give_the_gradient_of_the_likelihood():
    """A ring of 22 hidden neurons is drawn; a cut machine with 4 of them visible is summed."""
    rule = made(RING, k=30)
    rule.divergence.settle = 30
    assert not rule.divergence.exact
    machine = rule.model.machine
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    data = Data(edge_index=machine.structure.edge_index, num_nodes=machine.num_nodes)
    cut = BoltzmannMachine(data, visible=[0, 1, 2, 3, 4, 5, 6, 16, 17])
    torch.nn.utils.vector_to_parameters(
        torch.nn.utils.parameters_to_vector(machine.parameters()).detach(), cut.parameters()
    )

    def free(visible):
        rows = torch.cat([visible.repeat_interleave(16, 0), corners.repeat(len(visible), 1)], 1)
        return -torch.logsumexp(-cut.free_energy(rows).view(len(visible), 16), 1)

    labels = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    energies = torch.stack([free(torch.cat([X, each.expand(4, 2)], 1)) for each in labels], 1)
    right = energies.gather(1, torch.tensor([2, 1])[Y][:, None]).squeeze(1)
    loss = (right + torch.logsumexp(-energies, 1)).mean()
    expected = torch.autograd.grad(loss, [cut.weight, cut.bias])
    copies = 2500
    for one, other in zip(gradient(rule, copies), expected, strict=True):
        assert float((one - other).abs().max()) < 5 * 0.5 / math.sqrt(4 * copies)


def test_persistent_chains_go_on():
    rule = made(RING, inputs="free", persistent=True, chains=7)
    rule(X, Y)
    before = rule.divergence.states.clone()
    assert before.shape == (1, 27, 7)
    rule(X, Y)
    assert not torch.equal(before, rule.divergence.states)


def test_persistent_chains_need_free_inputs():
    with pytest.raises(ValueError, match="persistent=True .* pass inputs='free'"):
        made(RING, persistent=True)


def test_the_optimizer_has_each_parameter_once():
    rule = made(RING)
    assert sorted(dict(rule.named_parameters())) == ["model.machine.bias", "model.machine.weight"]
    assert {name.split(".")[0] for name in rule.state_dict()} == {"model"}
