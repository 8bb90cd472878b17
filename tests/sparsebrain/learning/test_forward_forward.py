"""Forward-forward: goodness by hand, labels in their place, and no activity passed on."""

import numpy as np
import pytest
import torch
from torch import nn

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.learning import ForwardForward, LabelInputs
from sparsebrain.learning.forward_forward import normalize
from sparsebrain.models.neurons import PlaceNeurons

Y = torch.tensor([0, 1, 2, 1, 0, 2, 1])
RING = graphs.small_world(12, 4, 0.2, seed=0)


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layered(hidden=(8, 7, 5)):
    torch.manual_seed(0)
    parts, width = [LabelInputs(3)], 9
    for size in hidden:
        parts += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*parts).double()


def recurrent(loops=8, connectome=RING):
    torch.manual_seed(0)
    return ForwardForward.build(connectome, 6, 3, loops=loops).double()


def dense(graph):
    matrix = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.float64)
    matrix[graph.edge_index[1], graph.edge_index[0]] = graph.weight.detach()
    return matrix


def test_labels_come_first():
    x, y = random(7, 2, 3), Y
    given = LabelInputs(3)(x, y)
    assert given.shape == (7, 9)
    assert torch.equal(given[:, :3].argmax(1), y)
    assert torch.equal(given[:, :3].sum(1), torch.ones(7, dtype=torch.float64))
    assert torch.equal(given[:, 3:], x.flatten(1))
    assert torch.equal(LabelInputs(10)(x)[:, :10], torch.full((7, 10), 0.1, dtype=torch.float64))


def test_the_next_layer_does_not_hear_how_active_one_was():
    rule = ForwardForward(layered())
    x = random(7, 6)
    before = rule.activities(x, Y)
    with torch.no_grad():
        # A power of two is exact; rectifiers pass it on.
        rule.model[1].weight *= 4
        rule.model[1].bias *= 4
    after = rule.activities(x, Y)
    assert torch.equal(after[0], 4 * before[0])
    assert torch.equal(after[1], before[1])
    assert torch.equal(after[2], before[2])


def test_normalized_activities_have_a_mean_square_of_one():
    z = random(5, 6)
    z[2] = 0
    out = normalize(z)
    assert torch.allclose(out[[0, 1, 3, 4]].square().mean(1), torch.ones(4, dtype=torch.float64))
    assert out[2].count_nonzero() == 0
    groups = torch.tensor([0, 1, 0, 1, 1, 0])
    for group in (0, 1):
        part = groups == group
        assert torch.allclose(normalize(z, groups)[:, part], normalize(z[:, part]))


def test_loss_and_gradient_of_a_layer_are_those_by_hand():
    """dL/dz = 2 z (p - 1) of true halves, 2 z p of the others, each over B, and the peers' part."""
    rule = ForwardForward(layered())
    z = random(6, 5).requires_grad_()
    loss = rule.layer_loss(z)
    loss.backward()
    values = z.detach().numpy()
    p = 1 / (1 + np.exp(-((values**2).sum(1) - 5)))
    means = values[:3].mean(0)
    peers = 0.03 * ((means.mean() - means) ** 2).mean()
    expected = -(np.log(p[:3]).sum() + np.log(1 - p[3:]).sum()) / 3 + peers
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    grad = 2 * values * (p - np.array([1, 1, 1, 0, 0, 0]))[:, None] / 3
    # The mean over units moves with each, but its pulls add up to nothing.
    grad[:3] += 0.03 * 2 * (means - means.mean()) / 5 / 3
    assert np.allclose(z.grad.numpy(), grad, atol=1e-13)


def test_each_layer_is_taught_by_itself():
    rule = ForwardForward(layered())
    layers = [rule.model[place].weight for place in (1, 3, 5)]
    for place, z in enumerate(rule.activities(torch.cat([random(7, 6)] * 2), torch.cat((Y, Y)))):
        rule.zero_grad()
        rule.layer_loss(z).backward()
        assert [w.grad is not None for w in layers] == [number == place for number in range(3)]


@pytest.mark.parametrize("negatives", ["uniform", "hard"])
def test_wrong_labels_are_wrong_and_drawn(negatives):
    generator = torch.Generator().manual_seed(0)
    rule = ForwardForward(layered(), negatives=negatives, generator=generator)
    y = Y.repeat(400)
    _, weight = rule._read(random(7, 6).repeat(400, 1), y)
    wrong = rule._wrong(weight, y)
    assert (wrong != y).all()
    # Both wrong labels, each with probability 1/2 while the softmax knows nothing: 5 standard
    # deviations, two-sided, are a false alarm in 2 million.
    share = ((wrong - y) % 3 == 1).double().mean().item()
    assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(len(y))


