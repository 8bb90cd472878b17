"""Peers on one problem: all compared with the oracle, then timed in turn with the probes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks import report, roofline
from benchmarks.equality import compare
from benchmarks.oracle import solve
from benchmarks.peers import OURS, PEERS, Peer, UnavailableError
from benchmarks.problem import Problem
from benchmarks.timing import interleaved

PASSES = tuple(roofline.WORK)


def race(problem: Problem, names: Iterable[str], *, rounds: int) -> dict[str, dict[str, Any]]:
    """For each peer what is known of it: errors, and for each pass times and limits.

    A peer that cannot run says why. Ours has to be among them.
    """
    peers, found = _ready(problem, names)
    for name, work in roofline.WORK.items():
        needed = work(problem)
        probes = roofline.probes(needed.footprint)
        timings = interleaved(
            {peer: getattr(made, name) for peer, made in peers.items()}
            | {probe: made.call for probe, made in probes.items()},
            rounds=rounds,
        )
        speeds = roofline.speeds(probes, timings)
        for peer in peers:
            found[peer][name] = {
                **report.entry(timings[peer]),
                "ratio": timings[peer].median / timings[OURS].median,
                "ratio_of_min": timings[peer].minimum / timings[OURS].minimum,
                **roofline.judge(needed, speeds, timings[peer]),
            }
    return found


def _ready(
    problem: Problem, names: Iterable[str]
) -> tuple[dict[str, Peer], dict[str, dict[str, Any]]]:
    """The peers that can run, all of them compared; and for each what is known of it so far."""
    expected = solve(problem)
    peers: dict[str, Peer] = {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        peer = PEERS[name](problem)
        found[name] = {"title": peer.title}
        try:
            found[name]["compile_seconds"] = peer.prepare()
        except UnavailableError as error:
            found[name]["unavailable"] = str(error)
            continue
        found[name]["errors"] = compare(name, peer, expected)
        peers[name] = peer
    return peers, found


def rows(problem: dict[str, Any], found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What :func:`race` found as lines of a CSV, one a peer and pass.

    ``problem`` are the columns that tell which one it was: synapses, batch and loops among them.
    """
    return [
        {
            **problem,
            "peer": name,
            "pass": one,
            "rounds": len(peer[one]["all_ms"]),
            "median_ms": peer[one]["median_ms"],
            "min_ms": peer[one]["min_ms"],
            "ns_per_synapse": per_synapse(problem, peer[one]["median_ms"]),
            "times_ours": peer[one]["ratio"],
            **{column: peer[one][column] for column in _LIMITS},
            "largest_error": max(peer["errors"].values()),
        }
        for name, peer in found.items()
        if "unavailable" not in peer
        for one in PASSES
    ]


_LIMITS = ("gflops", "triad_gbytes", "read_gbytes", "arithmetic_ms", "memory_ms", "nearer", "share")


def per_synapse(problem: dict[str, Any], milliseconds: float) -> float:
    """Nanoseconds a synapse, loop and column."""
    return 1e6 * milliseconds / (problem["synapses"] * problem["loops"] * problem["batch"])
