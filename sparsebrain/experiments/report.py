"""What a comparison tells of each topology and rule: a table, budgets and loops."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sparsebrain.experiments.results import Results
from sparsebrain.experiments.topology import break_options
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

    def mean(self, name: str) -> float:
        """The mean of one figure of the outcomes over the seeds."""
        return statistics.fmean(getattr(outcome, name) for outcome in self.outcomes)

    def accuracy(self) -> str:
        """Test accuracy in percent, mean and sample standard deviation over the seeds."""
        values = _percent(self)
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f}{spread} %"


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


def tabulate(rows: list[Row], wanted: int | None = None, *, name: str = "topology") -> Table:
    """One line a row; the caption tells where synapses differ by over 2 % from those ``wanted``."""
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
    if wanted is not None:
        table.caption = _tell_budget(rows, wanted)
    return table


def tabulate_rules(rows: list[Row], refused: list[Refusal], wanted: int) -> Table:
    """One line for each rule on each topology; the caption tells reasons and unequal budgets."""
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
            f"{row.mean('peak_bytes') / 2**20:.2f}",
        )
    for each in refused:
        table.add_row(each.rule, break_options(each.label, " "), "", "refused", "", "")
    told = [f"{each.rule} on {each.label}: {each.reason}" for each in refused]
    table.caption = "\n".join(filter(None, [_tell_budget(rows, wanted), *told])) or None
    return table


def _tell_budget(rows: list[Row], wanted: int) -> str | None:
    off = {row.label: row.mean("synapses") / wanted - 1 for row in rows if row.mean("synapses")}
    apart = [f"{label} {share:+.0%}" for label, share in off.items() if abs(share) > _ALIKE]
    return f"Not an equal budget: of {wanted} synapses, {', '.join(apart)}." if apart else None


def _percent(row: Row) -> list[float]:
    return [100 * outcome.test_accuracy for outcome in row.outcomes]


def tell_loops(rows: list[Row]) -> str:
    """How many loops the test images took to their equilibrium, and how many came to none."""
    told = []
    for row in rows:
        if row.mean("synapses"):
            lost = 1 - row.mean("converged")
            failed = f" ({lost:.2%} of the images did not converge)" if lost else ""
            told.append(f"{row.label} {row.mean('loops_used'):.1f}{failed}")
    return f"Loops to the equilibrium, mean over test images: {', '.join(told) or 'no graph'}."
