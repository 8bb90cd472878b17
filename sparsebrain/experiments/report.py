"""Tables and sentences on the results of a comparison."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from graphs import frames
from sparsebrain.experiments.neuron_options import RATE
from sparsebrain.experiments.nulls import split_null
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.significance import Difference, differences
from sparsebrain.experiments.topology import Budget, break_options
from sparsebrain.experiments.training import Epoch, Outcome, Run

_ALIKE = 0.02


@dataclass(frozen=True)
class Row:
    """All runs of one topology or model by one rule.

    Attributes:
        label: Name in tables.
        runs: Runs, one per seed.
        outcomes: Outcome of each run.
        curves: Epochs of each run.
    """

    label: str
    runs: list[Run]
    outcomes: list[Outcome]
    curves: list[list[Epoch]]

    @property
    def rule(self) -> str:
        """The name of the learning rule, with the kind of neurons if these spike."""
        return method_of(self.runs[0])

    @property
    def finished(self) -> Row:
        """The same row without the runs that diverged; it may be empty."""
        kept = [place for place, outcome in enumerate(self.outcomes) if not outcome.diverged]
        return Row(
            self.label,
            [self.runs[place] for place in kept],
            [self.outcomes[place] for place in kept],
            [self.curves[place] for place in kept],
        )

    def mean(self, name: str) -> float:
        """Return the mean of a field of the outcomes over the runs that did not diverge.

        If every run diverged, the mean is over all runs, whose accuracies are NaN.
        """
        outcomes = self.finished.outcomes or self.outcomes
        return statistics.fmean(getattr(outcome, name) for outcome in outcomes)

    def accuracy(self) -> str:
        """Return mean and sample standard deviation of the test accuracy in percent.

        Runs that diverged are left out; a second line counts them.
        """
        values = [100 * outcome.test_accuracy for outcome in self.finished.outcomes]
        if not values:
            return "diverged"
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        told = f"{statistics.fmean(values):.2f}{spread} %"
        lost = len(self.outcomes) - len(values)
        return f"{told}\n{lost} of {len(self.outcomes)} diverged" if lost else told


def method_of(run: Run) -> str:
    """Return the name of a run's learning rule, with the kind of neurons if these spike."""
    return run.rule if run.neuron_model == RATE else f"{run.rule} ({run.neuron_model})"


@dataclass(frozen=True)
class Refusal:
    """A topology that a rule cannot train.

    Attributes:
        rule: Name of the rule.
        label: Text of the topology.
        reason: Why the rule refuses it.
    """

    rule: str
    label: str
    reason: str


def summarize(label: str, runs: list[Run], results: Results) -> Row:
    """Return the row of finished runs that differ only in their seeds."""
    return Row(
        label,
        runs,
        [results.outcomes[run] for run in runs],
        [results.curves[run] for run in runs],
    )


def percent(row: Row) -> dict[int, float]:
    """Return the test accuracies in percent by seed, without those of runs that diverged."""
    return {
        run.seed: 100 * outcome.test_accuracy
        for run, outcome in zip(row.runs, row.outcomes, strict=True)
        if math.isfinite(outcome.test_accuracy)
    }


