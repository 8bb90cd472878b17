"""The layer of spiking neurons: its spikes, its state, and its gradients."""

import itertools
import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.spiking import LIF, SURROGATES, State
from tests.sparsebrain.spiking.conftest import network

OPTIONS = {
    "plain": {"refractory": 0.0},
    "refractory": {"refractory": 3.0},
    "synapses": {"tau_synapse": 3.0, "refractory": 0.0},
    "all frozen": {"tau_synapse": 3.0, "refractory": 3.0},
    "v frozen": {"tau_synapse": 3.0, "refractory": 3.0, "refractory_holds": "v"},
    "delay": {"delay": 2.0},
    "delays": {"delay": "each", "tau_synapse": 4.0},
    "euler": {"step": "euler", "tau_synapse": 5.0, "delay": "each", "refractory": 2.0},
    "in mV": {"rest": -65.0, "reset": -70.0, "threshold": -62.0, "delay": 1.0},
    "each its own": {
        "tau": torch.linspace(3, 8, 12),
        "tau_synapse": torch.linspace(2, 9, 12),
        "rest": torch.linspace(-0.1, 0.1, 12),
        "reset": torch.linspace(-0.3, 0.2, 12),
        "threshold": torch.linspace(0.8, 1.2, 12),
        "refractory": torch.arange(12).remainder(4).double(),
        "delay": "each",
    },
    "one surrogate": {"surrogate": "arctan"},
    "another surrogate": {"surrogate": "triangle"},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def made(options):
    options = dict(options)
    if options.get("delay") == "each":
        edges = graphs.erdos_renyi(12, 0.3, self_loops=True, seed=1).num_edges
        options["delay"] = torch.arange(edges).remainder(4).double()
    return network(**options)


class Spike(torch.autograd.Function):
    """The step function, with the derivative of the surrogate."""

    @staticmethod
    def forward(ctx, x, gap, name):
        ctx.save_for_backward(x, gap)
        ctx.name = name
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        x, gap = ctx.saved_tensors
        surrogate = SURROGATES[ctx.name]
        return grad * surrogate.slope(x / (gap * surrogate.width)) / gap, None, None


def smooth_spike(x, gap, name):
    """The same by operations that can be differentiated again."""
    surrogate = SURROGATES[name]
    smooth = surrogate.width * surrogate.smooth(x / (gap * surrogate.width))
    return (x > 0).to(x) + smooth - smooth.detach()


def plainly(lif, current, weight, u=None, g=None, spike_of=Spike.apply):
    """The definition, operation by operation, with a dense matrix for each delay.

    Potentials are those of the neurons, and not relative to rest.
    """
    batch, steps, size = current.shape

    def each(value):
        value = torch.as_tensor(value, dtype=current.dtype)
        return value.expand(size)

    tau, rest, reset, threshold = map(each, (lif.tau, lif.rest, lif.reset, lif.threshold))
    refractory = lif.refractory_steps.expand(size)
    delays = lif.delay_steps.expand(lif.edge_index.size(1))
    source, target = lif.edge_index
    dense = {
        int(delay): current.new_zeros(size, size).index_put(
            (target[delays == delay], source[delays == delay]), weight[delays == delay]
        )
        for delay in delays.unique()
    }
    exact = lif.step == "exact"
    a = torch.exp(-lif.dt / tau) if exact else 1 - lif.dt / tau
    v = rest.expand(batch, size) if u is None else u + rest
    synaptic = lif.tau_synapse is not None
    if synaptic:
        tau_s = each(lif.tau_synapse)
        b = torch.exp(-lif.dt / tau_s) if exact else 1 - lif.dt / tau_s
        same = tau_s / (tau_s - tau + 1e-12) * (b - a)
        k = same if exact else lif.dt / tau
        g = current.new_zeros(batch, size) if g is None else g
    last = torch.full((batch, size), -(10**6))
    gap = torch.where(threshold > rest, threshold - rest, 1.0)
    spikes = []
    for number in range(steps):
        active = number - last >= refractory
        target_v = rest + current[:, number]
        moved = target_v + (v - target_v) * a + (k * g if synaptic else 0)
        decayed = b * g if synaptic else None
        v = torch.where(active, moved, v)
        if synaptic:
            frozen = ~active if lif.refractory_holds == "all" else torch.zeros_like(active)
            g = torch.where(frozen, g, decayed)
        spike = spike_of(v - threshold, gap, lif.surrogate) * active
        spikes.append(spike)
        arriving = sum(
            spikes[number - delay] @ matrix.t()
            for delay, matrix in dense.items()
            if delay <= number
        )
        fired = spike.detach() > 0
        if synaptic:
            g = torch.where(frozen, g, g + arriving)
            if lif.refractory_holds == "all":
                g = torch.where(fired, torch.zeros_like(g), g)
        else:
            v = torch.where(active, v + arriving, v)
        v = torch.where(fired, reset, v)
        last = torch.where(fired, number, last)
    return torch.stack(spikes, 1), v - rest, g


def scaled(lif, current):
    """The same current in units of the distance from rest to threshold."""
    gap = torch.as_tensor(lif.threshold) - torch.as_tensor(lif.rest)
    return current * gap


@every_option
def test_spikes_and_states_are_those_of_the_definition(options, current):
    lif = made(options)
    current = scaled(lif, current)
    spikes, state = lif(current)
    expected, u, g = plainly(lif, current, lif.weight)
    assert 0.02 < float(expected.detach().mean()) < 0.6
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(state.u, u)
    if g is not None:
        torch.testing.assert_close(state.g, g)


@every_option
def test_a_simulation_takes_the_same_steps(options):
    lif = made(options)
    size = lif.num_nodes
    constant = scaled(lif, torch.linspace(0.5, 3, size, dtype=torch.float64))
    with torch.no_grad():
        spikes, _ = lif(constant.expand(1, 40, size))
    recording = lif.simulate(40 * lif.dt, current=constant)
    found = torch.stack([recording.step, recording.neuron], 1)
    assert len(found) > 20
    assert torch.equal(found, spikes[0].nonzero())


@every_option
def test_gradients_are_those_of_autograd(options, current):
    lif = made(options)
    current = scaled(lif, current).requires_grad_()
    weight = lif.weight.detach().clone().requires_grad_()
    u = (0.3 * scaled(lif, torch.rand(3, 12, dtype=torch.float64))).requires_grad_()
    g = torch.rand(3, 12, dtype=torch.float64).requires_grad_()
    start = lif.rest_state(3)._replace(u=u)
    if lif.tau_synapse is not None:
        start = start._replace(g=g)
    spikes, state = lif(current, start)
    expected, last_u, last_g = plainly(lif, current, weight, u, g)
    generator = torch.Generator().manual_seed(1)
    some = torch.randn(spikes.shape, dtype=torch.float64, generator=generator)

    def loss(spikes, u, g):
        total = (some * spikes).sum() + (some[:, 0] * u).sum()
        return total if g is None else total + (some[:, 1] * g).sum()

    inputs = [current, u] if lif.tau_synapse is None else [current, u, g]
    found = torch.autograd.grad(loss(spikes, state.u, state.g), [*inputs, lif.weight])
    wanted = torch.autograd.grad(
        loss(expected, last_u, None if state.g is None else last_g), [*inputs, weight]
    )
    for each, one in zip(found, wanted, strict=True):
        assert float(one.detach().abs().max()) > 0
        torch.testing.assert_close(each, one, rtol=1e-9, atol=1e-9)


@every_option
def test_a_state_continues(options, current):
    lif = made(options)
    current = scaled(lif, current).requires_grad_()
    whole, last = lif(current)
    parts, state = [], None
    for part in current.split([1, 6, 2, 0, 6], 1):
        spikes, state = lif(part, state)
        parts.append(spikes)
    assert torch.equal(torch.cat(parts, 1), whole)
    for each, one in zip(state, last, strict=True):
        assert (each is None and one is None) or torch.equal(each, one)
    # Gradients pass from part to part, through the state.
    some = torch.randn(whole.shape, dtype=torch.float64)
    inputs = [current, lif.weight]
    found = torch.autograd.grad((some * torch.cat(parts, 1)).sum() + state.u.sum(), inputs)
    wanted = torch.autograd.grad((some * whole).sum() + last.u.sum(), inputs)
    for each, one in zip(found, wanted, strict=True):
        torch.testing.assert_close(each, one, rtol=1e-9, atol=1e-9)


@every_option
def test_samples_do_not_depend_on_their_batch(options, current):
    lif = made(options)
    current = scaled(lif, current)
    whole, state = lif(current)
    for number in range(3):
        spikes, alone = lif(current[number : number + 1])
        assert torch.equal(spikes[0], whole[number])
        torch.testing.assert_close(alone.u[0], state.u[number])


@every_option
def test_nothing_changes_without_gradients(options, current):
    lif = made(options)
    current = scaled(lif, current)
    kept = current.clone()
    with torch.no_grad():
        spikes, state = lif(current)
    again, after = lif(current)
    assert torch.equal(spikes, again)
    assert torch.equal(state.u, after.u)
    assert torch.equal(current, kept)
    assert not spikes.requires_grad


@every_option
def test_functional_transforms_take_the_same_steps(options, current):
    lif = made(options)
    current = scaled(lif, current)
    spikes, _ = lif(current)
    some = torch.randn(spikes.shape, dtype=torch.float64)
    values = current.clone().requires_grad_()
    (wanted,) = torch.autograd.grad((some * lif(values)[0]).sum(), values)
    found = torch.func.grad(lambda given: (some * lif(given)[0]).sum())(current)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@every_option
def test_finite_differences_below_the_threshold(options):
    """Where no spike appears or disappears, the states are smooth functions of their inputs."""
    lif = made({**options, "surrogate": "rectangle"})
    # Neuron 0 alone spikes, far from the threshold, and no other comes near it.
    current = torch.full((1, 6, 12), -4.0, dtype=torch.float64)
    current[..., 0] = 30.0
    current = scaled(lif, current)
    with torch.no_grad():
        lif.weight.mul_(0.02)

    def states(current, weight):
        with torch.no_grad():
            before = lif.weight.clone()
            lif.assign_weight(weight.detach())
        _, state = lif(current)
        lif.assign_weight(before)
        return state.u.sum() + (0 if state.g is None else state.g.sum())

    values = current.clone().requires_grad_()
    total = lif(values)[1]
    total = total.u.sum() + (0 if total.g is None else total.g.sum())
    of_current, of_weight = torch.autograd.grad(total, [values, lif.weight])
    generator = torch.Generator().manual_seed(5)
    for given, gradient, at in ((values, of_current, 0), (lif.weight, of_weight, 1)):
        along = torch.randn(given.shape, dtype=torch.float64, generator=generator) * 1e-4
        inputs = [current, lif.weight.detach()]
        ends = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[at] = moved[at] + sign * along
            ends.append(float(states(*moved).detach()))
        difference = (ends[0] - ends[1]) / 2
        assert math.isclose(difference, float((gradient * along).sum()), rel_tol=1e-7)
        assert difference != 0


@every_option
def test_a_constant_current_need_not_be_stored(options, current):
    lif = made(options)
    constant = scaled(lif, current)[:, :1].detach().requires_grad_()
    results = []
    for repeated in (constant.expand(3, 15, 12), constant.repeat(1, 15, 1)):
        spikes, _ = lif(repeated)
        gradients = torch.autograd.grad(spikes.sum(1).sin().sum(), (constant, lif.weight))
        results.append((spikes, *gradients))
    assert torch.equal(results[0][0], results[1][0])
    for each, one in zip(*results, strict=True):
        torch.testing.assert_close(each, one, rtol=1e-10, atol=1e-12)


def test_interspike_intervals():
    alone = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=1)
    for value, refractory, step, interval in (
        (1.5, 2.0, "exact", 23),
        (1.05, 2.0, "exact", 62),
        (1.05, 2.0, "euler", 61),
        (1.5, 0.0, "exact", 22),
        (1.05, 0.0, "exact", 61),
        (1.05, 0.0, "euler", 60),
    ):
        lif = LIF(alone, refractory=refractory, step=step)
        spikes, _ = lif(torch.full((1, 300, 1), value))
        steps = spikes.flatten().nonzero().flatten()
        assert steps.diff().unique().tolist() == [interval], (value, refractory, step)


