"""The command's tables hold what the trials measured, and its accuracies are right."""

import csv
import math
import os

import numpy as np
import pytest
import torch
from rich.console import Console

import graphs
from sparsebrain.experiments import one_shot
from sparsebrain.experiments.one_shot_study import characters, trials
from sparsebrain.experiments.one_shot_study.backbone import Backbone, CosineHead, encode
from sparsebrain.experiments.one_shot_study.study import interval, summarize
from sparsebrain.experiments.one_shot_study.trials import Parts, Trial, blurred, judge, read
from sparsebrain.experiments.one_shot_study.tuning import tune


def test_accuracies_are_those_of_scores_that_are_known():
    images = characters.load()
    hiragana = Parts(*(torch.zeros(len(each), 46) for each in (images.known_x, images.test_x)),
                     torch.zeros(len(images.letters_x), 46))  # fmt: skip
    hiragana.test[torch.arange(len(images.test_y)), images.test_y] = 1
    letters = Parts(*(torch.zeros(len(each), 26) for each in hiragana))
    letters.known[:] = -1
    letters.test[:] = -1
    letters.letters[torch.arange(len(images.letters_y)), images.letters_y] = 1

    def judged():
        return judge(images.letters_y, letters, read(images, hiragana))

    assert judged() == (1, 1, 1, 1)
    # Half of the hiragana are taken for letters, and a quarter of the letters for another one.
    letters.test[::2] = 3
    letters.letters[::4] = letters.letters[::4].roll(1, 1)
    assert judged() == (0.75, 0.75, 0.5, 1)
    # The margin keeps all but 1 % of the known hiragana.
    letters.known[:10] = 50
    letters.known[:40] += 1
    assert judged().letters == 0.75
    letters.known[:] = 5
    assert judged() == (0.75, 0, 1, 1)


def test_blurring_keeps_the_sum_of_pixels():
    images = torch.zeros(1, 28, 28)
    images[0, 14, 14] = 1
    found = blurred(images)
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))
    torch.testing.assert_close(found[0, 14, 16] / found[0, 14, 14], torch.tensor(math.exp(-0.5)))


def test_fine_tuning_changes_the_head_alone_or_all_layers_of_a_copy():
    images = characters.load()
    torch.manual_seed(0)
    backbone, head = Backbone(None).eval(), CosineHead(46)
    kept = [each.clone() for each in backbone.parameters()]
    shown = images.letters_x[torch.arange(26) * 4].unsqueeze(1)
    for everything in (False, True):
        tuned = tune(backbone, head, shown, everything=everything, seed=0)
        assert encode(tuned, images.test_x[:3]).shape == (3, 72)
        assert all(map(torch.equal, backbone.parameters(), kept))
        same = [*map(torch.equal, tuned[0].parameters(), kept)]
        assert all(same) != everything


def test_intervals_are_those_of_student():
    mean, half = interval([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6)
    assert half == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-6)
    assert math.isnan(interval([0.5])[1])


def test_seeds_count_once_however_many_draws_they_have():
    def trial(seed, draw, letters):
        return Trial("none", "hebb", 1, seed, draw, letters, 0.5, 0.9, 0.8, 0.9, 1.0, 8)

    rows = summarize(
        [trial(0, 0, 0.5), trial(0, 1, 0.7), trial(1, 0, 0.6), trial(1, 1, 0.8)], characters.load()
    )
    (row,) = rows
    assert row.letters_accuracy == pytest.approx(0.65)
    assert row.letters_high - 0.65 == pytest.approx(interval([0.6, 0.7])[1])
    assert (row.system, row.seeds, row.draws, row.hiragana_after) == ("none: hebb", 2, 2, 0.8)


def test_tables_and_figure_are_written(tmp_path, monkeypatch):
    for name, number in (("_DRAWS", 2), ("_TUNED_DRAWS", 1), ("_IMAGINED", 2), ("_COPIES", 0)):
        monkeypatch.setattr(trials, name, number)
    monkeypatch.setattr(trials, "EXAMPLES", (1, 2))
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=150, file=nowhere)
        rows = one_shot(epochs=1, seeds=1, out=tmp_path, console=console)
    text = console.export_text()
    assert "seed 0, grid: " in text
    assert "blurred pixels: nearest example" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "results.csv").open() as file:
        found = [*csv.DictReader(file)]
    assert [(each["system"], int(each["examples"])) for each in found] == [
        (row.system, row.examples) for row in rows
    ]
    assert len({(each["system"], each["examples"]) for each in found}) == len(found) == 2 * 19
    for row in rows:
        assert row.draws == 1 or row.letters_low <= row.letters_accuracy <= row.letters_high
        if "sgd" not in row.readout:
            assert row.hiragana_alone == row.hiragana_before
            assert row.hiragana_after <= row.hiragana_before
    with (tmp_path / "trials.csv").open() as file:
        assert len([*csv.DictReader(file)]) == 2 * (15 * 2 + 4)
    # Nothing is trained again, and what is missing is.
    monkeypatch.setattr("sparsebrain.experiments.one_shot_study.study.run", None)
    written = (tmp_path / "results.csv").read_bytes()
    one_shot(epochs=1, seeds=1, out=tmp_path)
    assert (tmp_path / "results.csv").read_bytes() == written
    with pytest.raises(TypeError, match="NoneType"):
        one_shot(epochs=2, seeds=1, out=tmp_path)


