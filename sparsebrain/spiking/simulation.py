"""Long simulations of spiking neurons, span by span, whose memory does not grow with the steps."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain.kernels.select import check_backend, resolve
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked, Train, begins
from sparsebrain.spiking import changing
from sparsebrain.spiking.arguments import in_dtype, number, values
from sparsebrain.spiking.events import Inputs, SpikeTrains, check_poisson, neurons_of
from sparsebrain.spiking.recording import Asked, Recording, Trace, check_record

if TYPE_CHECKING:
    from sparsebrain.spiking.lif import LIF

_MOST_STEPS = 2**31 - 1
# Updates of neurons in a span, less than a second, and its most steps.
_UPDATES = 2**31
_LONGEST_SPAN = 4000
_SECONDS_WITHOUT_BAR = 2.0


@torch.no_grad()
def run(
    lif: LIF,
    duration: float,
    *,
    events: SpikeTrains | None,
    poisson: Any,
    current: float | Tensor | None,
    record: Any,
    samples: int,
    silence: Any,
    generator: torch.Generator | None,
    backend: str,
    plasticity: Any = None,
    adaptation: Any = None,
    normalization: Any = None,
) -> Recording:
    """Simulate a network, see :meth:`sparsebrain.spiking.LIF.simulate`."""
    like, size = lif.weight, lif.num_nodes
    steps = count_steps(duration, lif.dt)
    samples = arguments.count("samples", samples, at_least=1)
    check_events(events, steps, size, samples)
    trains = check_poisson(poisson, size, lif.dt)
    asked = check_record(record, num_nodes=size, dt=lif.dt, has_current=lif.tau_synapse is not None)
    tensors.generator("generator", generator, torch.device("cpu"))
    _check_room(lif, steps, samples, asked)
    changes = changing.check_changes(lif, plasticity, adaptation, normalization, samples)
    network = Network(
        lif.structure,
        lif.weight.detach(),
        lif.delay_steps.to(like.device),
        lif.coefficients(),
        input_of(lif, current),
        _silent(silence, size, like),
    )
    inputs = Inputs(
        events, trains, samples=samples, num_nodes=size, like=like.detach(), generator=generator
    )
    kernels = resolve(check_backend(backend), like.device)
    if changes is None:
        simulate = kernels.spike(network)
    else:
        simulate = changing.simulation(lif, network, changes, adaptation, kernels)
    spans = _spans(lif, simulate, inputs, asked, steps, samples)
    parts: list[tuple[int, int, Spiked]] = []
    try:
        with _bar(steps * lif.dt) as show:
            for part in spans:
                parts.append(part)
                show((part[0] + part[1]) * lif.dt)
    except KeyboardInterrupt:
        done = sum(part[1] for part in parts) * lif.dt
        warnings.warn(
            f"the simulation was interrupted after {done:g} of {duration:g} ms; the recording "
            "ends there",
            stacklevel=3,
        )
    return _recording(lif, parts, asked, samples)


def _spans(
    lif: LIF,
    simulate: Callable[[Running, Span], Spiked],
    inputs: Inputs,
    asked: list[Asked],
    steps: int,
    samples: int,
) -> Iterator[tuple[int, int, Spiked]]:
    """Yield the first step, the number of steps and the result of each span."""
    like = lif.weight.detach()
    u = like.new_zeros((samples, lif.num_nodes))
    none = torch.empty(0, dtype=torch.int64, device=like.device)
    running = Running(
        u,
        None if lif.tau_synapse is None else torch.zeros_like(u),
        torch.zeros_like(u, dtype=torch.int32),
        Train(begins(none, samples), none, none),
    )
    most = longest_span(u.numel())
    for first in range(0, steps, most):
        count = min(most, steps - first)
        span = inputs.span(first, count)
        probes = [each.probe(first, like.device) for each in asked]
        result = simulate(running, span._replace(probes=probes))
        running = result.running
        yield first, count, result


def longest_span(cells: int) -> int:
    """Return the steps of a span for this number of neurons times samples."""
    return max(1, min(_LONGEST_SPAN, _UPDATES // max(cells, 1)))


def _recording(
    lif: LIF, parts: list[tuple[int, int, Spiked]], asked: list[Asked], samples: int
) -> Recording:
    none = torch.empty(0, dtype=torch.int64)
    step = torch.cat([none, *(part.spikes.step.cpu() + first for first, _, part in parts)])
    neuron = torch.cat([none, *(part.spikes.neuron.cpu() for _, _, part in parts)])
    sample = torch.cat([none, *(part.spikes.sample().cpu() for _, _, part in parts)])
    if samples > 1:
        # Stable: within a sample the spikes stay sorted by step and neuron.
        sample, order = sample.sort(stable=True)
        step, neuron = step[order], neuron[order]
    done = sum(count for _, count, _ in parts)
    states = []
    rest = torch.as_tensor(lif.rest).expand(lif.num_nodes)
    for number_, each in enumerate(asked):
        found = [part.states[number_].cpu() for _, _, part in parts]
        empty = torch.empty((samples, 0, len(each.neurons)), dtype=lif.weight.dtype)
        recorded = torch.cat([empty, *found], 1)
        if each.variable == "v":
            recorded = (recorded.double() + rest[each.neurons]).to(recorded.dtype)
        states.append(
            Trace(each.variable, each.neurons, torch.arange(0, done, each.every), recorded)
        )
    return Recording(
        step, neuron, sample, tuple(states), done * lif.dt, lif.dt, lif.num_nodes, samples
    )


def count_steps(duration: float, dt: float) -> int:
    """Return the steps of a duration in ms; TypeError or ValueError."""
    time = number("duration", duration, "not negative")
    if time / dt > _MOST_STEPS:
        raise ValueError(
            f"duration must be at most {_MOST_STEPS} steps of dt={dt:g} ms, got {time:g} ms; pass "
            "a shorter duration, or make the network with a larger dt"
        )
    return round(time / dt)


def check_events(events: Any, steps: int, size: int, samples: int) -> None:
    """Raise TypeError or ValueError unless events fit a simulation of this size."""
    if events is None:
        return
    if not isinstance(events, SpikeTrains):
        raise TypeError(
            f"events must be a SpikeTrains or None, got {arguments.described(events)}; pass "
            "events=SpikeTrains(step=..., neuron=..., jump=...)"
        )
    bounds = {
        "step": (events.step, steps, "steps of this duration"),
        "neuron": (events.neuron, size, "neurons"),
    }
    if events.sample is not None:
        bounds["sample"] = (events.sample, samples, "samples")
    for name, (found, limit, what) in bounds.items():
        if len(found) and int(found.max()) >= limit:
            raise ValueError(
                f"events.{name} must be less than {limit}, the number of {what}, got "
                f"{int(found.max())}; pass {'a longer duration, or ' * (name == 'step')}events "
                "without it"
            )


def _check_room(lif: LIF, steps: int, samples: int, asked: list[Asked]) -> None:
    """Raise ValueError if the states do not fit into memory."""
    values_ = 6 * samples * lif.num_nodes
    for each in asked:
        values_ += 2 * samples * len(each.neurons) * -(-steps // each.every)
    if lif.delay_steps.dim():
        values_ += (lif.longest_delay + 1) * lif.num_nodes * torch.get_num_threads()
    tensors.room(
        f"samples={samples} with this duration and record",
        values_ * lif.weight.element_size(),
        "pass fewer samples, or a larger interval in record",
    )


def input_of(lif: LIF, current: Any) -> Tensor | None:
    """Return c I [N] for an input current, or None; TypeError or ValueError."""
    if current is None:
        return None
    found = values("current", current, lif.num_nodes, "finite")
    drive = lif.input_factor() * found
    return in_dtype("current", drive, lif.weight).expand(lif.num_nodes)


def _silent(silence: Any, size: int, like: Tensor) -> Tensor | None:
    neurons = neurons_of("silence", silence, size)
    if not len(neurons):
        return None
    silent = torch.zeros(size, dtype=torch.bool)
    silent[neurons] = True
    return silent.to(like.device)


@contextlib.contextmanager
def _bar(total: float) -> Iterator[Any]:
    """Show a progress bar on a terminal once a run has taken seconds; yield its update function."""
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        shown: list[Any] = []

        def show(done: float) -> None:
            if not shown and sys.stderr.isatty() and done < total:
                if time.monotonic() - start < _SECONDS_WITHOUT_BAR:
                    return
                from rich.console import Console  # noqa: PLC0415
                from rich.progress import Progress  # noqa: PLC0415

                bar = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
                shown.extend([bar, bar.add_task("simulating", total=total)])
            if shown:
                shown[0].update(shown[1], completed=done)

        yield show
