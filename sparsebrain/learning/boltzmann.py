"""Boltzmann machines with label neurons as a learning rule of the table."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments, validate
from sparsebrain.energy import BoltzmannClassifier, ContrastiveDivergence
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning.rule import NO_SWEEPS, Rule
from sparsebrain.models.labels import check_labels

INPUTS = ("clamped", "free")

# The sweeps of hidden neurons with the data clamped, from random states.
_SETTLE = 5


class Boltzmann(Rule):
    r"""Contrastive divergence on a Boltzmann machine with label neurons.

    The weight of a pair changes with the difference of how often both neurons are 1: in the first
    phase inputs and label are clamped to the data, in the second the machine runs freely for k
    sweeps [1]_. Each synapse needs only the activities at its two ends, as in equilibrium
    propagation.

    .. math::
        \Delta w_{ij} \propto \langle x_i x_j \rangle_{\text{data}} -
        \langle x_i x_j \rangle_{k\ \text{sweeps}}

    With ``inputs="clamped"`` the inputs keep the data in the second phase too, and the machine
    learns P(label | inputs) [2]_; with ``inputs="free"`` it learns P(inputs, label) and can draw
    inputs. Inputs are probabilities in 0..1, drawn as 0 or 1 at every step. ``predict`` clamps each
    label in turn and returns minus the free energies; see
    :class:`~sparsebrain.energy.BoltzmannClassifier`.

    :meth:`build` takes the connectome for the hidden neurons and gives each of them synapses with
    all inputs and labels. Without a connectome this is a restricted machine, whose hidden neurons
    are summed out exactly. A self-loop adds to the bias of its neuron, which learns, and is left
    out. ``loops`` is the number of mean-field updates of a prediction.

    Args:
        model: A :class:`~sparsebrain.energy.BoltzmannClassifier`.
        k: The number of sweeps of the second phase.
        persistent: Whether chains of the second phase go on from step to step; inputs must be free.
        chains: The number of persistent chains.
        inputs: "clamped" or "free" in the second phase.
        generator: The source of randomness; torch's default generator if None.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    The returned loss is the mean energy of the data minus that of the chains, with hidden neurons
    summed out where the rule can; its gradient is what the rule learns from.

    References:
        .. [1] D. H. Ackley, G. E. Hinton, T. J. Sejnowski, "A learning algorithm for Boltzmann
           machines", Cognitive Science 9 (1985) 147-169.
        .. [2] H. Larochelle, Y. Bengio, "Classification using discriminative restricted Boltzmann
           machines", ICML 2008, 536-543.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.learning import Boltzmann
        >>> ring = graphs.small_world(30, 4, 0.0, directed=False)
        >>> rule = Boltzmann(Boltzmann.build(ring, in_features=12, num_classes=3))
        >>> loss = rule(torch.rand(8, 12), torch.arange(8) % 3)
        >>> rule.predict(torch.rand(5, 12)).shape
        torch.Size([5, 3])
    """

    needs_symmetric = True

    needs_labels = "labels are binary neurons"
    learning_rate = 0.02

    def __init__(
        self,
        model: nn.Module,
        *,
        k: int = 1,
        persistent: bool = False,
        chains: int = 100,
        inputs: str = "clamped",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model)
        assert isinstance(model, BoltzmannClassifier)
        self.inputs = arguments.option("inputs", inputs, INPUTS)
        clamped = model.inputs.tolist() if inputs == "clamped" else None
        if clamped is not None and arguments.flag("persistent", persistent):
            raise ValueError(
                "persistent chains belong to no sample whose inputs they could keep, got "
                "persistent=True with inputs='clamped'; pass inputs='free'"
            )
        divergence = ContrastiveDivergence(
            model.machine,
            k,
            persistent,
            chains=chains,
            given=clamped,
            settle=5,
            generator=generator,
        )
        # In a tuple, because the parameters are those of the model.
        self._divergence = (divergence,)

    @property
    def divergence(self) -> ContrastiveDivergence:
        """The rule without labels that moves the weights."""
        return self._divergence[0]

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the model is refused: it is no Boltzmann machine."""
        if isinstance(model, BoltzmannClassifier):
            return None
        return (
            f"{type(model).__name__} has no energy of labels; pass a "
            "sparsebrain.energy.BoltzmannClassifier, or use Boltzmann.build."
        )

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        alone = Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=hidden)
        return cls._around(alone, in_features, num_classes, 1)

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        if isinstance(loops, Equilibrium):
            raise ValueError(f"{cls.__name__} cannot train this model: {NO_SWEEPS}")
        source, target = validate(connectome).edge_index
        connectome = connectome.edge_subgraph(source != target)
        return BoltzmannClassifier.around(connectome, in_features, num_classes, loops=loops)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run both phases, fill gradients, and return the difference of their energies."""
        model = self.model
        assert isinstance(model, BoltzmannClassifier)
        check_labels(x.new_empty(len(x), model.num_classes), y)
        data = model.visible_state(x, y, self.divergence.generator)
        loss: Tensor = self.divergence(data)
        return loss

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return minus the free energy [B, K] of x [B, in_features] with each label clamped."""
        scores: Tensor = self.model(x)
        return scores
