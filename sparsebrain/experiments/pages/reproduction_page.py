"""The page of a reproduction of Ejima's experiment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from sparsebrain.experiments.pages import page
from sparsebrain.experiments.pages.comparison_page import (
    checksums_table,
    differences_table,
    runs_table,
)
from sparsebrain.experiments.report import Row

_CAPTIONS = {
    2: "Figure 2: the coordinate graph.",
    6: "Figure 6: how two inputs become alike over the loops.",
    9: "Figure 9: training loss, validation loss and validation accuracy over the epochs.",
    10: "Figure 10: training loss, validation loss and validation accuracy over the epochs.",
    11: "Figure 11: outputs of the graph layer, and distances within and between classes.",
}


def write_reproduction(
    path: Path,
    rows: Sequence[Row],
    shown: Table,
    told: Sequence[str],
    settings: Mapping[str, object],
    *,
    numbers: Sequence[int],
    num_test: int,
) -> None:
    """Write the page of a reproduction beside its figures.

    Args:
        path: The file.
        rows: One row per model.
        shown: Their table.
        told: Sentences on significance and on the choice of a model.
        settings: The arguments of the reproduction by name.
        numbers: The numbers of the figures.
        num_test: Number of test images.

    Raises:
        OSError: The file cannot be written.
    """
    used = {name: value for name, value in settings.items() if value is not None}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in used.items()]
    parts = [
        page.heading("Results"),
        page.of_rich(shown),
        page.heading("Differences in accuracy"),
        *map(page.paragraphs, told),
        differences_table(rows, by_rule=False, num_test=num_test),
        page.heading("Figures"),
        *(page.picture(path.with_name(f"figure{each}.png"), _CAPTIONS[each]) for each in numbers),
        page.heading("Settings"),
        page.settings_table(used),
        page.heading("Runs"),
        runs_table(rows),
        page.heading("How to repeat it"),
        page.paragraphs("Run this command. Finished runs are kept and not repeated."),
        page.code(shlex.join(["sparsebrain", "reproduce", *options, "--report"])),
        page.heading("Versions"),
        page.environment(),
        checksums_table(rows),
    ]
    page.write_page(path, f"Neurons regarded as Graph, on {settings['data']}", parts)
