"""Local errors: two losses by hand, and no layer hears of another."""

import numpy as np
import pytest
import torch
from torch import nn

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.learning import LocalErrors
from sparsebrain.learning.blocks import cut_states
from sparsebrain.learning.local_errors import similarity, similarity_loss
from sparsebrain.models import classifier

Y = torch.tensor([0, 1, 2, 1, 0, 2, 1])


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def perceptron(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.LeakyReLU(0.01),
        nn.Dropout(dropout),
        nn.Linear(8, 5),
        nn.Tanh(),
        nn.Linear(5, 3),
    ).double()


def loopy(loops=3, **options):
    torch.manual_seed(0)
    graph = GraphLayer(graphs.small_world(12, 4, 0.2, seed=0), loops, **options)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), graph, nn.ReLU(), nn.Linear(12, 3)).double()


def cosines(x):
    """S of NumPy, pair by pair."""
    rows = [row - row.mean() for row in x.detach().numpy()]
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in rows] for a in rows])


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_labels_are_alike_or_not_and_nothing_between(classes):
    y = torch.arange(3 * classes) % classes
    onehot = nn.functional.one_hot(y, classes).double()
    values = similarity(onehot)
    same = y[:, None] == y
    assert torch.allclose(values[same], torch.ones((), dtype=torch.float64), atol=1e-14)
    unlike = torch.full((), -1 / (classes - 1), dtype=torch.float64)
    assert torch.allclose(values[~same], unlike, atol=1e-14)


def test_similarity_is_that_of_numpy():
    x, wanted = random(7, 5), random(7, 3, seed=1)
    expected = ((cosines(x) - cosines(wanted)) ** 2).sum() / 49
    assert similarity_loss(x, wanted).item() == pytest.approx(expected, rel=1e-12)


def test_a_flat_row_has_no_direction_and_no_endless_gradient():
    x = random(4, 5)
    x[1] = 2.0
    x.requires_grad_()
    values = similarity(x)
    assert values[1].count_nonzero() == 0
    values.sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() < 10


@pytest.mark.parametrize("kind", ["similarity", "prediction", "both"])
def test_losses_are_those_of_numpy(kind):
    model = perceptron()
    rule = LocalErrors(model, kind=kind)
    for parameter in rule.prediction_heads.parameters():
        nn.init.normal_(parameter)
    x = random(7, 6, seed=2)
    first, second, last = rule.losses(x, Y)
    h = model[:3](x)
    for place, (loss, each) in enumerate([(first, h), (second, model[4:6](h))]):
        expected = 0.0
        if kind != "prediction":
            weight = rule.similarity_heads[place].weight.detach()
            wanted = cosines(nn.functional.one_hot(Y, 3).double())
            share = 0.99 if kind == "both" else 1
            expected += share * ((cosines(each @ weight.T) - wanted) ** 2).mean()
        if kind != "similarity":
            head = rule.prediction_heads[place]
            logits = (each @ head.weight.T + head.bias).detach().numpy()
            log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            expected -= (0.01 if kind == "both" else 1) * log[range(7), Y].mean()
        assert loss.item() == pytest.approx(expected, rel=1e-10)
    assert last.item() == pytest.approx(nn.functional.cross_entropy(model(x), Y).item(), rel=1e-12)


def test_heads_start_as_in_the_paper():
    rule = LocalErrors(perceptron())
    assert [head.weight.shape for head in rule.similarity_heads] == [(8, 8), (5, 5)]
    assert all(head.bias is None for head in rule.similarity_heads)
    assert all(p.count_nonzero() == 0 for p in rule.prediction_heads.parameters())
    assert not LocalErrors(perceptron(), kind="prediction").similarity_heads
    assert not LocalErrors(perceptron(), kind="similarity").prediction_heads


