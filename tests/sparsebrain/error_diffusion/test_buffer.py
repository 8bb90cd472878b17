"""Memory that is kept between steps, and never overwritten while something uses it."""

import copy
import pickle

import pytest
import torch

import graphs
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.error_diffusion.buffer import Buffer

LARGE = torch.empty(2**16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_memory_is_reused_once_nothing_uses_it(dtype):
    buffer, like = Buffer(), LARGE.to(dtype)
    first = buffer.take(like)
    assert (first.shape, first.dtype, first.device) == (like.shape, dtype, like.device)
    place = first.data_ptr()
    view = first[:10].detach()
    del first
    second = buffer.take(like)
    assert second.data_ptr() != place
    del view, second
    kept = buffer.take(like).data_ptr()
    assert buffer.take(like).data_ptr() == kept


def test_other_shapes_and_dtypes_have_other_memory():
    buffer = Buffer()
    for like in (LARGE, LARGE.view(2, -1), LARGE.double(), torch.empty(3), torch.empty(0)):
        made = buffer.take(like)
        assert (made.shape, made.dtype) == (like.shape, like.dtype)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_have_memory_of_their_own(copied):
    buffer = Buffer()
    first = buffer.take(LARGE)
    assert copied(buffer).take(LARGE).data_ptr() != first.data_ptr()


@pytest.mark.parametrize("loops", [None, 4], ids=["compiled", "by stages"])
def test_a_gradient_that_is_still_used_does_not_change(loops):
    data = graphs.grid_local((8, 8), 1) if loops else graphs.layered([64])
    network = ErrorDiffusionNetwork.around(data, 300, networks=2, loops=loops, linear=True)
    rule = ErrorDiffusion(network)
    x, y = torch.rand(5, 300), torch.tensor([0, 1, 0, 1, 1])
    rule(x, y)
    one = network.strength.grad
    before = one.clone()
    network.strength.grad = None
    rule(x[:2], y[:2])
    other = network.strength.grad.clone()
    assert torch.equal(one, before)
    assert not torch.equal(one, other)
    rule(x, y)
    assert torch.equal(network.strength.grad, before + other)
    assert torch.equal(one, before)
