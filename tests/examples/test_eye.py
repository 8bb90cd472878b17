"""The table of the README on the trained eye is that of the runs beside it."""

import csv
from pathlib import Path
from statistics import median

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "eye"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
EXPECTED = {"a": 180, "b": 0, "c": 90, "d": 270}
MOTION = [f"T{kind}{way}" for kind in (4, 5) for way in "abcd"]


def rows(name):
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


RUNS = rows("direction_selectivity.csv")


def own(row):
    return float(row["on" if row["cell_type"][1] == "4" else "off"])


def off_by(row):
    found = float(row["preferred_on" if row["cell_type"][1] == "4" else "preferred_off"])
    return abs((found - EXPECTED[row["cell_type"][2]] + 180) % 360 - 180)


def test_all_networks_and_cell_types_were_run_once():
    pairs = {(int(row["network"]), row["cell_type"]) for row in RUNS}
    assert len(pairs) == len(RUNS) == 50 * 65
    assert {(row["radius"], row["speed"]) for row in RUNS} == {("5", "19.0")}
    assert len(rows("tuning.csv")) == 50 * 8


@pytest.mark.parametrize("name", MOTION)
def test_indices_and_directions_are_those_of_the_runs(name):
    found = [row for row in RUNS if row["cell_type"] == name]
    best = [row for row in found if int(row["network"]) < 10]
    cells = [f"{median(map(own, some)):.2f}" for some in (found, best)]
    cells += [f"{sum(off_by(row) < 45 for row in some)} of {len(some)}" for some in (found, best)]
    assert f"| {name} | {' | '.join(cells)} |" in TEXT


def test_what_the_text_tells_of_them():
    right, opposite = ({}, {})
    for row in RUNS:
        if row["cell_type"] in MOTION:
            right.setdefault(row["network"], {})[row["cell_type"]] = off_by(row) < 45
            opposite.setdefault(row["network"], {})[row["cell_type"]] = off_by(row) > 135
    t4 = MOTION[:4]
    assert sum(all(each[name] for name in t4) for each in right.values()) == 13
    assert sum(all(each[name] for name in t4) for each in opposite.values()) == 4
    assert [n for n, each in right.items() if all(each.values())] == ["0", "1", "3"]
    strong = [
        n
        for n in ("0", "1", "3")
        if all(own(r) > 0.3 for r in RUNS if r["network"] == n and r["cell_type"] in MOTION[4:])
    ]
    assert strong == ["0"]
    types = {}
    for row in RUNS:
        types.setdefault(row["cell_type"], []).append(max(float(row["on"]), float(row["off"])))
    middle = {name: median(values) for name, values in types.items()}
    assert set(sorted(middle, key=middle.get)[-3:]) == {"T4a", "T4c", "T4d"}
    early = "R1 R2 R3 R4 R5 R6 R7 R8 L1 L2 L3 L4 L5 Mi1 Mi4 Mi9 Tm1 Tm2 Tm3 Tm9"
    assert max(middle[name] for name in early.split()) < 0.07
