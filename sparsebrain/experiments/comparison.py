"""Topologies, and rules, side by side: the same model, data and budget, several seeds each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from graphs import arguments
from graphs.io.atomic import write_atomically
from sparsebrain.experiments.datasets import Images, load_anew
from sparsebrain.experiments.figures.comparison import draw, draw_rules
from sparsebrain.experiments.fingerprint import seal
from sparsebrain.experiments.loop_options import parse_loops
from sparsebrain.experiments.report import (
    Refusal,
    Row,
    summarise,
    tabulate,
    tabulate_rules,
    tell_loops,
)
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import check_jobs, train_missing
from sparsebrain.experiments.topology import Budget, Topology, budget, parse
from sparsebrain.experiments.training import BACKPROP, Run, connectome_of, make_rule
from sparsebrain.experiments.verdict import tell_differences, tell_rule_differences
from sparsebrain.learning import RULES

DEFAULT_TOPOLOGIES = ("grid", "coordinate", "small-world", "none")
DEFAULT_RULES = (BACKPROP,)


def compare(
    *,
    data: str = "digits",
    topologies: Sequence[str] = DEFAULT_TOPOLOGIES,
    rules: Sequence[str] = DEFAULT_RULES,
    loops: int | str = 5,
    epochs: int = 20,
    seeds: int = 5,
    batch_size: int = 64,
    learning_rate: float | None = None,
    data_dir: Path | None = None,
    jobs: int = -1,
    out: Path = Path("results"),
    console: Console | None = None,
) -> list[Row]:
    """Train every topology by every rule with every seed, and report.

    Writes ``results.csv`` (a row a run), ``curves.csv`` (a row an epoch) and ``compare.png`` into
    ``out``. A run that is already there with the same settings, images, connectome and code is not
    repeated, so that an interrupted comparison goes on where it stopped. A run that diverges
    (:class:`~sparsebrain.experiments.training.Outcome`) is kept as such and left out of means and
    tests.

    The first topology that states its size sets the budget; neurons and synapses of the others
    follow from it as far as they do not state their own. Where neurons, synapses or parameters
    differ by over 2 % all the same, the table tells it.

    Args:
        data: a name out of :data:`~sparsebrain.experiments.datasets.DATASETS`.
        topologies: texts as :func:`~sparsebrain.experiments.topology.parse` reads them.
        rules: names out of :data:`~sparsebrain.learning.RULES`. Each brings its optimizer, and may
            build another model around a topology than the first, or refuse to: that is told, and
            the others are trained.
        loops: of the graph layer: a number, or a text as
            :func:`~.loop_options.parse_loops` reads it, such as "equilibrium".
        epochs: of every training.
        seeds: seeds 0 to ``seeds`` - 1 are run.
        batch_size: samples a step, at least 2.
        learning_rate: of every rule's optimizer; its own by default.
        data_dir: where the files of the data set lie, as for
            :func:`~sparsebrain.experiments.datasets.load`.
        jobs: trainings side by side, as for
            :func:`~sparsebrain.experiments.runner.train_missing`.
        out: the folder, made if it is not there.
        console: shows progress and the table; none of it without one.

    Returns:
        One row for each rule and topology that are not refused, in the order given; runs that
        diverged are among its runs.

    Raises:
        ValueError, TypeError: an option, a rule or a topology that cannot be used, or no topology
            that a rule can, before anything is run.
        OSError: ``out`` cannot be written.
    """
    for name, value in {"epochs": epochs, "seeds": seeds}.items():
        arguments.count(name, value, at_least=1)
    # Batch normalisation has no variance of one sample.
    arguments.count("batch_size", batch_size, at_least=2)
    if learning_rate is not None and not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate must be a positive number, got {learning_rate}.")
    jobs = check_jobs(jobs)
    loops = parse_loops(loops).spec
    _check_rules(rules)
    images = load_anew(data, data_dir)
    parsed = _parse_all(topologies)
    wanted = budget(parsed, images.sheet)
    settings = {"data": data, "loops": loops, "epochs": epochs, "batch_size": batch_size}
    runs = {
        (rule, topology): _runs(
            topology,
            wanted,
            images.sheet,
            seeds,
            rule=rule,
            learning_rate=learning_rate or RULES[rule].learning_rate,
            **settings,
        )
        for rule in rules
        for topology in parsed
    }
    refused = _refusals(runs, images)
    runs = {
        (rule, topology): of_both
        for (rule, topology), of_both in runs.items()
        if all((rule, topology.spec) != (each.rule, each.label) for each in refused)
    }
    if not runs:
        raise ValueError(f"nothing is left to train: {refused[0].reason}")
    runs = {key: list(seal(of_both, images)) for key, of_both in runs.items()}
    results = Results(out)
    alone = tuple(rules) == DEFAULT_RULES
    labels = {
        run: f"{'' if alone else f'{rule}, '}{topology.spec}, seed {run.seed}"
        for (rule, topology), of_both in runs.items()
        for run in of_both
    }
    train_missing(labels, results, data_dir=data_dir, jobs=jobs, console=console)
    rows = [summarise(topology.spec, of_both, results) for (_, topology), of_both in runs.items()]
    paint = draw if alone else draw_rules
    looped = loops if isinstance(loops, str) else f"{loops} loops"
    figure = paint(rows, images.sheet, title=f"{data}, {looped}, seeds: {seeds}")
    write_atomically(out / "compare.png", lambda aside: figure.savefig(aside, dpi=150))
    if console is not None:
        if alone and not refused:
            console.print(tabulate(rows, wanted))
            console.print(tell_differences(rows, num_test=len(images.test_x)))
        else:
            console.print(tabulate_rules(rows, refused, wanted))
            console.print(tell_rule_differences(rows, num_test=len(images.test_x)))
        if isinstance(loops, str):
            console.print(tell_loops(rows))
        console.print(
            f"written: {out / 'results.csv'}, {out / 'curves.csv'}, {out / 'compare.png'}"
        )
    return rows


def _refusals(runs: Mapping[tuple[str, Topology], list[Run]], images: Images) -> list[Refusal]:
    """The topologies around which a rule can teach no model, by the first seed."""
    refused = []
    for (rule, topology), (run, *_) in runs.items():
        data = connectome_of(run, images.sheet)
        if data is not None and not data.num_nodes:
            raise ValueError(f"topology {topology.spec!r} has no neurons.")
        try:
            make_rule(run, data, images)
        except ValueError as error:
            refused.append(Refusal(rule, topology.spec, str(error)))
    return refused


def _runs(
    topology: Topology, wanted: Budget, sheet: tuple[int, ...], seeds: int, **settings: Any
) -> list[Run]:
    follows = not topology.states_its_neurons and wanted.neurons != math.prod(sheet)
    first = Run(
        topology=topology.spec,
        checksum=topology.checksum,
        synapses_wanted=0 if topology.states_its_size else wanted.synapses,
        neurons_wanted=wanted.neurons if follows else 0,
        reading="relu",
        seed=0,
        **settings,
    )
    return [replace(first, seed=seed) for seed in range(seeds)]


def _check_rules(rules: Sequence[str]) -> None:
    if not rules:
        raise ValueError(f"no rule given; choose some of {', '.join(RULES)}.")
    for rule in rules:
        arguments.option("rule", rule, RULES)
    twice = sorted({rule for rule in rules if rules.count(rule) > 1})
    if twice:
        raise ValueError(f"rule {twice[0]!r} is given twice.")


def _parse_all(topologies: Sequence[str]) -> list[Topology]:
    if not topologies:
        raise ValueError(f"no topology given; choose some of {', '.join(DEFAULT_TOPOLOGIES)}.")
    parsed = [parse(spec) for spec in topologies]
    specs = [topology.spec for topology in parsed]
    twice = sorted({spec for spec in specs if specs.count(spec) > 1})
    if twice:
        raise ValueError(f"topology {twice[0]!r} is given twice.")
    return parsed
