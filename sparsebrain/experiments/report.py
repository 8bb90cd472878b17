"""What a comparison tells of each topology and rule: a table, budgets and loops."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sparsebrain.experiments.results import Results
from sparsebrain.experiments.topology import Budget, break_options
from sparsebrain.experiments.training import Epoch, Outcome, Run

_ALIKE = 0.02


@dataclass(frozen=True)
class Row:
    """All runs of one topology or model by one rule, under the name that tables give it."""

    label: str
    runs: list[Run]
    outcomes: list[Outcome]
    curves: list[list[Epoch]]

    @property
    def rule(self) -> str:
        """The name of the learning rule."""
        return self.runs[0].rule

    @property
    def finished(self) -> Row:
        """The same row without the runs that diverged; it may have none left."""
        kept = [place for place, outcome in enumerate(self.outcomes) if not outcome.diverged]
        return Row(
            self.label,
            [self.runs[place] for place in kept],
            [self.outcomes[place] for place in kept],
            [self.curves[place] for place in kept],
        )

    def mean(self, name: str) -> float:
        """The mean of one figure of the outcomes over the seeds whose run did not diverge.

        Where all of them did, over all of them: sizes are known, and accuracies nan.
        """
        outcomes = self.finished.outcomes or self.outcomes
        return statistics.fmean(getattr(outcome, name) for outcome in outcomes)

    def accuracy(self) -> str:
        """Test accuracy in percent, mean and sample standard deviation over the seeds.

        Of those whose run did not diverge; how many did is said on a second line.
        """
        values = [100 * outcome.test_accuracy for outcome in self.finished.outcomes]
        if not values:
            return "diverged"
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        told = f"{statistics.fmean(values):.2f}{spread} %"
        lost = len(self.outcomes) - len(values)
        return f"{told}\n{lost} of {len(self.outcomes)} diverged" if lost else told


@dataclass(frozen=True)
class Refusal:
    """A topology around which a rule can teach no model, and why."""

    rule: str
    label: str
    reason: str


def summarise(label: str, runs: list[Run], results: Results) -> Row:
    """Gather finished runs that differ in their seeds alone."""
    return Row(
        label,
        runs,
        [results.outcomes[run] for run in runs],
        [results.curves[run] for run in runs],
    )


def tabulate(rows: list[Row], wanted: Budget | None = None, *, name: str = "topology") -> Table:
    """One line a row; the caption tells runs that diverged, and where budgets are not equal.

    They are equal where neurons, synapses and parameters differ by no more than 2 % from those that
    are wanted.
    """
    table = Table(box=SIMPLE_HEAD, padding=0, caption_justify="left")
    table.add_column(name, overflow="fold", min_width=12)
    for figure in ("neurons", "synapses", "L", "C", "parameters", "test accuracy", "s/epoch"):
        table.add_column(figure, justify="right", no_wrap=True)
    for row in rows:
        graph = bool(row.mean("synapses"))
        table.add_row(
            # With spaces, so that a narrow terminal breaks it between options.
            break_options(row.label, " "),
            f"{row.mean('neurons'):.0f}",
            f"{row.mean('synapses'):.0f}",
            f"{row.mean('path_length'):.2f}" if graph else "",
            f"{row.mean('clustering'):.3f}" if graph else "",
            f"{row.mean('parameters'):.0f}",
            row.accuracy(),
            f"{row.mean('seconds_per_epoch'):.3f}",
        )
    budgets = None if wanted is None else tell_budget(rows, wanted)
    table.caption = "\n".join(filter(None, [tell_diverged(rows), budgets])) or None
    return table


def tabulate_rules(rows: list[Row], refused: list[Refusal], wanted: Budget) -> Table:
    """One line for each rule on each topology; the caption tells what :func:`tabulate`'s does.

    It tells also the reasons of what is refused.
    """
    table = Table(box=SIMPLE_HEAD, padding=0, caption_justify="left")
    table.add_column("rule", no_wrap=True)
    table.add_column("topology", overflow="fold", min_width=12)
    for figure in ("synapses", "test accuracy", "s/epoch", "MiB"):
        table.add_column(figure, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.rule,
            break_options(row.label, " "),
            f"{row.mean('synapses'):.0f}",
            row.accuracy(),
            f"{row.mean('seconds_per_epoch'):.3f}",
            f"{row.mean('peak_bytes') / 2**20:.2f}" if row.finished.runs else "",
        )
    for each in refused:
        table.add_row(each.rule, break_options(each.label, " "), "", "refused", "", "")
    told = [f"{each.rule} on {each.label}: {each.reason}" for each in refused]
    table.caption = (
        "\n".join(filter(None, [tell_diverged(rows), tell_budget(rows, wanted), *told])) or None
    )
    return table


def tell_diverged(rows: list[Row]) -> str | None:
    """A sentence on the runs that diverged, and in which epoch each did; None where none did."""
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
    return f"Diverged, and left out of means and tests: {'; '.join(told)}."


def tell_budget(rows: list[Row], wanted: Budget) -> str | None:
    """A sentence on the rows that differ from the budget by over 2 %; None where none does.

    Parameters are held against those of the topology that sets the budget, or else of the first
    with a graph, by the same rule: rules bring parameters of their own.
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
                # It is there to have none.
                del off["synapses"]
            apart = [f"{share:+.0%} {name}" for name, share in off.items() if abs(share) > _ALIKE]
            if apart:
                label = row.label if len(of_rule) == len(rows) else f"{rule} on {row.label}"
                told.append(f"{label} {', '.join(apart)}")
    if not told:
        return None
    return (
        f"Not an equal budget of {wanted.num_nodes} neurons, {wanted.num_edges} synapses and the "
        f"parameters that come with them: {'; '.join(told)}."
    )


def tell_loops(rows: list[Row]) -> str:
    """How many loops the test images took to their equilibrium, and how many came to none."""
    told = []
    for row in rows:
        if row.mean("synapses") and row.finished.runs:
            lost = 1 - row.mean("converged")
            failed = f" ({lost:.2%} of the images did not converge)" if lost else ""
            told.append(f"{row.label} {row.mean('loops_used'):.1f}{failed}")
    return f"Loops to the equilibrium, mean over test images: {', '.join(told) or 'no graph'}."
