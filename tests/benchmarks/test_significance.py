import csv

import pytest

from benchmarks import significance
from benchmarks.significance import Case


def test_every_case_is_drawn(tmp_path, capsys):
    table = tmp_path / "significance.csv"
    assert significance.main(["--draws", "1", "--csv", str(table)]) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    cases = list(significance.cases())
    assert len(lines) == len(cases) == len(set(cases)) == 4 * 3 * 2 * 6
    for line, case in zip(lines, cases, strict=True):
        assert [line[name] for name in Case._fields] == [str(value) for value in case]
    assert {line["found"] for line in lines} <= {"0.0", "1.0"}
    told = capsys.readouterr().out
    assert "false alarms" in told
    assert "2 points found at a spread of 0.25" in told


def test_a_gap_far_beyond_the_spread_is_always_found():
    assert significance.found_share(Case(3, 2, 10_000, "equal", 0.01, 5.0), 50) == 1
    assert significance.found_share(Case(3, 2, 10_000, "equal", 0.25, 0.0), 50) < 0.5


@pytest.mark.parametrize("spreads", significance.SPREADS)
def test_the_same_seed_draws_the_same(spreads):
    case = Case(2, 4, 360, spreads, 0.25, 0.0)
    assert significance.found_share(case, 20) == significance.found_share(case, 20)


@pytest.mark.parametrize("options", [["--draws", "0"], ["--draw", "5"], ["more"]], ids=" ".join)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        significance.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
