"""The experiment and the figures of A. Ejima, "Neurons regarded as Graph"."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Sequence
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
from sparsebrain.experiments.report import Row, summarise, tabulate
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import train_missing
from sparsebrain.experiments.tables import write_csv
from sparsebrain.experiments.training import Run, Trained, connectome_of, make_model, train
from sparsebrain.experiments.verdict import tell_differences
from sparsebrain.models import EJIMA_MODELS, EJIMA_VARIANTS

_BATCH_SIZE = 128
_LEARNING_RATE = 1e-3
_SHOWN = "Y"


def reproduce(
    *,
    data: str = "mnist",
    epochs: int = 10,
    seeds: int = 5,
    variant: str = "relu",
    data_dir: str | os.PathLike[str] | None = None,
    jobs: int = -1,
    out: str | os.PathLike[str] | None = None,
    console: Console | None = None,
) -> list[Row]:
    """Train the paper's five models and draw its figures 2, 6, 9, 10 and 11.

    Every figure is written into ``out`` as PNG and CSV, the trainings as ``results.csv`` and
    ``curves.csv``, and the trained Y of seed 0, from which figure 11 is drawn, as a ``state_dict``.
    A training that is already there with the same settings, images and code is not repeated. One
    that diverges (:class:`~sparsebrain.experiments.training.Outcome`) is kept as such and left out
    of means and tests; where it is the one of figure 11, there is no figure 11.

    Args:
        data: a name out of :data:`~sparsebrain.experiments.datasets.DATASETS`.
        epochs: of every training.
        seeds: seeds 0 to ``seeds`` - 1 are run.
        variant: of the models, whose activations and initial weights the article leaves open; a
            name out of :data:`~sparsebrain.models.EJIMA_VARIANTS`.
        data_dir: where the files of the data set lie, as for
            :func:`~sparsebrain.experiments.datasets.load`.
        jobs: trainings side by side, as for
            :func:`~sparsebrain.experiments.runner.train_missing`.
        out: the folder, made if it is not there; "reproduction" by default.
        console: shows progress and the table; none of it without one.

    Returns:
        One row for each model.

    Raises:
        ValueError, TypeError: an option that cannot be used, before anything is run.
        OSError: ``out`` cannot be written.
    """
    arguments.option("data", data, DATASETS)
    epochs, seeds = options.epochs("epochs", epochs), options.seeds("seeds", seeds)
    arguments.option("variant", variant, EJIMA_VARIANTS)
    jobs = options.jobs("jobs", jobs)
    data_dir = options.data_folder("data_dir", data_dir)
    out = options.out_folder("out", "reproduction" if out is None else out)
    images = load_anew(data, data_dir)
    runs = {
        name: list(seal([_run(name, data, variant, epochs, seed) for seed in range(seeds)], images))
        for name in EJIMA_MODELS
    }
    results = Results(out)
    shown = runs[_SHOWN][0]
    # Weights are worth something beside the results of the same images and code alone.
    made = checksum_of([shown.images_checksum, shown.connectome_checksum, shown.code_checksum])
    weights = out / f"{_SHOWN}-{data}-{variant}-{epochs}-epochs-seed-0-{made[:8]}.pt"

    def keep(run: Run, trained: Trained) -> None:
        if run == shown and not trained.outcome.diverged:
            state = trained.model.state_dict()
            write_atomically(weights, lambda aside: torch.save(state, aside))

    # Seed by seed, so that an early look at the results finds every model.
    labels = {
        run: f"{name}, seed {run.seed}"
        for of_seed in zip(*runs.values(), strict=True)
        for name, run in zip(EJIMA_MODELS, of_seed, strict=True)
    }
    train_missing(labels, results, data_dir=data_dir, jobs=jobs, console=console, finish=keep)
    diverged = bool(results.outcomes[shown].diverged)
    if not diverged and not weights.exists():
        keep(shown, train(shown, images))
    rows = [summarise(name, runs[name], results) for name in EJIMA_MODELS]
    _write_figures(rows, None if diverged else _restore(shown, images, weights), images, out)
    if console is not None:
        console.print(tabulate(rows, name="model"))
        console.print(tell_differences(rows, num_test=len(images.test_x)))
        last = f"and 10; no figure 11, as {_SHOWN}, seed 0, diverged" if diverged else "10 and 11"
        console.print(f"written: figures 2, 6, 9, {last}, results.csv, curves.csv in {out}")
    return rows


def _run(name: str, data: str, variant: str, epochs: int, seed: int) -> Run:
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


def _restore(run: Run, images: Images, path: Path) -> nn.Sequential:
    """The trained model of a run from its weights."""
    model = make_model(run, connectome_of(run, images.sheet), images)
    try:
        model.load_state_dict(torch.load(path, weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError):
        # What torch says of a damaged file is to load it without a check.
        raise ValueError(
            f"{path} does not hold the weights of {_SHOWN}; delete it, and the same command trains "
            "the model again."
        ) from None
    return model


def _write_figures(rows: list[Row], model: nn.Sequential | None, images: Images, out: Path) -> None:
    run = rows[0].runs[0]
    title = f"{run.data}, variant: {run.variant}"
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
    for number, name, draw in (
        (9, "loss", curves.draw_loss),
        (10, "test_accuracy", curves.draw_accuracy),
    ):
        figure = Figure(figsize=(7, 4.6), layout="constrained")
        ax = figure.subplots()
        draw(ax, rows)
        ax.set_title(f"{title}, seeds: {len(rows[0].runs)}", fontsize="medium")
        columns = ("model", "seed", "epoch", name)
        _write(out / f"figure{number}", figure, columns, curves.table(rows, name))
    if model is None:
        return
    output = layer_output.measure(model, images)
    _write(
        out / "figure11",
        layer_output.draw(output, images, title=f"{_SHOWN}: {title}, seed {run.seed}"),
        layer_output.COLUMNS,
        layer_output.table(output),
    )


def _write(
    stem: Path, figure: Figure, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    write_atomically(stem.with_suffix(".png"), lambda aside: figure.savefig(aside, dpi=150))
    write_csv(stem.with_suffix(".csv"), columns, rows)
