import csv

import pytest
import torch

from benchmarks import second_look


def test_every_third_is_told_for_every_loop_and_confidence(tmp_path, capsys):
    """On digits of 8x8; loops by loop are the loop, and loops by confidence rise with it."""
    table = tmp_path / "second-look.csv"
    options = ["--data", "digits", "--seeds", "1", "--epochs", "2", "--csv", str(table)]
    assert second_look.main(options) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    untils = [
        *(f"loop {number}" for number in range(1, second_look.LOOPS + 1)),
        *(f"confidence {each}" for each in second_look.CONFIDENCES),
    ]
    assert [(line["until"], line["third"]) for line in lines] == [
        (until, third) for until in untils for third in ("all", *second_look.THIRDS)
    ]
    for line in lines:
        assert 0 <= float(line["accuracy"]) <= 1
        way, value = line["until"].split()
        if way == "loop":
            assert float(line["loops"]) == int(value)
    taken = [float(line["loops"]) for line in lines if line["third"] == "all"]
    assert taken[second_look.LOOPS :] == sorted(taken[second_look.LOOPS :])
    assert "loop 8" in capsys.readouterr().out


def test_the_fovea_is_in_the_middle():
    middle = second_look.fovea(28).reshape(28, 28)
    assert int(middle.sum()) == 144
    for turned in (middle.flip(0), middle.flip(1), middle.t()):
        assert torch.equal(turned, middle)
    assert bool(middle[8:20, 8:20].all())


@pytest.mark.parametrize("options", [["--seeds", "0"], ["--data", "x"], ["more"]], ids=" ".join)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        second_look.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
