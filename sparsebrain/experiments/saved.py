"""Loading of connectomes for commands and for texts of topologies."""

from __future__ import annotations

import os

from torch_geometric.data import Data

import graphs
from sparsebrain.experiments.options import FILE_FIX, OptionError


def saved_connectome(path: str | os.PathLike[str]) -> Data:
    """Load a connectome.

    Args:
        path: Path of the file.

    Raises:
        OptionError: The file cannot be read. The reason does not suggest arguments of
            ``graphs.load``, which commands and texts of topologies do not have.
    """
    try:
        return graphs.load(path)
    except (ValueError, TypeError, OSError, ImportError) as error:
        # Messages of graphs have the form "what is wrong; what to pass".
        reason = str(error).partition("; ")[0]
        raise OptionError(
            "file",
            f"{reason}; {FILE_FIX}",
        ) from None
