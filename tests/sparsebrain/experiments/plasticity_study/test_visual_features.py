"""Receptive fields from photographs and digits, learned for a few steps."""

import csv
import os

import pytest
import torch
from rich.console import Console

from sparsebrain.experiments import features
from sparsebrain.experiments.plasticity_study import visual_features
from sparsebrain.experiments.plasticity_study.visual_features import (
    COMPONENTS,
    NEURONS,
    compare_components,
    draw_patches,
    whiten,
)


def test_patches_are_those_of_both_photographs_and_their_seed_decides_all():
    patches = draw_patches(501, 12, seed=0)
    assert patches.shape == (501, 144)
    assert patches.mean(1).abs().max() < 1e-12
    assert torch.equal(patches, draw_patches(501, 12, seed=0))
    assert not torch.equal(patches, draw_patches(501, 12, seed=1))


def test_whitened_samples_have_no_correlation():
    patches = draw_patches(2000, 8, seed=0)
    whitened = whiten(patches, 20)
    x = (patches - whitened.mean) @ whitened.to_whitened.T
    assert torch.allclose(x.T @ x / len(x), torch.eye(20).double(), atol=1e-9)
    # Equal contrast, and the same directions.
    assert torch.nn.functional.cosine_similarity(x.float(), whitened.x).min() > 0.9999
    assert whitened.x.norm(dim=1).max() < 20**0.5


def test_sangers_rule_learns_the_principal_subspace(monkeypatch):
    """Of samples whose eigenvalues differ clearly; the components are then in order, too."""
    monkeypatch.setattr(visual_features, "_SANGER_STEPS", 400)
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(16, 16, generator=generator, dtype=torch.float64))
    variance = torch.cat([torch.linspace(1, 0.3, COMPONENTS), torch.full((8,), 0.02)]).double()
    x = 4 * variance.sqrt().unsqueeze(1) * basis.T
    torch.manual_seed(0)
    rows, learned, exact = compare_components(x, seed=3)
    assert len(rows) == len(learned) == len(exact) == COMPONENTS
    assert all(row.subspace < 1e-3 for row in rows)
    assert all(row.cosine > 0.999 for row in rows)
    assert rows[0].variance == 1
    assert [row.component for row in rows] == [*range(COMPONENTS)]


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(visual_features, "_PATCHES", 2000)
    monkeypatch.setattr(visual_features, "_STEPS", {"photographs": 60, "digits": 400})
    monkeypatch.setattr(visual_features, "_SANGER_STEPS", 5)


def test_tables_and_figure_are_written(short, tmp_path):
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=120, file=nowhere)
        rows = features(seeds=1, out=tmp_path, console=console)
    assert len(rows) == 4 * NEURONS
    text = console.export_text()
    assert "photographs BCM" in text
    assert "Sanger's rule: 8 components" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "neurons.csv").open() as file:
        found = [*csv.DictReader(file)]
    assert [float(each["orientation"]) for each in found] == [row.orientation for row in rows]
    with (tmp_path / "components.csv").open() as file:
        assert len([*csv.DictReader(file)]) == COMPONENTS
    classes = {"photographs": set(), "digits": set()}
    for row in rows:
        classes[row.data].add(row.preferred_class)
    assert classes["photographs"] == {-1}
    assert classes["digits"] <= {*range(10)}


def test_a_wrong_number_of_seeds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="seeds must be an integer >= 1, got 0"):
        features(seeds=0, out=tmp_path)
