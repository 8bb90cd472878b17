import csv
import itertools
import json

import pytest
import torch

from benchmarks import sequences

TINY = ["--steps", "6", "--case", "12x3", "--case", "5x1", "--rounds", "1", "--threads", "1"]


def test_all_peers_are_compared_and_told(tmp_path, capsys):
    everything, table = tmp_path / "sequences.json", tmp_path / "sequences.csv"
    assert sequences.main([*TINY, "--json", str(everything), "--csv", str(table)]) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["neurons"], line["pass"], line["peer"]) for line in lines] == list(
        itertools.product(("12", "5"), sequences.PASSES, sequences.PEERS)
    )
    for line in lines:
        assert float(line["median_ms"]) > 0
        assert float(line["us_per_step"]) == pytest.approx(1000 * float(line["median_ms"]) / 6)
        assert float(line["largest_error"]) < 2e-5
        assert line["torch"] == torch.__version__
        if line["peer"] == "nn.RNN":
            assert float(line["times_rnn"]) == 1
    assert json.loads(everything.read_text())["parameters"]["steps"] == 6
    assert "outputs and gradients equal nn.RNN in float64" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "told"),
    [("output", "output differs"), ("gradient of the weight", "gradient of the weight differs")],
)
def test_a_wrong_result_is_not_timed(monkeypatch, capsys, what, told):
    monkeypatch.setattr(sequences, "interleaved", lambda *args, **options: pytest.fail("timed"))
    true = sequences._solution

    def wrong(peer, x, case):
        found = true(peer, x, case)
        if x.dtype is torch.float32:
            found[what] = 1.01 * found[what]
        return found

    monkeypatch.setattr(sequences, "_solution", wrong)
    assert sequences.main(TINY) == 1
    assert f"error: sparsebrain: {told}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--steps", "0"], ["--case", "8"], ["--case", "0x8"], ["extra"]], ids=" ".join
)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        sequences.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
