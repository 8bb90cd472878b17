"""Rules that propagate errors through weights other than those of the forward pass."""

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
from sparsebrain.learning.losses import check_fit, find_loss
from sparsebrain.learning.rule import Rule
from sparsebrain.learning.samples import check_generator
from sparsebrain.nn.graph_layer import GraphLayer


class WayBack(NamedTuple):
    """The backward pass of a layer, and a copy of its weights with the same gradient, if any."""

    credit: Credit
    twin: Tensor | None = None


class AlignmentRule(Rule):
    """The base class of the feedback alignment family: backpropagation with another backward pass.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
    """

    def __init__(self, model: nn.Module, *, loss: str = "cross-entropy") -> None:
        super().__init__(model)
        self.loss_name = loss
        self.loss = find_loss(loss)
        self.layers = weighted_layers(model)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the model is refused: it has weights outside nn.Linear and GraphLayer."""
        return refuse_other_layers(model)

    @abstractmethod
    def ways_back(self, error: list[Tensor]) -> Mapping[Weighted, WayBack]:
        """Return the backward pass of each layer.

        Args:
            error: A list that will hold the error of the scores [B, classes] during the backward
                pass.
        """

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, and return the loss."""
        error: list[Tensor] = []
        ways = self.ways_back(error)
        twins = {layer: way.twin for layer, way in ways.items() if way.twin is not None}
        with credited({layer: way.credit for layer, way in ways.items()}, twins):
            loss = self._loss_of(x, y, error)
            loss.backward()
        return loss.detach()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def alignment(self, x: Tensor, y: Tensor) -> dict[str, float]:
        r"""Measure the angle between the errors sent back and those of backpropagation.

        For the errors :math:`\delta` at a layer's sums it is the angle between :math:`B \delta` and
        :math:`W^T \delta`, averaged over samples and loops: 90 degrees for random directions, 0 for
        backpropagation. Gradients and buffers do not change.

        Args:
            x: Samples [B, ...].
            y: Labels [B] int64.

        Returns:
            The angles in degrees, by the names of layers. Layers that send nothing back, such as
            the first of a model, are left out. Samples without an error are left out of the mean,
            which is NaN if none remains.
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
        check_fit(self.loss, scores, y)
        scores.register_hook(error.append)
        return self.loss(scores, y)

    def extra_repr(self) -> str:
        """Return the loss."""
        return f"loss={self.loss_name!r}"


class FeedbackRule(AlignmentRule):
    """The base class of rules with feedback weights B, one per weight, initially random.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        generator: The generator that draws B; torch's global one by default.
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
        """Return backward passes that multiply errors by the feedback weights."""
        return {
            layer: WayBack(partial(back_through, layer, per_synapse(layer, feedback)))
            for layer, feedback in zip(self.layers.values(), self.feedback, strict=True)
        }


def per_synapse(layer: Weighted, values: Tensor) -> Tensor:
    """Expand the values of a layer's weights to its synapses, which may share weights."""
    if isinstance(layer, GraphLayer) and layer.weight_index is not None:
        return values.index_select(0, layer.weight_index)
    return values


def back_through(layer: Weighted, weight: Tensor, error: Tensor) -> Tensor:
    """Propagate an error [..., out] or [N, B] backwards along synapses with the given weights."""
    if isinstance(layer, GraphLayer):
        return kernels.backpropagate(layer.structure, weight, error, backend=layer.backend)
    return error @ weight


def _angles(first: Tensor, second: Tensor, across: int) -> Tensor:
    """Return the angles between vectors along one dimension, omitting zero vectors."""
    one, other = first.norm(dim=across, keepdim=True), second.norm(dim=across, keepdim=True)
    # From the diagonals of a rhombus: exactly 0 for equal vectors, where acos would be inaccurate.
    gap, total = first * other - second * one, first * other + second * one
    angles = 2 * torch.atan2(gap.norm(dim=across), total.norm(dim=across))
    return angles[((one > 0) & (other > 0)).squeeze(across)]
