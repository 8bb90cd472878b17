"""Run every benchmark, each in a process of its own, and keep its lines as a CSV.

Half an hour on two cores of a machine with 16 GB that has nothing else to do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "layer-1-thread": ["layer", "--threads", "1"],
    "layer-2-threads": ["layer", "--threads", "2"],
    "batches": ["layer", "batches", "--threads", "1", "--threads", "2"],
    "orders": ["orders", "--threads", "1"],
    "making": ["making"],
    "kept-bound": ["kept_bound", "--threads", "1"],
    "sizes": ["layer", "sizes"],
    "fly": ["layer", "fly"],
    "memory": ["layer", "memory"],
    "kernels": ["kernels"],
    "crossover": ["crossover", "--threads", "1"],
    "small-calls": ["small_calls", "--threads", "1"],
    "error-diffusion": ["error_diffusion", "--threads", "1"],
    "rule-costs": ["rule_costs", "--threads", "1"],
    "loops": ["loops", "--threads", "1"],
    "sequences": ["sequences", "--threads", "1"],
    "options": ["options", "--threads", "1"],
    "dendrites": ["dendrites", "--threads", "1"],
    "spiking": ["spiking"],
    "spiking-layer": ["spiking_layer", "--threads", "1"],
    "energy": ["energy", "--threads", "1"],
    "plastic-spiking": ["plastic_spiking", "--threads", "1"],
    "significance": ["significance", "--threads", "1"],
    "graphs": ["graphs"],
    "graphs-scale": ["graphs", "scale"],
    "graph-files": ["graph_files", "--threads", "1"],
}
"""The name of each file, and what fills it."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="made where it is missing"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=COMMANDS,
        help="of the files; may be given several times (default: all)",
    )
    arguments = parser.parse_args(argv)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out must be a folder, or free for one ({error}).")
    failed = []
    for name in arguments.only or COMMANDS:
        module, *options = COMMANDS[name]
        command = ["-m", f"benchmarks.{module}", *options]
        print(f"\n== python {' '.join(command)}", flush=True)
        path = arguments.out / f"{name}.csv"
        ended = subprocess.run([sys.executable, *command, "--csv", str(path)], check=False)
        if ended.returncode:
            failed.append(name)
    if failed:
        print(f"error: these failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
