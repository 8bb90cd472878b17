"""Node perturbation: neurons try small changes, and keep what earns more reward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.learning.credit import Weighted, out_width
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.plasticity.plasticity_rule import PlasticityRule
from sparsebrain.plasticity.updates import Plastic, add_to_grad, check_activity, correlate


class RewardRule(PlasticityRule):
    """A rule that multiplies an error of the reward with the activity at both ends of a synapse.

    The layer computes sums: an ``nn.Linear``, or a :class:`~sparsebrain.GraphLayer` with one loop
    and no activation, leak or threshold. For several loops with an activation between them, call
    the layer once for each, and the rule once for each with the same error.

    Args:
        layer: The layer.

    Raises:
        TypeError: ``layer`` is of another type.
        ValueError: The rule cannot train the layer.
    """

    layer: Weighted

    def __init__(self, layer: Weighted) -> None:
        if not isinstance(layer, Weighted):
            raise TypeError(
                f"layer must be a GraphLayer or an nn.Linear, got {arguments.described(layer)}; "
                "pass sparsebrain.GraphLayer(connectome)"
            )
        super().__init__(layer)

    @classmethod
    def refusal(cls, layer: Plastic) -> str | None:
        """Return why the rule cannot train a layer and what to do about it, or None if it can."""
        if isinstance(layer, GraphLayer) and not (
            layer.loops == 1
            and layer.activation == "none"
            and layer.leak is None
            and layer.threshold is None
        ):
            return (
                "its noise belongs to the sum of one loop; make the layer with loops=1 and without "
                "activation, leak and threshold, and call it once for each loop."
            )
        return super().refusal(layer)

    @torch.no_grad()
    def learn(self, x: Tensor, post: Tensor, error: Tensor) -> Tensor:
        """Add minus the mean of error times post times x to ``.grad``, and return the mean."""
        change = correlate(self.layer, post * error.unsqueeze(1), x.detach()) / len(x)
        add_to_grad(self.layer, change)
        return change

    def _check(self, x: Tensor, named: dict[str, Tensor], error: Tensor) -> None:
        layer = self.layer
        width = layer.in_features if isinstance(layer, nn.Linear) else layer.num_nodes
        check_activity("x", x, ("B", width), layer)
        if not len(x):
            raise ValueError("x must hold at least one sample, got none; pass a batch of one")
        for name, value in named.items():
            check_activity(name, value, (len(x), out_width(layer)), layer)
        check_activity("error", error, (len(x),), layer)


class NodePerturbation(RewardRule):
    r"""Node perturbation: the noise of a neuron, times the reward that it brought.

    The sum of every neuron receives noise :math:`\xi` of variance :math:`\sigma^2`. With the reward
    r and its prediction :math:`\bar r`,

    .. math:: \Delta w_{s \to t} = \eta \, \frac{(r - \bar r) \, \xi_t}{\sigma^2} \, x_s

    For any prediction that does not depend on the noise, the mean of this is, up to terms of order
    :math:`\sigma^2`, the gradient of the expected reward, which REINFORCE with Gaussian units
    follows exactly. No error travels backwards and no other weight is known. The variance grows
    with the number of neurons.

    ``y, noise = rule.perturb(x)`` runs the layer with noise. When the reward is known,
    ``rule(x, noise, error)`` adds minus the update, averaged over the samples, to ``.grad`` of the
    weight. It costs O(E B).

    Args:
        layer: An ``nn.Linear``, or a :class:`~sparsebrain.GraphLayer` with one loop and no
            activation, leak or threshold. For several loops with an activation between them, call
            the layer and the rule once for each.
        sigma: The standard deviation of the noise.

    Shape:
        ``rule(x, noise, error)``: x [B, N], noise [B, N] and error [B], which is
        :math:`r - \bar r`, of the dtype of the weights -> the update [E]. For an ``nn.Linear``, x
        is [B, in_features], noise [B, out_features] and the update of the shape of the weight.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: An argument has a wrong shape or value, or the rule cannot train the layer.

    Source: R. J. Williams, "Simple statistical gradient-following algorithms for connectionist
    reinforcement learning", Machine Learning 8 (1992) 229-256; I. R. Fiete, H. S. Seung, "Gradient
    learning in spiking neural networks by dynamic perturbation of conductances", Physical Review
    Letters 97 (2006) 048104.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import NodePerturbation
        >>> neuron = torch.nn.Linear(2, 1, bias=False)
        >>> rule = NodePerturbation(neuron, sigma=0.5)
        >>> x, noise, error = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5]]), torch.ones(1)
        >>> rule(x, noise, error)
        tensor([[2., 4.]])
    """

    learning_rate = 1e-2

    def __init__(self, layer: Weighted, sigma: float = 0.1) -> None:
        super().__init__(layer)
        self.sigma = arguments.real("sigma", sigma, positive=True, at_most=1e6)

    @torch.no_grad()
    def perturb(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Run the layer and add noise to its sums.

        Args:
            x: The input [B, N].
            generator: Draws the noise; torch's global generator by default.

        Returns:
            The sums with noise, and the noise, both [B, N].

        Raises:
            TypeError: x has a wrong type or dtype.
            ValueError: x has a wrong shape or value.
        """
        layer = self.layer
        width = layer.in_features if isinstance(layer, nn.Linear) else layer.num_nodes
        check_activity("x", x, ("B", width), layer)
        tensors.generator("generator", generator, x.device)
        sums = layer(x)
        noise = torch.empty_like(sums).normal_(0, self.sigma, generator=generator)
        return sums + noise, noise

    def forward(self, x: Tensor, noise: Tensor, error: Tensor) -> Tensor:
        """Add minus the update to ``.grad``, and return it; the class describes the shapes."""
        self._check(x, {"noise": noise}, error)
        return self.learn(x, noise.detach() / self.sigma**2, error.detach())

    def extra_repr(self) -> str:
        """Return sigma."""
        return f"sigma={self.sigma:g}"
