"""Exact checks of Boltzmann machines, on the five neurons of BM5."""

import itertools
import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.energy import BoltzmannMachine, hopfield, ising

PAIRS = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (0, 2)]
ORDER = [PAIRS.index(pair) for pair in sorted(PAIRS)]
MEANS = [0.48699388, 0.43514095, 0.37948273, 0.46899187, 0.61328073]
GRADIENT = [0.01243616, -0.13153427, 0.27270829, 0.02464803, 0.12702063, 0.40239094]
DATA = torch.tensor([[int(c) for c in word] for word in ("10101", "11000", "00110", "10111")])


def undirected(pairs, nodes):
    source, target = torch.tensor(pairs).t()
    both = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
    return Data(edge_index=both, num_nodes=nodes)


def bm5(**options):
    machine = BoltzmannMachine(undirected(PAIRS, 5), dtype=torch.float64, **options)
    weights = torch.tensor([(-1) ** k * (k + 1) / 4 for k in range(6)], dtype=torch.float64)
    with torch.no_grad():
        machine.weight.copy_(weights[ORDER])
        machine.bias.copy_((torch.arange(5, dtype=torch.float64) - 2) / 5)
    return machine


def all_states(nodes):
    return torch.tensor(list(itertools.product([0, 1], repeat=nodes)))


def law(machine):
    """Return all states and their probabilities, from the definition of the energy."""
    states = all_states(machine.num_nodes)
    x = states.double()
    i, j = machine.pairs
    energy = -(x @ machine.bias.double() + (x[:, i] * x[:, j]) @ machine.weight.double())
    return states, torch.softmax(-energy, 0).detach(), energy.detach()


def test_pairs_are_sorted():
    assert list(map(tuple, bm5().pairs.t().tolist())) == sorted(PAIRS)


def test_energy_is_that_of_the_definition():
    machine = bm5()
    states, _, energy = law(machine)
    torch.testing.assert_close(machine.energy(states).detach(), energy, rtol=0, atol=1e-14)


def test_log_partition_and_means():
    machine = bm5()
    value = machine.log_partition()
    assert value.item() == pytest.approx(3.5407615700, abs=5e-11)
    value.backward()
    assert machine.bias.grad.tolist() == pytest.approx(MEANS, abs=5e-9)
    nobody = torch.zeros(5, dtype=torch.bool)
    means = machine.conditional(torch.zeros(1, 5), nobody)
    assert means[0].tolist() == pytest.approx(MEANS, abs=5e-9)


def test_log_likelihood_and_its_gradient():
    machine = bm5()
    value = machine.log_prob(DATA).mean()
    assert value.item() == pytest.approx(-3.5282615700, abs=5e-11)
    value.backward()
    assert machine.weight.grad.tolist() == pytest.approx([GRADIENT[k] for k in ORDER], abs=5e-9)


@pytest.mark.parametrize("visible", [2, [4, 0], [1], torch.tensor([0, 1, 3])])
def test_hidden_neurons_are_summed_out(visible):
    machine = bm5(visible=visible)
    states, probability, _ = law(machine)
    seen = machine.visible.tolist()
    for values in itertools.product([0.0, 1.0], repeat=len(seen)):
        matches = (states[:, seen] == torch.tensor(values)).all(1)
        found = machine.log_prob(torch.tensor([values])).exp().item()
        assert found == pytest.approx(probability[matches].sum().item(), rel=1e-12)


@pytest.mark.parametrize("observed", [[0], [1, 3], [0, 1, 2, 4], []])
def test_conditional(observed):
    machine = bm5()
    states, probability, _ = law(machine)
    mask = torch.zeros(5, dtype=torch.bool)
    mask[observed] = True
    found = machine.conditional(DATA, mask)
    for x, marginal in zip(DATA, found, strict=True):
        share = probability * (states[:, mask] == x[mask]).all(1)
        expected = (share / share.sum()) @ states.double()
        torch.testing.assert_close(marginal, expected, rtol=0, atol=1e-12)


def test_gradients_in_float64():
    machine = bm5(visible=3)
    x = DATA[:, :3]

    def likelihood(weight, bias):
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(machine, parameters, (x,))

    machine.forward = machine.log_prob
    inputs = [machine.weight.detach().clone(), machine.bias.detach().clone()]
    assert torch.autograd.gradcheck(likelihood, [each.requires_grad_() for each in inputs])


