"""The benchmark of plasticity compares before it times."""

import pytest

from benchmarks import plastic_spiking, resident
from benchmarks.equality import WrongResultError
from sparsebrain.spiking import LIF

TINY = ["--neurons", "60", "--synapses", "400", "--rounds", "1", "--duration", "50"]


def test_every_rate_is_timed(capsys, tmp_path, monkeypatch):
    # Memory is measured in a process of its own, which takes seconds to start.
    monkeypatch.setattr(resident, "obstacle", lambda: "not here")
    path = tmp_path / "plastic.csv"
    assert plastic_spiking.main([*TINY, "--threads", "1", "--csv", str(path)]) == 0
    assert "equal those of the reference" in capsys.readouterr().out
    assert len(path.read_text().splitlines()) == 3


def test_wrong_weights_end_it(monkeypatch):
    right = LIF.simulate

    def wrong(lif, *arguments, backend="auto", **options):
        found = right(lif, *arguments, backend=backend, **options)
        if backend == "auto":
            lif.assign_weight(lif.weight.detach() + 1e-12)
        return found

    monkeypatch.setattr(LIF, "simulate", wrong)
    with pytest.raises(WrongResultError, match="not those of the reference"):
        plastic_spiking.compare(60, 400, None)
