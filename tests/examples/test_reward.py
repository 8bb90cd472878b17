"""The tables of the README on rewards are those of the runs beside it."""

import csv
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "reward"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")


def cells(task):
    """Return the cell of every method and topology: mean ± standard deviation of the score."""
    found = {}
    with (FOLDER / task / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["method"], row["topology"]), []).append(row)
    for key, rows in found.items():
        assert [row["seed"] for row in rows] == ["0", "1", "2"]
        finite = [float(row["score"]) for row in rows if row["diverged"] == "0"]
        spread = (
            f"{fmean(finite):.2f} ± {stdev(finite):.2f}"
            if len(finite) == 3
            else f"{3 - len(finite)} of 3 diverged"
        )
        yield key, spread


@pytest.mark.parametrize("task", ["catch"])
def test_scores_are_those_of_the_runs(task):
    found = dict(cells(task))
    for (method, topology), cell in found.items():
        (line,) = re.findall(rf"^\| {re.escape(method)} \| .*", TEXT, re.M)
        column = 2 + (topology == "loopy")
        assert line.split("|")[column].strip() == cell, (method, topology)
    assert len(found) == 18


def test_every_file_that_is_shown_is_there():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) >= 2
    for link in links:
        assert (FOLDER / link).is_file(), link
