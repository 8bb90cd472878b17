"""Spiking neurons at the size of a fly's brain: 138,639 neurons, 15 million synapses, dt 0.1 ms.

The equations are those of Shiu et al. (Nature 2024), on a random graph with random signed counts.
At every rate all neurons receive Poisson input of that rate; at 0.02 Hz 20 neurons receive 150 Hz.
Times are those of one second of the brain, from rest, with the drawing of the input. Before
anything is timed a smaller network must have the same spikes as the reference, bit for bit, and as
Brian2 where its Python is given.

With ``--precision`` nothing is timed: float32 and float64 receive the same input of 5 and of 20 Hz,
and their spikes are compared. Spikes are shared if their step and neuron are the same.
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
from torch_geometric.data import Data

from benchmarks import command, environment, report
from benchmarks.equality import WrongResultError
from sparsebrain.spiking import LIF, Recording, SpikeTrains

JUMP = 68.75
_GOALS = {(0.02, 1): 0.25, (1.0, 1): 0.25, (20.0, 1): 1.0, (1.0, 30): 5.0}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare, then time every case; or compare float32 with float64."""
    if arguments.precision:
        return measure_precision(arguments)
    machine = environment.machine()
    small = make(min(2000, arguments.neurons), min(100_000, arguments.synapses))
    compare(small, arguments.brian)
    begin = time.perf_counter()
    lif = make(arguments.neurons, arguments.synapses)
    made = time.perf_counter() - begin
    begin = time.perf_counter()
    lif = network(Data(edge_index=lif.edge_index, num_nodes=lif.num_nodes, edge_weight=lif.weight))
    built = time.perf_counter() - begin
    cases = [(rate, 1) for rate in (0.02, 1.0, 5.0, 20.0)] + [(1.0, arguments.samples)]
    rows: list[dict[str, Any]] = []
    for rate, samples in cases:
        times = [_seconds(lif, rate, samples, arguments) for _ in range(arguments.rounds)]
        walls, cpus = ([each[at] for each in times] for at in (0, 1))
        rows.append(
            {
                "neurons": lif.num_nodes,
                "synapses": len(lif.weight),
                "rate": rate,
                "found_rate": times[-1][2],
                "samples": samples,
                "median_s": float(np.median(walls)),
                "min_s": min(walls),
                "median_cpu_s": float(np.median(cpus)),
                "goal_s": _GOALS.get((rate, samples), float("nan")),
            }
        )
    peer = None
    if arguments.brian is not None:
        peer = _brian(lif, _events(lif, 0.02, 1000.0), 1000.0, arguments.brian, "cython")[0]
    return {
        "benchmark": "spiking",
        "parameters": {"rounds": arguments.rounds, "dtype": "float32"},
        "machine": machine,
        "versions": environment.versions(),
        "threads": torch.get_num_threads(),
        "made_s": made,
        "built_s": built,
        "rows": rows,
        "brian": peer,
    }


def measure_precision(arguments: argparse.Namespace) -> dict[str, Any]:
    """The spikes of float32 and float64, and how many of them they share."""
    lif = make(arguments.neurons, arguments.synapses)
    data = Data(edge_index=lif.edge_index, num_nodes=lif.num_nodes, edge_weight=lif.weight.detach())
    exact = network(data, torch.float64)
    rows = []
    for rate in (5.0, 20.0):
        single, double = (
            each.simulate(
                arguments.duration,
                poisson=(torch.arange(lif.num_nodes), rate, JUMP),
                generator=torch.Generator().manual_seed(2),
            )
            for each in (lif, exact)
        )
        keys = (each.step * lif.num_nodes + each.neuron for each in (single, double))
        rows.append(
            {
                "neurons": lif.num_nodes,
                "synapses": len(lif.weight),
                "rate": rate,
                "spikes_float32": len(single.step),
                "spikes_float64": len(double.step),
                "shared": int(torch.isin(*keys, assume_unique=True).sum()),
                "rate_float32": float(single.rates.mean()),
                "rate_float64": float(double.rates.mean()),
            }
        )
    return {
        "benchmark": "spiking precision",
        "parameters": {"duration": arguments.duration},
        "machine": environment.machine(),
        "versions": environment.versions(),
        "rows": rows,
    }


def make(neurons: int, synapses: int) -> LIF:
    """A network of random synapses with counts of 1 to 7; 70 % of the neurons are excitatory."""
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(neurons, (2, synapses), generator=generator)
    key = (target * neurons + source).unique()
    source, target = key % neurons, key // neurons
    sign = torch.where(torch.rand(neurons, generator=generator) < 0.7, 1.0, -1.0)
    count = torch.randint(1, 8, (len(key),), generator=generator)
    edges = torch.stack([source, target])
    weight = 0.275 * sign[source] * count
    return network(Data(edge_index=edges, num_nodes=neurons, edge_weight=weight))


def network(data: Data, dtype: torch.dtype = torch.float32) -> LIF:
    """Neurons with the equations of Shiu et al."""
    return LIF(
        data,
        tau=20.0,
        tau_synapse=5.0,
        rest=-52.0,
        reset=-52.0,
        threshold=-45.0,
        refractory=2.2,
        delay=1.8,
        dt=0.1,
        dtype=dtype,
    )


