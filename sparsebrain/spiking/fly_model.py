"""The fly brain model of Shiu et al. (2024), on any connectome with signed synapse counts."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.contract import signs, validate
from sparsebrain.nn.arguments import check_dtype
from sparsebrain.nn.dale import with_signs
from sparsebrain.nn.selection import Neurons, find_neurons
from sparsebrain.spiking.arguments import number
from sparsebrain.spiking.lif import LIF

_SHOWN = 20
_REST, _THRESHOLD = -52.0, -45.0
_JUMP = 68.75
_MOST_RATE = 10_000.0


class FlyBrain(LIF):
    r"""Neurons of the fly brain model of Shiu et al., which is computed from synapse counts alone.

    .. math:: 20\,\mathrm{ms}\; \dot v = v_0 - v + g, \qquad 5\,\mathrm{ms}\; \dot g = -g

    with :math:`v_0 = -52` mV. A neuron spikes above -45 mV, is reset to :math:`v_0` with g = 0 and
    frozen for 2.2 ms. A spike adds ``synapse_weight`` times the signed number of synapses to g of
    the target after 1.8 ms. The time step is 0.1 ms. P. K. Shiu et al., "A Drosophila
    computational brain model reveals sensorimotor processing", Nature 634 (2024) 210-219.

    Args:
        connectome: A connectome with the numbers of synapses as ``edge_weight``, either signed, as
            :func:`graphs.load` reads them, or with ``edge_sign`` or ``node_sign``. Synapses of
            unknown sign (0) excite.
        synapse_weight: What a spike adds to g for each synapse, in mV.
        device: As for :class:`LIF`.
        dtype: As for :class:`LIF`.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If ``edge_weight`` is missing, or a field or value is out of range.

    Example:
        >>> import graphs
        >>> from sparsebrain.spiking import FlyBrain
        >>> fly = FlyBrain(graphs.fly_visual_system(radius=1))
        >>> responses = fly.respond("L1", rate=100.0, silence="Mi1", duration=200, trials=3)
        >>> responses.rate.shape, len(responses.activated)
        (torch.Size([443]), 7)
    """

    def __init__(
        self,
        connectome: Data,
        *,
        synapse_weight: float = 0.275,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        # Checked first, since the weights are computed from it.
        scale = number("synapse_weight", synapse_weight, "finite")
        check_dtype(dtype)
        super().__init__(
            _with_weights(connectome, scale),
            tau=20.0,
            tau_synapse=5.0,
            rest=_REST,
            reset=_REST,
            threshold=_THRESHOLD,
            refractory=2.2,
            delay=1.8,
            dt=0.1,
            init="edge_weight",
            device=device,
            dtype=dtype,
        )
        # Only the fields that select neurons and name them.
        fields = ("names", "node_type", "node_type_names")
        kept = {name: connectome[name] for name in fields if name in connectome}
        self._neurons = Data(num_nodes=self.num_nodes, **kept)

    def respond(
        self,
        activate: Neurons,
        *,
        rate: float | Tensor = 150.0,
        silence: Neurons = (),
        duration: float = 1000.0,
        trials: int = 30,
        jump: float = _JUMP,
        generator: torch.Generator | None = None,
    ) -> Responses:
        """Activate neurons by Poisson trains, and measure the rates of all neurons.

        As in the model, activated neurons are not refractory.

        Args:
            activate: The activated neurons: their numbers, a mask [N] bool, names, or the name of
                one population from ``node_type_names``.
            rate: The rate of each train in Hz, a number or a tensor with one value for each
                activated neuron.
            silence: Neurons that never spike, in the same forms; none by default.
            duration: The time of a trial in ms.
            trials: The number of independent trials, simulated together.
            jump: What an event of a train adds to v, in mV.
            generator: The source of randomness; torch's default generator if None.

        Returns:
            The mean rates and their standard errors; ``print`` shows them as a table.

        Raises:
            TypeError: If an argument has the wrong type or dtype.
            ValueError: If a neuron does not exist, or a value is out of range.
        """
        activated = find_neurons(self._neurons, activate, "activate")
        nothing = not isinstance(silence, str) and arguments.is_list(silence) and not len(silence)
        silenced = activated[:0] if nothing else find_neurons(self._neurons, silence, "silence")
        trials = arguments.count("trials", trials, at_least=1)
        bytes_each = 6 * self.num_nodes * self.weight.element_size()
        tensors.room(f"trials={trials}", trials * bytes_each, "pass fewer trials")
        rates = _check_rate(rate, len(activated))
        number("jump", jump, "finite")
        # The same synapses, whose activated neurons have another refractory time.
        driven = copy.copy(self)
        driven.refractory_steps = self.refractory_steps.repeat(self.num_nodes)
        driven.refractory_steps[activated] = 0
        recording = driven.simulate(
            duration,
            poisson=(activated, rates, jump),
            silence=silenced,
            samples=trials,
            generator=generator,
        )
        measured = recording.rates
        error = measured.std(0) if trials > 1 else torch.full_like(measured[0], torch.nan)
        return Responses(
            measured.mean(0),
            error / trials**0.5,
            activated,
            silenced,
            trials=trials,
            duration=recording.duration,
            names=self._neurons.get("names"),
            populations=_populations(self._neurons),
        )


@dataclass(frozen=True, eq=False)
class Responses:
    """The rates of all neurons in an experiment; ``str`` is a table of the strongest.

    Attributes:
        rate: [N] float64, the mean rate over the trials in Hz.
        error: [N] float64, its standard error; NaN for a single trial.
        activated: [K] int64, the activated neurons.
        silenced: [M] int64, the silenced neurons.
        trials: The number of trials.
        duration: The time of a trial in ms.
        names: The names of the N neurons, or None.
        populations: The population of each of the N neurons, or None.
    """

    rate: Tensor
    error: Tensor
    activated: Tensor
    silenced: Tensor
    trials: int
    duration: float
    names: list[str] | None = None
    populations: list[str] | None = None

    @property
    def answered(self) -> Tensor:
        """The neurons that spiked without being activated, the most active ones first, int64."""
        rate = self.rate.clone()
        rate[self.activated] = 0
        order = torch.sort(rate, descending=True, stable=True).indices
        return order[: int((rate > 0).sum())]

    def __str__(self) -> str:
        answered = self.answered
        lines = [["neuron", "name", "population", "rate (Hz)"]]
        lines += [self._line(neuron, "activated") for neuron in self.activated[:_SHOWN].tolist()]
        if len(self.activated) > _SHOWN:
            lines.append(["...", "", "", f"{len(self.activated)} activated"])
        lines += [self._line(neuron) for neuron in answered[:_SHOWN].tolist()]
        if len(answered) > _SHOWN:
            lines.append(["...", "", "", f"{len(answered)} answered"])
        present = [True, self.names is not None, self.populations is not None, True]
        columns = [
            column for column, kept in zip(zip(*lines, strict=True), present, strict=True) if kept
        ]
        widths = [max(map(len, column)) for column in columns]
        text = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in zip(*columns, strict=True)
        )
        return (
            f"{text}\n{len(answered)} of {len(self.rate)} neurons answered to "
            f"{len(self.activated)} activated, with {len(self.silenced)} silenced; mean and "
            f"standard error over {self.trials} trials of {self.duration:g} ms"
        )

    def _line(self, neuron: int, note: str = "") -> list[str]:
        rate, error = float(self.rate[neuron]), float(self.error[neuron])
        told = f"{rate:.2f}" if math.isnan(error) else f"{rate:.2f} ± {error:.2f}"
        return [
            str(neuron),
            "" if self.names is None else self.names[neuron],
            "" if self.populations is None else self.populations[neuron],
            f"{told}  {note}".rstrip(),
        ]


def _with_weights(connectome: Data, scale: float) -> Data:
    """Return the synapses of a connectome with their weights in mV."""
    if not isinstance(connectome, Data):
        raise TypeError(
            f"connectome must be a torch_geometric.data.Data, got {type(connectome).__name__}; "
            "pass what graphs.load or graphs.fly_visual_system returns"
        )
    validate(connectome)
    if "edge_weight" not in connectome:
        raise ValueError(
            "connectome needs edge_weight, the numbers of synapses; set connectome.edge_weight to "
            "a float32 tensor [E], of ones if none are known"
        )
    weight = connectome.edge_weight.detach()
    sign = signs(connectome)
    # Apply the signs to unsigned counts.
    if sign is not None and not bool((weight < 0).any()):
        weight = with_signs(weight, torch.from_numpy(sign.copy()).to(weight))
    fields = {"edge_index": connectome.edge_index, "edge_weight": scale * weight}
    if "edge_type" in connectome:
        fields["edge_type"] = connectome.edge_type
    return Data(num_nodes=int(connectome.num_nodes), **fields)


def _check_rate(rate: float | Tensor, size: int) -> float | Tensor:
    # A train has at most one event in each step.
    if not isinstance(rate, Tensor):
        return arguments.real("rate", rate, at_most=_MOST_RATE)
    fix = f"pass a number, or a tensor [{size}]"
    checked = tensors.tensor("rate", rate, (size,), finite=True, fix=fix)
    wrong = (checked < 0) | (checked > _MOST_RATE)
    if bool(wrong.any()):
        raise ValueError(
            f"rate must be from 0 to {_MOST_RATE:g} Hz, got {float(checked[wrong][0]):g}; pass "
            f"rate.clamp(0, {_MOST_RATE:g})"
        )
    return checked


def _populations(neurons: Data) -> list[str] | None:
    if "node_type" not in neurons or "node_type_names" not in neurons:
        return None
    names = neurons["node_type_names"]
    return [names[kind] for kind in neurons["node_type"].tolist()]
