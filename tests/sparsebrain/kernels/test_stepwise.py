"""The one definition of a loop: against numbers by hand, and against the fused kernels."""

import pytest
import torch

import graphs
from sparsebrain.kernels import Structure, loop, propagate
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.stepwise import run_stepwise, step, steps

MATRIX = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
INPUTS = LoopInputs(
    state=torch.tensor([[1.0, -1.0], [2.0, 0.0]]),
    drive=torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    bias=torch.tensor([-1.0, 1.0]),
    leak=torch.tensor([1.0, 0.5]),
)


def exchange(state):
    return MATRIX @ state


def test_a_step_by_hand():
    """Sums 4, 0 | 3, -3; with bias and drive 4, -1 | 4, -1; rectified; half of the old stays."""
    wanted = torch.tensor([[4.0, 0.0], [3.0, 0.0]])
    assert torch.equal(step(exchange, INPUTS, torch.relu), wanted)
    noisy = step(exchange, INPUTS, torch.relu, lambda: torch.full((2, 2), 10.0))
    assert torch.equal(noisy, wanted + 10)


def test_copies_one_below_another_have_the_same_bias_and_leak():
    twice = torch.block_diag(MATRIX, MATRIX)
    given = INPUTS._replace(state=INPUTS.state.repeat(2, 1), drive=INPUTS.drive.repeat(2, 1))
    found = step(lambda state: twice @ state, given, torch.relu)
    assert torch.equal(found, step(exchange, INPUTS, torch.relu).repeat(2, 1))


@pytest.mark.parametrize("segment", [0, 2])
def test_noise_is_drawn_by_the_number_of_the_loop(segment):
    plain = LoopInputs(torch.zeros(2, 1), None, None, None)
    noise = {number: torch.full((2, 1), float(number)) for number in range(5)}
    options = {"loops": 5, "activation": torch.relu, "noise": noise.get, "segment": segment}
    states = run_stepwise(torch.zeros_like, plain, keep=True, **options)
    assert [float(state[0, 0]) for state in states] == [0, 1, 2, 3, 4]
    (last,) = run_stepwise(torch.zeros_like, plain, keep=False, **options)
    assert torch.equal(last, states[-1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fused_loops_are_these_steps(activation):
    data = graphs.small_world(20, 4, 0.3, seed=0)
    structure = Structure(data.edge_index, 20)
    torch.manual_seed(0)
    weight = torch.randn(structure.num_edges, dtype=torch.float64)
    given = LoopInputs(
        *torch.randn(2, 20, 3, dtype=torch.float64),
        torch.randn(20, dtype=torch.float64),
        torch.rand(20, dtype=torch.float64),
    )
    function = ACTIVATIONS[activation].function
    wanted = list(steps(lambda x: propagate(structure, weight, x), given, range(4), function, None))
    options = {"drive": given.drive, "bias": given.bias, "leak": given.leak}
    found = loop(
        structure, weight, given.state, loops=4, activation=activation, keep=True, **options
    )
    torch.testing.assert_close(found, wanted)


def test_a_loop_keeps_the_shape_of_the_state():
    for wrong in (lambda x: x[:1], lambda x: x.unsqueeze(0)):
        with pytest.raises(ValueError, match="activation must keep the shape of the state"):
            step(exchange, INPUTS, wrong)
        with pytest.raises(ValueError, match="aggr must keep the shape of the state"):
            step(wrong, INPUTS, torch.relu)
