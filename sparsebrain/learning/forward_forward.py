"""Forward-Forward: layers that are active for correct labels and silent for wrong ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning.blocks import Block, exchange, refuse_unordered, split, through
from sparsebrain.learning.credit import out_width
from sparsebrain.learning.rule import NO_SWEEPS, Rule, check_room
from sparsebrain.learning.samples import check_generator, check_samples
from sparsebrain.models.labels import check_labels
from sparsebrain.models.neurons import PlaceNeurons
from sparsebrain.nn.graph_layer import GraphLayer

#: The share of the old state in the new one, and the sweeps whose goodness is summed.
KEPT, FIRST, LAST = 0.3, 3, 5


class LabelInputs(nn.Module):
    """Concatenates a label and the features: x [B, ...] -> [B, K + features].

    The first K inputs encode the label, 1 at the class and 0 elsewhere, or 1/K each if no label is
    given: the neutral label. Hinton overwrites the first ten pixels of MNIST, which are black. Here
    no feature is lost, whatever the data, and the first layer has to be K wider.

    Args:
        num_classes: The number of classes K, 2 or more.

    Raises:
        TypeError: ``num_classes`` is not an integer, or x or labels have a wrong dtype.
        ValueError: ``num_classes`` is less than 2, or labels are out of range.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import LabelInputs
        >>> LabelInputs(2)(torch.tensor([[7.0, 8.0]]), torch.tensor([1]))
        tensor([[0., 1., 7., 8.]])
        >>> LabelInputs(2)(torch.tensor([[7.0, 8.0]]))
        tensor([[0.5000, 0.5000, 7.0000, 8.0000]])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = arguments.count("num_classes", num_classes, at_least=2)
        tensors.room(f"num_classes={num_classes}", 4 * self.num_classes, "pass a smaller number")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Concatenate labels [B] int64, or the neutral label if None, and x."""
        check_samples(x, any_model=False)
        if labels is None:
            label = x.new_full((len(x), self.num_classes), 1 / self.num_classes)
        else:
            check_labels(x.new_empty(len(x), self.num_classes), labels)
            label = functional.one_hot(labels, self.num_classes).to(x.dtype)
        return torch.cat((label, x.flatten(1)), 1)

    def extra_repr(self) -> str:
        """Return the number of classes."""
        return str(self.num_classes)


class ForwardForward(Rule):
    r"""Forward-Forward: two forward passes replace the forward and the backward pass.

    Each layer learns by itself to be active for an image with its label and silent for one with a
    wrong label. The goodness g of a layer with output z [n] is the sum of squares:

    .. math::
        g = \sum_i z_i^2, \qquad p(\text{true}) = \sigma(g - \theta), \qquad \theta = n, \qquad
        L = -\log p(\text{true})\ \text{or}\ -\log(1 - p(\text{true}))

    A layer receives only z / sqrt(mean z^2) of the previous one, without a gradient, so that the
    activity of the previous layer, which is its answer, is not passed on. Peer normalization adds
    0.03 mean_j(mean_i m_i - m_j)^2, where m_j is the mean activity of unit j over the true half of
    a batch, which prevents units from being always silent or always active.

    The rule accepts an nn.Sequential that begins with :class:`LabelInputs`, without batch or layer
    normalization, which would undo what is learned, in one of two forms. ``build`` makes both forms
    with rectifiers and with He initialization of nn.Linear, so that goodness starts near its
    threshold.

    *Layered*: nn.Linear, or GraphLayer with one loop, each with its activation. The answer is the
    label with the highest goodness summed over all layers except the first.

    *Recurrent*, if the model ends in a GraphLayer with ``inject=True``: Hinton's net with top-down
    connections, on any graph. Label and image are held during all loops. Each loop is a sweep in
    which all neurons change synchronously; the goodness above is that of one group of neurons:

    .. math::
        x(t + 1) = 0.3\, x(t) + 0.7\, f(W n(x(t)) + b + \mathrm{drive}), \qquad
        x(0) = f(b + \mathrm{drive})

    The function n normalizes each group of neurons like a layer of its own; without ``groups`` all
    neurons form one group. The drive is computed by the modules before the GraphLayer: an
    nn.Linear, whose synapses from label and image learn with the graph's, and PlaceNeurons if only
    some neurons receive inputs. nn.Sequential(LabelInputs(K), PlaceNeurons(...), GraphLayer(...))
    therefore has only the graph's own synapses, and the first K placed neurons represent the label.
    Each sweep is trained separately. The goodness of sweeps 3 to 5 of usually 8 determines the
    label, or that of the last sweep if there are fewer than 3.

    Args:
        model: The model, as described above.
        predict_by: "goodness" tries all labels; "softmax" applies a linear layer of the rule to the
            normalized activities of the same layers or sweeps under the neutral label.
        negatives: "uniform" draws any wrong label; "hard" prefers those to which the softmax
            assigns a high probability.
        peer: The weight of the peer normalization, 0 or more.
        groups: The groups [N] int64 of the neurons of a recurrent form, such as
            ``connectome.node_type``.
        generator: The generator that draws the wrong labels; torch's global one by default.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    The returned loss is the sum over layers or sweeps, and of the softmax if there is one.

    Source: Hinton, "The forward-forward algorithm: some preliminary investigations", arXiv
    2212.13345, 2022.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import ForwardForward
        >>> rule = ForwardForward(ForwardForward.build(None, 4, 3))
        >>> rule.model[0], rule.model[1]
        (LabelInputs(3), Linear(in_features=7, out_features=16, bias=True))
        >>> rule.predict(torch.randn(5, 4)).shape
        torch.Size([5, 3])
    """

    needs_labels = "the label is a part of its input"
    learning_rate = 3e-3

    num_classes: int
    groups: Tensor | None
    head: nn.Linear | None

    def __init__(
        self,
        model: nn.Module,
        *,
        predict_by: str = "goodness",
        negatives: str = "uniform",
        peer: float = 0.03,
        groups: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model)
        arguments.option("predict_by", predict_by, ("goodness", "softmax"))
        arguments.option("negatives", negatives, ("uniform", "hard"))
        self.predict_by, self.negatives = predict_by, negatives
        self.peer = arguments.real("peer", peer)
        self.generator = check_generator(generator, model)
        self.blocks = split(model)
        self.num_classes = self._label.num_classes
        self.register_buffer("groups", self._check_groups(groups))
        self.head = None
        if predict_by == "softmax" or negatives == "hard":
            weight = self.blocks[0].layer.weight
            self.head = nn.Linear(
                sum(self._widths()), self.num_classes, device=weight.device, dtype=weight.dtype
            )
            for parameter in self.head.parameters():
                nn.init.zeros_(parameter)

    @property
    def _label(self) -> LabelInputs:
        label = self.blocks[0].before[0]
        assert isinstance(label, LabelInputs)
        return label

    @property
    def _graph(self) -> GraphLayer | None:
        return _recurrent(self.blocks)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the model is refused: its inputs, its loops or a normalization do not fit."""
        reason = refuse_unordered(model)
        if reason is not None:
            return reason
        blocks = split(model)
        if not blocks[0].before or not isinstance(blocks[0].before[0], LabelInputs):
            return (
                "labels are part of the input; begin it with learning.LabelInputs(num_classes) and "
                "make its first layer num_classes wider, or use ForwardForward.build."
            )
        for module in model.modules():
            if isinstance(module, _NormBase | nn.LayerNorm | nn.GroupNorm | nn.RMSNorm):
                return (
                    f"{type(module).__name__} undoes the activity of a layer, which is what it "
                    "learns; remove it, because the rule normalizes activities between layers."
                )
        if any(isinstance(b.layer, GraphLayer) and b.layer.form == "voltage" for b in blocks):
            return (
                "goodness is that of rates, and the states of a GraphLayer are potentials; make it "
                "with form='rate'."
            )
        return _refuse_loops(blocks)

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        label, width = LabelInputs(num_classes), in_features + num_classes
        check_room(width, hidden, hidden)
        first, second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
        return _at_threshold(label, first, nn.ReLU(), second, nn.ReLU())

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        if isinstance(loops, Equilibrium):
            raise ValueError(f"{cls.__name__} cannot train this model: {NO_SWEEPS}")
        label, width = LabelInputs(num_classes), in_features + num_classes
        graph = GraphLayer(connectome, loops, activation="relu", bias=True, inject=True)
        check_room(width, graph.num_nodes, 0)
        return _at_threshold(label, nn.Linear(width, graph.num_nodes), graph)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B] and wrong ones, fill gradients, return the
        loss.
        """
        check_labels(x.new_empty(len(x), self.num_classes), y)
        loss, weight = self._read(x, y)
        labels = torch.cat((y, self._wrong(weight, y)))
        active = self.activities(torch.cat((x, x)), labels)
        losses, grads = zip(*[self.loss_and_gradient(z.detach()) for z in active], strict=True)
        roots = active if self.head is None else [loss, *active]
        torch.autograd.backward(roots, [None] * (len(roots) - len(active)) + [*grads])
        return loss.detach() + torch.stack(losses).sum()

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the goodness [B, K] of x [B, ...] under every label, or the softmax logits."""
        if self.predict_by == "softmax":
            return self._softmax(x)
        labels = torch.arange(self.num_classes, device=x.device).repeat(len(x))
        tried = self.activities(x.repeat_interleave(self.num_classes, 0), labels)
        scores = torch.stack([self.goodness(z).sum(1) for z in self._counted(tried)])
        return scores.sum(0).view(len(x), self.num_classes)

    def activities(self, x: Tensor, labels: Tensor | None) -> list[Tensor]:
        """Compute the output of every layer, or the state after every sweep.

        Args:
            x: Samples [B, ...].
            labels: Labels [B] int64; None for the neutral label.

        Returns:
            z [B, n] of every layer, or x(t) after every sweep. Each has a gradient for the weights
            of its last step only.
        """
        with self.checked(x):
            return self._activities(x, labels)

    def _activities(self, x: Tensor, labels: Tensor | None) -> list[Tensor]:
        x = self._label(x, labels)
        if self._graph is not None:
            return self._sweeps(x, self._graph)
        return self.layers(through(self.blocks[0].before[1:], x))

    def layers(self, x: Tensor) -> list[Tensor]:
        """Compute the output of every layer of a layered form from the input of its first layer.

        A part of a model learns with it from the output of the part before, whose values already
        belong to true and wrong labels.

        Args:
            x: The input [B, n] of the first layer, which follows :class:`LabelInputs`.

        Returns:
            z [B, n] of every layer. Each has a gradient for the weights of that layer only.

        Raises:
            ValueError: The form is recurrent.
        """
        if self._graph is not None:
            raise ValueError(
                "the model is recurrent, and its sweeps need the drive of its input; call "
                "rule.activities(x, labels)."
            )
        found = []
        for block in self.blocks:
            z = through(block.after, block.layer(normalize(x)))
            found.append(z)
            x = z.detach()
        return found

    def goodness(self, z: Tensor) -> Tensor:
        """Return the sum of squares of z [B, n], per group in a recurrent form: [B, groups]."""
        return _sums(z.square(), self.groups)

    def layer_loss(self, z: Tensor) -> Tensor:
        """Return the loss of one layer or sweep from z [2B, n]; the first B labels are true."""
        logits = self.goodness(z) - _sizes(z, self.groups)
        half = len(z) // 2
        wanted = torch.zeros_like(logits)
        wanted[:half] = 1
        means = z[:half].mean(0)
        peers = (means.mean() - means).square().mean()
        # Twice the mean, because a pair of a true and a wrong label counts as one sample.
        loss = 2 * functional.binary_cross_entropy_with_logits(logits, wanted)
        return loss + self.peer * peers

    @torch.no_grad()
    def loss_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return :meth:`layer_loss` of z [2B, n] and its gradient [2B, n], in few passes over z."""
        logits = self.goodness(z) - _sizes(z, self.groups)
        half = len(z) // 2
        wanted = torch.zeros_like(logits)
        wanted[:half] = 1
        loss = 2 * functional.binary_cross_entropy_with_logits(logits, wanted)
        # Of the sum of squares 2 z, times that of the cross-entropy.
        factor = (torch.sigmoid(logits) - wanted) * (4 / logits.numel())
        grad = z * (factor if self.groups is None else factor.index_select(1, self.groups))
        if self.peer:
            means = z[:half].mean(0)
            apart = means - means.mean()
            loss = loss + self.peer * apart.square().mean()
            grad[:half] += apart * (2 * self.peer / (len(apart) * half))
        return loss, grad

    def _sweeps(self, x: Tensor, graph: GraphLayer) -> list[Tensor]:
        """Return the states of a recurrent form while its input is held."""
        first = self.blocks[0]
        x = through(first.before[1:], normalize(x))
        if len(self.blocks) > 1:
            x = through([first.layer, *first.after], x)
        with torch.no_grad():
            state = exchange(graph, torch.zeros_like(x), x)
        states = []
        for _ in range(_sweep_count(graph)):
            new = exchange(graph, normalize(state, self.groups), x)
            states.append(torch.lerp(new, state, KEPT))
            state = states[-1].detach()
        return states

    def _counted(self, found: list[Tensor]) -> list[Tensor]:
        """Return the layers or sweeps whose goodness determines the label."""
        return (found[1:] if self._graph is None else found[FIRST - 1 : LAST]) or found[-1:]

    def _widths(self) -> list[int]:
        """Return the widths of the layers or sweeps that determine the label."""
        graph = self._graph
        if graph is not None:
            return [graph.num_nodes] * (len(range(_sweep_count(graph))[FIRST - 1 : LAST]) or 1)
        widths = [out_width(block.layer) for block in self.blocks]
        return widths[1:] or widths

    def _softmax(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            seen = [normalize(z, self.groups) for z in self._counted(self.activities(x, None))]
        assert self.head is not None
        return self.head(torch.cat(seen, 1))

    def _read(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the softmax, and the weight of each label for drawing a wrong one."""
        loss, weight = x.new_zeros(()), x.new_ones(len(x), self.num_classes)
        if self.head is not None:
            logits = self._softmax(x)
            loss = functional.cross_entropy(logits, y)
            if self.negatives == "hard":
                weight = logits.detach().softmax(1)
        return loss, weight

    def _wrong(self, weight: Tensor, y: Tensor) -> Tensor:
        # If the softmax is certain of the right label, all others are equally likely.
        weight = weight.clamp(min=1e-6).scatter(1, y.unsqueeze(1), 0)
        return torch.multinomial(weight, 1, generator=self.generator).squeeze(1)

    def _check_groups(self, groups: Tensor | None) -> Tensor | None:
        if groups is None:
            return None
        if self._graph is None:
            raise ValueError(
                "groups are those of the neurons of the recurrent form, and this model is layered; "
                "pass groups=None."
            )
        size = self._graph.num_nodes
        tensors.tensor(
            "groups", groups, (size,), dtypes=tensors.INTEGERS, fix="pass connectome.node_type"
        )
        return groups.unique(return_inverse=True)[1].to(self._graph.weight.device)


