"""PyTorch's compressed-sparse-row kernels, and the primitives of the backends beside them.

On a grid and on a power law, for several batches, in float32 and float64: ``torch.sparse.mm``
(through MKL where torch has it) beside torch's own reducing kernel ``torch.sparse.mm(..., "sum")``,
``sampled_addmm``, and propagate, backpropagate and correlate of the backends torch and native. All
are first compared with the reference backend in float64.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import graphs
from benchmarks import command, environment, report
from benchmarks.csr import Rows
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.power_law import power_law
from benchmarks.timing import interleaved
from sparsebrain import kernels

DTYPES = (torch.float32, torch.float64)
BACKENDS = tuple(
    name
    for name, obstacle in kernels.available().items()
    if obstacle is None and name != "reference"
)
PRIMITIVES = ("propagate", "backpropagate", "correlate")
OPERATIONS = (
    "mm",
    "mm_reduce",
    "sampled_addmm",
    *(f"{backend} {primitive}" for backend in reversed(BACKENDS) for primitive in PRIMITIVES),
)

_COLUMNS_AT_ONCE = 8
"""The reference keeps a number per synapse and column: a gigabyte for a million and batch 128."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every graph, dtype and batch; everything that is known afterwards."""
    machine = environment.machine()
    structures = {
        "grid": kernels.Structure(
            graphs.grid_local((arguments.side, arguments.side), 2).edge_index, arguments.side**2
        ),
        "power law": kernels.Structure(
            power_law(arguments.neurons, arguments.synapses), arguments.neurons
        ),
    }
    cases = [
        {
            "graph": name,
            "neurons": structure.num_nodes,
            "synapses": structure.num_edges,
            "dtype": str(dtype).removeprefix("torch."),
            "batch": batch,
            **_case(structure, dtype, batch, arguments.rounds),
        }
        for name, structure in structures.items()
        for dtype in DTYPES
        for batch in arguments.batch or (1, 8, 32, 128)
    ]
    return {
        "benchmark": "kernels",
        "parameters": {"rounds": arguments.rounds, "backends": BACKENDS},
        "machine": machine,
        "versions": environment.versions(),
        "cases": cases,
    }


def _case(
    structure: kernels.Structure, dtype: torch.dtype, batch: int, rounds: int
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(structure.num_edges, dtype=dtype, generator=generator)
    post, pre = (
        torch.randn(structure.num_nodes, batch, dtype=dtype, generator=generator) for _ in range(2)
    )
    calls = operations(structure, weight, post, pre)
    expected = reference(structure, weight.double(), post.double(), pre.double())
    with torch.no_grad():
        errors = {
            name: assert_equal(
                f"{name} on {structure}, {dtype}, batch {batch}",
                "the result",
                call(),
                expected[_PEERS.get(name, name.rpartition(" ")[2])],
                TOLERANCES[dtype],
            )
            for name, call in calls.items()
        }
        timings = interleaved(calls, rounds=rounds)
    return {
        "errors": errors,
        "operations": {name: report.entry(timing) for name, timing in timings.items()},
        "reduce_to_mm": (
            timings["mm_reduce"].median / timings["mm"].median if "mm" in timings else None
        ),
    }


_PEERS = {"mm": "propagate", "mm_reduce": "propagate", "sampled_addmm": "correlate"}
"""Which primitive a peer computes."""


def operations(
    structure: kernels.Structure, weight: Tensor, post: Tensor, pre: Tensor
) -> dict[str, Callable[[], Tensor]]:
    """Every operation as a call without arguments; without MKL there is no plain product."""
    rows = Rows(structure.edge_index, structure.num_nodes)
    matrix, pattern = rows.matrix(weight), rows.matrix(torch.zeros_like(weight))
    calls: dict[str, Callable[[], Tensor]] = {
        "mm": lambda: torch.sparse.mm(matrix, pre),
        "mm_reduce": lambda: torch.sparse.mm(matrix, pre, "sum"),
        "sampled_addmm": lambda: torch.sparse.sampled_addmm(
            pattern, post, pre.t(), beta=0.0
        ).values(),
    }
    given = {
        "propagate": (kernels.propagate, weight, pre),
        "backpropagate": (kernels.backpropagate, weight, post),
        "correlate": (kernels.correlate, post, pre),
    }
    for backend in reversed(BACKENDS):
        for name, (primitive, *inputs) in given.items():
            calls[f"{backend} {name}"] = functools.partial(
                primitive, structure, *inputs, backend=backend
            )
    if not torch.backends.mkl.is_available():
        del calls["mm"]
    return calls


def reference(
    structure: kernels.Structure, weight: Tensor, post: Tensor, pre: Tensor
) -> dict[str, Tensor]:
    """The three primitives by the reference backend, a few columns of the batch at a time."""
    pairs = list(zip(post.split(_COLUMNS_AT_ONCE, 1), pre.split(_COLUMNS_AT_ONCE, 1), strict=True))
    forward = [kernels.propagate(structure, weight, x, backend="reference") for _, x in pairs]
    back = [kernels.backpropagate(structure, weight, g, backend="reference") for g, _ in pairs]
    correlation = torch.zeros_like(weight)
    for g, x in pairs:
        correlation += kernels.correlate(structure, g, x, backend="reference")
    return {
        "propagate": torch.cat(forward, 1),
        "backpropagate": torch.cat(back, 1),
        "correlate": correlation,
    }


def lines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the CSV."""
    named = ("graph", "neurons", "synapses", "dtype", "batch")
    return [
        {
            **{name: case[name] for name in named},
            "operation": operation,
            "rounds": len(times["all_ms"]),
            "median_ms": times["median_ms"],
            "min_ms": times["min_ms"],
            "error": case["errors"][operation],
        }
        for case in found["cases"]
        for operation, times in case["operations"].items()
    ]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print("all results equal the float64 reference")
    rows = [_row(case) for case in found["cases"]]
    columns = ("graph", "synapses", "dtype", "batch", "mm", "mm reduce", "reduce / mm")
    report.table(
        f"ms: median (minimum) of {found['parameters']['rounds']} rounds",
        (*columns, *OPERATIONS[2:]),
        rows,
    )


def _row(case: dict[str, Any]) -> list[str]:
    cells = [
        report.cell(case["operations"][name]) if name in case["operations"] else "no MKL"
        for name in OPERATIONS
    ]
    ratio = case["reduce_to_mm"]
    head = [case["graph"], str(case["synapses"]), case["dtype"], str(case["batch"])]
    return [*head, *cells[:2], "" if ratio is None else f"{ratio:.2f}", *cells[2:]]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("kernels", __doc__, rounds=7)
    parser.add_argument(
        "--side", type=command.positive, default=28, metavar="N", help="of the grid"
    )
    parser.add_argument(
        "--neurons", type=command.positive, default=20_000, metavar="N", help="of the power law"
    )
    parser.add_argument(
        "--synapses", type=command.positive, default=1_000_000, metavar="N", help="of the power law"
    )
    parser.add_argument(
        "--batch",
        type=command.positive,
        action="append",
        metavar="N",
        help="may be given several times (default 1, 8, 32 and 128)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
