import csv

import pytest
import torch

from benchmarks import small_calls

TINY = ["--neurons", "7", "--batch", "1", "--batch", "3", "--rounds", "1", "--threads", "1"]


def test_every_candidate_is_compared_and_timed(tmp_path, capsys):
    path = tmp_path / "small.csv"
    assert small_calls.main([*TINY, "--csv", str(path)]) == 0
    with path.open() as file:
        rows = list(csv.DictReader(file))
    forward = [small_calls.OURS, "layer, edges of PyG", "torch.sparse.mm", "dense"]
    forward.append("PyG MessagePassing")
    both = [name for name in forward if name != "torch.sparse.mm"]
    assert [(row["batch"], row["pass"], row["peer"]) for row in rows] == [
        (batch, one, name)
        for batch in ("1", "3")
        for one, names in (("forward", forward), ("forward_backward", both))
        for name in names
    ]
    assert all(float(row["largest_error"]) < 2e-5 for row in rows)
    assert {row["times_ours"] for row in rows if row["peer"] == small_calls.OURS} == {"1.0"}
    assert "goal, forward: at most 1.3 times the time of torch.sparse.mm" in capsys.readouterr().out


def test_a_wrong_gradient_is_not_timed(monkeypatch, capsys):
    def wrong(*given):
        run, weight = right(*given)
        weight.register_hook(lambda grad: grad * 2)
        return run, weight

    right = small_calls._pyg
    monkeypatch.setattr(small_calls, "_pyg", wrong)
    assert small_calls.main(TINY) == 1
    assert "PyG MessagePassing: gradient differs" in capsys.readouterr().err


def test_synapses_are_sorted_by_target_and_distinct():
    source, target = small_calls._draw(20)
    assert torch.equal(target, target.sort().values)
    assert len({*zip(source.tolist(), target.tolist(), strict=True)}) == source.numel()


@pytest.mark.parametrize("neurons", small_calls.NEURONS[:2])
def test_the_goal_of_few_neurons_is_looser(neurons):
    assert neurons <= small_calls.FEW < small_calls.NEURONS[2]
