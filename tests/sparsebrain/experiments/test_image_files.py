import gzip
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sparsebrain.experiments.image_files import Split, find, read_idx, read_npz

IDX = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
KEYS = ("x_train", "y_train", "x_test", "y_test")


def idx(values):
    return (
        bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    ) + values.tobytes()


@pytest.fixture
def split():
    draw = np.random.default_rng(0)
    return Split(
        draw.integers(0, 256, (5, 4, 3), dtype=np.uint8),
        np.array([0, 9, 3, 3, 1], np.uint8),
        draw.integers(0, 256, (2, 4, 3), dtype=np.uint8),
        np.array([7, 0], np.uint8),
    )


@pytest.fixture
def write(tmp_path, split):
    """Writes the set in one of its forms and returns the folder to look in."""

    def make(form, parts=split, folder="mnist"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for name, values in zip(IDX, parts, strict=True):
            if form == "idx":
                (place / name).write_bytes(idx(values))
            elif form == "gz":
                (place / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
        if form == "npz":
            np.savez(tmp_path / f"{folder}.npz", **dict(zip(KEYS, parts, strict=True)))
        return tmp_path

    return make


@given(
    arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)), st.booleans()
)
def test_what_is_written_as_idx_is_read(tmp_path_factory, values, zipped):
    path = tmp_path_factory.mktemp("idx") / ("values.gz" if zipped else "values")
    path.write_bytes(gzip.compress(idx(values)) if zipped else idx(values))
    np.testing.assert_array_equal(read_idx(path), values)


@pytest.mark.parametrize("form", ["idx", "gz", "npz"])
@pytest.mark.parametrize(
    ("folder", "name"), [("mnist", "mnist"), ("fashion_mnist", "fashion-mnist")]
)
def test_every_form_is_found(write, split, form, folder, name):
    for found, expected in zip(find(write(form, folder=folder), name), split, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_bare_files_are_mnist_and_nothing_else(write, tmp_path):
    write("idx", folder=".")
    assert find(tmp_path, "mnist") is not None
    assert find(tmp_path, "fashion-mnist") is None
    assert find(tmp_path / "empty", "mnist") is None


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda raw: raw[:-1], "has fewer than the 60 values"),
        (lambda raw: raw + b"\0", "has more than the 60 values"),
        (lambda raw: raw[:3], "not an IDX file of unsigned bytes"),
        (lambda raw: raw[:9], "its header is incomplete"),
        (lambda raw: b"", "not an IDX file of unsigned bytes"),
        (lambda raw: b"\x89PNG" + raw[4:], "not an IDX file of unsigned bytes"),
        (lambda raw: raw[:2] + b"\x0d" + raw[3:], "not an IDX file of unsigned bytes"),
        (lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], "its header states"),
    ],
)
def test_damaged_idx_files(tmp_path, split, zipped, change, match):
    raw = change(idx(split.train_x))
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    with pytest.raises(ValueError, match=match):
        read_idx(path)


def test_a_truncated_or_false_gzip_file(tmp_path, split):
    path = tmp_path / "images.gz"
    for raw in (gzip.compress(idx(split.train_x))[:-12], idx(split.train_x)):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"images.gz cannot be read"):
            read_idx(path)


def test_damaged_npz_files(write, tmp_path, split):
    path = write("npz") / "mnist.npz"
    whole = path.read_bytes()
    for raw in (whole[: len(whole) // 2], b"no zip", b""):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match="mnist.npz cannot be read"):
            read_npz(path)
    with path.open("wb") as file:
        np.save(file, split.train_x)
    with pytest.raises(ValueError, match="not an .npz file"):
        read_npz(path)
    np.savez(path, x_train=split.train_x)
    with pytest.raises(ValueError, match="it lacks y_train, x_test, y_test"):
        read_npz(path)


def test_an_npz_file_is_not_executed(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, **dict.fromkeys(KEYS, np.array([print], dtype=object)))
    with pytest.raises(ValueError, match="cannot be read.*pickle"):
        find(tmp_path, "mnist")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: s._replace(train_y=s.test_y), "5 training images, but 2 labels"),
        (lambda s: s._replace(test_x=s.test_x[:, :3]), "images must have one size"),
        (lambda s: s._replace(train_x=s.train_y, train_y=s.train_x), "must be uint8"),
        (lambda s: s._replace(test_y=s.test_y + 4), "labels must be 0 to 9, got 11"),
        (lambda s: s._replace(test_x=s.test_x[:0], test_y=s.test_y[:0]), "0 test images"),
    ],
)
@pytest.mark.parametrize("form", ["idx", "npz"])
def test_parts_that_do_not_belong_together(write, split, change, match, form):
    with pytest.raises(ValueError, match=match):
        find(write(form, change(split)), "mnist")


