"""Direct feedback alignment: every layer receives the error of the output directly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.learning.alignment import AlignmentRule, WayBack
from sparsebrain.learning.credit import Weighted, out_width
from sparsebrain.learning.samples import check_generator
from sparsebrain.nn.graph_layer import GraphLayer


class DirectFeedbackAlignment(AlignmentRule):
    r"""Direct feedback alignment: fixed random weights send the output error to every layer.

    .. math:: \delta_l = (B_l e) \odot f'(u_l), \qquad e = \partial L / \partial \mathrm{scores}

    :math:`B_l`, [units, classes], replaces all the layers above: the next layer with weights sends
    :math:`B_l e` back to its input, whatever its own error is. The last layer learns from e itself.

    The rule trains models whose weights are those of nn.Linear and
    :class:`~sparsebrain.GraphLayer`, on any connectome. Each loop is a layer; because all loops
    have the same weights, the states before all of them receive the same :math:`B e`. An
    :class:`~sparsebrain.Equilibrium` receives it once, in addition to the error from the next
    layer. B has classes times neurons elements, in addition to the synapses.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them. Samples
            stay the first dimension throughout.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        num_classes: The number of columns of the scores; by default the outputs of the last layer
            with weights.
        generator: The generator that draws B; torch's global one by default.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    Source: A. Nøkland, "Direct feedback alignment provides learning in deep neural networks", NIPS
    (2016).

    Example:
        >>> import torch
        >>> from sparsebrain.learning import DirectFeedbackAlignment
        >>> _ = torch.manual_seed(0)
        >>> hidden, out = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        >>> rule = DirectFeedbackAlignment(torch.nn.Sequential(hidden, out), loss="quadratic")
        >>> x, y = torch.randn(1, 8), torch.tensor([2])
        >>> e = rule.predict(x) - torch.tensor([0.0, 0.0, 1.0])
        >>> loss = rule(x, y)
        >>> torch.allclose(hidden.bias.grad, rule.feedback[1] @ e.flatten())
        True
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str = "cross-entropy",
        num_classes: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model, loss=loss)
        generator = check_generator(generator, model)
        layers = list(self.layers.values())
        if num_classes is None:
            num_classes = out_width(layers[-1]) if layers else 1
        self.num_classes = arguments.count("num_classes", num_classes, at_least=1)
        for layer in layers:
            tensors.room(
                f"num_classes={num_classes}",
                self.num_classes * _units(layer) * layer.weight.element_size(),
                "pass the number of columns of the scores",
            )
        self.feedback = nn.ParameterList(
            _draw(layer, self.num_classes, generator) for layer in layers
        ).requires_grad_(False)

    def ways_back(self, error: list[Tensor]) -> Mapping[Weighted, WayBack]:
        """Return backward passes that multiply the error of the scores by B."""
        return {
            layer: WayBack(partial(_direct, layer, feedback, error))
            for layer, feedback in zip(self.layers.values(), self.feedback, strict=True)
        }


def _units(layer: Weighted) -> int:
    """Return the width of a layer's input."""
    return layer.num_nodes if isinstance(layer, GraphLayer) else layer.in_features


def _draw(layer: Weighted, classes: int, generator: torch.Generator | None) -> nn.Parameter:
    """Draw uniform weights [units, classes], in the range of a new nn.Linear of that width."""
    units = _units(layer)
    drawn = layer.weight.detach().new_empty(units, classes)
    bound = max(units, 1) ** -0.5
    return nn.Parameter(drawn.uniform_(-bound, bound, generator=generator), requires_grad=False)


def _direct(layer: Weighted, feedback: Tensor, error: list[Tensor], at_sums: Tensor) -> Tensor:
    """Return B e in the shape of the layer's input: [..., in] or [N, B]."""
    (output,) = error
    if output.size(1) != feedback.size(1):
        raise ValueError(
            f"the model gives scores of {output.size(1)} classes, and the feedback weights were "
            f"drawn for {feedback.size(1)}; pass num_classes={output.size(1)} to the rule."
        )
    sparse = isinstance(layer, GraphLayer)
    rows = at_sums.size(1) if sparse else at_sums[..., 0].numel()
    times, rest = divmod(rows, max(len(output), 1))
    if rest:
        raise ValueError(
            f"a layer ran on {rows} rows for {len(output)} samples; samples must stay the first "
            "dimension of what the layers of the model are given."
        )
    direct = (output @ feedback.T).repeat_interleave(times, 0)
    return direct.T if sparse else direct.view(*at_sums.shape[:-1], -1)
