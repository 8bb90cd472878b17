import os

import pytest
import torch

from benchmarks import resident

MIB = 1 << 20
_WHO = "__import__('os').getpid(), __import__('torch').get_num_threads()"


@pytest.mark.usefixtures("peaks")
def test_a_peak_is_what_was_held_at_most_since_the_last_reset():
    before = resident.now()
    resident.reset()
    # Larger than what the allocator of C would keep for itself when it is freed.
    held = torch.ones(64 * MIB // 4)
    assert resident.now() - before == pytest.approx(64 * MIB, abs=8 * MIB)
    del held
    assert resident.now() - before < 8 * MIB
    assert resident.peak() - before == pytest.approx(64 * MIB, abs=8 * MIB)
    resident.reset()
    assert resident.peak() - before < 8 * MIB


def test_a_fresh_process_has_as_many_threads_and_a_number_of_its_own():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        process, threads = resident.in_fresh_process(eval, _WHO)
    finally:
        torch.set_num_threads(before)
    assert process != os.getpid()
    assert threads == before + 1


def test_an_error_in_the_process_comes_back():
    with pytest.raises(ValueError, match="invalid literal"):
        resident.in_fresh_process(int, "none")


def test_the_obstacle_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(resident, "_RESET", tmp_path / "clear_refs" / "missing")
    told = resident.obstacle()
    assert told == (
        f"peaks need Linux and a writable {tmp_path}/clear_refs/missing (No such file or directory)"
    )


def test_a_status_without_the_field_is_told(monkeypatch, tmp_path):
    path = tmp_path / "status"
    path.write_text("Name:\tpython\nVmRSS:\t    12 kB\n")
    monkeypatch.setattr(resident, "_STATUS", path)
    assert resident.now() == 12 * 1024
    with pytest.raises(RuntimeError, match=r"status has no VmHWM\."):
        resident.peak()
