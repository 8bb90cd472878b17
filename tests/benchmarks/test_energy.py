"""The benchmark of Gibbs sampling checks the law before it times."""

import pytest
import torch

from benchmarks import energy
from benchmarks.equality import WrongResultError


def test_every_case_is_timed(capsys, tmp_path):
    path = tmp_path / "energy.csv"
    assert energy.main(["--scale", "0.01", "--rounds", "1", "--csv", str(path)]) == 0
    assert "exact within 5 standard errors" in capsys.readouterr().out
    assert len(path.read_text().splitlines()) == 7


def test_a_wrong_law_ends_it():
    """The temperature is 3 % too high."""
    generator = torch.Generator().manual_seed(0)
    machine = energy.torus(4)
    with torch.no_grad():
        for each in machine.parameters():
            each.mul_(0.97)
    spins = 2 * machine.sample(10_000, 100, generator=generator) - 1
    i, j = machine.pairs
    found = -(spins[:, i] * spins[:, j]).sum(1) / 16
    with pytest.raises(WrongResultError, match="energy of the 4 x 4 torus is -1.5"):
        energy.check("sparsebrain", found, spins.mean(1).abs())


def test_graphs_have_the_sizes_of_their_names():
    made = energy.cases()
    assert list(made) == ["torus 64 x 64", "torus 256 x 256", "random 10000, 100000"]
    assert [each.num_edges for each in made.values()] == [4 * 64**2, 4 * 256**2, 200_000]
