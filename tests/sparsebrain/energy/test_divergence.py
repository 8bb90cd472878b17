import math

import pytest
import torch
from torch_geometric.data import Data

from sparsebrain.energy import BoltzmannMachine, ContrastiveDivergence
from sparsebrain.kernels.coloring import Colors
from tests.sparsebrain.energy.test_machine import DATA, ORDER, bm5, law, undirected

EXPECTED_CD1 = [0.11129538, -0.14101105, 0.20328477, -0.00060825, 0.26287323, 0.42942986]


def colored(machine):
    """Give BM5 the colors 0 | 1 3 | 2 4, in the order in which they are updated."""
    machine.structure._colors = Colors(
        torch.tensor([0, 1, 3, 2, 4]).int(), torch.tensor([0, 1, 3, 5]).int()
    )
    return machine


def test_expected_step_of_contrastive_divergence():
    machine = colored(bm5())
    rule = ContrastiveDivergence(machine, generator=torch.Generator().manual_seed(0))
    copies = 100_000
    rule(DATA.repeat(copies, 1))
    found = -machine.weight.grad
    expected = torch.tensor([EXPECTED_CD1[k] for k in ORDER], dtype=torch.float64)
    # Products of 0 and 1 have a standard deviation of at most 1/2; five standard errors of six
    # products are exceeded with probability 4e-6.
    assert float((found - expected).abs().max()) < 5 * 0.5 / math.sqrt(4 * copies)


def test_many_sweeps_give_the_gradient_of_the_likelihood():
    machine = bm5(visible=3)
    x = DATA[:, :3]
    (-machine.log_prob(x).mean()).backward()
    exact = [machine.weight.grad.clone(), machine.bias.grad.clone()]
    machine.zero_grad()
    rule = ContrastiveDivergence(machine, k=30, generator=torch.Generator().manual_seed(0))
    assert rule.exact
    copies = 25_000
    rule(x.repeat(copies, 1))
    for found, expected in zip((machine.weight.grad, machine.bias.grad), exact, strict=True):
        assert float((found - expected).abs().max()) < 5 * 0.5 / math.sqrt(4 * copies)


@pytest.mark.parametrize("temperatures", [[1.0], [1.0, 2.0, 5.0]])
def test_persistent_chains_keep_the_law_of_the_machine(temperatures):
    machine = bm5()
    rule = ContrastiveDivergence(
        machine,
        persistent=True,
        chains=20_000,
        temperatures=temperatures,
        generator=torch.Generator().manual_seed(1),
    )
    for _ in range(40):
        rule(DATA)
    _, probability, _ = law(machine)
    number = (rule.states[0].t().long() * torch.tensor([16, 8, 4, 2, 1])).sum(1)
    counts = torch.bincount(number, minlength=32)
    expected = 20_000 * probability
    # Chi-square with 31 degrees of freedom: false alarm 1e-6.
    assert float(((counts - expected) ** 2 / expected).sum()) < 83.643


def test_gradients_add_up():
    machine = bm5()
    rule = ContrastiveDivergence(machine, generator=torch.Generator().manual_seed(0))
    rule(DATA)
    once = machine.weight.grad.clone()
    rule.generator.manual_seed(0)
    rule(DATA)
    torch.testing.assert_close(machine.weight.grad, 2 * once)


def test_large_hidden_components_are_drawn():
    full = [(i, j) for i in range(24) for j in range(i)]
    machine = BoltzmannMachine(undirected(full, 24), visible=2)
    rule = ContrastiveDivergence(machine, k=2, generator=torch.Generator().manual_seed(0))
    assert not rule.exact
    rule(torch.tensor([[0, 1], [1, 1]]))
    assert bool(machine.weight.grad.isfinite().all())


def test_a_pattern_is_learned():
    ring = Data(
        edge_index=torch.tensor([[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]), num_nodes=4
    )
    machine = BoltzmannMachine(ring)
    generator = torch.Generator().manual_seed(0)
    rule = ContrastiveDivergence(machine, persistent=True, generator=generator)
    optimizer = rule.make_optimizer(lr=1.0)
    x = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1]])
    for _ in range(100):
        optimizer.zero_grad()
        rule(x)
        optimizer.step()
    # Independent neurons give both patterns 1/8, the best machine 1.
    assert machine.log_prob(x).exp().sum().item() > 0.7


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be"),
        ({"temperatures": [1.0, 2.0]}, ValueError, "for persistent chains"),
        ({"temperatures": [2.0], "persistent": True}, ValueError, "must increase from 1"),
        ({"temperatures": 2.0}, TypeError, "must be a sequence"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        ContrastiveDivergence(bm5(), **options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((2, 5), 0.5), "x must be 0 or 1"),
        (torch.zeros(2, 4), "x must be"),
        (torch.zeros(0, 5), "at least one sample"),
    ],
)
def test_bad_data(x, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveDivergence(bm5())(x)


def test_given_neurons_keep_the_data():
    """With neurons 0 to 2 given, CD-30 is the gradient of the probability of 3 and 4."""
    machine = bm5()
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 2)
    x = DATA.double()
    rows = torch.cat([x[:, None, :3].expand(4, 4, 3), states.expand(4, 4, 2)], 2)
    energies = machine.energy(rows.reshape(16, 5)).view(4, 4)
    loss = (machine.energy(x) + torch.logsumexp(-energies, 1)).mean()
    expected = torch.autograd.grad(loss, [machine.weight, machine.bias])
    generator = torch.Generator().manual_seed(0)
    rule = ContrastiveDivergence(machine, k=30, given=[0, 1, 2], generator=generator)
    copies = 25_000
    rule(DATA.repeat(copies, 1))
    for found, exact in zip((machine.weight.grad, machine.bias.grad), expected, strict=True):
        assert float((found - exact).abs().max()) < 5 * 0.5 / math.sqrt(4 * copies)
    assert machine.bias.grad[:3].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([4], r"given must name visible neurons, got 4, .* machine\.visible"),
        ([], "given must name at least one"),
        ([7], "given"),
    ],
)
def test_bad_given(given, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveDivergence(bm5(visible=3), given=given)
    with pytest.raises(ValueError, match="none is left to learn"):
        ContrastiveDivergence(bm5(), given=range(5))
    with pytest.raises(ValueError, match="persistent=False"):
        ContrastiveDivergence(bm5(), persistent=True, given=[0])
