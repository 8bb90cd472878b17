"""Weights in the order of the targets' rows, which a structure keeps from one call to the next."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sparsebrain.kernels import Structure, available, loop

pytestmark = pytest.mark.skipif(
    available()["native"] is not None, reason="the compiled kernels are missing"
)

N, E = 300, 70_000


@pytest.fixture
def by_source():
    """Synapses sorted by source, as PyG sorts them; over 2**16, so that the key has two chunks."""
    generator = torch.Generator().manual_seed(0)
    edges = torch.randint(N, (2, E), generator=generator)
    order = torch.argsort(edges[0] * N + edges[1], stable=True)
    return Structure(edges[:, order], N)


def weights(dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(E, generator=generator, dtype=torch.float64).to(dtype) / 300


def run(structure, weight, **options):
    state = torch.ones(N, 3, dtype=weight.dtype)
    return loop(structure, weight, state, loops=3, activation="tanh", backend="native", **options)[
        -1
    ]


def check(structure, weight):
    """Compare with a structure that has kept nothing, bit for bit."""
    assert torch.equal(
        run(structure, weight), run(Structure(structure.edge_index, N), weight.detach().clone())
    )


def by_data(weight):
    weight.data[E - 1] += 1


def by_set(weight):
    weight.data.set_(weights(weight.dtype, seed=2))


def in_place(weight):
    with torch.no_grad():
        weight[5].neg_()


def by_numpy(weight):
    weight.detach().numpy()[7] = 3


def by_swap(weight):
    with torch.no_grad():
        first = weight[0].clone()
        weight[0] = weight[64]
        weight[64] = first


def by_sign_of_zero(weight):
    with torch.no_grad():
        weight[3] = 0.0
        weight[3] = -0.0


def by_optimizer(weight, **options):
    weight.grad = torch.ones_like(weight)
    torch.optim.SGD([weight], lr=0.01, **options).step()


WRITES = {
    "data": by_data,
    "set_": by_set,
    "in place": in_place,
    "numpy": by_numpy,
    "swap": by_swap,
    "sign of zero": by_sign_of_zero,
    "optimizer": by_optimizer,
    "foreach optimizer": lambda weight: by_optimizer(weight, foreach=True),
    "fused optimizer": lambda weight: by_optimizer(weight, fused=True),
    "nothing": lambda weight: None,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_write_to_the_weights_is_seen(by_source, write, dtype):
    weight = torch.nn.Parameter(weights(dtype))
    check(by_source, weight)
    write(weight)
    check(by_source, weight)


def test_each_place_of_the_weights_is_part_of_the_key(by_source):
    weight = weights()
    run(by_source, weight)
    for place in (0, 1, 63, 64, 2**16 - 1, 2**16, E - 1):
        weight[place] += 1
        check(by_source, weight)


def test_dtypes_and_weights_take_turns(by_source):
    for seed in (1, 2, 1):
        for dtype in (torch.float32, torch.float64):
            check(by_source, weights(dtype, seed))


def test_threads_do_not_mix_their_weights(by_source):
    given = [weights(seed=seed) for seed in range(4)]
    wanted = [run(Structure(by_source.edge_index, N), weight) for weight in given]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            found = list(pool.map(lambda weight: run(by_source, weight), given))
            assert all(map(torch.equal, found, wanted))


def test_gradients_use_the_weights_of_the_call(by_source):
    weight = weights().requires_grad_()
    fresh = Structure(by_source.edge_index, N)
    run(by_source, weights(seed=2))
    found = torch.autograd.grad(run(by_source, weight).sum(), weight)[0]
    assert torch.equal(found, torch.autograd.grad(run(fresh, weight).sum(), weight)[0])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_start_without_kept_weights(by_source, copied):
    weight = weights()
    before = len(pickle.dumps(by_source))
    wanted = run(by_source, weight)
    assert len(pickle.dumps(by_source)) == before
    assert torch.equal(run(copied(by_source), weight), wanted)
