"""One layer on 1 and 2 processes: time per loop, and the bytes that the largest part receives.

Processes exchange states over gloo through the loopback interface of this machine, each with one
thread. Outputs and gradients are compared with those of one GraphLayer before anything is timed.
On two cores this shows the cost of the exchange and whether the interior hides it. It does not show
how a network of machines scales: the loopback interface is a copy in memory, and with other work on
the machine the processes wait for each other. Wall times need a machine that does nothing else; the
CPU time of the slowest process is given beside them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn
from torch_geometric.data import Data

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import assert_equal
from sparsebrain import GraphLayer
from sparsebrain.distributed import DistributedGraphLayer, partition

PARTS = (1, 2)
NEURONS, BATCH, LOOPS, ROUNDS = 10_000, 32, 4, 5
PASSES = ("forward", "forward_backward", "exchange")
_TOLERANCE = 2e-5


def topologies(neurons: int) -> dict[str, Data]:
    """Graphs of about 25 synapses per neuron, with a small, a large and a full halo."""
    side = round(neurons**0.5)
    return {
        "grid": graphs.grid_local((side, side), 2),
        "small world, 10 % rewired": graphs.small_world(side * side, 24, 0.1, seed=0),
        "random": graphs.erdos_renyi(side * side, 25 / (side * side), seed=0),
    }


def _work(rank: int, parts: int, folder: str, neurons: int, batch: int, rounds: int) -> None:
    """Compare and time in one process; the results are written to the folder."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=parts
    )
    found = [measure_one(name, data, batch, rounds) for name, data in topologies(neurons).items()]
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def measure_one(
    name: str,
    data: Data,
    batch: int,
    rounds: int,
    group: distributed.ProcessGroup | None = None,
) -> dict[str, Any]:
    """Compare and time a layer in this process, together with all others of the group."""
    parts = distributed.get_world_size(group)
    torch.manual_seed(0)
    one = GraphLayer(data, LOOPS, activation="tanh")
    whole = partition(data, parts)
    layer = DistributedGraphLayer.from_layer(one, whole, group=group)
    owned = layer.owned
    x = torch.randn(batch, one.num_nodes, generator=torch.Generator().manual_seed(1))
    error = compare(name, one, layer, x)
    own = x[:, owned]
    columns = own.t().contiguous()

    def forward() -> None:
        with torch.no_grad():
            layer(own)

    def both() -> None:
        layer.zero_grad()
        layer(own).sum().backward()

    def exchange() -> None:
        for _ in range(LOOPS):
            layer.exchange_halo(columns)

    calls = dict(zip(PASSES, (forward, both, exchange), strict=True))
    timed = _interleaved(calls, rounds, group)
    halo = whole.report
    return {
        "topology": name,
        "parts": parts,
        "neurons": one.num_nodes,
        "synapses": data.num_edges,
        "batch": batch,
        "loops": LOOPS,
        "halo_share": halo.halo_share,
        "bytes_per_loop": max(halo.bytes_per_loop) * batch,
        "interior_share": layer.interior_share,
        "largest_error": error,
        **timed,
    }


def compare(name: str, one: GraphLayer, layer: DistributedGraphLayer, x: Tensor) -> float:
    """Return the largest error of output and gradients; WrongResultError if it is no rounding."""
    owned = layer.owned
    x = x.clone().requires_grad_()
    own = x.detach()[:, owned].clone().requires_grad_()
    y, mine = one(x), layer(own)
    y.square().sum().backward()
    mine.square().sum().backward()
    assert x.grad is not None
    assert own.grad is not None
    assert one.weight.grad is not None
    assert layer.weight.grad is not None
    pairs = {
        "output": (mine.detach(), y.detach()[:, owned]),
        "gradient of x": (own.grad, x.grad[:, owned]),
        "gradient of the weights": (layer.weight.grad, one.weight.grad[layer.part.synapse]),
    }
    return max(
        assert_equal(f"{name}, {layer.part!r}", what, *pair, _TOLERANCE)
        for what, pair in pairs.items()
    )


def _interleaved(
    candidates: dict[str, Callable[[], None]],
    rounds: int,
    group: distributed.ProcessGroup | None,
) -> dict[str, float]:
    """Time the candidates in turn; all processes call each as often, and together.

    Returns the medians of wall and CPU time in milliseconds per loop.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, call in candidates.items():
            distributed.barrier(group)
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            if number:
                times[name].append(spent)
    found = {}
    for name, each in times.items():
        for what, values in zip(("ms", "cpu_ms"), zip(*each, strict=True), strict=True):
            found[f"{what}_{name}"] = 1000 * statistics.median(values) / LOOPS
    return found


def run_processes(parts: int, arguments: Any) -> list[list[dict[str, Any]]]:
    """Return the lines of each of some processes."""
    with tempfile.TemporaryDirectory() as folder:
        given = (parts, folder, arguments.neurons, arguments.batch, arguments.rounds)
        spawn(_work, given, nprocs=parts)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(parts)]


def measure(arguments: Any) -> dict[str, Any]:
    """Run all numbers of processes; the slowest process counts."""
    rows = []
    for parts in PARTS:
        for lines in zip(*run_processes(parts, arguments), strict=True):
            row = dict(lines[0])
            for name in row:
                if "ms_" in name or name == "largest_error":
                    row[name] = max(line[name] for line in lines)
            row["interior_share"] = min(line["interior_share"] for line in lines)
            rows.append(row)
    return {"machine": environment.machine(), "versions": environment.versions(), "rows": rows}


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    names = ("halo_share", "bytes_per_loop", "interior_share", *_times())
    rows = [
        [f"{row['topology']}, {row['parts']}", *(f"{row[name]:.4g}" for name in names)]
        for row in found["rows"]
    ]
    report.table("per loop, of the slowest process", ("topology, processes", *names), rows)
    print((__doc__ or "").split("\n\n", 1)[1])


def lines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a line of the CSV for each pass."""
    times = {f"{what}_{name}" for what in ("ms", "cpu_ms") for name in PASSES}
    return [
        {
            **{column: value for column, value in row.items() if column not in times},
            "pass": name,
            "ms_per_loop": row[f"ms_{name}"],
            "cpu_ms_per_loop": row[f"cpu_ms_{name}"],
        }
        for row in found["rows"]
        for name in PASSES
    ]


def _times() -> list[str]:
    return [f"{what}_{name}" for name in PASSES for what in ("ms", "cpu_ms")]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = command.parser("distributed", __doc__, rounds=ROUNDS)
    parser.add_argument("--neurons", type=command.positive, default=NEURONS, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=BATCH, metavar="B")
    arguments = parser.parse_args(argv)
    return command.run(arguments, measure, show, lines)


if __name__ == "__main__":
    sys.exit(main())
