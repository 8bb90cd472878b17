"""The fly brain model of Shiu et al. (2024), on any connectome with signed synapse counts."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.contract import validate, weights
from graphs.selection import Neurons, find_neurons
from sparsebrain.nn.arguments import check_dtype
from sparsebrain.spiking.arguments import number
from sparsebrain.spiking.lif import LIF

# The fields that select neurons and name them.
_FIELDS = ("names", "node_type", "node_type_names")
_ACTIVATED_SHOWN, _ANSWERED_SHOWN = 5, 20
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
        kept = {name: connectome[name] for name in _FIELDS if name in connectome}
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
        limit = torch.finfo(self.weight.dtype).max
        if abs(number("jump", jump, "finite")) > limit:
            raise ValueError(f"jump must be at most {limit:g} mV, got {jump:g}; pass jump={_JUMP}")
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
        fields = {name: self._neurons.get(name) for name in _FIELDS}
        return Responses(recording.rates, activated, silenced, recording.duration, **fields)


@dataclass(frozen=True, eq=False)
class Responses:
    """The rates of all neurons in an experiment; ``str`` is a table of the strongest.

    With populations the table has a row for each of these, and otherwise for each neuron.

    Attributes:
        rates: [trials, N] float64, the rate of each neuron in each trial, in Hz.
        activated: [K] int64, the activated neurons.
        silenced: [M] int64, the silenced neurons.
        duration: The time of a trial in ms.
        names: The names of the N neurons, or None.
        node_type: [N] int64, the population of each neuron, or None.
        node_type_names: The names of the populations, or None.
    """

    rates: Tensor
    activated: Tensor
    silenced: Tensor
    duration: float
    names: list[str] | None = None
    node_type: Tensor | None = None
    node_type_names: list[str] | None = None

    @property
    def rate(self) -> Tensor:
        """The mean rate of each neuron over the trials in Hz, [N] float64."""
        return self.rates.mean(0)

    @property
    def error(self) -> Tensor:
        """The standard error of each mean rate, [N] float64; NaN for a single trial."""
        return _error(self.rates)

    @property
    def answered(self) -> Tensor:
        """The neurons that spiked without being activated, the most active ones first, int64."""
        rate = self.rate
        rate[self.activated] = 0
        order = torch.sort(rate, descending=True, stable=True).indices
        return order[: int((rate > 0).sum())]

    def population_rates(self) -> Tensor:
        """Return the mean rate of the neurons of each population, [trials, P] float64.

        Raises:
            ValueError: If the connectome has no populations.
        """
        if self.node_type is None or self.node_type_names is None:
            raise ValueError(
                "the connectome has no populations; set connectome.node_type and "
                "connectome.node_type_names before FlyBrain(connectome), or use rates"
            )
        kinds = self.node_type.cpu()
        total = self.rates.new_zeros(len(self.rates), len(self.node_type_names))
        total.index_add_(1, kinds, self.rates)
        return total / kinds.bincount(minlength=total.size(1))

    def __str__(self) -> str:
        by_neuron = self.node_type is None or self.node_type_names is None
        rows = self._neuron_rows() if by_neuron else self._population_rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
        return (
            f"{text}\n{len(self.answered)} of {self.rates.size(1)} neurons answered to "
            f"{len(self.activated)} activated, with {len(self.silenced)} silenced; mean and "
            f"standard error over {len(self.rates)} trials of {self.duration:g} ms"
        )

    def _neuron_rows(self) -> list[list[str]]:
        rate, error, answered = self.rate, self.error, self.answered
        names = [""] * len(rate) if self.names is None else self.names
        rows = [["neuron", "" if self.names is None else "name", "rate (Hz)", ""]]
        for neurons, most, note in (
            (self.activated, _ACTIVATED_SHOWN, "activated"),
            (answered, _ANSWERED_SHOWN, ""),
        ):
            for neuron in neurons[:most].tolist():
                told = _told(rate[neuron], error[neuron])
                rows.append([str(neuron), names[neuron], told, note])
            if len(neurons) > most:
                rows.append(["...", "", "", f"{len(neurons) - most} more {note}".rstrip()])
        return rows

    def _population_rows(self) -> list[list[str]]:
        assert self.node_type is not None
        assert self.node_type_names is not None
        rates, kinds = self.population_rates(), self.node_type.cpu()
        rate, error = rates.mean(0), _error(rates)
        order = torch.sort(rate, descending=True, stable=True).indices
        answering = [kind for kind in order.tolist() if rate[kind] > 0]
        driven = set(kinds[self.activated].tolist())
        rows = [["population", "neurons", "rate (Hz)", ""]]
        for kind in answering[:_ANSWERED_SHOWN]:
            count = str(int((kinds == kind).sum()))
            told = _told(rate[kind], error[kind])
            note = "activated" if kind in driven else ""
            rows.append([self.node_type_names[kind], count, told, note])
        if len(answering) > _ANSWERED_SHOWN:
            rows.append(["...", "", "", f"{len(answering) - _ANSWERED_SHOWN} more"])
        return rows


def _error(rates: Tensor) -> Tensor:
    """Return the standard error of the mean over the trials."""
    if len(rates) == 1:
        return torch.full_like(rates[0], math.nan)
    return rates.std(0) / math.sqrt(len(rates))


def _told(rate: Tensor, error: Tensor) -> str:
    mean = f"{float(rate):.2f}"
    return mean if bool(error.isnan()) else f"{mean} ± {float(error):.2f}"


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
    weight = torch.from_numpy(weights(connectome))
    scaled = scale * weight
    if not bool(scaled.isfinite().all()):
        raise ValueError(
            f"synapse_weight must leave all weights finite, got {scale:g} for counts up to "
            f"{float(weight.abs().max()):g}; pass synapse_weight=0.275"
        )
    fields = {"edge_index": connectome.edge_index, "edge_weight": scaled}
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