def test_the_sampler_leaves_the_joint_law_unchanged():
    # 20,000 chains from the exact law stay in it: chi-square with 31 degrees of freedom exceeds
    # 83.643 with probability 1e-6. Neurons 0 and 2 updated at once come to 2,175.
    machine = bm5()
    states, probability, _ = law(machine)
    generator = torch.Generator().manual_seed(0)
    chains = 20_000
    drawn = torch.multinomial(probability, chains, replacement=True, generator=generator)
    found = machine.sample(chains, 3, start=states[drawn], generator=generator)
    number = (found.long() * torch.tensor([16, 8, 4, 2, 1])).sum(1)
    counts = torch.bincount(number, minlength=32)
    expected = chains * probability
    assert float(((counts - expected) ** 2 / expected).sum()) < 83.643


def test_ising_on_the_torus_is_exact():
    torus = graphs.grid_local((4, 4), 1, metric="manhattan", periodic=True, self_loops=False)
    temperature = 2 / math.log(1 + math.sqrt(2))
    machine = ising(torus, 1.0, temperature, dtype=torch.float64)
    assert machine.log_partition().item() == pytest.approx(1.419938, abs=1e-6)
    states, probability, _ = law(machine)
    spins = 2 * states.double() - 1
    i, j = machine.pairs
    energy = -(spins[:, i] * spins[:, j]).sum(1)
    assert float(probability @ energy) / 16 == pytest.approx(-1.565624, abs=1e-6)
    assert float(probability @ spins.mean(1).abs()) == pytest.approx(0.843860, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.8, 2.269, 3.5])
def test_sampled_ising_torus(temperature):
    torus = graphs.grid_local((4, 4), 1, metric="manhattan", periodic=True, self_loops=False)
    machine = ising(torus, 1.0, temperature, dtype=torch.float64)
    states, probability, _ = law(machine)
    generator = torch.Generator().manual_seed(1)
    drawn = torch.multinomial(probability, 20_000, replacement=True, generator=generator)
    found = machine.sample(20_000, 5, start=states[drawn], generator=generator)
    magnetization = (2 * found - 1).mean(1).abs()
    expected = float(probability @ (2 * states.double() - 1).mean(1).abs())
    error = float(magnetization.std()) / math.sqrt(len(found))
    # Independent chains: five standard errors are exceeded with probability 6e-7.
    assert abs(float(magnetization.mean()) - expected) < 5 * error


def test_annealing_covers_the_exact_partition_function():
    machine = bm5()
    generator = torch.Generator().manual_seed(0)
    value, error = machine.estimate_log_partition(2000, 50, generator=generator)
    assert 0 < float(error) < 0.02
    assert abs(float(value) - 3.5407615700) < 5 * float(error)


def test_a_restricted_machine_sums_its_smaller_side():
    # 12 hidden and 30 visible neurons: 2^12 states and not 2^42.
    pairs = [(i, 30 + j) for i in range(30) for j in range(12) if (i + j) % 3]
    machine = BoltzmannMachine(undirected(pairs, 42), visible=30, dtype=torch.float64)
    with torch.no_grad():
        machine.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    exact = machine.log_partition().item()
    hidden = all_states(12).double()
    dense = torch.zeros(30, 12, dtype=torch.float64)
    dense[machine.pairs[0], machine.pairs[1] - 30] = machine.weight.detach()
    expected = torch.logsumexp(torch.nn.functional.softplus(hidden @ dense.t()).sum(1), 0)
    assert exact == pytest.approx(float(expected), rel=1e-12)
    value, error = machine.estimate_log_partition(
        500, 100, generator=torch.Generator().manual_seed(2)
    )
    assert abs(float(value) - exact) < 5 * float(error)


@pytest.mark.parametrize(("patterns", "expected"), [(10, 4.27098e-4), (20, 1.089575e-2)])
def test_first_step_error_of_a_hopfield_network(patterns, expected):
    # Every neuron of this ring has degree 100. The neurons of a network share patterns, so that
    # the error of a run varies by more than its binomial spread: a mean over runs is taken.
    ring = graphs.small_world(1000, 100, 0.0, directed=False)
    rates = []
    generator = torch.Generator().manual_seed(patterns)
    for _ in range(20):
        stored = torch.randint(2, (patterns, 1000), generator=generator) * 2.0 - 1
        network = hopfield(ring, stored, dtype=torch.float64)
        field = network.field((stored + 1) / 2).detach()
        wrong = (field * stored < -1e-9).double() + 0.5 * (field.abs() <= 1e-9)
        rates.append(float(wrong.mean()))
    rates = torch.tensor(rates)
    spread = float(rates.std()) / math.sqrt(len(rates))
    # Student's t with 19 degrees of freedom exceeds 6 with probability 9e-6.
    assert abs(float(rates.mean()) - expected) < 6 * spread


