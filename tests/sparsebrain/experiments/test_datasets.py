from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sparsebrain.experiments import datasets
from sparsebrain.experiments.datasets import load


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=draw.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        y_train=np.arange(6, dtype=np.uint8),
        x_test=np.full((2, 28, 28), 255, np.uint8),
        y_test=np.array([9, 0], np.uint8),
    )
    return tmp_path


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "fetch_openml", refuse)
    monkeypatch.delenv("SPARSEBRAIN_DATA", raising=False)


def test_digits_are_whole_and_always_split_alike():
    digits = load("digits")
    assert (len(digits.train_x), len(digits.test_x)) == (1437, 360)
    assert digits.train_x.shape[1] == 64
    assert (float(digits.train_x.min()), float(digits.train_x.max())) == (0, 1)
    assert int(digits.test_y.bincount().min()) >= 34
    assert torch.equal(load("digits").test_x, digits.test_x)
    with pytest.raises(ValueError, match="name must be one of 'digits', 'mnist', 'fashion-mnist'"):
        load("digit")


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_images_come_from_a_folder(folder, monkeypatch, way):
    if way == "environment":
        monkeypatch.setenv("SPARSEBRAIN_DATA", str(folder))
    images = load("mnist", folder if way == "argument" else None)
    assert images.sheet == (28, 28)
    assert images.train_x.shape == (6, 784)
    assert images.train_x.dtype == torch.float32
    assert torch.equal(images.test_x, torch.ones(2, 784))
    assert images.test_y.tolist() == [9, 0]


def test_without_files_and_offline_three_ways_are_named(folder, monkeypatch):
    with pytest.raises(ValueError, match="data_dir: .* pass .* SPARSEBRAIN_DATA, or connect once"):
        load("mnist")
    monkeypatch.setenv("SPARSEBRAIN_DATA", str(folder))
    with pytest.raises(ValueError, match="fashion-mnist was not found"):
        load("fashion-mnist")
    with pytest.raises(ValueError, match="data_dir: .* has no fashion-mnist; pass a folder with"):
        load("fashion-mnist", folder)


def test_openml_serves_where_there_are_no_files(monkeypatch):
    asked = []

    def serve(name, **options):
        asked.append((name, options["version"], options["as_frame"]))
        data = np.zeros((70_000, 784))
        data[60_000:, 0] = 255
        return SimpleNamespace(data=data, target=np.array(["3"] * 60_000 + ["4"] * 10_000))

    monkeypatch.setattr(datasets, "fetch_openml", serve)
    images = load("fashion-mnist")
    assert asked == [("Fashion-MNIST", 1, False)]
    assert (len(images.train_x), len(images.test_x)) == (60_000, 10_000)
    assert images.test_x[0, :2].tolist() == [1, 0]
    assert (set(images.train_y.tolist()), set(images.test_y.tolist())) == ({3}, {4})
