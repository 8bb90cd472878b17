"""The images in the package are whole, and draws ask letters in fonts that were not shown."""

import importlib.util
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

from sparsebrain.experiments.one_shot_study.characters import Draw, load

ROOT = Path(__file__).parents[4]
FOLDER = files("sparsebrain.experiments.one_shot_study").joinpath("data")


@pytest.fixture(scope="module")
def render():
    spec = importlib.util.spec_from_file_location("render", ROOT / "examples/one_shot/render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_small_and_every_class_and_font_has_as_many_images():
    packed = FOLDER.joinpath("characters.npz").read_bytes()
    assert len(packed) <= 10**6
    images = load()
    assert images.known_x.shape == (16 * 46 * 3, 28, 28)
    assert images.test_x.shape == (8 * 46 * 4, 28, 28)
    assert images.letters_x.shape == (8 * 26 * 4, 28, 28)
    assert torch.equal(images.known_y.bincount(), torch.full((46,), 48))
    assert torch.equal(images.test_y.bincount(), torch.full((46,), 32))
    assert torch.equal(images.letters_y.bincount(), torch.full((26,), 32))
    pairs = images.letters_y * 8 + images.letters_font
    assert torch.equal(pairs.bincount(), torch.full((208,), 4))
    for each in (images.known_x, images.test_x, images.letters_x):
        assert each.min() == 0
        assert each.max() == 1
        assert each.amax((1, 2)).min() > 0.3


def test_every_font_is_listed_with_its_license_and_none_is_in_both_parts():
    origin = FOLDER.joinpath("README.md").read_text()
    with np.load(FOLDER.joinpath("characters.npz"), allow_pickle=False) as arrays:
        train, test = (set(arrays[f"{part}_font_names"]) for part in ("train", "test"))
    assert (len(train), len(test)) == (16, 8)
    assert not train & test
    rows = [line.split("|") for line in origin.splitlines() if line.startswith("| t")]
    assert sum(row[2].count(";") + row[2].count(",") + 1 for row in rows[:-8]) >= 16
    assert all(row[5].strip() for row in rows)


@pytest.mark.parametrize("examples", [1, 2, 5])
def test_no_letter_is_asked_in_a_font_of_its_examples(examples):
    images = load()
    draw = Draw(images, examples, np.random.default_rng(0))
    assert draw.shown.shape == (26, examples)
    assert torch.equal(images.letters_y[draw.shown], torch.arange(26).repeat(examples, 1).T)
    assert len(draw.asked) == 26 * (8 - examples) * 4
    shown = set((images.letters_y * 8 + images.letters_font)[draw.shown].flatten().tolist())
    asked = set((images.letters_y * 8 + images.letters_font)[draw.asked].tolist())
    assert len(shown) == 26 * examples
    assert not shown & asked


def test_rendering_is_reproducible_and_refuses_what_a_font_lacks(render):
    font = Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    first, again = (render.render([font], "AI", 2) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert first["images"].shape == (4, 28, 28)
    assert first["images"].max() == 15
    assert first["characters"].tolist() == [0, 0, 1, 1]
    assert not np.array_equal(first["images"][0], first["images"][1])
    with pytest.raises(ValueError, match=r"has no あ; leave it out"):
        render.render([font], "あ", 1)
