"""The benchmark of long simulations compares before it times."""

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


def test_wrong_spikes_end_it(monkeypatch):
    right = LIF.simulate

    def wrong(lif, *arguments, backend="auto", **options):
        found = right(lif, *arguments, **options)
        return found if backend == "auto" else right(lif, *arguments, current=20.0, **options)

    lif = spiking.make(60, 400)
    monkeypatch.setattr(LIF, "simulate", wrong)
    with pytest.raises(WrongResultError, match="not those of the reference"):
        spiking.compare(lif, None)
