"""Schedules and their simulated times against formulas, in units of one task."""

import itertools

import pytest

from sparsebrain.experiments.pipeline_study.schedules import (
    BACKWARD,
    FORWARD,
    SCHEDULES,
    UPDATE,
    most_kept,
    tasks,
)
from sparsebrain.experiments.pipeline_study.simulator import simulate

SIZES = [*itertools.product((1, 2, 5), (1, 4, 16))]
EQUAL = {FORWARD: 1.0, BACKWARD: 1.0}


def run(schedule, stages, parts, batches=1, costs=EQUAL, **options):
    return simulate(schedule, [costs] * stages, parts=parts, batches=batches, **options)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("stage", "stages", "parts"), [(0, 1, 1), (0, 4, 3), (2, 4, 8), (3, 4, 2)])
def test_every_stage_does_every_task_once_and_forward_before_backward(
    schedule, stage, stages, parts
):
    done = list(tasks(schedule, stage, stages, 2, parts))
    assert len(set(done)) == len(done)
    kinds = (FORWARD,) if schedule == "local" else (FORWARD, BACKWARD)
    for batch in range(2):
        own = [each for each in done if each.batch == batch]
        assert own[-1] == (UPDATE, batch, (batch + 1) * parts)
        for kind in kinds:
            numbers = [each.part for each in own if each.kind == kind]
            assert numbers == list(range(batch * parts, (batch + 1) * parts))
        if schedule != "local":
            place = {each: at for at, each in enumerate(own)}
            for part in range(batch * parts, (batch + 1) * parts):
                assert place[FORWARD, batch, part] < place[BACKWARD, batch, part]
    assert done == sorted(done, key=lambda each: each.batch)


@pytest.mark.parametrize(("stages", "parts"), SIZES)
def test_backpropagation_has_the_known_bubble(stages, parts):
    """Idle (S - 1) / (M + S - 1) of the time, for both schedules."""
    for schedule in ("gpipe", "1f1b"):
        found = run(schedule, stages, parts, batches=3)
        assert found.seconds == pytest.approx(3 * 2 * (parts + stages - 1))
        for idle in found.idle:
            assert idle == pytest.approx((stages - 1) / (parts + stages - 1))


@pytest.mark.parametrize(("stages", "parts"), SIZES)
def test_a_broadcast_error_halves_the_bubble(stages, parts):
    found = run("broadcast", stages, parts, batches=3)
    assert found.seconds == pytest.approx(3 * (2 * parts + stages - 1))


@pytest.mark.parametrize(("stages", "parts"), SIZES)
def test_local_rules_wait_for_their_first_input_alone(stages, parts):
    found = run("local", stages, parts, batches=30)
    assert found.seconds == pytest.approx(30 * parts + stages - 1)
    assert found.steady_idle == pytest.approx(0)
    assert found.steady_parts == pytest.approx(1)


def test_the_slowest_stage_sets_the_pace():
    costs = [{FORWARD: 1.0, UPDATE: 0.5}, {FORWARD: 3.0, UPDATE: 2.0}, {FORWARD: 1.0}]
    found = simulate("local", costs, batches=4, parts=5)
    assert found.seconds == pytest.approx(1 + 4 * (5 * 3 + 2))


def test_a_transfer_delays_what_waits_for_it():
    assert run("local", 3, 4, transfer=0.25).seconds == pytest.approx(4 + 2 + 2 * 0.25)
    # To the last stage and back again, in each batch.
    found = run("gpipe", 3, 4, batches=2, transfer=0.25)
    assert found.seconds == pytest.approx(2 * (2 * (4 + 2) + 4 * 0.25))
    found = run("1f1b", 1, 4, batches=2, transfer=0.25)
    assert found.seconds == pytest.approx(2 * 2 * 4)


@pytest.mark.parametrize(
    ("schedule", "kept"),
    [("local", [0] * 4), ("gpipe", [8] * 4), ("1f1b", [4, 3, 2, 1]), ("broadcast", [4, 3, 2, 1])],
)
def test_what_waits_for_its_backward_pass(schedule, kept):
    assert [most_kept(schedule, stage, 4, 8) for stage in range(4)] == kept
