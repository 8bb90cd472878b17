"""The benchmark of several processes compares before it times, and writes its columns."""

import csv

import torch
from torch import distributed

from benchmarks import distributed as benchmark
from benchmarks.equality import WrongResultError
from tests.sparsebrain.distributed.pool import error_of


def measured(group):
    """A line of each topology, and what a wrong layer raises."""
    torch.manual_seed(0)
    lines = [
        benchmark.measure_one(name, data, 4, 1, group)
        for name, data in benchmark.topologies(100).items()
    ]
    return lines, error_of(lambda: benchmark.compare("wrong", *wrong(group), torch.ones(2, 100)))


def wrong(group):
    """One layer, and another on several processes."""
    data = benchmark.topologies(100)["grid"]
    one = benchmark.GraphLayer(data, 2)
    whole = benchmark.partition(data, distributed.get_world_size(group))
    layer = benchmark.DistributedGraphLayer.from_layer(one, whole, group=group)
    with torch.no_grad():
        one.weight.mul_(2)
    return one, layer


def test_two_processes_are_compared_and_timed(pool):
    (lines, told), (_, other) = pool.run(2, measured)
    for each in (told, other):
        assert each.startswith(f"{WrongResultError.__name__}: wrong, Part(")
    assert [line["topology"] for line in lines] == list(benchmark.topologies(100))
    for line in lines:
        assert line["parts"] == 2
        assert line["largest_error"] < 2e-5
        assert line["ms_forward_backward"] > 0
    grid, _, random = lines
    assert grid["halo_share"] == 0.4
    # Two rows of ten neurons, four samples, four bytes.
    assert grid["bytes_per_loop"] == 20 * 4 * 4
    assert random["halo_share"] > 0.9


def test_the_command_writes_its_columns(tmp_path, monkeypatch, capsys):
    line = dict.fromkeys(
        ("topology", "parts", "halo_share", "bytes_per_loop", "interior_share", "largest_error"),
        1.0,
    ) | {f"{what}_{name}": 1.0 for what in ("ms", "cpu_ms") for name in benchmark.PASSES}
    monkeypatch.setattr(benchmark, "run_processes", lambda parts, arguments: [[line]] * parts)
    path = tmp_path / "found.csv"
    assert benchmark.main(["--csv", str(path)]) == 0
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["parts"], row["pass"], row["ms_per_loop"]) for row in rows] == [
        ("1.0", name, "1.0") for name in benchmark.PASSES
    ] * 2
    assert {"topology", "halo_share", "bytes_per_loop", "cpu_ms_per_loop"} <= set(rows[0])
    assert "does not show" in capsys.readouterr().out
