"""What a training step of the layer takes, in bytes per synapse and per state, by its peaks.

A state is one number of one neuron, sample and loop. Each number comes from two runs that differ in
one thing alone, the loops or the synapses, so that all else drops out. Peaks are those of the
resident set (VmHWM), each taken in a fresh process; float32. Formulas: a kept state takes 4 bytes,
and 2 sqrt(loops) states are kept with checkpoint=True; a synapse takes its index arrays and weight
while the layer lives, and in a step its gradient and, inside the kernels, sums of it, once or once
a thread.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

import graphs
from benchmarks import command, environment, report, resident
from sparsebrain import GraphLayer

LOOPS = (16, 64)
NEIGHBORS = (20, 120)

_FLOAT = 4
_MIB = 1 << 20


class Step(NamedTuple):
    """One training step of a layer on a random graph."""

    neurons: int
    batch: int
    neighbors: int = NEIGHBORS[0]
    loops: int = LOOPS[0]
    checkpoint: bool = False


class Bytes(NamedTuple):
    """What a layer holds, what a step takes at most beyond that, and the tensors of a layer."""

    held: int
    peak: int
    counted: int


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Five steps, each in a process of its own; everything that is known afterwards."""
    machine = environment.machine()
    plain = Step(arguments.neurons, arguments.batch)
    found = {
        name: resident.in_fresh_process(run, step)
        for name, step in {
            "plain": plain,
            "more loops": plain._replace(loops=LOOPS[1]),
            "more synapses": plain._replace(neighbors=NEIGHBORS[1]),
            "checkpoint": plain._replace(checkpoint=True),
            "checkpoint, more loops": plain._replace(checkpoint=True, loops=LOOPS[1]),
        }.items()
    }
    return {
        "benchmark": "memory",
        "parameters": {"neurons": arguments.neurons, "batch": arguments.batch},
        "machine": machine,
        "versions": environment.versions(),
        "peak_mib": {name: (each.held + each.peak) / _MIB for name, each in found.items()},
        "rows": _rows(arguments, found),
    }


def run(step: Step) -> Bytes:
    """Make a layer and take a step, in a process that has nothing else to do."""
    connectome = graphs.small_world(
        step.neurons, neighbors=step.neighbors, rewire=1.0, self_loops=True, seed=0
    )
    x = torch.randn(step.batch, step.neurons, requires_grad=True)
    before = resident.now()
    layer = GraphLayer(connectome, step.loops, activation="tanh", checkpoint=step.checkpoint)
    held = resident.now() - before
    arrays = [*layer.structure.arrays(), layer.weight]
    resident.reset()
    # Two: what the first leaves behind must not add up.
    for _ in range(2):
        torch.autograd.grad(layer(x).sum(), (layer.weight, x))
    return Bytes(
        held,
        resident.peak() - before - held,
        sum(array.numel() * array.element_size() for array in arrays),
    )


def _rows(arguments: argparse.Namespace, found: dict[str, Bytes]) -> list[dict[str, Any]]:
    plain = found["plain"]
    states = (LOOPS[1] - LOOPS[0]) * arguments.neurons * arguments.batch
    synapses = (NEIGHBORS[1] - NEIGHBORS[0]) * arguments.neurons
    dense = found["more synapses"]
    sparing = 2 * (math.sqrt(LOOPS[1]) - math.sqrt(LOOPS[0])) / (LOOPS[1] - LOOPS[0])
    sums = (2 * _FLOAT, (1 + torch.get_num_threads()) * _FLOAT)
    index = (dense.counted - plain.counted) / synapses
    between = f"from {LOOPS[0]} to {LOOPS[1]} loops"
    told = {
        f"a state, {between}": ((found["more loops"].peak - plain.peak) / states, _FLOAT, _FLOAT),
        f"a state, checkpoint=True, {between}": (
            (found["checkpoint, more loops"].peak - found["checkpoint"].peak) / states,
            _FLOAT * sparing,
            _FLOAT * sparing,
        ),
        "a synapse, held": ((dense.held - plain.held) / synapses, index, index),
        "a synapse, in a step": ((dense.peak - plain.peak) / synapses, *sums),
    }
    return [
        {
            "bytes of": name,
            "neurons": arguments.neurons,
            "batch": arguments.batch,
            "measured": measured,
            "formula_least": least,
            "formula_most": most,
        }
        for name, (measured, least, most) in told.items()
    ]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(f"{given['neurons']} neurons, batch {given['batch']}, float32")
    peaks = ", ".join(f"{name} {mib:.0f}" for name, mib in found["peak_mib"].items())
    print(f"MiB that layer and step take at most: {peaks}")
    rows = [
        [
            row["bytes of"],
            f"{row['measured']:.2f}",
            " to ".join(
                f"{bound:.2f}"
                for bound in dict.fromkeys((row["formula_least"], row["formula_most"]))
            ),
        ]
        for row in found["rows"]
    ]
    report.table("bytes", ("of", "measured", "formula"), rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("layer memory", __doc__, rounds=None)
    parser.add_argument("--neurons", type=command.positive, default=20_000, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=64, metavar="N")
    arguments = parser.parse_args(argv)
    resident.require(parser)
    return arguments