def compare(lif: LIF, brian: Path | None) -> None:
    """Raise WrongResultError unless every backend, and Brian2, finds the same spikes."""
    events = _events(lif, 20.0, 50.0)
    expected = lif.simulate(50.0, events=events, backend="reference")
    _same("auto", lif.simulate(50.0, events=events), expected)
    if brian is not None:
        data = Data(
            edge_index=lif.edge_index, num_nodes=lif.num_nodes, edge_weight=lif.weight.detach()
        )
        exact = network(data, torch.float64).simulate(50.0, events=events)
        _, step, neuron = _brian(lif, events, 50.0, brian, "numpy")
        key = torch.from_numpy(step * lif.num_nodes + neuron).sort()[0]
        if not torch.equal(key, exact.step * lif.num_nodes + exact.neuron):
            raise WrongResultError(
                f"Brian2 finds {len(key)} spikes, and float64 {len(exact.step)} or other ones"
            )


def _same(name: str, found: Recording, expected: Recording) -> None:
    if not (torch.equal(found.step, expected.step) and torch.equal(found.neuron, expected.neuron)):
        raise WrongResultError(f"the spikes of backend {name!r} are not those of the reference")


def _events(lif: LIF, rate: float, duration: float) -> SpikeTrains:
    """The same input as given events, one a step and neuron at most."""
    count, hertz = (20, 150.0) if rate == 0.02 else (lif.num_nodes, rate)
    steps = round(duration / lif.dt)
    generator = torch.Generator().manual_seed(1)
    drawn = torch.rand(steps, count, generator=generator) < hertz * lif.dt / 1000
    step, neuron = drawn.nonzero(as_tuple=True)
    return SpikeTrains(step=step, neuron=neuron, jump=JUMP)


def _seconds(
    lif: LIF, rate: float, samples: int, arguments: argparse.Namespace
) -> tuple[float, float, float]:
    """Wall-clock and processor seconds of a run, and the mean rate that it has."""
    poisson = (torch.arange(lif.num_nodes), rate, JUMP)
    if rate == 0.02:
        poisson = (torch.arange(min(20, lif.num_nodes)), 150.0, JUMP)
    generator = torch.Generator().manual_seed(2)
    begin, clock = time.perf_counter(), time.process_time()
    found = lif.simulate(arguments.duration, poisson=poisson, samples=samples, generator=generator)
    wall, cpu = time.perf_counter() - begin, time.process_time() - clock
    return wall, cpu, float(found.rates.mean())


def _brian(
    lif: LIF, events: SpikeTrains, duration: float, python: Path, target: str
) -> tuple[dict[str, float], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Run Brian2 on the same network and input."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        source, target_neuron = lif.edge_index.numpy()
        np.savez(
            path,
            num_nodes=lif.num_nodes,
            source=source,
            target=target_neuron,
            weight=lif.weight.detach().double().numpy(),
            step=events.step.numpy(),
            neuron=events.neuron.numpy(),
            duration=duration,
        )
        script = Path(__file__).parent / "brian_peer.py"
        ended = subprocess.run(
            [str(python), str(script), str(path), target],
            check=True,
            capture_output=True,
            text=True,
        )
        with np.load(f"{path}.spikes.npz") as spikes:
            step, neuron = spikes["step"].astype(np.int64), spikes["neuron"].astype(np.int64)
    return json.loads(ended.stdout.splitlines()[-1]), step, neuron


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    if found["benchmark"] == "spiking precision":
        names = ("spikes_float32", "spikes_float64", "shared", "rate_float32", "rate_float64")
        report.table(
            f"{found['parameters']['duration']:g} ms of the brain",
            ("Hz", "float32 spikes", "float64 spikes", "shared", "float32 Hz", "float64 Hz"),
            [
                (f"{row['rate']:g}", *(f"{row[name]:.8g}" for name in names))
                for row in found["rows"]
            ],
        )
        return
    print(
        f"{found['threads']} threads; the network is built in {found['built_s']:.2f} s; all spikes "
        "equal those of the reference"
    )
    report.table(
        f"one second of the brain: median (minimum) of {found['parameters']['rounds']} rounds",
        ("Hz", "found", "samples", "s", "processor s", "goal"),
        [
            (
                f"{row['rate']:g}",
                f"{row['found_rate']:.3g}",
                str(row["samples"]),
                f"{row['median_s']:.3f} ({row['min_s']:.3f})",
                f"{row['median_cpu_s']:.3f}",
                f"{row['goal_s']:g}",
            )
            for row in found["rows"]
        ],
    )
    if found["brian"] is not None:
        peer = found["brian"]
        print(
            f"Brian2 at 0.02 Hz: built in {peer['built']:.1f} s, one second in "
            f"{peer['seconds']:.2f} s ({peer['cpu']:.2f} processor s)"
        )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    made = command.parser("spiking", __doc__, rounds=3)
    made.add_argument("--neurons", type=command.positive, default=138_639, metavar="N")
    made.add_argument("--synapses", type=command.positive, default=15_000_000, metavar="E")
    made.add_argument("--samples", type=command.positive, default=30, metavar="S")
    made.add_argument("--duration", type=float, default=1000.0, metavar="MS")
    made.add_argument(
        "--brian", type=Path, metavar="PYTHON", help="the Python of an environment with Brian2 2.9"
    )
    made.add_argument(
        "--precision", action="store_true", help="compare the spikes of float32 and float64"
    )
    return made.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
