"""The tables in examples/wiring/README.md are those of the committed trainings."""

import csv
from pathlib import Path

import numpy as np
import pytest

from sparsebrain.experiments import differences
from sparsebrain.experiments.wiring_study.training import BRAIN, LEARNS

FOLDER = Path(__file__).parents[2] / "examples" / "wiring"
STUDIES = sorted(each.parent.name for each in FOLDER.glob("*/results.csv"))


def accuracies(study):
    """The accuracies in percent by what is trained and by wiring, in the order of seeds."""
    with (FOLDER / study / "results.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["seed"]))
    found = {}
    for row in rows:
        by_wiring = found.setdefault(row["learns"], {})
        by_wiring.setdefault(row["wiring"], []).append(100 * float(row["accuracy"]))
    return found, int(rows[0]["test_samples"])


def lines(study):
    """The rows of the table of a study."""
    found, tested = accuracies(study)
    cells = {}
    for learns in LEARNS:
        values = found[learns]
        pairs = [(BRAIN, name) for name in values if name != BRAIN]
        gaps = {each.second: each for each in differences(values, pairs, resolution=100 / tested)}
        for name, of_seeds in values.items():
            mean, spread = np.mean(of_seeds), np.std(of_seeds, ddof=1)
            gap = gaps.get(name)
            told = "" if gap is None else f"{gap.mean:+.1f} ({gap.low:+.1f} to {gap.high:+.1f})"
            if gap is not None and gap.p_value < 0.05:
                told = f"**{told}**"
            cells.setdefault(name, []).append(f"{mean:.1f} ± {spread:.1f} | {told}")
    order = [BRAIN, "weights", "reciprocity", "lengths", "degrees", "populations", "random"]
    return [f"| {name} | {' | '.join(cells[name])} |" for name in order if name in cells]


def test_there_are_studies_of_two_brains():
    assert len(STUDIES) == 4


@pytest.mark.parametrize("study", STUDIES)
def test_the_table_is_that_of_the_trainings(study):
    text = (FOLDER / "README.md").read_text()
    section = text.partition(f"]({study}/results.csv)")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("| ")][1:] == lines(study)
    assert f"]({study}/figure.png)" in section
    found, _ = accuracies(study)
    assert {len(each) for by_wiring in found.values() for each in by_wiring.values()} == {20}
