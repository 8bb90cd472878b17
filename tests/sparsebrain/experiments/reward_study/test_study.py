"""The command keeps its trainings and writes what it found."""

import csv
import os
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from sparsebrain.experiments import reward
from sparsebrain.experiments.figures import reward as figure
from sparsebrain.experiments.reward_study import kept as kept_module
from sparsebrain.experiments.reward_study import study
from sparsebrain.experiments.reward_study.methods import METHODS


@pytest.fixture
def few(monkeypatch):
    names = ("backprop, policy", "ED, values")
    monkeypatch.setattr(study, "METHODS", {name: METHODS[name] for name in names})
    monkeypatch.setattr(study, "CONTROLS", names[:1])


def test_tables_and_figure_are_written_and_trainings_kept(few, tmp_path):
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        scores = reward(task="catch", batches=2, seeds=2, out=tmp_path, console=console)
    text = console.export_text()
    assert "8 of 8" in text
    assert "catch, loopy: is NOT solved by any control" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "results.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == len(scores) == 8
    assert {float(row["score"]) for row in rows} == {each.score for each in scores}
    # The seconds are those of the first time.
    assert reward(task="catch", batches=2, seeds=2, out=tmp_path) == scores


def test_topologies_are_trained_and_told_apart(few, tmp_path):
    topologies = ["layered", "small-world:neighbors=4,num_nodes=20"]
    scores = reward(task="bandit", topologies=topologies, batches=1, seeds=1, out=tmp_path)
    with (tmp_path / "results.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(scores) == 4
    # Options stand in the order of the generator's arguments.
    assert {row["topology"] for row in rows} == {
        "layered",
        "small-world:num_nodes=20,neighbors=4",
    }
    for row in rows:
        assert bool(row["connectome_checksum"]) == (row["topology"] != "layered")


def test_a_training_that_grows_without_bound_is_reported(few, tmp_path, monkeypatch):
    wild = replace(METHODS["ED, values"], rate=1e9)
    monkeypatch.setitem(study.METHODS, "ED, values", wild)
    monkeypatch.setitem(METHODS, "ED, values", wild)
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        scores = reward(
            task="bandit",
            topologies=["layered"],
            batches=2,
            seeds=2,
            out=tmp_path,
            console=console,
        )
    assert [each.diverged for each in scores] == [0, 1, 0, 1]
    assert "bandit, layered, ED, values: 2 of 2 trainings diverged, after batch 1, 1" in (
        console.export_text()
    )
    assert reward(task="bandit", topologies=["layered"], batches=2, seeds=2, out=tmp_path)


def test_a_figure_has_one_panel_per_method_and_says_what_diverged():
    runs = {
        "layered": {"ED": [[0.2, 0.4], [0.4, 0.8]], "Hebb": [None, None]},
        "loopy": {"ED": [[0.5, 1.0], None], "Hebb": []},
    }
    drawn = figure.draw("catch", runs, 10)
    first, second = (each for each in drawn.axes if each.get_visible() and each.axison)
    assert (first.get_title(), second.get_title()) == ("ED", "Hebb")
    lines = [line.get_xydata().tolist() for line in first.lines]
    assert np.allclose(lines, [[[5, 0.3], [10, 0.6]], [[5, 0.5], [10, 1.0]]])
    assert [text.get_text() for text in first.texts] == ["1 of 2 diverged"]
    assert [text.get_text() for text in second.texts] == ["2 of 2 diverged"]


def test_a_damaged_table_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("task,method\nbandit,none\n")
    with pytest.raises(ValueError, match="results.csv cannot be read"):
        kept_module.Scores(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"task": "chess"}, "task must be one of"),
        ({"batches": 0}, "batches must be an integer >= 1"),
        ({"seeds": 0}, "seeds must be an integer >= 1"),
        ({"jobs": 0}, "jobs must be an integer >= 1"),
        ({"topologies": ["grd"]}, "unknown kind 'grd'"),
        ({"topologies": ["loopy", "loopy "]}, "topologies has 'loopy' twice"),
        ({"topologies": []}, "topologies must not be empty"),
    ],
)
def test_wrong_arguments_are_refused(wrong, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        reward(**wrong, out=tmp_path)
