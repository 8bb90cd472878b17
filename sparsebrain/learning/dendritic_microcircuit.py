"""Dendritic microcircuits: errors are what interneurons cannot explain of the feedback."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning.blocks import Block, refuse_unordered, split, through
from sparsebrain.learning.credit import Weighted, draw_like, out_width
from sparsebrain.learning.rule import Rule, check_room
from sparsebrain.learning.samples import check_generator
from sparsebrain.models.labels import check_labels
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.misfits import check_fit
from sparsebrain.nn.recurrence import to_columns

#: The rates that output neurons are nudged to: of the other classes, and of the label.
LOW, HIGH = 0.1, 0.8

_LOOPS = (
    "on a loop a neuron stands above and below itself, so that the two steps, up and then down, "
    "have no order; "
)


_NARROW = (
    "it learns from small differences of rates, which weights narrower than float32 round away; "
    "call model.float(), and the rule under torch.autocast where other modules should be narrower."
)


class Potentials(NamedTuple):
    """Of pyramidal cells in layers 1..N, and of the interneurons of the hidden layers 1..N-1.

    All [B, n]; ``predicted`` and ``interneuron_predicted`` are v_B and v_I less what leaks.
    """

    rates: list[Tensor]
    basal: list[Tensor]
    predicted: list[Tensor]
    somatic: list[Tensor]
    apical: list[Tensor]
    interneuron_predicted: list[Tensor]
    interneuron: list[Tensor]


class _Hidden(NamedTuple):
    """The potentials of one hidden layer: u_k, v_A, what interneurons predict, and theirs u^I."""

    somatic: Tensor
    apical: Tensor
    interneuron_predicted: Tensor
    interneuron: Tensor


class DendriticMicrocircuit(Rule):
    r"""Pyramidal cells whose apical dendrites compare feedback with what interneurons predict.

    The two-step form for classification. First up, k = 1..N, with rates r = phi(u), phi the
    logistic function, r_0 = x and a threshold b that learns:

    .. math:: u_k = v_{B,k} = W_{k,k-1} r_{k-1} + b_k

    Then the output is nudged, and potentials are found downwards, k = N-1..1:

    .. math::
        u_N &= (1 - \lambda_N) v_{B,N} + \lambda_N u^\mathrm{target} \\
        v^I_k &= W^{IP}_k r_k + b^I_k, \qquad
        u^I_k = (1 - \lambda_I) \hat v^I_k + \lambda_I u_{k+1} \\
        v_{A,k} &= W_{k,k+1} \varphi(u_{k+1}) + W^{PI}_k \varphi(u^I_k) \\
        u_k &= (1 - \lambda_k) v_{B,k} + \lambda_k v_{A,k}

    and every synapse learns from its own dendrite, with the final rates:

    .. math::
        \Delta W_{k,k-1} &= (\varphi(u_k) - \varphi(\hat v_{B,k})) r_{k-1}^T, \qquad
        \Delta W^{IP}_k = (\varphi(u^I_k) - \varphi(\hat v^I_k)) r_k^T \\
        \Delta W^{PI}_k &= (0 - v_{A,k}) (r^I_k)^T

    Hats are for what leaks on the way to the soma, and what a soma would be at without the other
    dendrite: of a hidden layer \hat v_B = (1 - \lambda_k) v_B, of the output v_B. An interneuron is
    like the cell of the layer above that it stands for: \hat v^I_k = (1 - \lambda_{k+1}) v^I_k, or
    v^I_k below the output. So in the self-predicting state, W^{PI}_k = -W_{k,k+1} and
    W^{IP}_k = W_{k+1,k}, without a target v_A is exactly zero and nothing is learned, at any depth.
    With one v_A carries the error,

    .. math::
        v_{A,N-1} / \lambda_N \to
            (1 - \lambda_I) W_{N-1,N} \varphi'(v_{B,N}) (u^\mathrm{target} - v_{B,N})
        \quad (\lambda_N \to 0).

    Up and down are one state of the circuit, in which all synapses learn at once; targets are the
    potentials of rates 0.8 for the label and 0.1 for the others.

    Accepts an nn.Sequential of nn.Linear, or GraphLayer of one loop, each followed by nn.Sigmoid,
    which may be missing after the last. Refused on loops: there the two steps are undefined, and
    ``build`` takes a connectome, as the synapses of one layer, with ``loops=1`` alone.

    Args:
        model: as above.
        output_nudge, interneuron_nudge, apical_share: lambda_N, lambda_I, and lambda_k of all
            hidden layers, each between 0 and 1.
        self_predicting: start in that state; else W^{IP} and W^{PI} are drawn.
        plastic_inhibition: W^{PI} learns, too. The paper keeps it fixed on MNIST: under a target
            that never leaves it silences errors together with feedback.
        rescale: divide what a synapse learns by how much the lambdas have thinned its teacher, as
            the paper does by its learning rates.
        generator: draws W_{k,k+1}, which stays; torch's own by default.

    Attributes:
        feedback: W_{k,k+1} of k = 1..N-1, in the layout of the weight of layer k+1.
        inhibition: W^{PI}_k, in the same layout: both are applied backwards.
        to_interneurons, interneuron_bias: W^{IP}_k and b^I_k.

    The loss that is returned is 1/2 |phi(v_B,N) - target rates|^2, the mean over the batch.

    Source: Sacramento, Costa, Bengio and Senn, "Dendritic cortical microcircuits approximate the
    backpropagation algorithm", NeurIPS 2018.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import DendriticMicrocircuit
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Linear(4, 8), torch.nn.Sigmoid(), torch.nn.Linear(8, 3)
        ... )
        >>> rule = DendriticMicrocircuit(model)
        >>> (silent,) = rule.potentials(torch.rand(5, 4)).apical
        >>> int(silent.count_nonzero())
        0
        >>> (error,) = rule.potentials(torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])).apical
        >>> int(error.count_nonzero())
        40
    """

    learning_rate = 3e-3

    def __init__(
        self,
        model: nn.Module,
        *,
        output_nudge: float = 0.1,
        interneuron_nudge: float = 0.1,
        apical_share: float = 0.1,
        self_predicting: bool = True,
        plastic_inhibition: bool = False,
        rescale: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model)
        self.output_nudge = _check_share("output_nudge", output_nudge)
        self.interneuron_nudge = _check_share("interneuron_nudge", interneuron_nudge)
        self.apical_share = _check_share("apical_share", apical_share)
        self_predicting = arguments.flag("self_predicting", self_predicting)
        plastic_inhibition = arguments.flag("plastic_inhibition", plastic_inhibition)
        self.rescale = arguments.flag("rescale", rescale)
        generator = check_generator(generator, model)
        blocks = split(model)
        self.before, self.layers = blocks[0].before, [block.layer for block in blocks]
        self.num_classes = out_width(self.layers[-1])
        self.feedback, self.inhibition = nn.ParameterList(), nn.ParameterList()
        self.to_interneurons, self.interneuron_bias = nn.ParameterList(), nn.ParameterList()
        for layer in self.layers[1:]:
            weight = _weight(layer).detach()
            offset = _offset(layer)
            bias = weight.new_zeros(out_width(layer)) if offset is None else offset.detach()
            draws = 1 if self_predicting else 3
            back, *lateral = (draw_like(weight, generator) for _ in range(draws))
            self.feedback.append(nn.Parameter(back, requires_grad=False))
            to, inhibition = lateral or (weight.clone(), -back)
            self.inhibition.append(nn.Parameter(inhibition, requires_grad=plastic_inhibition))
            self.to_interneurons.append(nn.Parameter(to))
            self.interneuron_bias.append(
                nn.Parameter(bias.clone(), requires_grad=offset is not None)
            )

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Why not: it has loops, or something else than a logistic function between layers."""
        reason = refuse_unordered(model)
        if reason is not None:
            return reason
        blocks = split(model)
        if any(block.layer.weight.dtype not in kernels.DTYPES for block in blocks):
            return _NARROW
        if any(isinstance(b.layer, GraphLayer) and b.layer.loops != 1 for b in blocks):
            return (
                f"{_LOOPS}give every GraphLayer loops=1, or use DendriticMicrocircuit.build(..., "
                "loops=1)."
            )
        for block in blocks:
            if not _is_logistic(block, last=block is blocks[-1]):
                return (
                    "its neurons have logistic rates and nothing else between their layers; let "
                    f"nn.Sigmoid follow {block.layer}, without activation, inject, leak or noise "
                    "of its own and without normalisation, or use DendriticMicrocircuit.build."
                )
        return None

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(in_features, hidden),
            nn.Sigmoid(),
            nn.Linear(hidden, num_classes),
            nn.Sigmoid(),
        )

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        if loops != 1:
            raise ValueError(
                f"{cls.__name__} cannot teach this model: {_LOOPS}got loops={loops!r}, pass "
                "loops=1, for the connectome as one layer of synapses, or None in its place, for "
                "the model without."
            )
        graph = GraphLayer(connectome, 1, bias=True)
        check_room(in_features, graph.num_nodes, num_classes)
        return nn.Sequential(
            nn.Linear(in_features, graph.num_nodes),
            nn.Sigmoid(),
            graph,
            nn.Sigmoid(),
            nn.Linear(graph.num_nodes, num_classes),
            nn.Sigmoid(),
        )

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the circuit on x [B, ...] with labels y [B], fill gradients, return the loss."""
        found = self.potentials(x, y)
        errors = [
            torch.sigmoid(soma) - torch.sigmoid(alone)
            for soma, alone in zip(found.somatic, found.predicted, strict=True)
        ]
        thinned = self._thinned()
        for layer, error, rate, thin in zip(self.layers, errors, found.rates, thinned, strict=True):
            _teach(_weight(layer), _outer(layer, error / thin, rate))
            offset = _offset(layer)
            if offset is not None:
                _teach(offset, -(error / thin).mean(0))
        for k, layer in enumerate(self.layers[1:]):
            rate = torch.sigmoid(found.interneuron[k])
            error = rate - torch.sigmoid(found.interneuron_predicted[k])
            if self.rescale:
                # By its own teacher's share alone: what it still misses of the cell above is not
                # thinned by the others, and would be overshot.
                error = error / self.interneuron_nudge
            _teach(self.to_interneurons[k], _outer(layer, error, found.rates[k + 1]))
            _teach(self.interneuron_bias[k], -error.mean(0))
            # A synapse from an interneuron lies as one from the layer above does: backwards.
            _teach(self.inhibition[k], _outer(layer, rate, -found.apical[k]))
        miss = torch.sigmoid(found.basal[-1]) - self._target(found.basal[-1], y)
        return 0.5 * miss.square().sum(1).mean()

    @torch.no_grad()
    def potentials(self, x: Tensor, y: Tensor | None = None) -> Potentials:
        """All potentials for x [B, ...], with the labels y [B] or without a target."""
        with self.checked(x, y):
            dtype = self.layers[0].weight.dtype
            if dtype not in kernels.DTYPES:
                raise TypeError(f"the model's weights are {dtype}: {_NARROW}")
            if y is not None:
                check_labels(x.new_empty(len(x), self.num_classes), y)
            if torch.is_autocast_enabled(x.device.type):
                x = x.to(dtype)
            # Without autocast, since small differences of rates are learned from.
            with torch.autocast(x.device.type, enabled=False):
                return self._potentials(x, y)

    def _potentials(self, x: Tensor, y: Tensor | None) -> Potentials:
        inputs, basal = through(self.before, x), list[Tensor]()
        if inputs.dim() != 2:
            raise ValueError(
                f"x must reach the first layer as [B, features], got {list(inputs.shape)}; pass "
                "x.flatten(1)."
            )
        rate = inputs
        for layer in self.layers:
            basal.append(_forth(layer, _weight(layer), _offset(layer), rate))
            rate = torch.sigmoid(basal[-1])
        top = basal[-1]
        output = top
        if y is not None:
            output = torch.lerp(top, self._target(top, y).logit(), self.output_nudge)
        above, hidden = output, list[_Hidden]()
        for k in reversed(range(len(self.layers) - 1)):
            hidden.insert(0, self._hidden(k, basal[k], above))
            above = hidden[0].somatic
        kept = 1 - self.apical_share
        return Potentials(
            rates=[inputs, *(torch.sigmoid(each.somatic) for each in hidden)],
            basal=basal,
            predicted=[*(kept * v for v in basal[:-1]), top],
            somatic=[*(each.somatic for each in hidden), output],
            apical=[each.apical for each in hidden],
            interneuron_predicted=[each.interneuron_predicted for each in hidden],
            interneuron=[each.interneuron for each in hidden],
        )

    def _hidden(self, k: int, basal: Tensor, above: Tensor) -> _Hidden:
        """Hidden layer k, numbered from 0, below cells with the somatic potentials ``above``."""
        layer, kept = self.layers[k + 1], 1 - self.apical_share
        # An interneuron leaks as the cell does that it stands for, and the output does not.
        leaks = kept if k + 2 < len(self.layers) else 1
        weight, bias = self.to_interneurons[k], self.interneuron_bias[k]
        predicted = leaks * _forth(layer, weight, bias, torch.sigmoid(basal))
        interneuron = torch.lerp(predicted, above, self.interneuron_nudge)
        feedback = _back(layer, self.feedback[k], torch.sigmoid(above))
        inhibition = _back(layer, self.inhibition[k], torch.sigmoid(interneuron))
        apical = feedback + inhibition
        somatic = kept * basal + self.apical_share * apical
        return _Hidden(somatic, apical, predicted, interneuron)

    def _target(self, like: Tensor, y: Tensor) -> Tensor:
        """The rates [B, K] that the output should have."""
        onehot = functional.one_hot(y, self.num_classes).to(like.dtype)
        return LOW + (HIGH - LOW) * onehot

    def _thinned(self) -> list[float]:
        """Of every layer the share of the output's error that reaches it through the lambdas."""
        if not self.rescale:
            return [1.0] * len(self.layers)
        share = self.apical_share * (1 - self.interneuron_nudge)
        depths = reversed(range(len(self.layers)))
        return [self.output_nudge * share**depth for depth in depths]


