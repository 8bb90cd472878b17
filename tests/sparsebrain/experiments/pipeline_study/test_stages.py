"""The stages of a model learn what the rule learns in one process: exactly, without staleness."""

import pytest
import torch

from sparsebrain.experiments.pipeline_study.methods import METHODS, Size, load_values, make_rule
from sparsebrain.experiments.pipeline_study.schedules import (
    BACKWARD,
    FORWARD,
    UPDATE,
    need_of,
    tasks,
)
from sparsebrain.experiments.pipeline_study.stages import make_stage
from sparsebrain.learning import Rule

SIZE, FEATURES, CLASSES, BATCHES = Size(30, 6, 3, 5, 3), 7, 3, 3


def rule_of(name):
    return make_rule(name, SIZE, FEATURES, CLASSES, seed=0)


@pytest.fixture
def micro_batches():
    generator = torch.Generator().manual_seed(0)
    number = BATCHES * SIZE.parts * SIZE.samples
    x = torch.rand(number, FEATURES, generator=generator)
    y = torch.randint(CLASSES, (number,), generator=generator)
    return list(zip(x.split(SIZE.samples), y.split(SIZE.samples), strict=True))


def learn_alone(name, micro_batches):
    rule = rule_of(name)
    optimizer = rule.make_optimizer()
    for first in range(0, len(micro_batches), SIZE.parts):
        optimizer.zero_grad()
        for x, y in micro_batches[first : first + SIZE.parts]:
            rule(x, y)
        for parameter in rule.parameters():
            if parameter.grad is not None:
                parameter.grad /= SIZE.parts
        optimizer.step()
    return rule


def learn_in_stages(method, stages, micro_batches):
    """Every stage does its tasks as soon as what they need is there."""
    name, schedule = METHODS[method]
    made = [make_stage(rule_of(name), stage, stages) for stage in range(stages)]
    left = [list(tasks(schedule, s, stages, BATCHES, SIZE.parts))[::-1] for s in range(stages)]
    done = {}
    # Later stages first, or the first stages would wait for nothing.
    while any(left):
        for stage in reversed(range(stages)):
            while left[stage]:
                task = left[stage][-1]
                need = None if task.kind == UPDATE else need_of(schedule, task.kind, stage, stages)
                if need is not None and (*need, task.part) not in done:
                    break
                found = None if need is None else done[*need, task.part].clone()
                if task.kind == UPDATE:
                    made[stage].update(SIZE.parts)
                elif task.kind == FORWARD:
                    x, y = micro_batches[task.part]
                    x = x.clone() if found is None else found
                    done[stage, FORWARD, task.part] = made[stage].forward(task.part, x, y)
                else:
                    done[stage, BACKWARD, task.part] = made[stage].backward(task.part, found)
                left[stage].pop()
    rule = rule_of(name)
    load_values(rule, [each.values() for each in made])
    return rule


@pytest.mark.parametrize("stages", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_stages_learn_what_one_process_learns(method, stages, micro_batches):
    name = METHODS[method].rule
    alone = learn_alone(name, micro_batches)
    together = learn_in_stages(method, stages, micro_batches)
    start, moved = rule_of(name), False
    for own, wanted, before in zip(
        together.model.parameters(), alone.model.parameters(), start.model.parameters(), strict=True
    ):
        if name == "error-diffusion":
            # The rule alone is one compiled call, which rounds differently and leaves the sign of
            # a magnitude to the next call.
            torch.testing.assert_close(own.abs(), wanted.abs(), rtol=1e-5, atol=1e-7)
        else:
            assert torch.equal(own, wanted)
        moved = moved or not torch.equal(wanted, before)
    assert moved


def test_a_stage_without_an_error_to_wait_for_has_no_backward_pass():
    stage = make_stage(rule_of("local-errors"), 0, 2)
    with pytest.raises(NotImplementedError, match="LocalStage has no backward pass"):
        stage.backward(0, None)


def test_stages_do_not_average_gradients():
    stage = make_stage(rule_of("hebb"), 1, 2)
    assert isinstance(stage.module, Rule)
    assert stage.module.process_group is None