def test_a_spike_arrives_after_its_delay():
    """0 -> 1 -> 2, each spike strong enough for the next."""
    chain = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
    lif = LIF(chain, delay=torch.tensor([3.0, 0.0]), refractory=0.0)
    lif.assign_weight(torch.tensor([5.0, 5.0]))
    current = torch.zeros(1, 8, 3)
    current[0, 1, 0] = 100.0
    spikes, _ = lif(current)
    # After the threshold of the step in which it arrives, so a spike is seen one step later.
    assert spikes[0].nonzero().tolist() == [[1, 0], [5, 1], [6, 2]]


def test_what_arrives_at_a_refractory_neuron_is_lost():
    chain = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)
    current = torch.zeros(1, 6, 2)
    current[0, 0, 1] = 100.0  # 1 spikes at step 0,
    current[0, 1, 0] = 100.0  # and 0 at step 1, when 1 is refractory.
    for refractory, lost in ((4.0, True), (1.0, False)):
        lif = LIF(chain, refractory=refractory)
        lif.assign_weight(torch.tensor([0.5]))
        _, state = lif(current)
        assert bool(state.u[0, 1] == 0) is lost


def test_empty_batches_sequences_and_networks():
    lif = network(delay=2.0)
    for batch, steps in itertools.product((0, 2), (0, 3)):
        values = torch.zeros(batch, steps, 12, dtype=torch.float64, requires_grad=True)
        spikes, state = lif(values)
        assert spikes.shape == (batch, steps, 12)
        assert state.u.shape == (batch, 12)
        (spikes.sum() + state.u.sum()).backward()
        assert values.grad.shape == values.shape
    nothing = LIF(Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=0))
    assert nothing(torch.zeros(1, 2, 0))[0].shape == (1, 2, 0)


