"""Rewiring during training: synapses are pruned, and as many grow elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from graphs import arguments, fields, tensors
from sparsebrain import kernels
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.growth import check_optimizer, follow_state
from sparsebrain.nn.recurrence import Recurrence
from sparsebrain.nn.replacement import follow, weight_parameter
from sparsebrain.plasticity.absent_pairs import draw_absent
from sparsebrain.plasticity.pruning import METHODS, crossed, smallest, smallest_of_each_sign
from sparsebrain.plasticity.rewiring_checks import (
    check_candidates,
    check_layer,
    signs_at_birth,
    signs_of_sources,
)


class Rewired(NamedTuple):
    """What a rewiring did.

    Attributes:
        replaced: The number of synapses that were pruned and that grew.
        origin: [E] int64, the previous position of each synapse, or -1 if it is new.
    """

    replaced: int
    origin: Tensor


class Rewiring:
    r"""Prune and regrow synapses of a layer during training, at a constant number.

    Call :meth:`step` after ``optimizer.step()``: every epoch or so with "set" and "rigl", every
    time with "deep-r". The layer's structure, fingerprint and fixed signs, and the optimizer's
    state, such as momentum and the moments of Adam, follow. Surviving synapses keep their weights
    and states exactly; those of new synapses start from zero. Pairs that were just pruned may grow
    again, except with "rigl".

    - "set" (sparse evolutionary training) prunes the ``fraction`` of smallest positive and of
      smallest negative weights, and draws new ones uniformly, with normal weights whose root mean
      square is that of all weights when the Rewiring was made.
    - "deep-r" (deep rewiring) moves every magnitude by :math:`-\eta\,l_1 + \sqrt{2 \eta T}\,\xi`,
      with the optimizer's learning rate :math:`\eta`, prunes weights that have changed their sign,
      and draws as many uniformly, with weight 0 and, unless the layer keeps signs, a random sign.
    - "rigl" (rigged lottery) prunes the ``fraction`` of smallest weights and grows those candidates
      whose gradients are largest, with weight 0. Gradients of absent synapses come from
      :meth:`observe`; of ``candidates`` random pairs per synapse, and not of all N^2.

    With ``dale=True`` a new synapse has the sign that all synapses of its source had when the
    Rewiring was made, or an unknown one if the source had none.

    Args:
        layer: The layer, with one weight per synapse.
        optimizer: The optimizer of its weight.
        method: "set", "deep-r" or "rigl".
        fraction: The share of synapses that are replaced by "set" and "rigl", from 0 to 1.
        candidates: Where synapses may grow: [2, P] int64, pairs of sources and targets; or None for
            all pairs. With "rigl" also a number c: c E pairs are drawn at each :meth:`observe` (2
            by default).
        self_loops: Whether a neuron may grow a synapse onto itself, unless ``candidates`` is a
            tensor.
        l1: The decay of magnitudes of "deep-r".
        temperature: T of "deep-r".
        generator: The source of randomness, on the CPU; torch's default generator if None.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An option is unknown or out of range, the optimizer does not train the layer, or
            the layer's synapses cannot be replaced.

    Sources: D. C. Mocanu et al., "Scalable training of artificial neural networks with adaptive
    sparse connectivity inspired by network science", Nature Communications 9 (2018) 2383;
    G. Bellec, D. Kappel, W. Maass, R. Legenstein, "Deep rewiring", ICLR (2018); U. Evci,
    T. Gale, J. Menick, P. S. Castro, E. Elsen, "Rigging the lottery", ICML (2020).

    Example:
        >>> import graphs, torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.plasticity import Rewiring
        >>> layer = GraphLayer(graphs.small_world(100, 10, 0.1, seed=0))
        >>> optimizer = torch.optim.Adam(layer.parameters())
        >>> rewiring = Rewiring(layer, optimizer, fraction=0.2)
        >>> rewiring.step().replaced
        200
        >>> layer
        GraphLayer(100 neurons, 1000 synapses, loops=1)
    """

    def __init__(
        self,
        layer: GraphLayer,
        optimizer: torch.optim.Optimizer,
        method: str = "set",
        *,
        fraction: float = 0.3,
        candidates: Tensor | float | None = None,
        self_loops: bool = False,
        l1: float = 1e-4,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        self.method = arguments.option("method", method, METHODS)
        self.fraction = arguments.real("fraction", fraction, at_most=1)
        self.self_loops = arguments.flag("self_loops", self_loops)
        self.l1 = arguments.real("l1", l1)
        self.temperature = arguments.real("temperature", temperature)
        self.generator = tensors.generator("generator", generator, torch.device("cpu"))
        self.layer = check_layer(layer, self.method)
        self._pairs, self._per_synapse = check_candidates(candidates, layer, self.method)
        self.optimizer = check_optimizer(optimizer, weight_parameter(layer))
        self._source_signs = signs_of_sources(layer)
        # The signs of deep rewiring, of synapses whose sign the layer does not fix.
        self._birth: Tensor | None = None
        if self.method == "deep-r":
            # Magnitudes that have become negative under an optimizer count from here on.
            layer.assign_weight(layer.weight.detach().clone())
            self._birth = signs_at_birth(layer)
        # The scale of present weights would grow with every step, as the smallest are pruned.
        self._scale = layer.weight.detach().square().mean().sqrt()
        self._observed: tuple[Tensor, Tensor] | None = None

    def step(self) -> Rewired:
        """Prune and grow synapses, once.

        Raises:
            ValueError: Fewer pairs of neurons are absent than synapses would grow.
            RuntimeError: With "rigl", no backward pass was observed since the last step.
        """
        layer = self.layer
        parameter = weight_parameter(layer)
        weight = layer.weight.detach()
        if self.method == "deep-r":
            removed = self._decay(parameter)
        elif self.method == "set":
            removed = smallest_of_each_sign(weight, self.fraction)
        else:
            removed = smallest(weight, self.fraction)
        added = self._grow(removed)
        sign = None
        if self._source_signs is not None:
            sign = self._source_signs[added[0]]
        new = self._new_weights(weight, len(removed), sign)
        origin = layer.replace_synapses(removed, added, new, sign)
        self._follow(parameter, origin)
        self._observed = None
        return Rewired(len(removed), origin)

    @contextmanager
    def observe(self) -> Iterator[None]:
        """Compute the gradients of candidate synapses, in a block that runs and differentiates.

        Only for "rigl". The block contains the calls of the layer and ``backward()``, or a learning
        rule's step that uses autograd. The gradients of several blocks before a :meth:`step` are
        those of the last one.

        Raises:
            ValueError: The method is not "rigl", or too few pairs are absent.
            RuntimeError: The layer already has a hook.
        """
        if self.method != "rigl":
            raise ValueError(f"method {self.method!r} needs no gradients; pass method='rigl'")
        layer = self.layer
        pairs = self._draw_candidates()
        candidates = kernels.Structure(pairs, layer.num_nodes)
        absent = layer.weight.detach().new_zeros(candidates.num_edges)
        absent.requires_grad_()

        def with_candidates(recurrence: Recurrence) -> Recurrence:
            def exchange(state: Tensor) -> Tensor:
                rows = recurrence.edge_index is not None
                columns = recurrence.to_columns(state) if rows else state
                how = {"backend": recurrence.backend}
                total = kernels.propagate(recurrence.structure, recurrence.weight, columns, **how)
                total = total + kernels.propagate(candidates, absent, columns, **how)
                return recurrence.from_columns(total) if rows else total

            return replace(recurrence, exchange=exchange)

        with layer.hooked(with_candidates):
            yield
        if absent.grad is not None:
            self._observed = (pairs, absent.grad)

    def follow(self, connectome: Data) -> Data:
        """Return a connectome with the layer's present synapses, for new PyG batches.

        Args:
            connectome: The connectome that the layer was made from.

        Returns:
            A copy whose fields of neurons are the same. ``edge_weight`` has the layer's weights and
            ``edge_sign`` its fixed signs, where the connectome has these fields; other fields of
            synapses are left out. Without fixed signs weights may have changed theirs, and
            ``node_sign`` is left out beside them.

        Raises:
            TypeError: ``connectome`` is not a ``Data``.
            ValueError: It breaks the contract, or has another number of neurons.
        """
        if not isinstance(connectome, Data):
            raise TypeError(
                "connectome must be a torch_geometric.data.Data, got "
                f"{arguments.described(connectome)}; pass what the layer was made from"
            )
        graphs.validate(connectome)
        layer = self.layer
        if connectome.num_nodes != layer.num_nodes:
            raise ValueError(
                f"connectome must have the layer's {layer.num_nodes} neurons, got "
                f"{connectome.num_nodes}; pass what the layer was made from"
            )
        found = Data(edge_index=layer.edge_index.clone(), num_nodes=layer.num_nodes)
        for name, value in fields.of_neurons(connectome).items():
            found[name] = value if isinstance(value, list | tuple) else torch.as_tensor(value)
        if "edge_weight" in connectome:
            found.edge_weight = layer.weight.detach().float().clone()
            if layer.sign is None and "node_sign" in found:
                del found.node_sign
        if "edge_sign" in connectome and layer.sign is not None:
            found.edge_sign = layer.sign.float().clone()
        return found

    def __repr__(self) -> str:
        return f"Rewiring({self.layer!r}, method={self.method!r}, fraction={self.fraction:g})"

    @torch.no_grad()
    def _decay(self, parameter: nn.Parameter) -> Tensor:
        """Move all magnitudes as deep rewiring does, and return the synapses to prune."""
        assert self._birth is not None
        group = next(
            each
            for each in self.optimizer.param_groups
            if any(one is parameter for one in each["params"])
        )
        rate = float(group["lr"])
        move = torch.full_like(parameter, -rate * self.l1)
        if self.temperature:
            noise = torch.randn(parameter.shape, generator=self.generator, dtype=parameter.dtype)
            move += math.sqrt(2 * rate * self.temperature) * noise.to(parameter.device)
        parameter.add_(self._birth * move)
        return crossed(parameter, self._birth)

    def _grow(self, removed: Tensor) -> Tensor:
        """Return the pairs [2, K] that get a synapse."""
        layer = self.layer
        if self.method == "rigl":
            if self._observed is None:
                raise RuntimeError(
                    "method='rigl' needs the gradients of candidates; run the model and backward() "
                    "within `with rewiring.observe():` before rewiring.step()"
                )
            pairs, grad = self._observed
            if len(grad) < len(removed):
                raise ValueError(
                    f"{len(removed)} synapses would have to grow, but there are only {len(grad)} "
                    "candidates; pass more candidates, or a smaller fraction"
                )
            return pairs[:, grad.abs().topk(len(removed)).indices]
        stays = torch.ones(layer.structure.num_edges, dtype=torch.bool, device=removed.device)
        stays[removed] = False
        return draw_absent(
            layer.edge_index[:, stays],
            layer.num_nodes,
            len(removed),
            pairs=self._pairs,
            self_loops=self.self_loops,
            generator=self.generator,
        )

    def _draw_candidates(self) -> Tensor:
        layer = self.layer
        return draw_absent(
            layer.edge_index,
            layer.num_nodes,
            int(self._per_synapse * layer.structure.num_edges)
            if self._pairs is None
            else self._pairs.size(1),
            pairs=self._pairs,
            self_loops=self.self_loops,
            all_of_them=False,
            generator=self.generator,
        )

    def _new_weights(self, weight: Tensor, count: int, sign: Tensor | None) -> Tensor:
        if self.method != "set" or not count:
            return weight.new_zeros(count)
        drawn = torch.randn(count, generator=self.generator, dtype=weight.dtype)
        drawn = self._scale.to(weight) * drawn.to(weight.device)
        # A synapse of unknown sign starts positive.
        return drawn if sign is None else drawn.abs() * torch.where(sign == 0, 1, sign)

    @torch.no_grad()
    def _follow(self, parameter: nn.Parameter, origin: Tensor) -> None:
        """Reorder what the optimizer and deep rewiring know of each synapse."""
        follow_state(self.optimizer, parameter, parameter.shape, origin)
        if self._birth is None:
            return
        birth = follow(self._birth, origin)
        coins = torch.randint(2, birth.shape, generator=self.generator)
        drawn = (2 * coins - 1).to(birth)
        fixed = self.layer.sign
        if fixed is not None:
            # The parameter of a synapse of known sign is its magnitude.
            drawn = torch.where(fixed == 0, drawn, torch.ones_like(drawn))
        self._birth = torch.where(origin < 0, drawn, birth)
