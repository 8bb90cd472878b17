"""Run every benchmark, each in a process of its own, and keep its lines as a CSV.

This takes half an hour on two cores of a machine with 16 GB that has nothing else to do. With
--compare, it runs the benchmark of an older CSV again, or reads a newer CSV, and prints how every
time and memory has changed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import comparison

COMMANDS = {
    "layer-1-thread": ["layer", "--threads", "1"],
    "layer-2-threads": ["layer", "--threads", "2"],
    "batches": ["layer", "batches", "--threads", "1", "--threads", "2"],
    "orders": ["orders", "--threads", "1"],
    "making": ["making"],
    "kept-bound": ["kept_bound", "--threads", "1"],
    "sizes": ["layer", "sizes"],
    "fly": ["layer", "fly"],
    "narrow": ["narrow", "--threads", "1"],
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
    "distributed": ["distributed", "--threads", "1"],
    "graph-files": ["graph_files", "--threads", "1"],
    "scale": ["scale"],
}
"""The name of each file, and what fills it."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="made where it is missing")
    parser.add_argument(
        "--only",
        action="append",
        choices=COMMANDS,
        help="of the files; may be given several times (default: all)",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        metavar="CSV",
        help="OLD.csv: run its benchmark again and compare; OLD.csv NEW.csv: compare both files",
    )
    arguments = parser.parse_args(argv)
    if arguments.compare:
        if arguments.only or len(arguments.compare) > 2:
            parser.error("--compare takes OLD.csv or OLD.csv NEW.csv, and not --only.")
        return _compare(parser, arguments.compare, arguments.out)
    if arguments.out is None:
        parser.error("--out is missing; pass the folder for the CSV files, or --compare OLD.csv.")
    _make(parser, arguments.out)
    failed = [name for name in arguments.only or COMMANDS if not _run(name, arguments.out)]
    if failed:
        print(f"error: these failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _make(parser: argparse.ArgumentParser, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out must be a folder, or free for one ({error}).")


def _run(name: str, folder: Path) -> bool:
    """Fill one file; return whether that succeeded."""
    module, *options = COMMANDS[name]
    command = ["-m", f"benchmarks.{module}", *options]
    print(f"\n== python {' '.join(command)}", flush=True)
    path = folder / f"{name}.csv"
    ended = subprocess.run([sys.executable, *command, "--csv", str(path)], check=False)
    return not ended.returncode


def _compare(parser: argparse.ArgumentParser, files: Sequence[Path], folder: Path | None) -> int:
    old, name = files[0], files[0].stem
    if not old.is_file():
        parser.error(f"--compare: there is no file {old}.")
    with tempfile.TemporaryDirectory() as temporary:
        if len(files) == 2:
            new = files[1]
        elif name not in COMMANDS:
            known = ", ".join(f"{each}.csv" for each in COMMANDS)
            parser.error(
                f"--compare: {old.name} is none of {known}; pass "
                "the newer file, too, as in --compare OLD.csv NEW.csv."
            )
        else:
            target = folder or Path(temporary)
            _make(parser, target)
            new = target / old.name
            if new.exists() and new.samefile(old):
                parser.error(f"--out {target} holds {old.name} itself; pass another folder.")
            if not _run(name, target):
                print(f"error: {name} failed", file=sys.stderr)
                return 1
        try:
            found = comparison.compare(old, new)
        except (OSError, ValueError) as error:
            parser.error(f"--compare: {error}.")
    comparison.show(name, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