def normalize(z: Tensor, groups: Tensor | None = None) -> Tensor:
    """Scale each row of z [B, n], or each group in it, to a mean square of 1; zero stays zero."""
    if groups is None:
        rms = torch.linalg.vector_norm(z, dim=1, keepdim=True) / math.sqrt(z.size(1))
    else:
        rms = (_sums(z.square(), groups) / _sizes(z, groups)).sqrt()
    rms = torch.where(rms > 0, rms, 1)
    return z / (rms if groups is None else rms.index_select(1, groups))


def _sums(values: Tensor, groups: Tensor | None) -> Tensor:
    """Return the sum of each row of [B, n], or of each group: [B, 1] or [B, groups]."""
    if groups is None:
        return values.sum(1, keepdim=True)
    empty = values.new_zeros(len(values), int(groups.max()) + 1)
    return empty.index_add(1, groups, values)


def _sizes(z: Tensor, groups: Tensor | None) -> Tensor:
    """Return the number of units of z [B, n], or of each group: [1, 1] or [1, groups]."""
    return _sums(torch.ones_like(z[:1]), groups)


def _recurrent(blocks: list[Block]) -> GraphLayer | None:
    """Return the layer of a recurrent form, or None in a layered one."""
    last = blocks[-1].layer
    return last if isinstance(last, GraphLayer) and last.inject else None


