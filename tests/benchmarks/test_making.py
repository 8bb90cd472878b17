import csv

import pytest

from benchmarks import making


def test_every_order_is_made(tmp_path, capsys):
    path = tmp_path / "a.csv"
    options = ["--synapses", "2500", "--rounds", "1", "--threads", "1", "--csv", str(path)]
    assert making.main(options) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["order"], row["peer"]) for row in rows] == [
        (order, peer) for order in making.ORDERS for peer in ("sparsebrain", "SciPy")
    ]
    for row in rows:
        assert (row["neurons"], row["synapses"], row["threads"]) == ("100", "2500", "1")
        assert float(row["median_s"]) > 0
    assert "random" in capsys.readouterr().out


def test_too_few_synapses(capsys):
    with pytest.raises(SystemExit):
        making.main(["--synapses", "100"])
    assert "100 synapses are too few for 25 per neuron" in capsys.readouterr().err
