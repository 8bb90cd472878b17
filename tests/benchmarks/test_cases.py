import csv
import json

import pytest

from benchmarks import batches, cases, fly, peers, race, sizes

TINY = {
    sizes: ["--neurons", "30", "--loops", "2", "--batch", "3", "--rounds", "1"],
    batches: ["--side", "4", "--loops", "2", "--batch", "3", "--rounds", "1", "--threads", "1"],
    fly: ["--neurons", "60", "--synapses", "500", "--loops", "2", "--batch", "3", "--rounds", "1"],
}
MACHINE = {"processor", "system", "cores", "threads", "load", "date"}
VERSIONS = {"python", "torch", "torch-geometric", "sparsebrain", "numpy", "MKL"}

every_command = pytest.mark.parametrize("module", TINY, ids=lambda module: module.__name__)


@pytest.fixture(autouse=True)
def no_peaks(monkeypatch):
    """They are the subject of tests of their own."""
    monkeypatch.setattr(fly.resident, "obstacle", lambda: "not here")


@every_command
def test_a_line_of_the_csv_can_be_checked_by_hand(module, tmp_path, capsys):
    table, everything = tmp_path / "found.csv", tmp_path / "found.json"
    files = ["--csv", str(table), "--json", str(everything)]
    assert module.main([*TINY[module], *files]) == 0
    found = json.loads(everything.read_text())
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == sum(len(case["peers"]) for case in found["cases"]) * len(race.PASSES)
    assert set(lines[0]) >= MACHINE | VERSIONS
    for line in lines:
        (case,) = (c for c in found["cases"] if c["problem"]["graph"] == line["graph"])
        peer = case["peers"][line["peer"]]
        times = peer[line["pass"]]
        for name, value in case["problem"].items():
            assert line[name] == str(value)
        assert int(line["rounds"]) == len(times["all_ms"]) == 1
        median = float(line["median_ms"])
        assert median == times["median_ms"] == times["min_ms"] > 0
        work = int(line["synapses"]) * int(line["loops"]) * int(line["batch"])
        assert float(line["ns_per_synapse"]) == pytest.approx(1e6 * median / work)
        flops = (2 if line["pass"] == "forward" else 6) * work
        assert float(line["arithmetic_ms"]) == pytest.approx(flops / 1e6 / float(line["gflops"]))
        nearer = max(float(line["arithmetic_ms"]), float(line["memory_ms"]))
        assert float(line["share"]) == pytest.approx(nearer / median)
        assert 0 <= float(line["largest_error"]) == max(peer["errors"].values()) < 2e-5
        if line["peer"] == peers.OURS:
            assert float(line["times_ours"]) == 1
    shown = capsys.readouterr().out
    assert cases.EQUAL.format(2e-5) in shown
    for name in case["peers"]:
        assert name in shown


@every_command
def test_a_wrong_layer_stops_the_run(module, monkeypatch, tmp_path, capsys):
    right = peers.Sparsebrain.run
    monkeypatch.setattr(peers.Sparsebrain, "run", lambda self: right(self) + 1e-3)
    monkeypatch.setattr(race, "interleaved", lambda *args, **options: pytest.fail("was timed"))
    path = tmp_path / "found.csv"
    assert module.main([*TINY[module], "--csv", str(path)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: sparsebrain: output differs from the reference by")
    assert told.out == ""
    assert not path.exists()


@every_command
@pytest.mark.parametrize(
    "options",
    [["--unknown"], ["--round", "3"], ["--rounds", "0"], ["--threads", "none"], ["extra"]],
    ids=" ".join,
)
def test_bad_options_are_refused(module, options, capsys):
    with pytest.raises(SystemExit) as ended:
        module.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_peer_that_cannot_run_is_told_and_takes_no_line(monkeypatch, tmp_path, capsys):
    def run(self):
        raise RuntimeError("compile PyTorch with MKL")

    monkeypatch.setattr(peers.TorchSparse, "run", run)
    path = tmp_path / "batches.csv"
    assert batches.main([*TINY[batches], "--csv", str(path)]) == 0
    with path.open(newline="") as file:
        assert {line["peer"] for line in csv.DictReader(file)} == {peers.OURS}
    reason = "torch-sparse is unavailable: RuntimeError: compile PyTorch with MKL"
    assert reason in capsys.readouterr().out
