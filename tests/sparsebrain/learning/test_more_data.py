"""DDP, FSDP2 and distributed checkpoints of models with a GraphLayer, in two processes."""

import pytest
import torch

from tests.sparsebrain.learning.wrappers import MODELS, gradients, learn, restored, train


def alone(name):
    return gradients(*MODELS[name]())


def assert_equal_up_to_rounding(found, wanted):
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_ddp_has_the_gradients_of_one_process(both, name):
    for found in both:
        own = {key.removeprefix("module."): grad for key, grad in found["ddp"][name].items()}
        assert_equal_up_to_rounding(own, alone(name))


@pytest.mark.parametrize("name", MODELS)
def test_fsdp_has_the_gradients_of_one_process(both, name):
    for found in both:
        grads, share = found["fsdp"][name]
        assert_equal_up_to_rounding(grads, alone(name))
        # A parameter with an odd number of rows has one more in the first process.
        assert 0.4 < share < 0.6


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_of_two_processes_is_continued_by_one(both, folder_of_both, name):
    model, x, y = MODELS[name]()
    learn(model, x, y)
    continued, optimizer, x, y = restored(folder_of_both, name)
    assert_equal_up_to_rounding(continued.state_dict(), model.state_dict())
    train(continued, optimizer, x, y)
    for found in both:
        assert_equal_up_to_rounding(dict(continued.named_parameters()), found["saved"][name])


def test_a_sampler_gives_each_process_its_own_samples(both):
    one, other = (found["loaded"].tolist() for found in both)
    assert sorted(one + other) == list(range(10))
