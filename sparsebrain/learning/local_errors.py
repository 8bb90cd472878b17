"""Local errors: each layer learns to tell the classes by itself, and hears of no other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphs import arguments, tensors
from sparsebrain.learning.blocks import Block, cut_states, refuse_unordered, split, through
from sparsebrain.learning.credit import Weighted
from sparsebrain.learning.rule import Rule
from sparsebrain.models.labels import check_labels
from sparsebrain.models.neurons import PlaceNeurons, ReadNeurons

KINDS = ("similarity", "prediction", "both")


class LocalErrors(Rule):
    r"""Every layer has an error of its own, and no error passes from one layer to another.

    With h [B, n] what a layer puts out, a sample a row, y the labels, onehot [B, classes]:

    .. math::
        S(X)_{ab} &= \cos(x_a - \bar x_a, x_b - \bar x_b), \qquad
        L_\mathrm{sim} = \mathrm{mean}_{ab} (S(h W_s) - S(\mathrm{onehot}))_{ab}^2 \\
        L_\mathrm{pred} &= \mathrm{CE}(W_p h + b_p, y), \qquad
        L = 0.99\, L_\mathrm{sim} + 0.01\, L_\mathrm{pred}

    x̄_a is the mean of row a. W_s and W_p belong to the layer, are parameters of the rule, and learn
    by the same L. The graph of gradients is cut behind every layer.

    Accepts an nn.Sequential of nn.Linear and GraphLayer: a layer is one of these with what follows
    it up to the next, without a dropout at its end, as h is taken before it. Its last layer is the
    classifier and has the cross-entropy of its scores, unless ``num_classes`` is given.

    Each loop of a GraphLayer counts as a layer with shared weights: x(t) is the h of a loss of its
    own, with W_s and W_p of its own, and the graph is cut between the loops. What follows the layer
    belongs to its last loop. An Equilibrium counts as one loop, the exchange at z.

    W_s is [n, n] for a nn.Linear, as in the paper. For a GraphLayer it is [n, k], k the number of
    synapses of a mean neuron, or of the classes if there are more of them, so that a step costs
    O(E) there, too.

    Args:
        model: as above.
        kind: "similarity", "prediction" or "both".
        share: that of the similarity in "both".
        num_classes: where the model ends without a classifier: its last layer is then one like the
            others, and its W_p gives the scores (not with "similarity", which has none).

    Attributes:
        similarity_heads, prediction_heads: W_s and W_p in the order of layers and loops.

    The loss that is returned is that of the scores.

    Source: Nøkland and Eidnes, "Training neural networks with local error signals", ICML 2019.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import LocalErrors
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
        ... )
        >>> rule = LocalErrors(model, kind="prediction")
        >>> hidden, scores = rule.losses(torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))
        >>> hidden  # W_p starts at zero, so that the classes are alike: log(3)
        tensor(1.0986, grad_fn=...)
        >>> hidden.backward()
        >>> model[0].weight.grad is None, model[2].weight.grad is None
        (False, True)
    """

    learning_rate = 3e-3

    def __init__(
        self,
        model: nn.Module,
        *,
        kind: str = "both",
        share: float = 0.99,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(model)
        arguments.option("kind", kind, KINDS)
        share = arguments.real("share", share, at_most=1.0)
        self.share = {"similarity": 1.0, "prediction": 0.0, "both": share}[kind]
        self.blocks = split(model)
        hidden = [(b.layer, width) for b in self.blocks for width in _widths(b)]
        self.classifies = num_classes is None
        if num_classes is not None:
            self.num_classes = arguments.count("num_classes", num_classes, at_least=2)
            if kind == "similarity":
                raise ValueError(
                    "num_classes= lets the last layer predict by W_p, which kind='similarity' has "
                    "not; use kind='both'."
                )
        else:
            _, self.num_classes = hidden.pop()
        for layer, width in hidden:
            tensors.room(
                f"num_classes={num_classes}",
                (width + 1) * self.num_classes * layer.weight.element_size(),
                "pass the number of classes",
            )
        self.similarity_heads, self.prediction_heads = nn.ModuleList(), nn.ModuleList()
        for layer, width in hidden:
            if self.share > 0:
                rows = _compared(layer, self.num_classes)
                self.similarity_heads.append(nn.Linear(width, rows, bias=False).to(layer.weight))
            if self.share < 1:
                head = nn.Linear(width, self.num_classes).to(layer.weight)
                for parameter in head.parameters():
                    nn.init.zeros_(parameter)
                self.prediction_heads.append(head)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Why not: it cannot be cut between its layers, or has weights in others."""
        return refuse_unordered(model)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, return the last loss."""
        losses = self.losses(x, y)
        # They share no parameter but the weights of loops, so that one pass is as good as many.
        torch.stack(losses).sum().backward()
        return losses[-1].detach()

    def losses(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """The loss of every layer and loop, each with a gradient for its own weights alone."""
        with self.checked(x, y):
            check_labels(x.new_empty(len(x), self.num_classes), y)
            activities = list(self._activities(x))
            scores = activities.pop() if self.classifies else None
            losses = [self._loss(place, h, y) for place, h in enumerate(activities)]
        return losses if scores is None else [*losses, functional.cross_entropy(scores, y)]

    def predict(self, x: Tensor) -> Tensor:
        """The classifier's scores [B, classes], or without one those of the last W_p."""
        if self.classifies:
            return self.model(x)
        *_, h = self._activities(x)
        return self.prediction_heads[-1](h)

    def _activities(self, x: Tensor) -> Iterator[Tensor]:
        """What every layer and loop puts out, h [B, n], each cut off from what is before it."""
        for block in self.blocks:
            follow, dropouts = _part_dropouts(block.after)
            *early, last = cut_states(block.layer, through(block.before, x))
            yield from early
            h = through(follow, last)
            yield h
            x = through(dropouts, h.detach())

    def _loss(self, place: int, h: Tensor, y: Tensor) -> Tensor:
        loss = h.new_zeros(())
        if self.share > 0:
            found, wanted = self.similarity_heads[place](h), _onehot(h, y, self.num_classes)
            loss = loss + self.share * similarity_loss(found, wanted)
        if self.share < 1:
            guess = self.prediction_heads[place](h)
            loss = loss + (1 - self.share) * functional.cross_entropy(guess, y)
        return loss


