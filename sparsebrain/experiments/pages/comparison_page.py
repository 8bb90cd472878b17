"""The page of a comparison, and what the page of a reproduction has in common with it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from sparsebrain.experiments.config import NAME
from sparsebrain.experiments.pages import page
from sparsebrain.experiments.report import Row
from sparsebrain.experiments.verdict import compared

_MOST_RUNS = 1000


def write_comparison(
    path: Path,
    rows: Sequence[Row],
    shown: Table,
    told: Sequence[str],
    settings: Mapping[str, object],
    *,
    own: Sequence[str],
    by_rule: bool,
    num_test: int,
) -> None:
    """Write the page of a comparison beside its ``run.toml`` and ``compare.png``.

    Args:
        path: The file.
        rows: The rows of the comparison.
        shown: Their table.
        told: Sentences on significance and loops.
        settings: The arguments of the comparison.
        own: Names of arguments that were given as objects.
        by_rule: Whether rules are compared, instead of topologies.
        num_test: Number of test images.

    Raises:
        OSError: The file cannot be written.
    """
    used = {name: value for name, value in settings.items() if value is not None}
    repeat = (
        f"These arguments were Python objects: {', '.join(own)}. Call compare from Python with the "
        "same objects and the settings below. Finished runs are kept and not repeated."
        if own
        else f"Run this command with the {NAME} below. Finished runs are kept and not repeated."
    )
    parts = [
        page.heading("Results"),
        page.of_rich(shown),
        page.heading("Differences in accuracy"),
        *map(page.paragraphs, told),
        differences_table(rows, by_rule=by_rule, num_test=num_test),
        page.heading("Figure"),
        page.picture(
            path.with_name("compare.png"),
            "Connectomes of the first seed, test accuracy by epoch, and that of every run.",
        ),
        page.heading("Settings"),
        page.settings_table(used),
        page.heading("Runs"),
        runs_table(rows),
        page.heading("How to repeat it"),
        page.paragraphs(repeat),
        *(
            []
            if own
            else [
                page.code(
                    shlex.join(["sparsebrain", "compare", "--config", str(path.with_name(NAME))])
                )
            ]
        ),
        page.details(NAME, page.code(path.with_name(NAME).read_text(encoding="utf-8"))),
        page.heading("Versions"),
        page.environment(),
        checksums_table(rows),
    ]
    page.write_page(path, f"Comparison on {rows[0].runs[0].data}", parts)


def differences_table(rows: Sequence[Row], *, by_rule: bool, num_test: int) -> str:
    """Return a table of differences in accuracy with their intervals; empty if there are none."""
    found = compared(rows, by_rule=by_rule, num_test=num_test)
    ends = [abs(end) for *_, one in found for end in (one.low, one.high) if math.isfinite(end)]
    reach = max(ends, default=0) or 1.0
    lines = [
        (
            first,
            second,
            f"{round(one.mean, 2) + 0:+.2f}",
            f"{round(one.low, 2) + 0:+.2f} to {round(one.high, 2) + 0:+.2f}",
            f"{one.p_value:.2g}",
            page.interval(one.mean, one.low, one.high, reach),
        )
        for first, second, one in found
    ]
    columns = ("", "against", "percentage points", "95 % interval", "p", "interval around 0")
    return page.table(columns, lines, texts=2) if lines else ""


def runs_table(rows: Sequence[Row]) -> str:
    """Return a table of all runs, or of the first thousand, shown on request."""
    lines = [
        (
            row.label,
            row.rule,
            run.seed,
            outcome.synapses,
            f"diverged in epoch {outcome.diverged}"
            if outcome.diverged
            else f"{outcome.test_accuracy:.2%}",
            f"{outcome.seconds_per_epoch:.3f}",
        )
        for row in rows
        for run, outcome in zip(row.runs, row.outcomes, strict=True)
    ]
    columns = ("topology", "rule", "seed", "synapses", "test accuracy", "s/epoch")
    told = f"{len(lines)} runs"
    if len(lines) > _MOST_RUNS:
        told += f"; the first {_MOST_RUNS} are shown, and results.csv has all of them"
    return page.details(told, page.table(columns, lines[:_MOST_RUNS], texts=2))


def checksums_table(rows: Sequence[Row]) -> str:
    """Return a table of the checksums of images and code."""
    runs = [run for row in rows for run in row.runs]
    return page.settings_table(
        {
            f"checksum of the {what}": "\n".join(dict.fromkeys(getattr(run, name) for run in runs))
            for name, what in {"images_checksum": "images", "code_checksum": "code"}.items()
        }
    )
