import gc
import time

from benchmarks import timing


def test_candidates_are_timed_in_turn(monkeypatch):
    seconds = iter([0.001, 0.002, 0.1, 0.2, 3, 6, 5, 1, 1, 5])
    measured = []

    def take(call, repeats, clock):
        assert clock is time.perf_counter
        measured.append((call(), repeats))
        return next(seconds)

    monkeypatch.setattr(timing, "_seconds", take)
    found = timing.interleaved({"a": lambda: "a", "b": lambda: "b"}, rounds=3)
    # The fastest of two calls says how often a call is repeated; every round begins with another.
    assert measured[:4] == [("a", 1), ("a", 1), ("b", 1), ("b", 1)]
    assert measured[4:] == [("a", 5), ("b", 1), ("b", 1), ("a", 5), ("a", 5), ("b", 1)]
    assert found["a"].times == (3000, 1000, 1000)
    assert found["b"].times == (6000, 5000, 5000)
    assert found["a"].median == found["a"].minimum == 1000
    assert found["b"].minimum == 5000


def test_a_measurement_counts_all_calls_and_leaves_the_collector_on():
    calls = []
    found = timing.interleaved({"a": lambda: calls.append("a")}, rounds=2, warmups=1)
    assert len(calls) >= 3
    assert found["a"].minimum > 0
    assert gc.isenabled()
