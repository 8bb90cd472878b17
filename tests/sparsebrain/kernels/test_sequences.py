"""All steps at once against the dense matrix step by step, on every backend and graph."""

import itertools
import threading

import pytest
import torch

import graphs
from sparsebrain import kernels
from sparsebrain.kernels import Structure, native_calls, sequences
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopInputs

STEPS = 4


def run(structure, weight, state, drive, bias=None, leak=None, **options):
    options = {"loops": 1, "activation": "tanh", "checkpoint": False, "backend": "auto"} | options
    return sequences.sequence(structure, weight, LoopInputs(state, drive, bias, leak), **options)


def step_by_step(matrix, state, drive, bias, leak, loops, activation):
    """The definition on rows [B, N], differentiable by autograd."""
    function = ACTIVATIONS[activation].function
    states = []
    for step in range(drive.size(-2)):
        for _ in range(loops):
            total = state @ matrix.t() + drive[..., step, :]
            after = function(total if bias is None else total + bias)
            state = after if leak is None else (1 - leak) * state + leak * after
        states.append(state)
    return torch.stack(states, -2), state


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(
        *shape, generator=generator, dtype=torch.float64, requires_grad=True
    )


def compare(structure, dense, given, loops, activation, **options):
    """Equal states, and equal gradients of every result and of both together."""
    weight, state, drive, bias, leak = given
    leaves = [each for each in given if each is not None]
    found = run(structure, *given, loops=loops, activation=activation, **options)
    wanted = step_by_step(dense(structure, weight), state, drive, bias, leak, loops, activation)
    torch.testing.assert_close(found, wanted)
    for parts in ((0,), (1,), (0, 1)):
        torch.testing.assert_close(
            *(
                torch.autograd.grad(
                    sum(each[at].cos().sum() for at in parts), leaves, retain_graph=True
                )
                for each in (found, wanted)
            )
        )


@pytest.mark.parametrize("extras", ["bare", "with_bias", "with_all"])
@pytest.mark.parametrize("loops", [1, 3])
def test_states_and_gradients_equal_dense_autograd(structure, backend, dense, draw, loops, extras):
    n = structure.num_nodes
    bias = None if extras == "bare" else draw(n)
    leak = draw(n).detach().sigmoid().requires_grad_() if extras == "with_all" else None
    given = (draw(structure.num_edges), draw(5, n), draw(5, STEPS, n), bias, leak)
    compare(structure, dense, given, loops, "tanh", backend=backend)