def _sweep_count(graph: GraphLayer) -> int:
    assert isinstance(graph.loops, int)
    return graph.loops


def _refuse_loops(blocks: list[Block]) -> str | None:
    graph = _recurrent(blocks)
    layers = [block.layer for block in blocks]
    if graph is None:
        looped = [each for each in layers if isinstance(each, GraphLayer) and each.loops != 1]
        if not looped:
            return None
        return (
            f"{looped[0]} has loops, during which its input must be held; make it with inject=True "
            "as the last layer of the model, or use ForwardForward.build."
        )
    if isinstance(graph.loops, Equilibrium):
        return NO_SWEEPS
    if graph.leak is not None:
        return "sweeps already mix the old and the new state; use leak=None."
    before = [part for block in blocks[:-1] for part in block.after]
    if (
        len(layers) > 2
        or blocks[-1].after
        or any(isinstance(each, GraphLayer) for each in layers[:-1])
        or not all(isinstance(part, PlaceNeurons) for part in before)
    ):
        return (
            "only LabelInputs, one nn.Linear and PlaceNeurons may precede a GraphLayer with "
            "inject=True, and nothing may follow it; use GraphLayer(activation='relu') for its "
            "activation."
        )
    return None


def _at_threshold(*modules: nn.Module) -> nn.Sequential:
    model = nn.Sequential(*modules)
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return model
