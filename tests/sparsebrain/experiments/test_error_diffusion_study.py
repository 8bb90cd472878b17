"""The articles' experiments on images that are made up: bright above or below."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from sparsebrain.experiments.error_diffusion_study import kept, study, training
from sparsebrain.experiments.error_diffusion_study.samples import (
    Samples,
    load_samples,
    order_of,
)
from sparsebrain.experiments.error_diffusion_study.settings import STUDIES, Case, Setting
from sparsebrain.experiments.error_diffusion_study.study import run
from sparsebrain.experiments.error_diffusion_study.training import make_rule, train


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder with an mnist.npz of 400 + 100 images."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    arrays = {}
    for part, number in (("train", 400), ("test", 100)):
        y = generator.integers(0, 10, number)
        x = generator.integers(0, 60, (number, 28, 28))
        x[y == 4, :14] += 150
        x[y == 9, 14:] += 150
        arrays |= {f"x_{part}": x.astype(np.uint8), f"y_{part}": y.astype(np.uint8)}
    np.savez(folder / "mnist.npz", **arrays)
    return folder


@pytest.fixture
def small(monkeypatch):
    """Two cases a study."""
    few = {name: cases[:1] + cases[-1:] for name, cases in STUDIES.items()}
    monkeypatch.setattr(study, "STUDIES", few)
    return few


def test_studies_are_run_drawn_and_kept(images, small, tmp_path, rows, monkeypatch):
    out = tmp_path / "found"
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        run(studies=list(small), epochs=1, seeds=2, data_dir=images, out=out, console=console)
    found = rows(out / "results.csv")
    settings = {case.setting for cases in small.values() for case in cases}
    assert len(found) == 2 * len(settings)
    assert all(0 <= float(row["test_accuracy"]) <= 1 for row in found)
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    text = console.export_text()
    assert "open questions" in text
    assert "U(-1, 1)" in text

    # All is there: nothing is trained again.
    monkeypatch.setattr(kept, "train", None)
    run(studies=list(small), epochs=1, seeds=2, data_dir=images, out=out)
    assert rows(out / "results.csv") == found


def test_other_images_of_the_same_name_are_trained_again(images, small, tmp_path, rows):
    folder = tmp_path / "images"
    folder.mkdir()
    arrays = dict(np.load(images / "mnist.npz"))
    for number in (1, 2):
        np.savez(folder / "mnist.npz", **arrays)
        run(studies=["rate"], epochs=1, seeds=1, data_dir=folder, out=tmp_path / "out")
        found = rows(tmp_path / "out" / "results.csv")
        assert len(found) == 2 * number
        assert len({row["images_checksum"] for row in found}) == number
        arrays["x_train"] = 255 - arrays["x_train"]


def test_a_training_that_diverges_is_told_and_left_out(images, tmp_path, monkeypatch, rows):
    """At an infinite rate the first step leaves no finite parameter."""
    setting = Setting(rule="backprop", epochs=3)
    endless = replace(setting, rate=float("inf"))
    outcome = train(endless, images)
    assert outcome.diverged == 1
    assert np.isnan(outcome.test_accuracy)
    cases = [Case("backprop", 1, setting), Case("backprop", 2, endless)]
    monkeypatch.setattr(study, "STUDIES", {"rate": cases})
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115
    options = {"studies": ["rate"], "epochs": 1, "seeds": 2, "data_dir": images, "out": tmp_path}
    with console.file:
        outcomes = run(**options, console=console)
    assert sorted(each.diverged for each in outcomes) == [0, 0, 1, 1]
    assert sorted(row["diverged"] for row in rows(tmp_path / "results.csv")) == list("0011")
    text = console.export_text()
    assert "diverged in epoch 1" in text
    assert any(line.split() == ["backprop", "2", "diverged"] for line in text.splitlines())
    monkeypatch.setattr(kept, "train", None)
    assert len(run(**options)) == 4


def test_kanekos_table(tmp_path, rows):
    run(studies=["xor"], out=tmp_path)
    found = rows(tmp_path / "xor.csv")
    assert [row["hidden cells"] for row in found] == ["8", "16", "32", "64"]
    assert all(abs(float(row["z"])) < 4 for row in found)


def test_a_training_follows_from_its_setting(images):
    setting = Setting(epochs=20, rate=0.1)
    first, second = train(setting, images), train(setting, images)
    assert first.test_accuracy == second.test_accuracy > 0.9
    assert first.loss == second.loss


def test_the_step_is_the_articles(images):
    """rate / (units + layers) times the sum over the batch of Kaneko's updates."""
    setting = Setting(units=4, layers=2)
    rule = make_rule(setting, 6, torch.Generator().manual_seed(0))
    assert rule.reduction == "sum"
    assert rule.model.loops == 3
    assert rule.model.strength.max() <= 1 / 4
    assert rule.model.edge_index.size(1) == 2 * 9 + 12 * 4 + 16 + 4


@pytest.mark.parametrize("name", STUDIES)
def test_every_setting_can_be_made(name):
    for case in STUDIES[name]:
        rule = make_rule(case.setting, 5, torch.Generator().manual_seed(0))
        assert rule.predict(torch.rand(3, 5)).shape == (3, 2)


def test_sparse_layers_keep_every_cell_heard():
    setting = replace(Setting(), density=0.05)
    network = make_rule(setting, 50, torch.Generator().manual_seed(0)).model
    between = network.edge_index[0] > network.output
    heard = torch.bincount(network.edge_index[1, between], minlength=network.num_nodes)
    assert bool((heard[network.output + 1 + 16 :] == 1).all())