@pytest.mark.parametrize("leaky", [False, True], ids=["no leak", "leak"])
@pytest.mark.parametrize("checkpoint", [False, True], ids=["all kept", "checkpoint"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(small, backend, dense, draw, activation, checkpoint, leaky):
    n = small.num_nodes
    leak = draw(n).detach().sigmoid().requires_grad_() if leaky else None
    given = (draw(small.num_edges), draw(3, n), draw(3, 7, n), draw(n), leak)
    compare(small, dense, given, 2, activation, backend=backend, checkpoint=checkpoint)


@pytest.mark.parametrize("batch", [(), (0,), (1,), (13,), (2, 3), (70,), (0, 4)], ids=str)
@pytest.mark.parametrize("steps", [1, 9])
def test_any_batch_and_any_number_of_steps(small, backend, dense, draw, steps, batch):
    n = small.num_nodes
    given = (draw(small.num_edges), draw(*batch, n), draw(*batch, steps, n), draw(n), None)
    compare(small, dense, given, 2, "tanh", backend=backend)


def test_a_gradient_is_right_by_finite_differences(small, backend, draw):
    n = small.num_nodes
    leak = draw(n).detach().sigmoid().requires_grad_()
    given = (draw(small.num_edges), draw(2, n), draw(2, 2, n), draw(n), leak)

    def function(*given):
        return run(small, *given, loops=2, activation="sigmoid", backend=backend)

    assert torch.autograd.gradcheck(function, given)
    assert torch.autograd.gradgradcheck(function, given, fast_mode=True)


@pytest.mark.parametrize(
    "lay",
    [
        lambda draw: draw(6, 5, 4).transpose(0, 1),
        lambda draw: draw(5, 4, 6).transpose(1, 2),
        lambda draw: draw(5, 12, 4)[:, ::2],
        lambda draw: draw(5, 6, 8)[..., ::2],
        lambda draw: draw(1, 1, 4).expand(5, 6, 4),
    ],
    ids=["time first", "neurons before time", "every other step", "every other value", "expanded"],
)
def test_a_drive_may_have_any_layout(backend, dense, draw, lay):
    ring = Structure(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), 4)
    given = (draw(4), draw(4, 5).t(), lay(draw), draw(8)[::2], None)
    compare(ring, dense, given, 2, "tanh", backend=backend)


@pytest.mark.parametrize(
    ("backend", "batch", "leaky", "dtype"),
    [
        ("torch", 8, True, torch.float64),
        ("native", 1, False, torch.float32),
        ("native", 8, True, torch.float64),
        ("native", 13, True, torch.float32),
    ],
)
def test_a_thousand_steps(backend, batch, leaky, dtype, dense):
    """float32 is compared with float64; weights small enough that errors do not grow."""
    if kernels.available()[backend] is not None:
        pytest.skip("no compiled kernels; .ci/run asserts them")
    data = graphs.small_world(30, 6, 1.0, seed=0)
    structure = Structure(data.edge_index, 30)
    generator = torch.Generator().manual_seed(1)
    shapes = ((180,), (batch, 30), (batch, 1000, 30), (30,))
    exact = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    exact[0] /= 6
    exact += [exact[3].sigmoid() if leaky else None]
    found, wanted = (
        [None if each is None else each.to(kind, copy=True).requires_grad_() for each in exact]
        for kind in (dtype, torch.float64)
    )
    states, last = run(structure, *found, backend=backend)
    every, end = step_by_step(dense(structure, wanted[0]), *wanted[1:], 1, "tanh")
    (states.square().mean() + last.sum()).backward()
    (every.square().mean() + end.sum()).backward()
    tolerance = 2e-5 if dtype is torch.float32 else 1e-12
    pairs = [
        (states.detach(), every.detach()),
        *((one.grad, two.grad) for one, two in zip(found, wanted, strict=True) if one is not None),
    ]
    for one, two in pairs:
        assert float((one.double() - two).abs().max()) <= tolerance * float(two.abs().max())


def test_the_results_may_be_changed_in_place(small, backend, draw):
    n = small.num_nodes
    given = (draw(small.num_edges), draw(2, n), draw(2, 6, n), draw(n), None)
    for checkpoint in (False, True):
        options = {"checkpoint": checkpoint, "backend": backend}
        states, last = run(small, *given, **options)
        wanted = torch.autograd.grad(states.sum() + 2 * last.sum(), given[:4])
        states, last = run(small, *given, **options)
        states.mul_(1)
        last.mul_(2)
        changed = states + 0
        with torch.no_grad():
            states.fill_(7)
            last.zero_()
        found = torch.autograd.grad(changed.sum() + last.sum(), given[:4])
        torch.testing.assert_close(found, wanted)


def test_a_changed_input_is_noticed(small, backend, draw):
    n = small.num_nodes
    given = (draw(small.num_edges), draw(2, n), draw(2, 6, n))
    states, _ = run(small, *given, backend=backend)
    with torch.no_grad():
        given[0].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


def test_a_checkpoint_keeps_fewer_values(small, draw):
    n = small.num_nodes
    given = (draw(small.num_edges), draw(2, n), draw(2, 100, n))
    sizes = []
    for checkpoint in (False, True):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda each, kept=kept: kept.append(each.numel()) or each, lambda each: each
        ):
            run(small, *given, checkpoint=checkpoint, backend="torch")
        sizes.append(sum(kept) - sum(each.numel() for each in given))
    # Two states a step, the one before and the one after; or one every ten steps but the first.
    assert sizes == [200 * 2 * n, 9 * 2 * n]


def test_it_is_not_run_where_steps_have_more_loops_than_there_are_steps(small, draw):
    n = small.num_nodes
    given = LoopInputs(draw(2, n), draw(2, 6, n), None, None)
    options = {"activation": "tanh", "backend": "auto"}
    weight = draw(small.num_edges)
    for loops, checkpoint in itertools.product((6, 7), (False, True)):
        fused = sequences.is_fused(weight, given, loops=loops, checkpoint=checkpoint, **options)
        assert fused == (loops == 6 or not checkpoint)


needs_native = pytest.mark.skipif(
    kernels.available()["native"] is not None, reason="no compiled kernels; .ci/run asserts them"
)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@needs_native
@pytest.mark.parametrize(
    ("neurons", "neighbors", "batch"),
    [(60, 8, 8), (60, 8, 200), (700, 40, 8), (700, 40, 13)],
    ids=["one tile", "tiles apart", "rows shared", "rows of several tiles"],
)
def test_no_result_depends_on_the_threads(neurons, neighbors, batch, threads):
    data = graphs.small_world(neurons, neighbors, 1.0, seed=0)
    # As PyG sorts them, so that weights are rearranged.
    order = (data.edge_index[0] * neurons + data.edge_index[1]).argsort()
    structure = Structure(data.edge_index[:, order], neurons)
    generator = torch.Generator().manual_seed(0)
    shapes = ((structure.num_edges,), (batch, neurons), (batch, 40, neurons), (neurons,))
    given = [torch.randn(shape, generator=generator) / 9 for shape in shapes]
    given = [each.requires_grad_() for each in (*given, given[3].sigmoid())]
    found = []
    for number in (1, 2, 3):
        threads(number)
        states, last = run(structure, *given, loops=2, activation="gelu")
        grads = torch.autograd.grad(states.square().sum() + last.sum(), given)
        found.append([states, last, *grads])
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


