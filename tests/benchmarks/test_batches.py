import json

import pytest
import torch

from benchmarks import batches, cases

TINY = ["--side", "4", "--loops", "2", "--rounds", "1"]


@pytest.fixture
def seen(monkeypatch):
    """Threads and batch of every case, none of which is measured."""
    seen = []
    monkeypatch.setattr(
        cases,
        "case",
        lambda _, problem, *__: seen.append((torch.get_num_threads(), problem.batch)) or {},
    )
    before = torch.get_num_threads()
    yield seen
    torch.set_num_threads(before)


def test_every_batch_is_measured_beside_torch(tmp_path):
    path = tmp_path / "batches.json"
    given = ["--batch", "1", "--batch", "9", "--threads", "1"]
    assert batches.main([*TINY, *given, "--json", str(path)]) == 0
    found = json.loads(path.read_text())
    assert [case["problem"]["batch"] for case in found["cases"]] == [1, 9]
    for case in found["cases"]:
        assert list(case["peers"]) == list(batches.PEERS)
        assert case["problem"]["threads"] == 1
        assert case["problem"]["synapses"] == (5 * 4 - 6) ** 2


def test_every_number_of_threads_meets_every_batch(seen):
    given = ["--batch", "1", "--batch", "9", "--threads", "2", "--threads", "1"]
    torch.set_num_threads(2)
    batches.measure(batches._parse([*TINY, *given]))
    assert seen == [(2, 1), (2, 9), (1, 1), (1, 9)]
    assert torch.get_num_threads() == 2


def test_threads_are_one_and_torchs_choice_unless_told(seen):
    torch.set_num_threads(2)
    batches.measure(batches._parse([*TINY, "--batch", "1"]))
    torch.set_num_threads(1)
    batches.measure(batches._parse([*TINY, "--batch", "1"]))
    assert seen == [(1, 1), (2, 1), (1, 1)]


def test_threads_are_put_back_after_a_failure(monkeypatch):
    def fail(*args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(cases, "case", fail)
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="out of memory"):
        batches.measure(batches._parse([*TINY, "--threads", str(before + 1)]))
    assert torch.get_num_threads() == before


def test_batches_are_powers_of_two_unless_told():
    assert batches.BATCHES == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
