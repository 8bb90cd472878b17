"""Topologies side by side: the same model, data and budget of synapses, several seeds each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from graphs.io.aside import write_aside
from sparsebrain.experiments.datasets import load_once
from sparsebrain.experiments.figures.comparison import draw
from sparsebrain.experiments.loops import parse_loops
from sparsebrain.experiments.report import (
    Row,
    summarise,
    tabulate,
    tell_differences,
    tell_loops,
)
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import check_jobs, train_missing
from sparsebrain.experiments.topology import Topology, budget, build, parse
from sparsebrain.experiments.training import Run
from sparsebrain.options import check_count

DEFAULT_TOPOLOGIES = ("grid", "coordinate", "small-world", "none")


def compare(
    *,
    data: str = "digits",
    topologies: Sequence[str] = DEFAULT_TOPOLOGIES,
    loops: int | str = 5,
    epochs: int = 20,
    seeds: int = 5,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    data_dir: Path | None = None,
    jobs: int = -1,
    out: Path = Path("results"),
    console: Console | None = None,
) -> list[Row]:
    """Train every topology with every seed, and report.

    Writes ``results.csv`` (a row a run), ``curves.csv`` (a row an epoch) and ``compare.png`` into
    ``out``. A run that is already there with the same settings is not repeated, so that an
    interrupted comparison goes on where it stopped.

    Args:
        data: a name out of :data:`~sparsebrain.experiments.datasets.DATASETS`.
        topologies: texts as :func:`~sparsebrain.experiments.topology.parse` reads them.
        loops: of the graph layer: a number, or a text as
            :func:`~sparsebrain.experiments.loops.parse_loops` reads it, such as "equilibrium".
        epochs: of every training.
        seeds: seeds 0 to ``seeds`` - 1 are run.
        batch_size: samples a step, at least 2.
        learning_rate: of Adam.
        data_dir: where the files of the data set lie, as for
            :func:`~sparsebrain.experiments.datasets.load`.
        jobs: trainings side by side, as for
            :func:`~sparsebrain.experiments.runner.train_missing`.
        out: the folder, made if it is not there.
        console: shows progress and the table; none of it without one.

    Returns:
        One row for each topology, in the order given.

    Raises:
        ValueError, TypeError: an option or a topology that cannot be used, before anything is run.
        OSError: ``out`` cannot be written.
    """
    for name, value in {"epochs": epochs, "seeds": seeds}.items():
        check_count(name, value)
    # Batch normalisation has no variance of one sample.
    check_count("batch_size", batch_size, least=2)
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate must be a positive number, got {learning_rate}.")
    jobs = check_jobs(jobs)
    loops = parse_loops(loops).spec
    images = load_once(data, data_dir)
    parsed = _parse_all(topologies)
    wanted = budget(parsed, images.sheet)
    for topology in parsed:
        connectome = build(topology, images.sheet, synapses=wanted, seed=0)
        if connectome is not None and not connectome.num_nodes:
            raise ValueError(f"topology {topology.spec!r} has no neurons.")
    runs = {
        topology: _runs(
            topology,
            wanted,
            seeds,
            data=data,
            loops=loops,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
        )
        for topology in parsed
    }
    results = Results(out)
    labels = {
        run: f"{topology.spec}, seed {run.seed}"
        for topology, of_topology in runs.items()
        for run in of_topology
    }
    train_missing(labels, results, data_dir=data_dir, jobs=jobs, console=console)
    rows = [summarise(topology.spec, runs[topology], results) for topology in parsed]
    looped = loops if isinstance(loops, str) else f"{loops} loops"
    figure = draw(rows, images.sheet, wanted, title=f"{data}, {looped}, seeds: {seeds}")
    write_aside(out / "compare.png", lambda aside: figure.savefig(aside, dpi=150))
    if console is not None:
        console.print(tabulate(rows, wanted))
        console.print(tell_differences(rows))
        if isinstance(loops, str):
            console.print(tell_loops(rows))
        console.print(
            f"written: {out / 'results.csv'}, {out / 'curves.csv'}, {out / 'compare.png'}"
        )
    return rows


def _runs(topology: Topology, wanted: int, seeds: int, **settings: Any) -> list[Run]:
    first = Run(
        topology=topology.spec,
        checksum=topology.checksum,
        synapses_wanted=0 if topology.states_its_size else wanted,
        reading="relu",
        seed=0,
        **settings,
    )
    return [replace(first, seed=seed) for seed in range(seeds)]


def _parse_all(topologies: Sequence[str]) -> list[Topology]:
    if not topologies:
        raise ValueError(f"no topology given; choose some of {', '.join(DEFAULT_TOPOLOGIES)}.")
    parsed = [parse(spec) for spec in topologies]
    specs = [topology.spec for topology in parsed]
    twice = sorted({spec for spec in specs if specs.count(spec) > 1})
    if twice:
        raise ValueError(f"topology {twice[0]!r} is given twice.")
    return parsed
