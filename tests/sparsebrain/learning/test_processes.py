"""Two processes with a part of each batch teach one model, by every rule in the table."""

import copy
import re

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import replicate

from sparsebrain.learning import RULES, Backprop
from tests.sparsebrain.learning.conftest import make, samples
from tests.sparsebrain.learning.processes import (
    CASES,
    diffuse,
    learn,
    prepare,
    two_classes,
    whole,
)

# Their update is no mean over samples, or they draw for each: why they differ from whole batches.
DIFFERENT = {
    "local-errors": "compares pairs of samples",
    "forward-forward": "draws wrong labels, and has peers over a batch",
    "weight-mirror": "draws noise",
    "boltzmann": "draws states",
    "bcm": "moves its threshold by the batch of each process",
}


def equal(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_every_rule_is_among_the_cases():
    assert {name for name, *_ in CASES.values()} == set(RULES)


@pytest.mark.parametrize("case", CASES)
def test_both_end_with_one_model(both, case):
    one, other = (found["teach"][case] for found in both)
    assert equal(one, other)
    assert all(value.isfinite().all() for value in one.values())


@pytest.mark.parametrize("case", CASES)
def test_it_is_that_of_whole_batches(both, case):
    name, _, options, normalized = CASES[case]
    torch.manual_seed(0)
    start = prepare(*CASES[case])
    torch.manual_seed(0)
    alone, together = learn(prepare(*CASES[case]), whole), both[0]["teach"][case]
    assert any(not torch.equal(value, alone[key]) for key, value in start.state_dict().items())
    close = all(torch.allclose(together[key], alone[key], 1e-6, 1e-6) for key in alone)
    batchwise = name in DIFFERENT and options != {"kind": "prediction"}
    normalizes = any(isinstance(each, nn.BatchNorm1d) for each in start.modules())
    assert normalizes <= normalized
    assert close == (not batchwise and not normalizes)


def test_peers_and_drawn_labels_are_all_that_differs_in_forward_forward(both):
    one, other = (found["two_classes"] for found in both)
    alone = learn(two_classes(), whole, classes=2)
    assert equal(one, other)
    assert all(torch.allclose(one[key], alone[key], 1e-6, 1e-6) for key in alone)


def test_gradients_filled_by_parts_are_averaged_too(both):
    one, other = (found["by_parts"] for found in both)
    assert equal(one, other)
    rule = make("error-diffusion", "grid")
    diffuse(rule, *samples(8))
    torch.testing.assert_close(one["diffusion"], rule.model.strength.grad)


def test_what_one_process_does_not_use_has_no_part_from_it(both):
    one, other = (found["unused"] for found in both)
    assert one["model.ways.2.weight"] is None
    assert other["model.ways.2.weight"] is None
    torch.manual_seed(0)
    model = nn.ModuleList(nn.Linear(12, 3) for _ in range(3))
    x, y = samples(8)
    first = nn.functional.cross_entropy(model[0](x[::2]), y[::2], reduction="sum")
    second = nn.functional.cross_entropy(model[1](x[1::2]), y[1::2], reduction="sum")
    again = nn.functional.cross_entropy(model[1](x), y, reduction="sum")
    ((first + second + again) / 8).backward()
    for way in range(2):
        wanted = model[way].weight.grad
        for found in (one, other):
            torch.testing.assert_close(found[f"model.ways.{way}.weight"], wanted)


REFUSALS = {
    "not told": r"RuntimeError: .*2 processes.*average_over\(torch\.distributed\.group\.WORLD\)",
    "a copy": r"RuntimeError: .*2 processes.*average_over\(None\)",
    "alone": "nothing",
    "wrapped": r"RuntimeError: Backprop is called inside DistributedDataParallel.*average_over",
    "wrapped and told": r"RuntimeError: Backprop is called inside DistributedDataParallel",
    "in another module": r"RuntimeError: Backprop is called inside DistributedDataParallel",
    "pickled": r"RuntimeError: .*2 processes.*average_over",
    "no group": r"TypeError: group must be a process group.*got str; pass torch\.distributed",
    "other rules": r"ValueError: the rule is not the same in process [01].*the rule.* differ",
    "other synapses": r"ValueError: the rule is not the same in process [01].*_extra_state differ",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_models_that_would_drift_apart_are_refused(both, case):
    for found in both:
        assert re.match(REFUSALS[case], found["refused"][case]), found["refused"][case]


def test_a_step_that_fails_in_one_process_fails_in_all(both):
    one, other = (found["failed"] for found in both)
    assert one["told"].startswith("RuntimeError: the step failed in process 1 of the group")
    assert other["told"].startswith("ValueError: y must lie in 0..2")
    assert one["kept"]
    assert other["kept"]
    assert one["and on"] == other["and on"]


def test_replicas_of_data_parallel_are_refused(name):
    with pytest.raises(RuntimeError, match=r"DataParallel.*average_over"):
        make(name, "layered")._replicate_for_data_parallel()


def test_data_parallel_asks_the_rule():
    with pytest.raises(RuntimeError, match=r"Backprop cannot run in torch\.nn\.DataParallel"):
        replicate(Backprop(nn.Identity()), [0, 1])


def test_without_processes_there_is_no_group(name):
    rule = make(name, "layered")
    with pytest.raises(RuntimeError, match="init_process_group"):
        rule.average_over("world")
    rule.average_over(None)
    assert rule.process_group is None
    assert copy.deepcopy(rule)(*samples(8)).isfinite()


def test_what_is_told_before_there_are_processes_is_not_taken_for_alone(monkeypatch):
    """Before init_process_group torch's group.WORLD is None, which means a model in each."""
    rule = Backprop(torch.nn.Linear(3, 2))
    assert distributed.group.WORLD is None
    rule.average_over(distributed.group.WORLD)
    x, y = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    rule(x, y)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda group=None: 2)
    for each in (rule, copy.deepcopy(rule)):
        with pytest.raises(RuntimeError, match="before torch.distributed was initialized, when"):
            each(x, y)
    rule.average_over(None)
    rule(x, y)
