"""The input of a simulation: given events, and Poisson trains."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain.kernels.spikes import Span, Train, begins
from sparsebrain.spiking.arguments import in_dtype, number, values


class SpikeTrains:
    """Input events at given steps: each adds a jump to v of a neuron.

    A jump is lost where the neuron is refractory or spikes in the same step.

    Args:
        step: [K] int64, the step of each event, counted from 0, in any order.
        neuron: [K] int64, its neuron.
        jump: What is added to v, a number or a tensor [K].
        sample: [K] int64, the sample that receives each event; by default all samples receive all
            events.

    Attributes:
        step: As the argument.
        neuron: As the argument.
        jump: [K] float64.
        sample: As the argument, or None.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an argument has the wrong shape, a step, neuron or sample is negative, or a
            jump is not finite.

    Example:
        >>> import torch
        >>> from sparsebrain.spiking import SpikeTrains
        >>> SpikeTrains(step=torch.tensor([10, 20]), neuron=torch.tensor([0, 3]), jump=2.0)
        SpikeTrains(2 events)
    """

    def __init__(
        self, *, step: Tensor, neuron: Tensor, jump: float | Tensor, sample: Tensor | None = None
    ) -> None:
        self.step = _numbers("step", step, ("K",))
        size = (len(self.step),)
        self.neuron = _numbers("neuron", neuron, size)
        self.sample = None if sample is None else _numbers("sample", sample, size)
        self.jump = values("jump", jump, len(self.step), "finite").expand(len(self.step))

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.step)

    def __repr__(self) -> str:
        return f"SpikeTrains({len(self)} events)"


def _numbers(name: str, value: Any, shape: tuple[int | str, ...]) -> Tensor:
    """Return a copy of a tensor of numbers >= 0, int64 on the CPU."""
    fix = None if name == "step" else "pass one value for each of step"
    checked = tensors.tensor(name, value, shape, dtypes=tensors.INTEGERS, fix=fix)
    if len(checked) and int(checked.min()) < 0:
        place = int((checked < 0).nonzero()[0])
        raise ValueError(
            f"{name} must not be negative, got {int(checked[place])} at position {place}; pass "
            f"{name} without such events"
        )
    return checked.detach().to("cpu", torch.int64, copy=True)


class Poisson(NamedTuple):
    """Independent Poisson trains, at most one event in each step.

    Attributes:
        neurons: [K] int64, sorted.
        probability: [K] float64, the probability of an event in a step.
        jump: What an event adds to v.
    """

    neurons: Tensor
    probability: Tensor
    jump: float


def neurons_of(name: str, value: Any, num_nodes: int) -> Tensor:
    """Return distinct numbers of neurons as a tensor [K] int64; TypeError or ValueError."""
    if isinstance(value, Tensor):
        found = tensors.tensor(name, value, ("K",), dtypes=tensors.INTEGERS).detach().cpu().long()
    elif arguments.is_list(value) or isinstance(value, range):
        counted = [arguments.count(f"{name}[{at}]", each) for at, each in enumerate(value)]
        found = torch.tensor(counted, dtype=torch.int64)
    else:
        raise TypeError(
            f"{name} must be the numbers of neurons, a list or an integer tensor [K], got "
            f"{arguments.described(value)}; pass {name}=[0, 1]"
        )
    arguments.node_numbers(name, found.numpy(), num_nodes)
    if len(found.unique()) < len(found):
        raise ValueError(f"{name} must not name a neuron twice; pass torch.unique({name})")
    return found


def check_poisson(value: Any, num_nodes: int, dt: float) -> Poisson | None:
    """Return the trains that ``poisson=(neurons, rate, jump)`` describes; TypeError, ValueError."""
    if value is None:
        return None
    if not isinstance(value, tuple) or len(value) != 3:
        raise TypeError(
            f"poisson must be a tuple (neurons, rate in Hz, jump), got "
            f"{arguments.described(value)}; pass poisson=([0, 1], 150.0, 1.0)"
        )
    neurons, rate, jump = value
    neurons = neurons_of("poisson[0]", neurons, num_nodes)
    rates = values("poisson[1]", rate, len(neurons), "not negative").expand(len(neurons))
    if len(rates) and float(rates.max()) * dt > 1000:
        raise ValueError(
            f"poisson[1], the rate, must be at most one event per step of dt={dt:g} ms, "
            f"{1000 / dt:g} Hz, got {float(rates.max()):g}; pass a lower rate, or make the network "
            "with a smaller dt"
        )
    order = neurons.argsort()
    return Poisson(neurons[order], rates[order] * (dt / 1000), number("poisson[2]", jump, "finite"))


def draw(
    poisson: Poisson, samples: int, steps: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the events of some steps: their sample, step and neuron, [K] each, sorted.

    The time to the next event is geometric, so the work is in proportion to the events and not to
    the steps. Trains of lower rates are thinned.
    """
    count = len(poisson.neurons)
    most = float(poisson.probability.max()) if count else 0.0
    cells = samples * steps * count
    place = _bernoulli(most, cells, generator)
    train = place % max(count, 1)
    if count and float(poisson.probability.min()) < most:
        accept = torch.rand(len(place), generator=generator, dtype=torch.float64)
        place = place[accept * most < poisson.probability[train]]
        train = place % count
    time = place // max(count, 1)
    return time // max(steps, 1), time % max(steps, 1), poisson.neurons[train]


