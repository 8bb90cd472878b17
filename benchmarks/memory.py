"""The memory of a layer, in bytes per synapse and per state, by its peaks.

A state is one number of one neuron, sample and loop. Each number comes from two runs that differ in
one thing alone, the loops or the synapses, so that all else drops out. Memory is the resident set
(VmRSS and VmHWM), each time of a fresh process; float32. Formulas: a kept state takes 4 bytes, and
2 sqrt(loops) states are kept with checkpoint=True. A synapse takes its index arrays and its weight
while the layer lives; the first backward pass makes the transposed index, and then the gradient
stays, too. In a step there are another gradient, sums of it, once or once a thread, and for large
graphs a copy of the weights. Goals: 16 bytes a synapse for inference, and 24 for training.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch_geometric.data import Data

import graphs
from benchmarks import command, environment, report, resident
from sparsebrain import GraphLayer

LOOPS = (16, 64)
NEIGHBORS = (20, 120)
GOALS = {"for inference": 16, "for training": 24}

_FLOAT = 4
_MIB = 1 << 20


class Step(NamedTuple):
    """Training steps of a layer on a random graph.

    ``shuffled`` is whether its synapses come in random order, and not sorted by their targets.
    """

    neurons: int
    batch: int
    neighbors: int = NEIGHBORS[0]
    loops: int = LOOPS[0]
    checkpoint: bool = False
    shuffled: bool = False


class Bytes(NamedTuple):
    """What a layer and its steps take, beyond what there was before.

    Attributes:
        making: The peak while the layer is made.
        inference: What is held after calls without gradients.
        first: The peak of the first training step.
        training: What is held after training steps, with the gradient of the weights.
        step: What a later training step takes at most beyond that.
        of_inference: The tensors that are held after calls without gradients.
        of_training: The tensors that are held after training steps.
    """

    making: int
    inference: int
    first: int
    training: int
    step: int
    of_inference: int
    of_training: int


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seven runs, each in a process of its own; everything that is known afterwards."""
    machine = environment.machine()
    plain = Step(arguments.neurons, arguments.batch)
    shuffled = plain._replace(shuffled=True)
    found = {
        name: resident.in_fresh_process(run, step)
        for name, step in {
            "plain": plain,
            "more loops": plain._replace(loops=LOOPS[1]),
            "more synapses": plain._replace(neighbors=NEIGHBORS[1]),
            "checkpoint": plain._replace(checkpoint=True),
            "checkpoint, more loops": plain._replace(checkpoint=True, loops=LOOPS[1]),
            "shuffled": shuffled,
            "shuffled, more synapses": shuffled._replace(neighbors=NEIGHBORS[1]),
        }.items()
    }
    return {
        "benchmark": "memory",
        "parameters": {"neurons": arguments.neurons, "batch": arguments.batch},
        "machine": machine,
        "versions": environment.versions(),
        "peak_mib": {
            name: max(each.making, each.first, each.training + each.step) / _MIB
            for name, each in found.items()
        },
        "rows": _rows(arguments, found),
    }


def run(step: Step) -> Bytes:
    """Make a layer, call it and train it, in a process that has nothing else to do."""
    connectome = graphs.small_world(
        step.neurons, neighbors=step.neighbors, rewire=1.0, self_loops=True, seed=0
    )
    if step.shuffled:
        order = torch.randperm(connectome.num_edges, generator=torch.Generator().manual_seed(0))
        edges = connectome.edge_index[:, order]
        connectome = Data(edge_index=edges, num_nodes=connectome.num_nodes)
    x = torch.randn(step.batch, step.neurons, requires_grad=True)
    # What the first call of a process loads is not held by a layer.
    small = GraphLayer(graphs.grid_local((8, 8), 2), step.loops, activation="tanh")
    small(torch.randn(16, small.num_nodes)).sum().backward()
    before = resident.now()
    resident.reset()
    layer = GraphLayer(connectome, step.loops, activation="tanh", checkpoint=step.checkpoint)
    making = resident.peak() - before
    # Two calls and steps each: what the first leaves behind must not add up.
    with torch.no_grad():
        for _ in range(2):
            layer(x)
    inference, of_inference = resident.now() - before, _counted(layer)
    if layer.structure.by_target.order is not None:
        # The weights in the order of the targets.
        of_inference += layer.weight.nbytes
    resident.reset()
    layer(x).sum().backward()
    first = resident.peak() - before
    layer(x).sum().backward()
    training = resident.now() - before
    resident.reset()
    layer(x).sum().backward()
    found = resident.peak() - before - training
    return Bytes(making, inference, first, training, found, of_inference, _counted(layer))


