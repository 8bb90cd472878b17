"""Omniglot is read as it is published, and asked in 20 ways."""

import shutil
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from sparsebrain.experiments import one_shot
from sparsebrain.experiments.one_shot_study import trials
from sparsebrain.experiments.one_shot_study.characters import Draw
from sparsebrain.experiments.one_shot_study.omniglot import load

ALPHABETS = {
    "images_background": {"Latin": 2, "Greek": 1},
    "images_evaluation": {"Small": 3, "Large": 21, "Exact": 20},
}


def drawing(number, drawer):
    """A drawing with a bar that tells the character, and one that tells the drawer."""
    pixels = np.full((105, 105), 255, np.uint8)
    pixels[15:30, 15 : 18 + 3 * number] = 0
    pixels[60:75, 15 : 18 + 3 * drawer] = 0
    return Image.fromarray(pixels).convert("1")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with the layout of Omniglot, whose characters are bars."""
    folder = tmp_path_factory.mktemp("omniglot")
    for part, alphabets in ALPHABETS.items():
        for alphabet, characters in alphabets.items():
            for number in range(characters):
                place = folder / part / alphabet / f"character{number + 1:02}"
                place.mkdir(parents=True)
                for drawer in range(20):
                    file = place / f"{1000 + number}_{drawer + 1:02}.png"
                    drawing(number, drawer).save(file)
    (folder / "images_background" / ".hidden").mkdir()
    return folder


@pytest.fixture
def damaged(published, tmp_path):
    """A copy of it in which one character of each part is kept, and its images."""
    place = tmp_path / "copy"
    for part in ALPHABETS:
        source = next((published / part / "Latin").parent.glob("[LS]*"))
        shutil.copytree(source / "character01", place / part / source.name / "character01")
    return place


def test_the_parts_are_known_and_new(published):
    found = load(published)
    assert found.known_x.shape == (3 * 15, 28, 28)
    assert found.test_x.shape == (3 * 5, 28, 28)
    assert torch.equal(found.known_y.bincount(), torch.tensor([15] * 3))
    assert torch.equal(found.test_y, torch.arange(3).repeat_interleave(5))
    assert found.letters_x.shape == (44 * 20, 28, 28)
    # In alphabetical order: Exact, Large, Small.
    assert torch.equal(found.alphabet.bincount(), torch.tensor([20, 21, 3]))
    assert (found.num_known, found.num_letters, found.known_x.dtype) == (3, 20, torch.float32)
    # A pixel is the mean over 3.75 x 3.75 pixels; ink is 1 and paper 0.
    second = found.letters_x[1]
    assert second[4:8, 4].tolist() == pytest.approx([0.8] * 4)
    assert second[16:20, 4:7].tolist() == [pytest.approx([1, 0.6, 0])] * 4
    assert second[20:].sum() == 0
    assert not torch.equal(found.known_x[0], found.test_x[0])


def test_a_draw_has_20_characters_of_one_large_alphabet(published):
    found = load(published)
    alphabets = set()
    for seed in range(12):
        draw = Draw(found, 2, np.random.default_rng(seed))
        assert draw.shown.shape == (20, 2)
        classes = found.letters_y[draw.shown]
        assert (classes[:, 0] == classes[:, 1]).all()
        assert len(classes[:, 0].unique()) == 20
        alphabets.add(tuple(found.alphabet[classes].unique().tolist()))
        assert (found.letters_font[draw.shown[:, 0]] != found.letters_font[draw.shown[:, 1]]).all()
        assert len(draw.asked) == 20 * 18
        assert torch.equal(found.letters_y[draw.asked], classes[draw.answers, 0])
        assert not set(draw.shown.flatten().tolist()) & set(draw.asked.tolist())
    assert alphabets == {(0,), (1,)}


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width, height):
    """A PNG file whose header states a size, of a single row of data."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read"),
        (b"GIF89a" + bytes(50), "cannot be read"),
        (png(105, 105), "cannot be read"),
        (png(104, 105), "must have 105 x 105 pixels, got 104 x 105"),
        (png(1, 1), "must have 105 x 105 pixels, got 1 x 1"),
        (png(12_000, 12_000), "cannot be read .*decompression bomb"),
        (png(2**31 - 1, 2**31 - 1), "cannot be read .*decompression bomb"),
    ],
)
def test_damaged_images_are_refused(damaged, content, told):
    path = damaged / "images_background/Latin/character01/1000_07.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"omniglot: .*1000_07.png {told}.*; pass the folder in"):
        load(damaged)


def test_half_an_image_is_refused(damaged):
    path = damaged / "images_background/Latin/character01/1000_07.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"1000_07.png cannot be read \(.*; pass the folder in"):
        load(damaged)


def test_what_is_missing_is_named(damaged, tmp_path):
    with pytest.raises(ValueError, match="must have an alphabet of at least 20 characters, got 1;"):
        load(damaged)
    character = damaged / "images_background/Latin/character01"
    (character / "1000_07.png").unlink()
    told = "character01 must have 20 PNG files that end in _01.png to _20.png, got 19 files; pass"
    with pytest.raises(ValueError, match=told):
        load(damaged)
    (character / "1000_21.png").touch()
    with pytest.raises(ValueError, match="got 20 files"):
        load(damaged)
    shutil.rmtree(character)
    with pytest.raises(ValueError, match="Latin has no folders; pass the folder in which"):
        load(damaged)
    shutil.rmtree(damaged / "images_background")
    with pytest.raises(
        ValueError, match="omniglot: .*images_background is not there; pass the fol"
    ):
        load(damaged)


def test_the_study_learns_20_characters_at_a_time(published, tmp_path, monkeypatch):
    for name, number in (("_DRAWS", 2), ("_TUNED_DRAWS", 1), ("_IMAGINED", 1), ("_COPIES", 0)):
        monkeypatch.setattr(trials, name, number)
    monkeypatch.setattr(trials, "EXAMPLES", (1,))
    rows = one_shot(
        topologies=["none"], omniglot=published, epochs=1, seeds=1, out=tmp_path / "out"
    )
    assert {(each.known_classes, each.new, each.new_classes) for each in rows} == {
        (3, "omniglot characters", 20)
    }
    assert len(rows) == 8 + 3
    assert (tmp_path / "out/results.csv").read_text().count("omniglot background") == len(rows)
