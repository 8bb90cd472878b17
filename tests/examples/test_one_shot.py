"""The tables of the README on letters seen once are those of the run beside it."""

import csv
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "one_shot"
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
with (FOLDER / "results.csv").open(newline="") as _file:
    ROWS = [*csv.DictReader(_file)]
SYSTEMS = {}
for _row in ROWS:
    SYSTEMS.setdefault(_row["system"], {})[int(_row["examples"])] = {
        name: text if name in ("system", "backbone", "readout", "known", "new", "code_checksum")
        else float(text)
        for name, text in _row.items()
    }  # fmt: skip


def cells(system):
    """The row of a system: mean ± half interval for each number of examples, and the costs."""
    rows = SYSTEMS[system]
    for each in rows.values():
        half = each["letters_high"] - each["letters_accuracy"]
        yield f"{each['letters_accuracy']:.3f} ± {half:.3f}"
    once = rows[1]
    yield from (f"{once[name]:.3f}" for name in ("letters_of_all", "hiragana_before"))
    yield from (f"{once['hiragana_after']:.3f}", f"{once['seconds']:.3f}", f"{once['bytes']:.0f}")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_has_its_row(system):
    (line,) = re.findall(rf"^\| {re.escape(system)} \|(.*)\|$", TEXT, re.M)
    assert [each.strip() for each in line.split("|")] == [*cells(system)]


def test_the_run_is_one_of_the_command_with_three_seeds():
    assert len(SYSTEMS) == 3 * 8 + 3
    assert {tuple(rows) for rows in SYSTEMS.values()} == {(1, 2, 5)}
    assert {row["seeds"] for row in ROWS} == {"3"}
    assert {(row["known"], row["known_classes"]) for row in ROWS} == {("hiragana", "46")}
    assert {(row["new"], row["new_classes"]) for row in ROWS} == {("letters", "26")}
    assert len({row["code_checksum"] for row in ROWS}) == 1


def test_the_goal_is_reached_with_a_graph_layer_at_one_example():
    blurred = SYSTEMS["blurred pixels: nearest example"][1]["letters_accuracy"]
    for readout in ("fast weights, hebb", "fast weights, hebb, 32 distorted copies"):
        once = SYSTEMS[f"grid: {readout}"][1]
        assert once["letters_low"] >= 0.6
        assert once["letters_low"] >= 2 * blurred
        assert once["hiragana_before"] - once["hiragana_after"] < 0.01
