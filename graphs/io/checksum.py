"""Checksums that reveal damaged files."""

import hashlib
import os
import re
from typing import BinaryIO

# A comment in XML and in ZIP, and beyond the end of an HDF5 file. Other programs do not write it
# again, and their files are then read without a check.
_BEGIN = b"<!-- sha256 "
_END = b" -->\n"
_SEAL = re.compile(rb"<!-- sha256 ([0-9a-f]{64}) -->\s*")
# The bytes at the end that may hold a checksum; an editor may have added blank lines below it.
_TAIL = 1024
_PIECE = 2**20
# The last record of a ZIP archive without a comment, whose last two bytes are the comment's length.
_ARCHIVE_END = b"PK\x05\x06"
_ARCHIVE_END_SIZE = 22


def digest(file: BinaryIO, size: int | None = None) -> str:
    """Return the SHA-256 of a file, or of its first `size` bytes, and rewind it."""
    found = hashlib.sha256()
    file.seek(0)
    left = os.fstat(file.fileno()).st_size if size is None else size
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        found.update(piece)
        left -= len(piece)
    file.seek(0)
    return found.hexdigest()


def seal(file: BinaryIO) -> None:
    """Append the checksum of a file to it."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - _ARCHIVE_END_SIZE, 0))
    if file.read(len(_ARCHIVE_END)) == _ARCHIVE_END:
        length = len(_BEGIN) + 2 * hashlib.sha256().digest_size + len(_END)
        file.seek(end - 2)
        file.write(length.to_bytes(2, "little"))
    file.flush()
    line = _BEGIN + digest(file).encode() + _END
    file.seek(0, os.SEEK_END)
    file.write(line)


def check_seal(file: BinaryIO) -> None:
    """Compare a file with the checksum at its end, if there is one, and rewind it.

    Raises:
        ValueError: The checksum differs or is damaged itself.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    tail = file.read()
    at = tail.rfind(_BEGIN)
    file.seek(0)
    if at < 0:
        return
    found = _SEAL.fullmatch(tail, at)
    if found is None or digest(file, size - len(tail) + at) != found[1].decode():
        raise ValueError(
            "it is damaged or was edited, as it differs from the checksum in its last line; take a "
            "whole copy, or, if you have edited it, delete that line"
        )
