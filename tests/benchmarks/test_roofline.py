import pytest
import torch

from benchmarks import roofline
from benchmarks.problem import draw_grid
from benchmarks.roofline import Probe, Work
from benchmarks.timing import Timing

# 9 neurons and 7 x 7 synapses, 4 columns, 5 loops: a state takes 4 x 9 x 4 = 144 bytes.
PROBLEM = draw_grid(side=3, distance=1, loops=5, batch=4)


@pytest.fixture
def caches(monkeypatch):
    def have(size):
        monkeypatch.setattr(roofline, "own_caches", lambda: size)

    return have


def test_what_lies_in_the_caches_comes_in_and_goes_out_once(caches):
    caches(1 << 30)
    flops = 2 * 49 * 4 * 5
    assert roofline.forward(PROBLEM) == Work(flops, 2 * 144, 8 * 49 + 2 * 144)
    # On the way back every state is read that was written on the way forth; with them lie the
    # weights with their indices and gradients, and the gradient of a state.
    footprint = 12 * 49 + 6 * 144
    assert roofline.forward_backward(PROBLEM) == Work(3 * flops, 5 * 2 * 144, footprint)


def test_what_does_not_is_read_and_written_at_every_loop(caches):
    caches(0)
    ahead = 8 * 49 + 2 * 144
    back = 16 * 49 + 3 * 144
    assert roofline.forward(PROBLEM).traffic == 5 * ahead
    assert roofline.forward_backward(PROBLEM).traffic == 5 * (ahead + back)


@pytest.mark.parametrize(
    ("work", "weights", "states"), [(roofline.forward, 8, 2), (roofline.forward_backward, 12, 3)]
)
def test_a_tile_of_the_columns_is_enough_in_the_caches(caches, work, weights, states):
    # A large batch goes through the caches sixteen columns at a time, all loops on each.
    problem = draw_grid(side=3, distance=1, loops=5, batch=64)
    needed = weights * 49 + states * 4 * 9 * 16
    caches(needed)
    inside = work(problem).traffic
    caches(needed - 1)
    assert inside < work(problem).traffic
    assert inside == 2 * 4 * 9 * 64 * (1 if work is roofline.forward else 5)


@pytest.mark.parametrize("footprint", [0, 3 << 20])
def test_probes_count_what_they_do(footprint):
    made = roofline.probes(footprint)
    # Four bytes a number, in as much room as the problem takes and no less than 2 MiB.
    numbers = max(footprint, 2 << 20) // 4
    assert made["fma"].amount == 2 * 512**3
    assert made["triad"].amount == 4 * (3 * (numbers // 3))
    assert made["read"].amount == 4 * (2 * (numbers // 2))
    product, triad, read = (made[name].call() for name in ("fma", "triad", "read"))
    assert product.shape == (512, 512)
    assert (product == 512).all()
    assert triad.numel() == numbers // 3
    assert (triad == 1 + 3 * 1).all()
    assert read == numbers // 2


def test_speeds_are_of_the_fastest_round():
    def call():
        pytest.fail("was called")

    timings = {"fma": Timing((4.0, 2.0, 8.0))}
    # 6 million in 2 ms.
    assert roofline.speeds({"fma": Probe(call, 6_000_000)}, timings) == {"fma": 3.0}


@pytest.mark.parametrize(
    ("traffic", "nearer", "share"), [(10_000_000, "arithmetic", 0.5), (80_000_000, "memory", 1.0)]
)
def test_the_nearer_limit_is_the_one_that_takes_longer(traffic, nearer, share):
    # 400 million operations at 100 GFLOP/s take 4 ms; bytes go at the faster of 10 and 5 GB/s.
    work = Work(flops=400_000_000, traffic=traffic, footprint=0)
    speeds = {"fma": 100.0, "triad": 5.0, "read": 10.0}
    found = roofline.judge(work, speeds, Timing((8.0, 1.0, 9.0)))
    assert found["arithmetic_ms"] == pytest.approx(4)
    assert found["memory_ms"] == pytest.approx(traffic / 1e7)
    assert found["nearer"] == nearer
    # By the median, as all that is said of a peer.
    assert found["share"] == pytest.approx(share)


def test_caches_are_those_of_the_second_level_one_a_thread(monkeypatch, tmp_path):
    monkeypatch.setattr(roofline, "Path", lambda _: tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert roofline.own_caches() == 3 << 20
    for number, (level, size) in enumerate([("1", "48K"), ("2", "2048K"), ("3", "99999K")]):
        index = tmp_path / f"index{number}"
        index.mkdir()
        (index / "level").write_text(f"{level}\n")
        (index / "size").write_text(f"{size}\n")
    assert roofline.own_caches() == 3 * 2048 * 1024