def null_pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return each row of a null model, after the row of its topology with the same rule."""
    of_spec = {(row.rule, row.runs[0].topology): row for row in rows}
    pairs = []
    for (rule, spec), row in of_spec.items():
        base, name = split_null(spec)
        if name and (rule, base) in of_spec:
            pairs.append((of_spec[rule, base], row))
    return pairs


class Rows(list[Row]):
    """The rows of a comparison, in the order of its tables.

    Attributes:
        num_test: Number of test images; None if it is unknown.
    """

    num_test: int | None = None

    def null_differences(self, level: float = 0.05) -> list[Difference]:
        """Compare every topology with its null models, by differences paired by seed.

        Args:
            level: Significance level for all pairs together.

        Returns:
            One difference per topology, rule and null model, in percentage points of test accuracy:
            the topology minus the null model, with a simultaneous confidence interval, see
            :func:`~sparsebrain.experiments.significance.differences`. Names are "rule on label".
            Seeds whose training diverged are left out. Empty if there is no null model, or fewer
            than two seeds.
        """
        pairs = [
            (first, second)
            for first, second in null_pairs(self)
            if len(percent(first).keys() & percent(second).keys()) > 1
        ]
        if not pairs:
            return []
        values = {f"{row.rule} on {row.label}": percent(row) for pair in pairs for row in pair}
        seeds = sorted(set.intersection(*(set(each) for each in values.values())))
        return differences(
            {name: [each[seed] for seed in seeds] for name, each in values.items()},
            [(f"{a.rule} on {a.label}", f"{b.rule} on {b.label}") for a, b in pairs],
            resolution=None if self.num_test is None else 100 / self.num_test,
            level=level,
        )

    def to_dataframe(self, library: frames.Library = "pandas") -> Any:
        """Return all runs as a dataframe, which requires narwhals and the library of the frame.

        Args:
            library: "pandas", "polars" or "pyarrow".

        Returns:
            One row per run, with its label and the columns of ``results.csv``.

        Raises:
            ValueError: If ``library`` is none of these.
            ModuleNotFoundError: If narwhals or the library is not installed.
        """
        columns: dict[str, list[Any]] = {"label": [row.label for row in self for _ in row.runs]}
        runs = [run for row in self for run in row.runs]
        outcomes = [outcome for row in self for outcome in row.outcomes]
        for cls, records in ((Run, runs), (Outcome, outcomes)):
            for field in fields(cls):
                columns[field.name] = [getattr(each, field.name) for each in records]
        return frames.make(columns, library)


def tabulate(rows: list[Row], wanted: Budget | None = None, *, name: str = "topology") -> Table:
    """Return a table with one line per row.

    With spiking neurons, their mean number of spikes of a test image replaces the number of
    neurons. The caption lists runs that diverged, and rows whose neurons, synapses or parameters
    differ by more than 2 % from the budget.

    Args:
        rows: Rows to show.
        wanted: Budget; None leaves the comparison with it out.
        name: Heading of the first column.
    """
    table = Table(box=SIMPLE_HEAD, padding=0, caption_justify="left")
    table.add_column(name, overflow="fold", min_width=12)
    spiking = _any_spikes(rows)
    # In place of the neurons, so that the table fits a terminal; the caption tells others.
    first, last = ([], ["spikes"]) if spiking else (["neurons"], [])
    figures = ["synapses", "L", "C", "parameters", "test accuracy", "s/epoch"]
    for figure in [*first, *figures, *last]:
        table.add_column(figure, justify="right", no_wrap=True)
    for row in rows:
        graph = bool(row.mean("synapses"))
        table.add_row(
            # Spaces let a narrow terminal break lines between options.
            break_options(row.label, " "),
            *([] if spiking else [f"{row.mean('neurons'):.0f}"]),
            f"{row.mean('synapses'):.0f}",
            f"{row.mean('path_length'):.2f}" if graph else "",
            f"{row.mean('clustering'):.3f}" if graph else "",
            f"{row.mean('parameters'):.0f}",
            row.accuracy(),
            f"{row.mean('seconds_per_epoch'):.3f}",
            *([_spikes(row)] if spiking else []),
        )
    budgets = None if wanted is None else tell_budget(rows, wanted)
    table.caption = "\n".join(filter(None, [tell_diverged(rows), budgets])) or None
    return table


def tabulate_rules(rows: list[Row], refused: list[Refusal], wanted: Budget) -> Table:
    """Return a table with one line per rule and topology.

    The caption says what :func:`tabulate`'s says, and why rules refused topologies.
    """
    table = Table(box=SIMPLE_HEAD, padding=0, caption_justify="left")
    table.add_column("rule", no_wrap=True)
    table.add_column("topology", overflow="fold", min_width=12)
    spiking = _any_spikes(rows)
    figures = ("synapses", "test accuracy", "s/epoch", "MiB")
    for figure in (*figures, *(["spikes"] if spiking else [])):
        table.add_column(figure, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            # Two lines, so that the table fits a terminal.
            row.rule.replace(" (", "\n("),
            break_options(row.label, " "),
            f"{row.mean('synapses'):.0f}",
            row.accuracy(),
            f"{row.mean('seconds_per_epoch'):.3f}",
            f"{row.mean('peak_bytes') / 2**20:.2f}" if row.finished.runs else "",
            *([_spikes(row)] if spiking else []),
        )
    for each in refused:
        rule = each.rule.replace(" (", "\n(")
        table.add_row(rule, break_options(each.label, " "), "", "refused", "", "")
    told = [f"{each.rule} on {each.label}: {each.reason}" for each in refused]
    table.caption = (
        "\n".join(filter(None, [tell_diverged(rows), tell_budget(rows, wanted), *told])) or None
    )
    return table


def _any_spikes(rows: list[Row]) -> bool:
    return any(_spikes(row) for row in rows)


def _spikes(row: Row) -> str:
    """Return the mean number of spikes of a test image; empty without spiking neurons."""
    spiking = row.finished.runs and row.runs[0].neuron_model != RATE
    return f"{row.mean('spikes'):.0f}" if spiking else ""


def tell_diverged(rows: list[Row]) -> str | None:
    """Return a sentence on the runs that diverged and their epochs; None if none did."""
    alone = len({row.rule for row in rows}) == 1
    told = []
    for row in rows:
        seeds: dict[int, list[str]] = {}
        for run, outcome in zip(row.runs, row.outcomes, strict=True):
            seeds.setdefault(outcome.diverged, []).append(str(run.seed))
        seeds.pop(0, None)
        label = row.label if alone else f"{row.rule} on {row.label}"
        told += [
            f"{label} in epoch {epoch} (seed {', '.join(of_epoch)})"
            for epoch, of_epoch in sorted(seeds.items())
        ]
    if not told:
        return None
    return f"Diverged and left out of means and tests: {'; '.join(told)}."


def tell_budget(rows: list[Row], wanted: Budget) -> str | None:
    """Return a sentence on the rows that differ from the budget by over 2 %; None if none does.

    Parameters are compared with those of the topology that sets the budget, or else of the first
    row with a graph. They are compared within each rule, because rules add parameters.
    """
    told = []
    for rule in dict.fromkeys(row.rule for row in rows):
        of_rule = [row for row in rows if row.rule == rule]
        graphs = [row for row in of_rule if row.mean("synapses")]
        named = [row for row in of_rule if row.label == wanted.topology]
        parameters = [*named, *graphs, *of_rule][0].mean("parameters")
        aims = {"neurons": wanted.num_nodes, "synapses": wanted.num_edges, "parameters": parameters}
        for row in of_rule:
            off = {name: row.mean(name) / aim - 1 for name, aim in aims.items()}
            if row not in graphs:
                # The model without a graph has no synapses on purpose.
                del off["synapses"]
            apart = [f"{share:+.0%} {name}" for name, share in off.items() if abs(share) > _ALIKE]
            if apart:
                label = row.label if len(of_rule) == len(rows) else f"{rule} on {row.label}"
                told.append(f"{label} {', '.join(apart)}")
    if not told:
        return None
    return (
        f"Outside the budget of {wanted.num_nodes} neurons, {wanted.num_edges} synapses and the "
        f"corresponding parameters: {'; '.join(told)}."
    )


def tell_loops(rows: list[Row]) -> str:
    """Return a sentence on the loops to the equilibrium, and on images that did not converge."""
    told = []
    for row in rows:
        if row.mean("synapses") and row.finished.runs:
            lost = 1 - row.mean("converged")
            failed = f" ({lost:.2%} of the images did not converge)" if lost else ""
            told.append(f"{row.label} {row.mean('loops_used'):.1f}{failed}")
    return f"Mean loops to the equilibrium over the test images: {', '.join(told) or 'no graph'}."