def test_a_damaged_table_is_reported_before_any_training(tmp_path):
    (tmp_path / "trials.csv").write_text("backbone\n3\n")
    with pytest.raises(ValueError, match=r"trials.csv cannot be read .*pass another folder"):
        one_shot(epochs=1, seeds=1, out=tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"epochs": 0}, "epochs must be an integer >= 1"),
        ({"seeds": 10**20}, "seeds must be an integer >= 1 and at most 10000"),
        ({"jobs": 0}, "jobs must be"),
        ({"topologies": ["grid", "grid"]}, "topologies has 'grid' twice"),
        ({"topologies": ["gird"]}, "unknown kind 'gird'"),
        ({"topologies": ["small-world:neighbors=10000"]}, "neighbors"),
    ],
)
def test_wrong_arguments_are_refused(wrong, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        one_shot(**wrong, out=tmp_path)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Few draws, and files of known and new characters, each a disk of its own size."""
    for name, number in (("_DRAWS", 1), ("_TUNED_DRAWS", 1), ("_IMAGINED", 2), ("_COPIES", 0)):
        monkeypatch.setattr(trials, name, number)
    places = np.indices((28, 28)) - 13.5
    for name, radii in (("known", (3, 6, 9)), ("new", (4, 8))):
        disks = [(np.hypot(*places) < radius) * np.uint8(255) for radius in radii]
        labels = np.repeat(np.arange(len(radii)), 10)
        np.savez(tmp_path / f"{name}.npz", images=np.array(disks)[labels], labels=labels)
    return tmp_path


def test_any_characters_are_learned_on_any_graph(tiny):
    graphs.save(graphs.erdos_renyi(50, 0.1, seed=0), tiny / "mine.npz")
    rows = one_shot(
        topologies=[f"file:{tiny / 'mine.npz'}", "c-elegans", "none"],
        data=[f"known:{tiny / 'known.npz'}", f"new:{tiny / 'new.npz'}"],
        epochs=1,
        seeds=1,
        out=tiny / "out",
    )
    assert {each.backbone for each in rows} == {
        *("pixels", "blurred pixels", "untrained", "none", "c-elegans"),
        f"file:{tiny / 'mine.npz'}",
    }
    for row in rows:
        assert (row.known, row.known_classes, row.new, row.new_classes) == ("known", 3, "new", 2)
        assert row.draws == 1
        if row.backbone == "pixels":
            # Larger disks contain smaller ones, and images of a class are equal.
            assert (row.letters_accuracy, row.hiragana_before) == (1, 1)
    assert len(rows) == 3 * (3 * 8 + 3)


def test_other_images_are_other_trials(tiny, monkeypatch):
    monkeypatch.setattr(
        "sparsebrain.experiments.one_shot_study.study._run",
        lambda images, name, *rest: [
            Trial("none", "x", 1, 0, 0, *[0.5] * 5, 1.0, images.num_known)
        ],
    )
    for data, classes in (((), 46), ((f"known:{tiny / 'known.npz'}",), 3)):
        (row,) = one_shot(data=data, epochs=1, seeds=1, out=tiny / "out")
        assert (row.bytes, row.known_classes) == (classes, classes)
    with (tiny / "out/trials.csv").open() as file:
        assert len({each["settings"] for each in csv.DictReader(file)}) == 8


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"data": ["mnist"]}, ValueError, "data must be kmnist, .* but 'mnist' is none of these"),
        ({"data": "kmnist"}, TypeError, r"data must be a sequence of strings.*data=\['kmnist'\]"),
        ({"data": [3]}, TypeError, "data must be a sequence of strings"),
        ({"data": 0}, TypeError, "data must be a sequence of strings"),
        ({"data": None}, TypeError, "data must be a sequence of strings"),
        ({"data": ["kmnist", "kmnist"]}, ValueError, "data has 'kmnist' twice"),
        (
            {"data_dir": "."},
            ValueError,
            "data_dir: .* of which none is named; pass the name of one",
        ),
        ({"data_dir": "nowhere"}, ValueError, "data_dir must be a folder"),
        ({"data_dir": 3}, TypeError, "data_dir must be a path"),
        ({"omniglot": "nowhere"}, ValueError, "omniglot must be a folder"),
        (
            {"omniglot": "."},
            ValueError,
            "omniglot: images_background is not there; pass the folder",
        ),
        (
            {"omniglot": ".", "data": ["kmnist"]},
            ValueError,
            "omniglot: it replaces .* pass no data",
        ),
        (
            {"data": ["kmnist"], "data_dir": "."},
            ValueError,
            "data_dir: . has no kmnist; pass a fol",
        ),
    ],
)
def test_wrong_data_is_refused_before_a_folder_is_made(wrong, error, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told):
        one_shot(**wrong, out="out")
    assert not (tmp_path / "out").exists()