def test_a_set_with_a_missing_part(write):
    folder = write("gz")
    (folder / "mnist" / f"{IDX[1]}.gz").unlink()
    with pytest.raises(ValueError, match=f"lacks {IDX[1]}"):
        find(folder, "mnist")


DAMAGES = {
    "flip": lambda raw, at: raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :],
    "cut": lambda raw, at: raw[:at],
    "zeros": lambda raw, at: raw[:at] + bytes(16) + raw[at + 16 :],
    "insert": lambda raw, at: raw[:at] + b"x" + raw[at:],
    "repeat": lambda raw, at: raw[: at + 9] + raw[at:],
}


def read_or_refuse(folder):
    try:
        return find(folder, "mnist"), ""
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize("form", ["idx", "gz", "npz"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused_or_images(write, split, form, damage):
    """Plain IDX has no checksum: changed pixels are pixels."""
    folder = write(form)
    for part in [path for path in folder.rglob("*") if path.is_file()]:
        raw = part.read_bytes()
        for at in range(0, len(raw), max(1, len(raw) // 25)):
            part.write_bytes(DAMAGES[damage](raw, at))
            found, told = read_or_refuse(folder)
            if found is None:
                assert str(folder) in told
                assert re.search("; (download it again|write it with|take a whole)", told)
            else:
                for one, other in zip(found, split, strict=True):
                    assert one.dtype == np.uint8
                    if form != "idx":
                        np.testing.assert_array_equal(one, other)
        part.write_bytes(raw)


def npy(shape, values=b""):
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + values


def bomb(path, size):
    """Write an archive that unpacks to four times `size` bytes of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for key in KEYS:
            with file.open(f"{key}.npy", "w") as part:
                part.write(npy((size,)))
                for _ in range(size // 2**20):
                    part.write(bytes(2**20))


def refuse_in_little_memory(read, path, match):
    tracemalloc.start()
    with pytest.raises(ValueError, match=match):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_an_npz_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "mnist.npz"
    bomb(path, 2**28 + 2**20)
    assert path.stat().st_size < 2**23
    refuse_in_little_memory(
        read_npz, path, r"mnist.npz cannot be read: it unpacks to \d+ bytes, more than \d+; pass f"
    )
    for shape in ((2**40,), (0, 2**40), (2**20, 2**20, 2**20)):
        with zipfile.ZipFile(path, "w") as file:
            for key in KEYS:
                file.writestr(f"{key}.npy", npy(shape))
        refuse_in_little_memory(read_npz, path, "mnist.npz cannot be read: .*; ")


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_an_idx_bomb_is_not_unpacked(tmp_path, name):
    path = tmp_path / name
    opened = gzip.open if name.endswith(".gz") else open
    for sides, match in (
        ((2**31, 2**31, 2**31), r"states \d+ values, more than 1073741824; download it again"),
        ((2**20, 2**5, 2**5), "has fewer than the 1073741824 values in its header; download"),
        ((1, 2, 3), "has more than the 6 values in its header; download it again"),
    ):
        with opened(path, "wb") as file:
            file.write(bytes((0, 0, 8, 3)) + struct.pack(">3I", *sides))
            for _ in range(16 if sides[0] == 1 else 1):
                file.write(bytes(2**20))
        refuse_in_little_memory(read_idx, path, f"{name} .*{match}")


@pytest.mark.parametrize("read", [read_idx, read_npz])
@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", bytes(99), b"<html>404</html>", gzip.compress(b"x", mtime=0), npy((3,), b"abc")],
)
def test_what_is_no_image_file(tmp_path, read, raw):
    for name in ("mnist.npz", "mnist.gz", "mnist"):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=f"{name} cannot be read: .*; ?(download|take|write)"):
            read(tmp_path / name)


def test_what_is_not_there(tmp_path):
    for read in (read_idx, read_npz):
        for path in (tmp_path, tmp_path / "nix"):
            with pytest.raises(ValueError, match=f"{path.name} cannot be read: .*; download it"):
                read(path)


def test_two_arrays_of_one_name(tmp_path):
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in (*KEYS, "x_tesd"):
            file.writestr(f"{name}.npy", npy((0,)))
    path.write_bytes(path.read_bytes().replace(b"x_tesd", b"x_test"))
    with pytest.raises(ValueError, match="mnist.npz cannot be read: it has two arrays of the same"):
        read_npz(path)
