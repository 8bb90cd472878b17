"""The error-diffusion rule: one error for all cells, interpreted by each according to its type."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.error_diffusion.buffer import Buffer
from sparsebrain.error_diffusion.bundles import Heard
from sparsebrain.error_diffusion.network import ErrorDiffusionNetwork
from sparsebrain.kernels.eager import is_watched
from sparsebrain.learning.losses import find_label_loss
from sparsebrain.learning.rule import NO_SWEEPS, Rule
from sparsebrain.models.labels import check_labels


class ErrorDiffusion(Rule):
    r"""I. Kaneko's error diffusion: every cell receives the output's error directly.

    The error :math:`e = t - o` of an output is split into two amines,
    :math:`d^+ = \max(e, 0)` and :math:`d^- = \max(-e, 0)`. A synapse from m to k changes by

    .. math::
        \Delta w_{km} = \alpha \, o_m \, o_k (1 - o_k) \, s_m s_k \,
        (d^+ \text{ if } s_m > 0 \text{ else } d^-)

    The type of the *presynaptic* cell selects the amine, so every \|w\| only grows. The output
    rises with every + cell and falls with every - cell, at any depth. Every nonzero change
    therefore has the sign of :math:`-\partial E / \partial w`, provided that inputs are not
    negative and weights have the signs given by the types. As in Kaneko's program, the factor
    :math:`2 / u_0` of the sigmoid's slope is omitted.

    ``.grad`` is minus the mean of this change over the batch, without alpha. With batches of one
    sample, ``torch.optim.SGD(rule.parameters(), lr=alpha)`` is Kaneko's rule. The learned
    parameters are magnitudes, so no optimizer, weight decay or momentum can flip a sign: a
    magnitude that would cross zero is reflected. Use SGD: the rule only specifies which magnitudes
    grow faster than others, and Adam makes all of them grow at the same rate.

    The rule trains an :class:`~sparsebrain.error_diffusion.ErrorDiffusionNetwork` on any
    connectome. Loops are its sweeps, as in Kaneko's program: both factors of the product come from
    the last state, and nothing is unrolled. A step costs O(E) per sample and network. Networks
    without loops are computed by one call of the compiled kernels. With ``weights="ternary"`` the
    update is computed from the rounded weights and changes the strengths behind them.

    ``build`` makes a network with linear outputs, one per class. It adds two sweeps to ``loops``,
    one for the input and one for the output synapses, and draws magnitudes below 1 / in-degree:
    with Kaneko's U(0, 1), networks with loops saturate immediately.

    Args:
        model: The network. A single network separates classes 0 and 1, which are then the targets
            of its output.
        loss: "cross-entropy", which needs linear outputs and whose error is onehot - softmax over
            the networks; or "quadratic", 1/2 \|onehot - scores\|^2.
        reduction: "mean" or "sum" over the batch. With "sum" and a learning rate divided by
            (units + layers), the step is the mini-batch form of the Qiita article.

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: ``model`` is not an error-diffusion network, an option is unknown, or the loss
            does not fit the network.

    Source: I. Kaneko, the error diffusion method, 1999; the mini-batch form and the softmax are
    from "ED method sped up, MNIST" (Qiita). K. Fujita, arXiv 2504.14814, reports lower accuracies
    than with backpropagation.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
        >>> hidden = Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=16)
        >>> generator = torch.Generator().manual_seed(0)
        >>> xor = ErrorDiffusionNetwork.around(hidden, 2, networks=1, generator=generator)
        >>> rule = ErrorDiffusion(xor, loss="quadratic")
        >>> optimizer = torch.optim.SGD(rule.parameters(), lr=0.8)
        >>> x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
        >>> for epoch in range(100):
        ...     for number in range(4):
        ...         optimizer.zero_grad()
        ...         loss = rule(x[number : number + 1], y[number : number + 1])
        ...         optimizer.step()
        >>> rule.predict(x).argmax(1)
        tensor([0, 1, 1, 0])
    """

    model: ErrorDiffusionNetwork
    needs_labels = "each class has a network of its own"
    learning_rate = 0.03

    def __init__(
        self, model: nn.Module, *, loss: str = "cross-entropy", reduction: str = "mean"
    ) -> None:
        super().__init__(model)
        find_label_loss(loss)
        arguments.option("reduction", reduction, ("mean", "sum"))
        self.loss, self.reduction, self._buffer = loss, reduction, Buffer()
        if loss == "cross-entropy" and not (self.model.linear and self.model.networks > 1):
            raise ValueError(
                "loss='cross-entropy' needs linear outputs of at least two networks; make the "
                "network with linear=True and networks=, or use loss='quadratic'."
            )

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the rule cannot train a model (its cells have no types), or None if it can."""
        if isinstance(model, ErrorDiffusionNetwork):
            return None
        return (
            f"{type(model).__name__} has no cells of fixed types and no network for each output; "
            "make one by ErrorDiffusion.build(connectome, in_features, num_classes)."
        )

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        unconnected = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=hidden)
        return _surround(unconnected, in_features, num_classes, loops=2)

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        if isinstance(loops, Equilibrium):
            raise ValueError(f"{cls.__name__} cannot train this model: {NO_SWEEPS}")
        return _surround(connectome, in_features, num_classes, loops + 2)

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer of comparisons: SGD, because Adam makes all magnitudes grow."""
        return torch.optim.SGD(self.parameters(), lr=self._rate(learning_rate))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the network on x [B, ...] with labels y [B], fill gradients, and return the loss."""
        found, model, strength = None, self.model, self.model.strength
        if model.compiled is not None and strength.requires_grad and not is_watched():
            full = model.weights == "full"
            found = model.compiled(
                x if x.dim() == 2 else x.flatten(1),
                y,
                strength if full else model.fold(),
                slope=2 / model.u0,
                bias_value=model.bias_value,
                linear=model.linear,
                fold=model.keep_signs and full,
                entropy=self.loss == "cross-entropy",
                mean=self.reduction == "mean",
                buffer=self._buffer,
            )
        if found is None:
            return self._by_stages(x, y)
        loss, grad = found
        self._add(grad)
        return loss

    @torch.no_grad()
    def _by_stages(self, x: Tensor, y: Tensor) -> Tensor:
        model = self.model
        states, scores = model.run(x.flatten(1), model.fold())
        check_labels(self._by_class(scores), y)
        loss, error = self.compare(scores, y)
        self._diffuse(states, error)
        return loss

    def diffuse(self, states: list[Tensor], error: Tensor, *, first: int = 0) -> None:
        """Fill the gradient for an error from another source, such as a regression loss.

        Args:
            states: The states returned by ``model.run``, or successive ones of them.
            error: The error [B, K], target minus output.
            first: The number of the stage that follows the first of the states. Synapses into
                stages whose states are not given have a gradient of zero.
        """
        first = arguments.count("first", first, at_most=len(self.model.stages) - 1)
        with self.together(len(error)):
            self._diffuse(states, error, first)

    @torch.no_grad()
    def _diffuse(self, states: list[Tensor], error: Tensor, first: int = 0) -> None:
        network, strength = self.model, self.model.strength
        if not strength.requires_grad:
            return
        if self.reduction == "mean":
            error = error / max(len(error), 1)
        error = error.t()
        # The gradient is minus the update. Also NaN diffuses.
        amines = {True: -error.clamp(min=0), False: error.clamp(max=0)}
        samples = {
            positive: [(~(each == 0)).nonzero().flatten() for each in amine]
            for positive, amine in amines.items()
        }
        stages = network.stages[first : first + len(states) - 1]
        grad = self._buffer.take(strength.detach())
        sizes = (each.size for stage in stages for each in (*stage.feed, *stage.loop))
        if sum(sizes) != strength.numel():
            grad.zero_()
        for stage, before, after in zip(stages, states[:-1], states[1:], strict=True):
            slope = network.slopes(stage, after)
            heard = {
                positive: Heard(slope * amine.unsqueeze(1), samples[positive])
                for positive, amine in amines.items()
            }
            for bundles, source in ((stage.feed, before), (stage.loop, after)):
                for each in bundles:
                    each.correlate(heard[each.positive], source, out=each.part(grad))
        self._add(grad)

    def _add(self, grad: Tensor) -> None:
        before = self.model.strength.grad
        self.model.strength.grad = grad if before is None else grad.add_(before)

    def predict(self, x: Tensor) -> Tensor:
        """Return class scores [B, classes] of x [B, ...]; two columns if there is one network."""
        return self._by_class(self.model(x.flatten(1)))

    def _by_class(self, scores: Tensor) -> Tensor:
        return torch.cat([1 - scores, scores], 1) if scores.size(1) == 1 else scores

    def compare(self, scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of scores [B, K] with labels y [B], and the error [B, K] of every output.

        The error is minus the gradient of the summed loss, which :meth:`diffuse` takes.
        """
        networks = self.model.networks
        wanted = y.unsqueeze(1) if networks == 1 else functional.one_hot(y, networks)
        if self.loss == "quadratic":
            error = wanted - scores
            return 0.5 * error.square().sum(1).mean(), error
        return functional.cross_entropy(scores, y), wanted - scores.softmax(1)


def _surround(
    connectome: Data, in_features: int, num_classes: int, loops: int
) -> ErrorDiffusionNetwork:
    return ErrorDiffusionNetwork.around(
        connectome, in_features, networks=num_classes, loops=loops, linear=True, init="degree"
    )
