"""STDP during a simulation: 10,000 neurons, 10^6 synapses that all change, dt 1 ms.

All neurons receive Poisson input that makes them spike, and every spike passes the synapses that
leave its neuron and those that arrive at it: as many synaptic events. Before anything is timed, a
smaller network must have, in float64, the spikes and weights of the reference, bit for bit, and the
spikes of Brian2 with its weights within rounding. Memory is the peak of a simulation in a process
of its own, where nothing of the connectome is left but the network.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from benchmarks import command, environment, report, resident
from benchmarks.equality import WrongResultError
from sparsebrain.plasticity import STDP
from sparsebrain.spiking import LIF, Recording, SpikeTrains

A_PLUS, A_MINUS, W_MAX, WEIGHT = 1e-4, 1.05e-4, 0.01, 0.002
_GOALS = {"million events a second": 120.0, "bytes": 40.0}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare, then time every rate."""
    machine = environment.machine()
    compare(min(300, arguments.neurons), min(9000, arguments.synapses), arguments.brian)
    lif = make(arguments.neurons, arguments.synapses)
    rows = []
    for rate in arguments.rate or [5.0, 20.0]:
        events = draw(lif, rate, arguments.duration)
        row: dict[str, Any] = {"neurons": lif.num_nodes, "synapses": len(lif.weight), "rate": rate}
        row |= _time(lif, events, arguments)
        if arguments.brian is not None:
            row |= _against_brian(lif, events, row, arguments)
        rows.append(row)
    memory = None
    if resident.obstacle() is None:
        memory = resident.in_fresh_process(peak, arguments.neurons, arguments.synapses)
        for row in rows:
            row["bytes_per_synapse"] = memory
    return {
        "benchmark": "plastic-spiking",
        "parameters": {"rounds": arguments.rounds, "dtype": "float32"},
        "machine": machine,
        "versions": environment.versions(),
        "threads": torch.get_num_threads(),
        "rows": rows,
        "bytes_per_synapse": memory,
    }


