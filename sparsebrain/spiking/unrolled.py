"""Spiking neurons step by step, differentiable: backpropagation through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from graphs import tensors
from sparsebrain import kernels
from sparsebrain.kernels.checks import check_index, check_memory
from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.transforms import is_transformed
from sparsebrain.spiking.dynamics import Coefficients, State, Wiring, step
from sparsebrain.spiking.surrogate import SURROGATES, Surrogate

if TYPE_CHECKING:
    from sparsebrain.spiking.lif import LIF

# Steps are processed in pieces that stay in a core's cache, as far as one step allows.
_PIECE = 2**17

# A coefficient as a number where all neurons share it, or else [N, 1].
_Factor = float | Tensor


def run(lif: LIF, current: Tensor, state: State | None) -> tuple[Tensor, State]:
    """Run one step for each input current, see :meth:`sparsebrain.spiking.LIF.forward`."""
    current = _check_current(lif, current)
    batch, steps, _ = current.shape
    state = lif.rest_state(batch) if state is None else _check_state(lif, state, current)
    tensors.room(
        f"current of {steps} steps",
        # Potentials, spikes, refractory neurons, and in the backward pass three gradients.
        (6 if torch.is_grad_enabled() else 3) * current.nbytes,
        "pass fewer steps or a smaller batch, and continue from the state",
    )
    network = _Network(lif.coefficients(), lif.wiring, SURROGATES[lif.surrogate])
    if is_transformed():
        spikes, after = _run_stepwise(network, current, lif.weight, state)
    else:
        given = (state.u, state.g, state.spikes, state.wait)
        spikes, u, g, wait = _Unrolled.apply(current, lif.weight, *given, network)
        after = State(u, g, wait, state.spikes)
    return spikes, after._replace(spikes=_latest(state.spikes, spikes))


def _check_current(lif: LIF, current: Tensor) -> Tensor:
    dtypes: tuple[torch.dtype, ...] = (lif.weight.dtype,)
    if isinstance(current, Tensor) and torch.is_autocast_enabled(lif.weight.device.type):
        dtypes = (*dtypes, torch.float16, torch.bfloat16)
    shape, device = ("B", "T", lif.num_nodes), lif.weight.device
    tensors.tensor("current", current, shape, dtypes=dtypes, device=device)
    # A sum is the fastest test, and finite values whose sum is not are tested one by one.
    if not torch.compiler.is_compiling() and not bool(current.sum().isfinite()):
        tensors.tensor("current", current, shape, dtypes=dtypes, finite=True)
    return current.to(lif.weight.dtype)


def _check_state(lif: LIF, state: State, current: Tensor) -> State:
    """Raise TypeError or ValueError unless a state fits the neurons and the current."""
    if not isinstance(state, State):
        raise TypeError(
            f"state must be the State of an earlier call or None, got {type(state).__name__}; "
            "pass the second result of an earlier call, or lif.rest_state(B)"
        )
    shape = (len(current), lif.num_nodes)
    past = (len(current), lif.longest_delay, lif.num_nodes)
    fix = f"pass state=lif.rest_state({len(current)}), or a state of this network and batch"
    if (state.g is None) is not (lif.tau_synapse is None):
        raise ValueError(f"state.g must be a tensor if and only if tau_synapse is given; {fix}")
    floats = {"state.u": (state.u, shape), "state.g": (state.g, shape)}
    for name, (values, size) in (floats | {"state.spikes": (state.spikes, past)}).items():
        if values is not None or name != "state.g":
            dtypes, device = (current.dtype,), current.device
            tensors.tensor(name, values, size, dtypes=dtypes, device=device, finite=True, fix=fix)
    tensors.tensor(
        "state.wait", state.wait, shape, dtypes=(torch.int32,), device=current.device, fix=fix
    )
    if bool((state.wait < 0).any()):
        raise ValueError(f"state.wait must not be negative, got {int(state.wait.min())}; {fix}")
    if bool(((state.spikes != 0) & (state.spikes != 1)).any()):
        raise ValueError(f"state.spikes must be 0 or 1; {fix}")
    return state


def _latest(past: Tensor, spikes: Tensor) -> Tensor:
    """Return the last D of the spikes [B, D, N] and [B, T, N]."""
    longest, steps = past.size(1), spikes.size(1)
    if steps >= longest:
        return spikes[:, steps - longest :].clone()
    return torch.cat((past[:, steps:], spikes), 1)


def _gap(c: Coefficients) -> Tensor:
    """Return the distance from rest to threshold, [N], or 1 where it is not positive."""
    if c.threshold.stride(0) == 0 and len(c.threshold):
        one = c.threshold[:1]
        return torch.where(one > 0, one, 1.0).expand(len(c.threshold))
    return torch.where(c.threshold > 0, c.threshold, 1.0)


def _factor(values: Tensor) -> _Factor:
    """Return values [N] as a number if all neurons share one, or else as a column."""
    if values.numel() and values.stride(0) == 0:
        return float(values[0])
    return values.unsqueeze(1)


def _less_one(values: Tensor) -> _Factor:
    """Return values - 1 as :func:`_factor` does."""
    return _factor(values) - 1


def _add(total: Tensor, x: Tensor, factor: _Factor, out: Tensor | None = None) -> None:
    """Set ``out``, or else ``total``, to total + factor * x."""
    out = total if out is None else out
    if isinstance(factor, float):
        torch.add(total, x, alpha=factor, out=out)
    else:
        torch.addcmul(total, x, factor, out=out)


class _Network(NamedTuple):
    """What a pass needs besides its tensors."""

    c: Coefficients
    wiring: Wiring
    surrogate: Surrogate

    @property
    def rests(self) -> bool:
        """Whether a neuron can be refractory after the step of its spike."""
        refractory = self.c.refractory
        return bool(refractory.numel()) and int(refractory.max()) > 1


def _run_stepwise(
    network: _Network, current: Tensor, weight: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run the steps by operations that PyTorch can differentiate any number of times."""
    c, wiring, surrogate = network
    gap = _gap(c)
    propagate = partial(kernels.propagate, wiring.structure, weight)

    def fire(x: Tensor) -> Tensor:
        # The difference is zero, and only its derivative counts.
        smooth = surrogate.smooth(x / (gap * surrogate.width)) * surrogate.width
        return (x > 0).to(x) + (smooth - smooth.detach())

    spikes = []
    for drive in (c.drive * current).unbind(1):
        history = state.spikes.permute(1, 2, 0)

        def arrivals(now: Tensor, history: Tensor = history) -> Tensor:
            return wiring.arrivals(propagate, history, now.t()).t()

        now, after = step(c, state, fire, arrivals, drive=drive)
        spikes.append(now)
        state = after._replace(spikes=_latest(state.spikes, now.unsqueeze(1)))
    return torch.stack(spikes, 1) if spikes else torch.zeros_like(current), state