@needs_native
@pytest.mark.parametrize("wide", [False, True], ids=["int32", "int64"])
@pytest.mark.parametrize("batch", [1, 7, 77])
def test_every_instruction_set_and_width_of_index(batch, wide, dtype, dense, monkeypatch):
    data = graphs.small_world(50, 8, 0.5, seed=0)
    structure = Structure(data.edge_index, 50)
    if wide:
        arrays = [each.long() for each in structure.arrays()]
        structure = Structure.from_arrays(arrays, 50)
    generator = torch.Generator().manual_seed(0)
    shapes = ((structure.num_edges,), (batch, 50), (batch, 9, 50), (50,))
    exact = [torch.randn(shape, generator=generator, dtype=torch.float64) / 4 for shape in shapes]
    exact.append(exact[3].sigmoid())
    wanted = [each.clone().requires_grad_() for each in exact]
    every, _ = step_by_step(dense(structure, wanted[0]), *wanted[1:], 2, "silu")
    every.square().sum().backward()
    for name in native_calls.module().instruction_sets():
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        found = [each.to(dtype, copy=True).requires_grad_() for each in exact]
        states, _ = run(structure, *found, loops=2, activation="silu", backend="native")
        states.square().sum().backward()
        pairs = [
            (states.detach(), every.detach()),
            *((one.grad, two.grad) for one, two in zip(found, wanted, strict=True)),
        ]
        for one, two in pairs:
            error = (one.double() - two).abs().max() / two.abs().max()
            assert float(error) < 100 * torch.finfo(dtype).eps, name


@pytest.mark.parametrize("view", ["by_target", "by_source"])
@pytest.mark.parametrize("array", ["pointer", "neuron", "order"])
def test_an_index_that_leads_nowhere_is_refused(backend, draw, view, array):
    if backend == "dense":
        pytest.skip("it reads a checked copy; test_dense.py shows that its results stay right")
    structure = Structure(torch.tensor([[3, 0, 2, 1, 0], [0, 3, 2, 0, 1]]), 4)
    given = (draw(5), draw(2, 4), draw(2, 3, 4))
    states, _ = run(structure, *given, backend=backend)
    getattr(getattr(structure, view), array).data[-1] = 1000
    with pytest.raises(ValueError, match="index arrays of the structure lead to"):
        states.sum().backward()
    # Forward, the compiled kernels read only the rows of the targets.
    if backend != "native" or view == "by_target":
        with pytest.raises(ValueError, match="index arrays of the structure lead to"):
            run(structure, *given, backend=backend)


def test_what_does_not_fit_is_refused(small, draw):
    n, edges = small.num_nodes, small.num_edges
    weight, state, drive = draw(edges), draw(2, n), draw(2, 6, n)
    for wrong, told in (
        ((draw(edges + 1), state, drive), "weight must be"),
        ((weight, draw(3, n), drive), "state must be"),
        ((weight, state, draw(2, 6, n + 1)), "x must be"),
        ((weight, state, drive, draw(n + 1)), "bias must be"),
        ((weight, state, drive, None, draw(n + 1)), "leak must be"),
        ((weight, state, drive, None, draw(n) * 0 + 2), "leak must be from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=told):
            run(small, *wrong)
    with pytest.raises(ValueError, match="a sequence of 6 steps and loops=1000000000000 needs"):
        run(small, weight, state, drive, loops=10**12)


def test_freed_memory_is_refused(small, draw):
    n = small.num_nodes
    given = [draw(small.num_edges), draw(2, n), draw(2, 6, n)]
    for which in range(3):
        wrong = [each.detach().clone() for each in given]
        wrong[which].untyped_storage().resize_(0)
        with pytest.raises(ValueError, match="was freed or cut"):
            run(small, *wrong)


@needs_native
def test_several_python_threads_compute_at_once(small, draw):
    n = small.num_nodes
    given = (draw(small.num_edges), draw(8, n), draw(8, 50, n), draw(n))
    wanted = torch.autograd.grad(run(small, *given)[0].sum(), given)
    found = []

    def work():
        found.append(torch.autograd.grad(run(small, *given)[0].sum(), given))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for each in found:
        torch.testing.assert_close(each, wanted, rtol=0, atol=0)
