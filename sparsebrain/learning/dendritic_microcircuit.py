"""Dendritic microcircuits: the error is the feedback that interneurons do not predict."""

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

#: The target rates of output neurons: for the other classes, and for the label.
LOW, HIGH = 0.1, 0.8

_LOOPS = (
    "on a loop a neuron is above and below itself, so that the two passes, up and then down, have "
    "no order; "
)


_NARROW = (
    "it learns from small differences of rates, which weights narrower than float32 round away; "
    "call model.float(), and use torch.autocast if other modules should be narrower."
)


class Potentials(NamedTuple):
    """The potentials of pyramidal cells in layers 1..N and of interneurons in hidden layers 1..N-1.

    All tensors are [B, n]. ``predicted`` and ``interneuron_predicted`` are v_B and v_I, attenuated
    by the leak.
    """

    rates: list[Tensor]
    basal: list[Tensor]
    predicted: list[Tensor]
    somatic: list[Tensor]
    apical: list[Tensor]
    interneuron_predicted: list[Tensor]
    interneuron: list[Tensor]


class _Hidden(NamedTuple):
    """The potentials of one hidden layer: u_k, v_A, the predicted and the actual u^I."""

    somatic: Tensor
    apical: Tensor
    interneuron_predicted: Tensor
    interneuron: Tensor


class DendriticMicrocircuit(Rule):
    r"""Dendritic microcircuits: apical dendrites compare feedback with predictions of interneurons.

    This is the two-step form for classification. The first pass goes up, k = 1..N, with rates
    r = phi(u), where phi is the logistic function, r_0 = x, and b is a learned bias:

    .. math:: u_k = v_{B,k} = W_{k,k-1} r_{k-1} + b_k

    The output is then nudged, and potentials are computed downwards, k = N-1..1:

    .. math::
        u_N &= (1 - \lambda_N) v_{B,N} + \lambda_N u^\mathrm{target} \\
        v^I_k &= W^{IP}_k r_k + b^I_k, \qquad
        u^I_k = (1 - \lambda_I) \hat v^I_k + \lambda_I u_{k+1} \\
        v_{A,k} &= W_{k,k+1} \varphi(u_{k+1}) + W^{PI}_k \varphi(u^I_k) \\
        u_k &= (1 - \lambda_k) v_{B,k} + \lambda_k v_{A,k}

    Every synapse learns from its own dendrite, with the final rates:

    .. math::
        \Delta W_{k,k-1} &= (\varphi(u_k) - \varphi(\hat v_{B,k})) r_{k-1}^T, \qquad
        \Delta W^{IP}_k = (\varphi(u^I_k) - \varphi(\hat v^I_k)) r_k^T \\
        \Delta W^{PI}_k &= (0 - v_{A,k}) (r^I_k)^T

    A hat marks a potential attenuated on the way to the soma, which is the somatic potential
    without the other dendrite: \hat v_B = (1 - \lambda_k) v_B in a hidden layer, and v_B in the
    output layer. An interneuron corresponds to one cell of the layer above: \hat v^I_k = (1 -
    \lambda_{k+1}) v^I_k, or v^I_k below the output. In the self-predicting state, W^{PI}_k =
    -W_{k,k+1} and W^{IP}_k = W_{k+1,k}, v_A is therefore exactly zero without a target, and nothing
    is learned, at any depth. With a target, v_A carries the error:

    .. math::
        v_{A,N-1} / \lambda_N \to
            (1 - \lambda_I) W_{N-1,N} \varphi'(v_{B,N}) (u^\mathrm{target} - v_{B,N})
        \quad (\lambda_N \to 0).

    Both passes belong to one state of the circuit, in which all synapses learn at once. Targets are
    the potentials of rate 0.8 for the label and 0.1 for the other classes.

    The rule accepts an nn.Sequential of nn.Linear, or GraphLayer with one loop, each followed by
    nn.Sigmoid, which may be missing after the last; weights are float32 or float64. Loops are
    refused, because the two passes are undefined on them; ``build`` takes a connectome, as the
    synapses of one layer, with ``loops=1`` only.

    Args:
        model: The model, as described above.
        output_nudge: lambda_N, between 0 and 1.
        interneuron_nudge: lambda_I, between 0 and 1.
        apical_share: lambda_k of all hidden layers, between 0 and 1.
        self_predicting: Start in the self-predicting state; otherwise W^{IP} and W^{PI} are random.
        plastic_inhibition: Whether W^{PI} learns, too. The paper keeps it fixed on MNIST: under a
            permanent target, it would learn to cancel the errors together with the feedback.
        rescale: Divide the change of a synapse by the attenuation of its teaching signal through
            the lambdas, as the paper does by its learning rates.
        generator: The generator that draws W_{k,k+1}, which is fixed; torch's global one by
            default.

    Attributes:
        feedback: W_{k,k+1} for k = 1..N-1, in the layout of the weight of layer k+1.
        inhibition: W^{PI}_k, in the same layout: both are applied backwards.
        to_interneurons: W^{IP}_k.
        interneuron_bias: b^I_k.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    The returned loss is ``1/2 |phi(v_B,N) - target rates|^2``, the mean over the batch.

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

    needs_labels = "its output is nudged towards one class"
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
        """Return why the model is refused: loops, narrow weights, or other activations."""
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
                    "each layer must be followed by nn.Sigmoid alone; put nn.Sigmoid after "
                    f"{block.layer}, without normalization and without activation, inject, leak or "
                    "noise in the layer, or use DendriticMicrocircuit.build."
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
                f"{cls.__name__} cannot train this model: {_LOOPS}got loops={loops!r}; pass "
                "loops=1 to use the connectome as one layer of synapses, or connectome=None."
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
        """Run the circuit on x [B, ...] with labels y [B], fill gradients, and return the loss."""
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
                # Divide by the share of its own teacher only: the remaining error with respect to
                # the cell above is not attenuated by the others, and would be overshot.
                error = error / self.interneuron_nudge
            _teach(self.to_interneurons[k], _outer(layer, error, found.rates[k + 1]))
            _teach(self.interneuron_bias[k], -error.mean(0))
            # Synapses from interneurons have the layout of those from the layer above: backwards.
            _teach(self.inhibition[k], _outer(layer, rate, -found.apical[k]))
        miss = torch.sigmoid(found.basal[-1]) - self._target(found.basal[-1], y)
        return 0.5 * miss.square().sum(1).mean()

    @torch.no_grad()
    def potentials(self, x: Tensor, y: Tensor | None = None) -> Potentials:
        """Compute all potentials.

        Args:
            x: Samples [B, ...] of the dtype of the weights.
            y: Labels [B] int64, or None for no target.

        Returns:
            The potentials of all cells.

        Raises:
            TypeError: ``x`` or ``y`` has a wrong type or dtype, or weights are narrower than
                float32.
            ValueError: ``x`` or ``y`` has a wrong shape or value.
        """
        with self.checked(x, y):
            dtype = self.layers[0].weight.dtype
            if dtype not in kernels.DTYPES:
                raise TypeError(f"the model's weights are {dtype}: {_NARROW}")
            if y is not None:
                check_labels(x.new_empty(len(x), self.num_classes), y)
            if torch.is_autocast_enabled(x.device.type):
                x = x.to(dtype)
            # Disable autocast, because the rule learns from small differences of rates.
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
        """Compute hidden layer k, counted from 0, below cells with potentials ``above``."""
        layer, kept = self.layers[k + 1], 1 - self.apical_share
        # An interneuron has the leak of its corresponding cell; output cells have none.
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
        """Return the target rates [B, K] of the output."""
        onehot = functional.one_hot(y, self.num_classes).to(like.dtype)
        return LOW + (HIGH - LOW) * onehot

    def _thinned(self) -> list[float]:
        """Return, per layer, the share of the output's error that arrives through the lambdas."""
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
    """Add to the gradient of the parameters that a weight is computed from, as backward() does."""
    if parameter.requires_grad:
        with torch.enable_grad():
            torch.autograd.backward(parameter, grad)


