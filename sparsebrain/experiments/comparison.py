"""Comparison of topologies and rules with the same model, data and budget."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from graphs import arguments
from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.callbacks import Callback, check_callbacks
from sparsebrain.experiments.config import NAME, objects_in, write_config
from sparsebrain.experiments.datasets import DATASETS, Images, load_anew
from sparsebrain.experiments.devices import check_device
from sparsebrain.experiments.figures.comparison import draw, draw_rules
from sparsebrain.experiments.fingerprint import seal
from sparsebrain.experiments.kinds import NO_GRAPH
from sparsebrain.experiments.loop_options import parse_loops
from sparsebrain.experiments.neuron_options import RATE, NeuronsOption, parse_neurons
from sparsebrain.experiments.nulls import NULL, NullLike, split_null
from sparsebrain.experiments.objects import RuleLikes, Samples, Wirings, named
from sparsebrain.experiments.pages.comparison_page import write_comparison
from sparsebrain.experiments.report import (
    Refusal,
    Row,
    Rows,
    method_of,
    null_pairs,
    summarize,
    tabulate,
    tabulate_rules,
    tell_loops,
)
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import train_missing
from sparsebrain.experiments.saved_models import FOLDER, train_and_save
from sparsebrain.experiments.topology import Budget, Topology, TopologyError, budget, parse
from sparsebrain.experiments.training import BACKPROP, CPU, Run, connectome_of, make_rule
from sparsebrain.experiments.verdict import (
    tell_differences,
    tell_null_differences,
    tell_rule_differences,
)
from sparsebrain.learning import RULES

DEFAULT_TOPOLOGIES = ("grid", "coordinate", "small-world", "none")
DEFAULT_RULES = (BACKPROP,)
DEFAULT_NEURONS = (RATE,)


def compare(
    *,
    data: str | Samples = "digits",
    topologies: Wirings = DEFAULT_TOPOLOGIES,
    rules: RuleLikes = DEFAULT_RULES,
    null: NullLike | Sequence[NullLike] = (),
    neurons: Sequence[str] = DEFAULT_NEURONS,
    loops: int | str = 5,
    epochs: int = 20,
    seeds: int = 5,
    batch_size: int = 64,
    learning_rate: float | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    jobs: int = -1,
    out: str | os.PathLike[str] = "results",
    device: str | torch.device = CPU,
    save_models: bool = False,
    report: bool = False,
    callbacks: Sequence[Callback] = (),
    console: Console | None = None,
) -> Rows:
    """Train every topology with every rule and every seed, and report the results.

    The folder ``out`` receives ``results.csv`` (one row per run), ``curves.csv`` (one row per
    epoch), ``compare.png``, and the arguments of this call as ``run.toml``, see
    :func:`~sparsebrain.experiments.read_config`. Runs that it already contains with the same
    settings, images, connectome and code are not repeated, so that an interrupted comparison
    continues where it stopped. Runs that diverge (see
    :class:`~sparsebrain.experiments.training.Outcome`) are kept as diverged, and left out of means
    and tests.

    The first topology that states its size sets the budget. The numbers of neurons and synapses
    that other topologies do not state follow from it. The table reports neurons, synapses and
    parameters that differ from the budget by over 2 %.

    Args:
        data: Name in :data:`~sparsebrain.experiments.datasets.DATASETS`, or samples: (x, y), of
            which a fifth tests, ((train_x, train_y), (test_x, test_y)), or datasets of torch; see
            :func:`~sparsebrain.experiments.samples.images_of`. Or the path of a file, such as
            "mine.csv", see :func:`~sparsebrain.experiments.sample_files.read`, or
            "package.module:function".
        topologies: Different topologies: texts, see
            :func:`~sparsebrain.experiments.topology.parse`, connectomes as ``Data``, and functions
            from a seed to a ``Data``. A mapping gives them labels.
        rules: Different names in :data:`~sparsebrain.learning.RULES`, classes of rules, or texts
            "package.module:Class". A mapping gives classes names. Each rule has its own optimizer,
            and may have its own model. A rule that refuses a topology is reported, and the others
            are trained.
        null: Null models, with which every topology with a graph is compared as well: names in
            :data:`~sparsebrain.experiments.nulls.NULLS`, such as "rewire_degrees", or functions of
            a connectome and ``seed``. One null model is drawn for each seed, with as many synapses,
            and the report gives the difference between each topology and its null models, paired
            by seed, in place of those between topologies; see ``rows.null_differences()``.
        neurons: Texts of different neurons: "rate" for those of the graph layer, "lif" for
            spiking ones, as in "lif:steps=30,tau=5", see
            :func:`~sparsebrain.experiments.neuron_options.parse_neurons`. Spiking neurons exchange
            spikes at every time step and have no loops.
        loops: Loops of the graph layer, at most 100,000, or a text such as "equilibrium", see
            :func:`~sparsebrain.experiments.loop_options.parse_loops`.
        epochs: Epochs per training, at most 1,000,000.
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        batch_size: Samples per step, at least 2.
        learning_rate: Learning rate of every rule; None for each rule's own.
        data_dir: Folder of the image files, see :func:`~sparsebrain.experiments.datasets.load`.
        jobs: Number of simultaneous trainings; -1 for one per core.
        out: Folder of the results; it is made if necessary.
        device: Device of the trainings, such as "cpu", "cuda", "cuda:0" or "mps".
        save_models: Whether to write the trained models to the folder ``models`` in ``out``, one
            file per run that does not diverge, see :func:`~sparsebrain.experiments.load_trained`.
            Kept runs without a model are trained again.
        report: Whether to write ``report.html``, one page with settings, tables, intervals, figure,
            versions and how to repeat the comparison. It loads nothing from the network.
        callbacks: Instances of :class:`~sparsebrain.experiments.Callback`, which observe the
            trainings in the processes that run them.
        console: Console that shows progress and tables. None prints nothing, and shows a progress
            bar in notebooks.

    Returns:
        One row per kind of neurons, rule and topology that is not refused, in the given order.
        Rows include diverged runs. ``rows.to_dataframe()`` has one row per run.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or no rule can train any topology. Nothing has
            been trained then.
        OSError: ``out`` cannot be written.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import compare
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = compare(topologies=["none"], epochs=1, seeds=1, jobs=1, out=folder)
        >>> [(row.label, row.outcomes[0].neurons) for row in rows]
        [('none', 256)]
    """
    jobs = options.jobs("jobs", jobs)
    out = options.out_folder("out", out)
    data_dir = options.data_folder("data_dir", data_dir)
    kinds = _parse_neurons(neurons)
    device = check_device("device", device)
    save_models = arguments.flag("save_models", save_models)
    report = arguments.flag("report", report)
    callbacks = check_callbacks("callbacks", callbacks, jobs)
    # What the caller gives as an object has a name until the last training has ended.
    with named(data, topologies, rules, null) as given:
        settings = _check_settings(
            data=given.data,
            loops=loops,
            epochs=epochs,
            seeds=seeds,
            batch_size=batch_size,
            learning_rate=learning_rate,
            device=device,
        )
        names = options.names("rules", given.rules, RULES)
        parsed = _with_nulls(_parse_all(given.topologies), given.nulls)
        labels = _labels(parsed, given.labels)
        images = load_anew(given.data, data_dir)
        plan = _plan(parsed, names, kinds, settings, images).labeled(labels)
        results = Results(out)
        chosen = dict(
            **settings._asdict(),
            topologies=given.topologies,
            rules=names,
            null=given.nulls,
            neurons=neurons,
            data_dir=data_dir,
            jobs=jobs,
            out=out,
            save_models=save_models,
            report=report,
        )
        own = objects_in(data=data, topologies=topologies, rules=rules, null=null)
        write_config(out, chosen, own)

        where: Any = {"data_dir": data_dir, "jobs": jobs, "callbacks": callbacks}
        if save_models:
            train_and_save(plan.labels(), results, images, console=console, **where)
        else:
            train_missing(plan.labels(), results, console=console, **where)
        rows = Rows(
            summarize(labels[topology.spec], runs, results)
            for (_, topology), runs in plan.trainings.items()
        )
        rows.num_test = len(images.test_x)
        _draw(rows, plan, settings, images, out)
    table, told = _tell(rows, plan, settings, images)
    written = [out / name for name in ("results.csv", "curves.csv", NAME, "compare.png")]
    if save_models:
        written.append(out / FOLDER)
    if report:
        written.append(out / "report.html")
        write_comparison(
            written[-1],
            rows,
            table,
            told,
            chosen,
            own=own,
            by_rule=plan.compares_rules,
            num_test=len(images.test_x),
        )
    if console is not None:
        for each in (table, *told):
            console.print(each)
        console.print(f"Wrote {', '.join(map(str, written[:-1]))} and {written[-1]}.")
    return rows


class _Settings(NamedTuple):
    """Settings that all trainings of a comparison share."""

    data: str
    loops: int | str
    epochs: int
    seeds: int
    batch_size: int
    # None means each rule's own.
    learning_rate: float | None
    device: str


class _Plan(NamedTuple):
    """The runs of each method and topology, and the refused combinations.

    A method is a rule that trains a kind of neurons.
    """

    trainings: dict[tuple[str, Topology], list[Run]]
    refused: list[Refusal]
    budget: Budget
    by_rule: bool

    @property
    def compares_rules(self) -> bool:
        """Whether the table has a line per rule and topology."""
        return self.by_rule or bool(self.refused)

    def labeled(self, labels: Mapping[str, str]) -> _Plan:
        """Return the plan with the caller's labels of topologies in what it reports."""
        refused = [replace(each, label=labels.get(each.label, each.label)) for each in self.refused]
        topology = labels.get(self.budget.topology, self.budget.topology)
        return self._replace(refused=refused, budget=self.budget._replace(topology=topology))

    def labels(self) -> dict[Run, str]:
        """Return all runs, and their names in progress messages."""
        return {
            run: f"{f'{method}, ' if self.by_rule else ''}{topology.spec}, seed {run.seed}"
            for (method, topology), runs in self.trainings.items()
            for run in runs
        }


