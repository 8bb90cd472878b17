"""Topologies side by side: the same model, data and budget of synapses, several seeds each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sparsebrain.experiments.datasets import Images, load
from sparsebrain.experiments.report import Row, draw, summarise, tabulate, tell_differences
from sparsebrain.experiments.results import Results, write_aside
from sparsebrain.experiments.topology import Topology, budget, build, parse
from sparsebrain.experiments.training import Epoch, Run, train
from sparsebrain.options import check_count

DEFAULT_TOPOLOGIES = ("grid", "coordinate", "small-world", "none")


def compare(
    *,
    data: str = "digits",
    topologies: Sequence[str] = DEFAULT_TOPOLOGIES,
    loops: int = 5,
    epochs: int = 20,
    seeds: int = 5,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    data_dir: Path | None = None,
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
        loops: of the graph layer.
        epochs: of every training.
        seeds: seeds 0 to ``seeds`` - 1 are run.
        batch_size: samples a step, at least 2.
        learning_rate: of Adam.
        data_dir: where the files of the data set lie, as for
            :func:`~sparsebrain.experiments.datasets.load`.
        out: the folder, made if it is not there.
        console: shows progress and the table; none of it without one.

    Returns:
        One row for each topology, in the order given.

    Raises:
        ValueError, TypeError: an option or a topology that cannot be used, before anything is run.
        OSError: ``out`` cannot be written.
    """
    for name, value in {"loops": loops, "epochs": epochs, "seeds": seeds}.items():
        check_count(name, value)
    # Batch normalisation has no variance of one sample.
    check_count("batch_size", batch_size, least=2)
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate must be a positive number, got {learning_rate}.")
    images = load(data, data_dir)
    parsed = _parse_all(topologies)
    wanted = budget(parsed, images.sheet)
    for topology in parsed:
        connectome = build(topology, images.sheet, synapses=wanted, seed=0)
        if connectome is not None and not connectome.num_nodes:
            raise ValueError(f"topology {topology.spec!r} has no neurons.")
    runs = {
        topology: [
            Run(
                data=data,
                topology=topology.spec,
                synapses_wanted=0 if topology.states_its_size else wanted,
                loops=loops,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
            )
            for seed in range(seeds)
        ]
        for topology in parsed
    }
    results = Results(out)
    _train_missing(runs, results, images, console)
    rows = [summarise(topology, runs[topology], results) for topology in parsed]
    figure = draw(rows, images.sheet, wanted, title=f"{data}, {loops} loops, seeds: {seeds}")
    write_aside(out / "compare.png", lambda aside: figure.savefig(aside, dpi=150))
    if console is not None:
        console.print(tabulate(rows, wanted))
        console.print(tell_differences(rows))
        console.print(
            f"written: {out / 'results.csv'}, {out / 'curves.csv'}, {out / 'compare.png'}"
        )
    return rows


def _parse_all(topologies: Sequence[str]) -> list[Topology]:
    if not topologies:
        raise ValueError(f"no topology given; choose some of {', '.join(DEFAULT_TOPOLOGIES)}.")
    parsed = [parse(spec) for spec in topologies]
    specs = [topology.spec for topology in parsed]
    twice = sorted({spec for spec in specs if specs.count(spec) > 1})
    if twice:
        raise ValueError(f"topology {twice[0]!r} is given twice.")
    return parsed


def _train_missing(
    runs: dict[Topology, list[Run]], results: Results, images: Images, console: Console | None
) -> None:
    missing = [
        (topology, run)
        for topology, of_topology in runs.items()
        for run in of_topology
        if run not in results.outcomes
    ]
    total = sum(map(len, runs.values()))
    if console is not None and len(missing) < total:
        console.print(f"{total - len(missing)} of {total} runs are already in {results.folder}.")
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
        transient=True,
    )
    with progress:
        task = progress.add_task("training", total=sum(run.epochs for _, run in missing))
        for topology, run in missing:
            progress.update(task, description=f"{topology.spec}, seed {run.seed}")
            curve: list[Epoch] = []

            def note(epoch: Epoch, curve: list[Epoch] = curve) -> None:
                curve.append(epoch)
                progress.advance(task)

            outcome = train(run, topology, images, note)
            results.add(run, outcome, curve)
            if console is not None and not console.is_terminal:
                console.print(f"{topology.spec}, seed {run.seed}: {outcome.test_accuracy:.2%}")
