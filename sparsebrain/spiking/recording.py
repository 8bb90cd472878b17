"""What a simulation records: spikes, rates and states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from graphs import arguments, frames
from graphs.plots.canvas import axes
from sparsebrain.kernels.spikes import Probe
from sparsebrain.spiking.arguments import number, steps
from sparsebrain.spiking.events import neurons_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_DOTS = 500_000


class Trace(NamedTuple):
    """The recorded states of some neurons, at the start of a step, before it is integrated.

    Attributes:
        variable: "v" or "g".
        neurons: [K] int64.
        step: [T] int64, the recorded steps.
        values: [S, T, K].
    """

    variable: Literal["v", "g"]
    neurons: Tensor
    step: Tensor
    values: Tensor


@dataclass(frozen=True, eq=False)
class Recording:
    """The spikes and states of a simulation of S samples of N neurons.

    Attributes:
        step: [K] int64, the step of each spike. Spikes are sorted by sample, step and neuron.
        neuron: [K] int64, its neuron.
        sample: [K] int64, its sample.
        states: One :class:`Trace` for each entry of ``record``.
        duration: The simulated time in ms, which is shorter if the simulation was interrupted.
        dt: The time step in ms.
        num_nodes: The number of neurons N.
        samples: The number of samples S.
    """

    step: Tensor
    neuron: Tensor
    sample: Tensor
    states: tuple[Trace, ...]
    duration: float
    dt: float
    num_nodes: int
    samples: int

    @property
    def rates(self) -> Tensor:
        """The mean rate of every neuron in each sample, [S, N] float64, in Hz."""
        place = self.sample * self.num_nodes + self.neuron
        counts = torch.bincount(place, minlength=self.samples * self.num_nodes)
        seconds = self.duration / 1000
        rates = counts.double() / seconds if seconds else torch.zeros_like(counts.double())
        return rates.view(self.samples, self.num_nodes)

    def to_dataframe(self, library: frames.Library = "pandas") -> Any:
        """Return the spikes as a dataframe, which requires narwhals and the library of the frame.

        Args:
            library: "pandas", "polars" or "pyarrow".

        Returns:
            One row per spike, with the columns sample, neuron, step and time (in ms).

        Raises:
            ValueError: If ``library`` is none of these.
            ModuleNotFoundError: If narwhals or the library is not installed.
        """
        columns = {"sample": self.sample, "neuron": self.neuron, "step": self.step}
        arrays = {name: each.cpu().numpy() for name, each in columns.items()}
        return frames.make({**arrays, "time": arrays["step"] * self.dt}, library)

    def __repr__(self) -> str:
        return (
            f"Recording({len(self.step)} spikes of {self.num_nodes} neurons in "
            f"{self.duration:g} ms, samples={self.samples})"
        )

    def plot(self, ax: Axes | None = None, *, sample: int = 0) -> Axes:
        """Plot a dot for each spike of a sample, at its time and neuron (a raster plot).

        Args:
            ax: The axes to draw on; those of a new figure by default.
            sample: The sample to plot. Of more than 500,000 spikes evenly spaced ones are drawn.

        Returns:
            The axes.
        """
        arguments.count("sample", sample, at_most=self.samples - 1)
        ax = axes(ax, figsize=(8, 4))
        chosen = self.sample == sample
        time, neuron = self.step[chosen] * self.dt, self.neuron[chosen]
        skip = -(-len(time) // _MOST_DOTS) or 1
        size = min(6.0, max(1.0, 600 / max(self.num_nodes, 1)))
        ax.plot(time[::skip], neuron[::skip], ".", color="#1f4e79", ms=size, mew=0)
        left, right = 0.0, max(self.duration, self.dt)
        ax.set(xlabel="time (ms)", ylabel="neuron", xlim=(left, right))
        ax.set_ylim(-0.5, max(self.num_nodes, 1) - 0.5)
        return ax


class Asked(NamedTuple):
    """A checked entry of ``record``.

    Attributes:
        variable: "v" or "g".
        neurons: [K] int64.
        every: The steps between two records.
    """

    variable: Literal["v", "g"]
    neurons: Tensor
    every: int

    def probe(self, first: int, where: torch.device) -> Probe:
        """Return the records of a span that starts at step ``first``."""
        return Probe(self.variable == "g", self.neurons.to(where), -first % self.every, self.every)


def check_record(value: Any, *, num_nodes: int, dt: float, has_current: bool) -> list[Asked]:
    """Return the checked entries of ``record``, each (variable, neurons, interval in ms).

    Raises:
        TypeError: If it is not a tuple of this form, or a sequence of such tuples.
        ValueError: If a variable, a neuron or an interval is wrong.
    """
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[0], str):
        value = (value,)
    expected = "record must be a tuple (variable, neurons, interval in ms), or several of them"
    fix = "pass record=('v', [0, 1], 1.0)"
    if not isinstance(value, tuple | list):
        raise TypeError(f"{expected}, got {arguments.described(value)}; {fix}")
    asked = []
    for each in value:
        if not isinstance(each, tuple) or len(each) != 3:
            raise TypeError(f"{expected}, got an entry {arguments.described(each)}; {fix}")
        variable: Literal["v", "g"] = arguments.option("record's variable", each[0], ("v", "g"))
        if variable == "g" and not has_current:
            raise ValueError(
                "record asks for g, which neurons have only with tau_synapse; record 'v', or pass "
                "LIF(tau_synapse=5.0)"
            )
        neurons = neurons_of("record's neurons", each[1], num_nodes)
        interval = torch.tensor(number("record's interval", each[2], "positive"))
        every = max(1, int(steps("record's interval", interval.double(), dt)))
        asked.append(Asked(variable, neurons, every))
    return asked
