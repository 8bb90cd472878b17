"""Layer Y at batches from 1 to 512, on one thread and on as many as there are.

Layer Y is x <- tanh(W x), float32, on a grid of 28 x 28 neurons, distance 2, 20 loops. The layer
stands beside torch.sparse with autograd and both limits of the machine, measured in turn with it at
the same number of threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import cases, command
from benchmarks.peers import OURS
from benchmarks.problem import draw_grid

BATCHES = tuple(2**power for power in range(10))
PEERS = (OURS, "torch-sparse")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, cases.show, cases.lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every number of threads and every batch; everything that is known afterwards."""
    found = {**cases.header("batches", arguments), "cases": []}
    before = torch.get_num_threads()
    try:
        for threads in arguments.threads or sorted({1, before}):
            torch.set_num_threads(threads)
            for batch in arguments.batch or BATCHES:
                problem = draw_grid(arguments.side, 2, arguments.loops, batch)
                found["cases"].append(cases.case("grid", problem, PEERS, arguments.rounds))
    finally:
        torch.set_num_threads(before)
    return found


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("layer batches", __doc__, rounds=9, several_threads=True)
    parser.add_argument("--side", type=command.positive, default=28, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=20, metavar="N")
    parser.add_argument(
        "--batch",
        type=command.positive,
        action="append",
        metavar="N",
        help="may be given several times (default 1, 2, 4, ... 512)",
    )
    return parser.parse_args(argv)
