"""What the README of the reproduction says of figures 9 to 11 follows from the tables beside it."""

import csv
from pathlib import Path
from statistics import fmean, stdev

import pytest

from sparsebrain.experiments import differences

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


@pytest.mark.parametrize("data", DATA)
def test_the_choice_follows_from_the_last_epoch(data):
    means = {name: (fmean(losses), fmean(right)) for name, (losses, right) in final(data).items()}
    by_loss = min(means, key=lambda name: means[name][0])
    by_accuracy = max(means, key=lambda name: means[name][1])
    both = f"On {DATA[data]}, both are best for {by_loss}"
    mean = "the mean loss is best for"
    apart = f"On {DATA[data]}, {mean} the {by_loss}, and the mean accuracy for {by_accuracy}"
    assert (both if by_loss == by_accuracy else apart) in TOLD
    if data == "mnist":
        gap = means["alpha"][1] - means["MLP"][1]
        assert f"the mean accuracy for alpha, which is {gap:.3f} points above the MLP" in TOLD
    assert max(means, key=lambda name: means[name][0]) == "Y"
    assert min(means, key=lambda name: means[name][1]) == "Y"
    assert "On both data sets, Y has the highest loss and the lowest accuracy" in TOLD


@pytest.mark.parametrize("data", DATA)
def test_no_losses_differ_significantly(data):
    losses = {name: values for name, (values, _) in final(data).items()}
    assert not [one for one in differences(losses) if one.p_value < 0.05]
    assert "No difference between losses is significant at the 5 % level" in TOLD


@pytest.mark.parametrize("data", DATA)
def test_the_loops_of_every_trained_model_separate_the_classes(data):
    trained, untrained = ratios(data, "ratio"), ratios(data, "untrained_ratio")
    for number in range(len(trained[0])):
        first, last = trained[1][number], trained[20][number]
        assert last > first + 0.3
        assert abs(untrained[20][number] - untrained[1][number]) < 0.1
    assert "In every trained model the ratio increases over the loops" in TOLD


def test_after_which_epoch_the_loss_is_lowest_on_mnist():
    by_epoch = {}
    for row in read(FOLDER / "mnist" / "curves.csv"):
        losses = by_epoch.setdefault((row["topology"], row["loops"]), {})
        losses.setdefault(int(row["epoch"]), []).append(float(row["test_loss"]))
    lowest = [min(each, key=lambda epoch: fmean(each[epoch])) for each in by_epoch.values()]
    told = f"the mean validation loss is lowest after {min(lowest)} to {max(lowest)} epochs"
    assert told in TOLD


def test_the_earlier_version_differs_by_rounding():
    """The MLP, which has no graph layer, is the same."""
    largest = {}
    for data in DATA:
        before, after = (
            {
                (MODELS[row["topology"], row["loops"]], row["seed"]): float(row["test_accuracy"])
                for row in read(FOLDER / folder / "results.csv")
            }
            for folder in (f"{data}-5-seeds", data)
        )
        gaps = {key: 100 * abs(after[key] - before[key]) for key in after}
        assert all(gap == 0 for (name, _), gap in gaps.items() if name == "MLP")
        largest[data] = max(gaps.values())
    first, second = largest.values()
    assert f"by up to {first:.1f} points on MNIST and {second:.1f} on Fashion-MNIST" in TOLD