def test_one_nine_is_kept_for_so_many_fours(images):
    everything = load_samples(Setting(), images)
    fours = int((everything.y == 0).sum())
    for imbalance in (3, 9, 1000):
        samples = load_samples(Setting(imbalance=imbalance), images)
        assert int((samples.y == 0).sum()) == fours
        assert int((samples.y == 1).sum()) == max(1, fours // imbalance)
        assert torch.equal(samples.test_y, everything.test_y)
        again = load_samples(Setting(imbalance=imbalance, rule="backprop"), images)
        assert torch.equal(samples.x, again.x)
    drawn = [load_samples(Setting(imbalance=9, seed=seed), images).x for seed in (0, 1)]
    assert not torch.equal(*drawn)


def unbalanced(fours=30, nines=10):
    y = torch.tensor([0] * fours + [1] * nines)
    return Samples(torch.rand(len(y), 4), y, torch.rand(2, 4), torch.tensor([0, 1]), 2)


def test_both_classes_weigh_the_same():
    samples = unbalanced()
    torch.testing.assert_close(samples.class_weights, torch.tensor([2 / 3, 2.0]))
    assert samples.share == 0.25
    order = order_of(samples, "none", torch.Generator().manual_seed(0))
    assert order.sort().values.tolist() == list(range(40))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([samples.y[order_of(samples, "resampling", generator)] for _ in range(100)])
    # Five standard deviations of a share of 1/2 in 4,000 draws; false alarms: 6e-7.
    assert abs(float(drawn.float().mean()) - 0.5) < 5 * 0.5 / 4000**0.5


@pytest.mark.parametrize("name", ["error-diffusion", "backprop"])
def test_loss_weights_are_those_of_repeated_samples(name):
    """Weights of 2/3 and 2 are repetitions 1 and 3 times, in a mean or a sum over all."""
    samples = unbalanced(3, 1)
    gradients = []
    for weighs in (True, False):
        rule = make_rule(Setting(rule=name), 4, torch.Generator().manual_seed(0))
        if weighs:
            training.weighted(rule, samples.class_weights)(samples.x, samples.y)
        else:
            order = torch.tensor([0, 1, 2, 3, 3, 3])
            rule(samples.x[order], samples.y[order])
        gradients.append(torch.cat([each.grad.flatten() for each in rule.parameters()]))
    # A sum has six samples instead of four.
    factor = 6 / 4 if name == "error-diffusion" else 1
    torch.testing.assert_close(factor * gradients[0], gradients[1], rtol=1e-4, atol=1e-7)


def test_a_threshold_is_the_share_of_nines(images):
    setting = Setting(imbalance=9, epochs=1)
    plain, moved = (train(replace(setting, remedy=each), images) for each in ("none", "threshold"))
    assert plain.ranking == moved.ranking
    assert plain.loss == moved.loss
    assert moved.recall_of_9 >= plain.recall_of_9
    labels = load_samples(setting, images).test_y
    share = float(labels.float().mean())
    mean = (1 - share) * moved.recall_of_4 + share * moved.recall_of_9
    assert moved.test_accuracy == pytest.approx(mean)


def test_ternary_trainings_are_ternary():
    setting = Setting(units=4, layers=2, weights="ternary, pairs cancelled")
    network = make_rule(setting, 5, torch.Generator().manual_seed(0)).model
    assert network.weights == "ternary"
    model = make_rule(replace(setting, rule="backprop"), 5, torch.Generator()).model
    layers = [part for part in model if hasattr(part, "weight")]
    assert len(layers) == 3
    assert all(len(part.weight.detach().abs().unique()) <= 2 for part in layers)


def test_what_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"studies\[0\] must be one of 'units'"):
        run(studies=["depth"], out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="out must be a folder, but .*file is a file"):
        run(studies=["rate"], out=tmp_path / "file")


def test_a_row_that_a_kill_cut_short_is_told_and_trained_again(images, small, tmp_path, rows):
    options = {"studies": ["rate"], "epochs": 1, "seeds": 2, "data_dir": images, "out": tmp_path}
    run(**options)
    before = rows(tmp_path / "results.csv")
    content = (tmp_path / "results.csv").read_bytes()
    (tmp_path / "results.csv").write_bytes(content[:-3])
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        run(**options, console=console)
    text = " ".join(console.export_text().split())
    assert "results.csv ended in an incomplete row, as a killed command leaves it." in text
    assert "1 of 1: " in text
    found = rows(tmp_path / "results.csv")
    assert found[:-1] == before[:-1]
    assert found[-1]["test_accuracy"] == before[-1]["test_accuracy"]


@pytest.mark.parametrize("damage", ["foreign", "first line", "no share", "not a number"])
def test_a_damaged_table_is_told_before_anything_is_trained(damage, images, small, tmp_path):
    run(studies=["rate"], epochs=1, seeds=1, data_dir=images, out=tmp_path)
    file = tmp_path / "results.csv"
    whole = file.read_text()
    damaged = {
        "foreign": "rule,activation\n1,2\n",
        "first line": whole[:20],
        "no share": whole.replace(",0.", ",7."),
        "not a number": whole.replace(",16,", ",many,"),
    }[damage]
    file.write_text(damaged)
    with pytest.raises(ValueError, match=r"out: .*results.csv cannot be read .*another folder"):
        run(data_dir=images, out=tmp_path)
    assert file.read_text() == damaged
    assert not (tmp_path / "xor.csv").exists()
