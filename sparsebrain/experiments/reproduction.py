"""The experiment and the figures of A. Ejima, "Neurons regarded as Graph"."""

from __future__ import annotations

import os
import pickle
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from torch import nn

from graphs import arguments
from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.checksums import checksum_of
from sparsebrain.experiments.datasets import DATASETS, Images, load_anew
from sparsebrain.experiments.figures import coordinate_graph, curves, layer_output, lost_features
from sparsebrain.experiments.fingerprint import seal
from sparsebrain.experiments.pages.reproduction_page import write_reproduction
from sparsebrain.experiments.report import Row, Rows, summarize, tabulate
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import train_missing
from sparsebrain.experiments.tables import write_csv
from sparsebrain.experiments.training import Run, Trained, connectome_of, make_model, train
from sparsebrain.experiments.verdict import tell_differences
from sparsebrain.models import EJIMA_MODELS, EJIMA_VARIANTS

_BATCH_SIZE = 128
_LEARNING_RATE = 1e-3
_SHOWN = "Y"
_CURVES = {"mnist": 9, "fashion-mnist": 10}


def reproduce(
    *,
    data: str = "mnist",
    epochs: int = 10,
    seeds: int = 5,
    variant: str = "relu",
    data_dir: str | os.PathLike[str] | None = None,
    jobs: int = -1,
    out: str | os.PathLike[str] | None = None,
    report: bool = False,
    console: Console | None = None,
) -> Rows:
    """Train the paper's five models and draw its figures 2, 6, 9 or 10, and 11.

    - Figure 2 is the coordinate graph.
    - Figure 6 shows how two inputs become alike over the loops.
    - Figure 9, of MNIST and of data sets that the paper does not use, and figure 10, of
      Fashion-MNIST, show training loss, validation loss and validation accuracy over the epochs.
      No images are held out: the test images serve as validation images.
    - Figure 11 shows what Y's graph layer makes of single test images after the first and the last
      loop, and how far apart the states of two images of the same class and of different classes
      are at every loop, over all seeds and beside the same models before training.

    The paper chooses its model by the final validation loss and accuracy. The same choice, by the
    means over the seeds, is printed with the table.

    Every figure is written to ``out`` as PNG and CSV, the runs as ``results.csv`` and
    ``curves.csv``, and the trained weights of Y, from which figure 11 is drawn, as one
    ``state_dict`` per seed. A run that is already there with the same settings, images and code is
    not repeated. A run that diverges (:class:`~sparsebrain.experiments.training.Outcome`) is kept
    as such and left out of means, tests and figure 11.

    Args:
        data: A name in :data:`~sparsebrain.experiments.datasets.DATASETS`.
        epochs: The number of epochs of every run.
        seeds: The number of runs of every model, with the seeds 0 to ``seeds`` - 1.
        variant: A name in :data:`~sparsebrain.models.EJIMA_VARIANTS`. The paper does not specify
            activations and initial weights; each variant is one possible choice.
        data_dir: The folder of the data files, as for
            :func:`~sparsebrain.experiments.datasets.load`.
        jobs: The number of runs at the same time, as for
            :func:`~sparsebrain.experiments.runner.train_missing`.
        out: The output folder, created if it does not exist; "reproduction" by default.
        report: Whether to write ``report.html`` as well, one page with tables, intervals, figures,
            versions and how to repeat the experiment. It loads nothing from the network.
        console: Where progress and results are printed. Nothing is printed by default.

    Returns:
        One row per model.

    Raises:
        ValueError: An option has a value that cannot be used; nothing has been run.
        TypeError: An option has the wrong type; nothing has been run.
        OSError: ``out`` cannot be written.
    """
    arguments.option("data", data, DATASETS)
    epochs, seeds = options.epochs("epochs", epochs), options.seeds("seeds", seeds)
    arguments.option("variant", variant, EJIMA_VARIANTS)
    jobs = options.jobs("jobs", jobs)
    data_dir = options.data_folder("data_dir", data_dir)
    out = options.out_folder("out", "reproduction" if out is None else out)
    report = arguments.flag("report", report)
    images = load_anew(data, data_dir)
    runs = {
        name: list(seal([_run(name, data, variant, epochs, seed) for seed in range(seeds)], images))
        for name in EJIMA_MODELS
    }
    results = Results(out)
    weights = {run: _weights_of(run, out) for run in runs[_SHOWN]}

    def keep(run: Run, trained: Trained) -> None:
        if run in weights and not trained.outcome.diverged:
            state = trained.model.state_dict()
            write_atomically(weights[run], lambda aside: _save(state, aside))

    # All models of one seed come first, so that partial results already compare every model.
    labels = {
        run: f"{name}, seed {run.seed}"
        for of_seed in zip(*runs.values(), strict=True)
        for name, run in zip(EJIMA_MODELS, of_seed, strict=True)
    }
    train_missing(labels, results, data_dir=data_dir, jobs=jobs, console=console, finish=keep)
    finished = [run for run in weights if not results.outcomes[run].diverged]
    for run in finished:
        if not weights[run].exists():
            keep(run, train(run, images))
    rows = Rows(summarize(name, runs[name], results) for name in EJIMA_MODELS)
    models = {run: _restore(run, images, weights[run]) for run in finished}
    numbers = _write_figures(rows, models, images, out)
    num_test, table = len(images.test_x), tabulate(rows, name="model")
    told = [tell_differences(rows, num_test=num_test), _tell_choice(rows)]
    if report:
        chosen = {"data": data, "epochs": epochs, "seeds": seeds, "variant": variant}
        chosen |= {"data_dir": data_dir, "jobs": jobs, "out": out}
        page = out / "report.html"
        write_reproduction(page, rows, table, told, chosen, numbers=numbers, num_test=num_test)
    if console is not None:
        for each in (table, *told):
            console.print(each)
        missing = "" if models else f" (no figure 11: every run of {_SHOWN} diverged)"
        written = ", ".join(map(str, numbers))
        page_told = ", report.html" if report else ""
        console.print(
            f"Written to {out}: figures {written}{missing}, results.csv and curves.csv{page_told}."
        )
    return rows


