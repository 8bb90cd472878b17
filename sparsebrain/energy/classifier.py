"""A Boltzmann machine with label neurons as a classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.energy import summation
from sparsebrain.energy.machine import BoltzmannMachine
from sparsebrain.energy.pairs import read_pairs
from sparsebrain.kernels import Structure, propagate
from sparsebrain.kernels.sampling import MOST_SWEEPS

# Weights of visible neurons start this many times as large as lateral ones, so that hidden neurons
# differ from the first steps on.
_OUTER_SPREAD = 10.0

_FIX = "pass x.sigmoid(), or (x - x.min()) / (x.max() - x.min())"


class BoltzmannClassifier(nn.Module):
    r"""Class scores of a Boltzmann machine whose last visible neurons stand for the classes.

    The score of class c is minus the free energy of the inputs x with label neuron c at 1 and all
    other label neurons at 0, so that the softmax of the scores is P(c | x, one label):

    .. math::
        s_c(x) = \ln \sum_h e^{-E(x, c, h)}

    The sum over the hidden neurons is exact where each of their connected components has at most
    20 neurons (``exact``); in a restricted machine each is a component of its own. Otherwise the
    score is the lower bound of mean-field theory [1]_, with lateral weights W between the hidden
    neurons, their field f(x, c) from bias and visible neurons, and the entropy H:

    .. math::
        s_c(x) \ge -E(x, c) + f^T q + \tfrac{1}{2} q^T W q + H(q), \qquad
        q \leftarrow \tfrac{1}{2} q + \tfrac{1}{2} \sigma(f + W q)

    Inputs are probabilities. :meth:`forward` reads x as the activity of the input neurons, and the
    learning rule draws them as 0 or 1.

    Args:
        machine: The machine. Its last visible neurons are the label neurons, and all other visible
            neurons are inputs.
        num_classes: The number of classes K, less than the number of visible neurons.
        loops: The number of mean-field updates q.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    References:
        .. [1] C. Peterson, J. R. Anderson, "A mean field theory learning algorithm for neural
           networks", Complex Systems 1 (1987) 995-1019.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.energy import BoltzmannClassifier
        >>> ring = graphs.small_world(30, 4, 0.0, directed=False)
        >>> model = BoltzmannClassifier.around(ring, in_features=12, num_classes=3)
        >>> model
        BoltzmannClassifier(
          12 inputs, 3 classes, 30 hidden neurons, mean field
          (machine): BoltzmannMachine(45 neurons, 510 pairs, 15 visible)
        )
        >>> model(torch.rand(5, 12)).shape
        torch.Size([5, 3])
    """

    def __init__(self, machine: BoltzmannMachine, num_classes: int, loops: int = 10) -> None:
        super().__init__()
        if not isinstance(machine, BoltzmannMachine):
            raise TypeError(
                f"machine must be a BoltzmannMachine, got {arguments.described(machine)}; pass "
                "sparsebrain.energy.BoltzmannMachine(connectome, visible=...)"
            )
        self.num_classes = arguments.count("num_classes", num_classes, at_least=1)
        self.loops = arguments.count("loops", loops, at_most=MOST_SWEEPS)
        self.in_features = len(machine.visible) - self.num_classes
        if self.in_features < 1:
            raise ValueError(
                f"num_classes={num_classes} leaves no input among the {len(machine.visible)} "
                "visible neurons of the machine; pass a machine with visible=in_features + "
                "num_classes"
            )
        self.machine = machine
        self._parts = summation.components(
            machine.hidden.cpu(), machine.pairs.cpu(), machine.num_nodes
        )
        largest = len(self._parts.joined[-1]) if self._parts.joined else 1
        self.exact = largest <= summation.MOST_ENUMERATED
        self._lateral, self._lateral_pairs = _lateral(machine)

    @classmethod
    def around(
        cls,
        connectome: Data,
        in_features: int,
        num_classes: int,
        *,
        loops: int = 10,
        dtype: torch.dtype | None = None,
    ) -> BoltzmannClassifier:
        """Make a classifier whose hidden neurons form a given connectome.

        Every hidden neuron has a synapse with every input and every label neuron. Without synapses
        of its own the connectome makes a restricted machine. The initial weights of visible neurons
        have a standard deviation of 0.1, those of the connectome 0.01.

        Args:
            connectome: The symmetric connectome of the hidden neurons, without self-loops; see
                :func:`graphs.symmetrize`.
            in_features: The number of inputs.
            num_classes: The number of classes.
            loops: The number of mean-field updates.
            dtype: float32 or float64; torch's default if None.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: A number is out of range, or the connectome is not symmetric.
        """
        inputs = arguments.count("in_features", in_features, at_least=1)
        classes = arguments.count("num_classes", num_classes, at_least=1)
        given, structure, _ = read_pairs(connectome)
        visible, hidden = inputs + classes, structure.num_nodes
        tensors.room(
            f"a machine with in_features={inputs}, num_classes={classes} and {hidden} hidden "
            "neurons",
            64 * visible * hidden,
            "pass smaller numbers",
        )
        one, other = torch.meshgrid(
            torch.arange(visible), torch.arange(hidden) + visible, indexing="ij"
        )
        pairs = torch.cat([torch.stack([one.reshape(-1), other.reshape(-1)]), given + visible], 1)
        both = Data(edge_index=torch.cat([pairs, pairs.flip(0)], 1), num_nodes=visible + hidden)
        machine = BoltzmannMachine(both, visible=visible, dtype=dtype)
        with torch.no_grad():
            machine.weight[(machine.pairs < visible).any(0)] *= _OUTER_SPREAD
        return cls(machine, classes, loops)

    @property
    def inputs(self) -> Tensor:
        """The input neurons [in_features] int64."""
        return self.machine.visible[: self.in_features]

    @property
    def labels(self) -> Tensor:
        """The label neurons [num_classes] int64."""
        return self.machine.visible[self.in_features :]

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores [B, K] of inputs x [B, in_features] in 0..1.

        Raises:
            TypeError: ``x`` is not a dense tensor of numbers.
            ValueError: ``x`` has another shape, or a value outside 0..1.
        """
        machine, x = self.machine, self._checked(x)
        nodes, batch = machine.num_nodes, len(x)
        state = x.new_zeros(batch, nodes).index_copy(1, self.inputs, x)
        label = x.new_zeros(len(self.labels), nodes).scatter(1, self.labels.unsqueeze(1), 1)
        # The energy is quadratic, so that the fields of inputs and labels add up.
        by_input, by_label = self._received(state), self._received(label)
        energy = -((machine.bias + 0.5 * by_input) * state).sum(1, keepdim=True)
        energy = energy - machine.bias[self.labels] - state @ by_label.t()
        field = (machine.bias + by_input).unsqueeze(1) + by_label
        field = field.reshape(batch * self.num_classes, nodes)
        if self.exact:
            parts = self._parts.to(x.device)
            total = summation.log_sum(field, parts, machine.pairs, machine.weight)
        else:
            total = self._mean_field(field[:, machine.hidden])
        return total.view(batch, self.num_classes) - energy

    def visible_state(self, x: Tensor, y: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw inputs as 0 or 1 and return them with the label neurons, [B, V].

        Args:
            x: The probabilities [B, in_features] that inputs are 1.
            y: Labels [B] int64.
            generator: The source of randomness; torch's default generator if None.
        """
        x = self._checked(x)
        tensors.tensor("y", y, (len(x),), dtypes=(torch.int64,), device=x.device)
        tensors.generator("generator", generator, torch.device("cpu"))
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.num_classes:
            raise ValueError(
                f"y must lie in 0..{self.num_classes - 1}, got {int(y.min())}..{int(y.max())}; "
                "pass labels that start from 0"
            )
        u = torch.rand(x.shape, generator=generator).to(x)
        return torch.cat([(u < x).to(x), one_hot(y, self.num_classes).to(x)], 1)

    def _received(self, state: Tensor) -> Tensor:
        machine = self.machine
        structure = machine.structure.to(machine.weight.device)
        return propagate(structure, machine.synapse_weight(), state.t().contiguous()).t()

    def _mean_field(self, field: Tensor) -> Tensor:
        """Return the bound [R] for the fields [R, H] of the hidden neurons."""
        lateral = self._lateral.to(field.device)
        weight = self.machine.weight[self._lateral_pairs.to(field.device)].repeat(2)
        field = field.t().contiguous()
        q = torch.sigmoid(field)
        for _ in range(self.loops):
            q = 0.5 * q + 0.5 * torch.sigmoid(field + propagate(lateral, weight, q))
        coupling = 0.5 * q * propagate(lateral, weight, q)
        entropy = -torch.xlogy(q, q) - torch.xlogy(1 - q, 1 - q)
        return (field * q + coupling + entropy).sum(0)

    def _checked(self, x: Tensor) -> Tensor:
        like = self.machine.weight
        tensors.tensor(
            "x",
            x,
            ("B", self.in_features),
            dtypes=(like.dtype,),
            device=like.device,
            finite=True,
            like="model",
        )
        low, high = (float(x.min()), float(x.max())) if x.numel() else (0.0, 1.0)
        if low < 0 or high > 1:
            raise ValueError(
                "x must lie in 0..1, the probabilities that input neurons are 1, got "
                f"{low:g}..{high:g}; {_FIX}"
            )
        return x

    def extra_repr(self) -> str:
        """Return the sizes and how hidden neurons are summed out, for ``repr``."""
        how = "exact sum" if self.exact else "mean field"
        return (
            f"{self.in_features} inputs, {self.num_classes} classes, {len(self.machine.hidden)} "
            f"hidden neurons, {how}"
        )


def _lateral(machine: BoltzmannMachine) -> tuple[Structure, Tensor]:
    """Return the synapses among hidden neurons, renumbered, and the numbers of their pairs."""
    position = torch.full((machine.num_nodes,), -1)
    position[machine.hidden.cpu()] = torch.arange(len(machine.hidden))
    pairs = position[machine.pairs.cpu()]
    chosen = (pairs >= 0).all(0).nonzero().squeeze(1)
    pairs = pairs[:, chosen]
    return Structure(torch.cat([pairs, pairs.flip(0)], 1), len(machine.hidden)), chosen