def _bernoulli(probability: float, cells: int, generator: torch.Generator | None) -> Tensor:
    """Return the numbers of the cells in which an event of this probability happens, sorted."""
    if probability == 0 or not cells:
        return torch.empty(0, dtype=torch.int64)
    if probability == 1:
        return torch.arange(cells)
    parts, last = [], -1
    while last < cells - 1:
        expected = (cells - 1 - last) * probability
        gaps = torch.empty(int(expected + 5 * expected**0.5) + 16, dtype=torch.float64)
        # Rare events would overflow an integer.
        gaps = gaps.geometric_(probability, generator=generator).clamp_max_(float(cells)).long()
        part = last + gaps.cumsum(0)
        parts.append(part)
        last = int(part[-1])
    place = torch.cat(parts)
    return place[: int(torch.searchsorted(place, cells))]


class Inputs:
    """The input events of a simulation, span by span.

    Args:
        events: The given events, or None.
        poisson: The Poisson trains, or None.
        samples: The number of samples S.
        num_nodes: The number of neurons N.
        like: A tensor of the dtype and on the device of the states.
        generator: The source of randomness.
    """

    def __init__(
        self,
        events: SpikeTrains | None,
        poisson: Poisson | None,
        *,
        samples: int,
        num_nodes: int,
        like: Tensor,
        generator: torch.Generator | None,
    ) -> None:
        self._poisson, self._generator, self._like = poisson, generator, like
        self._samples, self._num_nodes = samples, num_nodes
        self._events = None
        if events is not None:
            order = events.step.argsort(stable=True)
            sample = events.sample
            if sample is None:
                order = order.repeat_interleave(samples)
                sample = torch.arange(samples).repeat(len(events))
            else:
                sample = sample[order]
            self._events = (sample, events.step[order], events.neuron[order], events.jump[order])

    def span(self, first: int, steps: int) -> Span:
        """Return the input of ``steps`` steps from ``first`` on, without probes."""
        sample, step, neuron, jump = (
            torch.cat(parts)
            for parts in zip(self._given(first, steps), self._drawn(steps), strict=True)
        )
        place = (sample * steps + step) * self._num_nodes + neuron
        if len(place) > 1 and not bool((place.diff() > 0).all()):
            place, group = place.unique(return_inverse=True)
            jump = torch.zeros(len(place), dtype=torch.float64).index_add_(0, group, jump)
            neuron = place % self._num_nodes
            sample, step = (
                (place // self._num_nodes) // steps,
                (place // self._num_nodes) % steps,
            )
        where = self._like.device
        train = Train(begins(sample, self._samples), step, neuron)
        jump = in_dtype("jump", jump, self._like)
        return Span(steps, Train(*(each.to(where) for each in train)), jump, [])

    def _given(self, first: int, steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._events is None:
            none = torch.empty(0, dtype=torch.int64)
            return none, none, none, none.double()
        sample, step, neuron, jump = self._events
        low, high = torch.searchsorted(step, torch.tensor([first, first + steps])).tolist()
        return sample[low:high], step[low:high] - first, neuron[low:high], jump[low:high]

    def _drawn(self, steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._poisson is None:
            none = torch.empty(0, dtype=torch.int64)
            return none, none, none, none.double()
        sample, step, neuron = draw(self._poisson, self._samples, steps, self._generator)
        jump = torch.full((len(step),), self._poisson.jump, dtype=torch.float64)
        return sample, step, neuron, jump
