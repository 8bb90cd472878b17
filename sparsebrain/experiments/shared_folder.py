"""Folders of finished trainings to which several commands may add at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock, Timeout

from sparsebrain.experiments.tables import append_csv, is_appendable, make_folder, write_csv

Key = TypeVar("Key", bound=Hashable)


class SharedFolder(ABC, Generic[Key]):
    """Finished trainings on disk, and which ones are under way.

    A command claims a training before it starts it. The claim is a lock of the operating system on
    a file in ``.claims``, so it ends with the process that holds it, however that ends. While a
    command reads or writes the tables, it holds the lock on ``.lock``.

    On Linux these are ``flock`` locks. Network file systems pass them on to the server (NFS since
    Linux 2.6.12, SMB), so that commands on several machines exclude each other as well. Where the
    server's lock service is switched off, the command ends with the error of the operating system;
    where a file system has no locks at all, filelock warns and uses the existence of the file
    instead, which has to be deleted by hand if its machine crashed.

    Args:
        folder: Is created if it does not exist.

    Raises:
        ValueError: The folder is a file, or a table in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.folder = folder
        self.torn: list[str] = []
        """The tables whose incomplete last row was left out."""
        self._claims: dict[Key, FileLock] = {}
        self._state: list[tuple[int, int, int]] = []
        with self._lock():
            self._refresh()

    @abstractmethod
    def __contains__(self, key: Key) -> bool:
        """Return whether a training is finished."""

    @property
    @abstractmethod
    def _tables(self) -> dict[Path, list[str]]:
        """The columns of each table, in the order in which a training is appended."""

    @abstractmethod
    def _read(self) -> None:
        """Read all tables, and set :attr:`torn`."""

    @abstractmethod
    def _rows(self) -> Iterator[Iterable[Sequence[object]]]:
        """Yield the rows of each table, in order."""

    def claim(self, key: Key) -> bool:
        """Claim a training for this command.

        Returns:
            True if this command is to train it. Otherwise it is finished by now, or another command
            is training it.
        """
        with self._lock():
            if not self._take(key, _name(key)):
                return False
            self._refresh()
            if key in self:
                self._give_back(key)
                return False
            return True

    def release(self, key: Key) -> None:
        """End the claim on a training; nothing happens if there is none."""
        with self._lock():
            self._give_back(key)

    def release_all(self) -> None:
        """End all claims of this command."""
        with self._lock():
            for key in list(self._claims):
                self._give_back(key)

    def tidy(self) -> None:
        """Put the rows of the tables into order, and remove what killed commands have left.

        Trainings finish in any order, but the same command leaves the same tables each time.
        """
        with self._lock():
            self._refresh()
            self._write()
            for path in self._claims_folder.iterdir() if self.is_untidy else ():
                leftover = object()
                if self._take(leftover, path.name):
                    self._give_back(leftover)
            with contextlib.suppress(OSError):
                # Refused while other commands have claims.
                self._claims_folder.rmdir()

    @property
    def is_untidy(self) -> bool:
        """Whether a command that trains in this folder has not tidied it, or not yet."""
        return self._claims_folder.is_dir()

    @property
    def _claims_folder(self) -> Path:
        return self.folder / ".claims"

    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock")

    def _append(self, key: Key, *rows: Iterable[Sequence[object]]) -> None:
        """Append the rows of a training to each table, and end the claim on it."""
        # A table of an older version, or one that a killed command has cut short.
        if self.torn or not all(map(is_appendable, self._tables, self._tables.values())):
            self._read()
            self._write()
        # Rows that other commands have added since the last reading are read when needed.
        is_current = self._states() == self._state
        for path, new in zip(self._tables, rows, strict=True):
            append_csv(path, new)
        if is_current:
            self._state = self._states()
        self._give_back(key)

    def _write(self) -> None:
        for (path, columns), rows in zip(self._tables.items(), self._rows(), strict=True):
            write_csv(path, columns, rows)
        self.torn = []
        self._state = self._states()

    def _take(self, key: Any, name: str) -> bool:
        self._claims_folder.mkdir(exist_ok=True)
        # Tasks are handed out by threads of joblib, results arrive in the main thread.
        lock = FileLock(self._claims_folder / name, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        self._claims[key] = lock
        return True

    def _give_back(self, key: Any) -> None:
        lock = self._claims.pop(key, None)
        if lock is not None:
            # No command can open it in the meantime, which would require the lock of the folder.
            # Windows does not delete open files.
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()

    def _refresh(self) -> None:
        """Read the tables if they are not as this command has left them."""
        state = self._states()
        if state != self._state:
            self._read()
            self._state = state

    def _states(self) -> list[tuple[int, int, int]]:
        states = []
        for path in self._tables:
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                # Use the open file, because network file systems cache the attributes of paths.
                found = os.fstat(file.fileno())
                states.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return states


def _name(key: Any) -> str:
    return hashlib.sha256(repr(astuple(key)).encode()).hexdigest()[:32]
