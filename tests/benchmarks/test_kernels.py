import json

import numpy as np
import pytest
import torch

from benchmarks import kernels
from benchmarks.power_law import power_law

TINY = ["--side", "5", "--neurons", "60", "--synapses", "500", "--rounds", "2"]
BATCHES = ["--batch", "1", "--batch", "9"]


def test_every_case_is_measured(tmp_path, capsys):
    path = tmp_path / "kernels.json"
    assert kernels.main([*TINY, *BATCHES, "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    cases = {(case["graph"], case["dtype"], case["batch"]) for case in found["cases"]}
    assert cases == {
        (graph, dtype, batch)
        for graph in ("grid", "power law")
        for dtype in ("float32", "float64")
        for batch in (1, 9)
    }
    expected = set(kernels.OPERATIONS)
    if not torch.backends.mkl.is_available():
        expected.remove("mm")
    for case in found["cases"]:
        assert case["synapses"] == (361 if case["graph"] == "grid" else 500)
        assert set(case["operations"]) == expected
        assert "mm" not in expected or case["reduce_to_mm"] > 0
        for times in case["operations"].values():
            assert len(times["all_ms"]) == 2
            assert 0 < times["min_ms"] <= times["median_ms"]
    shown = capsys.readouterr().out
    assert "reduce / mm" in shown
    assert "power law" in shown


def test_without_mkl_there_is_no_plain_product(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    path = tmp_path / "kernels.json"
    assert kernels.main([*TINY, "--batch", "3", "--json", str(path)]) == 0
    for case in json.loads(path.read_text())["cases"]:
        assert "mm" not in case["operations"]
        assert case["reduce_to_mm"] is None
    assert "no MKL" in capsys.readouterr().out


@pytest.mark.parametrize("name", kernels.OPERATIONS)
def test_a_wrong_operation_stops_the_run(monkeypatch, tmp_path, capsys, name):
    right = kernels.operations

    def wrong(*args):
        calls = right(*args)
        call = calls[name]
        return {**calls, name: lambda: call() * (1 + 1e-3)}

    monkeypatch.setattr(kernels, "operations", wrong)
    monkeypatch.setattr(kernels, "interleaved", lambda *args, **options: pytest.fail("was timed"))
    path = tmp_path / "kernels.json"
    assert kernels.main([*TINY, "--batch", "3", "--json", str(path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        f"error: {name} on Structure(num_nodes=25, num_edges=361), torch.float32"
    )
    assert not path.exists()


@pytest.mark.parametrize("options", [["--unknown"], ["--rounds", "0"], ["--threads", "none"]])
def test_bad_options_are_refused(options):
    with pytest.raises(SystemExit) as ended:
        kernels.main(options)
    assert ended.value.code == 2


def test_the_power_law_is_one():
    edge_index = power_law(2000, 40_000, exponent=2.5)
    assert edge_index.shape == (2, 40_000)
    source, target = edge_index.numpy()
    keys = target * 2000 + source
    assert (np.diff(keys) > 0).all()
    assert torch.equal(edge_index, power_law(2000, 40_000, exponent=2.5))
    assert not torch.equal(edge_index, power_law(2000, 40_000, exponent=2.5, seed=1))
    for end in (source, target):
        degrees = np.sort(np.bincount(end, minlength=2000))[::-1]
        # A degree falls with its rank as rank^(-1 / (exponent - 1)).
        ranks = np.arange(20, 500)
        slope = np.polyfit(np.log(ranks), np.log(degrees[ranks]), 1)[0]
        assert slope == pytest.approx(-1 / 1.5, abs=0.1)
    with pytest.raises(ValueError, match="num_edges must be at most a quarter of num_nodes"):
        power_law(10, 26)
