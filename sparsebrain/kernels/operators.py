"""The primitives as torch operators: one node each for autograd, torch.compile and the profiler.

Users can call them as ``torch.ops.sparsebrain.*``, so they check everything that memory safety
depends on; ``functional`` checks more before it calls them. An operator takes only tensors and
plain numbers, so calls have many arguments. Each name has the same meaning in every operator:

* ``arrays``: the index arrays of a structure, ``structure.arrays()``.
* ``weight`` [E]: one weight per synapse.
* ``state``, ``drive``, ``bias``, ``leak``: the fields of :class:`~.backend.LoopInputs`.
* ``loops``, ``activation``: the number of loops, and the name of f in ``ACTIVATIONS``.
* ``keep``: return the state after every loop, not only the last one.
* ``learns``: also return the tape, which the backward pass reads.
* ``segment``: 0, or with checkpointing the number of loops from one kept state to the next.
* ``transpose``: multiply by W^T instead of W.
* ``backend``: its name, or "auto".
* ``key``, ``std``: the fields of :class:`~.noise.CounterNoise`; no key is no noise.
* ``form``: "rate" or "voltage".
* ``narrow``: keep states as bfloat16 between the loops, see :mod:`~.narrow`.

``loop_backward`` also takes:

* ``states``: what the forward pass kept: the tape alone, or all states from the initial one on, as
  :meth:`.Backend.loop_backward` expects them; with ``segment`` the state before each segment.
* ``grads``: for the state after each loop the gradient that reaches it from outside, or None.
* ``need_weight``: also return the gradient of ``weight``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.library import custom_op

from graphs import arguments
from sparsebrain.kernels import checkpointing
from sparsebrain.kernels.activations import activation_called
from sparsebrain.kernels.backend import Backend, Looped, LoopInputs
from sparsebrain.kernels.checks import (
    check_columns,
    check_index,
    check_memory,
    check_states,
    check_tensor,
)
from sparsebrain.kernels.forms import check_form
from sparsebrain.kernels.layout import like
from sparsebrain.kernels.narrow import check_call, refuse_second_derivatives
from sparsebrain.kernels.noise import CounterNoise, check_key
from sparsebrain.kernels.reference import exchange, products
from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.stepwise import differentiable_backward
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed, refuse_batched


class _LoopArguments(NamedTuple):
    """The arguments of ``loop`` in their order, or the gradient of each."""

    weight: Any
    state: Any
    drive: Any
    bias: Any
    leak: Any
    arrays: Any
    loops: Any = None
    activation: Any = None
    keep: Any = None
    learns: Any = None
    segment: Any = None
    backend: Any = None
    key: Any = None
    std: Any = None
    form: Any = "rate"
    narrow: Any = None

    @property
    def inputs(self) -> LoopInputs:
        return LoopInputs(self.state, self.drive, self.bias, self.leak)


def _structure(arrays: Sequence[Tensor], chosen: Backend) -> Structure:
    """Return the structure of ``arrays``, checked so that a backend can read it safely."""
    structure = Structure.of(arrays)
    for array in arrays:
        check_memory("an index array", array)
    if not chosen.checks_index:
        check_index(structure)
    return structure


def _check_loop(
    structure: Structure, weight: Tensor, inputs: LoopInputs, activation: str, chosen: Backend
) -> None:
    """Raise TypeError or ValueError unless a backend can run loops on these tensors."""
    state, drive, bias, leak = inputs
    columns = {"state": state} if drive is None else {"state": state, "drive": drive}
    check_columns(structure, **columns)
    check_tensor("weight", weight, (structure.num_edges,), state)
    for name, each in (("bias", bias), ("leak", leak)):
        if each is not None:
            check_tensor(name, each, (structure.num_nodes,), state)
    activation_called(activation)
    if not chosen.fuses(activation):
        raise ValueError(
            f"backend {chosen.name!r} has no kernel for activation {activation!r}; use "
            "sparsebrain.kernels.loop, which runs it loop by loop"
        )


def _noise(key: Tensor | None, std: float, state: Tensor) -> CounterNoise | None:
    if key is None:
        return None
    check_key("key", key, state)
    return CounterNoise(key, arguments.real("std", std, positive=True))


@custom_op("sparsebrain::propagate", mutates_args=())
def propagate(
    weight: Tensor, x: Tensor, arrays: Sequence[Tensor], transpose: bool, backend: str
) -> Tensor:
    chosen = resolve(backend, x.device)
    structure = _structure(arrays, chosen)
    check_columns(structure, x=x)
    check_tensor("weight", weight, (structure.num_edges,), x)
    return chosen.operator(structure, weight, transpose=transpose)(x.contiguous())


@propagate.register_fake
def _(weight: Tensor, x: Tensor, arrays: Sequence[Tensor], transpose: bool, backend: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@custom_op("sparsebrain::correlate", mutates_args=())
def correlate(post: Tensor, pre: Tensor, arrays: Sequence[Tensor], backend: str) -> Tensor:
    chosen = resolve(backend, post.device)
    structure = _structure(arrays, chosen)
    check_columns(structure, post=post, pre=pre)
    return chosen.correlate(structure, post.contiguous(), pre.contiguous())


@correlate.register_fake
def _(post: Tensor, pre: Tensor, arrays: Sequence[Tensor], backend: str) -> Tensor:
    return post.new_empty(arrays[1].size(0))


@custom_op("sparsebrain::loop", mutates_args=())
def loop(
    weight: Tensor,
    state: Tensor,
    drive: Tensor | None,
    bias: Tensor | None,
    leak: Tensor | None,
    arrays: Sequence[Tensor],
    loops: int,
    activation: str,
    keep: bool,
    learns: bool,
    segment: int,
    backend: str,
    key: Tensor | None,
    std: float,
    form: str,
    narrow: bool,
) -> list[Tensor]:
    """Return the states that ``keep`` asks for, then the tape."""
    arguments.count("loops", loops, at_least=1)
    arguments.count("segment", segment)
    check_form(form)
    inputs = LoopInputs(state, drive, bias, leak)
    chosen = resolve(backend, state.device)
    structure = _structure(arrays, chosen)
    if narrow:
        check_call(form, activation, None, state, arrays[0], chosen.name)
    _check_loop(structure, weight, inputs, activation, chosen)
    looped = checkpointing.run(
        chosen,
        structure,
        weight,
        inputs,
        loops=loops,
        segment=segment,
        activation=activation,
        keep=keep,
        learns=learns,
        form=form,
        narrow=narrow,
        noise=_noise(key, std, state),
    )
    return [*looped.states, *looped.tape]


@loop.register_fake
def _(*arguments: Any) -> list[Tensor]:
    given = _LoopArguments(*arguments)
    state, loops, keep = given.state, given.loops, given.keep
    chosen = resolve(given.backend, state.device)

    def another() -> Tensor:
        return like(state) if chosen.any_layout else state.new_empty(state.shape)

    states = [another() for _ in range(loops if keep else 1)]
    if not given.learns:
        return states
    if given.segment:
        tape = [] if keep else [another() for _ in checkpointing.starts(loops, given.segment)[1:]]
        return [*states, *tape]
    shapes = chosen.tape_shapes(*state.shape, loops=loops, keep=keep)
    dtype = chosen.tape_dtype(state.dtype, narrow=given.narrow)
    return [*states, *(state.new_empty(shape, dtype=dtype) for shape in shapes)]


@custom_op("sparsebrain::loop_backward", mutates_args=())
def loop_backward(
    weight: Tensor,
    state: Tensor,
    drive: Tensor | None,
    bias: Tensor | None,
    leak: Tensor | None,
    states: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    arrays: Sequence[Tensor],
    activation: str,
    need_weight: bool,
    segment: int,
    backend: str,
    key: Tensor | None,
    std: float,
    form: str,
    narrow: bool,
) -> list[Tensor]:
    """Return the gradients of ``weight`` if needed, and of the given inputs, state to leak."""
    loops = arguments.count("the number of grads", len(grads), at_least=1)
    arguments.count("segment", segment)
    check_form(form)
    inputs = LoopInputs(state, drive, bias, leak)
    chosen = resolve(backend, weight.device)
    structure = _structure(arrays, chosen)
    if narrow:
        check_call(form, activation, None, state, arrays[0], chosen.name)
    _check_loop(structure, weight, inputs, activation, chosen)
    shape = tuple(state.shape)
    shapes: list[tuple[int, ...]] = [shape] * (loops + 1)
    kept_as = state.dtype
    if segment:
        shapes = shapes[: len(checkpointing.starts(loops, segment))]
    elif chosen.tape_suffices:
        shapes = chosen.tape_shapes(*shape, loops=loops, keep=False)
        kept_as = chosen.tape_dtype(kept_as, narrow=narrow)
    if narrow:
        # Autocast has widened the tape.
        states = [each.to(kept_as) if each.dtype is torch.float32 else each for each in states]
    check_states(states, shapes, state, kept_as)
    for number, grad in enumerate(grads):
        if grad is not None:
            check_tensor(f"grads[{number}]", grad, shape, state)
    gradients = checkpointing.run_backward(
        chosen,
        structure,
        weight,
        inputs,
        list(states),
        list(grads),
        segment=segment,
        activation=activation,
        need_weight=need_weight,
        form=form,
        narrow=narrow,
        noise=_noise(key, std, state),
    )
    found = (gradients.weight, *gradients.inputs)
    return [gradient for gradient in found if gradient is not None]


@loop_backward.register_fake
def _(weight: Tensor, *others: Any) -> list[Tensor]:
    inputs, need_weight, backend = others[:4], others[8], others[10]
    given = [weight] if need_weight else []
    given += [each for each in inputs if each is not None]
    if resolve(backend, weight.device).any_layout:
        return [like(each) for each in given]
    return [each.new_empty(each.shape) for each in given]


def any_propagate(
    weight: Tensor, x: Tensor, arrays: Sequence[Tensor], transpose: bool, backend: str
) -> Tensor:
    """Call ``propagate``, or compute the same with operations that torch can transform."""
    if is_transformed():
        return exchange(Structure.of(arrays).edge_index, weight, x, transpose=transpose)
    return propagate(weight, x, arrays, transpose, backend)


def any_correlate(post: Tensor, pre: Tensor, arrays: Sequence[Tensor], backend: str) -> Tensor:
    """Call ``correlate``, or compute the same with operations that torch can transform."""
    if is_transformed():
        return products(Structure.of(arrays).edge_index, post, pre)
    return correlate(post, pre, arrays, backend)


def _propagate_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    weight, x, ctx.arrays, ctx.transpose, ctx.backend = inputs
    ctx.save_for_backward(weight, x)


def _propagate_backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    weight, x = ctx.saved_tensors
    refuse_batched(grad)
    grad = grad.contiguous()
    grad_weight = grad_x = None
    if ctx.needs_input_grad[0]:
        post, pre = (x, grad) if ctx.transpose else (grad, x)
        grad_weight = any_correlate(post, pre, ctx.arrays, ctx.backend)
    if ctx.needs_input_grad[1]:
        grad_x = any_propagate(weight, grad, ctx.arrays, not ctx.transpose, ctx.backend)
    return grad_weight, grad_x, [None] * len(ctx.arrays), None, None


def _correlate_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    post, pre, ctx.arrays, ctx.backend = inputs
    ctx.save_for_backward(post, pre)


def _correlate_backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    post, pre = ctx.saved_tensors
    refuse_batched(grad)
    grad_post = grad_pre = None
    if ctx.needs_input_grad[0]:
        grad_post = any_propagate(grad, pre, ctx.arrays, False, ctx.backend)
    if ctx.needs_input_grad[1]:
        grad_pre = any_propagate(grad, post, ctx.arrays, True, ctx.backend)
    return grad_post, grad_pre, [None] * len(ctx.arrays), None


def _loop_setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    given = _LoopArguments(*inputs)
    shown = given.loops if given.keep else 1
    states, tape = output[:shown], output[shown:]
    ctx.mark_non_differentiable(*tape)
    # Later operations may use only some of the states; zero gradients for the others would cost a
    # pass over memory each.
    ctx.set_materialize_grads(False)
    kept = checkpointing.kept_states(
        resolve(given.backend, given.state.device),
        given.state,
        Looped(states, tape),
        loops=given.loops,
        segment=given.segment,
        keep=given.keep,
    )
    ctx.save_for_backward(given.weight, *given.inputs, *kept)
    # Tensors are saved above with save_for_backward, which detects in-place changes.
    ctx.given = given._replace(weight=None, state=None, drive=None, bias=None, leak=None)


def _loop_backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    given: _LoopArguments = ctx.given
    weight, state, drive, bias, leak, *kept = ctx.saved_tensors
    refuse_batched(*grads)
    again = torch.is_grad_enabled() or is_transformed()
    if again and given.narrow:
        refuse_second_derivatives()
    if again:
        found = differentiable_backward(
            lambda weight, x: any_propagate(weight, x, given.arrays, False, given.backend),
            weight,
            LoopInputs(state, drive, bias, leak),
            ctx.needs_input_grad[:5],
            grads,
            loops=given.loops,
            activation=given.activation,
            keep=given.keep,
            form=given.form,
            noise=None if given.key is None else CounterNoise(given.key, given.std),
        )
        return tuple(_LoopArguments._make([*found, [None] * len(given.arrays), *[None] * 10]))
    need_weight = ctx.needs_input_grad[0]
    without = [None] * (given.loops - 1)
    found = loop_backward(
        weight,
        state,
        drive,
        bias,
        leak,
        kept,
        grads[: given.loops] if given.keep else [*without, grads[0]],
        given.arrays,
        given.activation,
        need_weight,
        given.segment,
        given.backend,
        given.key,
        given.std,
        given.form,
        given.narrow,
    )
    gradients = iter(found)
    of_weight = next(gradients) if need_weight else None
    of_inputs = LoopInputs(state, drive, bias, leak).map(lambda _: next(gradients))
    of_arrays = [None] * len(given.arrays)
    return tuple(_LoopArguments(of_weight, *of_inputs, of_arrays, form=None, narrow=None))


propagate.register_autograd(_propagate_backward, setup_context=_propagate_setup)
correlate.register_autograd(_correlate_backward, setup_context=_correlate_setup)
loop.register_autograd(_loop_backward, setup_context=_loop_setup)

for _operator in (propagate, correlate, loop, loop_backward):
    for _device in ("cpu", "cuda"):
        # Autocast would narrow the products inside, and the loops amplify rounding errors.
        _operator.register_autocast(_device, torch.float32)
