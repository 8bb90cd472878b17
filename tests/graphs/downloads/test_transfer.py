"""Downloads from a server that sends files whole, cut, damaged or not at all."""

import base64
import hashlib
import shutil
import threading
from collections import namedtuple

import numpy as np
import pytest

from graphs.downloads.transfer import Remote, download

CONTENT = np.random.default_rng(0).bytes(5000)
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()


@pytest.fixture
def remote(server):
    server.files["brain.bin"] = CONTENT
    return Remote(f"{server.address}/data/brain.bin", len(CONTENT), CHECKSUM)


def left(folder):
    """The names of the files in a folder, but locks."""
    return sorted(each.name for each in folder.iterdir() if each.suffix != ".lock")


def test_good_file_arrives_once(server, remote, tmp_path):
    for _ in range(2):
        assert download(remote, tmp_path / "new").read_bytes() == CONTENT
    assert server.asked == [None]
    assert left(tmp_path / "new") == ["brain.bin"]


def test_cut_download_continues_within_a_call(server, remote, tmp_path):
    server.cut = [1000, 1500]
    assert download(remote, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=2500-"]
    assert left(tmp_path) == ["brain.bin"]


def test_cut_download_is_told_and_continues_in_the_next_call(server, remote, tmp_path):
    server.cut = [1000, 0, 0, 0, 0]
    with pytest.raises(ConnectionError, match=r"1000 of 5000 bytes arrived; call fetch again"):
        download(remote, tmp_path)
    assert not (tmp_path / "brain.bin").exists()
    server.asked.clear()
    assert download(remote, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]
    assert left(tmp_path) == ["brain.bin"]


def test_server_without_ranges_sends_everything_again(server, remote, tmp_path):
    server.ranges, server.cut = False, [1000]
    assert download(remote, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]


def test_parts_of_two_versions_are_not_joined(server, remote, tmp_path):
    server.files["brain.bin"], server.cut = CONTENT[::-1], [1000, 0, 0, 0, 0]
    with pytest.raises(ConnectionError, match="1000 of 5000"):
        download(remote, tmp_path)
    server.files["brain.bin"] = CONTENT
    assert download(remote, tmp_path).read_bytes() == CONTENT


def test_damaged_file_is_refused_and_removed(server, remote, tmp_path):
    server.files["brain.bin"] = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(ValueError, match=r"is not the published file: its checksum .*mirror="):
        download(remote, tmp_path)
    assert left(tmp_path) == []
    server.files["brain.bin"] = CONTENT
    assert download(remote, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"more", b""])
def test_file_of_another_size_is_refused_and_removed(server, remote, tmp_path, content):
    server.files["brain.bin"] = content
    with pytest.raises(ConnectionError, match=r"bytes instead of 5000"):
        download(remote, tmp_path)
    assert left(tmp_path) == []


def test_later_damage_is_seen_and_mended(server, remote, tmp_path):
    path = download(remote, tmp_path)
    for damaged in (CONTENT[:100], b"x" + CONTENT[1:]):
        path.write_bytes(damaged)
        assert download(remote, tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_checksum_of_the_server_takes_the_place_of_a_published_one(server, remote, tmp_path):
    remote = Remote(remote.url, remote.size)
    server.headers = {"x-goog-hash": f"crc32c=AAAAAA==,md5={MD5}"}
    server.files["brain.bin"] = b"x" + CONTENT[1:]
    with pytest.raises(ConnectionError, match="damaged on the way"):
        download(remote, tmp_path)
    assert left(tmp_path) == []
    server.files["brain.bin"] = CONTENT
    path = download(remote, tmp_path)
    path.write_bytes(b"x" + CONTENT[1:])
    assert download(remote, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_is_told_at_once(server, remote, tmp_path, status):
    server.status = status
    with pytest.raises(ConnectionError, match=rf"answered {status} .*; pass mirror="):
        download(remote, tmp_path)
    assert len(server.asked) == 1


def test_busy_server_is_asked_again(server, remote, tmp_path):
    server.status = 503
    with pytest.raises(ConnectionError, match="0 of 5000 bytes arrived"):
        download(remote, tmp_path)
    assert len(server.asked) == 5


def test_no_server_is_told(server, remote, tmp_path):
    server.stop()
    with pytest.raises(ConnectionError, match="0 of 5000 bytes arrived; call fetch again"):
        download(remote, tmp_path)


def test_mirror_is_asked_instead(server, remote, tmp_path):
    remote = Remote("http://127.0.0.1:9/data/brain.bin", remote.size, CHECKSUM)
    assert download(remote, tmp_path, mirror=f"{server.address}/copy/").read_bytes() == CONTENT


def test_full_disk_is_told_before_anything_is_sent(server, remote, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(4999))
    with pytest.raises(OSError, match=r"brain\.bin needs 0 MB, and .* has 0 MB left"):
        download(remote, tmp_path)
    assert server.asked == []


def test_two_calls_download_once(server, remote, tmp_path):
    threads = [threading.Thread(target=download, args=(remote, tmp_path)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert server.asked == [None]
    assert (tmp_path / "brain.bin").read_bytes() == CONTENT


def test_complete_files_of_a_shared_folder_need_no_right_to_write(server, remote, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "brain.bin").write_bytes(CONTENT)
    assert download(remote, folder).read_bytes() == CONTENT
    assert [each.name for each in folder.iterdir()] == ["brain.bin"]
    assert server.asked == []
