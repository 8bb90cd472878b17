"""Backpropagation, the reference for all other rules."""

from __future__ import annotations

from torch import Tensor, nn

from sparsebrain.learning.losses import check_fit, find_loss
from sparsebrain.learning.rule import Rule


class Backprop(Rule):
    r"""Backpropagation: the gradient of the loss by autograd, the reference for all other rules.

    .. math::
        \delta_l = W_{l+1}^T \delta_{l+1} \odot f'(u_l), \qquad
        \Delta W_l \propto -\delta_l x_{l-1}^T

    The rule trains every model that torch can differentiate. Loops are unrolled into layers with
    tied weights; an :class:`~sparsebrain.Equilibrium` has its own gradient.

    Args:
        model: Any module that returns scores [B, classes] or outputs [B, outputs].
        loss: "cross-entropy" of the scores; "quadratic", 1/2 \|scores - onehot\|^2; or "mse", the
            mean squared error, for targets y [B, outputs] instead of labels.

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: ``loss`` is unknown.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors",
    Nature 323, 1986.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import Backprop
        >>> model = torch.nn.Linear(2, 3)
        >>> _ = torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
        >>> rule = Backprop(model, loss="quadratic")
        >>> rule(torch.ones(1, 2), torch.tensor([0]))
        tensor(0.5000)
        >>> model.bias.grad  # scores - onehot
        tensor([-1.,  0.,  0.])
    """

    knows_layers = False
    takes_equilibrium = True

    def __init__(self, model: nn.Module, *, loss: str = "cross-entropy") -> None:
        super().__init__(model)
        self.loss = find_loss(loss)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return None: the rule trains all models."""
        return None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, and return the loss."""
        scores = self.model(x)
        check_fit(self.loss, scores, y)
        loss = self.loss(scores, y)
        loss.backward()
        return loss.detach()
