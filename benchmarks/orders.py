"""Edges in PyG's order (by source) beside target order, at batches 1, 8, 32 and 128.

The problem is x <- tanh(W x), float32, on a random graph of 20,000 neurons and 2 million synapses,
4 loops. The layer with both orders, torch.sparse and PyG run forward, and forward + backward; SciPy
runs forward. Outputs and gradients of all are first compared with SciPy's in float64.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric.data import Data

import graphs
from benchmarks import cases, command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal, compare
from benchmarks.oracle import solve
from benchmarks.peers import Peer, PyGStatic, Sparsebrain, TorchSparse, UnavailableError
from benchmarks.problem import Problem, draw
from benchmarks.race import PASSES
from benchmarks.timing import interleaved

BATCHES = (1, 8, 32, 128)
OURS = "sparsebrain, target order"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare and time every batch."""
    degree = arguments.synapses // arguments.neurons
    connectome = graphs.small_world(arguments.neurons, degree, rewire=1.0, seed=0)
    rows = []
    for batch in arguments.batch or BATCHES:
        rows += _case(draw(connectome, arguments.loops, batch), arguments.rounds)
    return {**cases.header("orders", arguments), "rows": rows}


def by_source(problem: Problem) -> Problem:
    """The same problem with its edges in PyG's order."""
    edge_index = problem.connectome.edge_index
    assert edge_index is not None
    order = torch.from_numpy(np.lexsort(edge_index.flip(0).numpy()))
    turned = Data(edge_index=edge_index[:, order].contiguous(), num_nodes=problem.neurons)
    return replace(problem, connectome=turned, weight=problem.weight[order])


def _case(problem: Problem, rounds: int) -> list[dict[str, Any]]:
    """Return the rows of one batch."""
    turned = by_source(problem)
    made: dict[str, tuple[Callable[[Problem], Peer], Problem]] = {
        OURS: (Sparsebrain, problem),
        "sparsebrain, PyG's order": (Sparsebrain, turned),
        "torch.sparse CSR": (TorchSparse, problem),
        "PyG, PyG's order": (PyGStatic, turned),
    }
    expected = {id(each): solve(each) for each in (problem, turned)}
    peers: dict[str, Peer] = {}
    errors: dict[str, float] = {}
    for name, (kind, given) in made.items():
        peer = kind(given)
        try:
            peer.prepare()
        except UnavailableError as error:
            print(f"{name} is unavailable: {error}")
            continue
        errors[name] = max(compare(name, peer, expected[id(given)]).values())
        peers[name] = peer
    scipy = _scipy(problem)
    errors["SciPy"] = assert_equal(
        "SciPy", "output", scipy(), expected[id(problem)].output, TOLERANCES[torch.float32]
    )
    rows = []
    for one in PASSES:
        calls: dict[str, Callable[[], object]] = {
            name: getattr(peer, one) for name, peer in peers.items()
        }
        if one == "forward":
            calls["SciPy"] = scipy
        timings = interleaved(calls, rounds=rounds)
        rows += [
            {
                "neurons": problem.neurons,
                "synapses": problem.synapses,
                "batch": problem.batch,
                "loops": problem.loops,
                "threads": torch.get_num_threads(),
                "peer": name,
                "pass": one,
                "rounds": rounds,
                "median_ms": timing.median,
                "min_ms": timing.minimum,
                "times_ours": timing.median / timings[OURS].median,
                "largest_error": errors[name],
            }
            for name, timing in timings.items()
        ]
    return rows


def _scipy(problem: Problem) -> Callable[[], Tensor]:
    """The loops with a CSR matrix of SciPy in float32."""
    assert problem.connectome.edge_index is not None
    source, target = problem.connectome.edge_index.numpy()
    matrix = csr_array((problem.weight.numpy(), (target, source)), shape=(problem.neurons,) * 2)
    state = problem.state.numpy()

    def run() -> Tensor:
        x = state
        for _ in range(problem.loops):
            x = np.tanh(matrix @ x)
        return torch.from_numpy(x)

    return run


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print(cases.EQUAL.format(TOLERANCES[torch.float32]))
    named = ("neurons", "synapses", "batch", "loops", "threads", "peer", "pass")
    report.table(
        "medians (minima); times: as long as the layer in target order",
        (*named, "ms", "times"),
        [
            [*(str(row[name]) for name in named), report.cell(row), f"{row['times_ours']:.2f}"]
            for row in found["rows"]
        ],
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("orders", __doc__, rounds=9)
    parser.add_argument("--neurons", type=command.positive, default=20_000, metavar="N")
    parser.add_argument("--synapses", type=command.positive, default=2_000_000, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=4, metavar="N")
    parser.add_argument(
        "--batch",
        type=command.positive,
        action="append",
        metavar="N",
        help="may be given several times (default 1, 8, 32, 128)",
    )
    arguments = parser.parse_args(argv)
    if arguments.synapses % (2 * arguments.neurons):
        parser.error("--synapses must be an even multiple of --neurons")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
