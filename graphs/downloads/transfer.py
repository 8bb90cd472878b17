"""Downloads that resume where they stopped and are checked against published checksums."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

# At most this much is lost when a connection ends.
_CHUNK = 2**16
_ATTEMPTS = 5
_PAUSE = 1.0
_TIMEOUT = 60.0
# Answers that another attempt does not change.
_FINAL = (400, 401, 403, 404, 410)
_RANGE_IGNORED, _RANGE_SENT, _RANGE_PAST_END = 200, 206, 416


@dataclass(frozen=True)
class Remote:
    """A published file.

    Attributes:
        url: Its address.
        size: Its size in bytes.
        checksum: Its checksum as "md5:..." or "sha256:...", or None if none is published. It is
            then checked against the MD5 in the answer of the server, if that states one.
    """

    url: str
    size: int
    checksum: str | None = None

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rsplit("/", 1)[1]


def download(remote: Remote, folder: Path, *, mirror: str | None = None) -> Path:
    """Return the path of a complete file in a folder, downloaded if it is not there.

    Several processes may call this at the same time; one of them downloads.

    Args:
        remote: The published file.
        folder: The folder, which is created.
        mirror: The address of a folder that has a copy of the file, or None for its own address.

    Raises:
        ConnectionError: The server did not send the whole file. What arrived is kept, and the next
            call continues from there.
        ValueError: The file is not the published one; it is removed.
        OSError: The disk has too little space.
    """
    import pooch  # noqa: PLC0415
    from filelock import FileLock  # noqa: PLC0415

    path = folder / remote.name
    if remote.checksum is not None and path.exists() and path.stat().st_size == remote.size:
        # A folder that is shared may be read-only.
        kind, _, value = remote.checksum.partition(":")
        if pooch.file_hash(str(path), alg=kind) == value:
            return path
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{remote.name}.lock"):
        # A file of the wrong size is not worth the time of a checksum.
        if path.exists() and path.stat().st_size != remote.size:
            path.unlink()
        if not path.exists():
            path.with_name(path.name + ".sha256").unlink(missing_ok=True)
            free = shutil.disk_usage(folder).free
            if free < remote.size:
                raise OSError(
                    f"{remote.name} needs {remote.size / 1e6:.0f} MB, and {str(folder)!r} has "
                    f"{free / 1e6:.0f} MB left; pass directory= with a folder on another disk"
                )
        url = remote.url if mirror is None else f"{mirror.rstrip('/')}/{remote.name}"
        known = _kept_checksum(path) if remote.checksum is None else remote.checksum
        log = pooch.get_logger()
        level = log.level
        # Without a checksum, pooch advises to state one.
        log.setLevel("WARNING")
        try:
            pooch.retrieve(url, known, remote.name, folder, downloader=_Resuming(remote, path))
        except ValueError as error:
            # Of pooch, whose message speaks of hashes alone.
            raise ValueError(
                f"{url} is not the published file: its checksum is not {known}; the copy was "
                "removed, so call fetch again, and pass mirror= if it fails again"
            ) from error
        finally:
            log.setLevel(level)
        if remote.checksum is None:
            _keep_checksum(path)
    return path


class _RefusedError(Exception):
    """The server answered that it will not send the file."""


class _Resuming:
    """A downloader of pooch that continues a file which an earlier call began.

    Args:
        remote: The published file.
        path: Where the file will lie; its beginning is kept beside it.
    """

    def __init__(self, remote: Remote, path: Path) -> None:
        self._remote = remote
        self._part = path.with_name(path.name + ".part")
        # The server's name for the version of the file that the part belongs to.
        self._tag = path.with_name(path.name + ".part.etag")

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download a file; pooch checks and moves it."""
        import requests  # noqa: PLC0415

        failure: Exception | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE * attempt)
            try:
                stated = self._continue(url)
                break
            except _RefusedError as error:
                raise ConnectionError(
                    f"{url}: the server answered {error}; pass mirror= with the address of a "
                    f"folder that has the file, or put it into {str(self._part.parent)!r}"
                ) from None
            except requests.RequestException as error:
                failure = error
        else:
            arrived = self._arrived()
            raise ConnectionError(
                f"{url}: {arrived} of {self._remote.size} bytes arrived; call fetch again to "
                f"continue, or put the file into {str(self._part.parent)!r}"
            ) from failure
        self._check(url, stated)
        self._tag.unlink(missing_ok=True)
        self._part.replace(output_file)

    def _arrived(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _continue(self, url: str) -> str | None:
        """Append what is missing, and return the MD5 that the server states, in hexadecimal."""
        import requests  # noqa: PLC0415

        arrived = self._arrived()
        if arrived > self._remote.size:
            self._part.unlink()
            arrived = 0
        headers = {"Accept-Encoding": "identity"}
        if arrived:
            headers["Range"] = f"bytes={arrived}-"
            if self._tag.exists():
                headers["If-Range"] = self._tag.read_text()
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == _RANGE_PAST_END and arrived == self._remote.size:
                return None
            if response.status_code in _FINAL:
                raise _RefusedError(f"{response.status_code} {response.reason}")
            response.raise_for_status()
            # A server that ignores the range sends the file from its beginning.
            if response.status_code != _RANGE_SENT:
                arrived = 0
            self._remember_version(response)
            self._receive(response, arrived)
            return _stated_md5(response)

    def _remember_version(self, response: requests.Response) -> None:
        tag = response.headers.get("ETag", "")
        # A weak tag does not promise the same bytes.
        if tag and not tag.startswith("W/"):
            self._tag.write_text(tag)
        else:
            self._tag.unlink(missing_ok=True)

    def _receive(self, response: requests.Response, arrived: int) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415

        with (
            open(self._part, "ab" if arrived else "wb") as file,
            Progress(
                *Progress.get_default_columns(),
                DownloadColumn(),
                TransferSpeedColumn(),
                console=Console(file=sys.stderr),
                disable=not sys.stderr.isatty(),
            ) as progress,
        ):
            task = progress.add_task(self._remote.name, total=self._remote.size, completed=arrived)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                arrived += len(chunk)
                progress.update(task, completed=arrived)
                # More than was published is another file, and could fill the disk.
                if arrived > self._remote.size:
                    break

    def _check(self, url: str, md5: str | None) -> None:
        """Check what pooch cannot: the size, and the checksum that the server states."""
        arrived = self._arrived()
        if arrived == self._remote.size and md5 in (None, _md5(self._part)):
            return
        self._tag.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)
        size = f"{arrived} bytes instead of {self._remote.size}"
        raise ConnectionError(
            f"{url} is not the published file: "
            f"{size if arrived != self._remote.size else 'it was damaged on the way'}; the copy "
            "was removed, so call fetch again, and pass mirror= if it fails again"
        )


def _stated_md5(response: requests.Response) -> str | None:
    """Return the MD5 that Google's storage states, in hexadecimal."""
    for each in response.headers.get("x-goog-hash", "").split(","):
        kind, _, value = each.strip().partition("=")
        if kind == "md5":
            return base64.b64decode(value).hex()
    return None


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _kept_checksum(path: Path) -> str | None:
    """Return the checksum that was written when the file arrived."""
    kept = path.with_name(path.name + ".sha256")
    return f"sha256:{kept.read_text().strip()}" if path.exists() and kept.exists() else None


def _keep_checksum(path: Path) -> None:
    """Write the checksum of a file for which none is published, so that later damage is seen."""
    kept = path.with_name(path.name + ".sha256")
    if not kept.exists():
        with open(path, "rb") as file:
            kept.write_text(hashlib.file_digest(file, "sha256").hexdigest() + "\n")
