"""The steps of a spiking network on several processes, window by window."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sparsebrain.distributed.parts import Part
from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked, Train, begins, run_steps
from sparsebrain.kernels.structure import Structure
from sparsebrain.spiking.events import Inputs, Poisson
from sparsebrain.spiking.recording import Asked
from sparsebrain.spiking.simulation import longest_span


class Run(NamedTuple):
    """The checked arguments of a simulation, for the local neurons."""

    steps: int
    samples: int
    trains: Poisson | None
    asked: list[Asked]
    current: Tensor | None
    silent: Tensor
    kernels: Backend


class Spread(Protocol):
    """What the steps need to know of the network and its exchange of spikes."""

    part: Part
    window: int

    @property
    def overlaps(self) -> bool:
        """Whether spikes of a window travel while the next one is computed."""

    def sent(self, spikes: Train) -> list[Tensor]:
        """Return for each process the own spikes that it reads."""

    def exchange(self, rows: list[Tensor]) -> list[Tensor]:
        """Send spikes to each process, and return those from each."""

    def received(self, rows: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return sample, step and local number of the spikes that all processes have sent."""

    def complete(self, spikes: Tensor) -> Tensor:
        """Return the spikes [S, M] of a step with those of the halo."""


class Steps:
    """The steps of one simulation, window by window."""

    def __init__(self, spread: Spread, network: Network, run: Run, inputs: Inputs) -> None:
        self.spread, self.network, self.run, self.inputs = spread, network, run, inputs
        self.asked = [
            each._replace(neurons=torch.searchsorted(spread.part.nodes, each.neurons))
            for each in run.asked
        ]
        u = network.weight.new_zeros((run.samples, len(spread.part.nodes)))
        none = torch.empty(0, dtype=torch.int64)
        self.running = Running(
            u,
            None if network.coefficients.transfer is None else torch.zeros_like(u),
            torch.zeros_like(u, dtype=torch.int32),
            Train(begins(none, run.samples), none, none),
        )

    def all(self) -> list[tuple[int, int, Spiked]]:
        """Return the first step, the number of steps and the result of each window."""
        # The same spans as in one process, because each draws its Poisson events at once.
        most = longest_span(self.run.samples * self.spread.part.num_nodes)
        starts = range(0, self.run.steps, most)
        spans = ((first, min(most, self.run.steps - first)) for first in starts)
        if not self.spread.window:
            return [self._waiting(first, count) for first, count in spans]
        found: list[tuple[int, int, Spiked]] = []
        simulate = self.run.kernels.spike(self.network)
        with ThreadPoolExecutor(1) as thread:
            traveling: Future[list[Tensor]] | None = None
            begin = 0
            for first, count in spans:
                span = self._local(self.inputs.span(first, count))
                for at in range(0, count, self.spread.window):
                    steps = min(self.spread.window, count - at)
                    result = simulate(self.running, self._part(span, first, at, steps))
                    found.append((first + at, steps, result))
                    self.running = result.running
                    if traveling is not None:
                        # Spikes of the window before; they arrive after this window.
                        self._add(traveling.result(), first + at + steps - begin)
                    begin = first + at
                    rows = self.spread.sent(result.spikes)
                    traveling = thread.submit(self.spread.exchange, rows)
                    if not self.spread.overlaps:
                        self._add(traveling.result(), steps)
                        traveling = None
            if traveling is not None:
                traveling.result()
        return found

    def _waiting(self, first: int, count: int) -> tuple[int, int, Spiked]:
        """Run a span in which every step exchanges its spikes before they arrive."""
        span = self._local(self.inputs.span(first, count))

        def operator(structure: Structure, weight: Tensor) -> Any:
            return self.run.kernels.operator(structure, weight, transpose=False)

        result = run_steps(
            self.network,
            self.running,
            self._part(span, first, 0, count),
            operator,
            self.spread.complete,
        )
        self.running = result.running
        return first, count, result

    def _local(self, span: Span) -> Span:
        """Return the input of the owned neurons, in local numbers."""
        part = self.spread.part
        place = torch.searchsorted(part.nodes, span.events.neuron).clamp_max(
            max(len(part.nodes) - 1, 0)
        )
        own = torch.zeros(len(place), dtype=torch.bool)
        if len(part.nodes):
            own = (part.nodes[place] == span.events.neuron) & part.is_owned[place]
        return self._chosen(span, own, span.events.step, place)

    def _chosen(self, span: Span, chosen: Tensor, step: Tensor, neuron: Tensor) -> Span:
        sample = span.events.sample()[chosen]
        events = Train(begins(sample, self.run.samples), step[chosen], neuron[chosen])
        return Span(span.steps, events, span.jump[chosen], [])

    def _part(self, span: Span, first: int, at: int, steps: int) -> Span:
        """Return the input of some steps of a span, with what is recorded in them."""
        step = span.events.step
        chosen = (step >= at) & (step < at + steps)
        probes = [each.probe(first + at, step.device) for each in self.asked]
        part = self._chosen(span, chosen, step - at, span.events.neuron)
        return part._replace(steps=steps, probes=probes)

    def _add(self, rows: list[Tensor], passed: int) -> None:
        """Add spikes of the halo to the recent ones; ``passed`` steps ago their window began."""
        recent = self.running.recent
        sample, step, neuron = self.spread.received(rows)
        sample = torch.cat([recent.sample(), sample])
        step = torch.cat([recent.step, step - passed])
        neuron = torch.cat([recent.neuron, neuron])
        kept = step >= -self.network.longest
        events = torch.stack([sample[kept], step[kept], neuron[kept]])
        for key in (2, 1, 0):
            # Three stable sorts by ever more important keys; one number for all might overflow.
            events = events[:, events[key].sort(stable=True).indices]
        train = Train(begins(events[0], self.run.samples), events[1], events[2])
        self.running = self.running._replace(recent=train)
