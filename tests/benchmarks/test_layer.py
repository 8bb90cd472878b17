import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import layer, peers, race
from benchmarks.equality import WrongResultError, assert_equal
from benchmarks.oracle import solve
from benchmarks.problem import draw_grid
from sparsebrain.kernels.select import resolve

TINY = ["--side", "6", "--loops", "3", "--batch", "4", "--rounds", "1"]
PASSES = ("forward", "forward_backward")


def assert_times(times, rounds):
    assert len(times["all_ms"]) == rounds
    assert 0 < times["min_ms"] <= times["median_ms"]
    assert times["ratio"] > 0
    assert times["ratio_of_min"] > 0


def test_it_runs_as_a_command(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "benchmarks.layer", *TINY, "--skip", "window-compiled"]
    ended = subprocess.run(
        [*command, "--threads", "1", "--json", str(tmp_path / "layer.json")],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    backend = resolve("auto", torch.device("cpu")).name
    assert f"backend of GraphLayer: {backend}" in ended.stdout
    for name, peer in peers.PEERS.items():
        if name != "window-compiled":
            assert peer.title in ended.stdout
    assert "PyG MessagePassing, static [N, B]" in ended.stdout
    assert "skipped: window-compiled" in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["layer.json"]

    found = json.loads((tmp_path / "layer.json").read_text())
    assert set(found["peers"]) == set(peers.PEERS) - {"window-compiled"}
    assert found["parameters"]["synapses"] == (6 * 5 - 6) ** 2
    assert found["parameters"]["skipped"] == ["window-compiled"]
    assert found["versions"]["torch"] == torch.__version__
    assert found["backend"] == backend
    for name, peer in found["peers"].items():
        assert max(peer["errors"].values()) < found["tolerance"]
        for one in PASSES:
            assert_times(peer[one], rounds=1)
            if name == peers.OURS:
                assert peer[one]["ratio"] == 1
    for goal in found["goals"]:
        if goal["title"] == "the compiled window":
            assert goal["ratio"] is goal["reached"] is None
        else:
            assert goal["reached"] == (goal["ratio"] >= goal["goal"])


@pytest.mark.parametrize("distance", [0, 1, 3, 7])
def test_every_peer_computes_the_layer_at_any_distance(distance):
    problem = draw_grid(side=6, distance=distance, loops=2, batch=3)
    expected = solve(problem)
    assert torch.isfinite(expected.weight_grad).all()
    assert expected.weight_grad.abs().max() > 0
    for name, build in peers.PEERS.items():
        actual = build(problem).solution()
        for what, values in expected._asdict().items():
            assert_equal(name, what, getattr(actual, what), values, 1e-5)


def test_a_goal_is_not_judged_without_all_its_peers(tmp_path):
    skipped = ["window-compiled", "torch-sparse", "pyg-repeated", "window", "dense"]
    options = [option for name in skipped for option in ("--skip", name)]
    path = tmp_path / "layer.json"
    assert layer.main([*TINY, *options, "--threads", "1", "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["machine"]["threads"] == 1
    pyg, sparse, *_ = found["goals"]
    assert pyg["ratio"] > 0
    assert sparse["ratio"] is None
    assert sparse["reached"] is None


def test_a_peer_that_cannot_compile_is_reported_with_the_reason(monkeypatch, tmp_path, capsys):
    def compile_(function, **options):
        def fail(*args):
            raise RuntimeError("no C++ compiler\nand a long story")

        return fail

    monkeypatch.setattr(torch, "compile", compile_)
    path = tmp_path / "layer.json"
    assert layer.main([*TINY, "--json", str(path)]) == 0
    compiled = json.loads(path.read_text())["peers"]["window-compiled"]
    assert compiled["unavailable"] == "RuntimeError: no C++ compiler"
    assert "forward" not in compiled
    shown = capsys.readouterr().out
    assert "window-compiled is unavailable: RuntimeError: no C++ compiler" in shown


def test_a_product_that_torch_lacks_is_reported_with_the_reason(monkeypatch, tmp_path):
    def run(self):
        raise RuntimeError("compile PyTorch with MKL")

    monkeypatch.setattr(peers.TorchSparse, "run", run)
    path = tmp_path / "layer.json"
    assert layer.main([*TINY, "--skip", "window-compiled", "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    reason = "RuntimeError: compile PyTorch with MKL"
    assert found["peers"]["torch-sparse"]["unavailable"] == reason
    assert found["goals"][1]["ratio"] is None


def test_compilation_is_timed_on_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    path = tmp_path / "layer.json"
    assert layer.main([*TINY, "--json", str(path)]) == 0
    found = json.loads(path.read_text())["peers"]
    assert found["window-compiled"]["compile_seconds"] > 0
    assert found["window"]["compile_seconds"] is None
    for one in PASSES:
        assert_times(found["window-compiled"][one], rounds=1)


class WrongOutput(peers.Dense):
    def run(self):
        return super().run() + 1e-3


class WrongGradient(peers.Dense):
    def run(self):
        # The output is right, the weight's gradient twice what it should be.
        x = super().run()
        return x + (x - x.detach())


class NotANumber(peers.Dense):
    def run(self):
        return super().run() * math.nan


@pytest.mark.parametrize(
    ("wrong", "what"),
    [(WrongOutput, "output"), (WrongGradient, "weight_grad"), (NotANumber, "output")],
)
def test_a_wrong_peer_stops_the_run(monkeypatch, tmp_path, capsys, wrong, what):
    monkeypatch.setitem(race.PEERS, "dense", wrong)
    monkeypatch.setattr(race, "interleaved", lambda *args, **options: pytest.fail("was timed"))
    path = tmp_path / "layer.json"
    assert layer.main([*TINY, "--skip", "window-compiled", "--json", str(path)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"error: dense: {what} differs from the reference by")
    assert told.out == ""
    assert not path.exists()


def test_a_wrong_shape_is_told():
    with pytest.raises(WrongResultError, match=r"peer: output has shape \[2, 3\], the reference"):
        assert_equal("peer", "output", torch.zeros(2, 3), torch.zeros(3, 2), 1.0)


@pytest.mark.parametrize(
    "options",
    [
        ["--unknown"],
        ["--round", "3"],
        ["--skip", "nobody"],
        ["--skip", "sparsebrain"],
        ["--loops", "0"],
        ["--batch", "many"],
        ["--distance", "-1"],
        ["extra"],
        ["--json", "no/such/folder/layer.json"],
    ],
    ids=" ".join,
)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        layer.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