def _check_settings(
    *,
    data: str,
    loops: int | str,
    epochs: int,
    seeds: int,
    batch_size: int,
    learning_rate: float | None,
    device: str,
) -> _Settings:
    return _Settings(
        data=DATASETS.choose("data", data),
        loops=parse_loops(loops).spec,
        epochs=options.epochs("epochs", epochs),
        seeds=options.seeds("seeds", seeds),
        batch_size=options.batch_size("batch_size", batch_size),
        learning_rate=options.learning_rate("learning_rate", learning_rate),
        device=device,
    )


def _plan(
    topologies: Sequence[Topology],
    rules: Sequence[str],
    kinds: Sequence[NeuronsOption],
    settings: _Settings,
    images: Images,
) -> _Plan:
    """Combine rules with topologies, and leave out what a rule refuses."""
    wanted = budget(list(topologies), images.sheet)
    trainings, refused = {}, []
    for kind, rule, topology in itertools.product(kinds, rules, topologies):
        runs = _runs(rule, topology, kind, wanted, settings, images.sheet)
        refusal = _refusal(runs[0], images)
        if refusal is None:
            trainings[method_of(runs[0]), topology] = runs
        else:
            refused.append(refusal)
    if not trainings:
        raise ValueError(
            f"rules must include one that can train a topology, but nothing is left to train: "
            f"{refused[0].reason}"
        )
    sealed = {key: list(seal(runs, images)) for key, runs in trainings.items()}
    by_rule = tuple(rules) != DEFAULT_RULES or len(kinds) > 1
    return _Plan(sealed, refused, wanted, by_rule)


