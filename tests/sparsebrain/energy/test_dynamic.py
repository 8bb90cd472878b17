import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.energy import DynamicBoltzmannMachine

SYNAPSES = Data(edge_index=torch.tensor([[0, 1, 2, 0, 1], [1, 2, 0, 2, 1]]), num_nodes=3)
DELAY = torch.tensor([1, 2, 3, 1, 2])
WORDS = "100 110 011 001 100 111 010 001 110 011 101 001"
X = torch.tensor([[[int(c) for c in word] for word in WORDS.split()]])


def machine(dtype=torch.float64):
    made = DynamicBoltzmannMachine(SYNAPSES, DELAY, [0.5, 0.8], [0.6], dtype=dtype)
    number = torch.arange(1, 6, dtype=dtype).unsqueeze(1)
    with torch.no_grad():
        made.bias.copy_(torch.tensor([0.1, -0.2, 0.3], dtype=dtype))
        made.ltp.copy_(0.1 * number * torch.tensor([1.0, -0.5]))
        made.ltd.copy_(0.05 * number)
    return made


def by_definition(made, x):
    """Return the log-likelihood of one series, from the sums of the definition."""
    series, total = x.double().tolist(), 0.0
    edges = list(zip(*made.structure.edge_index.tolist(), made.delay.tolist(), strict=True))
    for t, now in enumerate(series):
        for j, value in enumerate(now):
            field = made.bias[j].item()
            for e, (i, target, d) in enumerate(edges):
                if target == j:
                    for k, decay in enumerate(made.decays):
                        past = (decay ** (t - s - d) * series[s][i] for s in range(t - d + 1))
                        field += made.ltp[e, k].item() * sum(past)
                    for n, decay in enumerate(made.ltd_decays):
                        flying = range(max(0, t - d + 1), t)
                        past = (decay ** (s - t) * series[s][i] for s in flying)
                        field -= made.ltd[e, n].item() * sum(past)
                if i == j:
                    for n, decay in enumerate(made.ltd_decays):
                        past = (decay ** (t - s) * series[s][target] for s in range(t))
                        field -= made.ltd[e, n].item() * sum(past)
            total += -math.log1p(math.exp(-field if value else field))
    return total


def test_log_likelihood_and_its_gradient():
    made = machine()
    value = made.log_prob(X)
    assert value.item() == pytest.approx(-25.8196300754, abs=5e-11)
    value.sum().backward()
    expected = [0.94039525, 1.6131636, 0.50111654]
    assert made.bias.grad.tolist() == pytest.approx(expected, abs=5e-9)
    expected = [0.39927416, -3.63011851, -2.88132042, -0.6405073, -2.81542562]
    assert made.ltd.grad.squeeze(1).tolist() == pytest.approx(expected, abs=5e-9)


def test_random_machines_follow_the_definition():
    generator = torch.Generator().manual_seed(0)
    data = graphs.erdos_renyi(6, 0.5, seed=1, self_loops=True)
    delay = torch.randint(1, 5, (data.num_edges,), generator=generator)
    made = DynamicBoltzmannMachine(data, delay, [0.0, 0.3], [0.4, 0.9], dtype=torch.float64)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    x = torch.randint(2, (3, 9, 6), generator=generator)
    found = made.log_prob(x)
    expected = torch.tensor([by_definition(made, each) for each in x], dtype=torch.float64)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=0)


def test_the_gradient_is_an_error_times_a_trace():
    made = machine()
    parameters = [each.detach().clone().requires_grad_() for each in made.parameters()]

    def likelihood(*values):
        named = dict(zip(dict(made.named_parameters()), values, strict=True))
        return torch.func.functional_call(made, named, (X,))

    made.forward = made.log_prob
    assert torch.autograd.gradcheck(likelihood, parameters)


@pytest.mark.parametrize("cut", [0, 1, 2, 5, 12])
def test_the_state_carries_the_past(cut):
    made = machine()
    state = made.advance(X[:, :cut])
    whole = made.log_prob(X[:, :cut]) + made.log_prob(X[:, cut:], state)
    torch.testing.assert_close(whole, made.log_prob(X), rtol=1e-13, atol=0)
    ends = made.advance(X[:, cut:], state), made.advance(X)
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


def test_step_by_step_the_gradients_add_up():
    made = machine()
    made.log_prob(X).sum().backward()
    whole = [each.grad.clone() for each in made.parameters()]
    made.zero_grad()
    state = made.rest()
    for t in range(X.size(1)):
        made.log_prob(X[:, t : t + 1], state).sum().backward()
        state = made.advance(X[:, t : t + 1], state)
    for parameter, expected in zip(made.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-12, atol=1e-14)


def test_generated_series_have_their_probability():
    made = machine()
    generator = torch.Generator().manual_seed(0)
    found = made.generate(2, samples=50_000, generator=generator)
    number = (found.flatten(1).long() * 2 ** torch.arange(6)).sum(1)
    states = torch.tensor([[n >> place & 1 for place in range(6)] for n in range(64)])
    expected = 50_000 * made.log_prob(states.reshape(64, 2, 3)).exp().detach()
    assert float(expected.sum()) == pytest.approx(50_000)
    counts = torch.bincount(number, minlength=64)
    # Chi-square with 63 degrees of freedom exceeds 130.0 with probability 1e-6.
    assert float(((counts - expected) ** 2 / expected).sum()) < 130.0


def test_a_cue_is_continued():
    made = machine()
    first = made.generate(3, X, generator=torch.Generator().manual_seed(0))
    again = made.generate(
        3, X[:, 6:], state=made.advance(X[:, :6]), generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(first, again)


def test_a_state_dict_is_not_loaded_into_other_delays():
    state = machine().state_dict()
    machine().load_state_dict(state)
    other = DynamicBoltzmannMachine(SYNAPSES, 1, [0.5, 0.8], [0.6], dtype=torch.float64)
    with pytest.raises(RuntimeError, match="saved with other synapses"):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"delay": 0}, ValueError, "delay must be"),
        ({"delay": torch.tensor([1, 2])}, ValueError, "delay must be"),
        ({"delay": torch.zeros(5)}, TypeError, "delay must be"),
        ({"delay": torch.tensor([1, 2, 0, 1, 1])}, ValueError, "delay must be from 1"),
        ({"decays": [1.0]}, ValueError, "decays must be below 1"),
        ({"decays": []}, TypeError, "decays must be a sequence"),
        ({"ltd_decays": [0.0]}, ValueError, r"ltd_decays\[0\] must be"),
        ({"ltd_decays": [0.01], "delay": 1000}, ValueError, "overflow"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        DynamicBoltzmannMachine(SYNAPSES, **options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((1, 2, 3), 0.5), "x must be 0 or 1"),
        (torch.zeros(1, 2, 4), "x must be"),
        (torch.zeros(2, 3), "x must be"),
    ],
)
def test_bad_series(x, message):
    with pytest.raises(ValueError, match=message):
        machine().log_prob(x)


def test_bad_states():
    made = machine()
    with pytest.raises(TypeError, match="state must be a History"):
        made.log_prob(X, X)
    with pytest.raises(ValueError, match=r"state\.recent must be"):
        made.log_prob(X, made.rest(2))