@pytest.mark.parametrize("make", [perceptron, loopy, lambda: loopy(Equilibrium())])
def test_a_loss_teaches_its_own_layer_alone(make):
    rule = LocalErrors(make())
    layers = [block.layer.weight for block in rule.blocks]
    # The place of the layer that each loss belongs to: loops are losses of one layer.
    loops = getattr(getattr(rule.blocks[1].layer, "loops", 1), "real", 1)
    owners = [0, *[1] * loops, 2]
    losses = rule.losses(random(7, 6), Y)
    assert len(losses) == len(owners)
    for place, loss in enumerate(losses):
        rule.zero_grad()
        loss.backward()
        taught = [number for number, weight in enumerate(layers) if weight.grad is not None]
        assert taught == [owners[place]]
        heads = [head.weight.grad is not None for head in rule.similarity_heads]
        assert heads == [number == place for number in range(len(losses) - 1)]


def test_the_gradient_is_that_of_each_block_alone():
    model = perceptron()
    rule = LocalErrors(model)
    x = random(7, 6, seed=2)
    rule(x, Y)
    for place, part in enumerate((model[:4], model[4:6])):
        given = x
        x = part(x).detach()
        wanted = nn.functional.one_hot(Y, 3).double()
        loss = 0.99 * similarity_loss(rule.similarity_heads[place](part(given)), wanted)
        guess = rule.prediction_heads[place](part(given))
        loss = loss + 0.01 * nn.functional.cross_entropy(guess, Y)
        parameters = list(part.parameters())
        for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            assert torch.allclose(parameter.grad, grad, atol=1e-13)


@pytest.mark.parametrize("options", [{}, {"inject": True, "activation": "tanh", "bias": True}])
def test_a_loop_is_a_layer_with_shared_weights(options):
    """Unrolled by hand: the weight's gradient is the sum over loops, each cut from the others."""
    model = loopy(**options)
    rule = LocalErrors(model, kind="similarity")
    x = random(7, 6)
    rule(x, Y)
    graph = model[2]
    start = model[:2](x).detach()
    _, states = graph(start, return_states=True)
    dense = torch.zeros(12, 12, dtype=torch.float64)
    dense[graph.edge_index[1], graph.edge_index[0]] = graph.weight.detach()
    dense.requires_grad_()
    wanted = nn.functional.one_hot(Y, 3).double()
    total = 0
    for loop in range(3):
        h = states[loop].detach() @ dense.T
        if options:
            h = (h + start).tanh()
        h = h.relu() if loop == 2 else h
        total = total + similarity_loss(rule.similarity_heads[1 + loop](h), wanted)
    total.backward()
    expected = dense.grad[graph.edge_index[1], graph.edge_index[0]]
    assert torch.allclose(graph.weight.grad, expected, atol=1e-13)


def test_a_loop_is_one_of_the_layer():
    """Leak and threshold with it: the states are those that the layer itself gives."""
    options = {"leak": 0.3, "threshold": 0.1, "activation": "tanh", "bias": True}
    graph = GraphLayer(graphs.small_world(12, 4, 0.2, seed=0), 3, inject=True, **options).double()
    nn.init.normal_(graph.bias)
    x = random(7, 12)
    _, states = graph(x, return_states=True)
    assert torch.allclose(torch.stack(list(cut_states(graph, x))), states[1:], atol=1e-13)


def test_heads_of_a_graph_cost_no_more_than_its_synapses():
    connectome = graphs.small_world(200, 10, 0.1, seed=0)
    rule = LocalErrors(classifier(connectome, 3, loops=2))
    assert [tuple(head.weight.shape) for head in rule.similarity_heads[1:]] == [(10, 200)] * 2


def test_some_neurons_are_read():
    connectome = graphs.small_world(20, 4, 0.1, seed=0)
    model = classifier(connectome, 3, loops=2, inputs=range(6), outputs=range(9, 20))
    rule = LocalErrors(model)
    assert [head.in_features for head in rule.prediction_heads] == [20, 20, 11]
    # Those that get nothing have nothing to compare.
    assert rule.similarity_heads[0].weight.shape == (6, 20)
    rule(torch.randn(7, 6), Y)


