"""Fetch a published connectome by its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from torch_geometric.data import Data

from graphs import arguments, paths
from graphs.downloads import flywire, hemibrain, male_cns, transfer
from graphs.downloads.neurons import Options
from graphs.io.arrow_file import library
from graphs.io.checks import OPTIONS

Brain = Literal["flywire-783", "hemibrain-1.2", "male-cns-1.0"]


@dataclass(frozen=True)
class Published:
    """A published connectome.

    Attributes:
        files: Its files.
        read: Makes the connectome of their paths, by the names of the files.
        license: The license of the data.
        citation: What to cite.
    """

    files: tuple[transfer.Remote, ...]
    read: Callable[[Mapping[str, Path], Options], Data]
    license: str
    citation: str


BRAINS: dict[str, Published] = {
    "flywire-783": Published(
        (flywire.ROOT_IDS, flywire.CONNECTIONS),
        flywire.read,
        "CC BY 4.0",
        "S. Dorkenwald et al., Nature 634 (2024) 124-138, and P. Schlegel et al., Nature 634 "
        "(2024) 139-152; data: https://doi.org/10.5281/zenodo.10676866",
    ),
    "hemibrain-1.2": Published(
        (hemibrain.ARCHIVE,),
        hemibrain.read,
        "CC BY 4.0",
        "L. K. Scheffer et al., eLife 9 (2020) e57443",
    ),
    "male-cns-1.0": Published(
        (male_cns.ANNOTATIONS, male_cns.TRANSMITTERS, male_cns.WEIGHTS),
        male_cns.read,
        "CC BY 4.0",
        "S. Berg et al., Cell 189 (2026) 5504-5526; data: https://male-cns.janelia.org",
    ),
}


def fetch(
    name: Brain,
    *,
    directory: str | os.PathLike[str] | None = None,
    min_synapses: int = 1,
    transmitter_signs: Mapping[str, float] | None = None,
    mirror: str | None = None,
) -> Data:
    """Return a published connectome, downloaded at the first call.

    A download that stops is continued by the next call. Every call checks every file: against its
    published checksum, or, for the hemibrain, which has none, against what first arrived. Requires
    pyarrow.

    Args:
        name: The connectome.

            =============  ========================================  ========  =======  ==========
            name           animal                                    download  neurons  synapses E
            =============  ========================================  ========  =======  ==========
            flywire-783    brain of a female fly                     853 MB    139,255  15,091,983
            hemibrain-1.2  half of the brain of a female fly         46 MB     21,739   3,550,403
            male-cns-1.0   brain and nerve cord of a male fly        566 MB    166,700  25,582,938
            =============  ========================================  ========  =======  ==========

        directory: The folder for the files, or None for the cache of the operating system. Files
            that are there already, under their published names, are not downloaded.
        min_synapses: Leave out connections with fewer synapses; FlyWire's Codex shows those with at
            least 5.
        transmitter_signs: Signs of transmitters in addition to acetylcholine (+1) and GABA (-1).
            Others have the sign 0 (unknown). ``{"glutamate": -1}`` is what most models of the fly
            assume.
        mirror: The address of a folder with copies of the files, or None for the publishers' own.

    Returns:
        A connectome with these fields:

        - ``edge_weight`` float32 [E]: the number of synapses from source to target, over all
          regions of the brain.
        - ``names``: the identifiers of the publishers, in ascending order.
        - ``node_sign`` float32 [N] and ``transmitters``, N str (not of the hemibrain): the
          transmitter that is predicted for the neuron, or "unknown". The latter is beyond the
          contract, and :func:`graphs.save` leaves it out.
        - ``node_type`` int64 [N] and ``node_type_names`` (not of FlyWire): the type of the cell.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such connectome, a file is not the published one, or no neuron has
            one of the `transmitter_signs`.
        ConnectionError: A server does not answer, or not with the whole file.
        OSError: The disk has too little space.
        ModuleNotFoundError: pyarrow is not installed.

    Note:
        All three are licensed CC BY 4.0: cite the publications that the first call prints.

        The transmitter of a FlyWire neuron is the one with the largest probability on average over
        its synapses. The neurons of the male are the bodies that the release gives a superclass.

    References:
        S. Dorkenwald et al., "Neuronal wiring diagram of an adult brain", Nature 634 (2024)
        124-138. L. K. Scheffer et al., "A connectome and analysis of the adult Drosophila central
        brain", eLife 9 (2020) e57443. S. Berg et al., "Sexual dimorphism in the complete Drosophila
        male central nervous system connectome", Cell 189 (2026) 5504-5526.

    Example:
        >>> import graphs
        >>> fly = graphs.fetch("flywire-783", min_synapses=5)  # doctest: +SKIP
    """
    brain = BRAINS[arguments.option("name", name, get_args(Brain))]
    folder = _folder(directory)
    options = Options(
        arguments.count("min_synapses", min_synapses, at_least=1),
        OPTIONS["transmitter_signs"]("transmitter_signs", transmitter_signs),
    )
    mirror = _address(mirror)
    library("ipc")
    if any(not (folder / each.name).exists() for each in brain.files):
        size = sum(each.size for each in brain.files) / 1e6
        print(
            f"{name}: {size:.0f} MB to {folder}. License: {brain.license}. Cite {brain.citation}.",
            file=sys.stderr,
        )
    return brain.read(
        {each.name: transfer.download(each, folder, mirror=mirror) for each in brain.files},
        options,
    )


def _folder(directory: Any) -> Path:
    if directory is not None:
        return paths.path("directory", directory)
    import pooch  # noqa: PLC0415

    return Path(pooch.os_cache("sparsebrain"))


def _address(mirror: Any) -> str | None:
    if mirror is None:
        return None
    if not isinstance(mirror, str):
        raise TypeError(
            f"mirror must be a str, got {arguments.described(mirror)}; "
            "pass mirror='https://example.org/folder'"
        )
    if not mirror.startswith(("https://", "http://")):
        raise ValueError(
            f"mirror must be an address, got {mirror[:60]!r}; "
            "pass mirror='https://example.org/folder', or directory= for a folder of files"
        )
    return mirror