def similarity(x: Tensor) -> Tensor:
    """S [B, B]: the cosine between the rows of x [B, n], each less its mean; 0 for a flat one."""
    centered = x - x.mean(1, keepdim=True)
    norm = centered.norm(dim=1, keepdim=True)
    # A flat row has no direction, and must not get an endless gradient for it.
    rows = centered / torch.where(norm > 0, norm, 1)
    return rows @ rows.T


def similarity_loss(x: Tensor, wanted: Tensor) -> Tensor:
    """The mean over all pairs of samples of (S(x) - S(wanted))^2."""
    return (similarity(x) - similarity(wanted)).square().mean()


def _onehot(like: Tensor, y: Tensor, num_classes: int) -> Tensor:
    return functional.one_hot(y, num_classes).to(like.dtype)


def _widths(block: Block) -> list[int]:
    """How wide h is after every loop of a block."""
    if isinstance(block.layer, nn.Linear):
        width, loops = block.layer.out_features, 1
    else:
        width = block.layer.num_nodes
        loops = block.layer.loops if isinstance(block.layer.loops, int) else 1
    last = width
    for module in block.after:
        if isinstance(module, ReadNeurons):
            last = len(module.value)
        elif isinstance(module, PlaceNeurons):
            last = module.num_nodes
    return [width] * (loops - 1) + [last]


def _compared(layer: Weighted, num_classes: int) -> int:
    """How many rows W_s has."""
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return max(-(-layer.structure.num_edges // max(layer.num_nodes, 1)), num_classes)


def _part_dropouts(modules: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    """What a block does before its last dropouts, and these."""
    end = len(modules)
    while end and isinstance(modules[end - 1], nn.Dropout | nn.AlphaDropout):
        end -= 1
    return modules[:end], modules[end:]