def test_h_is_taken_before_dropout():
    """With all units dropped the first layer still learns; the next gets nothing but zeros."""
    model = perceptron(dropout=1.0)
    rule = LocalErrors(model)
    rule(random(7, 6), Y)
    assert model[0].weight.grad.abs().sum() > 0
    assert model[4].weight.grad.count_nonzero() == 0


def test_without_a_classifier_the_last_head_predicts():
    model = perceptron()[:6]
    rule = LocalErrors(model, num_classes=3)
    x = random(7, 6)
    assert len(rule.losses(x, Y)) == 2
    nn.init.normal_(rule.prediction_heads[-1].weight)
    rule.eval()
    expected = rule.prediction_heads[-1](model(x))
    assert torch.equal(rule.predict(x), expected)


def test_signs_are_kept():
    worm = graphs.c_elegans()
    worm.node_sign = torch.where(torch.arange(worm.num_nodes) % 5 == 0, -1.0, 1.0)
    torch.manual_seed(0)
    graph = GraphLayer(worm, 2, dale=True)
    model = nn.Sequential(nn.Linear(6, worm.num_nodes), graph, nn.Linear(worm.num_nodes, 3))
    rule = LocalErrors(model)
    before = graph.weight.detach().sign()
    optimizer = torch.optim.SGD(rule.parameters(), lr=10.0)
    for _ in range(3):
        optimizer.zero_grad()
        rule(torch.randn(7, 6), Y)
        optimizer.step()
    after = graph.weight.detach()
    assert (after * before >= 0).all()
    assert not torch.equal(after.sign() * after.abs(), before)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="kind must be one of 'similarity'"):
        LocalErrors(perceptron(), kind="cosine")
    with pytest.raises(ValueError, match=r"share must be a finite number in \[0, 1\], got 2"):
        LocalErrors(perceptron(), share=2)
    with pytest.raises(ValueError, match="use kind='both'"):
        LocalErrors(perceptron(), kind="similarity", num_classes=3)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x):
        return self.left(x) + self.right(x)


class Backwards(nn.Sequential):
    def forward(self, x):
        for part in reversed(self):
            x = part(x)
        return x


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            nn.Sequential(Branches(), nn.Linear(5, 3)),
            "the order in which Branches runs them is unknown",
        ),
        (Backwards(nn.Linear(6, 3)), "the order in which Backwards runs them is unknown"),
        (nn.Sequential(nn.ReLU()), "no nn.Linear and no GraphLayer"),
        (nn.Sequential(nn.Conv1d(1, 1, 3)), "Conv1d has weights"),
    ],
)
def test_models_without_an_order_are_refused(model, reason):
    with pytest.raises(ValueError, match=reason):
        LocalErrors(model)


@pytest.mark.parametrize("kind", ["similarity", "prediction", "both"])
@pytest.mark.parametrize(
    "make", [perceptron, loopy, lambda: loopy(Equilibrium())], ids=["layers", "loops", "settled"]
)
def test_a_step_gives_the_sum_of_the_gradients_of_all_losses(make, kind):
    """Losses of equal heads are computed in one pass, and ``losses`` one by one."""
    rules = []
    for _ in range(2):
        model = make()
        torch.manual_seed(1)
        rules.append(LocalErrors(model, kind=kind))
    one, other = rules
    x = random(7, 6)
    last = one(x, Y)
    losses = other.losses(x, Y)
    for loss in losses:
        loss.backward()
    assert last.item() == pytest.approx(losses[-1].item(), rel=1e-12)
    expected = dict(other.named_parameters())
    for name, parameter in one.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-11, atol=1e-13)


def test_similarities_of_several_layers_are_those_of_each():
    x, wanted = random(2, 7, 5), random(7, 3, seed=1)
    together = similarity_loss(x, wanted)
    assert together.shape == (2,)
    for number in range(2):
        assert torch.allclose(together[number], similarity_loss(x[number], wanted), rtol=1e-13)
