"""The tables of the README on learning without labels are those of the runs beside it."""

import csv
import re
from pathlib import Path
from statistics import fmean, median, stdev

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "plasticity"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")


def rows(name):
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


def told(values, digits):
    return f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f}"


@pytest.mark.parametrize("rule", ["backprop", "random-features", "hebb", "oja", "bcm"])
def test_accuracies_are_those_of_the_runs(rule):
    cells = []
    for name, topology in (
        ("digits.csv", "none"),
        ("digits.csv", "grid"),
        ("digits.csv", "small-world"),
        ("mnist.csv", "none"),
    ):
        chosen = [r for r in rows(name) if (r["rule"], r["topology"]) == (rule, topology)]
        assert len(chosen) == (3 if name == "mnist.csv" else 5)
        cells.append(told([100 * float(r["test_accuracy"]) for r in chosen], 1))
    assert f"| `{rule}` | {' | '.join(cells)} |" in TEXT


def test_fields_are_those_of_the_neurons():
    names = ("localization", "orientation", "selectivity", "class_selectivity")
    for data in ("photographs", "digits"):
        for weights in ("BCM", "random"):
            cells = []
            for name in names[: 3 if data == "photographs" else 4]:
                seeds = [
                    median(
                        float(r[name])
                        for r in rows("features/neurons.csv")
                        if (r["data"], r["weights"], r["seed"]) == (data, weights, str(seed))
                    )
                    for seed in range(3)
                ]
                cells.append(told(seeds, 3))
            assert f"| {data} | {weights} | {' | '.join(cells)} |" in TEXT
    assert max(float(r["subspace"]) for r in rows("features/components.csv")) < 0.0035


def test_rewired_networks_are_those_of_the_runs():
    found = {}
    for row in rows("rewiring/results.csv"):
        found.setdefault((row["model"], row["hidden"], row["parameters"]), []).append(row)
    assert len(found) == 6
    for key, runs in found.items():
        accuracy = told([100 * float(r["test_accuracy"]) for r in runs], 2)
        assert f"| {' | '.join(key)} | {accuracy} |" in TEXT


def test_the_song_is_that_of_the_flocks():
    flocks = rows("song/flocks.csv")
    for label, name, scale, digits in (
        ("error after distortion", "error_distorted", 1, 3),
        ("error without distortion", "error_undistorted", 1, 3),
        ("standard deviation of the prediction", "spread", 1, 4),
        ("drift of the pitch at 0", "drift_0", 1, 4),
        ("drift of the pitch at 0.5", "drift_half", 1, 4),
        ("pitch after 1000 trials", "pitch", 1, 4),
        ("share of distorted syllables, %", "distorted", 100, 3),
    ):
        assert f"| {label} | {told([scale * float(r[name]) for r in flocks], digits)} |" in TEXT


def test_every_file_that_is_shown_is_there():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) >= 9
    for link in links:
        assert (FOLDER / link).is_file(), link
