"""The tables of the README on networks with an energy are those of the runs beside it."""

import csv
import importlib.util
from pathlib import Path
from statistics import fmean, stdev

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "examples" / "energy"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")


def rows(name, **wanted):
    with (FOLDER / name).open(newline="") as file:
        found = csv.DictReader(file)
        return [row for row in found if all(row[k] == v for k, v in wanted.items())]


def told(found, name, digits, scale=1):
    values = [scale * float(row[name]) for row in found]
    return f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f}"


@pytest.mark.parametrize("patterns", ["3", "4", "5", "6", "8", "10", "12"])
def test_capacities_are_those_of_the_runs(patterns):
    cells = []
    for topology in ("torus", "small world", "random"):
        found = rows("capacity.csv", topology=topology, patterns=patterns)
        assert [row["seed"] for row in found] == ["0", "1", "2", "3", "4"]
        assert {row["synapses"] for row in found} == {"21600"}
        cells.append(told(found, "overlap", 2))
    exact = fmean(100 * float(row["exact_error"]) for row in found)
    cells += [told(found, "first_step_error", 2, 100), f"{exact:.2f}"]
    assert f"| {patterns} | {' | '.join(cells)} |" in TEXT


def test_the_first_step_is_wrong_as_often_as_is_exact():
    for row in rows("capacity.csv"):
        exact = float(row["exact_error"])
        # The errors of neurons are weakly dependent: six standard errors of independent ones.
        error = (exact / (900 * int(row["patterns"]))) ** 0.5
        assert abs(float(row["first_step_error"]) - exact) < 6 * error + 1e-3


@pytest.mark.parametrize("wiring", ["local", "random", "dense"])
def test_completions_are_those_of_the_runs(wiring):
    found = rows("completion.csv", wiring=wiring)
    assert len(found) == 3
    cells = [f"{int(found[0]['pairs']):,}", told(found, "error", 3)]
    labels = ("label_from_half", "label_from_all", "label_by_free_energy")
    cells += [told(found, name, 1, 100) for name in labels]
    assert f"| {wiring} | {' | '.join(cells)} |" in TEXT
    assert f"that of the mean image is {float(found[0]['error_mean_image']):.3f}" in TEXT


def test_likelihoods_of_time_series_are_those_of_the_runs():
    for model in ("dynamic Boltzmann machine", "vector autoregression", "LSTM"):
        found = rows("series.csv", model=model)
        assert len(found) == 5
        assert {row["parameters"] for row in found} == {"264"}
        cells = [told(found, f"{part}_log_likelihood", 2) for part in ("train", "test")]
        assert f"| {model} | {' | '.join(cells)} |" in TEXT
    better = [
        float(one["test_log_likelihood"]) - float(other["test_log_likelihood"])
        for one, other in zip(
            rows("series.csv", model="dynamic Boltzmann machine"),
            rows("series.csv", model="vector autoregression"),
            strict=True,
        )
    ]
    assert min(better) > 0
    assert f"by {fmean(better):.2f} nats" in TEXT


def test_the_exact_error_of_the_first_step():
    """With 100 synapses, 10 and 20 patterns."""
    spec = importlib.util.spec_from_file_location("capacity", FOLDER / "capacity.py")
    capacity = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(capacity)
    found = [capacity.first_step_error(number, torch.tensor([100])) for number in (10, 20)]
    assert found == pytest.approx([4.27098e-4, 1.089575e-2], rel=1e-5)
