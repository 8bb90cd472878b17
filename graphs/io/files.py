"""Save connectomes to files and load them; the suffix of a file selects its format."""

import contextlib
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from torch_geometric.data import Data

from graphs import arguments, paths
from graphs.contract import validate
from graphs.fields import beyond
from graphs.io import checks, connectivity
from graphs.io.atomic import write_together
from graphs.io.checksum import check_seal, seal
from graphs.io.edge_header import PartsDifferError
from graphs.io.formats import FORMATS, Format, format_of, suffix_of
from graphs.io.limits import check_bytes
from graphs.io.packing import MAGIC, unpack

# NumPy and torch cannot reshape to more axes, and the product of many sides could take hours.
_MOST_AXES = 64
_LONGEST_MESSAGE = 2000
# The files of the fly brain model, which no suffix selects.
_CONNECTIVITY = Format(None, connectivity.read, connectivity.beside)
# Seconds to wait while another process replaces files that belong together.
_PAUSES = (0.02,)


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """Return a file, and the existing files beside it that `load` also reads."""
    path = Path(path)
    layout = connectivity.find(path)
    if layout is not None:
        return [layout, *connectivity.beside(layout)]
    kept = FORMATS.get(suffix_of(path))
    return [path, *(each for each in kept.beside(path) if each.is_file())] if kept else [path]


def save(data: Data, path: str | os.PathLike[str]) -> None:
    """Write a connectome to a file.

    All floats are exact, and :func:`graphs.load` refuses a file that was damaged. An existing file
    is replaced, and remains unchanged if writing fails. A symbolic link is kept, and the file that
    it points to is replaced. Takes O(N + E) time and memory.

    Args:
        data: A connectome. Only the fields of `graphs.contract` are saved; a warning names the
            others.
        path: A file whose suffix selects the format.

            ``.npz``
                A NumPy archive, small and fast: one array per field, synapses in their order.
            ``.csv``, ``.tsv``
                An edge list for people and spreadsheets, with the columns ``source``, ``target``,
                ``weight``, ``type`` and ``sign``. Two files are added beside ``x.csv``:
                ``x.neurons.csv``, one row per neuron with the columns ``neuron``, ``name``,
                ``type``, ``x``, ``y``, ``z`` and ``sign``, and ``x.csv.json``, the shape, the names
                of types, the numbers of rows, and checksums of all three files. Synapses refer to
                neurons by ``names`` if these differ, and otherwise by number; types are written by
                name if they have one.
            ``.graphml``, ``.gexf``
                XML for Gephi, Cytoscape and igraph, with the attributes of
                :func:`graphs.to_networkx`, but with one attribute per axis (``pos_x``, ``pos_y``,
                ``pos_z``) and with the lists of the graph as JSON. Names that XML cannot represent,
                such as an empty one, are stored in such a list.
            ``.pt``
                A `Data` as ``torch.save`` writes it.
            ``.h5``
                SONATA edges and nodes of the population ``default``: weights are ``syn_weight``,
                types ``edge_type_id`` and ``node_type_id``, coordinates ``x``, ``y`` and ``z``.
                Needs ``pip install h5py``.

    Raises:
        TypeError: A field of `data` or the path has the wrong type.
        ValueError: `data` breaks the contract, or no format has this suffix.
        ModuleNotFoundError: h5py is needed and not installed.
        OSError: The file cannot be written.

    Warns:
        UserWarning: `data` has fields beyond the contract; call ``del data.x`` for those that you
            do not need.

    Note:
        A file ends in a line with the SHA-256 of everything before it. Other programs ignore this
        line, and do not write it again. The files of ``.csv`` and ``.tsv`` are replaced one after
        the other: :func:`graphs.load` reads them again if it finds files of two calls, and raises
        an error if they still do not belong together.

    Example:
        >>> import pathlib, tempfile
        >>> import graphs
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "grid.npz")
        >>> graphs.save(graphs.grid_local((4, 5), 1), path)
        >>> graphs.load(path).shape
        (4, 5)
        >>> folder.cleanup()
    """
    path = paths.path("path", path)
    kept = format_of(path, written=True)
    validate(data)
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the folder of {str(path)!r} does not exist; call "
            f"pathlib.Path({str(folder)!r}).mkdir(parents=True)"
        )
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; pass the path of a file")
    lost = beyond(data)
    if lost:
        warnings.warn(
            f"{path.name!r} is written without {', '.join(lost)}: files keep the fields of "
            f"graphs.contract only; call {'; '.join(f'del data.{name}' for name in lost)} before, "
            "or torch.save(data, 'connectome.pt')",
            stacklevel=2,
        )
    write_together([path, *kept.beside(path)], lambda *asides: _fill(asides, kept, data))


