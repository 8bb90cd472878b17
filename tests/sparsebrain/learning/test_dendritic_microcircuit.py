"""The microcircuit: silent when nothing is taught, its error that of backpropagation, NumPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer
from sparsebrain.learning import DendriticMicrocircuit

Y = torch.tensor([0, 1, 2, 1, 0, 2, 1])


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layered(*sizes, graph=None):
    torch.manual_seed(0)
    parts = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), nn.Sigmoid()]
        if graph is not None and after == graph.num_nodes:
            parts += [graph, nn.Sigmoid()]
    return nn.Sequential(*parts).double()


def sparse(**options):
    torch.manual_seed(1)
    graph = GraphLayer(graphs.small_world(12, 4, 0.3, seed=0), 1, bias=True, **options)
    return layered(6, 12, 3, graph=graph)


def sparse_of_signs():
    connectome = graphs.small_world(12, 4, 0.3, seed=0)
    connectome.node_sign = torch.where(torch.arange(12) % 3 == 0, -1.0, 1.0)
    torch.manual_seed(1)
    return layered(6, 12, 3, graph=GraphLayer(connectome, 1, dale=True))


MODELS = {
    "one hidden": lambda: layered(6, 5, 3),
    "three hidden": lambda: layered(6, 8, 7, 5, 3),
    "sparse": sparse,
    "Dale": sparse_of_signs,
    "threshold": lambda: sparse(threshold=0.3),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def test_predicting_itself_it_is_silent_and_learns_nothing(model):
    """Exactly: without a target no apical dendrite is off zero, no soma off its prediction."""
    found = DendriticMicrocircuit(model).potentials(random(7, 6))
    assert all(v.count_nonzero() == 0 for v in found.apical)
    assert all(map(torch.equal, found.somatic, found.predicted))
    assert all(map(torch.equal, found.interneuron, found.interneuron_predicted))
    found = DendriticMicrocircuit(model, self_predicting=False).potentials(random(7, 6))
    assert all(v.abs().min() > 0 for v in found.apical)


def dense(layer, weight):
    """A weight of a layer as a matrix [targets, sources]."""
    if isinstance(layer, nn.Linear):
        return weight.detach().numpy()
    matrix = np.zeros((layer.num_nodes, layer.num_nodes))
    source, target = layer.edge_index.numpy()
    matrix[target, source] = weight.detach().numpy()
    return matrix


def phi(u):
    return 1 / (1 + np.exp(-u))


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("self_predicting", [True, False])
def test_updates_are_those_of_numpy(model, self_predicting, rescale):
    nudge, teach, share = 0.2, 0.3, 0.15
    rule = DendriticMicrocircuit(
        model,
        output_nudge=nudge,
        interneuron_nudge=teach,
        apical_share=share,
        self_predicting=self_predicting,
        plastic_inhibition=True,
        rescale=rescale,
    )
    x = random(7, 6)
    loss = rule(x, Y)

    W = [dense(layer, layer.weight) for layer in rule.layers]
    b = [0 if layer.bias is None else layer.bias.detach().numpy() for layer in rule.layers]
    b = [
        b_k - (getattr(layer, "threshold", 0) or 0)
        for b_k, layer in zip(b, rule.layers, strict=True)
    ]
    N = len(W)
    v, r = [], [x.numpy()]
    for k in range(N):
        v.append(r[-1] @ W[k].T + b[k])
        r.append(phi(v[-1]))
    target = np.where(np.eye(3)[Y] > 0, 0.8, 0.1)
    assert loss.item() == pytest.approx(((r[-1] - target) ** 2).sum() / 14, rel=1e-12)
    u = [*v[:-1], (1 - nudge) * v[-1] + nudge * np.log(target / (1 - target))]
    interneurons = {}
    for k in reversed(range(N - 1)):
        above = rule.layers[k + 1]
        attenuation = 1 if k + 1 == N - 1 else 1 - share
        predicted = r[k + 1] @ dense(above, rule.to_interneurons[k]).T
        predicted = attenuation * (predicted + rule.interneuron_bias[k].detach().numpy())
        u_inter = (1 - teach) * predicted + teach * u[k + 1]
        apical = phi(u[k + 1]) @ dense(above, rule.feedback[k])
        apical = apical + phi(u_inter) @ dense(above, rule.inhibition[k])
        u[k] = (1 - share) * v[k] + share * apical
        interneurons[k] = predicted, u_inter, apical
    rates = [x.numpy(), *map(phi, u)]
    thin = [nudge * (share * (1 - teach)) ** (N - 1 - k) if rescale else 1 for k in range(N)]
    for k, layer in enumerate(rule.layers):
        error = phi(u[k]) - phi(v[k] if k == N - 1 else (1 - share) * v[k])
        update = error.T @ rates[k] / 7 / thin[k]
        grad, sign = layer.weight, 1
        if getattr(layer, "_sign", lambda: None)() is not None:
            grad, sign = layer.parametrizations.weight.original, layer._sign()
        exists = dense(layer, torch.ones_like(layer.weight))
        expected = -sign_matrix(layer, sign) * update * exists
        assert np.allclose(dense(layer, grad.grad), expected, atol=1e-12)
        if layer.bias is not None:
            assert np.allclose(layer.bias.grad.numpy(), -error.mean(0) / thin[k], atol=1e-12)
    for k, (predicted, u_inter, apical) in interneurons.items():
        above = rule.layers[k + 1]
        exists = dense(above, torch.ones_like(rule.feedback[k]))
        error = phi(u_inter) - phi(predicted)
        update = error.T @ rates[k + 1] / 7 / (teach if rescale else 1)
        found = dense(above, rule.to_interneurons[k].grad)
        assert np.allclose(found, -update * exists, atol=1e-12)
        update = phi(u_inter).T @ (0 - apical) / 7
        found = dense(above, rule.inhibition[k].grad)
        assert np.allclose(found, -update * exists, atol=1e-12)


def sign_matrix(layer, sign):
    return 1 if isinstance(sign, int) else dense(layer, sign)


def test_weak_nudging_makes_the_apical_potential_the_error_of_backpropagation():
    """v_A / l_N -> (1 - l_I) W phi'(u)(u_target - u), its distance halving with l_N."""
    model = layered(6, 8, 5, 3)
    x = random(7, 6)
    distances = []
    for nudge in 0.1 / 2.0 ** torch.arange(8):
        rule = DendriticMicrocircuit(model, output_nudge=nudge.item(), interneuron_nudge=0.25)
        nn.init.constant_(rule.feedback[-1], 0.5)
        rule.inhibition[-1].copy_(-rule.feedback[-1])
        found = rule.potentials(x, Y)
        top = found.basal[-1]
        target = torch.where(nn.functional.one_hot(Y, 3) > 0, 0.8, 0.1).double().logit()
        slope = torch.sigmoid(top) * (1 - torch.sigmoid(top))
        limit = 0.75 * (slope * (target - top)) @ rule.feedback[-1]
        distances.append((found.apical[-1] / nudge - limit).abs().max().item())
    ratios = np.array(distances[:-1]) / np.array(distances[1:])
    assert abs(ratios[-1] - 2) < 0.01
    assert (np.diff(np.abs(ratios - 2)) < 0).all()


