"""Races on several problems, as one table."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import torch

from benchmarks import environment, report
from benchmarks.equality import TOLERANCES
from benchmarks.problem import Problem
from benchmarks.race import PASSES, per_synapse, race, rows

EQUAL = "outputs and gradients equal the float64 reference within {:.0e} of the largest value"


def header(benchmark: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is known before the first case."""
    return {
        "benchmark": benchmark,
        "parameters": {"rounds": arguments.rounds, "activation": "tanh", "dtype": "float32"},
        "machine": environment.machine(),
        "versions": environment.versions(),
    }


def case(graph: str, problem: Problem, peers: Iterable[str], rounds: int) -> dict[str, Any]:
    """One race, and the problem that it was about."""
    return {
        "problem": {
            "graph": graph,
            "neurons": problem.neurons,
            "synapses": problem.synapses,
            "batch": problem.batch,
            "loops": problem.loops,
            "threads": torch.get_num_threads(),
        },
        "peers": race(problem, peers, rounds=rounds),
    }


def lines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the CSV."""
    return [row for case in found["cases"] for row in rows(case["problem"], case["peers"])]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print(EQUAL.format(TOLERANCES[torch.float32]))
    columns = ("graph", "neurons", "synapses", "batch", "loops", "threads", "peer", "pass", "ms")
    limits = ("ns", "GFLOP/s", "GB/s", "arithmetic ns", "memory ns", "nearer", "reached")
    report.table(
        f"ms: median (minimum) of {found['parameters']['rounds']} rounds; ns: per synapse, loop "
        "and column; limits as measured in turn with the peers",
        (*columns, *limits),
        [
            _row(case["problem"], name, one, peer[one])
            for case in found["cases"]
            for name, peer in case["peers"].items()
            for one in PASSES
            if "unavailable" not in peer
        ],
    )
    for case in found["cases"]:
        for name, peer in case["peers"].items():
            if "unavailable" in peer:
                print(f"{name} is unavailable: {peer['unavailable']}")


def _row(problem: dict[str, Any], name: str, one: str, times: dict[str, Any]) -> list[str]:
    def nanoseconds(milliseconds: float) -> str:
        return f"{per_synapse(problem, milliseconds):.4f}"

    return [
        *(str(value) for value in problem.values()),
        name,
        one.replace("_", " + "),
        report.cell(times),
        nanoseconds(times["median_ms"]),
        report.digits(times["gflops"]),
        report.digits(max(times["triad_gbytes"], times["read_gbytes"])),
        nanoseconds(times["arithmetic_ms"]),
        nanoseconds(times["memory_ms"]),
        times["nearer"],
        f"{times['share']:.0%}",
    ]
