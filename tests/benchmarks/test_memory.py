import argparse
import csv
import json

import pytest
import torch

from benchmarks import memory, resident
from benchmarks.memory import Bytes, Step


def test_the_figures_come_from_pairs_that_differ_in_one_thing(monkeypatch, tmp_path, capsys):
    neurons, batch = 100, 8
    per_loop, per_synapse = neurons * batch, neurons
    steps = []

    def run(function, step):
        assert function is memory.run
        steps.append(step)
        states = (2 * step.loops**0.5 if step.checkpoint else step.loops) * per_loop
        synapses = step.neighbors * per_synapse
        constant = 10**6
        return Bytes(
            making=constant + 40 * synapses,
            inference=constant + (16 if step.shuffled else 8) * synapses,
            first=constant + 30 * synapses,
            training=constant + 20 * synapses,
            step=constant + int(4 * states) + 8 * synapses,
            of_inference=8 * synapses,
            of_training=20 * synapses,
        )

    monkeypatch.setattr(resident, "obstacle", lambda: None)
    monkeypatch.setattr(resident, "in_fresh_process", run)
    everything, table = tmp_path / "memory.json", tmp_path / "memory.csv"
    files = ["--json", str(everything), "--csv", str(table)]
    assert memory.main(["--neurons", str(neurons), "--batch", str(batch), *files]) == 0
    assert len(set(steps)) == 7
    assert all((step.neurons, step.batch) == (neurons, batch) for step in steps)
    expected = {
        "a state, from 16 to 64 loops": (4, 4, 4),
        # From 8 to 16 states are kept, for 48 loops more.
        "a state, checkpoint=True, from 16 to 64 loops": (4 / 6, 4 / 6, 4 / 6),
    }
    for order, inference in (("sorted by target", 8), ("in random order", 16)):
        expected |= {
            f"a synapse, {order}, at most while made": (40, None, None),
            f"a synapse, {order}, for inference": (inference, 8, 8),
            f"a synapse, {order}, at most in the first step": (30, None, None),
            f"a synapse, {order}, for training": (20, 20, 20),
            f"a synapse, {order}, more at most in a step": (
                8,
                8,
                4 * (2 + torch.get_num_threads()),
            ),
        }
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["bytes of"] for line in lines] == list(expected)
    for line, figures in zip(lines, expected.values(), strict=True):
        names = ("measured", "formula_least", "formula_most")
        told = [float(line[name]) if line[name] else None for name in names]
        assert told == [None if each is None else pytest.approx(each) for each in figures]
    goals = {line["bytes of"]: line["goal"] for line in lines if line["goal"]}
    assert goals == {
        f"a synapse, {order}, {use}": goal
        for order in ("sorted by target", "in random order")
        for use, goal in (("for inference", "16"), ("for training", "24"))
    }
    assert all((line["neurons"], line["batch"]) == ("100", "8") for line in lines)
    assert all(line["torch"] == torch.__version__ for line in lines)
    found = json.loads(everything.read_text())
    plain = 2 * 10**6 + 4 * 16 * per_loop + 28 * 20 * per_synapse
    assert found["peak_mib"]["plain"] == pytest.approx(plain / 2**20)
    shown = capsys.readouterr().out
    assert "a synapse, in random order, for training" in shown
    assert "20.00" in shown


@pytest.mark.usefixtures("peaks")
def test_a_state_takes_four_bytes():
    # 2^18 numbers a state, and 32 loops more of them: 32 MiB. What else a process takes, and takes
    # alike in both, is uncertain by less than a MiB; 10 % are three of them.
    step = Step(neurons=4096, batch=64, neighbors=2, loops=4)
    few, many = (
        resident.in_fresh_process(memory.run, step._replace(loops=loops)) for loops in (4, 36)
    )
    assert (many.step - few.step) / (32 * 4096 * 64) == pytest.approx(4, rel=0.1)
    assert many.of_training == few.of_training


@pytest.mark.usefixtures("peaks")
@pytest.mark.parametrize(("shuffled", "inference", "training"), [(False, 8, 20), (True, 16, 24)])
def test_a_layer_holds_its_arrays_and_nothing_more(shuffled, inference, training):
    step = Step(neurons=4096, batch=1, neighbors=150, loops=2, shuffled=shuffled)
    found = resident.in_fresh_process(memory.run, step)
    # Each neuron has itself and 150 others.
    synapses = 4096 * 151
    assert found.of_inference == pytest.approx(inference * synapses, rel=0.01)
    assert found.inference == pytest.approx(found.of_inference, abs=2 * 2**20)
    assert found.of_training == pytest.approx(training * synapses, rel=0.01)
    assert found.training == pytest.approx(found.of_training, abs=2 * 2**20)


def test_where_peaks_cannot_be_measured_the_reason_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(resident, "_RESET", tmp_path / "no" / "clear_refs")
    monkeypatch.setattr(memory, "measure", lambda _: pytest.fail("was measured"))
    with pytest.raises(SystemExit) as ended:
        memory.main([])
    assert ended.value.code == 2
    assert "error: peaks need Linux and a writable" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--rounds", "3"], ["--neurons", "0"], ["--batch", "many"], ["extra"]], ids=" ".join
)
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        memory.main(options)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_one_thread_has_one_sum_and_several_up_to_one_each(monkeypatch):
    nothing = Bytes(*[0] * len(Bytes._fields))
    bounds = {}
    for threads in (1, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found = memory._of_synapses("", argparse.Namespace(neurons=10, batch=2), nothing, nothing)
        bounds[threads] = list(found.values())[-1][1:]
    assert bounds == {1: (8, 12), 4: (8, 24)}