def _fill(asides: Sequence[Path], kept: Format, data: Data) -> None:
    """Write the files of a connectome."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(aside.open("w+b")) for aside in asides]
        if kept.write is not None:
            kept.write(data, *files)
        if kept.sealed:
            seal(files[0])


def load(path: str | os.PathLike[str], *, max_bytes: int = 2**30, **options: Any) -> Data:
    r"""Read a connectome from a file without executing anything in it.

    Takes O(N + E) time and memory.

    Args:
        path: A file of :func:`graphs.save`, or of another program. All formats of text may be
            packed by gzip, such as ``connections.csv.gz``.

            ``.npz``
                An archive of ``scipy.sparse.save_npz``; rows are sources.
            ``.csv``, ``.tsv``
                An edge list with one row per synapse below a header, see the options and the note;
                or an adjacency matrix with the names of neurons above its columns and before its
                rows, which are sources.
            ``.txt``
                An edge list with any delimiter, comments and maybe no header; or, without names, a
                matrix of more than three columns of numbers.
            ``.parquet``, ``.feather``
                An edge list (needs ``pip install pyarrow narwhals``).
            ``.npy``, ``.mtx``, ``.mat``
                An adjacency matrix of NumPy, Matrix Market or MATLAB; rows are sources.
            ``.graphml``, ``.gexf``, ``.gml``, ``.net``
                A graph of Gephi, yEd, igraph, Pajek or another program, read as
                :func:`graphs.from_networkx` does. Node ids (labels, if they differ) become
                ``names``, unless they are 0 to N - 1 in order or nodes have the attribute ``name``.
            ``.pt``
                A `Data` of ``torch.save``. Its fields beyond the contract are kept.
            ``.h5``
                SONATA edges. If the populations of sources and targets differ, they become the
                node types.
            a folder
                The files of the fly brain model of Shiu et al. (2024): ``Completeness_*.csv`` with
                the identifier of one neuron per row, and ``Connectivity_*.parquet`` (needs ``pip
                install pyarrow``) or ``.csv`` with the columns Presynaptic_Index,
                Postsynaptic_Index and "Excitatory x Connectivity". The last one becomes
                ``edge_weight``, with its sign, and ``edge_sign``. The path of the
                ``Connectivity_*`` file does the same.
        max_bytes: The largest size of a file, packed and unpacked. A larger file is refused before
            it is read. NetworkX may need tens of times the size of an XML file, and the other
            readers several times the size of theirs.
        **options: Options that only some formats take:

            duplicates : {"error", "sum"}
                All formats but ``.pt`` and ``.npy``: "error" refuses synapses with the same source,
                target and type; "sum" replaces them by one with the sum of their weights (1 each
                if there are none), such as one row per region of the brain.
            neurons : str or os.PathLike
                Edge lists: a table with one row per neuron in any format of edge lists; by default
                ``x.neurons.csv`` beside ``x.csv``, if it exists. ``.h5``: the file with the nodes,
                by default the same file.
            num_nodes : int
                Edge lists, ``.h5``: the number of neurons if no table lists them; sources and
                targets are then numbers in [0, num_nodes). By default the neurons are those with
                synapses, in numeric or alphabetic order (in ``.h5`` all up to the largest number).
            columns, neuron_columns : dict
                Edge lists and graphs: the column or attribute of a role, such as ``{"weight":
                "strength"}``, or None for no column. The roles are source, target, weight, type,
                sign and transmitter; and neuron (the identifier in the edge list), name, type,
                sign, transmitter, x, y and z. In edge lists, a column has by default the name of
                its role or one that published tables have, such as pre_root_id, bodyId_pre,
                syn_count or cell_type, in upper or lower case; a warning names the columns that
                are not read. In text without a header, columns are positions, ``{"source": 0,
                "target": 1}``.
            transmitter_signs : dict
                Edge lists and graphs: the signs of transmitters if there is no column of signs, in
                addition to acetylcholine (+1), GABA and glycine (-1); ``{"glutamate": 1}`` in
                vertebrates, which also applies to Codex's GLUT. Others have the sign 0 (unknown),
                and a warning names them. In edge lists, the known sign of a neuron goes before the
                transmitters of its rows.
            delimiter : str
                Edge lists of text: the character between two values, by default a comma or a tab.
            population : str
                ``.h5``: the population of edges, if the file has several.
            variable : str
                ``.mat``: the name of the matrix, if the file has several square ones.

    Returns:
        The connectome. Synapses keep the order of an ``.npz`` or ``.pt`` file; otherwise they are
        sorted by (target, source, edge_type).

    Raises:
        ValueError: No format has this suffix; or the file is damaged, too large, or breaks the
            contract; or files that belong together were not written by one call of
            :func:`graphs.save`.
        TypeError: An argument has the wrong type, or the format does not take it.
        ModuleNotFoundError: h5py, pyarrow or narwhals is needed and not installed.
        OSError: A file does not exist or cannot be read.

    Warns:
        LeftOutWarning: The file holds something that a connectome has no field for, or the sign of
            a transmitter is unknown; the warning names it. In XML files labels become names and x,
            y and z become positions if there are no others.

    Note:
        Tables of :func:`graphs.save`, recognized by the ``.json`` file beside them, are read
        exactly. One error lists the first wrong value of each column. In tables of other programs,
        names are not changed, except that blanks around values are removed, and whole numbers
        that a dataframe has written as floats become integers: ``1.0`` is the neuron ``1``. A row
        is refused if one of its ends is empty or another sign of a missing value, such as ``nan``,
        contains a control character, begins with ``#``, ``%`` or ``//`` as comments do, or is a
        number that has lost digits as a float (``7.2e+17``). Two names that look alike, because
        they differ only by case, leading zeros, or invisible or full-width characters, are refused
        unless a table of neurons lists both.

    Example:
        >>> import pathlib, tempfile
        >>> import graphs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "synapses.csv")
        ...     _ = path.write_text("pre,post,count\nAVAL,DA1,3\nAVAR,DA1,2\n")
        ...     data = graphs.load(path)
        >>> data.names, data.edge_weight.tolist()
        (['AVAL', 'AVAR', 'DA1'], [3.0, 2.0])
    """
    layout = connectivity.find(paths.path("path", path))
    kept = format_of(path) if layout is None else _CONNECTIVITY
    fix = "pass the path of a file that graphs.save wrote"
    place = paths.file("path", path, fix) if layout is None else layout
    unknown = sorted(set(options) - set(kept.options))
    if unknown:
        raise TypeError(
            f"graphs.load of a {suffix_of(place)} file takes the options max_bytes"
            f"{''.join(f', {name}' for name in kept.options)}, got {unknown[0]!r}; leave it out"
        )
    most = arguments.count("max_bytes", max_bytes, at_least=1)
    checked = {name: checks.OPTIONS[name](name, value) for name, value in options.items()}
    for pause in _PAUSES:
        try:
            return _read(place, kept, most, checked)
        except ValueError as error:
            if not isinstance(error.__cause__, PartsDifferError):
                raise
        # Another process may be replacing the files right now, which takes it a moment.
        time.sleep(pause)
    return _read(place, kept, most, checked)


def _read(path: Path, kept: Format, most: int, options: dict[str, Any]) -> Data:
    """Read and check a connectome; every error of a reader becomes one that names the file."""
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("rb"))
        # Parsers raise any kind of exception on hostile input, down to RecursionError.
        try:
            check_bytes("it has", os.fstat(file.fileno()).st_size, most)
            if kept.packed:
                file = unpack(file, most, stack)
            elif file.read(2) == MAGIC:
                raise ValueError(f"it is packed by gzip; rename it to '{path.name}.gz'")
            file.seek(0)
            if kept.sealed:
                check_seal(file)
            data = kept.read(file, most, **options)
            if len(data.get("shape", ())) > _MOST_AXES:
                raise ValueError(
                    f"its shape has more than {_MOST_AXES} sides; save it again without shape"
                )
            return validate(data)
        except (ModuleNotFoundError, FileNotFoundError, Warning):
            raise
        except Exception as error:
            told = _explained(error, suffix_of(path))[:_LONGEST_MESSAGE]
            raise ValueError(f"{str(path)!r} cannot be read as a connectome: {told}") from error


def _explained(error: Exception, suffix: str) -> str:
    """Return the message of an error, with a remedy if it is of another library."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    module = "" if last is None else last.tb_frame.f_globals.get("__name__", "")
    if type(error) in (ValueError, TypeError, PartsDifferError) and module.startswith("graphs."):
        return str(error)
    reason = str(error).strip().rstrip(".")[:300]
    return (
        f"it is damaged or not a {suffix} file ({type(error).__name__}{reason and ': '}{reason}); "
        "take a whole copy, or save it again with graphs.save"
    )
