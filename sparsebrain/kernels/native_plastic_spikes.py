"""The compiled simulation with plasticity: everything is checked here before it is used."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sparsebrain.kernels.native_spikes import (
    addresses,
    check_network,
    check_span,
    check_tensor,
    copied,
    kernel_coefficients,
    kind_of_synapse,
    narrow,
)
from sparsebrain.kernels.plastic_spikes import Changing, Plasticity
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked, Train

_PIECE = 2**16
_BOUNDS = {None: 0, "hard": 1, "soft": 2}


class NativePlasticSpikes:
    """A network that is simulated span by span while its synapses change.

    During a span the weights are in the order of the rows of ``by_source``.

    Args:
        module: The compiled module.
        call: What the kernels need to know of the structure.
        instruction_set: The name of the instruction set.
        network: The network.
        plasticity: What changes.
    """

    def __init__(
        self,
        module: Any,
        call: Any,
        instruction_set: str,
        network: Network,
        plasticity: Plasticity,
    ) -> None:
        check_network(network)
        _check_plasticity(plasticity, network)
        structure = network.structure
        rows = structure.by_source
        self._module, self._call, self._set = module, call, instruction_set
        self._network, self._plasticity = network, plasticity
        structure.check_arrays()
        self._place = torch.empty(structure.num_edges, dtype=rows.neuron.dtype)
        self._run = torch.empty(structure.num_nodes, dtype=torch.uint8)
        module.find_places(instruction_set, call, *addresses(self._place, self._run))
        self._coefficients, self._uniform = kernel_coefficients(network)
        self._delay = None
        if network.delay.dim():
            self._delay = rows.arrange(network.delay.to(torch.int32)).contiguous()
        pairs, _, normalization = plasticity
        self._silent = _bytes(network.silent)
        self._plastic, self._chosen = (
            None if mask is None else _bytes(rows.arrange(mask))
            for mask in (
                None if pairs is None else pairs.plastic,
                None if normalization is None else normalization.chosen,
            )
        )
        self._weight: Tensor | None = None

    def __call__(self, running: Running, changing: Changing, span: Span) -> Spiked:
        """Run a span of one sample; ``changing`` is changed in place."""
        network, structure = self._network, self._network.structure
        structure.check_arrays()
        running = copied(running, network)
        check_span(span, network, 1)
        _check_changing(changing, network)
        rows = structure.by_source
        weight = changing.weight if rows.order is None else self._arranged(changing.weight)
        states = [
            running.u.new_empty((1, probe.times(span.steps), len(probe.neurons)))
            for probe in span.probes
        ]
        held = [*narrow(span.events), span.jump, *(probe.neurons for probe in span.probes)]
        held = [each.contiguous() for each in held]
        log = self._simulate(running, changing, span, weight, held, states)
        if rows.order is not None:
            # In pieces, since indices are wide here.
            parts = zip(rows.order.split(_PIECE), weight.split(_PIECE), strict=True)
            for order, part in parts:
                changing.weight.index_copy_(0, order.long(), part)
        changing.steps.add_(span.steps)
        (count,) = log.counts()
        step = torch.empty(count, dtype=torch.int64)
        neuron = torch.empty_like(step)
        log.write(*addresses(step, neuron))
        train = Train(torch.tensor([0, count]), step, neuron)
        return Spiked(running, train, states)

    def _arranged(self, weight: Tensor) -> Tensor:
        order = self._network.structure.by_source.order
        assert order is not None
        if self._weight is None:
            self._weight = torch.empty_like(weight)
        return torch.index_select(weight, 0, order, out=self._weight)

    def _simulate(
        self,
        running: Running,
        changing: Changing,
        span: Span,
        weight: Tensor,
        held: list[Tensor],
        states: list[Tensor],
    ) -> Any:
        network = self._network
        pairs, adaptation, normalization = self._plasticity
        longest = network.longest
        shortest = int(network.delay.min()) if network.delay.numel() else 0
        thresholds: tuple[Tensor | None, ...] = (None, None, None)
        if adaptation is not None:
            thresholds = (*(each.contiguous() for each in adaptation), changing.theta)
        return self._module.plastic_spike(
            self._set,
            self._call,
            addresses(*self._coefficients, self._silent),
            addresses(
                running.u,
                running.g,
                running.wait,
                *held[:4],
                weight,
                self._delay,
                changing.pre,
                changing.post,
                changing.pending,
                self._place,
                self._run,
                *thresholds,
                self._plastic,
                self._chosen,
            ),
            (
                span.steps,
                shortest,
                longest,
                int(self._uniform),
                kind_of_synapse(network),
                int(changing.steps),
            ),
            (0.0, 0.0, 0.0, 0.0, 1.0)
            if pairs is None
            else (pairs.a_plus, pairs.a_minus, pairs.keep_plus, pairs.keep_minus, pairs.w_max),
            (0, 0, 0, 0)
            if pairs is None
            else (1, int(pairs.nearest), int(pairs.coincidence), _BOUNDS[pairs.bounds]),
            0.0 if normalization is None else normalization.total,
            0 if normalization is None else normalization.every,
            [
                (
                    *addresses(numbers, out),
                    int(probe.current),
                    probe.first,
                    probe.every,
                    out.size(1),
                    out.size(2),
                )
                for probe, numbers, out in zip(span.probes, held[4:], states, strict=True)
            ],
        )


def _bytes(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask.to(torch.uint8).contiguous()


def _check_plasticity(plasticity: Plasticity, network: Network) -> None:
    size, edges = network.structure.num_nodes, network.structure.num_edges
    pairs, adaptation, normalization = plasticity
    if pairs is not None and pairs.plastic is not None:
        check_tensor("plastic", pairs.plastic, torch.bool, (edges,))
    if adaptation is not None:
        for name, each in zip(adaptation._fields, adaptation, strict=True):
            check_tensor(name, each, network.weight.dtype, (size,))
    if normalization is not None and normalization.chosen is not None:
        check_tensor("chosen", normalization.chosen, torch.bool, (edges,))


def _check_changing(changing: Changing, network: Network) -> None:
    size, dtype = network.structure.num_nodes, network.weight.dtype
    check_tensor("steps", changing.steps, torch.int64, ())
    if int(changing.steps) < 0 or (network.delay.numel() and int(network.delay.min()) < 0):
        raise ValueError("steps and delays must not be negative; use LIF.simulate")
    shapes = {"weight": (network.structure.num_edges,), "pending": (network.longest + 1, size)}
    for name in ("weight", "pre", "post", "theta", "pending"):
        value = getattr(changing, name)
        check_tensor(name, value, dtype, shapes.get(name, (size,)))
        if not value.is_contiguous():
            raise ValueError(f"{name} must be contiguous; use LIF.simulate, which makes it")
