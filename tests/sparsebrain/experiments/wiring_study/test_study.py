"""The brain and its null models: budgets, pairs, and what is kept and told."""

import csv
import os

import numpy as np
import pytest
import torch
from rich.console import Console
from torch_geometric.data import Data

import graphs
from sparsebrain.experiments import differences, wiring
from sparsebrain.experiments.wiring_study import study
from sparsebrain.experiments.wiring_study.nulls import NULLS, nulls_of
from sparsebrain.experiments.wiring_study.tasks import TASKS
from sparsebrain.experiments.wiring_study.training import LEARNS, Setting, input_shares, train


@pytest.fixture(scope="module")
def brain():
    """A small brain with every field that a null model needs."""
    data = graphs.coordinate_random(30, (4, 4), 1.6, seed=0)
    data.node_type = torch.arange(30) % 3
    data.node_type_names = ["P", "K", "O"]
    data.edge_weight = torch.arange(1, data.num_edges + 1, dtype=torch.float32)
    return data


def setting(**changes):
    values = {
        **{"brain": "own", "task": "odors", "learns": "readout", "wiring": "brain"},
        **{"inputs": "P", "outputs": "O", "epochs": 1, "seed": 0, "brain_checksum": ""},
    }
    return Setting(**{**values, **changes})


def test_every_null_model_has_the_budget_of_the_brain(brain):
    assert nulls_of(brain) == tuple(NULLS)
    plain = graphs.erdos_renyi(20, 0.2, seed=0)
    assert nulls_of(plain) == ("reciprocity", "degrees", "random")
    for null in NULLS.values():
        drawn = graphs.validate(null.draw(brain, 3))
        assert (drawn.num_nodes, drawn.num_edges) == (brain.num_nodes, brain.num_edges)
        assert torch.equal(drawn.node_type, brain.node_type)
        assert torch.equal(drawn.edge_weight.sort()[0], brain.edge_weight.sort()[0])
        again = null.draw(brain, 3)
        assert torch.equal(drawn.edge_index, again.edge_index)


def blocks(data):
    source, target = data.node_type[data.edge_index]
    return torch.bincount(3 * source + target, minlength=9)


def degrees(data):
    return torch.stack([torch.bincount(end, minlength=30) for end in data.edge_index])


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("weights", {"edges", "degrees", "blocks", "reciprocity"}),
        ("reciprocity", {"degrees", "blocks", "reciprocity"}),
        ("lengths", {"degrees"}),
        ("degrees", {"degrees", "blocks"}),
        ("populations", {"blocks"}),
        ("random", set()),
    ],
)
def test_null_models_preserve_what_they_say(brain, name, kept):
    drawn = NULLS[name].draw(brain, 0)
    ordered = np.lexsort(brain.edge_index.numpy())
    same = {
        "edges": torch.equal(drawn.edge_index, brain.edge_index[:, ordered]),
        "degrees": torch.equal(degrees(drawn), degrees(brain)),
        "blocks": torch.equal(blocks(drawn), blocks(brain)),
        "reciprocity": graphs.reciprocity(drawn) == graphs.reciprocity(brain),
    }
    assert {each for each, holds in same.items() if holds} == kept


def test_strengths_are_shares_of_the_input():
    data = Data(
        edge_index=torch.tensor([[0, 1, 2, 0], [2, 2, 0, 1]]),
        num_nodes=3,
        edge_weight=torch.tensor([3.0, 1.0, 5.0, 0.0]),
        node_sign=torch.tensor([1.0, -1.0, 0.0]),
    )
    assert input_shares(data).edge_weight.tolist() == [0.75, -0.25, 1.0, 0.0]
    assert data.edge_weight.tolist() == [3.0, 1.0, 5.0, 0.0]


@pytest.mark.parametrize("task", TASKS)
def test_tasks_are_those_of_their_seed(task):
    one, again, other = (TASKS[task](7, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one[:4], again[:4], strict=True))
    assert not torch.equal(one.train_x, other.train_x)
    assert one.train_x.shape[1] == one.test_x.shape[1] == 7
    assert bool((one.train_x >= 0).all())
    assert set(one.test_y.tolist()) == set(range(one.num_classes))


def test_only_what_is_said_is_trained(brain):
    readout, synapses = (train(setting(learns=each), brain)[1] for each in LEARNS)
    of_readout = 10 * 40 + 40 + 2 * 10
    assert readout.parameters == of_readout
    assert synapses.parameters == of_readout + brain.num_edges
    assert readout.kept == 1
    assert 0 < train(setting(wiring="random"), brain)[1].kept < 0.6


def test_nothing_depends_on_the_state_of_random_numbers(brain):
    scores = []
    for state in (0, 1):
        torch.manual_seed(state)
        scores.append(train(setting(wiring="degrees"), brain)[1].accuracy)
    assert scores[0] == scores[1]


def test_pairs_are_compared_and_trainings_kept(brain, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "nulls_of", lambda data: ("degrees", "random"))
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        found = wiring(brain, epochs=1, seeds=3, out=tmp_path, console=console)
    text = console.export_text()
    assert "18 of 18" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "results.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 18
    values = {
        name: [
            100 * float(row["accuracy"])
            for row in sorted(rows, key=lambda row: int(row["seed"]))
            if (row["wiring"], row["learns"]) == (name, "readout")
        ]
        for name in ("brain", "degrees", "random")
    }
    pairs = [("brain", "degrees"), ("brain", "random")]
    expected = differences(values, pairs, resolution=100 / 800)
    assert sorted(each.difference for each in found[:2]) == sorted(expected)
    monkeypatch.setattr(study, "train", None)
    assert wiring(brain, epochs=1, seeds=3, out=tmp_path) == found


def test_another_brain_is_trained_again(brain, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "nulls_of", lambda data: ("random",))
    wiring(brain, epochs=1, seeds=2, out=tmp_path)
    changed = brain.clone()
    changed.edge_weight = brain.edge_weight + 1
    wiring(changed, epochs=1, seeds=2, out=tmp_path)
    with (tmp_path / "results.csv").open() as file:
        assert len([*csv.DictReader(file)]) == 16


def test_the_statement_names_what_differs():
    brain = [50.0, 51.0, 49.0, 50.5]
    near, far = [49.5, 51.5, 49.2, 50.1], [40.0, 41.5, 39.0, 40.2]
    found = [
        study.Comparison("readout", each.second, each)
        for each in differences(
            {"brain": brain, "weights": near, "random": far},
            [("brain", "weights"), ("brain", "random")],
        )
    ]
    told = study.tell("worm", "readout", found)
    assert told.startswith("Trained readout, worm: +9.9 points against the number of synapses (")
    assert told.endswith("no significant difference from weights.")
    assert "no null model differs significantly" in study.tell("worm", "synapses", found)


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"brain": "grid"}, ValueError, "'grid' states no size; pass one that does"),
        ({"brain": "worms"}, ValueError, "worms"),
        ({"brain": "none"}, ValueError, "none"),
        ({"brain": "c-elegans:both"}, ValueError, "c-elegans"),
        ({"brain": 3}, TypeError, "brain must be a Data or a text"),
        ({"task": "smells"}, ValueError, "task must be .*'odors'"),
        ({"seeds": 1}, ValueError, "seeds must be at least 2"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"inputs": "Q"}, ValueError, "inputs"),
        ({"jobs": 0}, ValueError, "jobs must be"),
    ],
)
def test_wrong_arguments_are_refused(wrong, error, told, tmp_path):
    with pytest.raises(error, match=told):
        wiring(**wrong, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
