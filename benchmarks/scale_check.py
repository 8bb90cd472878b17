"""The time of a layer on several processes: predicted from one process, beside the measured one."""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from benchmarks import environment, report


def predict(
    alone: float, parts: int, received: float, *, cores: int, latency: float, bandwidth: float
) -> tuple[float, float]:
    """Predict the seconds of a loop on several processes of one machine.

    Args:
        alone: The seconds on one process with one thread.
        parts: The number of processes.
        received: The bytes that a process receives.
        cores: The cores that the processes share.
        latency: The seconds of an empty message.
        bandwidth: The bytes per second of a long one.

    Returns:
        The time if the exchange is hidden behind computation, and the time if nothing is.
    """
    compute = alone / min(parts, cores)
    # All processes of a machine copy at the same time.
    transfer = latency + received * max(parts / cores, 1) / bandwidth if parts > 1 else 0.0
    return max(compute, transfer), compute + transfer


def measure_link(rounds: int = 30) -> tuple[float, float]:
    """Measure latency and bandwidth between two processes over gloo, in seconds and bytes/s."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_exchange, (folder, rounds), nprocs=2)
        short, long, size = torch.load(Path(folder) / "link.pt").tolist()
    return short, size / max(long - short, 1e-9)


def _exchange(rank: int, folder: str, rounds: int) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found = []
    for numbers in (1, 2**19):
        sent, got = torch.zeros(2 * numbers), torch.zeros(2 * numbers)
        times = []
        for _ in range(rounds):
            distributed.barrier()
            start = time.perf_counter()
            distributed.all_to_all_single(got, sent)
            times.append(time.perf_counter() - start)
        found.append(statistics.median(times))
    if rank == 0:
        # Half of the tensor stays where it is.
        torch.save(torch.tensor([*found, 4.0 * 2**19], dtype=torch.float64), f"{folder}/link.pt")
    distributed.destroy_process_group()


def compare(path: Path, *, cores: int, latency: float, bandwidth: float) -> list[dict[str, Any]]:
    """Predict every row of a table of layers on several processes.

    Args:
        path: A CSV with the columns topology, parts, pass, bytes_per_loop (those that the largest
            part receives) and ms_per_loop. The rows with one part are the times alone.
        cores: The cores that the processes share.
        latency: The seconds of an empty message.
        bandwidth: The bytes per second of a long one.

    Returns:
        The rows with more than one part, with both predictions in milliseconds.

    Raises:
        ValueError: A column is missing, or a topology and pass have no row with one part.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("topology", "parts", "pass", "bytes_per_loop", "ms_per_loop")
    missing = [name for name in columns if not rows or name not in rows[0]]
    if missing:
        raise ValueError(
            f"--measured {path} has no column {', '.join(missing)}; pass the CSV of "
            "python -m benchmarks.distributed"
        )
    alone = {
        (row["topology"], row["pass"]): float(row["ms_per_loop"])
        for row in rows
        if int(row["parts"]) == 1
    }
    found = []
    for row in rows:
        key, parts = (row["topology"], row["pass"]), int(row["parts"])
        if key not in alone:
            raise ValueError(
                f"--measured {path} has no row with one part for {', '.join(key)}; measure one "
                "process as well"
            )
        if parts > 1:
            # Gradients travel back the way of the states.
            ways = 2 if "backward" in row["pass"] and "forward" in row["pass"] else 1
            hidden, open_ = predict(
                alone[key] / 1000,
                parts,
                ways * float(row["bytes_per_loop"]),
                cores=cores,
                latency=ways * latency,
                bandwidth=bandwidth,
            )
            found.append(
                {
                    **{name: row[name] for name in ("topology", "parts", "pass")},
                    "measured_ms": float(row["ms_per_loop"]),
                    "predicted_hidden_ms": 1000 * hidden,
                    "predicted_ms": 1000 * open_,
                }
            )
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the link between two processes, and predict the rows of ``--measured``."""
    latency, bandwidth = measure_link()
    cores = os.cpu_count() or 1
    return {
        "benchmark": "scale, predicted",
        "parameters": {"latency": latency, "bandwidth": bandwidth, "cores": cores},
        "machine": environment.machine(),
        "versions": environment.versions(),
        "rows": compare(arguments.measured, cores=cores, latency=latency, bandwidth=bandwidth),
    }


def show(found: dict[str, Any]) -> None:
    """Print what was predicted beside what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    told = found["parameters"]
    print(
        f"{told['cores']} cores; a message between two processes takes "
        f"{1e6 * told['latency']:.0f} us, and {told['bandwidth'] / 1e9:.2f} GB/s"
    )
    names = ("measured_ms", "predicted_hidden_ms", "predicted_ms")
    report.table(
        "ms of a loop; predicted with the exchange hidden behind computation, and without",
        ("topology", "parts", "pass", "measured", "hidden", "not hidden"),
        [
            [
                each["topology"],
                each["parts"],
                each["pass"],
                *(f"{each[name]:.3f}" for name in names),
            ]
            for each in found["rows"]
        ],
    )
