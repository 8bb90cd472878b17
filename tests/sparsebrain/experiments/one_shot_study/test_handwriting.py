"""Handwriting comes from files or OpenML, and takes the place of rendered characters."""

import gzip
import hashlib
import json
import struct
from urllib.error import URLError

import numpy as np
import pytest
import torch

from sparsebrain.experiments.one_shot_study import characters, handwriting
from sparsebrain.experiments.one_shot_study.characters import Draw
from sparsebrain.experiments.one_shot_study.sources import parse_all


def made_up(classes, each, seed=0):
    """Images whose first pixel is the class, and their labels, in random order."""
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat(np.arange(classes), each)).astype(np.uint8)
    x = random.integers(0, 256, (len(y), 28, 28), dtype=np.uint8)
    x[:, 0, 0] = y
    x[:, 0, 1] = 255
    return x, y


def idx(values):
    head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


def load(*texts, folder=None):
    return handwriting.load(parse_all("data", texts), folder)


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty cache of scikit-learn, and no network."""

    def refuse(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.delenv("SPARSEBRAIN_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", refuse)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)


@pytest.fixture
def cache(tmp_path):
    """Puts a data set where scikit-learn keeps what it fetched from OpenML."""

    def keep(name, x, y):
        def put(path, content):
            file = tmp_path / "cache/openml/openml.org" / f"{path}.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(gzip.compress(content))

        def put_json(path, content):
            put(f"api/v1/json/data/{path}", json.dumps(content).encode())

        columns = [f"pixel{number}" for number in range(1, 785)]
        lines = [
            ",".join(map(str, [*image.ravel(), label])) for image, label in zip(x, y, strict=True)
        ]
        labels = ",".join(map(str, range(int(y.max()) + 1)))
        arff = [
            *("@RELATION made_up", *(f"@ATTRIBUTE {each} REAL" for each in columns)),
            *(f"@ATTRIBUTE class {{{labels}}}", "@DATA", *lines),
        ]
        content = "\n".join(arff).encode() + b"\n"
        put("data/v1/download/7/made_up.arff", content)
        listed = {"data": {"dataset": [{"did": 7, "name": name, "version": 1}]}}
        put_json(f"list/data_name/{name.lower()}/limit/2/data_version/1", listed)
        description = {
            **{"id": "7", "name": name, "version": "1", "status": "active", "format": "ARFF"},
            "description": "",
            "url": "https://www.openml.org/data/v1/download/7/made_up.arff",
            "md5_checksum": hashlib.md5(content).hexdigest(),
        }
        put_json("7", {"data_set_description": description})
        common = dict.fromkeys(("is_ignore", "is_row_identifier"), "false")
        common["number_of_missing_values"] = "0"
        features = [
            {"index": str(number), "name": each, "data_type": kind, "is_target": target, **common}
            for number, (each, kind, target) in enumerate(
                [*((each, "numeric", "false") for each in columns), ("class", "nominal", "true")]
            )
        ]
        put_json("features/7", {"data_features": {"feature": features}})
        quality = [{"name": "NumberOfInstances", "value": str(len(y))}]
        put_json("qualities/7", {"data_qualities": {"quality": quality}})

    return keep


def test_without_texts_the_characters_are_those_of_the_package():
    assert load() is characters.load()


def test_new_characters_replace_the_letters_alone(tmp_path):
    x, y = made_up(3, 40)
    np.savez(tmp_path / "mine.npz", images=x, labels=y.astype(np.int64) * 10)
    found, shipped = load(f"new:{tmp_path / 'mine.npz'}"), characters.load()
    assert found.known_x is shipped.known_x
    assert (found.known_name, found.letters_name) == ("hiragana", "mine")
    assert (found.num_known, found.num_letters) == (46, 3)
    assert torch.equal(found.letters_y.bincount(), torch.tensor([32] * 3))
    assert torch.equal((255 * found.letters_x[:, 0, 0]).round().long(), found.letters_y)
    assert found.letters_x.max() == 1
    # Writers are unknown, so that every other image is asked.
    draw = Draw(found, 5, np.random.default_rng(0))
    assert draw.shown.shape == (3, 5)
    assert len(draw.asked) == 3 * 27
    assert torch.equal(found.letters_y[draw.asked], draw.answers)
    assert not set(draw.shown.flatten().tolist()) & set(draw.asked.tolist())
    assert found.checksum != shipped.checksum
    assert found.checksum == load(f"new:{tmp_path / 'mine.npz'}").checksum


def test_known_characters_replace_the_hiragana_alone_and_are_divided(tmp_path):
    x, y = made_up(4, 10)
    np.savez(tmp_path / "mine.npz", images=x, labels=y)
    found = load(f"known:{tmp_path / 'mine.npz'}")
    assert found.letters_x is characters.load().letters_x
    assert torch.equal(found.known_y.bincount(), torch.tensor([8] * 4))
    assert torch.equal(found.test_y.bincount(), torch.tensor([2] * 4))
    for images, classes in ((found.known_x, found.known_y), (found.test_x, found.test_y)):
        assert torch.equal((255 * images[:, 0, 0]).round().long(), classes)
    every = torch.cat([found.known_x, found.test_x]).flatten(1)
    assert len(every.unique(dim=0)) == 40


def test_many_images_are_reduced_to_about_4800_for_training(tmp_path):
    x, y = made_up(2, 3100)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    found = load(f"known:{tmp_path / 'a.npz'}")
    assert torch.equal(found.known_y.bincount(), torch.tensor([2400] * 2))
    assert torch.equal(found.test_y.bincount(), torch.tensor([32] * 2))
    first = torch.tensor(x[:100]).float() / 255
    assert all((first == each).flatten(1).all(1).any() for each in found.test_x)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pair_of_idx_files(tmp_path, zipped):
    x, y = made_up(2, 6)
    for values, kind in ((x, "images-idx3"), (y, "labels-idx1")):
        file = tmp_path / f"my-{kind}-ubyte{'.gz' * zipped}"
        file.write_bytes(gzip.compress(idx(values)) if zipped else idx(values))
    found = load(f"new:{tmp_path / 'my-images-idx3-ubyte'}{'.gz' * zipped}")
    assert torch.equal((255 * found.letters_x[:, 0, 0]).round().long(), found.letters_y)
    assert len(found.letters_y) == 12


def test_published_files_are_found_under_their_names(tmp_path):
    (train, train_y), (test, test_y) = made_up(10, 3), made_up(10, 2, seed=1)
    for name in ("kmnist", "k49"):
        for part, x, y in (("train", train, train_y), ("test", test, test_y)):
            np.savez(tmp_path / f"{name}-{part}-imgs.npz", x)
            np.savez(tmp_path / f"{name}-{part}-labels.npz", y)
    for name in ("kmnist", "kuzushiji-49"):
        found = load(name, folder=tmp_path)
        assert (len(found.known_y), len(found.test_y)) == (30, 20)
        assert (found.known_name, found.num_known) == (name, 10)
    # EMNIST counts from 1, and has rows and columns exchanged.
    place = tmp_path / "emnist-letters"
    place.mkdir()
    for part, x, y in (("train", train, train_y), ("test", test, test_y)):
        name = f"emnist-letters-{part}"
        file = place / f"{name}-images-idx3-ubyte.gz"
        file.write_bytes(gzip.compress(idx(np.ascontiguousarray(x.transpose(0, 2, 1)))))
        (place / f"{name}-labels-idx1-ubyte").write_bytes(idx(y + 17))
    with pytest.raises(ValueError, match="must have at least 6 images .* has 5; leave the class"):
        load("emnist-letters", folder=tmp_path)
    found = load("known:emnist-letters", folder=tmp_path)
    assert torch.equal((255 * found.known_x[:, 0, 0]).round().long(), found.known_y)
    assert (found.known_x[:, 0, 1] == 1).all()
    (place / "emnist-letters-test-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="data_dir: .*lacks emnist-letters-test-labels-idx1-ubyte"):
        load("known:emnist-letters", folder=tmp_path)


def test_openml_serves_from_the_cache_of_scikit_learn(cache):
    x, y = made_up(10, 5)
    cache("Kuzushiji-MNIST", x, y)
    found = load("kmnist")
    assert (len(found.known_y), len(found.test_y)) == (40, 10)
    assert torch.equal((255 * found.known_x[:, 0, 0]).round().long(), found.known_y)


def test_the_capitals_of_emnist_balanced_serve_as_letters(cache):
    x, y = made_up(37, 6)
    cache("EMNIST_Balanced", x.transpose(0, 2, 1), y)
    found = load("emnist-letters")
    assert found.num_letters == 26
    assert torch.equal(found.letters_y.bincount(), torch.tensor([6] * 26))
    assert torch.equal((255 * found.letters_x[:, 0, 0]).round().long(), found.letters_y + 10)
    assert (found.letters_x[:, 0, 1] == 1).all()


@pytest.mark.parametrize("name", ["kmnist", "kuzushiji-49", "emnist-letters"])
def test_without_files_and_offline_one_sentence_names_three_ways(name, tmp_path):
    with pytest.raises(ValueError, match="pass a folder with .* or connect once") as caught:
        load(name)
    told = str(caught.value)
    assert told.startswith(f"data_dir: {name} was not found, and OpenML could not be reached (")
    assert "no route to host" in told
    assert "\n" not in told
    with pytest.raises(ValueError, match=f"has no {name}; pass a folder with {name}.npz"):
        load(name, folder=tmp_path)


X, Y = made_up(2, 6)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": X}, "mine.npz cannot be read: it lacks images, labels, and x_train, y_train, x_te"),
        (
            {"images": X, "labels": Y[:-1]},
            r"labels of .* must be integers \[12\], .* got uint8 \[1",
        ),
        ({"images": X, "labels": Y / 2}, "must be integers .* got float64"),
        (
            {"images": X / 255, "labels": Y},
            r"must be uint8 \[n, 28, 28\], got float64 \[12, 28, 28",
        ),
        (
            {"images": X[:, 1:], "labels": Y},
            r"got uint8 \[12, 27, 28\]; pass an .npz file of uint8",
        ),
        ({"images": X[:0], "labels": Y[:0]}, "mine must have 2 to 100 classes, got 0"),
        ({"images": X, "labels": 0 * Y}, "mine must have 2 to 100 classes, got 1; pass images"),
        ({"images": X, "labels": np.arange(12)}, "at least 6 images .* the class 0 has 1; leave"),
        ({"images": np.tile(X, (20, 1, 1)), "labels": np.arange(240)}, "got 240"),
        ({"images": np.array([print]), "labels": Y}, "pickle"),
    ],
)
def test_files_that_do_not_fit_are_refused(arrays, told, tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(ValueError, match=told) as caught:
        load(f"new:{tmp_path / 'mine.npz'}")
    assert str(caught.value).startswith("data: ")


def test_known_characters_need_an_image_for_each_part(tmp_path):
    np.savez(tmp_path / "mine.npz", images=X[:3], labels=np.array([4, 4, 9]))
    with pytest.raises(ValueError, match="the class 9 of mine has no image for training; leave"):
        load(f"known:{tmp_path / 'mine.npz'}")
    split = {
        "x_train": X[:2],
        "y_train": np.array([4, 9]),
        "x_test": X[:1],
        "y_test": Y[:1] * 0 + 4,
    }
    np.savez(tmp_path / "mine.npz", **split)
    with pytest.raises(ValueError, match="the class 9 of mine has no image for testing"):
        load(f"known:{tmp_path / 'mine.npz'}")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"x" * 50, b"no archive"])
@pytest.mark.parametrize("name", ["mine.npz", "mine-images-idx3-ubyte", "mine.png"])
def test_damaged_files_are_refused(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "mine-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="data: .*mine.*; .*pass an .npz file"):
        load(f"new:{tmp_path / name}")