class _Tape(NamedTuple):
    """What the backward pass reads, by step.

    Attributes:
        u: [T, N, B], the potential before the reset.
        spikes: [D + T, N, B], those of the past first.
        active: [T, N, B], 0 where a neuron is refractory; None if none ever is.
    """

    u: Tensor
    spikes: Tensor
    active: Tensor | None


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        weight: Tensor,
        u: Tensor,
        g: Tensor | None,
        past: Tensor,
        wait: Tensor,
        network: _Network,
    ) -> tuple[Any, ...]:
        learns = any(ctx.needs_input_grad)
        operator = _operator(network.wiring, weight, transpose=False)
        state = State(_columns(u), None if g is None else _columns(g), _columns(wait), past)
        tape, after = _run_steps(network, operator, _steps(current), state, learns=learns)
        ctx.network = network
        ctx.set_materialize_grads(False)
        if learns:
            ctx.save_for_backward(current, weight, u, g, past, wait, *tape)
        left = after.wait.t().contiguous()
        ctx.mark_non_differentiable(left)
        spikes = _from_steps(tape.spikes[past.size(1) :])
        return spikes, _rows(after.u), None if after.g is None else _rows(after.g), left

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        current, weight, u, g, past, wait, *tape = ctx.saved_tensors
        network, needs = ctx.network, ctx.needs_input_grad[:5]
        if torch.is_grad_enabled():
            spikes, after = _run_stepwise(network, current, weight, State(u, g, wait, past))
            pairs = zip((spikes, after.u, after.g), grads, strict=False)
            reached = [(each, grad) for each, grad in pairs if grad is not None]
            inputs = (current, weight, u, g, past)
            wanted = [each for each, need in zip(inputs, needs, strict=True) if need]
            outputs, given = zip(*reached, strict=True)
            found = iter(
                torch.autograd.grad(outputs, wanted, given, create_graph=True, allow_unused=True)
            )
            return (*(next(found) if need else None for need in needs), None, None)
        return (*_run_back(network, weight, _Tape(*tape), grads, needs), None, None)


