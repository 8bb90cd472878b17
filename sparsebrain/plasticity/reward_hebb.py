"""Hebb's rule with a third factor, the error of a predicted reward."""

from __future__ import annotations

import torch
from torch import Tensor

from graphs import arguments
from sparsebrain.learning.credit import Weighted, out_width
from sparsebrain.plasticity.node_perturbation import RewardRule


class RewardHebb(RewardRule):
    r"""Reward-modulated Hebbian learning: a neuron does not know its noise, and guesses it.

    .. math::
        \Delta w_{s \to t} = \eta \, (r - \bar r) \, (y_t - \bar y_t) \, x_s, \qquad
        \bar y \leftarrow \bar y + \alpha (\langle y \rangle - \bar y)

    with the mean over the samples of a call. The deviation of a neuron's sum from its running mean
    takes the place of its noise in :class:`NodePerturbation`, so that a synapse needs the activity
    at both of its ends and the error that dopamine signals, and nothing else. The deviation
    contains the noise and, where inputs vary, the response to the input.

    ``rule(x, y, error)`` adds minus the update, averaged over the samples, to ``.grad`` of the
    weight, and then moves the running mean. It costs O(E B).

    Args:
        layer: An ``nn.Linear``, or a :class:`~sparsebrain.GraphLayer` with one loop and no
            activation, leak or threshold.
        alpha: The share by which the running mean moves, above 0 and at most 1.

    Attributes:
        mean: The running mean [N] of the neurons, a buffer; it starts with that of the first call.

    Shape:
        ``rule(x, y, error)``: x [B, N], y [B, N] and error [B], of the dtype of the weights -> the
        update [E]. For an ``nn.Linear``, x is [B, in_features], y [B, out_features] and the update
        of the shape of the weight.

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: An argument has a wrong shape or value, or the rule cannot train the layer.

    Source: R. Legenstein, S. M. Chase, A. B. Schwartz, W. Maass, "A reward-modulated Hebbian
    learning rule can explain experimentally observed network reorganization in a brain control
    task", Journal of Neuroscience 30 (2010) 8400-8410.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import RewardHebb
        >>> rule = RewardHebb(torch.nn.Linear(1, 1, bias=False), alpha=0.5)
        >>> x, y = torch.ones(2, 1), torch.tensor([[1.0], [3.0]])
        >>> rule(x, y, torch.tensor([0.0, 1.0]))  # The mean is 2.
        tensor([[0.5000]])
    """

    learning_rate = 1e-2
    is_mean = False
    mean: Tensor
    started: Tensor

    def __init__(self, layer: Weighted, alpha: float = 0.1) -> None:
        super().__init__(layer)
        self.alpha = arguments.real("alpha", alpha, positive=True, at_most=1)
        self.register_buffer("mean", layer.weight.detach().new_zeros(out_width(layer)))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor, error: Tensor) -> Tensor:
        """Add minus the update to ``.grad``, and return it; the class describes the shapes."""
        self._check(x, {"y": y}, error)
        y = y.detach()
        now = y.mean(0)
        if not self.started:
            self.mean.copy_(now)
            self.started.fill_(True)
        change = self.learn(x, y - self.mean, error.detach())
        self.mean.lerp_(now, self.alpha)
        return change

    def extra_repr(self) -> str:
        """Return alpha."""
        return f"alpha={self.alpha:g}"
