"""Making a layer of a million and of ten million synapses, from edges in both orders.

A layer of 5 loops is made from a random graph of 25 synapses per neuron: its edges are checked and
indexed by target and by source, and its weights are drawn. Beside it stands SciPy, which only makes
the matrix and its transpose. One loop of each layer is first compared with SciPy's in float64.
Times are those of the processor, of all threads together, and those of a clock.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from torch_geometric.data import Data

import graphs
from benchmarks import cases, command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from sparsebrain import GraphLayer, kernels

SYNAPSES = (1_000_000, 10_000_000)
ORDERS = ("target", "source", "random")
_DEGREE = 25


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare and time every size and order."""
    found = {**cases.header("making", arguments), "rows": []}
    before = torch.get_num_threads()
    try:
        for synapses in arguments.synapses or SYNAPSES:
            for order in ORDERS:
                data = _draw(synapses // _DEGREE, order)
                _compare(data, order)
                for threads in arguments.threads or sorted({1, before}):
                    torch.set_num_threads(threads)
                    found["rows"] += _case(data, order, threads, arguments.rounds)
    finally:
        torch.set_num_threads(before)
    return found


def _draw(neurons: int, order: str) -> Data:
    """A random graph with its edges in an order."""
    data = graphs.small_world(neurons, _DEGREE - 1, rewire=1.0, self_loops=True, seed=0)
    source, target = data.edge_index.numpy()
    if order == "source":
        place = np.lexsort((target, source))
    elif order == "random":
        place = np.random.default_rng(0).permutation(len(source))
    else:
        return data
    edges = np.stack((source[place], target[place]))
    return Data(edge_index=torch.from_numpy(edges), num_nodes=neurons)


def _make(data: Data) -> GraphLayer:
    return GraphLayer(data, 5, activation="tanh")


def _matrices(data: Data) -> tuple[Any, Any]:
    """W and its transpose as SciPy's matrices, with the positions of the synapses as values."""
    assert data.edge_index is not None
    source, target = data.edge_index.numpy()
    places = np.arange(1, len(source) + 1, dtype=np.int32)
    matrix = coo_array((places, (target, source)), shape=(data.num_nodes,) * 2)
    return matrix.tocsr(), matrix.tocsc()


def _compare(data: Data, order: str) -> None:
    layer = _make(data)
    rows, _ = _matrices(data)
    weight = layer.weight.detach()
    state = torch.randn(layer.num_nodes, 2, generator=torch.Generator().manual_seed(0))
    values = weight.double().numpy()[rows.data - 1]
    rows = rows.astype(np.float64)
    rows.data[:] = values
    pairs = ((kernels.propagate, rows), (kernels.backpropagate, rows.T))
    for operation, matrix in pairs:
        assert_equal(
            f"the layer from edges in {order} order",
            operation.__name__,
            operation(layer.structure, weight, state),
            torch.from_numpy(matrix @ state.double().numpy()),
            TOLERANCES[torch.float32],
        )


def _case(data: Data, order: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Return the rows of one size, order and number of threads."""
    calls: dict[str, Callable[[Data], object]] = {"sparsebrain": _make, "SciPy": _matrices}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            gc.collect()
            clock, processor = time.perf_counter(), time.process_time()
            call(data)
            taken[name].append((time.perf_counter() - clock, time.process_time() - processor))
    found = {}
    for name, times in taken.items():
        clocks, processors = zip(*times, strict=True)
        found[name] = {
            "neurons": data.num_nodes,
            "synapses": data.num_edges,
            "order": order,
            "threads": threads,
            "peer": name,
            "rounds": rounds,
            "median_s": statistics.median(clocks),
            "min_s": min(clocks),
            "median_cpu_s": statistics.median(processors),
            "min_cpu_s": min(processors),
        }
    ours = found["sparsebrain"]["median_cpu_s"]
    return [{**row, "times_ours": row["median_cpu_s"] / ours} for row in found.values()]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print("products with each layer's weights and their transpose equal SciPy's in float64")
    named = ("neurons", "synapses", "order", "threads", "peer")
    times = ("median_s", "min_s", "median_cpu_s", "min_cpu_s")
    report.table(
        f"seconds, {found['parameters']['rounds']} rounds in turn",
        (*named, "median", "min", "median CPU", "min CPU", "times ours"),
        [
            [
                *(str(row[name]) for name in named),
                *(report.digits(row[name]) for name in times),
                f"{row['times_ours']:.2f}",
            ]
            for row in found["rows"]
        ],
    )


def _synapses(text: str) -> int:
    number = int(text)
    if number <= _DEGREE**2:
        raise argparse.ArgumentTypeError(f"{text} synapses are too few for {_DEGREE} per neuron")
    return number


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("making", __doc__, rounds=5, several_threads=True)
    parser.add_argument(
        "--synapses",
        type=_synapses,
        action="append",
        metavar="N",
        help="may be given several times (default 1000000, 10000000)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