def test_with_weak_feedback_through_the_transpose_it_is_backpropagation():
    """All lambdas small, W_{k,k+1} = W^T: the direction of the gradient of 1/2 |u - target|^2.

    Up to phi', the slope that the output's update has and the gradient by u has not.
    """
    model = layered(6, 8, 5, 3)
    options = {"output_nudge": 1e-3, "interneuron_nudge": 1e-3, "apical_share": 1e-3}
    rule = DendriticMicrocircuit(model, **options)
    for k, layer in enumerate(rule.layers[1:]):
        rule.feedback[k].data.copy_(layer.weight)
        rule.inhibition[k].data.copy_(-layer.weight)
    x = random(7, 6)
    rule(x, Y)
    top = model[:-1](x)
    target = torch.where(nn.functional.one_hot(Y, 3) > 0, 0.8, 0.1).double().logit()
    slope = torch.sigmoid(top) * (1 - torch.sigmoid(top))
    surrogate = -(slope.detach() * (target - top).detach() * top).sum() / 7
    for layer in rule.layers:
        (grad,) = torch.autograd.grad(surrogate, layer.weight, retain_graph=True)
        assert torch.allclose(layer.weight.grad, grad, rtol=1e-2, atol=1e-2 * grad.abs().max())


def test_what_stays_is_not_taught():
    rule = DendriticMicrocircuit(layered(6, 5, 3))
    rule(random(7, 6), Y)
    assert all(p.grad is None for p in (*rule.feedback, *rule.inhibition))
    assert all(p.grad is not None for p in (*rule.to_interneurons, *rule.interneuron_bias))