def _operator(wiring: Wiring, weight: Tensor, *, transpose: bool) -> Callable[[Tensor], Tensor]:
    """Return the map x -> W x or W^T x, with everything checked once for all steps."""
    wiring.structure.check_arrays()
    check_memory("weight", weight)
    chosen = resolve("auto", weight.device)
    if not chosen.checks_index:
        check_index(wiring.structure)
    return chosen.operator(wiring.structure, weight, transpose=transpose)


def _columns(rows: Tensor) -> Tensor:
    """Return rows [B, N] as a copy [N, B]."""
    return rows.t().clone(memory_format=torch.contiguous_format)


def _rows(columns: Tensor) -> Tensor:
    """Return columns [N, B] as a copy [B, N]."""
    return columns.t().clone(memory_format=torch.contiguous_format)


def _steps(x: Tensor) -> Tensor:
    """Return x [B, T, N] as a copy [T, N, B]; a transpose of two axes is the fastest copy."""
    batch, steps, neurons = x.shape
    flat = x.reshape(batch, steps * neurons).t()
    return flat.clone(memory_format=torch.contiguous_format).view(steps, neurons, batch)


def _from_steps(x: Tensor) -> Tensor:
    """Undo :func:`_steps`."""
    steps, neurons, batch = x.shape
    flat = x.reshape(steps * neurons, batch).t()
    return flat.clone(memory_format=torch.contiguous_format).view(batch, steps, neurons)


def _run_steps(
    network: _Network,
    operator: Callable[[Tensor], Tensor],
    drive: Tensor,
    state: State,
    *,
    learns: bool,
) -> tuple[_Tape, State]:
    """Run all steps on states [N, B], which are overwritten, and so is ``drive`` [T, N, B].

    Masks are numbers, since PyTorch selects by a bool tensor at a tenth of the speed.
    """
    c, wiring, _ = network
    u, g, wait, past = state
    decay, threshold, reset = _factor(c.decay), _factor(c.threshold), _factor(c.reset)
    transfer = None if c.transfer is None else _factor(c.transfer)
    synapse_decay = None if c.synapse_decay is None else _factor(c.synapse_decay)
    steps, neurons, batch = drive.shape
    longest = past.size(1)
    spikes = drive.new_empty(longest + steps, neurons, batch)
    spikes[:longest] = past.permute(1, 2, 0)
    drive.mul_(_factor(c.drive))
    rests = network.rests or bool(wait.any())
    # The first step at which a neuron is active again.
    free, refractory = wait.to(u.dtype), c.refractory.to(u.dtype).unsqueeze(1)
    rested = u.new_empty(steps if learns else 1, neurons, batch) if rests else None
    silent, scratch = torch.empty_like(u), torch.empty_like(u)
    for number in range(steps):
        potential, spiked = drive[number], spikes[longest + number]
        if g is not None:
            assert transfer is not None
            _add(potential, g, transfer)
        _add(potential, u, decay)
        active = None
        if rested is not None:
            active = rested[number if learns else 0]
            torch.le(free, number, out=active)
            torch.gt(free, number, out=silent)
            potential.mul_(active).addcmul_(u, silent)
        torch.gt(potential, threshold, out=spiked)
        if active is not None:
            spiked.mul_(active)
            torch.mul(spiked, refractory + number, out=scratch)
            torch.maximum(free, scratch, out=free)
        arriving = wiring.arrivals(operator, spikes[number : number + longest], spiked)
        if g is None:
            if active is None:
                torch.add(potential, arriving, out=u)
            else:
                torch.addcmul(potential, arriving, active, out=u)
        else:
            assert synapse_decay is not None
            _add(arriving, g, synapse_decay)
            _receive(c, g, arriving, spiked, active, silent)
            u.copy_(potential)
        u.addcmul_(u, spiked, value=-1)
        if not isinstance(reset, float) or reset:
            _add(u, spiked, reset)
    wait = (free - steps).clamp_min_(0).to(torch.int32)
    return _Tape(drive, spikes, rested if learns else None), State(u, g, wait, past)


