"""Learning of Boltzmann machines by contrastive divergence, with persistent chains if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from graphs.positions import positions
from sparsebrain.energy import sampling
from sparsebrain.energy.machine import BoltzmannMachine
from sparsebrain.kernels import propagate
from sparsebrain.kernels.sampling import MOST_SWEEPS, check_binary


class ContrastiveDivergence(nn.Module):
    r"""A rule without labels that raises the probability of data.

    .. math::
        \Delta w_{ij} \propto \langle x_i x_j \rangle_{\text{data}} -
        \langle x_i x_j \rangle_{\text{model}}, \qquad
        \Delta b_i \propto \langle x_i \rangle_{\text{data}} - \langle x_i \rangle_{\text{model}}

    ``rule(x)`` adds minus this difference, averaged over the samples, to ``.grad`` of ``weight``
    and ``bias``. The model's term is taken from chains after k sweeps: from chains that start at
    the data [1]_, or from chains that go on from step to step if ``persistent`` [2]_. Each synapse
    needs the activity of its two neurons only.

    Hidden neurons are averaged exactly, given the visible ones, where
    :meth:`BoltzmannMachine.free_energy` can sum them out. Otherwise they are drawn, with the data
    clamped, in ``settle`` sweeps, and the means are those of their probabilities given all others.

    Args:
        machine: The machine.
        k: The number of sweeps.
        persistent: Whether chains go on from step to step.
        chains: The number of persistent chains.
        temperatures: Parallel tempering of persistent chains [3]_: increasing temperatures, of
            which the first is 1. Each chain has a copy at every temperature, and neighbors exchange
            their states after the k sweeps.
        given: Visible neurons that keep the data in the model's term too, a sequence of their
            numbers. The rule then learns the probability of the others given these, as that of
            labels given inputs. Not with persistent chains, which belong to no sample.
        settle: The number of sweeps of the hidden neurons with the data clamped; k if None.
        generator: The source of randomness; torch's default generator if None.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has the wrong value.

    References:
        .. [1] G. E. Hinton, "Training products of experts by minimizing contrastive divergence",
           Neural Computation 14 (2002) 1771-1800.
        .. [2] T. Tieleman, "Training restricted Boltzmann machines using approximations to the
           likelihood gradient", ICML 2008, 1064-1071.
        .. [3] G. Desjardins et al., "Tempered Markov chain Monte Carlo for training of restricted
           Boltzmann machines", AISTATS 2010, 145-152.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.energy import BoltzmannMachine, ContrastiveDivergence
        >>> grid = graphs.grid_local((3, 3), 1, self_loops=False)
        >>> machine = BoltzmannMachine(grid)
        >>> rule = ContrastiveDivergence(machine, generator=torch.Generator().manual_seed(0))
        >>> optimizer = rule.make_optimizer(lr=0.1)
        >>> x = (torch.arange(9) % 2).repeat(20, 1)
        >>> before = machine.log_prob(x).mean().item()
        >>> for _ in range(100):
        ...     optimizer.zero_grad()
        ...     loss = rule(x)
        ...     optimizer.step()
        >>> machine.log_prob(x).mean().item() > before + 2
        True
    """

    states: Tensor | None

    def __init__(
        self,
        machine: BoltzmannMachine,
        k: int = 1,
        persistent: bool = False,
        *,
        chains: int = 100,
        temperatures: Sequence[float] = (1.0,),
        given: Sequence[int] | Tensor | None = None,
        settle: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(machine, BoltzmannMachine):
            raise TypeError(
                f"machine must be a BoltzmannMachine, got {arguments.described(machine)}; pass "
                "sparsebrain.energy.BoltzmannMachine(connectome)"
            )
        self.machine = machine
        self.k = arguments.count("k", k, at_least=1, at_most=MOST_SWEEPS)
        self.settle = (
            self.k
            if settle is None
            else arguments.count("settle", settle, at_least=1, at_most=MOST_SWEEPS)
        )
        self.persistent = arguments.flag("persistent", persistent)
        self.chains = arguments.count("chains", chains, at_least=1)
        self.temperatures = _temperatures(temperatures, persistent=self.persistent)
        self.generator = tensors.generator("generator", generator, torch.device("cpu"))
        self.given: Tensor | None
        self.register_buffer("given", _given(given, machine, self.persistent), persistent=False)
        states = len(self.temperatures) * self.chains * machine.num_nodes
        tensors.room(f"chains={chains}", states, "pass fewer chains")
        # [temperatures, N, chains] once persistent chains have started.
        self.register_buffer("states", None, persistent=False)
        self.exact = _sums_hidden(machine)

    def make_optimizer(self, lr: float = 0.01, **options: Any) -> torch.optim.SGD:
        """Return SGD over the parameters of the machine; see ``torch.optim.SGD``."""
        return torch.optim.SGD(self.parameters(), lr=lr, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Add minus the update to ``.grad``.

        Args:
            x: Data [B, V] of 0 and 1 for the visible neurons.

        Returns:
            The mean (free) energy of the data minus that of the chains, without a gradient.

        Raises:
            TypeError: If ``x`` is not a dense tensor of numbers.
            ValueError: If it is empty, has another shape, or a value that is neither 0 nor 1.
        """
        machine = self.machine
        width, device = len(machine.visible), machine.weight.device
        tensors.tensor("x", x, ("B", width), dtypes=tensors.REAL, device=device)
        if not len(x):
            raise ValueError("x must hold at least one sample, got none; pass x [B, V] with B >= 1")
        check_binary("x", x)
        data = self._with_hidden(x)
        model = self._from_chains() if self.persistent else self._sweep(data, given=self.given)
        with torch.enable_grad():
            loss = self._energy(data).mean() - self._energy(model).mean()
        parameters = [each for each in (machine.weight, machine.bias) if each.requires_grad]
        grads = torch.autograd.grad(loss, parameters)
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad if parameter.grad is None else parameter.grad + grad
        return loss.detach()

    def _energy(self, state: Tensor) -> Tensor:
        """Return the energy of chains [N, B] uint8, with hidden neurons summed out if possible."""
        x = state.t()
        if self.exact:
            return self.machine.free_energy(x[:, self.machine.visible])
        return self._expected_energy(x.to(self.machine.weight.dtype))

    def _expected_energy(self, x: Tensor) -> Tensor:
        """Return energies whose gradients have probabilities in place of hidden states.

        A hidden neuron enters with its probability p given all others. In a pair of hidden neurons
        one of them does and the other with its state x, because p_i p_j is not the mean of x_i x_j.
        The means are those of the drawn states, and they vary less.
        """
        machine, weight = self.machine, self.machine.weight
        structure = machine.structure.to(weight.device)
        with torch.no_grad():
            mean = torch.sigmoid(machine.field(x))
            mean[:, machine.visible] = x[:, machine.visible]
        lateral = torch.where(self._is_lateral(), weight, 0)
        x, mean = x.t().contiguous(), mean.t().contiguous()
        received = propagate(structure, (weight - lateral).repeat(2), mean)
        received = received + propagate(structure, lateral.repeat(2), x)
        return -(mean * (machine.bias.unsqueeze(1) + 0.5 * received)).sum(0)

    def _is_lateral(self) -> Tensor:
        """Return which pairs [P] are between hidden neurons."""
        machine = self.machine
        hidden = torch.ones(machine.num_nodes, dtype=torch.bool, device=machine.weight.device)
        hidden[machine.visible] = False
        return hidden[machine.pairs].all(0)

    def _with_hidden(self, x: Tensor) -> Tensor:
        """Return states [N, B] uint8 with the data and hidden neurons drawn given the data."""
        machine = self.machine
        state = torch.randint(
            2, (machine.num_nodes, len(x)), generator=self.generator, dtype=torch.uint8
        ).to(machine.weight.device)
        state[machine.visible] = x.t().to(torch.uint8)
        if not len(machine.hidden):
            return state
        clamped = torch.zeros(machine.num_nodes, dtype=torch.bool, device=state.device)
        clamped[machine.visible] = True
        seed = sampling.new_seed(self.generator)
        return sampling.sweep(machine, state, 1.0, self.settle, seed, 0, clamped)

    def _sweep(
        self, state: Tensor, temperature: float = 1.0, given: Tensor | None = None
    ) -> Tensor:
        seed = sampling.new_seed(self.generator)
        return sampling.sweep(self.machine, state, 1 / temperature, self.k, seed, 0, given)

    def _from_chains(self) -> Tensor:
        """Advance the persistent chains and return those of temperature 1."""
        if self.states is None:
            shape = (len(self.temperatures), self.machine.num_nodes, self.chains)
            start = torch.randint(2, shape, generator=self.generator, dtype=torch.uint8)
            self.states = start.to(self.machine.weight.device)
        swept = [
            self._sweep(state.to(self.machine.weight.device), temperature)
            for state, temperature in zip(self.states, self.temperatures, strict=True)
        ]
        self.states = torch.stack(swept)
        for colder in range(len(self.temperatures) - 1):
            self._exchange(self.states, colder)
        return self.states[0]

    def _exchange(self, states: Tensor, colder: int) -> None:
        """Exchange states of neighboring temperatures with Metropolis' probability."""
        one, other = states[colder], states[colder + 1]
        with torch.no_grad():
            gap = self.machine.energy(one.t()) - self.machine.energy(other.t())
        difference = 1 / self.temperatures[colder] - 1 / self.temperatures[colder + 1]
        u = torch.rand(self.chains, generator=self.generator).to(gap)
        swapped = u < torch.exp((difference * gap).clamp(max=0))
        states[colder : colder + 2] = torch.stack(
            [torch.where(swapped, other, one), torch.where(swapped, one, other)]
        )

    def extra_repr(self) -> str:
        """Return the options, for ``repr``."""
        return f"k={self.k}, persistent={self.persistent}"