def test_annealing_finds_the_largest_cut():
    petersen = [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)]
    petersen += [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
    machine = ising(undirected(petersen, 10), coupling=-1.0)
    states = all_states(10)
    i, j = machine.pairs
    largest = int((states[:, i] != states[:, j]).sum(1).max())
    assert largest == 12
    schedule = torch.linspace(0.05, 3.0, 100)
    generator = torch.Generator().manual_seed(0)
    found = machine.sample(100, 100, beta=schedule, generator=generator).long()
    assert int((found[:, i] != found[:, j]).sum(1).max()) == largest


def test_a_schedule_equals_its_parts():
    machine = bm5()

    def run(beta):
        return machine.sample(50, 4, beta=beta, generator=torch.Generator().manual_seed(3))

    assert torch.equal(run(1.0), run(torch.ones(4)))
    assert not torch.equal(run(1.0), run(torch.tensor([1.0, 1.0, 0.1, 0.1])))


@pytest.mark.parametrize("values", [[1.0, 0.0], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
def test_clamped_neurons_keep_their_values(values):
    machine = bm5()
    clamp = ([3, 1], torch.tensor(values))
    found = machine.sample(3, 5, clamp=clamp, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found[:, [3, 1]], torch.tensor(values).double().expand(3, 2))


def test_clamped_sampling_has_the_conditional_law():
    machine = bm5()
    clamp = ([0, 3], torch.tensor([1, 0]))
    observed = torch.tensor([True, False, False, True, False])
    expected = machine.conditional(torch.tensor([[1, 0, 0, 0, 0]]), observed)[0]
    generator = torch.Generator().manual_seed(0)
    found = machine.sample(20_000, 30, clamp=clamp, generator=generator).mean(0)
    error = (expected * (1 - expected) / 20_000).sqrt()
    # Five standard errors of three neurons are exceeded with probability 2e-6.
    assert bool(((found - expected).abs() <= 5 * error + 1e-12).all())


def test_a_state_dict_is_not_loaded_into_other_pairs():
    state = bm5().state_dict()
    bm5().load_state_dict(state)
    other = BoltzmannMachine(undirected([*PAIRS[1:], (1, 3)], 5), dtype=torch.float64)
    with pytest.raises(RuntimeError, match="saved with other synapses"):
        other.load_state_dict(state)
    with pytest.raises(RuntimeError, match="saved with other synapses"):
        bm5(visible=2).load_state_dict(state)


def test_weights_start_from_the_connectome():
    data = undirected(PAIRS, 5)
    data.edge_weight = torch.arange(6.0).repeat(2)
    assert BoltzmannMachine(data).weight.tolist() == [float(k) for k in ORDER]
    data.edge_weight[0] += 1
    with pytest.raises(
        ValueError,
        match=r"edge_weight with its sign is 1 from neuron 0 to 1 and 0 back, .*symmetrize",
    ):
        BoltzmannMachine(data)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1, 1], [1, 0, 2]], r"1 synapses in one direction only, .* 1 to 2.*symmetrize"),
        ([[0, 1, 2], [1, 0, 2]], r"1 self-loops, the first at neuron 2.*edge_subgraph"),
    ],
)
def test_graphs_without_an_energy_are_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        BoltzmannMachine(Data(edge_index=torch.tensor(edges), num_nodes=3))


def test_too_many_neurons_to_enumerate():
    full = [(i, j) for i in range(22) for j in range(i)]
    machine = BoltzmannMachine(undirected(full, 22), visible=1)
    with pytest.raises(ValueError, match=r"enumerate the states of 21 of 22 neurons.*annealing"):
        machine.log_partition(method="sum")
    with pytest.raises(ValueError, match=r"21 neurons to be summed out.*sample"):
        machine.free_energy(torch.ones(1, 1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clamp": (list(range(5)), torch.zeros(5))}, ValueError, "clamp holds all 5 neurons"),
        ({"clamp": ([0], torch.tensor([0.5]))}, ValueError, r"clamp\[1\] must be 0 or 1"),
        ({"clamp": ([9], torch.zeros(1))}, ValueError, r"clamp\[0\] must be positions"),
        ({"beta": 0.0}, ValueError, "beta must be"),
        ({"beta": torch.tensor([1.0, 0.0])}, ValueError, "beta must be positive"),
        ({"start": torch.full((3, 5), 2)}, ValueError, "start must be 0 or 1"),
    ],
)
def test_bad_samples(options, error, message):
    with pytest.raises(error, match=message):
        bm5().sample(3, 2, **options)