def _check_share(name: str, share: float) -> float:
    share = arguments.real(name, share)
    if not 0 < share < 1:
        raise ValueError(
            f"{name} must lie between 0 and 1, got {share:g}; pass for example {name}=0.1."
        )
    return share


def _is_logistic(block: Block, *, last: bool) -> bool:
    layer = block.layer
    if isinstance(layer, GraphLayer):
        more = layer.activation != "none" or layer.inject or layer.leak is not None or layer.noise
        if more:
            return False
    kinds = [type(module) for module in block.after]
    return kinds == [nn.Sigmoid] or (last and not kinds)


def _teach(parameter: Tensor, grad: Tensor) -> None:
    """Add to the gradient of what a weight is made of, as backward() does."""
    if parameter.requires_grad:
        with torch.enable_grad():
            torch.autograd.backward(parameter, grad)


def _weight(layer: Weighted) -> Tensor:
    """The weights of its synapses, as part of the graph that leads to its parameters."""
    with torch.enable_grad():
        return layer.weight_per_synapse() if isinstance(layer, GraphLayer) else layer.weight


def _offset(layer: Weighted) -> Tensor | None:
    """What is added to its sums, likewise."""
    with torch.enable_grad():
        return layer.bias_per_neuron() if isinstance(layer, GraphLayer) else layer.bias


