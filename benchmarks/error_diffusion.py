"""A mini-batch of error diffusion as plain lists, as NumPy's matrix products, and by this library.

Three hidden layers over 784 paired inputs and a bias, one output, batch 64, float32: states,
updates and the step, the same in all three. Once all synapses are there, and once a twentieth of
them: lists then go over those that are, NumPy has full matrices and a mask. Updates are compared
with those of the lists, which are in double precision, before anything is timed. What takes over a
second is measured once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.error_diffusion_peers import Layers, Lists, NumPy, Ours, Peer
from benchmarks.timing import Timing, interleaved
from sparsebrain.error_diffusion import ErrorDiffusionNetwork
from sparsebrain.experiments.error_diffusion_study.settings import Setting
from sparsebrain.experiments.error_diffusion_study.training import make_rule

UNITS = (8, 16, 32, 64, 128, 256, 512)
DENSITIES = (1.0, 0.05)
FEATURES = 784
LAYERS = 3
GOALS = (
    ("lists", 1.0, 100.0, 64),
    ("lists", 0.05, 100.0, 64),
    ("numpy", 1.0, 1.0, 8),
    ("numpy", 0.05, 5.0, 8),
)
"""Peer, density, how many times as fast, and from how many units on."""

OURS = "sparsebrain"
_ONCE = 1.0
"""Seconds from which on a single measurement is enough."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All sizes, with all synapses and with few; everything that is known afterwards."""
    machine = environment.machine()
    rows: list[dict[str, Any]] = []
    for density in DENSITIES:
        for units in sorted(set(arguments.units or UNITS)):
            print(f"{units} units, {density:.0%} of the synapses", file=sys.stderr, flush=True)
            rows += _at_size(units, density, arguments)
    return {
        "benchmark": "error_diffusion",
        "parameters": {"rounds": arguments.rounds, "batch": arguments.batch},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
        "goals": [_judge(*goal, rows) for goal in GOALS],
    }


def _at_size(units: int, density: float, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    setting = Setting(units=units, layers=LAYERS, density=density)
    rule = make_rule(setting, FEATURES, generator)
    network = rule.model
    assert isinstance(network, ErrorDiffusionNetwork)
    x = torch.rand(arguments.batch, FEATURES, generator=generator)
    y = torch.randint(2, (arguments.batch,), generator=generator)
    rate, layers = setting.rate / (units + LAYERS), Layers(network, LAYERS)
    peers: dict[str, Peer | Ours] = {
        "lists": Lists(layers, x, y, rate),
        "numpy": NumPy(layers, x, y, rate),
        OURS: Ours(rule, x, y, rate),
    }
    start = time.perf_counter()
    expected = peers["lists"].update()
    seconds = time.perf_counter() - start
    errors = {
        name: assert_equal(name, "update", peer.update(), expected, TOLERANCES[torch.float32])
        for name, peer in peers.items()
        if name != "lists"
    }
    steps = {name: peer.step for name, peer in peers.items()}
    times = {}
    if seconds > _ONCE:
        start = time.perf_counter()
        steps.pop("lists")()
        times["lists"] = Timing((1000 * (time.perf_counter() - start),))
    times |= interleaved(steps, rounds=arguments.rounds)
    return [
        {
            "units": units,
            "density": density,
            "synapses": layers.synapses,
            "batch": arguments.batch,
            "peer": name,
            "median_ms": times[name].median,
            "min_ms": times[name].minimum,
            "times_ours": times[name].median / times[OURS].median,
            "largest_error": errors.get(name, 0.0),
        }
        for name in peers
    ]


def _judge(
    peer: str, density: float, goal: float, least: int, rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    ratios = {
        row["units"]: row["times_ours"]
        for row in rows
        if row["peer"] == peer and row["density"] == density and row["units"] >= least
    }
    missed = {units: ratio for units, ratio in ratios.items() if ratio < goal}
    return {
        "peer": peer,
        "density": density,
        "goal": goal,
        "least": least,
        "judged": len(ratios),
        "missed": missed,
        "reached": not missed if ratios else None,
    }


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    rows = [
        [
            str(row["units"]),
            f"{row['density']:.0%}",
            str(row["synapses"]),
            row["peer"],
            report.cell(row),
            report.digits(row["times_ours"]),
        ]
        for row in found["rows"]
    ]
    columns = ("units", "synapses there", "synapses", "peer", "ms a step", "x ours")
    report.table(f"batch {found['parameters']['batch']}; median (minimum)", columns, rows)
    for goal in found["goals"]:
        wanted = (
            f"goal: {goal['goal']:g} times as fast as {goal['peer']} from {goal['least']} units "
            f"on, at {goal['density']:.0%} of the synapses"
        )
        missed = ", ".join(f"{n}: {report.digits(ratio)}" for n, ratio in goal["missed"].items())
        verdict = {True: "reached", False: f"NOT reached ({missed})", None: "not measured"}
        print(f"{wanted}: {verdict[goal['reached']]}")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("error_diffusion", __doc__, rounds=7)
    parser.add_argument("--batch", type=command.positive, default=64, metavar="N")
    parser.add_argument(
        "--units",
        type=command.positive,
        action="append",
        metavar="N",
        help="of each layer; may be given several times (default: 8 to 512)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
