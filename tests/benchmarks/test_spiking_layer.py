import csv
import json

import pytest

from benchmarks import spiking_layer

TINY = ["--side", "5", "--batch", "3", "--steps", "20", "--rounds", "1", "--threads", "1"]


def test_all_are_compared_and_told(tmp_path, capsys):
    everything, table = tmp_path / "all.json", tmp_path / "all.csv"
    assert spiking_layer.main([*TINY, "--json", str(everything), "--csv", str(table)]) == 0
    found = json.loads(everything.read_text())
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    peers = [name for name in spiking_layer.PEERS if name not in found["missing"]]
    assert [line["way"] for line in lines] == [*spiking_layer.WAYS, *peers]
    assert all(float(line["median_ms"]) > 0 for line in lines)
    assert float(lines[0]["times_ours"]) == 1
    told = capsys.readouterr().out
    assert "agree in float64" in told
    assert all(name in told for name in found["missing"])


def test_a_wrong_result_is_not_timed(monkeypatch, capsys):
    def fail(*args, **options):
        pytest.fail("was timed")

    monkeypatch.setattr(spiking_layer, "interleaved", fail)
    monkeypatch.setattr(spiking_layer, "_TAU", 9.0)
    real = spiking_layer.LIF
    monkeypatch.setattr(
        spiking_layer, "LIF", lambda data, **options: real(data, **{**options, "tau": 10.0})
    )
    assert spiking_layer.main(TINY) == 1
    assert "error: op by op, sparse: " in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--side", "0"], ["--steps", "few"], ["x"]], ids=" ".join)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        spiking_layer.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