def _counted(layer: GraphLayer) -> int:
    """Return the bytes of the index arrays, the weights and their gradients."""
    structure = layer.structure
    arrays = [*structure.by_target, layer.weight, layer.weight.grad]
    if structure.has_by_source:
        arrays += structure.by_source
    return sum(array.nbytes for array in arrays if array is not None)


def _rows(arguments: argparse.Namespace, found: dict[str, Bytes]) -> list[dict[str, Any]]:
    plain = found["plain"]
    states = (LOOPS[1] - LOOPS[0]) * arguments.neurons * arguments.batch
    sparing = 2 * (math.sqrt(LOOPS[1]) - math.sqrt(LOOPS[0])) / (LOOPS[1] - LOOPS[0])
    between = f"from {LOOPS[0]} to {LOOPS[1]} loops"
    checkpoints = found["checkpoint, more loops"].step - found["checkpoint"].step
    told: dict[str, tuple[float, float | None, float | None]] = {
        f"a state, {between}": ((found["more loops"].step - plain.step) / states, _FLOAT, _FLOAT),
        f"a state, checkpoint=True, {between}": (
            checkpoints / states,
            _FLOAT * sparing,
            _FLOAT * sparing,
        ),
        **_of_synapses("sorted by target", arguments, plain, found["more synapses"]),
        **_of_synapses(
            "in random order", arguments, found["shuffled"], found["shuffled, more synapses"]
        ),
    }
    return [
        {
            "bytes of": name,
            "neurons": arguments.neurons,
            "batch": arguments.batch,
            "measured": measured,
            "formula_least": least,
            "formula_most": most,
            "goal": next((goal for end, goal in GOALS.items() if name.endswith(end)), None),
        }
        for name, (measured, least, most) in told.items()
    ]


def _of_synapses(
    order: str, arguments: argparse.Namespace, few: Bytes, many: Bytes
) -> dict[str, tuple[float, float | None, float | None]]:
    """Return what a synapse takes, as measured and by the formulas."""
    synapses = (NEIGHBORS[1] - NEIGHBORS[0]) * arguments.neurons
    each = Bytes._make((there - here) / synapses for here, there in zip(few, many, strict=True))
    return {
        f"a synapse, {order}, at most while made": (each.making, None, None),
        f"a synapse, {order}, for inference": (
            each.inference,
            each.of_inference,
            each.of_inference,
        ),
        f"a synapse, {order}, at most in the first step": (each.first, None, None),
        f"a synapse, {order}, for training": (each.training, each.of_training, each.of_training),
        f"a synapse, {order}, more at most in a step": (
            each.step,
            2 * _FLOAT,
            (2 + torch.get_num_threads()) * _FLOAT,
        ),
    }


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
                if bound is not None
            ),
            "" if row["goal"] is None else f"{row['goal']}",
        ]
        for row in found["rows"]
    ]
    report.table("bytes", ("of", "measured", "formula", "goal"), rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("layer memory", __doc__, rounds=None)
    parser.add_argument("--neurons", type=command.positive, default=20_000, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=64, metavar="N")
    arguments = parser.parse_args(argv)
    resident.require(parser)
    return arguments