def _run(name: str, data: str, variant: str, epochs: int, seed: int) -> Run:
    """Return the run that trains one of the paper's models."""
    window = EJIMA_MODELS[name]
    return Run(
        data=data,
        topology="none" if window is None else f"grid:distance={window.distance}",
        checksum="",
        synapses_wanted=0,
        loops=1 if window is None else window.loops,
        variant=variant,
        epochs=epochs,
        batch_size=_BATCH_SIZE,
        learning_rate=_LEARNING_RATE,
        seed=seed,
    )


def _save(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Save a ``state_dict``."""
    # Given a path, torch would not say why the file cannot be written.
    with path.open("wb") as file:
        torch.save(state, file)


def _weights_of(run: Run, out: Path) -> Path:
    """Return the file of the trained weights of a run of Y."""
    # Weights are only valid together with results for the same images and code.
    made = checksum_of([run.images_checksum, run.connectome_checksum, run.code_checksum])
    name = f"{_SHOWN}-{run.data}-{run.variant}-{run.epochs}-epochs-seed-{run.seed}-{made[:8]}.pt"
    return out / name


def _restore(run: Run, images: Images, path: Path) -> nn.Sequential:
    """Make the model of a run and load its trained weights."""
    model = make_model(run, connectome_of(run, images.sheet), images)
    try:
        model.load_state_dict(torch.load(path, weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError):
        # torch's own message about a damaged file advises weights_only=False, which is unsafe.
        raise ValueError(
            f"{path} does not hold the weights of {_SHOWN}; delete it, and the same command trains "
            "the model again."
        ) from None
    return model


def _tell_choice(rows: list[Row]) -> str:
    """Say which model the final validation loss and accuracy choose, and give both per model."""
    means = {
        row.label: (
            statistics.fmean(curve[-1].test_loss for curve in row.finished.curves),
            row.mean("test_accuracy"),
        )
        for row in rows
        if row.finished.runs
    }
    if not means:
        return "No model can be chosen: every run diverged."
    by_loss = min(means, key=lambda label: means[label][0])
    best = max(accuracy for _, accuracy in means.values())
    by_accuracy = [label for label, (_, accuracy) in means.items() if accuracy == best]
    listed = ", ".join(
        f"{label} {loss:.4f} and {accuracy:.2%}" for label, (loss, accuracy) in means.items()
    )
    chosen = (
        f"Final validation loss and accuracy both choose {by_loss}"
        if by_accuracy == [by_loss]
        else f"The final validation loss chooses {by_loss}, the accuracy {' or '.join(by_accuracy)}"
    )
    return (
        f"{chosen}; the paper chooses {_SHOWN}. Means over the seeds: {listed}. The test images "
        "serve as validation images."
    )


def _write_figures(
    rows: list[Row], models: dict[Run, nn.Sequential], images: Images, out: Path
) -> list[int]:
    """Write all figures, figure 11 from the trained models; return their numbers."""
    run = rows[0].runs[0]
    title = f"{run.data}, variant {run.variant}"
    connectome = coordinate_graph.generate()
    _write(
        out / "figure2",
        coordinate_graph.draw(connectome),
        coordinate_graph.COLUMNS,
        coordinate_graph.table(connectome),
    )
    lost = lost_features.measure()
    _write(
        out / "figure6",
        lost_features.draw(lost),
        lost_features.COLUMNS,
        lost_features.table(lost),
    )
    number = _CURVES.get(run.data, 9)
    told = f"{title}, number of seeds: {len(rows[0].runs)}; validation on the test images"
    _write(
        out / f"figure{number}",
        curves.draw(rows, title=told),
        curves.COLUMNS,
        curves.table(rows),
    )
    if not models:
        return [2, 6, number]
    _write_figure_11(models, images, out, title)
    return [2, 6, number, 11]


def _write_figure_11(
    models: dict[Run, nn.Sequential], images: Images, out: Path, title: str
) -> None:
    """Write figure 11 from trained models, with the samples of the first seed."""
    trained, untrained = {}, {}
    for run, model in models.items():
        trained[run.seed] = layer_output.measure_distances(model, images)
        before = make_model(run, connectome_of(run, images.sheet), images)
        untrained[run.seed] = layer_output.measure_distances(before, images)
    shown, model = next(iter(models.items()))
    samples = layer_output.take_samples(model, images)
    told = f"{_SHOWN}, {title}; outputs of seed {shown.seed}, number of seeds: {len(models)}"
    _write(
        out / "figure11",
        layer_output.draw(samples, trained, untrained, images, title=told),
        layer_output.SAMPLE_COLUMNS,
        layer_output.sample_table(samples),
    )
    write_csv(
        out / "figure11-distances.csv",
        layer_output.DISTANCE_COLUMNS,
        layer_output.distance_table(trained, untrained),
    )


def _write(
    stem: Path, figure: Figure, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write a figure as PNG and its data as CSV."""
    write_atomically(stem.with_suffix(".png"), lambda aside: figure.savefig(aside, dpi=150))
    write_csv(stem.with_suffix(".csv"), columns, rows)
