"""The rule of Bienenstock, Cooper and Munro: a sliding threshold between growth and decay."""

from __future__ import annotations

import torch
from torch import Tensor

from graphs import arguments
from sparsebrain.learning.credit import Weighted, out_width
from sparsebrain.plasticity.plasticity_rule import TargetRule


class BCM(TargetRule):
    r"""BCM: synapses grow above a threshold of the postsynaptic activity, and shrink below it.

    .. math::
        \Delta w_{s \to t} = \eta \, y_t (y_t - \theta_t) x_s, \qquad
        \theta_t \leftarrow \theta_t + r (E[y_t^2] - \theta_t)

    Each neuron becomes selective: with K linearly independent patterns of probabilities
    :math:`p_k`, the stable fixed points are :math:`y = 1 / p_k` for one pattern and 0 for all
    others.

    The threshold starts from the mean of :math:`y^2` in the first batch. A call first moves the
    threshold, by the mean over samples and loops, and then uses it. It has to move faster than the
    weights: if ``theta_rate`` is small compared with the learning rate, the weights oscillate and
    diverge.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with a number of loops, or an ``nn.Linear``; see
            :class:`RateRule` for the shapes of ``rule(x)`` and ``rule(x, y)``.
        theta_rate: r, the share of the new mean in the threshold, above 0 and at most 1.

    Attributes:
        theta: The thresholds [N], a buffer.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the layer, or ``theta_rate`` is out of range.

    Source: E. L. Bienenstock, L. N. Cooper, P. W. Munro, "Theory for the development of neuron
    selectivity", Journal of Neuroscience 2 (1982) 32-48, with the threshold of N. Intrator,
    L. N. Cooper, Neural Networks 5 (1992) 3-17.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import BCM
        >>> neuron = torch.nn.Linear(2, 1, bias=False)
        >>> _ = neuron.weight.data.copy_(torch.tensor([[1.0, 0.5]]))
        >>> rule = BCM(neuron, theta_rate=0.5)
        >>> optimizer = rule.make_optimizer(0.1)
        >>> patterns = torch.eye(2)  # each with probability 1/2
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     y = rule(patterns)
        ...     optimizer.step()
        >>> y.flatten().round(decimals=3)
        tensor([2., 0.])
    """

    is_mean = False
    theta: Tensor
    started: Tensor

    def __init__(self, layer: Weighted, theta_rate: float = 0.1) -> None:
        super().__init__(layer)
        self.theta_rate = arguments.real("theta_rate", theta_rate, positive=True, at_most=1)
        self.register_buffer("theta", layer.weight.detach().new_zeros(out_width(layer)))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def factors(self, post: Tensor, samples: int) -> tuple[Tensor, Tensor | None]:
        """Move the threshold, and return y (y - theta) and no decay."""
        # Under autocast activities are narrower than the threshold.
        mean = post.to(self.theta).square().mean(0)
        self.theta.lerp_(mean, self.theta_rate if self.started else 1.0)
        self.started.fill_(True)
        return post * (post - self.theta), None

    def extra_repr(self) -> str:
        """Return the rate of the threshold."""
        return f"theta_rate={self.theta_rate:g}"
