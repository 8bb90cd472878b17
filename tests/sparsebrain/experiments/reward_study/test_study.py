"""The command keeps its trainings and writes what it found."""

import csv
import os

import pytest
from rich.console import Console

from sparsebrain.experiments import reward
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
    ],
)
def test_wrong_arguments_are_refused(wrong, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        reward(**wrong, out=tmp_path)
