"""The benchmark of long simulations compares before it times."""

import csv

import pytest

from benchmarks import spiking
from benchmarks.equality import WrongResultError
from sparsebrain.spiking import LIF

TINY = [
    "--neurons",
    "60",
    "--synapses",
    "400",
    "--samples",
    "2",
    "--rounds",
    "1",
    "--duration",
    "5",
]


def test_every_case_is_timed(capsys, tmp_path):
    path = tmp_path / "spiking.csv"
    assert spiking.main([*TINY, "--threads", "1", "--csv", str(path)]) == 0
    assert "all spikes equal those of the reference" in capsys.readouterr().out
    assert len(path.read_text().splitlines()) == 6


def test_precision_counts_the_spikes_that_both_dtypes_share(tmp_path):
    path = tmp_path / "precision.csv"
    assert spiking.main([*TINY, "--precision", "--threads", "1", "--csv", str(path)]) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rate"] for row in rows] == ["5.0", "20.0"]
    for row in rows:
        assert row["spikes_float32"] == row["spikes_float64"] == row["shared"]
        assert row["rate_float32"] == row["rate_float64"]
    assert int(rows[1]["shared"]) > 0


def test_wrong_spikes_end_it(monkeypatch):
    right = LIF.simulate

    def wrong(lif, *arguments, backend="auto", **options):
        found = right(lif, *arguments, **options)
        return found if backend == "auto" else right(lif, *arguments, current=20.0, **options)

    lif = spiking.make(60, 400)
    monkeypatch.setattr(LIF, "simulate", wrong)
    with pytest.raises(WrongResultError, match="not those of the reference"):
        spiking.compare(lif, None)
