"""Names of files that belong to one run."""

from __future__ import annotations

import re
from dataclasses import asdict

from sparsebrain.experiments.checksums import checksum_of
from sparsebrain.experiments.training import Run

_LONGEST = 80


def stem_of(run: Run) -> str:
    """Return the name of a run's files, without suffix, which differs from that of any other run.

    Args:
        run: The run.

    Returns:
        The rule, the topology, the seed and 8 digits of a checksum of all settings; characters that
        file systems may refuse are replaced.
    """
    told = f"{run.rule}-{run.topology}"
    safe = re.sub(r"[^A-Za-z0-9=.,]+", "-", told)[:_LONGEST].strip("-.")
    return f"{safe}-seed-{run.seed}-{checksum_of(asdict(run))[:8]}"
