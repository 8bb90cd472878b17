"""Gibbs sampling on Ising models, in million spin updates a second of one thread.

The graphs are a torus of 64 x 64 and of 256 x 256 neurons at the critical temperature, and a random
graph of 10^4 neurons and 10^5 pairs with normal weights, each with 1 and 32 chains. Building is the
machine, its colors and the first sweep. Before anything is timed, the energy and the magnetization
of the 4 x 4 torus have to agree with the sum over its 2^16 states, within five standard errors of
independent chains: a false alarm has probability 1e-6. With ``--thrml`` the same holds for thrml,
which is timed on the same graphs, in a process of its own on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import WrongResultError
from sparsebrain.energy import BoltzmannMachine, ising

CRITICAL = 2 / math.log(1 + math.sqrt(2))
ENERGY, MAGNETIZATION = -1.565624, 0.843860
"""Per neuron of the 4 x 4 torus at the critical temperature, with spins of -1 and 1."""

_CHAINS, _SWEEPS = 10_000, 100
_UPDATES = 4e8
"""How many updates are timed at least."""

_GOALS = {("torus", 32): 1200.0, ("torus", 1): 300.0, ("random", 32): 500.0, ("random", 1): 100.0}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Check the law, then time every case."""
    machine = environment.machine()
    small = torus(4)
    spins = 2 * small.sample(_CHAINS, _SWEEPS, generator=torch.Generator().manual_seed(0)) - 1
    check("sparsebrain", _energy(small, spins), spins.mean(1).abs())
    rows: list[dict[str, Any]] = []
    for name, data in cases(arguments.scale).items():
        begin = time.process_time()
        model = _ising(data)
        model.sample(1, 1)
        built = time.process_time() - begin
        for chains in (1, 32):
            rates = [_rate(model, chains, arguments.scale) for _ in range(arguments.rounds)]
            row = {
                "library": "sparsebrain",
                "graph": name,
                "neurons": model.num_nodes,
                "pairs": model.pairs.size(1),
                "chains": chains,
                "median_updates_per_us": float(np.median(rates)),
                "max_updates_per_us": max(rates),
                "built_s": built,
                "goal": _GOALS[name.split()[0], chains],
            }
            rows.append(row)
            if arguments.thrml is not None:
                # The law is checked once.
                peer = _thrml(data, chains, arguments, checked=len(rows) > 1)
                rows.append({**row, "library": "thrml", **peer, "goal": float("nan")})
    return {
        "benchmark": "energy",
        "parameters": {"rounds": arguments.rounds, "dtype": "float32"},
        "machine": machine,
        "versions": environment.versions(),
        "threads": torch.get_num_threads(),
        "rows": rows,
    }


