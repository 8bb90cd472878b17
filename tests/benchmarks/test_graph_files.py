import csv

import pytest

from benchmarks import graph_files


def test_a_kind_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(graph_files, "KINDS", ("labels",))
    path = tmp_path / "a.csv"
    options = ["--rounds", "1", "--synapses", "200000", "--csv", str(path)]
    assert graph_files.main(options) == 0
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["sources and targets"], row["synapses"], row["peer"]) == (
        "labels",
        "200000",
        "graphs",
    )
    assert float(row["median_cpu_s"]) > 0
    assert "labels" in capsys.readouterr().out


def test_too_few_synapses(capsys):
    with pytest.raises(SystemExit):
        graph_files.main(["--synapses", "5"])
    assert "--synapses must be between 200000 and 400000000" in capsys.readouterr().err
