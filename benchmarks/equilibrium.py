"""Training at equilibrium beside a number of loops: accuracy, loops, memory and time.

The paper's model Y, whose 28x28 neurons send two pixels each way, is trained as `sparsebrain
compare` trains, with 20 loops and with as many as it takes until nothing changes. Finished
trainings are kept in the folder --out and not repeated, so that the same command goes on where it
was stopped. A peak is that of a training step's resident set (VmHWM) beyond what is there before,
in a fresh process. With the defaults it takes 20 minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from benchmarks import command, environment, report, resident
from benchmarks.equality import WrongResultError
from sparsebrain.experiments.datasets import DATASETS, Images, load_anew
from sparsebrain.experiments.fingerprint import seal
from sparsebrain.experiments.loop_options import parse_loops
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import train_missing
from sparsebrain.experiments.training import Run, connectome_of, make_model

LOOPS = ("20", "equilibrium")
BATCH_SIZE = 128

_MIB = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every training, and for each kind of loops the peak of one step."""
    machine = environment.machine()
    first = Run(
        data=arguments.data,
        topology="grid:distance=2",
        checksum="",
        synapses_wanted=0,
        loops=1,
        variant="relu",
        epochs=arguments.epochs,
        batch_size=BATCH_SIZE,
        learning_rate=1e-3,
        seed=0,
    )
    # Seed by seed, so that an early look at the results finds both.
    runs = [
        replace(first, loops=parse_loops(loops).spec, seed=seed)
        for seed in range(arguments.seeds)
        for loops in arguments.loops or LOOPS
    ]
    images = load_anew(arguments.data, arguments.data_dir)
    runs = list(seal(runs, images))
    results = Results(arguments.out)
    labels = {run: f"{run.loops}, seed {run.seed}" for run in runs}
    train_missing(labels, results, data_dir=arguments.data_dir, jobs=1, console=Console())
    for run in runs:
        if epoch := results.outcomes[run].diverged:
            raise WrongResultError(f"{labels[run]}: diverged in epoch {epoch}.")
    peaks = {
        run.loops: resident.in_fresh_process(
            peak, run, images.sheet, images.train_x.size(1), images.num_classes
        )
        for run in runs
    }
    rows = [
        {
            "data": run.data,
            "loops": run.loops,
            "seed": run.seed,
            "epochs": run.epochs,
            "test_accuracy": results.outcomes[run].test_accuracy,
            "loops_used": results.outcomes[run].loops_used,
            "converged": results.outcomes[run].converged,
            "seconds_per_epoch": results.outcomes[run].seconds_per_epoch,
            "peak_mib": peaks[run.loops] / _MIB,
        }
        for run in runs
    ]
    return {
        "benchmark": "equilibrium",
        "parameters": {"data": arguments.data, "epochs": arguments.epochs},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def peak(run: Run, sheet: tuple[int, ...], pixels: int, num_classes: int) -> int:
    """Bytes that two steps take at most, in a process that has nothing else to do."""
    draw = torch.Generator().manual_seed(run.seed)
    x = torch.rand(run.batch_size, pixels, generator=draw)
    y = torch.randint(num_classes, (run.batch_size,), generator=draw)
    images = Images(run.data, num_classes, sheet, x, y, x, y)
    model = make_model(run, connectome_of(run, sheet), images)
    parameters = list(model.parameters())
    before = resident.now()
    resident.reset()
    # Two: what the first leaves behind must not add up.
    for _ in range(2):
        torch.autograd.grad(nn.functional.cross_entropy(model(x), y), parameters)
    return resident.peak() - before


def show(found: dict[str, Any]) -> None:
    """Print what was measured, means and standard deviations over the seeds."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(f"{given['data']}, {given['epochs']} epochs, batch {BATCH_SIZE}")
    rows = []
    for loops in dict.fromkeys(row["loops"] for row in found["rows"]):
        of_loops = [row for row in found["rows"] if row["loops"] == loops]
        mean = {
            name: statistics.fmean(row[name] for row in of_loops)
            for name in ("loops_used", "converged", "peak_mib")
        }
        accuracies = [100 * row["test_accuracy"] for row in of_loops]
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else math.nan
        rows.append(
            [
                str(loops),
                f"{statistics.fmean(accuracies):.2f} ± {spread:.2f}",
                f"{mean['loops_used']:.1f}",
                f"{mean['converged']:.2%}",
                f"{mean['peak_mib']:.1f}",
                # Of the fastest training: a machine that others use as well is never too fast.
                report.digits(min(row["seconds_per_epoch"] for row in of_loops)),
            ]
        )
    columns = ("loops", "test accuracy, %", "loops used", "converged", "MiB at most", "s/epoch")
    report.table("training", columns, rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("equilibrium", __doc__, rounds=None)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the trainings")
    parser.add_argument("--data", choices=DATASETS, default="mnist")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="as for sparsebrain compare")
    parser.add_argument(
        "--loops",
        action="append",
        metavar="N|equilibrium",
        help="as for sparsebrain compare; may be given several times (default: 20, equilibrium)",
    )
    parser.add_argument("--seeds", type=command.positive, default=3, metavar="N")
    parser.add_argument("--epochs", type=command.positive, default=10, metavar="N")
    arguments = parser.parse_args(argv)
    try:
        for loops in arguments.loops or ():
            parse_loops(loops)
    except ValueError as error:
        parser.error(str(error))
    resident.require(parser)
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