def make(neurons: int, synapses: int, dtype: torch.dtype = torch.float32) -> LIF:
    """A network of random synapses, sorted by target, with equal weights."""
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(neurons, (2, synapses), generator=generator)
    key = (target * neurons + source).unique()
    edges = torch.stack([key % neurons, key // neurons])
    lif = LIF(Data(edge_index=edges, num_nodes=neurons), dtype=dtype)
    lif.assign_weight(torch.full((len(key),), WEIGHT, dtype=dtype))
    return lif


def rule_of(lif: LIF) -> STDP:
    """The rule of all networks; Brian2 counts spikes of the same step as pairs."""
    return STDP(lif, A_PLUS, A_MINUS, coincidence="potentiation", bounds="hard", w_max=W_MAX)


def draw(lif: LIF, rate: float, duration: float) -> SpikeTrains:
    """Poisson input to all neurons, at most one event a step."""
    generator = torch.Generator().manual_seed(1)
    shape = (round(duration / lif.dt), lif.num_nodes)
    step, neuron = (torch.rand(shape, generator=generator) < rate * lif.dt / 1000).nonzero().t()
    return SpikeTrains(step=step, neuron=neuron, jump=2.0)


def compare(neurons: int, synapses: int, brian: Path | None) -> None:
    """Raise WrongResultError unless the reference, and Brian2, have the same spikes and weights."""
    found: list[tuple[Recording, torch.Tensor]] = []
    for backend in ("auto", "reference"):
        lif = make(neurons, synapses, torch.float64)
        events = draw(lif, 40.0, 200.0)
        recording = lif.simulate(200.0, events=events, plasticity=rule_of(lif), backend=backend)
        found.append((recording, lif.weight.detach()))
    (one, weight), (other, expected) = found
    same = torch.equal(one.step, other.step) and torch.equal(one.neuron, other.neuron)
    if not same or not torch.equal(weight, expected):
        raise WrongResultError("spikes or weights are not those of the reference")
    if brian is not None:
        lif = make(neurons, synapses, torch.float64)
        _, step, neuron, changed = _brian(lif, draw(lif, 40.0, 200.0), 200.0, brian, "numpy")
        key = torch.from_numpy(step * neurons + neuron).sort()[0]
        same = torch.equal(key, one.step * neurons + one.neuron)
        if not same or not torch.allclose(torch.from_numpy(changed), weight, rtol=1e-9):
            raise WrongResultError("spikes or weights are not those of Brian2")


def peak(neurons: int, synapses: int) -> float:
    """Bytes per synapse of a network and its simulation, at most."""
    # Loads all code that is needed.
    lif = make(100, 200)
    lif.simulate(100.0, poisson=(range(100), 10.0, 2.0), plasticity=rule_of(lif))
    before = resident.now()
    lif = make(neurons, synapses)
    resident.now()
    resident.reset()
    poisson = (torch.arange(neurons), 10.0, 2.0)
    lif.simulate(100.0, poisson=poisson, plasticity=rule_of(lif))
    return (resident.peak() - before) / len(lif.weight)


def _time(lif: LIF, events: SpikeTrains, arguments: argparse.Namespace) -> dict[str, Any]:
    start, times = lif.weight.detach().clone(), []
    for _ in range(arguments.rounds):
        lif.assign_weight(start)
        rule, clock = rule_of(lif), time.process_time()
        found = lif.simulate(arguments.duration, events=events, plasticity=rule)
        times.append(time.process_time() - clock)
    mean_weight = float(lif.weight.detach().mean())
    lif.assign_weight(start)
    spikes, median = len(found.step), float(np.median(times))
    return {
        "spikes": spikes,
        "mean_weight": mean_weight,
        "median_cpu_s": median,
        "min_cpu_s": min(times),
        "million_events_per_s": 2e-6 * spikes * len(start) / lif.num_nodes / median,
    }


def _against_brian(
    lif: LIF, events: SpikeTrains, row: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, Any]:
    peer, step, *_ = _brian(lif, events, arguments.duration, arguments.brian, "cython")
    events_per_s = 2e-6 * len(step) * len(lif.weight) / lif.num_nodes / peer["cpu"]
    return {
        "brian_built_s": peer["built"],
        "brian_cpu_s": peer["cpu"],
        "brian_million_events_per_s": events_per_s,
        "times_brian": row["million_events_per_s"] / events_per_s,
    }


def _brian(
    lif: LIF, events: SpikeTrains, duration: float, python: Path, target: str
) -> tuple[dict[str, float], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Run Brian2 on the same network and input; return times, spikes and weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        source, target_neuron = lif.edge_index.numpy()
        np.savez(
            path,
            num_nodes=lif.num_nodes,
            source=source,
            target=target_neuron,
            weight=lif.weight.detach().numpy(),
            step=events.step.numpy(),
            neuron=events.neuron.numpy(),
            duration=duration,
            a_plus=A_PLUS,
            a_minus=A_MINUS,
            w_max=W_MAX,
        )
        script = Path(__file__).parent / "brian_plastic_peer.py"
        ended = subprocess.run(
            [str(python), str(script), str(path), target],
            check=True,
            capture_output=True,
            text=True,
        )
        with np.load(f"{path}.found.npz") as found:
            step, neuron = found["step"].astype(np.int64), found["neuron"].astype(np.int64)
            weight = found["weight"]
    return json.loads(ended.stdout.splitlines()[-1]), step, neuron, weight


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print(f"{found['threads']} threads; spikes and weights equal those of the reference")
    report.table(
        f"median of {found['parameters']['rounds']} rounds, processor time",
        ("Hz", "spikes", "s", "million events a second", "goal", "Brian2", "times as many"),
        [
            (
                f"{row['rate']:g}",
                str(row["spikes"]),
                f"{row['median_cpu_s']:.3f}",
                f"{row['million_events_per_s']:.0f}",
                f"{_GOALS['million events a second']:g}",
                f"{row.get('brian_million_events_per_s', float('nan')):.1f}",
                f"{row.get('times_brian', float('nan')):.1f}",
            )
            for row in found["rows"]
        ],
    )
    if found["bytes_per_synapse"] is not None:
        print(f"{found['bytes_per_synapse']:.1f} bytes a synapse (goal {_GOALS['bytes']:g})")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    made = command.parser("plastic_spiking", __doc__, rounds=3)
    made.add_argument("--neurons", type=command.positive, default=10_000, metavar="N")
    made.add_argument("--synapses", type=command.positive, default=1_000_000, metavar="E")
    made.add_argument("--duration", type=float, default=2000.0, metavar="MS")
    made.add_argument(
        "--rate",
        type=float,
        action="append",
        metavar="HZ",
        help="of the input; may be given several times (default: 5 and 20)",
    )
    made.add_argument(
        "--brian", type=Path, metavar="PYTHON", help="the Python of an environment with Brian2 2.9"
    )
    return made.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