def _sums_hidden(machine: BoltzmannMachine) -> bool:
    """Return whether the hidden neurons can be summed out."""
    try:
        with torch.no_grad():
            machine.free_energy(machine.weight.new_zeros(1, len(machine.visible)))
    except ValueError:
        return False
    return True


def _given(values: Any, machine: BoltzmannMachine, persistent: bool) -> Tensor | None:
    """Return the mask [N] of neurons that keep the data, or None."""
    if values is None:
        return None
    chosen = torch.from_numpy(positions("given", values, machine.num_nodes))
    if not len(chosen):
        raise ValueError("given must name at least one neuron, got none; pass given=None")
    mask = torch.zeros(machine.num_nodes, dtype=torch.bool)
    mask[chosen] = True
    hidden = mask[machine.hidden.cpu()].nonzero()
    if hidden.numel():
        raise ValueError(
            f"given must name visible neurons, got {int(machine.hidden[int(hidden[0])])}, which is "
            "hidden; pass neurons of machine.visible"
        )
    if bool(mask.all()):
        raise ValueError(
            f"given holds all {machine.num_nodes} neurons, so that none is left to learn; leave "
            "out those that are to be predicted"
        )
    if persistent:
        raise ValueError(
            "given is for chains that start at the data, got persistent=True; pass persistent=False"
        )
    return mask.to(machine.weight.device)


def _temperatures(values: Any, *, persistent: bool) -> list[float]:
    if not arguments.is_list(values) or not len(values):
        raise TypeError(
            f"temperatures must be a sequence of numbers, got {arguments.described(values)}; pass "
            "temperatures=[1.0, 1.5, 2.0]"
        )
    found = [
        arguments.real(f"temperatures[{at}]", value, positive=True)
        for at, value in enumerate(values)
    ]
    if found[0] != 1 or found != sorted(set(found)):
        raise ValueError(
            f"temperatures must increase from 1, got {found}; pass temperatures=[1.0, 1.5, 2.0]"
        )
    if len(found) > 1 and not persistent:
        raise ValueError(
            f"temperatures are for persistent chains, got {found} with persistent=False; pass "
            "persistent=True"
        )
    return found