def test_hard_negatives_are_those_that_look_right():
    rule = ForwardForward(layered(), negatives="hard")
    with torch.no_grad():
        rule.head.bias.copy_(torch.tensor([0.0, 40.0, 0.0]))
    _, weight = rule._read(random(7, 6), Y)
    assert torch.equal(rule._wrong(weight, Y)[Y != 1], torch.ones(4, dtype=torch.int64))


@pytest.mark.parametrize("hidden", [(8, 7, 5), (8,)])
def test_the_answer_is_the_label_of_most_goodness_beyond_the_first_layer(hidden):
    model = layered(hidden)
    rule = ForwardForward(model)
    x = random(7, 6)
    for label in range(3):
        z = nn.functional.one_hot(torch.full((7,), label), 3).double()
        z, goodness = torch.cat((z, x), 1), 0
        for place in range(len(hidden)):
            z = model[2 + 2 * place](model[1 + 2 * place](z / z.square().mean(1, True).sqrt()))
            if place or len(hidden) == 1:
                goodness = goodness + z.square().sum(1)
        assert torch.allclose(rule.predict(x)[:, label], goodness, rtol=1e-12)


def test_a_softmax_reads_the_neutral_label():
    rule = ForwardForward(layered(), predict_by="softmax")
    nn.init.normal_(rule.head.weight)
    x = random(7, 6)
    seen = [normalize(z) for z in rule.activities(x, None)[1:]]
    logits = torch.cat(seen, 1) @ rule.head.weight.T + rule.head.bias
    assert torch.allclose(rule.predict(x), logits)
    rule(x, Y)
    probability = logits.softmax(1) - nn.functional.one_hot(Y, 3)
    assert torch.allclose(rule.head.bias.grad, probability.mean(0).detach())


def test_sweeps_are_those_by_hand():
    model = recurrent(loops=8)
    with torch.no_grad():
        model[2].bias.copy_(random(12))
    rule = ForwardForward(model)
    x = random(7, 6)
    drive = model[1](normalize(model[0](x, Y))) + model[2].bias
    state, matrix = drive.relu(), dense(model[2])
    for found in rule.activities(x, Y):
        rms = state.square().mean(1, keepdim=True).sqrt()
        state = 0.3 * state + 0.7 * ((state / rms) @ matrix.T + drive).relu()
        assert torch.allclose(found, state, atol=1e-13)


@pytest.mark.parametrize(("loops", "counted"), [(8, [2, 3, 4]), (4, [2, 3]), (2, [1])])
def test_sweeps_three_to_five_tell_the_label(loops, counted):
    rule = ForwardForward(recurrent(loops))
    x = random(7, 6)
    for label in range(3):
        states = rule.activities(x, torch.full((7,), label))
        goodness = sum(states[sweep].square().sum(1) for sweep in counted)
        assert torch.allclose(rule.predict(x)[:, label], goodness)
    softmax = ForwardForward(recurrent(loops), predict_by="softmax")
    assert softmax.head.in_features == 12 * len(counted)
    assert softmax.predict(x).shape == (7, 3)


def test_a_sweep_is_taught_by_one_exchange():
    """Of the last sweep's loss by hand: no gradient from the sweeps before it."""
    model = recurrent(loops=3)
    rule = ForwardForward(model, peer=0)
    x, y = torch.cat([random(7, 6)] * 2), torch.cat((Y, (Y + 1) % 3))
    states = rule.activities(x, y)
    rule.layer_loss(states[-1]).backward()
    matrix = dense(model[2]).requires_grad_()
    drive = (model[1](normalize(model[0](x, y))) + model[2].bias).detach()
    before = states[-2].detach()
    after = 0.3 * before + 0.7 * (normalize(before) @ matrix.T + drive).relu()
    rule.layer_loss(after).backward()
    expected = matrix.grad[model[2].edge_index[1], model[2].edge_index[0]]
    assert torch.allclose(model[2].weight.grad, expected, atol=1e-13)


def test_groups_are_layers_of_their_own():
    groups = torch.tensor([4] * 5 + [9] * 7)
    rule = ForwardForward(recurrent(), groups=groups)
    z = random(6, 12)
    expected = torch.stack((z[:, :5].square().sum(1), z[:, 5:].square().sum(1)), 1)
    assert torch.allclose(rule.goodness(z), expected)
    logits = expected - torch.tensor([5.0, 7.0])
    wanted = torch.tensor([[1.0]] * 3 + [[0.0]] * 3).double().expand(6, 2)
    loss = 2 * nn.functional.binary_cross_entropy_with_logits(logits, wanted)
    rule.peer = 0
    assert rule.layer_loss(z).item() == pytest.approx(loss.item(), rel=1e-12)