def _runs(
    rule: str,
    topology: Topology,
    kind: NeuronsOption,
    wanted: Budget,
    settings: _Settings,
    sheet: tuple[int, ...],
) -> list[Run]:
    """Return the runs of a rule on a topology, one per seed."""
    follows = not topology.states_its_neurons and wanted.num_nodes != math.prod(sheet)
    first = Run(
        data=settings.data,
        topology=topology.spec,
        checksum=topology.checksum,
        synapses_wanted=0 if topology.states_its_size else wanted.num_edges,
        # Spiking neurons exchange spikes at every step, whatever the loops.
        loops=settings.loops if kind.spiking is None else kind.spiking.steps,
        variant="relu",
        rule=rule,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate or RULES[rule].learning_rate,
        seed=0,
        neurons_wanted=wanted.num_nodes if follows else 0,
        neuron_model=kind.spec,
        device=settings.device,
    )
    return [replace(first, seed=seed) for seed in range(settings.seeds)]


def _refusal(run: Run, images: Images) -> Refusal | None:
    """Return why the rule of a run refuses its topology; None if it does not."""
    data = connectome_of(run, images.sheet)
    if data is not None and not data.num_nodes:
        raise TopologyError(run.topology, "it has no neurons; write num_nodes=1 or more")
    try:
        make_rule(run, data, images)
    except ValueError as error:
        return Refusal(method_of(run), run.topology, str(error))
    return None


