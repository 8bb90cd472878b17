"""Columns of untrusted HDF5 files."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO

from numpy.typing import NDArray

from graphs.io.limits import check_bytes

# HDF5's numbers of these filters. Others may be plugins, and unpack to any size.
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3


def library() -> ModuleType:
    """Return h5py.

    Raises:
        ModuleNotFoundError: h5py is not installed; the message says how to install it.
    """
    try:
        import h5py  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "files in HDF5 need h5py; call pip install 'sparsebrain[sonata]' or pip install h5py"
        ) from None
    return h5py


@contextmanager
def open_columns(file: BinaryIO, max_bytes: int) -> Iterator[Columns]:
    """Open a file for reading.

    Raises:
        ValueError: Something precedes the content of HDF5.
    """
    with library().File(file, "r") as root:
        if root.userblock_size:
            raise ValueError("something precedes its content; call h5unjam to remove it")
        yield Columns(root, file, max_bytes)


class Columns:
    """Reads datasets of one file, of at most `max_bytes` together, and nothing outside of it."""

    def __init__(self, root: Any, file: BinaryIO, max_bytes: int) -> None:
        self.root = root
        self._file = file
        self._max_bytes = max_bytes
        self._read = 0

    def find(self, group: Any, name: str, kind: type) -> Any:
        """Return a member of a group, or None if there is none.

        Raises:
            ValueError: The member is not a `kind`, a group or a dataset, of this file.
        """
        h5py = library()
        link = group.get(name, getlink=True)
        if link is None:
            return None
        found = group[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(found, kind):
            raise ValueError(
                f"expected a {kind.__name__.lower()} {name!r} of the file itself, got another "
                "object "
                "or a link; copy it into the file"
            )
        return found

    def column(self, group: Any, name: str, kinds: str, length: int | None) -> NDArray[Any] | None:
        """Return a dataset of one axis, or None if there is none.

        Args:
            group: The group that may have it.
            name: Its name.
            kinds: The kinds of dtypes that are allowed, as NumPy's letters.
            length: The length, or None for any.

        Raises:
            ValueError: It has another dtype or shape, or is too large.
        """
        dataset = self.find(group, name, library().Dataset)
        if dataset is None:
            return None
        shape: tuple[int, ...] = () if dataset.shape is None else dataset.shape
        if len(shape) != 1 or length not in (None, shape[0]) or dataset.dtype.kind not in kinds:
            raise ValueError(
                f"{dataset.name} must be {'a row of' if length is None else length} values of the "
                f"kind {kinds!r}, got {dataset.dtype} {list(shape)}; write it as SONATA defines it"
            )
        return self.values(dataset)

    def values(self, dataset: Any) -> Any:
        """Return the values of a dataset whose size has been checked.

        Raises:
            ValueError: It is too large, is in another file, or has values of variable length.
        """
        self._read += math.prod(dataset.shape) * dataset.dtype.itemsize
        check_bytes("it unpacks to", self._read, self._max_bytes)
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{dataset.name} is in another file; copy it into this one")
        if dataset.dtype.hasobject:
            raise ValueError(
                f"{dataset.name} has values of variable length; store text of a fixed one"
            )
        if dataset.chunks:
            self._check_chunks(dataset)
        return dataset[()]

    def _check_chunks(self, dataset: Any) -> None:
        """Unpack each chunk up to its expected size; HDF5 itself would go on without a bound."""
        size = math.prod(dataset.chunks) * dataset.dtype.itemsize
        check_bytes(f"a chunk of {dataset.name} has", size, self._max_bytes)
        properties = dataset.id.get_create_plist()
        filters = [properties.get_filter(at)[0] for at in range(properties.get_nfilters())]
        allowed = [each for each in filters if each in (_DEFLATE, _SHUFFLE, _CHECKSUM)]
        if allowed != filters or filters.count(_DEFLATE) > 1:
            raise ValueError(f"{dataset.name} is not packed by gzip; repack it with h5repack")
        if _DEFLATE not in filters:
            return

        def check(chunk: Any) -> None:
            self._file.seek(chunk.byte_offset)
            unpacking = zlib.decompressobj()
            unpacking.decompress(self._file.read(chunk.size), size)
            # This yields another byte, or reaches the end of the stream.
            if chunk.filter_mask or unpacking.decompress(unpacking.unconsumed_tail, 1):
                raise ValueError(
                    f"a chunk of {dataset.name} unpacks to more than {size} bytes; take a whole "
                    "copy "
                    "of the file"
                )

        dataset.id.chunk_iter(check)
