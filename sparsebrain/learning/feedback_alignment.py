"""Feedback alignment: errors come back through weights of their own."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from sparsebrain import kernels
from sparsebrain.layer import GraphLayer
from sparsebrain.learning.credit import Credit, credited, refuse_other_layers, weighted_layers
from sparsebrain.learning.losses import check_labels, find_loss
from sparsebrain.learning.rule import Rule


class FeedbackAlignment(Rule):
    r"""Errors come back through fixed random weights B in the place of W^T.

    .. math:: \delta_l = B_{l+1} \delta_{l+1} \odot f'(u_l)

    B has a weight for every weight of the model, on the same synapses backwards, and never learns;
    in the course of learning W turns so that B's errors are of use (the angle between both ways
    back is that of ``alignment``). Each loop is a layer, all with the same B.

    Args:
        model: of nn.Linear and GraphLayer, with whatever acts unit by unit between them.
        loss: "cross-entropy" or "quadratic".
        generator: draws B; torch's own by default.

    Source: Lillicrap, Cownden, Tweed and Akerman, "Random synaptic feedback weights support error
    backpropagation for deep learning", Nature Communications 7, 2016.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str = "cross-entropy",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model)
        self.loss = find_loss(loss)
        self.layers = weighted_layers(model)
        self.feedback = nn.ParameterList(
            _draw(layer, generator) for layer in self.layers.values()
        ).requires_grad_(False)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Why not: it has weights in other modules than nn.Linear and GraphLayer."""
        return refuse_other_layers(model)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, return the loss."""
        layers = self.layers.values()
        with credited(dict(zip(layers, map(_credit, layers, self.feedback), strict=True))):
            scores = self.model(x)
            check_labels(scores, y)
            loss = self.loss(scores, y)
            loss.backward()
        return loss.detach()


def _draw(layer: nn.Linear | GraphLayer, generator: torch.Generator | None) -> nn.Parameter:
    """Normal feedback weights as large as the weights of the layer are."""
    weight = layer._weight_per_synapse() if isinstance(layer, GraphLayer) else layer.weight
    drawn = torch.empty_like(weight, requires_grad=False).normal_(generator=generator)
    return nn.Parameter(drawn * weight.detach().square().mean().sqrt())


def _credit(layer: nn.Linear | GraphLayer, feedback: Tensor) -> Credit:
    if isinstance(layer, GraphLayer):
        return partial(kernels.backpropagate, layer.structure, feedback, backend=layer.backend)
    return lambda error: error @ feedback
