"""Halos, plans and predictions, against counts and formulas."""

import csv
import itertools
import math

import pytest
import torch

import graphs
from benchmarks import scale, scale_check
from benchmarks.scale import BRAINS, Brain, Node, expected_halo, halo_shares, plan
from benchmarks.scale_check import predict
from tests.benchmarks.conftest import ROOT


def test_the_halo_of_a_chain_is_counted():
    chain = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 4, 3]])
    # The second part reads neurons 0 and 1 of the three others; the first part reads nothing.
    assert halo_shares(chain, torch.tensor([0, 0, 0, 1, 1])) == [0, 2 / 3]
    assert halo_shares(chain, torch.zeros(5, dtype=torch.int64)) == [0]


@pytest.mark.parametrize("reach", [1, 2])
def test_the_halo_of_an_inner_cube_is_its_shell(reach):
    side, cube = 9, 3
    data = graphs.grid_local((side,) * 3, reach)
    place = torch.tensor(list(itertools.product(range(side), repeat=3)))
    owner = ((place // cube) * torch.tensor([9, 3, 1])).sum(1)
    degree = (2 * reach + 1) ** 3
    brain = Brain(side**3, degree * side**3)
    expected = expected_halo(brain, 27, far=0)
    assert expected == pytest.approx((cube + 2 * reach) ** 3 - cube**3)
    measured = halo_shares(data.edge_index, owner)[13]
    assert measured == pytest.approx(expected / (side**3 - cube**3))


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize("far", [0.1, 1.0])
def test_far_synapses_reach_the_expected_share(parts, far):
    neurons, neighbors = 4000, 20
    data = graphs.small_world(neurons, neighbors, far, seed=0)
    shares = halo_shares(data.edge_index, torch.arange(neurons) * parts // neurons)
    brain = Brain(neurons, neurons * neighbors)
    expected = expected_halo(brain, parts, far, dimensions=1) / (neurons * (1 - 1 / parts))
    # A standard deviation is below 0.5 / sqrt(remote neurons) = 0.011; five of them.
    assert sum(shares) / parts == pytest.approx(expected, abs=0.055)


def test_one_node_has_the_formula_of_bytes_and_reads():
    node = Node(cores=2, memory=1e9, reads=4e9)
    found = plan(Brain(1000, 1e6), 0.1, node, batch=1)
    assert (found.nodes, found.halo, found.traffic, found.transfer) == (1, 0, 0, 0)
    assert found.memory == 16 * 1e6 + 4 * 2 * 1000
    assert found.loop == found.compute == pytest.approx(8e6 / 4e9)
    many = plan(Brain(1000, 1e6), 0.1, node, batch=1000)
    assert many.compute == pytest.approx(1e9 / (2 * scale.CORE_RATE))
    training = plan(Brain(1000, 1e6), 0.1, node, mode="training", batch=8, kept=10)
    assert training.memory == 24 * 1e6 + 4 * 8 * 11 * 1000


def test_the_fewest_nodes_that_hold_a_brain():
    node, brain = Node(), BRAINS["human, most synapses"]
    for far in (0.0, 0.1, 1.0):
        found = plan(brain, far, node)
        assert found.memory <= node.memory
        assert found.memory == pytest.approx(node.memory, rel=0.01)
        assert found.nodes >= 16e15 / node.memory
        assert found.traffic == 4 * found.halo
        assert found.transfer == pytest.approx(found.traffic / node.network + node.latency)
    # All far: every node needs the states of all neurons.
    halo = plan(brain, 1.0, node, batch=1).halo
    assert halo == pytest.approx(brain.neurons, rel=0.8)
    assert math.isinf(plan(Brain(1e9, 1e10), 0.0, node._replace(memory=8)).nodes)


def test_the_page_has_the_numbers_of_the_command():
    page = (ROOT / "docs" / "whole_brains.md").read_text(encoding="utf-8")
    for name, brain in BRAINS.items():
        for far in scale.WIRINGS.values():
            found = plan(brain, far, Node())
            assert f"| {found.nodes:,} |" in page, name


def test_predictions_share_cores_and_links():
    options = {"cores": 2, "latency": 1e-4, "bandwidth": 1e9}
    assert predict(0.01, 1, 0.0, **options) == (0.01, 0.01)
    assert predict(0.01, 2, 1e6, **options) == pytest.approx((0.005, 0.005 + 1e-4 + 1e-3))
    # Four processes on two cores are no faster, and copy two at a time.
    assert predict(0.01, 4, 1e6, **options) == pytest.approx((0.005, 0.005 + 1e-4 + 2e-3))
    assert predict(0.001, 2, 1e6, **options) == pytest.approx((1.1e-3, 1.6e-3))


def write(path, rows):
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("topology", "parts", "halo_share", "bytes_per_loop", "pass", "ms_per_loop"))
        table.writerows(rows)


def test_predicted_times_stand_beside_measured_ones(tmp_path, monkeypatch, capsys):
    path, out = tmp_path / "distributed.csv", tmp_path / "scale.csv"
    write(
        path,
        [
            ("grid", 1, 0, 0, "forward", 10),
            ("grid", 2, 0.04, 1e6, "forward", 7),
            ("grid", 1, 0, 0, "forward_backward", 30),
            ("grid", 2, 0.04, 1e6, "forward_backward", 19),
        ],
    )
    monkeypatch.setattr(scale_check, "measure_link", lambda: (1e-4, 1e9))
    monkeypatch.setattr(scale_check.os, "cpu_count", lambda: 2)
    assert scale.main(["--measured", str(path), "--csv", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["pass"] for row in rows] == ["forward", "forward_backward"]
    names = ("measured_ms", "predicted_hidden_ms", "predicted_ms")
    found = [[float(row[name]) for name in names] for row in rows]
    assert found == [pytest.approx([7, 5, 6.1]), pytest.approx([19, 15, 17.2])]
    assert "0.00 GB/s" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("grid", 2, 0, 1, "forward", 7)], "no row with one part for grid, forward; measure"),
        ([], "has no column topology, .*; pass the CSV of python -m benchmarks.distributed"),
    ],
)
def test_a_table_that_says_too_little_is_refused(tmp_path, rows, told):
    write(tmp_path / "a.csv", rows)
    with pytest.raises(ValueError, match=told):
        scale_check.compare(tmp_path / "a.csv", cores=2, latency=0.0, bandwidth=1.0)


def test_the_command_tells_what_a_table_lacks(tmp_path, monkeypatch, capsys):
    write(tmp_path / "a.csv", [])
    monkeypatch.setattr(scale_check, "measure_link", lambda: (1e-4, 1e9))
    assert scale.main(["--measured", str(tmp_path / "a.csv")]) == 2
    assert capsys.readouterr().err.startswith("error: --measured ")


def test_the_command_prints_and_writes_the_table(tmp_path, capsys):
    out = tmp_path / "scale.csv"
    assert scale.main(["--neurons", "400", "--csv", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(BRAINS) * len(scale.WIRINGS)
    shown = capsys.readouterr().out
    assert "human, most synapses" in shown
    assert "small world, 10 % rewired" in shown
    with pytest.raises(SystemExit):
        scale.main(["--measured", str(tmp_path / "missing.csv")])