def test_label_and_image_can_be_neurons_of_the_graph():
    """No weights but those of synapses; the first neurons placed are the label's."""
    torch.manual_seed(0)
    places = torch.tensor([11, 10, 9, 0, 1, 2, 3, 4, 5])
    graph = GraphLayer(RING, 8, activation="relu", inject=True)
    rule = ForwardForward(nn.Sequential(LabelInputs(3), PlaceNeurons(places, 12), graph).double())
    x = random(7, 6).abs()
    first = rule.activities(x, Y)[0]
    drive = torch.zeros(7, 12, dtype=torch.float64)
    drive[:, places] = normalize(LabelInputs(3)(x, Y))
    new = (normalize(drive) @ dense(graph).T + drive).relu()
    assert torch.allclose(first, 0.3 * drive + 0.7 * new, atol=1e-13)
    rule(x, Y)
    assert [name for name, _ in rule.named_parameters()] == ["model.2.weight"]
    assert graph.weight.grad.abs().sum() > 0


def test_sparse_layers_of_one_loop_are_layers():
    torch.manual_seed(0)
    graph = GraphLayer(RING, 1, activation="relu")
    rule = ForwardForward(nn.Sequential(LabelInputs(3), nn.Linear(9, 12), nn.ReLU(), graph))
    rule(torch.randn(7, 6), Y)
    assert graph.weight.grad.abs().sum() > 0


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="predict_by must be one of"):
        ForwardForward(layered(), predict_by="loss")
    with pytest.raises(ValueError, match="negatives must be one of"):
        ForwardForward(layered(), negatives="soft")
    with pytest.raises(ValueError, match="peer must be a finite number >= 0"):
        ForwardForward(layered(), peer=-1)
    with pytest.raises(ValueError, match="groups are those of the neurons of the recurrent form"):
        ForwardForward(layered(), groups=torch.zeros(12, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"groups must be an integer tensor of shape \[12\]"):
        ForwardForward(recurrent(), groups=torch.zeros(11, dtype=torch.int64))
    with pytest.raises(ValueError, match="num_classes must be an integer >= 2"):
        LabelInputs(1)


def looped(loops=3, *, inject=True, behind=(), between=(), **options):
    graph = GraphLayer(RING, loops, inject=inject, **options)
    return nn.Sequential(LabelInputs(3), nn.Linear(9, 12), *between, graph, *behind)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Linear(9, 5)), r"begin it with learning\.LabelInputs"),
        (nn.Sequential(LabelInputs(3), nn.Linear(9, 5), nn.BatchNorm1d(5)), "BatchNorm1d undoes"),
        (looped(inject=False), "make it with inject=True"),
        (looped(Equilibrium()), "use loops=8"),
        (looped(leak=0.5), "use leak=None"),
        (looped(between=[nn.ReLU()]), "nothing may follow it"),
        (looped(behind=[nn.ReLU()]), "nothing may follow it"),
        (looped(between=[nn.Linear(12, 12)]), "nothing may follow it"),
    ],
)
def test_models_that_do_not_fit_are_refused(model, reason):
    with pytest.raises(ValueError, match=reason):
        ForwardForward(model)


def with_groups(**options):
    groups = torch.arange(12) % 3
    return ForwardForward(recurrent(loops=4).eval(), groups=groups, **options)


FORMS = {
    "layered": lambda **options: ForwardForward(layered(), **options),
    "recurrent": lambda **options: ForwardForward(recurrent(), **options),
    "groups": with_groups,
}


@pytest.mark.parametrize("options", [{}, {"peer": 0.0}, {"predict_by": "softmax"}], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_a_step_gives_the_gradients_of_the_losses_of_all_layers(form, options):
    """``layer_loss`` is the definition, through which autograd passes."""
    rules = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        rules.append(FORMS[form](generator=generator, **options).double())
    one, other = rules
    x = random(7, 6)
    found = one(x, Y)
    loss, weight = other._read(x, Y)
    labels = torch.cat((Y, other._wrong(weight, Y)))
    for z in other.activities(torch.cat((x, x)), labels):
        loss = loss + other.layer_loss(z)
    loss.backward()
    assert found.item() == pytest.approx(loss.item(), rel=1e-12)
    assert not found.requires_grad
    expected = dict(other.named_parameters())
    for name, parameter in one.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-11, atol=1e-13)


def test_layers_of_a_part_are_those_of_the_whole_model():
    torch.manual_seed(0)
    rule = ForwardForward(ForwardForward.build(None, 4, 3, hidden=6))
    x, y = torch.rand(5, 4), torch.arange(5) % 3
    wanted = rule.activities(x, y)
    found = rule.layers(rule.model[0](x, y))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_a_recurrent_form_has_no_layers():
    rule = ForwardForward(ForwardForward.build(graphs.grid_local((3, 3), 1), 4, 3))
    with pytest.raises(ValueError, match=r"recurrent.*call rule\.activities\(x, labels\)"):
        rule.layers(torch.rand(5, 7))
