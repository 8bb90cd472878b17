"""The crossover of sparse and dense products: equality before times, and a complete table."""

import csv

import pytest
import torch

from benchmarks import crossover
from benchmarks.equality import WrongResultError
from sparsebrain.kernels.dense import DenseBackend

TINY = ["--neurons", "12", "--density", "0.5", "--batch", "2", "--loops", "2", "--rounds", "1"]


def test_a_line_for_each_pass(tmp_path, capsys):
    path = tmp_path / "crossover.csv"
    assert crossover.main([*TINY, "--threads", "1", "--csv", str(path)]) == 0
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["pass"] for row in rows] == list(crossover.PASSES)
    for row in rows:
        ratio = float(row["native_ms"]) / float(row["dense_ms"])
        assert float(row["native_over_dense"]) == pytest.approx(ratio)
        assert row["auto"] in crossover.NAMES
        assert float(row["largest_error"]) < 2e-5
        assert row["processor"]
        assert row["torch"]
    assert "auto takes at most" in capsys.readouterr().out


def test_a_graph_has_each_synapse_with_the_given_probability():
    structure = crossover.draw(200, 0.5)
    # Five standard deviations of a binomial distribution: one false alarm in two million.
    assert abs(structure.num_edges - 20_000) < 500
    assert structure.by_target.order is None
    assert crossover.draw(20, 1.0).num_edges == 400


def test_a_wrong_product_is_not_timed(monkeypatch, capsys):
    right = DenseBackend.operator

    def wrong(self, structure, weight, *, transpose):
        return right(self, structure, weight * (1 + 1e-3), transpose=transpose)

    monkeypatch.setattr(DenseBackend, "operator", wrong)
    assert crossover.main(TINY) == 1
    assert "dense: output differs from the reference" in capsys.readouterr().err
    structure = crossover.draw(12, 0.5)
    given = (torch.ones(structure.num_edges), *torch.ones(2, 12, 2))
    with pytest.raises(WrongResultError):
        crossover._compare(structure, given, 1)


@pytest.mark.parametrize("share", ["0", "1.5", "nan"])
def test_a_density_that_is_no_probability_is_refused(share, capsys):
    with pytest.raises(SystemExit):
        crossover.main(["--density", share])
    assert "--density" in capsys.readouterr().err
