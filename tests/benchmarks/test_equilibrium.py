import csv

import pytest

from benchmarks import equilibrium, resident
from sparsebrain.experiments import runner
from sparsebrain.experiments.training import Run

TINY = ["--data", "digits", "--seeds", "2", "--epochs", "1"]
BOTH = ["--loops", "2", "--loops", "equilibrium:tol=0.05"]


@pytest.fixture
def here(monkeypatch):
    """Peaks are taken in this process, where they mean nothing but cost little."""
    monkeypatch.setattr(resident, "obstacle", lambda: None)
    monkeypatch.setattr(
        resident, "in_fresh_process", lambda function, run, *args: len(str(run.loops)) << 20
    )


@pytest.mark.usefixtures("here")
def test_both_kinds_of_loops_are_trained_once(tmp_path, capsys, monkeypatch):
    table = tmp_path / "equilibrium.csv"
    options = [*TINY, *BOTH, "--out", str(tmp_path / "out"), "--csv", str(table)]
    assert equilibrium.main(options) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    spec = "equilibrium:tol=0.05"
    assert [(line["seed"], line["loops"]) for line in lines] == [
        (seed, loops) for seed in "01" for loops in ("2", spec)
    ]
    for line in lines:
        assert float(line["test_accuracy"]) > 0.2
        assert float(line["peak_mib"]) == len(line["loops"])
        assert line["converged"] == "1.0"
        assert (float(line["loops_used"]) == 2) == (line["loops"] == "2")
    assert spec in capsys.readouterr().out
    monkeypatch.setattr(runner, "train", lambda *args: pytest.fail("was trained again"))
    assert equilibrium.main(options) == 0


@pytest.mark.usefixtures("peaks")
def test_a_peak_is_that_of_a_whole_step():
    """20 states of 256 neurons and 128 samples are 2.5 MiB, and more than one is kept."""
    run = Run(
        data="digits",
        topology="grid:distance=2",
        checksum="",
        synapses_wanted=0,
        loops=20,
        variant="relu",
        epochs=1,
        batch_size=128,
        learning_rate=1e-3,
        seed=0,
    )
    many = resident.in_fresh_process(equilibrium.peak, run, (16, 16), 64, 10)
    assert many > 20 * 4 * 256 * 128


@pytest.mark.parametrize(
    "options",
    [[], ["--out", "x", "--loops", "forever"], ["--out", "x", "--data", "cifar"]],
    ids=" ".join,
)
@pytest.mark.usefixtures("here")
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        equilibrium.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
