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
    r"""One rate neuron that separates two classes.

    It sums its inputs, :math:`u = w \cdot x + b`. With the logistic loss its rate :math:`p =
    \sigma(u)` is the probability of class 1, and it learns by cross-entropy. With the hinge loss
    its output is u itself, as in a support vector machine, and classes 0 and 1 are the sides
    :math:`y = -1, +1`. The gradients with respect to w for one sample are

    .. math::
        \text{logistic:}\ (p - y)\, x \qquad
        \text{hinge:}\ -y\, x\ \text{where}\ y u < 1,\ \text{else}\ 0

    Weights and bias start at zero; both losses are convex, so they converge to their minimum from
    there. For gradual forgetting use an optimizer with weight decay, as :func:`decay_weights`
    describes.

    Args:
        in_features: The number of inputs.
        kind: "logistic" or "hinge".
        bias: Whether to learn b.
        device: The device of the parameters.
        dtype: The dtype of the parameters, float32 or float64.

    Attributes:
        weight: [in_features].
        bias: A number [], or None.

    Shape:
        x [..., in_features] -> the output [...]: p, or u with the hinge loss.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an option is unknown, or labels are not 0 and 1 in the shape of the output.

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
        """Return the probability of class 1, or with the hinge loss the weighted sum."""
        total = self._sum(x)
        return total.sigmoid() if self.kind == "logistic" else total

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of samples x [..., in_features] with labels y [...] of 0 and 1."""
        total = self._sum(x)
        tensors.tensor("y", y, tuple(total.shape), dtypes=tensors.REAL, device=total.device)
        if not bool(((y == 0) | (y == 1)).all()):
            raise ValueError("y must be 0 or 1, also with the hinge loss; pass (y > 0).long()")
        label = y.to(total.dtype)
        if self.kind == "logistic":
            return functional.binary_cross_entropy_with_logits(total, label)
        side = 2 * label - 1
        # relu and not clamp, whose derivative at the margin is not 0.
        return functional.relu(1 - side * total).mean()

    def predict(self, x: Tensor) -> Tensor:
        """Return the classes 0 and 1 of samples x [..., in_features]: [...] int64."""
        return (self._sum(x) > 0).long()

    def extra_repr(self) -> str:
        """Return the arguments, for ``__repr__``."""
        return f"{self.in_features}, kind={self.kind!r}, bias={self.bias is not None}"

    def _sum(self, x: Tensor) -> Tensor:
        weight = self.weight
        shape = (..., self.in_features)
        tensors.tensor("x", x, shape, dtypes=(weight.dtype,), device=weight.device)
        total = x @ self.weight
        return total if self.bias is None else total + self.bias


def decay_weights(optimizer: torch.optim.Optimizer, steps: int = 1) -> None:
    r"""Decay weights without data: run an optimizer with zero gradients.

    Gradual forgetting is the decay :math:`\frac{1}{2} \lambda w^2`. Without data

    .. math:: w_t = w_0 (1 - \eta \lambda)^t

    - ``SGD(weight_decay=λ)`` does this exactly, unless it has momentum, which would include the
      decay.
    - ``AdamW(weight_decay=λ)`` does it exactly once the momentum of earlier data has decayed, as
      its decay is decoupled from the gradient.
    - ``Adam(weight_decay=λ)`` does not: it treats λ w as a gradient and divides it by its own size,
      so every weight, large or small, first moves by η per step, and λ has hardly any effect.

    All parameters of a group decay at its rate, including biases and except frozen parameters. Put
    parameters that must not decay into a group with ``weight_decay=0``. The gradients are the same
    afterwards as before.

    Args:
        optimizer: Any optimizer of torch that needs no closure.
        steps: The number of steps, at most a million.

    Raises:
        TypeError: If ``optimizer`` is not an optimizer, or ``steps`` not an int.
        ValueError: If ``steps`` is out of range.

    Note:
        The gradients are zeros and not None during the steps, since torch skips parameters whose
        ``.grad`` is None.

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
