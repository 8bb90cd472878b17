import csv

import pytest

from benchmarks import orders
from benchmarks.race import PASSES


def test_both_orders_are_measured_beside_peers(tmp_path, capsys):
    path = tmp_path / "a.csv"
    tiny = ["--neurons", "50", "--synapses", "500", "--loops", "2", "--batch", "3"]
    assert orders.main([*tiny, "--rounds", "1", "--threads", "1", "--csv", str(path)]) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    measured = [(row["pass"], row["peer"]) for row in rows]
    peers = [orders.OURS, "sparsebrain, PyG's order", "torch.sparse CSR", "PyG, PyG's order"]
    assert measured == [
        *((PASSES[0], peer) for peer in [*peers, "SciPy"]),
        *((PASSES[1], peer) for peer in peers),
    ]
    for row in rows:
        assert (row["synapses"], row["batch"], row["loops"]) == ("500", "3", "2")
        assert float(row["median_ms"]) > 0
        assert (row["times_ours"] == "1.0") or row["peer"] != orders.OURS
    assert "PyG's order" in capsys.readouterr().out


def test_synapses_must_be_an_even_multiple(capsys):
    with pytest.raises(SystemExit):
        orders.main(["--neurons", "50", "--synapses", "510"])
    assert "--synapses must be an even multiple of --neurons" in capsys.readouterr().err
