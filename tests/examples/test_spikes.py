"""The table of spiking classifiers shows what was measured."""

import csv
from pathlib import Path
from statistics import fmean, stdev

FOLDER = Path(__file__).parents[2] / "examples" / "spikes"


def test_the_table_is_what_was_measured():
    with (FOLDER / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ][2:]
    assert {line[0] for line in lines} == {row["topology"] for row in rows}
    for topology, *told, spikes in lines:
        for model, text in zip(("rate", "lif"), told, strict=True):
            chosen = [r for r in rows if (r["topology"], r["neuron_model"]) == (topology, model)]
            values = [100 * float(row["test_accuracy"]) for row in chosen]
            assert len(values) == 3
            assert text == f"{fmean(values):.2f} ± {stdev(values):.2f}"
        assert spikes == f"{fmean(float(row['spikes']) for row in chosen):.0f}"
