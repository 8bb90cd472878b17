"""Boltzmann machines on any undirected graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.positions import positions
from sparsebrain.energy import annealing, sampling, summation
from sparsebrain.energy.pairs import read_pairs
from sparsebrain.kernels import Structure, propagate
from sparsebrain.kernels.sampling import MOST_SWEEPS, check_binary
from sparsebrain.nn.arguments import check_dtype
from sparsebrain.nn.connectome import fingerprint
from sparsebrain.nn.fingerprinted import Fingerprinted

_SPREAD = 0.01


class BoltzmannMachine(Fingerprinted, nn.Module):
    r"""Neurons that are 0 or 1 at random, with a probability that their energy determines.

    .. math::
        E(x) = -\sum_i b_i x_i - \sum_{i < j} w_{ij} x_i x_j, \qquad
        P(x) = \frac{e^{-E(x)}}{Z}, \qquad
        P(x_i = 1 \mid \text{rest}) = \sigma\Bigl(b_i + \sum_j w_{ij} x_j\Bigr)

    D. H. Ackley, G. E. Hinton, T. J. Sejnowski, "A learning algorithm for Boltzmann machines",
    Cognitive Science 9 (1985) 147-169. Any undirected graph will do: a bipartite one makes a
    restricted machine.

    Args:
        connectome: A symmetric ``Data`` without self-loops; both directions of a pair are one
            weight. :func:`graphs.symmetrize` makes one from any connectome.
        visible: The neurons that data are about: their number K, for the first K neurons, or a
            sequence of their numbers. By default all neurons.
        dtype: float32 or float64; torch's default if None.

    Attributes:
        pairs: [2, P] int64, the pairs i < j, sorted.
        weight: [P], from the connectome's ``edge_weight`` with its signs if it has one, see
            :func:`graphs.signed_weights`; otherwise normal with standard deviation 0.01.
        bias: [N], zero at first.
        visible: [V] int64.
        hidden: [N - V] int64, all others.
        structure: The synapses in both directions.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the connectome breaks the contract, has a self-loop, has a synapse in one
            direction only, or unequal weights in both; or ``visible`` names no neuron.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.energy import BoltzmannMachine
        >>> machine = BoltzmannMachine(graphs.grid_local((3, 3), 1, self_loops=False))
        >>> machine
        BoltzmannMachine(9 neurons, 20 pairs, 9 visible)
        >>> states = machine.sample(100, sweeps=20, generator=torch.Generator().manual_seed(0))
        >>> states.shape, machine.energy(states).shape
        (torch.Size([100, 9]), torch.Size([100]))
    """

    structure: Structure
    pairs: Tensor
    visible: Tensor
    hidden: Tensor

    def __init__(
        self,
        connectome: Data,
        *,
        visible: int | Sequence[int] | Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        pairs, self.structure, weight = read_pairs(connectome)
        self.num_nodes = self.structure.num_nodes
        chosen = _visible(visible, self.num_nodes)
        is_hidden = torch.ones(self.num_nodes, dtype=torch.bool)
        is_hidden[chosen] = False
        for name, each in {
            "pairs": pairs,
            "visible": chosen,
            "hidden": is_hidden.nonzero().squeeze(1),
        }.items():
            self.register_buffer(name, each, persistent=False)
        self._hidden_parts = summation.components(self.hidden, pairs, self.num_nodes)
        self._initial = weight
        empty = torch.empty(0, dtype=dtype)
        self.weight = nn.Parameter(empty.new_zeros(pairs.size(1)))
        self.bias = nn.Parameter(empty.new_zeros(self.num_nodes))
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Set biases to zero and weights to the connectome's, or draw them.

        Args:
            generator: The source of randomness; torch's default generator if None.
        """
        tensors.generator("generator", generator, self.weight.device)
        with torch.no_grad():
            self.bias.zero_()
            if self._initial is None:
                self.weight.normal_(0.0, _SPREAD, generator=generator)
            else:
                self.weight.copy_(self._initial)

    def synapse_weight(self) -> Tensor:
        """Return the weights of both directions [2 P], in the order of ``structure``."""
        return torch.cat([self.weight, self.weight])

    def field(self, x: Tensor) -> Tensor:
        """Return b + W x, the field of every neuron [B, N], for states x [B, N]."""
        x = self._states("x", x, self.num_nodes)
        received = propagate(self._on_device(), self.synapse_weight(), x.t().contiguous())
        return received.t() + self.bias

    def energy(self, x: Tensor) -> Tensor:
        """Return the energy of states.

        Args:
            x: [B, N] of 0 and 1, of a float, integer or bool dtype.

        Returns:
            [B], differentiable with respect to the parameters.
        """
        x = self._states("x", x, self.num_nodes)
        # Each pair counts in the fields of both of its neurons.
        return -0.5 * ((self.field(x) + self.bias) * x).sum(1)

    def free_energy(self, x: Tensor) -> Tensor:
        """Return -ln of the sum of exp(-E) over the states of the hidden neurons.

        The sum is exact. Connected components of hidden neurons are summed one by one, each of at
        most 20 neurons: hidden neurons without synapses among themselves take O(1) each.

        Args:
            x: States of the visible neurons [B, V] of 0 and 1.

        Returns:
            [B], differentiable with respect to the parameters.

        Raises:
            ValueError: If more than 20 hidden neurons are connected to one another.
        """
        x = self._states("x", x, len(self.visible))
        state = x.new_zeros(len(x), self.num_nodes).index_copy(1, self.visible, x)
        total = -self.energy(state)
        if len(self.hidden):
            parts = self._enumerable(self._hidden_parts)
            total = total + summation.log_sum(self.field(state), parts, self.pairs, self.weight)
        return -total

    def log_prob(self, x: Tensor, *, log_partition: Tensor | None = None) -> Tensor:
        """Return the logarithm of the probability of states of the visible neurons.

        Args:
            x: [B, V] of 0 and 1.
            log_partition: ln Z, if it is known; by default ``log_partition()``, which has to be
                exact.

        Returns:
            [B], differentiable with respect to the parameters.

        Raises:
            ValueError: If ln Z cannot be summed exactly; estimate it by
                ``log_partition(method="annealing")`` and pass it.
        """
        if log_partition is None:
            log_partition = self.log_partition(method="sum")
        like = self.weight
        tensors.tensor(
            "log_partition",
            log_partition,
            (),
            dtypes=(like.dtype,),
            device=like.device,
            finite=True,
        )
        return -self.free_energy(x) - log_partition

    def log_partition(
        self,
        *,
        method: str = "auto",
        chains: int = 1000,
        steps: int = 1000,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return ln Z, the logarithm of the sum of exp(-E) over all 2^N states.

        Args:
            method: "sum" is exact. It enumerates the states of all neurons but the largest set that
                share no synapse, which must be at most 20. "annealing" estimates ln Z
                (:meth:`estimate_log_partition` also returns the standard error). "auto" sums if it
                can.
            chains: The number of chains of the estimate.
            steps: The number of temperatures of the estimate.
            generator: The source of randomness of the estimate.

        Returns:
            A tensor without dimensions; the sum is differentiable with respect to the parameters.

        Raises:
            ValueError: If "sum" would enumerate more than 20 neurons.
        """
        arguments.option("method", method, ("auto", "sum", "annealing"))
        chains, steps = self._check_annealing(chains, steps, generator)
        summed, kept = self._separator()
        fits = len(kept) <= summation.MOST_ENUMERATED
        if method == "annealing" or (method == "auto" and not fits):
            return self.estimate_log_partition(chains, steps, generator=generator)[0]
        if not fits:
            raise ValueError(
                f"method='sum' would enumerate the states of {len(kept)} of {self.num_nodes} "
                f"neurons, and {summation.MOST_ENUMERATED} is the most; pass method='annealing'"
            )
        total = []
        for states in summation.chunks(len(kept), self.weight.dtype):
            x = self.bias.new_zeros(len(states), self.num_nodes)
            x[:, kept] = states.to(x)
            rest = nn.functional.softplus(self.field(x)[:, summed]).sum(1)
            total.append(torch.logsumexp(rest - self.energy(x), 0))
        return torch.logsumexp(torch.stack(total), 0)

    def estimate_log_partition(
        self,
        chains: int = 1000,
        steps: int = 1000,
        *,
        generator: torch.Generator | None = None,
    ) -> annealing.Estimate:
        """Estimate ln Z by annealed importance sampling, with its standard error.

        See :func:`sparsebrain.energy.annealing.estimate`.

        Args:
            chains: The number of independent chains.
            steps: The number of temperatures from independent neurons to the machine.
            generator: The source of randomness; torch's default generator if None.
        """
        chains, steps = self._check_annealing(chains, steps, generator)
        return annealing.estimate(self, chains, steps, generator)

    def _check_annealing(self, chains: Any, steps: Any, generator: Any) -> tuple[int, int]:
        tensors.generator("generator", generator, torch.device("cpu"))
        chains = arguments.count("chains", chains, at_least=2)
        tensors.room(f"chains={chains}", 16 * chains * self.num_nodes, "pass fewer chains")
        return chains, arguments.count("steps", steps, at_least=1, at_most=MOST_SWEEPS)

    def sample(
        self,
        chains: int,
        sweeps: int,
        *,
        clamp: tuple[Any, Any] | None = None,
        start: Tensor | None = None,
        beta: float | Tensor = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw states by Gibbs sampling, color by color.

        Args:
            chains: The number of independent chains.
            sweeps: The number of updates of every neuron.
            clamp: ``(neurons, values)``: neurons [K] that keep values [K] or [chains, K].
            start: The states at the start [chains, N]; drawn evenly by default.
            beta: The inverse temperature, positive; or one per sweep [sweeps], as in annealing.
            generator: The source of randomness; torch's default generator if None.

        Returns:
            [chains, N] of 0 and 1 in the dtype of the weights.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If a value is out of range, or all neurons are clamped.
        """
        return sampling.run(
            self, chains, sweeps, clamp=clamp, start=start, beta=beta, generator=generator
        )

    def conditional(self, x: Tensor, observed: Tensor) -> Tensor:
        """Return the exact probability that each neuron is 1, given those that are observed.

        Args:
            x: [B, N] of 0 and 1; values of other neurons are not read.
            observed: [N] bool, the neurons whose values are known.

        Returns:
            [B, N]; for observed neurons their value.

        Raises:
            ValueError: If more than 20 free neurons are connected to one another; use
                ``sample(clamp=...)``.
        """
        x = self._states("x", x, self.num_nodes)
        tensors.tensor("observed", observed, (self.num_nodes,), dtypes=(torch.bool,))
        free = (~observed).nonzero().squeeze(1).to(self.weight.device)
        x = x.index_fill(1, free, 0.0)
        found = summation.components(free.cpu(), self.pairs.cpu(), self.num_nodes)
        parts = self._enumerable(found)
        return x + summation.marginals(self.field(x), parts, self.pairs, self.weight)

    def _separator(self) -> tuple[Tensor, Tensor]:
        """Return a largest color class, whose neurons share no synapse, and all other neurons."""
        largest = max(self._on_device().colors().classes(), key=len)
        rest = torch.ones(self.num_nodes, dtype=torch.bool, device=largest.device)
        rest[largest] = False
        return largest, rest.nonzero().squeeze(1)

    def _enumerable(self, parts: summation.Components) -> summation.Components:
        """Return components on the right device; ValueError if one is too large."""
        largest = len(parts.joined[-1]) if parts.joined else 1
        if largest > summation.MOST_ENUMERATED:
            raise ValueError(
                f"{largest} neurons to be summed out are connected to one another, and the states "
                f"of {summation.MOST_ENUMERATED} at most are enumerated; call sample with "
                "clamp=(neurons, values) instead"
            )
        return parts.to(self.weight.device)

    def _on_device(self) -> Structure:
        if self.structure.device != self.weight.device:
            self.structure = self.structure.to(self.weight.device)
        return self.structure

    def _states(self, name: str, x: Tensor, size: int) -> Tensor:
        tensors.tensor(name, x, ("B", size), dtypes=tensors.REAL, device=self.weight.device)
        check_binary(name, x)
        return x.to(self.weight.dtype)

    def _size(self) -> str:
        return f"{self.num_nodes} neurons, {self.pairs.size(1)} pairs, and which are visible,"

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the pairs and the visible neurons, for state_dict."""
        return fingerprint(self.structure, None, None, visible=self.visible)

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"{self.num_nodes} neurons, {self.pairs.size(1)} pairs, {len(self.visible)} visible"


def _visible(visible: Any, nodes: int) -> Tensor:
    if visible is None:
        return torch.arange(nodes)
    if isinstance(visible, int):
        return torch.arange(arguments.count("visible", visible, at_least=1, at_most=nodes))
    chosen = torch.from_numpy(positions("visible", visible, nodes))
    if not len(chosen):
        raise ValueError("visible must name at least one neuron, got none; pass visible=1 or more")
    return chosen