def cases(scale: float = 1.0) -> dict[str, Data]:
    """The graphs; sides and numbers are multiplied by ``scale``."""
    small, large = (max(round(side * scale), least) for side, least in ((64, 4), (256, 6)))
    neurons, pairs = max(round(10_000 * scale), 20), max(round(100_000 * scale), 30)
    generator = torch.Generator().manual_seed(0)
    i, j = torch.randint(neurons, (2, 3 * pairs), generator=generator)
    key = (i * neurons + j)[i < j].unique()
    key = key[torch.randperm(len(key), generator=generator)[:pairs]]
    both = torch.stack([key // neurons, key % neurons])
    weight = torch.randn(both.size(1), generator=generator)
    random = Data(
        edge_index=torch.cat([both, both.flip(0)], 1),
        num_nodes=neurons,
        edge_weight=weight.repeat(2) / 4,
    )
    sides = {f"torus {side} x {side}": _torus(side) for side in (small, large)}
    return {**sides, f"random {neurons}, {both.size(1)}": random}


def _torus(side: int) -> Data:
    return graphs.grid_local((side, side), 1, metric="manhattan", periodic=True, self_loops=False)


def torus(side: int) -> BoltzmannMachine:
    """The Ising model of a torus at the critical temperature."""
    return _ising(_torus(side))


def _ising(data: Data) -> BoltzmannMachine:
    return BoltzmannMachine(data) if "edge_weight" in data else ising(data, 1.0, CRITICAL)


def _energy(machine: BoltzmannMachine, spins: Tensor) -> Tensor:
    i, j = machine.pairs
    return -(spins[:, i] * spins[:, j]).sum(1) / machine.num_nodes


def check(name: str, energy: Tensor, magnetization: Tensor) -> None:
    """Raise WrongResultError unless the means over independent chains are the exact ones."""
    for what, values, exact in (
        ("energy", energy, ENERGY),
        ("magnetization", magnetization, MAGNETIZATION),
    ):
        error = float(values.double().std()) / math.sqrt(len(values))
        mean = float(values.double().mean())
        if not abs(mean - exact) < 5 * error:
            raise WrongResultError(
                f"{name}: the {what} of the 4 x 4 torus is {mean:.5f} with a standard error of "
                f"{error:.5f}, and the exact one {exact:.5f}"
            )


def _rate(machine: BoltzmannMachine, chains: int, scale: float) -> float:
    """Return million updates per processor second."""
    sweeps = max(math.ceil(_UPDATES * scale / (machine.num_nodes * chains)), 1)
    generator = torch.Generator().manual_seed(1)
    begin = time.process_time()
    machine.sample(chains, sweeps, generator=generator)
    return sweeps * machine.num_nodes * chains / (time.process_time() - begin) / 1e6


def _thrml(
    data: Data, chains: int, arguments: argparse.Namespace, *, checked: bool
) -> dict[str, float]:
    """Check and time thrml on the same graph, with the same colors."""
    machine = _ising(data)
    small = torus(4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.npz"
        given: dict[str, Any] = {}
        for name, each in (("", machine), ("small_", small)):
            with torch.no_grad():
                # x = (1 + s) / 2
                coupling = each.weight / 4
                received = torch.zeros(each.num_nodes).index_add_(
                    0, each.pairs.flatten(), coupling.repeat(2)
                )
                given[f"{name}pairs"] = each.pairs.numpy()
                given[f"{name}weight"] = coupling.numpy()
                given[f"{name}bias"] = (each.bias / 2 + received).numpy()
            for at, members in enumerate(each.structure.colors().classes()):
                given[f"{name}color{at}"] = members.numpy()
        np.savez(path, **given)
        updates = _UPDATES * arguments.scale / 20
        sweeps = max(math.ceil(updates / (machine.num_nodes * chains)), 1)
        script = Path(__file__).parent / "thrml_peer.py"
        check_chains = 0 if checked else _CHAINS
        numbers = [chains, sweeps, arguments.rounds, check_chains, _SWEEPS]
        ended = subprocess.run(
            [str(arguments.thrml), str(script), str(path), *map(str, numbers)],
            check=True,
            capture_output=True,
            text=True,
        )
        found = json.loads(ended.stdout.splitlines()[-1])
        if not checked:
            with np.load(f"{path}.states.npz") as states:
                spins = 2.0 * torch.from_numpy(states["spins"]).float() - 1
            check("thrml", _energy(small, spins), spins.mean(1).abs())
    return {
        "median_updates_per_us": float(np.median(found["rates"])),
        "max_updates_per_us": max(found["rates"]),
        "built_s": found["built"],
    }


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"{found['threads']} threads; energy and magnetization of the 4 x 4 torus are exact within "
        "5 standard errors"
    )
    rates = {
        (row["library"], row["graph"], row["chains"]): row["median_updates_per_us"]
        for row in found["rows"]
    }
    report.table(
        f"million updates a second: median (maximum) of {found['parameters']['rounds']} rounds",
        ("library", "graph", "chains", "million/s", "goal", "x thrml", "build s"),
        [
            (
                row["library"],
                row["graph"],
                str(row["chains"]),
                f"{row['median_updates_per_us']:.0f} ({row['max_updates_per_us']:.0f})",
                f"{row['goal']:g}",
                _ratio(rates, row),
                f"{row['built_s']:.2f}",
            )
            for row in found["rows"]
        ],
    )


def _ratio(rates: dict[tuple[str, str, int], float], row: dict[str, Any]) -> str:
    peer = rates.get(("thrml", row["graph"], row["chains"]))
    return "" if peer is None else f"{row['median_updates_per_us'] / peer:.1f}"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    made = command.parser("energy", __doc__, rounds=5)
    made.set_defaults(threads=1)
    made.add_argument(
        "--scale", type=float, default=1.0, metavar="S", help="sizes are multiplied by S"
    )
    made.add_argument(
        "--thrml", type=Path, metavar="PYTHON", help="the Python of an environment with thrml 0.1"
    )
    return made.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
