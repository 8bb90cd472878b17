"""Leaky integrate-and-fire neurons that exchange spikes along the synapses of a connectome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.kernels import Structure
from sparsebrain.nn.arguments import check_dtype
from sparsebrain.nn.connectome import fingerprint, read_signs, read_structure, read_weights
from sparsebrain.nn.dale import DaleSign, with_signs
from sparsebrain.nn.fingerprinted import Fingerprinted
from sparsebrain.nn.weight_setting import set_weight
from sparsebrain.spiking import simulation, unrolled
from sparsebrain.spiking.arguments import in_dtype, number, plain, steps, values
from sparsebrain.spiking.changing import SimulatedRule
from sparsebrain.spiking.dynamics import Coefficients, State, Wiring, decays, wire
from sparsebrain.spiking.events import SpikeTrains
from sparsebrain.spiking.homeostasis import AdaptiveThreshold, Normalization
from sparsebrain.spiking.recording import Recording
from sparsebrain.spiking.surrogate import SURROGATES

Step = Literal["exact", "euler"]
Holds = Literal["all", "v"]
Init = Literal["edge_weight", "variance"]


class LIF(Fingerprinted, nn.Module):
    r"""Leaky integrate-and-fire neurons, connected by a connectome.

    .. math:: \tau \dot v = v_0 - v + g + I, \qquad \tau_s \dot g = -g

    A neuron spikes where v is above the threshold. Then v is set to the reset potential for the
    refractory time. A spike adds the weight of a synapse to g of its target after the delay, or to
    v where ``tau_synapse`` is None. The input current I is a voltage (R = 1). P. Dayan,
    L. F. Abbott, "Theoretical neuroscience", MIT Press (2001), chapter 5.

    A time step integrates v and g; finds the spikes, where v is above the threshold and the neuron
    is not refractory; adds the input and the spikes that arrive; and resets the neurons that
    spiked. A neuron that spiked at step m is refractory at step n while n - m is less than the
    refractory time in steps. What arrives at a refractory neuron, or in the step of its spike, is
    lost.

    Args:
        connectome: Any ``torch_geometric.data.Data`` with ``edge_index`` [2, E] and ``num_nodes``
            N, as for :class:`sparsebrain.GraphLayer`.
        tau: The membrane time constant in ms; a number or a tensor [N], like all other values
            unless stated otherwise.
        tau_synapse: The synaptic time constant in ms. By default a spike adds to v.
        rest: The resting potential v_0.
        reset: The potential after a spike, at most the threshold.
        threshold: The threshold.
        refractory: The refractory time in ms.
        delay: The time in ms from a spike to its arrival, a number or a tensor [E]. Spikes with
            delay 0 arrive in the same step.
        refractory_holds: "all" freezes v and g of a refractory neuron and sets g to zero at a
            spike. "v" freezes v alone: g decays and receives spikes all the time.
        dt: The time step in ms.
        step: "exact" integrates v and g exactly, with an input current that is constant over a
            step. "euler" takes a step of Euler's method.
        surrogate: The derivative of a spike in backpropagation, a key of
            :data:`sparsebrain.spiking.SURROGATES`.
        dale: Keep the sign of every synapse under any optimizer, as in a GraphLayer.
        init: "edge_weight" starts from the connectome's ``edge_weight`` with its signs, see
            :func:`graphs.signed_weights`. "variance" draws normal weights, such that about as many
            simultaneous spikes as a neuron has synapses bring it to its threshold by chance. By
            default "edge_weight" where there is one.
        device: The device of the weights.
        dtype: The dtype of the weights and of all states, float32 or float64.

    Attributes:
        weight: [E], in the order of ``edge_index``.
        edge_index: [2, E] int64.
        num_nodes: The number of neurons N.
        tau: As the argument, a float or a tensor [N] float64 on the CPU; likewise ``tau_synapse``,
            ``rest``, ``reset`` and ``threshold``.
        refractory: The refractory time that is used: the nearest multiple of ``dt``.
        delay: The delay that is used: the nearest multiple of ``dt``.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an argument has the wrong shape, value or option, or Euler's method is
            unstable with this time step.

    Example:
        >>> import torch
        >>> from sparsebrain.spiking import LIF
        >>> from torch_geometric.data import Data
        >>> pair = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)
        >>> lif = LIF(pair, delay=1.5, dt=0.1)
        >>> lif
        LIF(2 neurons, 1 synapses, dt=0.1)
        >>> lif.delay
        1.5
    """

    weight: Tensor

    def __init__(
        self,
        connectome: Data,
        *,
        tau: float | Tensor = 20.0,
        tau_synapse: float | Tensor | None = None,
        rest: float | Tensor = 0.0,
        reset: float | Tensor = 0.0,
        threshold: float | Tensor = 1.0,
        refractory: float | Tensor = 2.0,
        delay: float | Tensor = 0.0,
        refractory_holds: Holds = "all",
        dt: float = 1.0,
        step: Step = "exact",
        surrogate: str = "fast_sigmoid",
        dale: bool = False,
        init: Init | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        arguments.option("refractory_holds", refractory_holds, ("all", "v"))
        arguments.option("step", step, ("exact", "euler"))
        arguments.option("surrogate", surrogate, SURROGATES)
        arguments.option("init", init, (None, "edge_weight", "variance"))
        arguments.flag("dale", dale)
        if device is not None:
            tensors.device("device", device)
        check_dtype(dtype)
        self.dt = number("dt", dt, "positive")
        self._structure = read_structure(connectome)
        self._wiring: Wiring | None = None
        self.num_nodes = self._structure.num_nodes
        self.refractory_holds, self.step, self.surrogate = refractory_holds, step, surrogate
        self._set_neurons(tau, tau_synapse, rest, reset, threshold)
        self._set_times(refractory, delay)
        self._fingerprint: Tensor | None = None
        self._make_weights(connectome, init, dale=dale, device=device, dtype=dtype)
        self.coefficients()

    def _set_neurons(
        self, tau: Any, tau_synapse: Any, rest: Any, reset: Any, threshold: Any
    ) -> None:
        size = self.num_nodes
        self._tau = values("tau", tau, size, "positive")
        self._tau_synapse = (
            None if tau_synapse is None else values("tau_synapse", tau_synapse, size, "positive")
        )
        self._rest = values("rest", rest, size, "finite")
        self._reset = values("reset", reset, size, "finite")
        self._threshold = values("threshold", threshold, size, "finite")
        if bool((self._reset > self._threshold).any()):
            raise ValueError(
                f"reset must be at most the threshold, above which a neuron would spike at every "
                f"step, got reset={float(self._reset.max()):g} and "
                f"threshold={float(self._threshold.min()):g}; pass a smaller reset, or a larger "
                "threshold"
            )
        for name, times in (("tau", self._tau), ("tau_synapse", self._tau_synapse)):
            if self.step == "euler" and times is not None and bool((times * 2 <= self.dt).any()):
                raise ValueError(
                    f"step='euler' is unstable where dt is at least 2 {name}, got dt={self.dt:g} "
                    f"and {name}={float(times.min()):g}; pass a smaller dt, or step='exact'"
                )
        self.tau, self.rest, self.reset = plain(self._tau), plain(self._rest), plain(self._reset)
        self.threshold = plain(self._threshold)
        self.tau_synapse = None if self._tau_synapse is None else plain(self._tau_synapse)

    def _set_times(self, refractory: Any, delay: Any) -> None:
        times = values("refractory", refractory, self.num_nodes, "not negative")
        self.refractory_steps = steps("refractory", times, self.dt)
        times = values("delay", delay, self._structure.num_edges, "not negative")
        self.delay_steps = steps("delay", times, self.dt)
        self.refractory = plain(self.refractory_steps.double() * self.dt)
        self.delay = plain(self.delay_steps.double() * self.dt)

    def _make_weights(
        self,
        connectome: Data,
        init: str | None,
        *,
        dale: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        sign = read_signs(connectome) if dale else None
        empty = torch.empty(0, device=device, dtype=dtype)
        if init is None:
            init = "edge_weight" if "edge_weight" in connectome else "variance"
        self.init = init
        self._initial_weight: Tensor | None = None
        if init == "edge_weight":
            self._initial_weight = read_weights(connectome, empty.dtype, for_gain=False)
        self.weight = nn.Parameter(empty.new_zeros(self._structure.num_edges))
        if sign is not None:
            step = DaleSign(sign.to(self.weight))
            parametrize.register_parametrization(self, "weight", step)
        self.reset_parameters()

    @property
    def structure(self) -> Structure:
        """The synapses, on the device of the weights."""
        if not self.weight.is_meta:
            self._structure = self._structure.to(self.weight.device)
        return self._structure

    @property
    def edge_index(self) -> Tensor:
        """The synapses [2, E] int64, in the order of the connectome."""
        return self._structure.edge_index

    @property
    def longest_delay(self) -> int:
        """The longest delay of a synapse, in steps."""
        return int(self.delay_steps.max()) if self.delay_steps.numel() else 0

    @property
    def wiring(self) -> Wiring:
        """The synapses with their delays, on the device of the weights."""
        if self._wiring is None or self._wiring.structure.device != self.structure.device:
            self._wiring = wire(self.structure, self.delay_steps)
        return self._wiring

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Set the weights to their initial values, drawn anew unless they are the connectome's.

        Args:
            generator: The source of randomness; torch's default generator if None.
        """
        tensors.generator("generator", generator, self.weight.device)
        if self.weight.is_meta or not len(self.weight):
            return
        self.assign_weight(
            self._draw(generator)
            if self._initial_weight is None
            else self._initial_weight.to(self.weight)
        )

    def assign_weight(self, weight: Tensor) -> None:
        """Set the weights [E], whether their signs are fixed or not.

        Raises:
            TypeError: If ``weight`` is not a dense tensor of floats.
            ValueError: If it has another shape, or a sign that ``dale`` does not allow.
        """
        set_weight(self, weight)

    def _draw(self, generator: torch.Generator | None) -> Tensor:
        """Draw normal weights of variance (gap / peak)^2 / in-degree of the target.

        The gap is that from rest to threshold, and the peak is the largest response of v to a spike
        of weight 1.
        """
        like, target = self.weight, self.edge_index[1]
        peak = torch.ones_like(self._tau)
        if self._tau_synapse is not None:
            # v peaks at the time t at which the derivative of its response is zero.
            tau, tau_s = torch.broadcast_tensors(self._tau, self._tau_synapse)
            apart = (tau - tau_s).abs() > 1e-6 * tau
            other = torch.where(apart, tau_s, tau * (1 - 1e-6))
            time = tau * other / (tau - other) * torch.log(tau / other)
            peak = other / (other - tau) * (torch.exp(-time / other) - torch.exp(-time / tau))
        gap = (self._threshold - self._rest).abs()
        scale = (gap / peak).expand(self.num_nodes) * torch.bincount(
            target, minlength=self.num_nodes
        ).clamp_min(1).rsqrt()
        noise = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        weight = noise * scale.to(like)[target.to(like.device)]
        sign = self._sign()
        return weight if sign is None else with_signs(weight.abs(), sign.to(like))

    def _sign(self) -> Tensor | None:
        """Return the fixed signs [E], or None."""
        if not parametrize.is_parametrized(self, "weight"):
            return None
        steps: Any = self.parametrizations
        return steps.weight[0].value

    def coefficients(self) -> Coefficients:
        """Return the coefficients of a step, on the device and in the dtype of the weights."""
        like, size = self.weight, self.num_nodes
        found = decays(self._tau, self._tau_synapse, self.dt, self.step)
        decay, drive, transfer, synapse_decay = (
            None if each is None else each.to(like).expand(size) for each in found
        )
        assert decay is not None
        assert drive is not None
        return Coefficients(
            decay,
            drive,
            transfer,
            synapse_decay,
            in_dtype("rest or threshold", self._threshold - self._rest, like).expand(size),
            in_dtype("rest or reset", self._reset - self._rest, like).expand(size),
            self.refractory_steps.to(like.device, torch.int32).expand(size),
            self.refractory_holds == "all",
        )

    def input_factor(self) -> Tensor:
        """Return c, [] or [N] float64 on the CPU: a step adds c I to v for an input current I."""
        return decays(self._tau, self._tau_synapse, self.dt, self.step)[1]

    def rest_state(self, *batch: int) -> State:
        """Return the state at rest, u [..., N]: v is at rest and no spike is on its way."""
        like, longest = self.weight, self.longest_delay
        u = like.new_zeros((*batch, self.num_nodes))
        return State(
            u,
            None if self.tau_synapse is None else u.clone(),
            torch.zeros_like(u, dtype=torch.int32),
            like.new_zeros((*batch, longest, self.num_nodes)),
        )

    def forward(self, current: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one step for each input current; backpropagation through time trains the weights.

        A spike has the derivative of the surrogate, see :data:`sparsebrain.spiking.SURROGATES`;
        resets and refractory times have none. A step takes O(N B + E B) time. Memory is O(T N B):
        the backward pass reads every potential and spike. For longer sequences, detach the tensors
        of the state between calls.

        Args:
            current: I [B, T, N], constant over each of T steps, in the dtype of the weights.
            state: The state from which to continue; at rest by default.

        Returns:
            The spikes [B, T, N] of 0 and 1, and the state, which the next call takes. Gradients
            reach the current, the weights and the floating-point tensors of the state.

        Raises:
            TypeError: If an argument has the wrong type or dtype.
            ValueError: If a shape does not fit, a value is not finite, a spike of the state is not
                0 or 1, or the potentials of all steps do not fit into memory.

        Example:
            >>> import torch
            >>> from sparsebrain.spiking import LIF
            >>> from torch_geometric.data import Data
            >>> lif = LIF(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
            >>> spikes, state = lif(torch.full((4, 30, 2), 1.5))
            >>> spikes.shape, int(spikes[0, :, 0].sum())
            (torch.Size([4, 30, 2]), 1)
            >>> more, state = lif(torch.full((4, 30, 2), 1.5), state)
        """
        return unrolled.run(self, current, state)

    def simulate(
        self,
        duration: float,
        *,
        events: SpikeTrains | None = None,
        poisson: tuple[Sequence[int] | Tensor, float | Tensor, float] | None = None,
        current: float | Tensor | None = None,
        record: Any = (),
        samples: int = 1,
        silence: Sequence[int] | Tensor = (),
        generator: torch.Generator | None = None,
        backend: str = "auto",
        plasticity: SimulatedRule | None = None,
        adaptation: AdaptiveThreshold | None = None,
        normalization: Normalization | None = None,
    ) -> Recording:
        """Simulate the network from rest for a time, without gradients.

        Memory grows with the spikes and the recorded states, and not with the steps. The result is
        the same for any number of threads. Interrupting a simulation (Ctrl-C) returns what it has
        recorded so far, with a warning.

        Args:
            duration: The time in ms. The nearest multiple of ``dt`` is simulated, which the
                recording states as its ``duration``.
            events: Input events; each adds its jump to v of a neuron, unless it is refractory.
            poisson: A tuple (neurons, rate, jump): every one of these neurons receives an
                independent Poisson train of this rate in Hz, a number or a tensor with one rate for
                each of them, whose events add ``jump`` to v.
            current: The input current I, a number or a tensor [N], the same at all times.
            record: A tuple (variable, neurons, interval in ms), or several: record "v" or "g" of
                these neurons at the start of step 0 and then every interval.
            samples: The number of independent runs S. All receive the same ``events`` and
                ``current``, unless the events name their sample, and Poisson trains of their own.
            silence: Neurons that never spike.
            generator: The source of randomness of Poisson trains; torch's default generator if
                None.
            backend: The kernel backend, as for a GraphLayer. All backends see the same input.
            plasticity: A :class:`sparsebrain.plasticity.STDP` around this network, which changes
                ``weight`` in place, step by step: a spike carries the weight that its synapse has
                when it is sent, and then changes it. Spike traces start at zero. Needs
                ``samples=1``, as do the next two.
            adaptation: An :class:`AdaptiveThreshold`, whose ``theta`` is changed in place.
            normalization: A :class:`Normalization`, which scales ``weight`` in place.

        Returns:
            The spikes and states, a :class:`sparsebrain.spiking.Recording`.

        Raises:
            TypeError: If an argument has the wrong type or dtype.
            ValueError: If an argument has the wrong shape or value.

        Example:
            >>> import torch
            >>> from sparsebrain.spiking import LIF
            >>> from torch_geometric.data import Data
            >>> neuron = LIF(Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=1))
            >>> recording = neuron.simulate(100, current=1.5)
            >>> recording.step.tolist()
            [21, 44, 67, 90]
            >>> recording.rates
            tensor([[40.]], dtype=torch.float64)
        """
        return simulation.run(
            self,
            duration,
            events=events,
            poisson=poisson,
            current=current,
            record=record,
            samples=samples,
            silence=silence,
            generator=generator,
            backend=backend,
            plasticity=plasticity,
            adaptation=adaptation,
            normalization=normalization,
        )

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the synapses and their fixed signs, for state_dict."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._structure, None, self._sign())
        return self._fingerprint

    def _size(self) -> str:
        return f"{self.num_nodes} neurons, {len(self.weight)} synapses, their order and fixed signs"

    def extra_repr(self) -> str:
        """Describe the network for ``repr``."""
        return f"{self.num_nodes} neurons, {len(self.weight)} synapses, dt={self.dt:g}"