def _forth(layer: Weighted, weight: Tensor, bias: Tensor | None, rate: Tensor) -> Tensor:
    """Sums [B, targets] of rates [B, sources] along the synapses of a layer."""
    if isinstance(layer, nn.Linear):
        check_fit(layer, rate)
        return functional.linear(rate, weight, bias)
    columns = to_columns(rate, layer.num_nodes, node_first=False)
    sums = kernels.propagate(layer.structure, weight, columns, backend=layer.backend).t()
    return sums if bias is None else sums + bias


def _back(layer: Weighted, weight: Tensor, rate: Tensor) -> Tensor:
    """Sums [B, sources] of rates [B, targets] against the synapses of a layer."""
    if isinstance(layer, nn.Linear):
        return rate @ weight
    columns = to_columns(rate, layer.num_nodes, node_first=False)
    return kernels.backpropagate(layer.structure, weight, columns, backend=layer.backend).t()


def _outer(layer: Weighted, post: Tensor, pre: Tensor) -> Tensor:
    """Minus the mean over the batch of the products of both ends of every synapse of a layer."""
    post = post / -len(post)
    if isinstance(layer, nn.Linear):
        return post.T @ pre
    ends = (to_columns(each, layer.num_nodes, node_first=False) for each in (post, pre))
    return kernels.correlate(layer.structure, *ends, backend=layer.backend)
