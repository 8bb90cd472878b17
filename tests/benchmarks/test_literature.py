import csv

import pytest
import torch
from torch import nn

from benchmarks import literature
from benchmarks.recipes import RECIPES, Recipe, late, steps
from sparsebrain.experiments.datasets import Images
from sparsebrain.learning import RULES

TINY = Recipe(
    "local-errors",
    lambda: nn.Sequential(nn.Linear(784, 12), nn.Dropout(0.5), nn.Linear(12, 10)),
    lambda rule: torch.optim.Adam(rule.parameters(), lr=1e-3),
    16,
    3,
    0.5,
    100,
    "Nobody 2000",
    schedule=late,
    jitter=1,
)


@pytest.fixture
def few(monkeypatch):
    """Forty images, and one small recipe."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, 784, generator=generator)
    y = torch.arange(40) % 10
    images = Images("mnist", 10, (28, 28), x, y, x, y)
    monkeypatch.setattr(literature, "load", lambda name, folder: images)
    monkeypatch.setitem(RECIPES, "dendritic-microcircuit", TINY)


def rows(folder):
    with (folder / "dendritic-microcircuit.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def run(folder, *options):
    return literature.main(
        ["--rule", "dendritic-microcircuit", "--out", str(folder), "--threads", "1", *options]
    )


@pytest.mark.usefixtures("few")
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, capsys):
    assert run(tmp_path / "whole") == 0
    told = capsys.readouterr().out
    assert "Nobody 2000: 0.5 % after 100 epochs" in told

    epoch = literature.Run._epoch
    calls = []

    def stopped(self, x, y):
        calls.append(len(x))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return epoch(self, x, y)

    monkeypatch.setattr(literature.Run, "_epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts")
    assert len(rows(tmp_path / "parts")) == 2
    assert run(tmp_path / "parts") == 0
    assert len(calls) == 4
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert [row["epoch"] for row in rows(tmp_path / "whole")] == ["1", "2", "3"]
    assert list(rows(tmp_path / "whole")[0]) == list(literature.COLUMNS)
    found = literature.curves(tmp_path / "whole")
    assert {name: len(errors) for name, errors in found.items()} == {"dendritic-microcircuit": 3}
    assert (tmp_path / "whole" / "literature.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("few")
def test_a_run_that_diverges_is_told_and_keeps_no_epoch(tmp_path, monkeypatch, capsys):
    real = RULES["local-errors"].forward
    monkeypatch.setattr(
        RULES["local-errors"], "forward", lambda self, x, y: real(self, x, y) * float("nan")
    )
    assert run(tmp_path) == 1
    assert "dendritic-microcircuit, seed 0, epoch 1: diverged, its loss is nan" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "dendritic-microcircuit.csv").exists()


@pytest.mark.usefixtures("few")
def test_another_run_is_not_gone_on_with(tmp_path, capsys):
    assert run(tmp_path, "--epochs", "1", "--images", "20") == 0
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, "--epochs", "1", "--images", "30")
    assert ended.value.code == 2
    assert "holds another run" in capsys.readouterr().err


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_makes_a_rule_that_learns_from_images(name):
    recipe = RECIPES[name]
    torch.manual_seed(0)
    rule = recipe.make()
    assert isinstance(rule, RULES[recipe.rule])
    optimizer = recipe.optimizer(rule)
    assert rule(torch.rand(4, 784), torch.tensor([3, 1, 4, 1])).isfinite()
    before = [p.detach().clone() for p in rule.model.parameters()]
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, rule.model.parameters(), strict=True)]
    assert any(moved)
    taught = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in rule.parameters() if p.requires_grad} <= taught


def test_images_move_by_so_many_pixels_and_lose_what_leaves():
    torch.manual_seed(0)
    image = torch.zeros(1, 49)
    image[0, 24] = 1
    moved = literature.jitter(image.expand(2000, 49), 2)
    assert torch.equal(moved.sum(1), torch.ones(2000))
    # All 25 places, each missed by all of 2000 with probability (24/25)^2000 < 1e-35.
    places = {(p // 7 - 3, p % 7 - 3) for p in moved.argmax(1).tolist()}
    assert places == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}
    corner = torch.zeros(1, 49)
    corner[0, 0] = 1
    assert literature.jitter(corner.expand(200, 49), 2).sum() < 200
    assert literature.jitter(image, 0) is image


def test_schedules():
    assert [steps(share) for share in (0, 0.49, 0.5, 0.75, 0.95)] == [1, 1, 1 / 4, 1 / 16, 1 / 256]
    assert [late(share) for share in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]


@pytest.mark.parametrize(
    "options", [["--rule", "x"], ["--epochs", "0"], ["--ep", "1"], ["extra"]], ids=" ".join
)
def test_bad_options_are_refused(options, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        literature.main(["--out", str(tmp_path), *options])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
