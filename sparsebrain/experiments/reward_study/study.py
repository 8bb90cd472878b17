"""The comparison of methods on a task with rewards."""

from __future__ import annotations

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
from sparsebrain.experiments.fingerprint import checksum_of_code, checksum_of_connectome
from sparsebrain.experiments.reward_study.kept import Scores
from sparsebrain.experiments.reward_study.methods import BATCHES, CONTROLS, MENDS, METHODS
from sparsebrain.experiments.reward_study.networks import (
    LAYERED,
    TOPOLOGIES,
    make_connectome,
    read_topology,
)
from sparsebrain.experiments.reward_study.training import EPISODES, Score, Setting, train
from sparsebrain.experiments.scored_training import train_missing
from sparsebrain.experiments.tables import make_folder
from sparsebrain.reward.task import SOLVED

_NOT_OF_TRAININGS = ("study.py", "kept.py")


def reward(
    *,
    task: str = "bandit",
    topologies: Sequence[str] = TOPOLOGIES,
    batches: int | None = None,
    seeds: int = 3,
    jobs: int = 1,
    out: str | os.PathLike[str] = "reward",
    console: Console | None = None,
) -> list[Score]:
    """Learn a task with rewards by error diffusion, three-factor rules and backpropagation.

    Every method of :data:`~.methods.METHODS` trains one network per topology: "layered" has one
    layer of 64 hidden neurons, in "loopy" the same neurons form a small world with three loops, and
    any other topology gives the synapses among the hidden neurons, without its weights and signs.
    The variants in :data:`~.methods.MENDS` are trained on the layered network alone. A task counts
    only if one of the controls, Q-learning or REINFORCE by backpropagation, has a mean score above
    0.95. A training whose weights or scores of actions are no longer finite, or grow beyond 1000
    times their size, is stopped and reported as diverged.

    Trainings that ``out`` already contains with the same settings, connectome and code are not
    repeated.

    Args:
        task: "bandit", "catch" or "cartpole".
        topologies: "layered", "loopy", or topologies as text, such as "c-elegans". Those that do
            not state their size have 64 neurons and 384 synapses.
        batches: Batches of 32 episodes per training, at most 100,000; None for 600, 300 or 100.
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        jobs: Number of simultaneous trainings; -1 for one per core.
        out: The folder for results.csv and figure.png; it is made if necessary.
        console: Where progress and the table are printed; None prints nothing.

    Returns:
        The score of every training.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, a topology cannot be built, or ``out`` contains a
            results.csv that cannot be read.
        OSError: ``out`` cannot be written.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import reward
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scores = reward(task="bandit", batches=2, seeds=1, out=folder)
        >>> len(scores)
        27
    """
    task = arguments.option("task", task, tasks.TASKS)
    topologies = _read_topologies(topologies)
    batches = BATCHES[task] if batches is None else options.trials("batches", batches)
    seeds, jobs = options.seeds("seeds", seeds), options.jobs("jobs", jobs)
    out = options.out_folder("out", out)
    make_folder(out)
    kept = Scores(out)
    code = _checksum()
    wanted = [
        Setting(task, method, topology, batches, seed, code, connectome)
        for seed in range(seeds)
        for topology in topologies
        for connectome in [checksum_of_connectome(make_connectome(topology, seed))]
        for method in METHODS
        if topology == LAYERED or method not in MENDS
    ]
    train_missing(wanted, kept, _train, lambda each: (each,), jobs, console, _tell_training)
    found = {
        topology: {
            method: [
                kept.scores[each]
                for each in wanted
                if (each.topology, each.method) == (topology, method)
            ]
            for method in METHODS
        }
        for topology in topologies
    }
    runs = {
        topology: {
            name: [None if each.diverged else each.points for each in scores]
            for name, scores in by_method.items()
        }
        for topology, by_method in found.items()
    }
    drawn = figure.draw(task, runs, batches * EPISODES)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(task, found))
        for topology, by_method in found.items():
            best = max(_mean(by_method[each]) for each in CONTROLS)
            told = "is solved by a control" if best > SOLVED else "is NOT solved by any control"
            console.print(f"{task}, {topology}: {told}, mean score {best:.3f}")
            for method, scores in by_method.items():
                if any(each.diverged for each in scores):
                    console.print(f"{task}, {topology}, {method}: {_tell_growth(scores)}")
        console.print(f"Wrote results.csv and figure.png into {out}.")
    return [kept.scores[each] for each in wanted]


def _train(setting: Setting) -> tuple[Setting, Score]:
    return setting, train(setting)


def _tell_training(setting: Setting, score: Score) -> str:
    return f"{setting.topology}, {setting.method}, seed {setting.seed}: {score.score:.3f}"


def _checksum() -> str:
    here = Path(__file__).parent
    own = [each for each in sorted(here.glob("*.py")) if each.name not in _NOT_OF_TRAININGS]
    return checksum_of_code(
        "error-diffusion", [*own, *sorted(Path(tasks.__file__).parent.glob("*.py"))]
    )


def _read_topologies(value: object) -> list[str]:
    """Return the standard forms of topologies that can be built."""
    texts = options.texts("topologies", value, example=TOPOLOGIES[0])
    found = [read_topology(each) for each in texts]
    options.once("topologies", found)
    for each in found:
        # A wrong topology is refused before hours of training.
        make_connectome(each, 0)
    return found


def _mean(scores: Sequence[Score]) -> float:
    finite = [each.score for each in scores if not each.diverged]
    return float(torch.tensor(finite).mean()) if finite else 0.0


def _tabulate(task: str, found: Mapping[str, Mapping[str, Sequence[Score]]]) -> Table:
    table = Table(title=f"{task}, score", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("", *found, *(f"|w|, {each}" for each in found)):
        table.add_column(column)
    for method in METHODS:
        cells = [_tell(by_method[method]) for by_method in found.values()]
        for by_method in found.values():
            sizes = torch.tensor([each.magnitude for each in by_method[method]])
            cells.append(f"{float(sizes.mean()):.3g}" if len(sizes) else "")
        table.add_row(method, *cells)
    return table


def _tell_growth(scores: Sequence[Score]) -> str:
    """Return how many trainings diverged and when."""
    batches = sorted(each.diverged for each in scores if each.diverged)
    told = f"{len(batches)} of {len(scores)} trainings diverged, after batch"
    return f"{told} {', '.join(map(str, batches))}"


def _tell(scores: Sequence[Score]) -> str:
    finite = torch.tensor([each.score for each in scores if not each.diverged])
    if not len(finite):
        return "diverged" if scores else ""
    lost = len(scores) - len(finite)
    spread = f" ± {float(finite.std()):.3f}" if len(finite) > 1 else ""
    told = f"{float(finite.mean()):.3f}{spread}"
    return f"{told} ({lost} of {len(scores)} diverged)" if lost else told
