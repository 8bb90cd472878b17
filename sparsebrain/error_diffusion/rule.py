"""Error diffusion: one error for all cells, and types that say what it means to each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.error_diffusion.network import ErrorDiffusionNetwork
from sparsebrain.learning.losses import find_loss
from sparsebrain.learning.rule import NO_SWEEPS, Rule
from sparsebrain.models.labels import check_labels


class ErrorDiffusion(Rule):
    r"""Every cell of an output's network gets the output's error, and no error goes back.

    With the error :math:`e = t - o` of an output, of which the positive and the negative part are
    two amines, :math:`d^+ = \max(e, 0)` and :math:`d^- = \max(-e, 0)`, a synapse from m to k
    changes by

    .. math::
        \Delta w_{km} = \alpha \, o_m \, o_k (1 - o_k) \, s_m s_k \,
        (d^+ \text{ if } s_m > 0 \text{ else } d^-)

    The type of the *presynaptic* cell selects the amine. So every \|w\| only grows, and as the
    output rises with every + cell and falls with every - cell, at any depth, every change that is
    not zero has the sign of :math:`-\partial E / \partial w`, as long as inputs are not negative
    and weights have the signs that types give them. Kaneko leaves out the factor 2 / u0 of the
    sigmoid's slope, and so does this.

    ``.grad`` is minus the mean of this over the batch, without alpha: with a batch of one
    ``torch.optim.SGD(rule.parameters(), lr=alpha)`` is Kaneko's rule. Magnitudes are what is
    learned, so that no optimizer, weight decay or momentum flips a sign: what would pass zero
    comes back. Use SGD: which magnitudes grow faster is all that the rule says, and Adam lets all
    grow alike.

    Teaches an :class:`~sparsebrain.error_diffusion.ErrorDiffusionNetwork` of any connectome. Loops
    are its sweeps, Kaneko's own way: the last state is both ends of the product, and nothing is
    unrolled. O(E) a sample and network. Layers without loops are one call of the compiled kernels.

    ``build`` makes a network with linear outputs, one for each class. It adds two sweeps to
    ``loops``, for the ways in and out, and draws magnitudes below 1 / the synapses that a cell has
    in: with Kaneko's U(0, 1) loops saturate at once.

    Args:
        model: the network. With one network, classes are 0 and 1 and the target of its output.
        loss: "cross-entropy", with linear outputs, whose error is onehot - softmax over the
            networks; or "quadratic", 1/2 \|onehot - scores\|^2.
        reduction: "mean" over the batch or "sum", with which a rate divided by (units + layers) is
            the mini-batch form of the article.

    Source: I. Kaneko, the error diffusion method, 1999; the mini-batch form and the softmax from
    "ED method sped up, MNIST" (Qiita). K. Fujita, arXiv 2504.14814, finds it below
    backpropagation.

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
    learning_rate = 0.03

    def __init__(
        self, model: nn.Module, *, loss: str = "cross-entropy", reduction: str = "mean"
    ) -> None:
        super().__init__(model)
        find_loss(loss)
        arguments.option("reduction", reduction, ("mean", "sum"))
        self.loss, self.reduction = loss, reduction
        if loss == "cross-entropy" and not (self.model.linear and self.model.networks > 1):
            raise ValueError(
                "loss='cross-entropy' needs linear outputs of at least two networks; make the "
                "network with linear=True and networks=, or use loss='quadratic'."
            )

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Why not: its cells have no types."""
        if isinstance(model, ErrorDiffusionNetwork):
            return None
        return (
            f"{type(model).__name__} has no cells of fixed types and no network for each output; "
            "make one by ErrorDiffusion.build(connectome, in_features, num_classes)."
        )

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        unconnected = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=hidden)
        return cls._around(unconnected, in_features, num_classes, loops=0)

    @classmethod
    def _around(cls, connectome: Data, in_features: int, num_classes: int, loops: int) -> nn.Module:
        if isinstance(loops, Equilibrium):
            raise ValueError(f"{cls.__name__} cannot teach this model: {NO_SWEEPS}")
        return ErrorDiffusionNetwork.around(
            connectome,
            in_features,
            networks=num_classes,
            loops=loops + 2,
            linear=True,
            init="degree",
        )

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer that comparisons use: SGD, since Adam lets all magnitudes grow."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        return torch.optim.SGD(self.parameters(), lr=rate)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the network on x [B, ...] with labels y [B], fill the gradient, return the loss."""
        found, model, strength = None, self.model, self.model.strength
        if model.compiled is not None and strength.requires_grad:
            found = model.compiled(
                x if x.dim() == 2 else x.flatten(1),
                y,
                strength,
                slope=2 / model.u0,
                bias_value=model.bias_value,
                linear=model.linear,
                fold=model.keep_signs,
                entropy=self.loss == "cross-entropy",
                mean=self.reduction == "mean",
            )
        if found is None:
            return self._by_stages(x, y)
        loss, grad = found
        strength.grad = grad if strength.grad is None else strength.grad + grad
        return loss

    @torch.no_grad()
    def _by_stages(self, x: Tensor, y: Tensor) -> Tensor:
        model = self.model
        states, scores = model.run(x.flatten(1), model.fold())
        check_labels(self._by_class(scores), y)
        loss, error = self._compare(scores, y)
        self._diffuse(states, error)
        return loss

    def diffuse(self, states: list[Tensor], error: Tensor) -> None:
        """Fill the gradient for an error of any origin, such as that of a regression.

        Args:
            states: what ``model.run`` returned.
            error: e [B, K], what is wanted minus what came.
        """
        with self.together(len(error)):
            self._diffuse(states, error)

    @torch.no_grad()
    def _diffuse(self, states: list[Tensor], error: Tensor) -> None:
        network, strength = self.model, self.model.strength
        if not strength.requires_grad:
            return
        if self.reduction == "mean":
            error = error / max(len(error), 1)
        error = error.t().unsqueeze(1)
        # Minus the update, as an optimizer wants it.
        amines = {True: -error.clamp(min=0), False: error.clamp(max=0)}
        grad = torch.empty_like(strength)
        for stage, before, after in zip(network.stages, states[:-1], states[1:], strict=True):
            slope = network.slopes(stage, after)
            post = {positive: slope * amine for positive, amine in amines.items()}
            for bundles, source in ((stage.feed, before), (stage.loop, after)):
                for each in bundles:
                    each.correlate(post[each.positive], source, out=each.part(grad))
        strength.grad = grad if strength.grad is None else strength.grad + grad

    def predict(self, x: Tensor) -> Tensor:
        """Class scores [B, classes] of x [B, ...]; two columns with one network."""
        return self._by_class(self.model(x.flatten(1)))

    def _by_class(self, scores: Tensor) -> Tensor:
        return torch.cat([1 - scores, scores], 1) if scores.size(1) == 1 else scores

    def _compare(self, scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the error [B, K] of every output in every sample, minus its gradient."""
        networks = self.model.networks
        wanted = y.unsqueeze(1) if networks == 1 else functional.one_hot(y, networks)
        if self.loss == "quadratic":
            error = wanted - scores
            return 0.5 * error.square().sum(1).mean(), error
        return functional.cross_entropy(scores, y), wanted - scores.softmax(1)
