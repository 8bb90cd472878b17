"""The comparison of methods on a task with rewards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from graphs import arguments
from graphs.io.atomic import write_atomically
from sparsebrain import reward as tasks
from sparsebrain.experiments import options
from sparsebrain.experiments.figures import reward as figure
from sparsebrain.experiments.fingerprint import checksum_of_code
from sparsebrain.experiments.reward_study.kept import Scores
from sparsebrain.experiments.reward_study.methods import BATCHES, CONTROLS, MENDS, METHODS
from sparsebrain.experiments.reward_study.networks import TOPOLOGIES
from sparsebrain.experiments.reward_study.training import EPISODES, Score, Setting, train
from sparsebrain.experiments.runner import tell_torn, train_unclaimed
from sparsebrain.experiments.tables import make_folder
from sparsebrain.reward.task import SOLVED

_NOT_OF_TRAININGS = ("study.py", "kept.py")


def reward(
    *,
    task: str = "bandit",
    batches: int | None = None,
    seeds: int = 3,
    jobs: int = 1,
    out: str | os.PathLike[str] = "reward",
    console: Console | None = None,
) -> list[Score]:
    """Learn a task with rewards by error diffusion, three-factor rules and backpropagation.

    Every method of :data:`~.methods.METHODS` trains a layered network of 64 hidden neurons and,
    variants of error diffusion excepted, one whose hidden neurons form a small world with three
    loops. A task counts only if one of the
    controls, Q-learning or REINFORCE by backpropagation, has a mean score above 0.95. Trainings
    that ``out`` already contains with the same settings and code are not repeated.

    Args:
        task: "bandit", "catch" or "cartpole".
        batches: Batches of 32 episodes per training, at most 100,000; None for 600, 300 or 100.
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        jobs: Number of simultaneous trainings; -1 for one per core.
        out: The folder for results.csv and figure.png; it is made if necessary.
        console: Where progress and the table are printed; None prints nothing.

    Returns:
        The score of every training.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or ``out`` contains a results.csv that cannot be
            read.
        OSError: ``out`` cannot be written.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import reward
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scores = reward(task="bandit", batches=2, seeds=1, out=folder)
        >>> len(scores)
        18
    """
    task = arguments.option("task", task, tasks.TASKS)
    batches = BATCHES[task] if batches is None else options.trials("batches", batches)
    seeds, jobs = options.seeds("seeds", seeds), options.jobs("jobs", jobs)
    out = options.out_folder("out", out)
    make_folder(out)
    kept = Scores(out)
    code = _checksum()
    wanted = [
        Setting(task, method, topology, batches, seed, code)
        for seed in range(seeds)
        for topology in TOPOLOGIES
        for method in METHODS
        if topology == TOPOLOGIES[0] or method not in MENDS
    ]
    _train_missing(wanted, kept, jobs, console)
    found = {
        topology: {
            method: [
                kept.scores[each]
                for each in wanted
                if (each.topology, each.method) == (topology, method)
            ]
            for method in METHODS
        }
        for topology in TOPOLOGIES
    }
    curves = {
        topology: {
            name: [each.points for each in scores if not each.diverged]
            for name, scores in by_method.items()
        }
        for topology, by_method in found.items()
    }
    drawn = figure.draw(task, curves, batches * EPISODES)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(task, found))
        for topology, by_method in found.items():
            best = max(_mean(by_method[each]) for each in CONTROLS)
            told = "is solved by a control" if best > SOLVED else "is NOT solved by any control"
            console.print(f"{task}, {topology}: {told}, mean score {best:.3f}")
        console.print(f"Wrote results.csv and figure.png into {out}.")
    return [kept.scores[each] for each in wanted]


def _train_missing(
    wanted: Sequence[Setting], kept: Scores, jobs: int, console: Console | None
) -> None:
    """Train what the folder does not hold, and add each training as soon as it is finished."""
    if console is not None:
        tell_torn(kept, console)
    missing = [each for each in wanted if each not in kept]
    trainings = train_unclaimed(missing, kept, _train, lambda each: (each,), jobs, console)
    with contextlib.closing(trainings):
        for setting, score in trainings:
            kept.add(setting, score)
            if console is not None:
                number = sum(each in kept for each in missing)
                console.print(
                    f"{number} of {len(missing)}: {setting.topology}, {setting.method}, "
                    f"seed {setting.seed}: {score.score:.3f}"
                )


def _train(setting: Setting) -> tuple[Setting, Score]:
    return setting, train(setting)


def _checksum() -> str:
    here = Path(__file__).parent
    own = [each for each in sorted(here.glob("*.py")) if each.name not in _NOT_OF_TRAININGS]
    return checksum_of_code(
        "error-diffusion", [*own, *sorted(Path(tasks.__file__).parent.glob("*.py"))]
    )


def _mean(scores: Sequence[Score]) -> float:
    finite = [each.score for each in scores if not each.diverged]
    return float(torch.tensor(finite).mean()) if finite else 0.0


def _tabulate(task: str, found: Mapping[str, Mapping[str, Sequence[Score]]]) -> Table:
    table = Table(title=f"{task}, score", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("", *TOPOLOGIES, *(f"|w|, {each}" for each in TOPOLOGIES)):
        table.add_column(column)
    for method in METHODS:
        cells = [_tell(found[topology][method]) for topology in TOPOLOGIES]
        for topology in TOPOLOGIES:
            sizes = torch.tensor([each.magnitude for each in found[topology][method]])
            cells.append(f"{float(sizes.mean()):.3g}" if len(sizes) else "")
        table.add_row(method, *cells)
    return table


def _tell(scores: Sequence[Score]) -> str:
    finite = torch.tensor([each.score for each in scores if not each.diverged])
    if not len(finite):
        return "diverged" if scores else ""
    lost = len(scores) - len(finite)
    spread = f" ± {float(finite.std()):.3f}" if len(finite) > 1 else ""
    told = f"{float(finite.mean()):.3f}{spread}"
    return f"{told} ({lost} of {len(scores)} diverged)" if lost else told
