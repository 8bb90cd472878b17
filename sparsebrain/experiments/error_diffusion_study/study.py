"""Training, tables and figure of the study."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.datasets import load_anew
from sparsebrain.experiments.error_diffusion_study import samples, training, xor
from sparsebrain.experiments.error_diffusion_study.kept import Scores, train_missing
from sparsebrain.experiments.error_diffusion_study.settings import (
    ALL_STUDIES,
    STUDIES,
    XOR,
    Case,
    Setting,
)
from sparsebrain.experiments.error_diffusion_study.training import Score
from sparsebrain.experiments.figures import error_diffusion as figure
from sparsebrain.experiments.fingerprint import checksum_of_code
from sparsebrain.experiments.tables import make_folder, write_csv


def run(
    *,
    studies: Sequence[str] = ALL_STUDIES,
    epochs: int = 10,
    seeds: int = 5,
    data_dir: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    out: str | os.PathLike[str] = "error-diffusion",
    console: Console | None = None,
) -> list[Score]:
    """Run studies, and write results.csv, xor.csv and figure.png.

    Trainings that ``out`` already contains with the same settings, images and code are not
    repeated.

    Args:
        studies: Names in :data:`~.settings.STUDIES`, or "xor" for Kaneko's table.
        epochs: Epochs per training, at most 1,000,000.
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        data_dir: Folder of the files of MNIST.
        jobs: Number of simultaneous trainings; -1 for one per core.
        out: Folder of the results; it is made if necessary.
        console: Console that shows progress and tables; None prints nothing.

    Returns:
        The score of every requested training.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or ``out`` contains a results.csv that cannot be
            read. Nothing has been trained then.
    """
    studies = options.names("studies", studies, ALL_STUDIES)
    epochs, seeds = options.epochs("epochs", epochs), options.seeds("seeds", seeds)
    jobs = options.jobs("jobs", jobs)
    data_dir = options.data_folder("data_dir", data_dir)
    out = options.out_folder("out", out)
    make_folder(out)
    # Damaged results are reported before hours of training, not after them.
    kept = Scores(out)
    chosen = [study for study in studies if study != XOR]
    wanted = dict.fromkeys(
        replace(case.setting, epochs=epochs, seed=seed)
        for seed in range(seeds)
        for study in chosen
        for case in STUDIES[study]
    )
    sealed = _seal(wanted, data_dir) if chosen else {}
    if XOR in studies:
        _repeat_xor(out / "xor.csv", console)
    if not chosen:
        return []
    train_missing(sealed.values(), kept, data_dir=data_dir, jobs=jobs, console=console)
    scores = {setting: kept.scores[each] for setting, each in sealed.items()}
    lines = {study: summarize(study, scores, epochs, seeds) for study in chosen}
    drawn = figure.draw(lines)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        for study in chosen:
            diverged = _count_diverged(study, scores, epochs, seeds)
            console.print(_tabulate_study(study, lines[study], diverged, seeds))
        console.print(f"Wrote results.csv and figure.png into {out}.")
    return [*scores.values()]


def summarize(
    study: str, scores: Mapping[Setting, Score], epochs: int, seeds: int
) -> dict[str, figure.Points]:
    """Return mean and standard deviation of the test accuracy over the seeds by line and x.

    Trainings that diverged are left out; the mean is NaN if all of them did.

    Args:
        study: Name of the study.
        scores: Scores by setting.
        epochs: Epochs per training.
        seeds: Number of seeds.
    """
    lines: dict[str, figure.Points] = {}
    for case in STUDIES[study]:
        of_case = _of_case(case, scores, epochs, seeds)
        accuracy = torch.tensor([each.test_accuracy for each in of_case if not each.diverged])
        spread = float(accuracy.std()) if len(accuracy) > 1 else 0.0
        lines.setdefault(case.line, []).append((case.x, float(accuracy.mean()), spread))
    return lines


def _repeat_xor(path: Path, console: Console | None) -> None:
    rows = xor.xor_table()
    write_csv(path, xor.COLUMNS, rows)
    if console is not None:
        console.print(_tabulate("XOR", xor.COLUMNS, rows))


def _seal(wanted: Mapping[Setting, object], data_dir: Path | None) -> dict[Setting, Setting]:
    """Return each setting with the checksums of images and code."""
    images = {
        name: load_anew(name, data_dir).checksum
        for name in sorted({samples.data_of(setting) for setting in wanted})
    }
    own = [Path(training.__file__), Path(samples.__file__)]
    return {
        setting: replace(
            setting,
            images_checksum=images[samples.data_of(setting)],
            code_checksum=checksum_of_code(setting.rule, own),
        )
        for setting in wanted
    }


def _of_case(case: Case, scores: Mapping[Setting, Score], epochs: int, seeds: int) -> list[Score]:
    settings = (replace(case.setting, epochs=epochs, seed=seed) for seed in range(seeds))
    return [scores[each] for each in settings]


def _count_diverged(
    study: str, scores: Mapping[Setting, Score], epochs: int, seeds: int
) -> dict[tuple[str, float | str], int]:
    return {
        (case.line, case.x): sum(
            bool(each.diverged) for each in _of_case(case, scores, epochs, seeds)
        )
        for case in STUDIES[study]
    }


def _tabulate_study(
    study: str,
    lines: Mapping[str, figure.Points],
    diverged: Mapping[tuple[str, float | str], int],
    seeds: int,
) -> Table:
    rows = [
        (line, x, _tell(mean, spread, diverged[line, x], seeds))
        for line, points in lines.items()
        for x, mean, spread in points
    ]
    return _tabulate(study, ("", study, "test accuracy, %"), rows)


def _tell(mean: float, spread: float, lost: int, seeds: int) -> str:
    if lost == seeds:
        return "diverged"
    told = f"{100 * mean:.2f} ± {100 * spread:.2f}"
    return f"{told} ({lost} of {seeds} diverged)" if lost else told


def _tabulate(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(str, row))
    return table
