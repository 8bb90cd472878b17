import csv
import json

import pytest
import torch_geometric.typing

from benchmarks import dendrites

TINY = ["--side", "5", "--batch", "3", "--loops", "2", "--rounds", "1", "--threads", "1"]


def test_all_are_compared_and_told(tmp_path, capsys):
    everything, table = tmp_path / "all.json", tmp_path / "all.csv"
    before = torch_geometric.typing.WITH_TORCH_SCATTER
    assert dendrites.main([*TINY, "--json", str(everything), "--csv", str(table)]) == 0
    assert before == torch_geometric.typing.WITH_TORCH_SCATTER
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["aggr"], line["way"]) for line in lines] == [
        (aggr, way) for aggr in ("sum", *dendrites.AGGREGATIONS) for way in dendrites.ways(aggr)
    ]
    for line in lines:
        assert float(line["median_ms"]) > 0
        assert float(line["largest_error"]) < 1e-3
        assert (line["way"] != dendrites.WITHOUT) or float(line["times_without"]) == 1
    assert json.loads(everything.read_text())["parameters"]["batch"] == 3
    told = capsys.readouterr().out
    assert "all agree with the oracle" in told
    assert ("pip install --no-build-isolation" in told) == (not before)


def test_a_wrong_result_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(dendrites, "interleaved", lambda *args, **options: pytest.fail("was timed"))
    monkeypatch.setitem(dendrites._JOINS, "sum", lambda table, there: 1.01 * table.sum(1))
    assert dendrites.main(TINY) == 1
    assert "error: sum without: output differs" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--side", "0"], ["--loops", "few"], ["x"]], ids=" ".join)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        dendrites.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