def _draw(rows: list[Row], plan: _Plan, settings: _Settings, images: Images, out: Path) -> None:
    loops = settings.loops if isinstance(settings.loops, str) else f"{settings.loops} loops"
    kinds = dict.fromkeys(row.runs[0].neuron_model for row in rows)
    told = [loops if kind == RATE else kind for kind in kinds]
    title = f"{settings.data}, {', '.join(told)}, seeds: {settings.seeds}"
    paint = draw_rules if plan.by_rule else draw
    figure = paint(rows, images.sheet, title=title)
    write_atomically(out / "compare.png", lambda aside: figure.savefig(aside, dpi=150))


def _tell(
    rows: list[Row], plan: _Plan, settings: _Settings, images: Images
) -> tuple[Table, list[str]]:
    """Return the table, and sentences on significant differences and loops to an equilibrium."""
    num_test = len(images.test_x)
    nulls = null_pairs(rows)
    if plan.compares_rules:
        table = tabulate_rules(rows, plan.refused, plan.budget)
        told = [] if nulls else [tell_rule_differences(rows, num_test=num_test)]
    else:
        table = tabulate(rows, plan.budget)
        told = [] if nulls else [tell_differences(rows, num_test=num_test)]
    if nulls:
        told.append(tell_null_differences(rows, num_test=num_test))
    looping = [row for row in rows if row.runs[0].neuron_model == RATE]
    if isinstance(settings.loops, str) and looping:
        told.append(tell_loops(looping))
    return table, told


def _parse_all(topologies: Sequence[str]) -> list[Topology]:
    specs = options.texts("topologies", topologies, example="grid")
    parsed = [parse(spec) for spec in specs]
    # Different texts may state the same topology.
    options.once("topologies", [topology.spec for topology in parsed])
    return parsed


def _with_nulls(topologies: Sequence[Topology], nulls: Sequence[str]) -> list[Topology]:
    """Return the topologies, each with a graph followed by its null models."""
    found = []
    for topology in topologies:
        found.append(topology)
        if topology.kind != NO_GRAPH and not topology.null:
            found += [topology.with_null(name) for name in nulls]
    specs = [each.spec for each in found]
    return [each for at, each in enumerate(found) if each.spec not in specs[:at]]


def _labels(topologies: Sequence[Topology], given: Mapping[str, str]) -> dict[str, str]:
    """Return the label of each text of a topology; a null model has that of its topology."""
    labels = {}
    for each in topologies:
        base, name = split_null(each.spec)
        labels[each.spec] = f"{given[base]}, {NULL}={name}" if name and base in given else each.spec
    return labels | {spec: label for spec, label in given.items() if spec in labels}


def _parse_neurons(neurons: Sequence[str]) -> list[NeuronsOption]:
    given = options.texts("neurons", neurons, example=RATE)
    parsed = [parse_neurons(each) for each in given]
    options.once("neurons", [each.spec for each in parsed])
    return parsed