def test_weights_with_fixed_signs_are_trained():
    data = graphs.erdos_renyi(12, 0.3, seed=1)
    data.edge_sign = torch.arange(data.num_edges).remainder(2) * 2.0 - 1
    lif = LIF(data, dale=True)
    lif(20 * torch.rand(2, 10, 12))[0].sum().backward()
    (parameter,) = lif.parameters()
    assert float(parameter.grad.abs().max()) > 0


def test_autocast_computes_in_the_dtype_of_the_weights():
    lif = network(dtype=torch.float32)
    current = 3 * torch.rand(2, 5, 12)
    with torch.autocast("cpu", torch.bfloat16):
        spikes, _ = lif(current.bfloat16())
    assert spikes.dtype == torch.float32
    assert torch.equal(spikes, lif(current.bfloat16().float())[0])


@every_option
def test_second_derivatives(options, current):
    lif = made({**options, "surrogate": "arctan"})
    current = scaled(lif, current)[:, :5].requires_grad_()
    weight = lif.weight.detach().clone().requires_grad_()
    found = [lif(current)[0], current, lif.weight]
    wanted = [plainly(lif, current, weight, spike_of=smooth_spike)[0], current, weight]
    some = torch.randn(found[0].shape, dtype=torch.float64)
    penalties = []
    for spikes, *inputs in (found, wanted):
        gradients = torch.autograd.grad((some * spikes).sum(), inputs, create_graph=True)
        penalty = sum(each.square().sum() for each in gradients)
        penalties.append(torch.autograd.grad(penalty, inputs))
    for each, one in zip(*penalties, strict=True):
        assert float(one.detach().abs().max()) > 0
        torch.testing.assert_close(each, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"u": torch.zeros(2, 12)}, TypeError, r"state.u must be a float64 .*pass state.u.double"),
        (
            {"u": torch.zeros(3, 12, dtype=torch.float64)},
            ValueError,
            r"state.u must be .*\[2, 12\], got \[3, 12\]; pass state=lif.rest_state\(2\)",
        ),
        ({"u": torch.full((2, 12), math.nan).double()}, ValueError, "state.u must be finite"),
        ({"g": None}, ValueError, "state.g must be a tensor if and only if tau_synapse is given"),
        ({"wait": -torch.ones(2, 12, dtype=torch.int32)}, ValueError, "must not be negative"),
        ({"wait": torch.ones(2, 12)}, TypeError, r"state.wait must be .*pass state.wait.to\("),
        (
            {"spikes": torch.full((2, 3, 12), 0.5).double()},
            ValueError,
            "state.spikes must be 0 or 1; pass state=",
        ),
        (
            {"spikes": torch.zeros(2, 4, 12).double()},
            ValueError,
            r"state.spikes must be .*\[2, 3, 12\], got \[2, 4, 12\]",
        ),
    ],
)
def test_states_that_do_not_fit(changed, error, match):
    lif = network(delay=3.0, tau_synapse=2.0)
    state = lif.rest_state(2)._replace(**changed)
    with pytest.raises(error, match=match):
        lif(torch.zeros(2, 4, 12, dtype=torch.float64), state)


def test_a_tuple_is_no_state():
    lif = network()
    with pytest.raises(TypeError, match=r"state must be the State .*got tuple; pass the second"):
        lif(torch.zeros(2, 4, 12, dtype=torch.float64), tuple(lif.rest_state(2)))
    assert isinstance(lif.rest_state(2), State)
