"""Local errors: each layer learns to classify by itself, without errors from other layers."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

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
    r"""Local errors: every layer has its own loss, and no error passes between layers.

    Let h [B, n] be the output of a layer with one sample per row, y the labels, and onehot [B,
    classes] their one-hot encoding:

    .. math::
        S(X)_{ab} &= \cos(x_a - \bar x_a, x_b - \bar x_b), \qquad
        L_\mathrm{sim} = \mathrm{mean}_{ab} (S(h W_s) - S(\mathrm{onehot}))_{ab}^2 \\
        L_\mathrm{pred} &= \mathrm{CE}(W_p h + b_p, y), \qquad
        L = 0.99\, L_\mathrm{sim} + 0.01\, L_\mathrm{pred}

    where x̄_a is the mean of row a. W_s and W_p belong to the layer, are parameters of the rule and
    learn from the same L. The autograd graph is cut after every layer.

    The rule accepts an nn.Sequential of nn.Linear and GraphLayer. A layer is one of these with the
    modules that follow it, up to the next one, except for a final dropout: h is taken before it.
    The last layer is the classifier and has the cross-entropy of its scores, unless ``num_classes``
    is given.

    Each loop of a GraphLayer counts as a layer with shared weights: x(t) is the h of a separate
    loss with its own W_s and W_p, and the graph is cut between loops. The modules after the layer
    belong to its last loop. An Equilibrium counts as one loop, the exchange at z.

    W_s is [n, n] for an nn.Linear, as in the paper. For a GraphLayer it is [n, k], where k is the
    mean number of synapses per neuron or, if larger, the number of classes, so that a step costs
    O(E) there as well.

    Args:
        model: The model, as described above.
        kind: "similarity", "prediction" or "both".
        share: The weight of the similarity in "both", from 0 to 1.
        num_classes: The number of classes if the model has no classifier. Its last layer is then
            treated like the others, and its W_p gives the scores. Not possible with "similarity",
            which has no W_p.

    Attributes:
        similarity_heads: W_s in the order of layers and loops.
        prediction_heads: W_p in the same order.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    The returned loss is that of the scores.

    Source: Nøkland and Eidnes, "Training neural networks with local error signals", ICML 2019.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import LocalErrors
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
        ... )
        >>> rule = LocalErrors(model, kind="prediction")
        >>> hidden, scores = rule.losses(torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))
        >>> hidden  # log(3), because W_p starts at zero and all classes are equally likely
        tensor(1.0986, grad_fn=...)
        >>> hidden.backward()
        >>> model[0].weight.grad is None, model[2].weight.grad is None
        (False, True)
    """

    needs_labels = "each of its layers predicts classes"
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
                    "num_classes makes the last layer predict by W_p, which kind='similarity' does "
                    "not have; use kind='both'."
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
        """Return why the model is refused: no order of layers, or weights in other modules."""
        return refuse_unordered(model)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients; return the last loss."""
        losses = self._losses(x, y, together=True)
        # The losses share no parameters except the weights of loops, so one pass suffices.
        torch.stack(losses).sum().backward()
        return losses[-1].detach()

    def losses(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return the loss of every layer and loop, each with a gradient for its own weights only.

        Args:
            x: Samples [B, ...].
            y: Labels [B] int64.

        Returns:
            One loss per layer and loop, in order; the loss of the scores comes last.
        """
        return self._losses(x, y, together=False)

    def predict(self, x: Tensor) -> Tensor:
        """Return the scores [B, classes] of the classifier or, without one, of the last W_p."""
        if self.classifies:
            return self.model(x)
        *_, h = self._activities(x)
        return self.prediction_heads[-1](h)

    def _activities(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the output h [B, n] of every layer and loop, detached from earlier ones."""
        for block in self.blocks:
            follow, dropouts = _part_dropouts(block.after)
            *early, last = cut_states(block.layer, through(block.before, x))
            yield from early
            h = through(follow, last)
            yield h
            x = through(dropouts, h.detach())

    def _losses(self, x: Tensor, y: Tensor, *, together: bool) -> list[Tensor]:
        """Return the losses in order; ``together`` computes those of loops in one pass.

        Their gradients can then only be computed together.
        """
        with self.checked(x, y):
            check_labels(x.new_empty(len(x), self.num_classes), y)
            activities = list(self._activities(x))
            scores = activities.pop() if self.classifies else None
            alike: dict[Hashable, list[int]] = {}
            for place, h in enumerate(activities):
                key = (h.dtype, self._rows(place)) if together else place
                alike.setdefault(key, []).append(place)
            found: dict[int, Tensor] = {}
            for places in alike.values():
                losses = self._loss(places, [activities[place] for place in places], y)
                found |= zip(places, losses.unbind(), strict=True)
        of_hidden = [found[place] for place in range(len(activities))]
        return of_hidden if scores is None else [*of_hidden, functional.cross_entropy(scores, y)]

    def _rows(self, place: int) -> int:
        if self.share == 0:
            return 0
        head = self.similarity_heads[place]
        assert isinstance(head, nn.Linear)
        return head.out_features

    def _loss(self, places: list[int], outputs: list[Tensor], y: Tensor) -> Tensor:
        """Return the losses [L] of outputs h [B, n], each with the heads at its place."""
        loss = outputs[0].new_zeros(len(outputs))
        if self.share > 0:
            found = torch.stack(
                [self.similarity_heads[place](h) for place, h in zip(places, outputs, strict=True)]
            )
            wanted = _onehot(found, y, self.num_classes)
            loss = loss + self.share * similarity_loss(found, wanted)
        if self.share < 1:
            guess = torch.stack(
                [self.prediction_heads[place](h) for place, h in zip(places, outputs, strict=True)]
            )
            of_samples = functional.cross_entropy(
                guess.flatten(0, 1), y.repeat(len(outputs)), reduction="none"
            )
            loss = loss + (1 - self.share) * of_samples.view(len(outputs), -1).mean(1)
        return loss


def similarity(x: Tensor) -> Tensor:
    """Return S [..., B, B], the cosine of centered rows of x [..., B, n]; 0 for a constant row."""
    centered = x - x.mean(-1, keepdim=True)
    norm = centered.norm(dim=-1, keepdim=True)
    # A constant row has no direction; avoid an infinite gradient.
    rows = centered / torch.where(norm > 0, norm, 1)
    return rows @ rows.mT


def similarity_loss(x: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean [...] of (S(x) - S(wanted))^2 over pairs of samples, of x [..., B, n]."""
    return (similarity(x) - similarity(wanted)).square().mean((-2, -1))


def _onehot(like: Tensor, y: Tensor, num_classes: int) -> Tensor:
    return functional.one_hot(y, num_classes).to(like.dtype)


def _widths(block: Block) -> list[int]:
    """Return the width of h after every loop of a block."""
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
    """Return the number of rows of W_s."""
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return max(-(-layer.structure.num_edges // max(layer.num_nodes, 1)), num_classes)


def _part_dropouts(modules: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    """Split the modules of a block into those before its final dropouts, and these dropouts."""
    end = len(modules)
    while end and isinstance(modules[end - 1], nn.Dropout | nn.AlphaDropout):
        end -= 1
    return modules[:end], modules[end:]