def _weight(layer: Weighted) -> Tensor:
    """Return the weights of a layer's synapses, connected to its parameters by autograd."""
    with torch.enable_grad():
        return layer.weight_per_synapse() if isinstance(layer, GraphLayer) else layer.weight


def _offset(layer: Weighted) -> Tensor | None:
    """Return the bias of a layer, connected to its parameters by autograd."""
    with torch.enable_grad():
        return layer.bias_per_neuron() if isinstance(layer, GraphLayer) else layer.bias


def _forth(layer: Weighted, weight: Tensor, bias: Tensor | None, rate: Tensor) -> Tensor:
    """Sum rates [B, sources] along the synapses of a layer, to [B, targets]."""
    if isinstance(layer, nn.Linear):
        check_fit(layer, rate)
        return functional.linear(rate, weight, bias)
    columns = to_columns(rate, layer.num_nodes, node_first=False)
    sums = kernels.propagate(layer.structure, weight, columns, backend=layer.backend).t()
    return sums if bias is None else sums + bias


def _back(layer: Weighted, weight: Tensor, rate: Tensor) -> Tensor:
    """Sum rates [B, targets] against the synapses of a layer, to [B, sources]."""
    if isinstance(layer, nn.Linear):
        return rate @ weight
    columns = to_columns(rate, layer.num_nodes, node_first=False)
    return kernels.backpropagate(layer.structure, weight, columns, backend=layer.backend).t()


def _outer(layer: Weighted, post: Tensor, pre: Tensor) -> Tensor:
    """Return, per synapse, minus the batch mean of the product of its two ends."""
    post = post / -len(post)
    if isinstance(layer, nn.Linear):
        return post.T @ pre
    ends = (to_columns(each, layer.num_nodes, node_first=False) for each in (post, pre))
    return kernels.correlate(layer.structure, *ends, backend=layer.backend)
