import csv

import pytest

from benchmarks import options

TINY = [*("--side", "5", "--distance", "1", "--batch", "3", "--loops", "3"), "--rounds", "1"]


def test_all_are_compared_and_told(tmp_path, capsys):
    table = tmp_path / "all.csv"
    assert options.main([*TINY, "--threads", "1", "--csv", str(table)]) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["option"], line["pass"]) for line in lines] == [
        (name, what) for what in ("forward", "forward + backward") for name in options.OPTIONS
    ]
    for line in lines:
        assert float(line["median_ms"]) > 0
        assert float(line["largest_error"]) < 1e-4
        assert line["option"] != options.PLAIN or float(line["times_plain"]) == 1
        assert line["torch"]
        assert line["processor"]
    assert "agree with single loops" in capsys.readouterr().out


def test_a_wrong_result_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(options, "interleaved", lambda *args, **kwargs: pytest.fail("was timed"))
    wrong = options.Option(lambda u: 1.01 * u.tanh())
    monkeypatch.setitem(options.OPTIONS, "activation=lambda", wrong)
    assert options.main(TINY) == 1
    assert "error: activation=lambda: output differs" in capsys.readouterr().err
