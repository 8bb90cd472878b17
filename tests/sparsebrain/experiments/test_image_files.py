import gzip
import struct

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
            keys = ("x_train", "y_train", "x_test", "y_test")
            np.savez(tmp_path / f"{folder}.npz", **dict(zip(keys, parts, strict=True)))
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
        (lambda raw: raw[:3], "no IDX file of unsigned bytes"),
        (lambda raw: raw[:9], "its header is incomplete"),
        (lambda raw: b"", "no IDX file of unsigned bytes"),
        (lambda raw: b"\x89PNG" + raw[4:], "no IDX file of unsigned bytes"),
        (lambda raw: raw[:2] + b"\x0d" + raw[3:], "no IDX file of unsigned bytes"),
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
    with pytest.raises(ValueError, match="no .npz file"):
        read_npz(path)
    np.savez(path, x_train=split.train_x)
    with pytest.raises(ValueError, match="it lacks y_train, x_test, y_test"):
        read_npz(path)


def test_an_npz_file_is_not_executed(tmp_path):
    path = tmp_path / "mnist.npz"
    keys = ("x_train", "y_train", "x_test", "y_test")
    np.savez(path, **dict.fromkeys(keys, np.array([print], dtype=object)))
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
