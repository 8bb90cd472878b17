"""Edge lists of a million synapses as CSV: `graphs.load` beside `pandas.read_csv` and factorize.

The candidates take turns. Times are those of the processor, because disks and other programs
differ; peaks are those of the resident set in a fresh process, beyond what was there before (Linux
only). pandas is no dependency: pass --pandas with the Python of an environment that has it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import command, environment, report

# The system gives the peak of `getrusage` to a child of fork, but not the one in this file.
_PROGRAM = r"""
import json, re, sys, time, warnings
warnings.simplefilter("ignore")
{imports}
def resident(name):
    return int(re.search(name + r":\s+(\d+)", open("/proc/self/status").read())[1]) / 1024
before, start = resident("VmRSS"), time.process_time()
{call}
print(json.dumps([time.process_time() - start, resident('VmHWM') - before, neurons]))
"""
_GRAPHS = _PROGRAM.format(
    imports="import graphs; graphs.load",
    call="neurons = graphs.load(sys.argv[1]).num_nodes",
)
_PANDAS = _PROGRAM.format(
    imports="import pandas",
    call=(
        "table = pandas.read_csv(sys.argv[1])\n"
        "ends = pandas.concat([table['source'], table['target']])\n"
        "neurons = len(pandas.factorize(ends)[1])"
    ),
)
KINDS = ("numbers", "root ids", "labels", "numbers, float weights")
"""What the sources and targets are; weights are integers unless they are stated."""

_NEURONS = 20_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure each kind of file."""
    candidates = {"graphs": (sys.executable, _GRAPHS)}
    if arguments.pandas is not None:
        candidates["pandas"] = (str(arguments.pandas), _PANDAS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "synapses.csv")
        for kind in KINDS:
            _write(path, kind, arguments.synapses)
            found: dict[str, list[list[float]]] = {name: [] for name in candidates}
            for _ in range(arguments.rounds):
                for name, (python, program) in candidates.items():
                    done = subprocess.run(
                        [python, "-c", program, str(path)],
                        capture_output=True,
                        text=True,
                        check=True,
                    )
                    found[name].append(json.loads(done.stdout))
            here = [_row(kind, arguments.synapses, name, runs) for name, runs in found.items()]
            pandas = next((row["median_cpu_s"] for row in here if row["peer"] == "pandas"), None)
            for row in here:
                row["times_pandas"] = None if pandas is None else row["median_cpu_s"] / pandas
            rows += here
    return {
        "benchmark": "graph files",
        "parameters": {"rounds": arguments.rounds, "synapses": arguments.synapses},
        "machine": environment.machine(),
        "versions": environment.versions(),
        "rows": rows,
    }


def _row(kind: str, synapses: int, name: str, runs: list[list[float]]) -> dict[str, Any]:
    """Return the row of a candidate."""
    seconds, peaks, neurons = zip(*runs, strict=True)
    if set(neurons) != {_NEURONS}:
        raise RuntimeError(f"{name} found {set(neurons)} neurons in a file of {_NEURONS}")
    return {
        "sources and targets": kind,
        "synapses": synapses,
        "peer": name,
        "median_cpu_s": statistics.median(seconds),
        "min_cpu_s": min(seconds),
        "peak_mib": statistics.median(peaks),
    }


def _write(path: Path, kind: str, synapses: int) -> None:
    """Write a table of distinct synapses between `_NEURONS` neurons, each of which has some."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(_NEURONS**2, synapses, replace=False)
    names: list[Any] = list(range(_NEURONS))
    if kind == "root ids":
        names = [720575940000000000 + 977 * at for at in names]
    elif kind == "labels":
        names = [f"cell_{at:05d}" for at in names]
    weights = rng.random(synapses) if "float" in kind else rng.integers(1, 100, synapses)
    rows = zip(pairs.tolist(), weights.tolist(), strict=True)
    with path.open("w", encoding="utf-8") as file:
        file.write("source,target,weight\n")
        file.writelines(
            f"{names[pair // _NEURONS]},{names[pair % _NEURONS]},{weight}\n"
            for pair, weight in rows
        )


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    columns = (
        "sources and targets",
        "synapses",
        "peer",
        "CPU s",
        "min",
        "peak MiB",
        "times pandas",
    )
    report.table(
        "medians of fresh processes that take turns; times: as long as pandas",
        columns,
        [
            [
                row["sources and targets"],
                str(row["synapses"]),
                row["peer"],
                *(report.digits(row[name]) for name in ("median_cpu_s", "min_cpu_s", "peak_mib")),
                "" if row["times_pandas"] is None else f"{row['times_pandas']:.2f}",
            ]
            for row in found["rows"]
        ],
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("graph_files", __doc__, rounds=5)
    parser.add_argument(
        "--synapses",
        type=command.positive,
        default=1_000_000,
        metavar="N",
        help="rows of each file, at least 200000 so that each neuron has some (default 1000000)",
    )
    parser.add_argument("--pandas", type=Path, metavar="PYTHON", help="a Python that has pandas")
    arguments = parser.parse_args(argv)
    if not 200_000 <= arguments.synapses <= _NEURONS**2:
        parser.error(f"--synapses must be between 200000 and {_NEURONS**2}")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
