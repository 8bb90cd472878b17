"""The compiled simulation of spiking neurons: everything is checked here before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparsebrain.kernels.spikes import Network, Running, Span, Spiked, Train, recent_spikes

_VOLTAGE, _HELD, _FREE = 0, 1, 2


class NativeSpikes:
    """A network that is simulated span by span, with all preparations done once.

    Args:
        module: The compiled module.
        call: What the kernels need to know of the structure.
        instruction_set: The name of the instruction set.
        network: The network.
        weight: The weights, in the order of the rows of ``by_source``.
    """

    def __init__(
        self, module: Any, call: Any, instruction_set: str, network: Network, weight: Tensor
    ) -> None:
        structure = network.structure
        check_network(network)
        check_tensor("weight", weight, network.weight.dtype, (structure.num_edges,))
        self._module, self._call, self._set, self._network = module, call, instruction_set, network
        self._weight = weight
        self._rows = module.SpikeRows(structure.num_nodes, torch.get_num_threads())
        self._delay = None
        if network.delay.dim():
            self._delay = structure.by_source.arrange(network.delay.to(torch.int32)).contiguous()
        self._coefficients, self._uniform = kernel_coefficients(network)
        silent = network.silent
        self._silent = None if silent is None else silent.to(torch.uint8).contiguous()

    def __call__(self, running: Running, span: Span) -> Spiked:
        """Run a span."""
        network, samples = self._network, running.u.size(0)
        network.structure.check_arrays()
        running = copied(running, network)
        check_span(span, network, samples)
        recent = Train(*(each.contiguous() for each in running.recent))
        events, jump = span.events, span.jump.contiguous()
        states = [
            running.u.new_empty((samples, probe.times(span.steps), len(probe.neurons)))
            for probe in span.probes
        ]
        # Held here, since only their addresses are handed on.
        held = [*narrow(events), *narrow(recent), *(probe.neurons for probe in span.probes)]
        held = [each.contiguous() for each in held]
        event, before, probed = held[:3], held[3:6], held[6:]
        longest = network.longest
        shortest = int(network.delay.min()) if network.delay.numel() else 0
        synapse = kind_of_synapse(network)
        log = self._module.spike(
            self._set,
            self._call,
            self._rows,
            addresses(
                self._weight,
                self._delay,
                *self._coefficients,
                self._silent,
                running.u,
                running.g,
                running.wait,
                *event,
                jump,
                *before,
            ),
            (samples, span.steps, shortest, longest, int(self._uniform), synapse),
            [
                (
                    *addresses(numbers, out),
                    int(probe.current),
                    probe.first,
                    probe.every,
                    out.size(1),
                    out.size(2),
                )
                for probe, numbers, out in zip(span.probes, probed, states, strict=True)
            ],
        )
        counts = log.counts()
        step = torch.empty(sum(counts), dtype=torch.int64)
        neuron = torch.empty_like(step)
        log.write(*addresses(step, neuron))
        begin = torch.tensor([0, *counts]).cumsum(0)
        spikes = Train(begin, step, neuron)
        running = running._replace(recent=recent_spikes(recent, spikes, span.steps, longest))
        return Spiked(running, spikes, states)


def addresses(*tensors: Tensor | None) -> list[int]:
    """Return the addresses of tensors, 0 for None."""
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def narrow(train: Train) -> tuple[Tensor, Tensor, Tensor]:
    """Return the arrays of a train with the dtypes that kernels read."""
    return train.begin, train.step.to(torch.int32), train.neuron.to(torch.int32)


def kind_of_synapse(network: Network) -> int:
    """Return the number of what spikes add to, and of what a refractory neuron keeps."""
    if network.coefficients.transfer is None:
        return _VOLTAGE
    return _HELD if network.coefficients.holds_all else _FREE


def kernel_coefficients(network: Network) -> tuple[list[Tensor | None], bool]:
    """Return the coefficients in the order of the kernel, and whether all neurons share them."""
    c = network.coefficients
    none = torch.zeros((), dtype=c.decay.dtype).expand_as(c.decay)
    found = (
        c.decay,
        none if network.input is None else network.input,
        c.transfer,
        c.synapse_decay,
        c.threshold,
        c.reset,
        c.refractory,
    )
    uniform = all(each is None or not len(each) or each.stride(0) == 0 for each in found)
    return [
        None if each is None else (each[:1] if uniform else each).contiguous() for each in found
    ], uniform


def check_tensor(name: str, value: Any, dtype: torch.dtype, shape: Sequence[int]) -> None:
    """Raise unless a tensor can be read by its address after ``contiguous()``."""
    if (
        not isinstance(value, Tensor)
        or value.dtype is not dtype
        or value.shape != tuple(shape)
        or value.device.type != "cpu"
        or value.layout is not torch.strided
    ):
        raise ValueError(
            f"{name} must be a {dtype} tensor {list(shape)} on 'cpu' for the compiled kernels; "
            "use LIF.simulate, which makes it"
        )


def check_network(network: Network) -> None:
    """Raise unless the tensors of a network can be read by their addresses."""
    size, dtype = network.structure.num_nodes, network.weight.dtype
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"weight must be float32 or float64, got {dtype}; pass weight.float()")
    edges = network.structure.num_edges
    check_tensor("weight", network.weight, dtype, (edges,))
    check_tensor("delay", network.delay, torch.int64, (edges,) if network.delay.dim() else ())
    if network.delay.numel() and int(network.delay.min()) < 0:
        raise ValueError("delay must not be negative; use LIF.simulate, which checks it")
    c = network.coefficients
    for name in ("decay", "drive", "threshold", "reset"):
        check_tensor(name, getattr(c, name), dtype, (size,))
    if (c.transfer is None) != (c.synapse_decay is None):
        raise ValueError("transfer and synapse_decay belong together; use LIF.coefficients()")
    for name in ("transfer", "synapse_decay"):
        if getattr(c, name) is not None:
            check_tensor(name, getattr(c, name), dtype, (size,))
    check_tensor("refractory", c.refractory, torch.int32, (size,))
    if network.input is not None:
        check_tensor("input", network.input, dtype, (size,))
    if network.silent is not None:
        check_tensor("silent", network.silent, torch.bool, (size,))


def copied(running: Running, network: Network) -> Running:
    """Return a checked copy of the state, which the kernel overwrites."""
    size, dtype = network.structure.num_nodes, network.weight.dtype
    samples = running.u.size(0)
    check_tensor("u", running.u, dtype, (samples, size))
    check_tensor("wait", running.wait, torch.int32, (samples, size))
    if (running.g is None) != (network.coefficients.transfer is None):
        raise ValueError("g is for neurons with tau_synapse; use LIF.simulate, which makes it")
    if running.g is not None:
        check_tensor("g", running.g, dtype, (samples, size))
    _check_train("recent", running.recent, samples)
    form = torch.contiguous_format
    return Running(
        running.u.clone(memory_format=form),
        None if running.g is None else running.g.clone(memory_format=form),
        running.wait.clone(memory_format=form),
        running.recent,
    )


def check_span(span: Span, network: Network, samples: int) -> None:
    """Raise unless the tensors of a span can be read by their addresses."""
    _check_train("events", span.events, samples)
    check_tensor("jump", span.jump, network.weight.dtype, span.events.step.shape)
    if not 0 <= span.steps < 2**30:
        raise ValueError(f"a span has {span.steps} steps; use LIF.simulate, which makes it")
    for probe in span.probes:
        check_tensor("neurons", probe.neurons, torch.int64, (len(probe.neurons),))
        if probe.first < 0 or probe.every < 1:
            raise ValueError("a probe must lie in its span; use LIF.simulate, which makes it")
        if probe.current and network.coefficients.transfer is None:
            raise ValueError("g is for neurons with tau_synapse; use LIF.simulate, which makes it")


def _check_train(name: str, train: Train, samples: int) -> None:
    check_tensor(f"{name}.begin", train.begin, torch.int64, (samples + 1,))
    for part in ("step", "neuron"):
        check_tensor(f"{name}.{part}", getattr(train, part), torch.int64, (len(train.step),))
    begin = train.begin
    if int(begin[0]) != 0 or int(begin[-1]) != len(train.step) or bool((begin.diff() < 0).any()):
        raise ValueError(f"{name}.begin must rise from 0 to the number of events; use begins()")
