import csv

from benchmarks import kept_bound


def test_every_way_is_measured(tmp_path, capsys):
    path = tmp_path / "a.csv"
    options = ["--side", "4", "--batch", "3", "--rounds", "1", "--threads", "1"]
    assert kept_bound.main([*options, "--csv", str(path)]) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["way"] for row in rows] == ["kept", "recomputed", "no constraint"]
    assert rows[0]["times_kept"] == "1.0"
    assert all((row["neurons"], row["batch"]) == ("16", "3") for row in rows)
    assert "recomputed" in capsys.readouterr().out
