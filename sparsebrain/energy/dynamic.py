"""Dynamic Boltzmann machines: time series on directed graphs, with an exact local gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.energy.filters import History, delayed, in_flight, traces
from sparsebrain.kernels import Structure, backpropagate, propagate
from sparsebrain.kernels.sampling import check_binary
from sparsebrain.nn.arguments import check_dtype
from sparsebrain.nn.connectome import fingerprint, read_structure
from sparsebrain.nn.fingerprinted import Fingerprinted

MOST_DELAY = 10_000
"""The longest delay in steps."""


class _Group(NamedTuple):
    """The synapses of one delay."""

    delay: int
    synapses: Tensor
    structure: Structure


class DynamicBoltzmannMachine(Fingerprinted, nn.Module):
    r"""Neurons that are 0 or 1 at each time step, with a probability given by all earlier steps.

    .. math::
        \ln \frac{P(x_j[t] = 1)}{P(x_j[t] = 0)} = b_j
        + \sum_{i \to j} \Bigl(\sum_k u_k \alpha_k - \sum_l v_l \beta_l\Bigr)
        - \sum_{j \to m} \sum_l v_l \gamma_l

    A synapse i -> j with delay d sees three traces of its neurons:

    .. math::
        \alpha_k = \sum_{s \le t - d} \lambda_k^{t - s - d} x_i[s], \quad
        \beta_l = \sum_{t - d < s < t} \mu_l^{s - t} x_i[s], \quad
        \gamma_l = \sum_{s < t} \mu_l^{t - s} x_m[s]

    :math:`\alpha` is what has arrived (potentiation), :math:`\beta` what is on its way and
    :math:`\gamma` the activity of the target (both depression), as in spike-timing-dependent
    plasticity. The logarithm of the likelihood is concave, and its gradient is local: the error of
    a neuron times a trace. T. Osogami, M. Otsuka, "Seven neurons memorizing sequences of
    alphabetical images via spike-timing dependent plasticity", Scientific Reports 5 (2015) 14149.

    Args:
        connectome: Any directed ``Data``, with loops and self-loops.
        delay: d in steps, at least 1: an int, or an integer tensor [E].
        decays: The K values of lambda, from 0 to below 1.
        ltd_decays: The L values of mu, above 0 and below 1.
        dtype: float32 or float64; torch's default if None.

    Attributes:
        bias: b [N], zero at first, as are all weights.
        ltp: u [E, K].
        ltd: v [E, L].
        delay: [E] int64.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the connectome breaks the contract.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.energy import DynamicBoltzmannMachine
        >>> machine = DynamicBoltzmannMachine(graphs.erdos_renyi(3, 0.9, seed=0), delay=2)
        >>> x = torch.eye(3).repeat(1, 10, 1)  # one neuron after the other
        >>> optimizer = torch.optim.Adam(machine.parameters(), lr=0.1)
        >>> for _ in range(100):
        ...     optimizer.zero_grad()
        ...     loss = -machine.log_prob(x).mean()
        ...     loss.backward()
        ...     optimizer.step()
        >>> machine.generate(4, x, temperature=0.01)[0].int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    """

    def __init__(
        self,
        connectome: Data,
        delay: int | Tensor = 1,
        decays: Sequence[float] = (0.5,),
        ltd_decays: Sequence[float] = (0.5,),
        *,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        self.structure = read_structure(connectome)
        self.num_nodes = self.structure.num_nodes
        edges = self.structure.num_edges
        self.decays = _numbers("decays", decays, may_be_zero=True)
        self.ltd_decays = _numbers("ltd_decays", ltd_decays, may_be_zero=False)
        self.delay: Tensor
        self.register_buffer("delay", _delays(delay, edges), persistent=False)
        self.longest = int(self.delay.max()) if edges else 1
        smallest = min(self.ltd_decays)
        if -self.longest * math.log(smallest) > math.log(1e30):
            raise ValueError(
                f"delay={self.longest} and ltd_decays={smallest:g} make traces of up to "
                f"{smallest:g}^-{self.longest}, which overflow; pass a larger decay or a shorter "
                "delay"
            )
        self._groups = self._by_delay()
        empty = torch.empty(0, dtype=dtype)
        self.bias = nn.Parameter(empty.new_zeros(self.num_nodes))
        self.ltp = nn.Parameter(empty.new_zeros(edges, len(self.decays)))
        self.ltd = nn.Parameter(empty.new_zeros(edges, len(self.ltd_decays)))

    def _by_delay(self) -> list[_Group]:
        groups = []
        for delay in torch.unique(self.delay).tolist():
            synapses = (self.delay == delay).nonzero().squeeze(1)
            part = Structure(self.structure.edge_index[:, synapses], self.num_nodes)
            groups.append(_Group(delay, synapses, part))
        return groups

    def reset_parameters(self) -> None:
        """Set all parameters to zero."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()

    def rest(self, batch: int = 1) -> History:
        """Return the past of ``batch`` sequences before which nothing happened."""
        batch = arguments.count("batch", batch)
        values = self.longest * (1 + len(self.decays)) + len(self.ltd_decays)
        tensors.room(f"batch={batch}", 8 * batch * values * self.num_nodes, "pass a smaller batch")
        return History.empty(
            batch,
            self.longest,
            self.num_nodes,
            len(self.decays),
            len(self.ltd_decays),
            self.bias,
        )

    def field(self, x: Tensor, state: History | None = None) -> Tensor:
        """Return the logit of each x[t] given all earlier steps.

        Args:
            x: [B, T, N] of 0 and 1.
            state: The past; empty by default.

        Returns:
            [B, T, N], differentiable with respect to the parameters.
        """
        x, state = self._checked(x, state)
        batch, steps, nodes = x.shape
        alpha, gamma = traces(x, state, self.decays, self.ltd_decays)
        ltp, ltd, columns = self.ltp, self.ltd, batch * steps

        def flat(values: Tensor) -> Tensor:
            return values.reshape(columns, nodes).t().contiguous()

        total = self.bias.unsqueeze(1).expand(nodes, columns)
        for delay, synapses, part in self._groups:
            for k in range(len(self.decays)):
                arrived = flat(delayed(alpha[k], delay, self.longest, steps))
                total = total + propagate(part, ltp[synapses, k].contiguous(), arrived)
            for number, decay in enumerate(self.ltd_decays if delay > 1 else ()):
                moving = flat(in_flight(x, state, decay, delay))
                total = total - propagate(part, ltd[synapses, number].contiguous(), moving)
        for number in range(len(self.ltd_decays)):
            weight = ltd[:, number].contiguous()
            total = total - backpropagate(self.structure, weight, flat(gamma[number]))
        return total.t().reshape(batch, steps, nodes)

    def log_prob(self, x: Tensor, state: History | None = None) -> Tensor:
        """Return the logarithm of the probability of time series.

        Args:
            x: [B, T, N] of 0 and 1.
            state: The past, from :meth:`advance`; empty by default.

        Returns:
            [B], the sum over steps and neurons, differentiable with respect to the parameters.
            O(E B T) time.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If ``x`` has another shape, a value that is neither 0 nor 1, or a batch that
                is not that of ``state``.
        """
        field = self.field(x, state)
        # ln sigmoid(field) of ones and ln sigmoid(-field) of zeros.
        return logsigmoid(field * (2 * x.to(field.dtype) - 1)).sum((1, 2))

    def advance(self, x: Tensor, state: History | None = None) -> History:
        """Return the past after a time series, which all methods take as ``state``.

        Learning step by step needs no more memory than this:
        ``loss = -machine.log_prob(x[:, t:t + 1], state)``, then
        ``state = machine.advance(x[:, t:t + 1], state)``.

        Args:
            x: [B, T, N] of 0 and 1.
            state: The past before; empty by default.
        """
        x, state = self._checked(x, state)
        return state.after(x, self.decays, self.ltd_decays)

    @torch.no_grad()
    def generate(
        self,
        steps: int,
        start: Tensor | None = None,
        *,
        state: History | None = None,
        samples: int = 1,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw a time series, as the continuation of a cue if there is one.

        Args:
            steps: The number of steps T.
            start: The cue [B, T0, N] of 0 and 1; not part of the result.
            state: The past before the cue; empty by default.
            samples: The number of series without cue and state.
            temperature: Logits are divided by it; close to 0, the likelier value is taken.
            generator: The source of randomness; torch's default generator if None.

        Returns:
            [B, T, N] of 0 and 1.
        """
        steps = arguments.count("steps", steps)
        temperature = arguments.real("temperature", temperature, positive=True)
        tensors.generator("generator", generator, torch.device("cpu"))
        samples = arguments.count("samples", samples, at_least=1)
        if start is not None:
            start, state = self._checked(start, state, "start")
            state = state.after(start, self.decays, self.ltd_decays)
        elif state is None:
            state = self.rest(samples)
        batch = len(state.recent)
        needed = self.bias.element_size() * batch * steps * self.num_nodes
        tensors.room(f"steps={steps}", needed, "pass fewer steps, and continue with advance")
        found = self.bias.new_zeros(batch, steps, self.num_nodes)
        blank = self.bias.new_zeros(batch, 1, self.num_nodes)
        for step in range(steps):
            chance = torch.sigmoid(self.field(blank, state) / temperature)
            u = torch.rand(chance.shape, generator=generator).to(chance)
            drawn = (u < chance).to(chance)
            found[:, step] = drawn.squeeze(1)
            state = self.advance(drawn, state)
        return found

    def _checked(self, x: Tensor, state: History | None, name: str = "x") -> tuple[Tensor, History]:
        shape = ("B", "T", self.num_nodes)
        tensors.tensor(name, x, shape, dtypes=tensors.REAL, device=self.bias.device)
        check_binary(name, x)
        if state is None:
            state = self.rest(len(x))
        elif not isinstance(state, History):
            raise TypeError(
                f"state must be a History, got {arguments.described(state)}; pass "
                "machine.advance(x)"
            )
        wanted = self.rest(len(x))
        for field, given, like in zip(History._fields, state, wanted, strict=True):
            tensors.tensor(
                f"state.{field}", given, tuple(like.shape), dtypes=(like.dtype,), device=like.device
            )
        return x.to(self.bias.dtype), state

    def _size(self) -> str:
        return f"{self.num_nodes} neurons, {self.structure.num_edges} synapses, delays and decays"

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the synapses, delays and decays, for state_dict."""
        decays = torch.tensor([*self.decays, -1.0, *self.ltd_decays], dtype=torch.float64)
        return fingerprint(self.structure, None, None, delay=self.delay, decays=decays)

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return (
            f"{self.num_nodes} neurons, {self.structure.num_edges} synapses, "
            f"delays up to {self.longest}"
        )


def _numbers(name: str, values: Any, *, may_be_zero: bool) -> tuple[float, ...]:
    if not arguments.is_list(values) or not len(values):
        raise TypeError(
            f"{name} must be a sequence of numbers, got {arguments.described(values)}; pass "
            f"{name}=[0.5]"
        )
    found = tuple(
        arguments.real(f"{name}[{at}]", value, positive=not may_be_zero)
        for at, value in enumerate(values)
    )
    if max(found) >= 1:
        raise ValueError(
            f"{name} must be below 1, got {max(found):g}; pass for example {name}=[0.5]"
        )
    return found


def _delays(delay: Any, edges: int) -> Tensor:
    if not isinstance(delay, Tensor):
        number = arguments.count("delay", delay, at_least=1, at_most=MOST_DELAY)
        return torch.full((edges,), number)
    fix = f"pass an int, or a tensor [{edges}] with one delay per synapse"
    tensors.tensor("delay", delay, (edges,), dtypes=tensors.INTEGERS, fix=fix)
    if edges and not (int(delay.min()) >= 1 and int(delay.max()) <= MOST_DELAY):
        wrong = delay[(delay < 1) | (delay > MOST_DELAY)][0]
        raise ValueError(
            f"delay must be from 1 to {MOST_DELAY} steps, got {int(wrong)}; pass delay.clamp(1)"
        )
    return delay.detach().cpu().long().clone()
