"""The suffixes of files with a connectome, and how each of them is written and read."""

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch_geometric.data import Data

from graphs import paths
from graphs.io import (
    arrays_file,
    arrow_file,
    edge_list,
    gexf,
    gml,
    graphml,
    matlab,
    matrix_market,
    npz,
    pajek,
    plain_text,
    pt,
    sonata,
)
from graphs.io.packing import is_packed, plain_name


def _nothing(_: Path) -> Sequence[Path]:
    return ()


class Format(NamedTuple):
    """How a connectome is stored in a file.

    Attributes:
        write: Receives the connectome, the open file, and the open files `beside` it; None for a
            format that is only read.
        read: Receives the open file, the number of bytes that anything may take, and options as
            keywords.
        beside: Returns the paths of the other files that belong to the file at a path.
        sealed: Whether the file ends in a checksum of itself.
        packed: Whether the file is packed by gzip.
    """

    write: Callable[..., None] | None
    read: Callable[..., Data]
    beside: Callable[[Path], Sequence[Path]] = _nothing
    sealed: bool = False
    packed: bool = False

    @property
    def options(self) -> list[str]:
        """The options that `graphs.load` takes for this format."""
        parameters = inspect.signature(self.read).parameters.values()
        return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


SAVED = {
    ".npz": Format(npz.write, npz.read, sealed=True),
    ".csv": Format(edge_list.write_csv, edge_list.read, edge_list.beside),
    ".tsv": Format(edge_list.write_tsv, edge_list.read, edge_list.beside),
    ".graphml": Format(graphml.write, graphml.read, sealed=True),
    ".gexf": Format(gexf.write, gexf.read, sealed=True),
    ".pt": Format(pt.write, pt.read, sealed=True),
    ".h5": Format(sonata.write, sonata.read, sealed=True),
}
# Only read; those that end in .gz are packed.
READ = {
    ".txt": Format(None, plain_text.read),
    ".parquet": Format(None, arrow_file.read),
    ".feather": Format(None, arrow_file.read),
    ".npy": Format(None, arrays_file.read),
    ".mtx": Format(None, matrix_market.read),
    ".mat": Format(None, matlab.read),
    ".gml": Format(None, gml.read),
    ".net": Format(None, pajek.read),
    ".csv.gz": Format(None, edge_list.read, packed=True),
    ".tsv.gz": Format(None, edge_list.read, packed=True),
    ".txt.gz": Format(None, plain_text.read, packed=True),
    ".graphml.gz": Format(None, graphml.read, sealed=True, packed=True),
    ".gexf.gz": Format(None, gexf.read, sealed=True, packed=True),
    ".mtx.gz": Format(None, matrix_market.read, packed=True),
    ".gml.gz": Format(None, gml.read, packed=True),
    ".net.gz": Format(None, pajek.read, packed=True),
}
FORMATS = {**SAVED, **READ}
"""The only list of suffixes: `graphs.load` takes all, `graphs.save` those of `SAVED`."""

# What reads files of other formats.
_ELSEWHERE = {
    (".xlsx", ".xls", ".ods"): "graphs.from_dataframe(pandas.read_excel(path))",
    (".sqlite", ".db"): "graphs.from_dataframe(pandas.read_sql(query, connection))",
    (".rds", ".rda", ".rdata"): "write.csv(edges, 'edges.csv', row.names=FALSE) in R",
    (".json",): "graphs.from_networkx(networkx.node_link_graph(json.load(open(path))))",
    (".pkl", ".pickle", ".gpickle"): "graphs.from_networkx(pickle.load(open(path, 'rb'))), which "
    "can execute anything in the file",
    (".dot", ".gv"): "graphs.from_networkx(networkx.nx_pydot.read_dot(path))",
    (".adjlist",): "graphs.from_networkx(networkx.read_adjlist(path))",
    (".g6", ".graph6"): "graphs.from_networkx(networkx.read_graph6(path))",
    (".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z"): "graphs.load with the unpacked file",
    (".edgelist", ".edges", ".el", ".dat", ".ssv"): "graphs.load with a copy that ends in .txt",
    (".hdf5", ".hdf", ".nwb"): "graphs.load with a copy that ends in .h5 if it is SONATA, or "
    "graphs.from_scipy with its matrix",
    (".arrow", ".ipc"): "graphs.load with a copy that ends in .feather",
    (".pth", ".ckpt"): "graphs.load with a copy that ends in .pt",
}


def suffix_of(path: Path) -> str:
    """Return the suffix of a path in lower case, with that before ``.gz``."""
    last = path.suffix.lower()
    return plain_name(path).suffix.lower() + last if is_packed(path) else last


def format_of(path: str | os.PathLike[str], *, written: bool = False) -> Format:
    """Return the format that belongs to the suffix of a path.

    Args:
        path: The path.
        written: Whether the file is to be written.

    Raises:
        TypeError: The path is neither a str nor an `os.PathLike`.
        ValueError: No format has this suffix, or it is only read.
    """
    place = paths.path("path", path)
    suffix = suffix_of(place)
    found = FORMATS.get(suffix)
    if found is not None and (found.write is not None or not written):
        return found
    *most, last = [each for each, kept in FORMATS.items() if kept.write or not written]
    fix = "pass for example 'connectome.npz'"
    for suffixes, call in _ELSEWHERE.items():
        if not written and place.suffix.lower() in suffixes:
            fix = f"call {call}"
    raise ValueError(
        f"the path of a connectome must end in {', '.join(most)} or {last}, got "
        f"{str(path)!r}; {fix}"
    )
