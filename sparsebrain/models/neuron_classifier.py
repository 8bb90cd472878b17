"""One neuron as a classifier of two classes, and the decay of its weights without data."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphs import arguments, tensors
from sparsebrain.nn.arguments import check_dtype

NeuronLoss = Literal["logistic", "hinge"]
_MOST_STEPS = 10**6
LOSSES: tuple[NeuronLoss, ...] = get_args(NeuronLoss)


class NeuronClassifier(nn.Module):
    r"""One rate neuron that tells two classes apart.

    It sums its inputs, :math:`u = w \cdot x + b`. With the logistic loss it fires at the rate
    :math:`p = \sigma(u)`, the probability of class 1, and learns by cross-entropy; with the hinge
    loss its output is u itself, as in a support vector machine, and classes 0 and 1 are the sides
    :math:`y = -1, +1`. The gradients by w, of one sample:

    .. math::
        \text{logistic:}\ (p - y)\, x \qquad
        \text{hinge:}\ -y\, x\ \text{where}\ y u < 1,\ \text{else}\ 0

    Weights and bias start at zero, from where both losses, being convex, come to their minimum. To
    forget gradually let an optimizer decay the weights, as :func:`decay_weights` describes.

    Args:
        in_features: how many inputs.
        kind: "logistic" or "hinge".
        bias: learn b.
        device, dtype: of the parameters.

    Attributes:
        weight: [in_features].
        bias: a number [], or None.

    Shapes:
        x [..., in_features] -> the output [...]: p, or u with the hinge loss.

    Raises:
        ValueError, TypeError: a wrong option, or labels that are not 0 and 1 in the shape of the
            output.

    Example:
        >>> import torch
        >>> from sparsebrain.models import NeuronClassifier
        >>> neuron = NeuronClassifier(2)
        >>> x, y = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1])
        >>> neuron.loss(x, y).backward()
        >>> neuron.weight.grad  # the mean of (1/2 - y) x
        tensor([-0.2500,  0.2500])
        >>> with torch.no_grad():
        ...     neuron.weight -= neuron.weight.grad
        >>> neuron.predict(x)
        tensor([0, 1])
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        kind: NeuronLoss = "logistic",
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        arguments.option("kind", kind, LOSSES)
        arguments.flag("bias", bias)
        self.in_features = arguments.count("in_features", in_features, at_least=1)
        self.kind = kind
        check_dtype(dtype)
        if device is not None:
            tensors.device("device", device)
        width = torch.get_default_dtype().itemsize * self.in_features
        tensors.room(f"in_features={self.in_features}", width, "pass a smaller one")
        self.weight = nn.Parameter(torch.zeros(self.in_features, device=device, dtype=dtype))
        if bias:
            self.bias = nn.Parameter(torch.zeros((), device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)

    def reset_parameters(self) -> None:
        """Set weights and bias to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Its output: the probability of class 1, or with the hinge loss the weighted sum."""
        total = self._sum(x)
        return total.sigmoid() if self.kind == "logistic" else total

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss of samples x [..., in_features] with labels y [...] of 0 and 1."""
        total = self._sum(x)
        tensors.tensor("y", y, tuple(total.shape), dtypes=tensors.REAL, device=total.device)
        if not bool(((y == 0) | (y == 1)).all()):
            raise ValueError("y must be 0 or 1, also with the hinge loss; pass (y > 0).long().")
        label = y.to(total.dtype)
        if self.kind == "logistic":
            return functional.binary_cross_entropy_with_logits(total, label)
        side = 2 * label - 1
        # relu and not clamp, whose derivative at the margin is not 0.
        return functional.relu(1 - side * total).mean()

    def predict(self, x: Tensor) -> Tensor:
        """The classes 0 and 1 of samples x [..., in_features]: [...] int64."""
        return (self._sum(x) > 0).long()

    def extra_repr(self) -> str:
        """Tell what it was made with."""
        return f"{self.in_features}, kind={self.kind!r}, bias={self.bias is not None}"

    def _sum(self, x: Tensor) -> Tensor:
        weight = self.weight
        shape = (..., self.in_features)
        tensors.tensor("x", x, shape, dtypes=(weight.dtype,), device=weight.device)
        total = x @ self.weight
        return total if self.bias is None else total + self.bias


def decay_weights(optimizer: torch.optim.Optimizer, steps: int = 1) -> None:
    r"""Decay weights without data: let an optimizer take steps with zero gradients.

    Gradual forgetting is the decay :math:`\frac{1}{2} \lambda w^2`. Without data

    .. math:: w_t = w_0 (1 - \eta \lambda)^t

    - exactly with ``SGD(weight_decay=λ)``, unless it has momentum, which the decay would join;
    - exactly with ``AdamW(weight_decay=λ)``, whose decay is decoupled from the gradient, once the
      momentum of earlier data has gone;
    - not with ``Adam(weight_decay=λ)``: it takes λ w for a gradient and divides it by its own size,
      so that every weight, large or small, first moves by η a step, and λ hardly counts.

    All parameters of a group fade at its rate, biases too, but for frozen ones; give what should
    stay a group with ``weight_decay=0``. Afterwards the gradients are those of before.

    Args:
        optimizer: any of torch's that needs no closure.
        steps: how many.

    A step with ``.grad`` None would forget nothing: torch skips such parameters. So the gradients
    are zeros here.

    Example:
        >>> import torch
        >>> from sparsebrain.models import NeuronClassifier, decay_weights
        >>> neuron = NeuronClassifier(1, bias=False)
        >>> _ = torch.nn.init.ones_(neuron.weight)
        >>> decay_weights(torch.optim.SGD(neuron.parameters(), lr=0.5, weight_decay=0.5), steps=2)
        >>> neuron.weight.data  # (1 - 0.25) ** 2
        tensor([0.5625])
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer, got {optimizer!r:.60}; pass "
            "torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)"
        )
    steps = arguments.count("steps", steps, at_most=_MOST_STEPS)
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    kept = [parameter.grad for parameter in parameters]
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    try:
        for _ in range(steps):
            optimizer.step()
            for parameter in learned:
                # Some optimizers write the decay into the gradient.
                parameter.grad.zero_()
    finally:
        for parameter, grad in zip(parameters, kept, strict=True):
            parameter.grad = grad
