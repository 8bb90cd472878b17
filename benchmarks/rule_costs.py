"""Time and memory of a training step of each learning rule.

All rules take the same batch of digits. Rules with labels train the models of ``sparsebrain
compare``: a grid of 16 x 16 neurons with five loops, or the layered model for rules that cannot
train a grid. Plasticity rules change the synapses of the same grid in one loop, and those on spikes
over 20 time steps. ``--side 28`` measures random images of the size of MNIST's on a grid of 28 x 28
neurons instead. Times are CPU seconds of one thread, measured in turn, and are compared with those
of backpropagation. The peak memory is that of tensors in the second step: parameters, gradients,
optimizer state, index arrays and intermediate results, without samples and connectome. The resident
part is what a rule and its model occupy before the first step. Neither depends on the machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from benchmarks import command, environment, report
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer
from sparsebrain.experiments.allocations import allocations, peak_of_steps
from sparsebrain.experiments.datasets import Images, load
from sparsebrain.experiments.training import Run, connectome_of, make_rule
from sparsebrain.learning import RULES
from sparsebrain.plasticity import PLASTICITY
from sparsebrain.plasticity.spike_timing import SpikeTimingRule
from sparsebrain.spiking import LIF

STEPS = 20
"""Time steps of the rules of spikes."""

_RATE_OF_SPIKES = 0.1

_RUN = Run(
    data="digits",
    topology="grid",
    checksum="",
    synapses_wanted=0,
    loops=5,
    variant="relu",
    epochs=1,
    batch_size=64,
    learning_rate=0.001,
    seed=0,
)

_NAMES = (*RULES, *(f"{name}, plasticity" for name in PLASTICITY))

Make = Callable[[], Callable[[], object]]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every rule of both tables; everything that is known afterwards."""
    machine = environment.machine()
    batch = arguments.batch
    only = {"backprop", *arguments.rule} if arguments.rule else {*_NAMES}
    images = load("digits") if arguments.side is None else _random_images(arguments.side, batch)
    cases = {**_of_labels(images, batch, only), **_of_plasticity(images, batch, only)}
    resident = {name: _resident(make) for name, (_, make) in cases.items()}
    peaks = {name: peak_of_steps(make) for name, (_, make) in cases.items()}
    steps = {name: make() for name, (_, make) in cases.items()}
    times = interleaved(steps, rounds=arguments.rounds, clock=time.process_time)
    return {
        "benchmark": "rule_costs",
        "parameters": {
            "rounds": arguments.rounds,
            "batch": batch,
            "side": arguments.side or 0,
        },
        "machine": machine,
        "versions": environment.versions(),
        "rows": [
            {
                "rule": name,
                "model": model,
                "batch": batch,
                "resident_bytes": resident[name],
                "peak_bytes": int(peaks[name]),
                "median_ms": times[name].median,
                "min_ms": times[name].minimum,
                "times_backprop": times[name].median / times["backprop"].median,
            }
            for name, (model, _) in cases.items()
        ],
    }


def _random_images(side: int, number: int) -> Images:
    """Return random images of side x side pixels in ten classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(number, side * side, generator=generator)
    y = torch.randint(10, (number,), generator=generator)
    return Images(f"{side} x {side}", 10, (side, side), x, y, x, y)


def _resident(make: Make) -> int:
    """Return the bytes of tensors of a rule and its model before the first step."""
    with allocations() as made:
        step = make()
    del step
    return int(sum(made))


def _of_labels(images: Images, batch: int, only: set[str]) -> dict[str, tuple[str, Make]]:
    """Return the model of each rule of RULES, and what makes its step."""
    x, y = images.train_x[:batch], images.train_y[:batch]
    cases = {}
    for name in [name for name in RULES if name in only]:
        rule = RULES[name]
        for topology, model in (("grid", "grid"), ("none", "layered")):
            run = replace(_RUN, topology=topology, rule=name, learning_rate=rule.learning_rate)
            data = connectome_of(run, images.sheet)
            try:
                make_rule(run, data, images)
            except ValueError:
                continue
            cases[name] = model, _learner(run, data, images, x, y)
            break
    return cases


def _learner(run: Run, data: Data | None, images: Images, x: Tensor, y: Tensor) -> Make:
    def make() -> Callable[[], object]:
        rule = make_rule(run, data, images)
        return _step(rule, rule.make_optimizer(), x, y)

    return make


def _of_plasticity(images: Images, batch: int, only: set[str]) -> dict[str, tuple[str, Make]]:
    """Return the layer of each rule of PLASTICITY, and what makes its step."""
    grid = connectome_of(_RUN, images.sheet)
    assert grid is not None
    neurons = int(grid.num_nodes)
    generator = torch.Generator().manual_seed(0)
    rates = torch.rand(batch, neurons, generator=generator)
    spikes = torch.rand(batch, STEPS, neurons, generator=generator) < _RATE_OF_SPIKES
    dopamine = torch.rand(batch, STEPS, generator=generator)
    cases = {}
    for name, kind in PLASTICITY.items():
        spiking = issubclass(kind, SpikeTimingRule)
        samples: list[Tensor] = [spikes.float()] if spiking else [rates]
        if name == "dopamine-stdp":
            samples.append(dopamine)
        model = f"grid, {STEPS} time steps" if spiking else "grid, 1 loop"
        cases[f"{name}, plasticity"] = model, _changer(kind, grid, samples)
    return {name: case for name, case in cases.items() if name in only}


def _changer(kind: Any, grid: Data, samples: list[Tensor]) -> Make:
    def make() -> Callable[[], object]:
        torch.manual_seed(0)
        layer = LIF(grid) if issubclass(kind, SpikeTimingRule) else GraphLayer(grid)
        rule = kind(layer)
        return _step(rule, rule.make_optimizer(), *samples)

    return make


def _step(
    rule: nn.Module, optimizer: torch.optim.Optimizer, *samples: Tensor
) -> Callable[[], object]:
    def step() -> None:
        optimizer.zero_grad()
        rule(*samples)
        optimizer.step()

    return step


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    rows = [
        [
            row["rule"],
            row["model"],
            f"{row['resident_bytes'] / 2**20:.2f}",
            f"{row['peak_bytes'] / 2**20:.2f}",
            report.cell(row),
            report.digits(row["times_backprop"]),
        ]
        for row in found["rows"]
    ]
    columns = ("rule", "model", "resident MiB", "peak MiB", "CPU ms a step", "x backprop")
    report.table(f"batch {found['parameters']['batch']}; median (minimum)", columns, rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("rule_costs", __doc__, rounds=15)
    parser.add_argument("--batch", type=command.positive, default=64, metavar="N")
    parser.add_argument(
        "--side",
        type=command.positive,
        metavar="N",
        help="random images of N x N pixels on a grid of as many neurons (default: digits)",
    )
    parser.add_argument(
        "--rule",
        action="append",
        choices=_NAMES,
        default=[],
        help="of the table; may be given several times (default: all)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
