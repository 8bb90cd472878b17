import csv
import json

import pytest
import torch

from benchmarks import error_diffusion
from benchmarks.error_diffusion import DENSITIES
from benchmarks.error_diffusion_peers import NumPy

TINY = ["--units", "3", "--units", "4", "--batch", "2", "--rounds", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def few_inputs(monkeypatch):
    """Inputs that lists go through quickly."""
    monkeypatch.setattr(error_diffusion, "FEATURES", 20)


def test_all_are_compared_and_told(tmp_path, capsys):
    everything, table = tmp_path / "found.json", tmp_path / "found.csv"
    assert error_diffusion.main([*TINY, "--json", str(everything), "--csv", str(table)]) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["density"], line["units"], line["peer"]) for line in lines] == [
        (str(density), units, peer)
        for density in DENSITIES
        for units in ("3", "4")
        for peer in ("lists", "numpy", "sparsebrain")
    ]
    for line in lines:
        assert float(line["median_ms"]) > 0
        assert float(line["largest_error"]) < 2e-5
        assert line["torch"] == torch.__version__
    full = [int(line["synapses"]) for line in lines if line["density"] == "1.0"]
    assert full[0] == 42 * 3 + 2 * 5 * 3 + 5
    goals = json.loads(everything.read_text())["goals"]
    assert [goal["reached"] for goal in goals[:2]] == [None, None]
    told = capsys.readouterr().out
    assert "100 times as fast as lists from 64 units on, at 5% of the synapses: not me" in told


def test_a_wrong_update_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(
        error_diffusion, "interleaved", lambda *args, **options: pytest.fail("was timed")
    )
    true = NumPy.sums
    monkeypatch.setattr(NumPy, "sums", lambda peer: [1.01 * each for each in true(peer)])
    assert error_diffusion.main(TINY) == 1
    assert "error: numpy: update differs" in capsys.readouterr().err
