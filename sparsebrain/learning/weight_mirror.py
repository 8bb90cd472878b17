"""Weight mirrors: the feedback weights learn the forward weights from noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain import kernels
from sparsebrain.learning.alignment import FeedbackRule, per_synapse
from sparsebrain.learning.credit import out_width
from sparsebrain.nn.graph_layer import GraphLayer


class WeightMirror(FeedbackRule):
    r"""Weight mirrors: errors are propagated through weights B that learn W^T from noise.

    In the engaged phase, B is fixed and W learns as in feedback alignment. In the mirror phase,
    every layer separately receives noise :math:`\xi` of mean 0 and variance :math:`\sigma^2` and
    outputs :math:`y = W \xi`. B follows the product of both ends of a synapse, with a decay:

    .. math:: \delta_l = B_{l+1} \delta_{l+1} \odot f'(u_l), \qquad
        \Delta B = \eta (\xi y^T - \lambda B), \qquad \mathrm{E}[\xi y^T] = \sigma^2 W^T

    B therefore converges to :math:`\sigma^2 / \lambda` times W^T, up to noise. The source bounds B
    by occasional normalization; the decay has the same effect under any optimizer. As in the
    source, each step has both phases: ``rule(x, y)`` fills the gradients of W in the engaged phase
    and those of B in the mirror phase, with as many noise samples as x has. :meth:`mirror` is the
    mirror phase alone.

    The noise passes only through the sums, once, without bias or activation, because W is the same
    in all loops. Models and loops are those of :class:`~sparsebrain.learning.FeedbackAlignment`.
    Synapses that share a weight share a feedback weight, whose gradient is the mean over these
    synapses.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        noise: The standard deviation sigma, positive.
        decay: The decay lambda, positive; sigma^2 by default, for which B converges to W^T itself.
        generator: The generator that draws the initial B and the noise; torch's global one by
            default.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    Source: M. Akrout, C. Wilson, P. C. Humphreys, T. Lillicrap, D. B. Tweed, "Deep learning without
    weight transport", NeurIPS (2019).

    Example:
        >>> import torch
        >>> from sparsebrain.learning import WeightMirror
        >>> _ = torch.manual_seed(0)
        >>> hidden, out = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        >>> rule = WeightMirror(torch.nn.Sequential(hidden, torch.nn.Tanh(), out))
        >>> x, y = torch.randn(32, 8), torch.randint(3, (32,))
        >>> optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
        >>> before = rule.alignment(x, y)
        >>> for _ in range(100):
        ...     optimizer.zero_grad()
        ...     rule.mirror(64)
        ...     optimizer.step()
        >>> before["2"] > 45, rule.alignment(x, y)["2"] < 20
        (True, True)
    """

    feedback_learns = True

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str = "cross-entropy",
        noise: float = 1.0,
        decay: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model, loss=loss, generator=generator)
        self.noise = arguments.real("noise", noise, positive=True)
        decay = self.noise**2 if decay is None else decay
        self.decay = arguments.real("decay", decay, positive=True)
        self.generator = generator

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill the gradients of W and B, return the
        loss.
        """
        loss = super().forward(x, y)
        self.mirror(len(y))
        return loss

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer of comparisons: Adam, with a ten times higher rate for B.

        B converges directly and should arrive before W has changed much.
        """
        rate = self._rate(learning_rate)
        groups: list[dict[str, Any]] = [
            {"params": self.model.parameters()},
            {"params": self.feedback.parameters(), "lr": 10 * rate},
        ]
        return torch.optim.Adam(groups, lr=rate)

    @torch.no_grad()
    def mirror(self, samples: int) -> None:
        """Add to the gradients of B, and to no others, the estimate from some samples of noise.

        Args:
            samples: The number of noise samples, 1 or more.

        Raises:
            TypeError: ``samples`` is not an integer.
            ValueError: ``samples`` is less than 1 or needs too much memory.
        """
        samples = arguments.count("samples", samples, at_least=1)
        for layer in self.layers.values():
            tensors.room(
                f"samples={samples}",
                samples * out_width(layer) * layer.weight.element_size(),
                "pass a smaller number",
            )
        with self.together(samples):
            for layer, feedback in zip(self.layers.values(), self.feedback, strict=True):
                if not feedback.requires_grad:
                    continue
                grad = self.decay * feedback - self._product(layer, samples) / samples
                feedback.grad = grad if feedback.grad is None else feedback.grad + grad

    def _product(self, layer: nn.Linear | GraphLayer, samples: int) -> Tensor:
        """Return, for each weight, the sum over samples of the noise times the resulting output."""
        weight = layer.weight
        if not isinstance(layer, GraphLayer):
            before = self._draw(weight, samples, weight.size(1))
            return (before @ weight.T).T @ before
        before = self._draw(weight, layer.num_nodes, samples)
        how, at = {"backend": layer.backend}, layer.structure
        after = kernels.propagate(at, per_synapse(layer, weight), before, **how)
        product = kernels.correlate(at, after, before, **how)
        if layer.weight_index is None:
            return product
        count = torch.bincount(layer.weight_index, minlength=len(weight)).clamp_min(1)
        return torch.zeros_like(weight).index_add_(0, layer.weight_index, product) / count

    def _draw(self, weight: Tensor, *shape: int) -> Tensor:
        drawn = weight.new_empty(shape).normal_(generator=self.generator)
        return self.noise * drawn

    def extra_repr(self) -> str:
        """Return the loss, the noise and the decay."""
        return f"{super().extra_repr()}, noise={self.noise:g}, decay={self.decay:g}"
