import csv
import itertools
import json

import pytest
import torch

from benchmarks import loops, resident
from benchmarks.loops import Step

TINY = ["--neurons", "30", "--batch", "3", "--rounds", "1", "--threads", "1"]


@pytest.fixture
def here(monkeypatch):
    """Peaks are taken in this process, where they mean nothing but cost little."""
    monkeypatch.setattr(resident, "obstacle", lambda: None)
    monkeypatch.setattr(resident, "in_fresh_process", lambda function, step: step.loops << 20)


@pytest.mark.usefixtures("here")
def test_all_ways_are_compared_and_told(tmp_path, capsys):
    everything, table = tmp_path / "loops.json", tmp_path / "loops.csv"
    files = ["--json", str(everything), "--csv", str(table)]
    assert loops.main([*TINY, "--loops", "5", "--loops", "20", *files]) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["of"], line["loops"], line["way"]) for line in lines] == list(
        itertools.product(("layer", "model"), ("5", "20"), loops.WAYS)
    )
    for line in lines:
        assert float(line["peak_mib"]) == int(line["loops"])
        assert float(line["median_ms"]) > 0
        assert float(line["largest_error"]) < 1e-3
        assert line["torch"] == torch.__version__
        if not line["way"].startswith("implicit"):
            assert line["loops_made"] == line["loops"]
    assert json.loads(everything.read_text())["parameters"]["batch"] == 3
    assert "all agree with the oracle" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_a_wrong_gradient_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(loops, "interleaved", lambda *args, **options: pytest.fail("was timed"))
    true = loops._oracle

    def wrong(layer, x, grad):
        found = true(layer, x, grad)
        return {**found, "weight_grad": 1.01 * found["weight_grad"]}

    monkeypatch.setattr(loops, "_oracle", wrong)
    assert loops.main([*TINY, "--loops", "5"]) == 1
    assert "error: unrolled: weight_grad differs" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_wrong_gradient_of_a_model_is_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(loops, "interleaved", lambda *args, **options: pytest.fail("was timed"))
    true = loops.make

    def wrong(step):
        made = true(step)
        if step.way == "checkpoint":
            with torch.no_grad():
                made.layer.weight[0] += 1
        return made

    monkeypatch.setattr(loops, "make", wrong)
    assert loops.main([*TINY, "--loops", "5", "--of", "model"]) == 1
    assert "error: checkpoint: output differs" in capsys.readouterr().err


@pytest.mark.usefixtures("peaks")
def test_the_memory_of_an_equilibrium_does_not_grow_with_the_loops():
    # A state is 1 MiB, and ten of them are needed; 5 % is half of one. What else a process takes,
    # and takes alike in both, is uncertain by a fifth of a MiB.
    few, many = (
        resident.in_fresh_process(loops.peak, Step("implicit", number, 4096, 64))
        for number in (10, 60)
    )
    assert many == pytest.approx(few, rel=0.05)


@pytest.mark.parametrize(
    "options",
    [["--loops", "0"], ["--of", "nothing"], ["--batch", "many"], ["--way", "x"], ["extra"]],
    ids=" ".join,
)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        loops.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
