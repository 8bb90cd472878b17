import csv

import pytest

from benchmarks import narrow
from benchmarks.equality import WrongResultError

SMALL = ["--neurons", "60", "--synapses", "600", "--batch", "4", "--rounds", "1", "--threads", "1"]


def test_both_dtypes_are_compared_and_timed(tmp_path, capsys):
    path = tmp_path / "a.csv"
    assert narrow.main([*SMALL, "--csv", str(path)]) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["dtype"], row["pass"]) for row in rows] == [
        (dtype, name) for name in narrow.PASSES for dtype in ("float32", "bfloat16")
    ]
    for row in rows:
        exact = row["dtype"] == "float32"
        assert not exact or row["times_faster"] == "1.0"
        for error in (row["error_output"], row["error_weight_gradient"]):
            assert float(error) == 0 if exact else 0 < float(error) < narrow.MOST
    assert "times faster than float32" in capsys.readouterr().out


def test_what_is_no_rounding_is_refused(monkeypatch):
    monkeypatch.setattr(narrow, "MOST", 1e-6)
    with pytest.raises(WrongResultError, match="bfloat16, output: off by"):
        narrow.measure(narrow._parse(SMALL))
