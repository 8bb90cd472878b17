"""Rules that send errors back through weights other than those of the way forward."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sparsebrain import kernels
from sparsebrain.learning.credit import (
    Credit,
    Weighted,
    credited,
    draw_like,
    refuse_other_layers,
    weighted_layers,
)
from sparsebrain.learning.losses import find_loss
from sparsebrain.learning.rule import Rule
from sparsebrain.learning.samples import check_generator
from sparsebrain.models.labels import check_labels
from sparsebrain.nn.graph_layer import GraphLayer


class WayBack(NamedTuple):
    """What a layer sends back, and a copy of its weights that gets the same gradient, if any."""

    credit: Credit
    twin: Tensor | None = None


class AlignmentRule(Rule):
    r"""The base of the feedback alignment family: backpropagation with another way back.

    Args:
        model: of nn.Linear and GraphLayer, with whatever acts unit by unit between them.
        loss: "cross-entropy" or "quadratic".
    """

    def __init__(self, model: nn.Module, *, loss: str = "cross-entropy") -> None:
        super().__init__(model)
        self.loss_name = loss
        self.loss = find_loss(loss)
        self.layers = weighted_layers(model)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Why not: it has weights in other modules than nn.Linear and GraphLayer."""
        return refuse_other_layers(model)

    @abstractmethod
    def ways_back(self, error: list[Tensor]) -> Mapping[Weighted, WayBack]:
        """What each layer sends back; ``error`` is filled with that of the scores [B, classes]."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, return the loss."""
        error: list[Tensor] = []
        ways = self.ways_back(error)
        twins = {layer: way.twin for layer, way in ways.items() if way.twin is not None}
        with credited({layer: way.credit for layer, way in ways.items()}, twins):
            loss = self._loss_of(x, y, error)
            loss.backward()
        return loss.detach()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def alignment(self, x: Tensor, y: Tensor) -> dict[str, float]:
        r"""How far what each layer sends back is from what its own weights would, in degrees.

        For the errors :math:`\delta` that the rule brings to a layer's sums it is the angle between
        :math:`B \delta` and :math:`W^T \delta`, the mean over samples and loops; 90 of random
        directions, 0 of those of backpropagation. Layers that send nothing back, as the first of a
        model, are left out, and so are samples without an error; NaN if none is left.

        Nothing is learned: gradients and buffers stay what they are. Arguments are those of a step.
        """
        error: list[Tensor] = []
        found: dict[Weighted, list[Tensor]] = {layer: [] for layer in self.layers.values()}

        def watch(layer: Weighted, credit: Credit, delta: Tensor) -> Tensor:
            back = credit(delta)
            wanted = back_through(layer, per_synapse(layer, layer.weight).detach(), delta)
            found[layer].append(_angles(back, wanted, 0 if isinstance(layer, GraphLayer) else -1))
            return back

        watched = {
            layer: partial(watch, layer, way.credit) for layer, way in self.ways_back(error).items()
        }
        before = [(buffer, buffer.clone()) for buffer in self.buffers()]
        with self.checked(x, y), credited(watched):
            taught = [each for each in self.model.parameters() if each.requires_grad]
            torch.autograd.grad(self._loss_of(x, y, error), taught, allow_unused=True)
        for buffer, value in before:
            buffer.copy_(value)
        return {
            name: float(torch.cat(found[layer]).rad2deg().mean())
            for name, layer in self.layers.items()
            if found[layer]
        }

    def _loss_of(self, x: Tensor, y: Tensor, error: list[Tensor]) -> Tensor:
        scores = self.model(x)
        check_labels(scores, y)
        scores.register_hook(error.append)
        return self.loss(scores, y)

    def extra_repr(self) -> str:
        """The loss."""
        return f"loss={self.loss_name!r}"


class FeedbackRule(AlignmentRule):
    """Those with feedback weights B, one for each weight, at first random.

    Args:
        model, loss: as above.
        generator: draws B; torch's own by default.
    """

    feedback_learns: ClassVar[bool] = False

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str = "cross-entropy",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model, loss=loss)
        generator = check_generator(generator, model)
        self.feedback = nn.ParameterList(
            nn.Parameter(draw_like(layer.weight, generator)) for layer in self.layers.values()
        ).requires_grad_(self.feedback_learns)

    def ways_back(self, error: list[Tensor]) -> Mapping[Weighted, WayBack]:
        """Each layer sends back what its feedback weights make of its error."""
        return {
            layer: WayBack(partial(back_through, layer, per_synapse(layer, feedback)))
            for layer, feedback in zip(self.layers.values(), self.feedback, strict=True)
        }


def per_synapse(layer: Weighted, values: Tensor) -> Tensor:
    """Values of a layer's weights as values of its synapses, which may share weights."""
    if isinstance(layer, GraphLayer) and layer.weight_index is not None:
        return values.index_select(0, layer.weight_index)
    return values


def back_through(layer: Weighted, weight: Tensor, error: Tensor) -> Tensor:
    """What an error [..., out], or [N, B], is at the other ends of synapses of such weights."""
    if isinstance(layer, GraphLayer):
        return kernels.backpropagate(layer.structure, weight, error, backend=layer.backend)
    return error @ weight


def _angles(first: Tensor, second: Tensor, across: int) -> Tensor:
    """The angles between vectors along one dimension, of those that both have a length."""
    one, other = first.norm(dim=across, keepdim=True), second.norm(dim=across, keepdim=True)
    # By the sides of a rhombus: equal vectors are then at exactly 0, which acos rounds away.
    gap, total = first * other - second * one, first * other + second * one
    angles = 2 * torch.atan2(gap.norm(dim=across), total.norm(dim=across))
    return angles[((one > 0) & (other > 0)).squeeze(across)]
