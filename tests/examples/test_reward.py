"""The tables of the README on rewards are those of the runs beside it."""

import csv
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest

from sparsebrain.experiments.reward_study.methods import CONTROLS, MENDS, METHODS

FOLDER = Path(__file__).parents[2] / "examples" / "reward"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
SEEDS = {"bandit": 5, "catch": 3, "cartpole": 3}
TASKS = pytest.mark.parametrize("task", SEEDS)


def runs(task):
    """Return the rows of every method and topology, by seed."""
    found = {}
    with (FOLDER / task / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["method"], row["topology"]), []).append(row)
    return {key: sorted(rows, key=lambda row: int(row["seed"])) for key, rows in found.items()}


def cell(rows):
    """Return mean ± standard deviation of the score, or how many trainings diverged."""
    finite = [float(row["score"]) for row in rows if row["diverged"] == "0"]
    if len(finite) < len(rows):
        return f"{len(rows) - len(finite)} of {len(rows)} diverged"
    return f"{fmean(finite):.2f} ± {stdev(finite):.2f}"


@TASKS
def test_scores_are_those_of_the_runs(task):
    (section,) = re.findall(rf"^## {task}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S | re.I)
    (header,) = re.findall(r"^\| \| (layered .*) \|$", section, re.M)
    columns = header.split(" | ")
    found = runs(task)
    for (method, topology), rows in found.items():
        (line,) = re.findall(rf"^\| {re.escape(method)} \| .*", section, re.M)
        shown = line.split("|")[2 + columns.index(topology)].strip()
        assert shown == cell(rows), (method, topology)
    assert {method for method, _ in found} == {*METHODS}
    assert len(re.findall(r"^\| (?!\|)[^-]", section, re.M)) == len(METHODS)


@TASKS
def test_every_seed_is_there_and_a_control_solves_the_task(task):
    found = runs(task)
    for (method, topology), rows in found.items():
        seeds = SEEDS[task] if topology in ("layered", "loopy") else 3
        assert [row["seed"] for row in rows] == [str(each) for each in range(seeds)]
        assert topology == "layered" or method not in MENDS
        # All trainings of a table ran the same code.
        assert {row["code_checksum"] for row in rows} == {
            row["code_checksum"] for row in found[CONTROLS[0], "layered"]
        }
    for topology in {topology for _, topology in found}:
        scores = [[float(row["score"]) for row in found[each, topology]] for each in CONTROLS]
        assert max(map(fmean, scores)) > 0.95


@TASKS
def test_a_training_that_diverged_has_no_score(task):
    for rows in runs(task).values():
        for row in rows:
            assert (row["score"] == "nan") == (row["diverged"] != "0")
            if row["diverged"] == "0":
                assert float(row["magnitude"]) < 100


def test_every_file_that_is_shown_is_there():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) >= 6
    for link in links:
        assert (FOLDER / link).is_file(), link
