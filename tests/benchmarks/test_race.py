import pytest

from benchmarks import race
from benchmarks.problem import draw_grid


def test_time_is_shared_out_to_synapses_loops_and_columns():
    problem = {"synapses": 100, "loops": 5, "batch": 8}
    # 2 ms are two million nanoseconds.
    assert race.per_synapse(problem, 2.0) == 2_000_000 / 4000


def test_a_peer_is_judged_by_its_own_time_and_ours():
    problem = draw_grid(side=4, distance=1, loops=2, batch=3)
    found = race.race(problem, ["sparsebrain", "dense"], rounds=3)
    for one in race.PASSES:
        ours, dense = (found[name][one] for name in ("sparsebrain", "dense"))
        assert ours["ratio"] == ours["ratio_of_min"] == 1
        assert dense["ratio"] == pytest.approx(dense["median_ms"] / ours["median_ms"])
        assert dense["ratio_of_min"] == pytest.approx(dense["min_ms"] / ours["min_ms"])
        # Both stand beside the same limits.
        for name in ("gflops", "arithmetic_ms", "memory_ms"):
            assert ours[name] == dense[name] > 0
