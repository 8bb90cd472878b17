import pytest
import torch
from torch import nn

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.models import AnytimeClassifier

KINDS = {
    "inject": {"inject": True, "activation": "tanh"},
    "no injection": {"activation": "relu", "bias": True},
    "dale": {"inject": True, "activation": "sigmoid", "dale": True},
    "leak": {"activation": "relu", "leak": "neuron", "threshold": 0.1, "noise": 0.1},
    "another aggregation": {"aggr": "max", "activation": "tanh", "inject": True},
    "a function": {"activation": lambda state: 9 * state.softmax(-1), "inject": True},
}


@pytest.fixture(params=KINDS)
def model(request):
    """30 neurons, 6 loops, encoded from 7 values, unlike at every sample, in float64."""
    torch.manual_seed(0)
    data = graphs.small_world(30, 6, 0.3, self_loops=True, seed=0)
    data.node_sign = torch.ones(30)
    data.node_sign[::3] = -1
    layer = GraphLayer(data, 6, **KINDS[request.param])
    model = AnytimeClassifier(layer, 3, encode=nn.Linear(7, 30), outputs=range(5, 25)).double()
    # Noise is for training.
    model.eval()
    with torch.no_grad():
        for readout in model.readouts:
            readout.weight *= 3
    return model


@pytest.fixture
def x():
    return 2 * torch.randn(40, 7, generator=torch.Generator().manual_seed(1)).double()


def test_each_exit_is_the_readout_of_that_many_loops(model, x):
    scores = model(x)
    assert scores.shape == (6, 40, 3)
    for number, readout in enumerate(model.readouts, start=1):
        model.layer.loops = number
        torch.testing.assert_close(
            scores[number - 1], readout(model.layer(model.encode(x))[:, 5:25])
        )


def test_a_sample_stops_at_the_first_loop_that_is_sure_enough(model, x):
    probability = model(x).softmax(-1)
    for confidence in (0.4, 0.6, 0.8):
        sure = probability.amax(-1) > confidence
        sure[-1] = True
        first = sure.int().argmax(0)
        found = model.predict(x, confidence)
        assert torch.equal(found.loops, first + 1)
        reached = probability[first, torch.arange(40)]
        assert torch.equal(found.classes, reached.argmax(-1))
        torch.testing.assert_close(found.confidence, reached.amax(-1))
    assert model.layer.loops == 6


def test_certain_is_all_loops_and_anything_the_first(model, x):
    scores = model(x)
    # A softmax that is rounded to 1 is still none.
    with torch.no_grad():
        model.readouts[2].bias[1] = 1e4
    for confidence, loops in ((1, 6), (1.0, 6), (0, 1)):
        found = model.predict(x, confidence)
        assert found.loops.unique().tolist() == [loops]
        assert torch.equal(found.classes, scores[loops - 1].argmax(-1))


def test_samples_stop_independently_of_their_batch(model, x):
    together = model.predict(x, 0.6)
    assert len(together.loops.unique()) > 1
    alone = [model.predict(each.unsqueeze(0), 0.6) for each in x]
    for part in ("classes", "loops"):
        one_by_one = torch.cat([getattr(each, part) for each in alone])
        assert torch.equal(getattr(together, part), one_by_one)
    assert all(len(part) == 0 for part in model.predict(x[:0]))


def test_only_the_unsure_samples_are_looped_on(x):
    seen = []

    def watched(state):
        seen.append(len(state))
        return state.tanh()

    torch.manual_seed(0)
    layer = GraphLayer(graphs.small_world(7, 2, 0, seed=0), 6, activation=watched, inject=True)
    model = AnytimeClassifier(layer, 3).double()
    with torch.no_grad():
        for readout in model.readouts:
            readout.weight *= 3
    loops = model.predict(x, 0.6).loops
    assert seen == [int((loops >= number).sum()) for number in range(1, int(loops.max()) + 1)]
    assert seen[0] > seen[-1] > 0


def test_the_loss_is_the_mean_of_the_cross_entropies_of_all_exits(model, x):
    y = torch.randint(3, (40,), generator=torch.Generator().manual_seed(2))
    wanted = sum(nn.functional.cross_entropy(scores, y) for scores in model(x)) / 6
    loss = model.loss(x, y)
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    assert all(bool(each.grad.abs().sum() > 0) for each in model.parameters())


def test_predicting_leaves_no_graph_and_no_trace(model, x):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not model.predict(x, 0.6).confidence.requires_grad
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_longer_look_finds_what_is_further_away():
    """Read at one end of a row, an input is told from as many loops on as it is away, exactly."""
    row = graphs.grid_local((6,), 1)
    model = AnytimeClassifier(GraphLayer(row, 6, inject=True), 2, outputs=[0])
    with torch.no_grad():
        for readout in model.readouts:
            readout.bias.zero_()
            readout.weight[:, 0] = torch.tensor([-1.0, 1.0])
        model.layer.weight.fill_(1.0)
    y = torch.tensor([0, 1])
    for place in range(6):
        x = torch.zeros(2, 6)
        x[:, place] = torch.tensor([-1.0, 1.0])
        scores = model(x)
        assert not scores[:place].any()
        assert torch.equal(scores[place:].argmax(-1), y.expand(6 - place, 2))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"layer": nn.Linear(3, 3)}, TypeError, "layer must be a GraphLayer, got Linear"),
        ({"loops": Equilibrium()}, ValueError, "layer must have a number of loops.*loops=5"),
        ({"outputs": [6]}, ValueError, "outputs must be from 0 to 5.*1 of 1 are not: 6"),
        ({"outputs": ["A"]}, ValueError, "outputs holds names, but the connectome has none"),
        ({"num_classes": 0}, ValueError, "num_classes must be an integer >= 1"),
        ({"num_classes": "3"}, TypeError, "num_classes must be an integer"),
    ],
)
def test_what_cannot_be_made_is_refused(options, error, match):
    layer = GraphLayer(graphs.small_world(6, 2, 0, seed=0), options.pop("loops", 2))
    with pytest.raises(error, match=match):
        AnytimeClassifier(**{"layer": layer, "num_classes": 2, **options})


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_is_a_probability(confidence):
    model = AnytimeClassifier(GraphLayer(graphs.small_world(6, 2, 0, seed=0)), 2)
    with pytest.raises(ValueError, match=r"confidence must be a finite number in \[0, 1\]"):
        model.predict(torch.zeros(3, 6), confidence)
    with pytest.raises(ValueError, match=r"x must be .* of shape \[B, F\], got \[6\]"):
        model.predict(torch.zeros(6))


def test_samples_may_be_integers_that_are_encoded():
    torch.manual_seed(0)
    encode = nn.Sequential(nn.Embedding(9, 5), nn.Flatten())
    layer = GraphLayer(graphs.small_world(10, 2, 0, seed=0), 3, inject=True)
    model = AnytimeClassifier(layer, 3, encode=encode)
    x = torch.randint(9, (8, 2))
    confidence = model.predict(x, 1).confidence
    torch.testing.assert_close(confidence, model(x)[-1].softmax(-1).amax(-1).detach())


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        (torch.full((40,), 3), ValueError, r"y must lie in 0\.\.2"),
        (torch.zeros(40, 1).long(), ValueError, r"y must be an int64 tensor of shape \[B\]"),
        (torch.zeros(40), TypeError, r"pass y\.long\(\)"),
    ],
)
def test_wrong_labels(model, x, y, error, match):
    with pytest.raises(error, match=match):
        model.loss(x, y)
