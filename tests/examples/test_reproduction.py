"""What the README of the reproduction says of figures 9 to 11 follows from the tables beside it."""

import csv
from pathlib import Path
from statistics import fmean, stdev

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "reproduction"
DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
MODELS = {
    ("none", "1"): "MLP",
    ("grid:distance=1", "5"): "alpha",
    ("grid:distance=1", "20"): "beta",
    ("grid:distance=2", "5"): "X",
    ("grid:distance=2", "20"): "Y",
}
README = (FOLDER / "README.md").read_text(encoding="utf-8")
TOLD = " ".join(README.split())


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def final(data):
    """Validation losses and accuracies after the last epoch, by model."""
    found = {name: ([], []) for name in MODELS.values()}
    for row in read(FOLDER / data / "curves.csv"):
        if row["epoch"] == row["epochs"]:
            losses, accuracies = found[MODELS[row["topology"], row["loops"]]]
            losses.append(float(row["test_loss"]))
            accuracies.append(100 * float(row["test_accuracy"]))
    return found


def ratios(data, name):
    """The ratios of the distances by loop, one of each seed."""
    found = {}
    for row in read(FOLDER / data / "figure11-distances.csv"):
        found.setdefault(int(row["loop"]), []).append(float(row[name]))
    return found


def choice_lines(data):
    values = final(data).values()
    losses = " | ".join(f"{fmean(each):.4f}" for each, _ in values)
    accuracies = " | ".join(f"{fmean(each):.2f}" for _, each in values)
    return [
        f"| {DATA[data]} | validation loss | {losses} |",
        f"| | validation accuracy, % | {accuracies} |",
    ]


def ratio_lines(data):
    lines = []
    for name, label in (("ratio", "trained"), ("untrained_ratio", "before training")):
        by_loop = ratios(data, name)
        assert sorted(by_loop) == list(range(21))
        told = " | ".join(
            f"{fmean(by_loop[loop]):.2f} ± {stdev(by_loop[loop]):.2f}" for loop in (0, 1, 20)
        )
        lines.append(f"| {DATA[data]}, {label} | {told} |")
    return lines


@pytest.mark.parametrize("data", DATA)
def test_the_tables_are_what_was_measured(data):
    lines = README.splitlines()
    for line in [*choice_lines(data), *ratio_lines(data)]:
        assert line in lines


@pytest.mark.parametrize("data", DATA)
def test_the_figures_were_drawn_from_these_runs(data):
    """Of every model as many seeds as figure 11 has, all of one version of the program."""
    seeds = {row["seed"] for row in read(FOLDER / data / "figure11-distances.csv")}
    rows = read(FOLDER / data / "results.csv")
    assert len({row["code_checksum"] for row in rows}) == 1
    for key in MODELS:
        assert {row["seed"] for row in rows if (row["topology"], row["loops"]) == key} == seeds
