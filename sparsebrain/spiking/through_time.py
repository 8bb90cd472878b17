"""The forward and the backward pass of spiking neurons over time, on states [N, B]."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.checks import check_index, check_memory
from sparsebrain.kernels.select import resolve
from sparsebrain.spiking.dynamics import Coefficients, State, Wiring
from sparsebrain.spiking.surrogate import Surrogate

# Steps are processed in pieces that stay in a core's cache, as far as one step allows.
_PIECE = 2**17

# A coefficient as a number where all neurons share it, or else [N, 1].
_Factor = float | Tensor


class Network(NamedTuple):
    """What a pass needs besides its tensors."""

    c: Coefficients
    wiring: Wiring
    surrogate: Surrogate

    @property
    def rests(self) -> bool:
        """Whether a neuron can be refractory after the step of its spike."""
        refractory = self.c.refractory
        return bool(refractory.numel()) and int(refractory.max()) > 1


class Tape(NamedTuple):
    """What the backward pass reads, by step.

    Attributes:
        u: [T, N, B], the potential before the reset.
        spikes: [D + T, N, B], those of the past first.
        active: [T, N, B], 0 where a neuron is refractory; None if none ever is.
    """

    u: Tensor
    spikes: Tensor
    active: Tensor | None


def run_steps(
    network: Network,
    operator: Callable[[Tensor], Tensor],
    drive: Tensor,
    state: State,
    *,
    learns: bool,
) -> tuple[Tape, State]:
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
    return Tape(drive, spikes, rested if learns else None), State(u, g, wait, past)


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


def run_back(
    network: Network,
    weight: Tensor,
    tape: Tape,
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
        grad_spikes = to_steps(of_spikes)
    else:
        grad_spikes = tape.u.new_zeros(longest + steps, neurons, batch)
        if of_spikes is not None:
            grad_spikes[longest:] = to_steps(of_spikes)
    zero = tape.u.new_zeros(neurons, batch)
    grad_u = zero if of_u is None else turned(of_u)
    grad_g = None
    if c.transfer is not None:
        grad_g = zero.clone() if of_g is None else turned(of_g)
    grad_drive = torch.empty_like(tape.u)
    operator = make_operator(wiring, weight, transpose=True)
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
        from_steps(grad_drive.mul_(_factor(c.drive))) if needs_current else None,
        grad_weight,
        turned(grad_u) if needs_u else None,
        turned(grad_g) if needs_g and grad_g is not None else None,
        grad_spikes[:longest].permute(2, 0, 1).contiguous() if needs_past else None,
    )


def _pieces(network: Network, tape: Tape) -> Iterator[tuple[range, Tensor]]:
    """Yield the steps in pieces, the last piece first, with the derivatives of their spikes."""
    surrogate, c = network.surrogate, network.c
    threshold, gap = _factor(c.threshold), _factor(distance_to_threshold(c))
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
    network: Network,
    operator: Callable[[Tensor], Tensor],
    tape: Tape,
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


def make_operator(wiring: Wiring, weight: Tensor, *, transpose: bool) -> Callable[[Tensor], Tensor]:
    """Return the map x -> W x or W^T x, with everything checked once for all steps."""
    wiring.structure.check_arrays()
    check_memory("weight", weight)
    chosen = resolve("auto", weight.device)
    if not chosen.checks_index:
        check_index(wiring.structure)
    return chosen.operator(wiring.structure, weight, transpose=transpose)


def distance_to_threshold(c: Coefficients) -> Tensor:
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


def turned(x: Tensor) -> Tensor:
    """Return rows [B, N] as a copy [N, B], or the reverse."""
    return x.t().clone(memory_format=torch.contiguous_format)


def to_steps(x: Tensor) -> Tensor:
    """Return x [B, T, N] as a copy [T, N, B]; a transpose of two axes is the fastest copy."""
    batch, steps, neurons = x.shape
    if steps > 1 and x.stride(1) == 0:
        # The same at all steps, as a constant current is, or the gradient of a sum.
        same = turned(x[:, 0]).expand(steps, neurons, batch)
        return same.clone(memory_format=torch.contiguous_format)
    flat = x.reshape(batch, steps * neurons).t()
    return flat.clone(memory_format=torch.contiguous_format).view(steps, neurons, batch)


def from_steps(x: Tensor) -> Tensor:
    """Undo :func:`to_steps`."""
    steps, neurons, batch = x.shape
    flat = x.reshape(steps * neurons, batch).t()
    return flat.clone(memory_format=torch.contiguous_format).view(batch, steps, neurons)