def test_the_self_predicting_state_is_learned():
    """From lateral weights at random, while nothing else is taught.

    Interneurons learn to predict the layer above, and to silence what it sends down.
    """
    model = layered(6, 5, 3).requires_grad_(False)
    rule = DendriticMicrocircuit(
        model, output_nudge=1e-9, self_predicting=False, plastic_inhibition=True
    )
    x, y = random(30, 6), torch.arange(30) % 3
    optimizer = torch.optim.SGD(rule.parameters(), lr=1.0)
    before = rule.potentials(x)
    for _ in range(1500):
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
    after = rule.potentials(x)
    for start, end in ((before.apical, after.apical), (unexplained(before), unexplained(after))):
        assert end[0].abs().max() < 0.1 * start[0].abs().max()


def unexplained(found):
    pairs = zip(found.somatic[1:], found.interneuron_predicted, strict=True)
    return [above - v for above, v in pairs]


def test_several_samples_are_the_mean_of_each():
    model = layered(6, 5, 3)
    rule = DendriticMicrocircuit(model)
    x = random(7, 6)
    for sample in range(7):
        rule(x[sample : sample + 1], Y[sample : sample + 1])
    summed = model[0].weight.grad / 7
    rule.zero_grad()
    rule(x, Y)
    assert torch.allclose(model[0].weight.grad, summed, atol=1e-14)


def test_a_graph_of_one_loop_can_be_taught_and_of_more_can_not():
    connectome = graphs.small_world(12, 4, 0.3, seed=0)
    DendriticMicrocircuit(DendriticMicrocircuit.build(connectome, 6, 3, loops=1))
    with pytest.raises(ValueError, match=r"have no order; got loops=2; pass loops=1"):
        DendriticMicrocircuit.build(connectome, 6, 3, loops=2)
    graph = GraphLayer(connectome, 2)
    with pytest.raises(ValueError, match=r"cannot train this model: on a loop.*give every"):
        DendriticMicrocircuit(layered(6, 12, 3, graph=graph))


@pytest.mark.parametrize(
    "between",
    [[nn.ReLU()], [], [nn.BatchNorm1d(5), nn.Sigmoid()], [nn.Sigmoid(), nn.Dropout()]],
    ids=len,
)
def test_other_rates_are_refused(between):
    with pytest.raises(ValueError, match=r"put nn\.Sigmoid after Linear\(in_features=6"):
        DendriticMicrocircuit(nn.Sequential(nn.Linear(6, 5), *between, nn.Linear(5, 3)))


@pytest.mark.parametrize(
    "options", [{"leak": 0.5}, {"noise": 0.1}, {"activation": "tanh"}, {"inject": True}], ids=str
)
def test_neurons_that_do_more_than_sum_are_refused(options):
    with pytest.raises(ValueError, match=r"put nn\.Sigmoid after GraphLayer\(12 neurons"):
        DendriticMicrocircuit(sparse(**options))


@pytest.mark.parametrize("name", ["output_nudge", "interneuron_nudge", "apical_share"])
@pytest.mark.parametrize("value", [0, 1])
def test_shares_lie_between_zero_and_one(name, value):
    with pytest.raises(ValueError, match=f"{name} must lie between 0 and 1, got {value}"):
        DendriticMicrocircuit(layered(6, 5, 3), **{name: value})