def _receive(
    c: Coefficients,
    g: Tensor,
    received: Tensor,
    spiked: Tensor,
    active: Tensor | None,
    silent: Tensor,
) -> None:
    """Set g to what it has received, unless it is frozen; where a neuron has spiked, to zero."""
    if not c.holds_all:
        g.copy_(received)
    elif active is None:
        torch.addcmul(received, received, spiked, value=-1, out=g)
    else:
        g.mul_(silent).addcmul_(received, active)
        g.addcmul_(g, spiked, value=-1)


def _run_back(
    network: _Network,
    weight: Tensor,
    tape: _Tape,
    grads: Sequence[Tensor | None],
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the current, the weights, u, g and the past spikes."""
    c, wiring, _ = network
    of_spikes, of_u, of_g, _ = grads
    needs_current, needs_weight, needs_u, needs_g, needs_past = needs
    steps, neurons, batch = tape.u.shape
    longest = len(tape.spikes) - steps
    if of_spikes is not None and not longest:
        grad_spikes = _steps(of_spikes)
    else:
        grad_spikes = tape.u.new_zeros(longest + steps, neurons, batch)
        if of_spikes is not None:
            grad_spikes[longest:] = _steps(of_spikes)
    zero = tape.u.new_zeros(neurons, batch)
    grad_u = zero if of_u is None else _columns(of_u)
    grad_g = None
    if c.transfer is not None:
        grad_g = zero.clone() if of_g is None else _columns(of_g)
    grad_drive = torch.empty_like(tape.u)
    operator = _operator(wiring, weight, transpose=True)
    grad_weight = torch.zeros_like(weight) if needs_weight else None
    for piece, slopes in _pieces(network, tape):
        arriving = _run_piece(
            network,
            operator,
            tape,
            piece,
            slopes,
            grad_spikes=grad_spikes,
            grad_u=grad_u,
            grad_g=grad_g,
            grad_drive=grad_drive,
        )
        if grad_weight is not None:
            grad_weight += _correlate(wiring, arriving, tape.spikes, piece, longest)
    return (
        _from_steps(grad_drive.mul_(_factor(c.drive))) if needs_current else None,
        grad_weight,
        _rows(grad_u) if needs_u else None,
        _rows(grad_g) if needs_g and grad_g is not None else None,
        grad_spikes[:longest].permute(2, 0, 1).contiguous() if needs_past else None,
    )


def _pieces(network: _Network, tape: _Tape) -> Iterator[tuple[range, Tensor]]:
    """Yield the steps in pieces, the last piece first, with the derivatives of their spikes."""
    surrogate, c = network.surrogate, network.c
    threshold, gap = _factor(c.threshold), _factor(_gap(c))
    narrow, height = 1 / (gap * surrogate.width), 1 / gap
    steps, neurons, batch = tape.u.shape
    length = max(_PIECE // max(neurons * batch, 1), 1)
    for stop in range(steps, 0, -length):
        piece = range(max(stop - length, 0), stop)
        slopes = surrogate.slope((tape.u[piece.start : stop] - threshold).mul_(narrow))
        if not isinstance(height, float) or height != 1:
            slopes.mul_(height)
        if tape.active is not None:
            slopes.mul_(tape.active[piece.start : stop])
        yield piece, slopes


def _run_piece(
    network: _Network,
    operator: Callable[[Tensor], Tensor],
    tape: _Tape,
    piece: range,
    slopes: Tensor,
    *,
    grad_spikes: Tensor,
    grad_u: Tensor,
    grad_g: Tensor | None,
    grad_drive: Tensor,
) -> Tensor:
    """Run some steps backwards, and return the gradients of what arrives at each, [T, N, B].

    The gradients of ``grad_spikes``, ``grad_u``, ``grad_g`` and ``grad_drive`` are updated.
    """
    c, wiring, _ = network
    longest = wiring.delays[0]
    nodes = wiring.structure.num_nodes
    decay, lost = _factor(c.decay), _less_one(c.decay)
    transfer = None if c.transfer is None else _factor(c.transfer)
    faded = None if c.synapse_decay is None else _less_one(c.synapse_decay)
    arriving = torch.empty_like(slopes)
    padded = grad_u.new_zeros(nodes, grad_u.size(1)) if nodes > wiring.num_nodes else None
    for number in reversed(piece):
        place = number - piece.start
        spiked, active = tape.spikes[longest + number], None
        if tape.active is not None:
            active = tape.active[number]
        arrived = arriving[place]
        # A neuron that spiked was reset, whatever its potential was.
        grad_u.addcmul_(grad_u, spiked, value=-1)
        through = grad_u
        if grad_g is not None:
            through = grad_g
            if c.holds_all:
                grad_g.addcmul_(grad_g, spiked, value=-1)
        if active is None or not (grad_g is None or c.holds_all):
            arrived.copy_(through)
        else:
            torch.mul(through, active, out=arrived)
        if grad_g is not None:
            assert faded is not None
            # Frozen where the neuron is refractory, if all is.
            _add(grad_g, arrived, faded)
        if padded is not None:
            padded[: wiring.num_nodes] = arrived
        back = operator(arrived if padded is None else padded)
        for delay, part in zip(wiring.delays, back.split(wiring.num_nodes), strict=True):
            grad_spikes[longest + number - delay].add_(part)
        grad_u.addcmul_(slopes[place], grad_spikes[longest + number])
        integrated = grad_drive[number]
        if active is None:
            integrated.copy_(grad_u)
            grad_u.mul_(decay)
        else:
            torch.mul(grad_u, active, out=integrated)
            _add(grad_u, integrated, lost)
        if grad_g is not None:
            assert transfer is not None
            _add(grad_g, integrated, transfer)
    return arriving


def _correlate(
    wiring: Wiring, arriving: Tensor, spikes: Tensor, piece: range, longest: int
) -> Tensor:
    """Return the gradient of the weights for some steps: all samples and steps in one product."""
    structure, neurons = wiring.structure, wiring.num_nodes
    columns = len(piece) * arriving.size(2)

    def side_by_side(steps: Tensor) -> Tensor:
        return steps.transpose(0, 1).reshape(neurons, columns)

    first, last = longest + piece.start, longest + piece.stop
    post = side_by_side(arriving)
    pre = [side_by_side(spikes[first - delay : last - delay]) for delay in wiring.delays]
    if len(pre) > 1:
        # No synapse ends at the nodes that represent earlier spikes.
        post = torch.cat((post, post.new_zeros(structure.num_nodes - neurons, columns)))
    return resolve("auto", post.device).correlate(structure, post, torch.cat(pre))
