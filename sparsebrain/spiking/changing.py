"""Simulations in which synapses and thresholds change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphs import arguments, tensors
from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.plastic_spikes import Pairs, Plasticity, at_rest
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked
from sparsebrain.spiking.homeostasis import AdaptiveThreshold, Normalization, refuse_dale

if TYPE_CHECKING:
    from sparsebrain.spiking.lif import LIF


class SimulatedRule(ABC):
    """A rule that changes the synapses of a network while it is simulated."""

    layer: Any

    @abstractmethod
    def pairs_in_simulation(self) -> Pairs:
        """Return what pairs of spikes do; ValueError if the rule or the weights do not allow it."""


def check_changes(
    lif: LIF, plasticity: Any, adaptation: Any, normalization: Any, samples: int
) -> Plasticity | None:
    """Return what changes in a simulation, or None if nothing does.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is of another network, or does not allow this simulation.
    """
    if plasticity is None and adaptation is None and normalization is None:
        return None
    for name, value, kind, example in (
        ("plasticity", plasticity, SimulatedRule, "sparsebrain.plasticity.STDP(lif)"),
        ("adaptation", adaptation, AdaptiveThreshold, "AdaptiveThreshold(lif)"),
        ("normalization", normalization, Normalization, "Normalization(lif, 1.0, every=100.0)"),
    ):
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{name} must be an object such as {example}, or None, got "
                f"{arguments.described(value)}; pass {name}={example}"
            )
    if samples != 1:
        raise ValueError(
            f"samples must be 1 where synapses or thresholds change, got {samples}; pass samples=1 "
            "and simulate one run after another, or leave plasticity, adaptation and normalization "
            "out"
        )
    for name, other in (
        ("plasticity", None if plasticity is None else plasticity.layer),
        ("normalization", None if normalization is None else normalization.lif),
    ):
        if other is not None and other is not lif:
            raise ValueError(
                f"{name} is for another network; make it with the network that is simulated, as in "
                f"{name}={'STDP' if name == 'plasticity' else 'Normalization'}(lif, ...)"
            )
    if plasticity is not None:
        refuse_dale("plasticity", lif)
    return Plasticity(
        None if plasticity is None else plasticity.pairs_in_simulation(),
        None if adaptation is None else _thresholds(adaptation, lif).coefficients(lif.dt),
        None if normalization is None else normalization.coefficients(),
    )


def _thresholds(adaptation: AdaptiveThreshold, lif: LIF) -> AdaptiveThreshold:
    theta, weight = adaptation.theta, lif.weight
    if theta.shape != (lif.num_nodes,) or theta.dtype != weight.dtype:
        raise ValueError(
            f"adaptation has thresholds {list(theta.shape)} {theta.dtype}, and the network has "
            f"{lif.num_nodes} neurons of {weight.dtype}; pass adaptation=AdaptiveThreshold(lif)"
        )
    return adaptation.to(weight.device)


def simulation(
    lif: LIF,
    network: Network,
    plasticity: Plasticity,
    adaptation: AdaptiveThreshold | None,
    backend: Backend,
) -> Callable[[Running, Span], Spiked]:
    """Return the simulation of a network, which changes its weights and theta in place."""
    tensors.room(
        f"delay of up to {network.longest} steps",
        (network.longest + 1) * network.structure.num_nodes * network.weight.element_size(),
        "pass a shorter delay",
    )
    weight, theta = lif.weight, None if adaptation is None else adaptation.theta
    network = network._replace(weight=weight.detach().contiguous())
    changing = at_rest(network, None if theta is None else theta.contiguous())
    simulate = backend.plastic_spike(network, plasticity)

    def run(running: Running, span: Span) -> Spiked:
        result = simulate(running, changing, span)
        # Also tells autograd that they were written to.
        for changed, into in ((changing.weight, weight), (changing.theta, theta)):
            if into is not None:
                into.copy_(changed)
        return result

    return run
