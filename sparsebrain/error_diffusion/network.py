"""Networks of typed cells, one per output, for error diffusion."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.selection import Neurons, find_neurons
from sparsebrain.error_diffusion.cells import (
    all_to_all,
    assign_roles,
    check_output,
    find_pairs,
    surround,
)
from sparsebrain.error_diffusion.dynamics import Dynamics
from sparsebrain.error_diffusion.layout import Stage, arrange, longest_paths, number_stages
from sparsebrain.error_diffusion.precision import WEIGHTS, ternary
from sparsebrain.error_diffusion.step import CompiledStep
from sparsebrain.kernels.checks import MOST_LOOPS
from sparsebrain.nn.arguments import check_dtype
from sparsebrain.nn.connectome import fingerprint, read_structure
from sparsebrain.nn.fingerprinted import Fingerprinted
from sparsebrain.nn.ternary import passed_through


class ErrorDiffusionNetwork(Fingerprinted, nn.Module):
    r"""Cells of fixed type on any directed graph, the model of I. Kaneko's error diffusion.

    Every cell has a type s of -1 or +1. A synapse from m to k has the weight

    .. math:: w_{km} = s_m s_k |w_{km}|, \qquad |w_{km}| \sim U(0, \mathrm{init})

    which is positive between cells of equal type and negative otherwise, under any learning rule.
    Inputs and the bias are held at their values. All other cells start from zero and are updated
    synchronously in each of ``loops`` sweeps along all synapses:

    .. math:: o_k(t + 1) = \sigma\left(\frac{2}{u_0} \sum_m w_{km} o_m(t)\right)

    Each of the K outputs has a network of its own, with the same cells and synapses but other
    weights.

    Args:
        connectome: Any ``Data`` with ``edge_index`` and ``num_nodes``. No synapse may lead to a
            held cell.
        types: The types [N], -1 or +1; :func:`sparsebrain.error_diffusion.alternating` makes
            Kaneko's.
        inputs: The input cells, by numbers, mask, names or population; in pairs of a + and a - cell
            with the pair of the first feature first.
        output: The number of the output cell, which must be of type +.
        bias: The pair of cells held at ``bias_value``; None for no bias.
        networks: The number of networks K, one per class; a single one separates two classes.
        loops: The number of sweeps; by default the depth of a graph without cycles, which settles
            it.
        linear: Read the sum that arrives at the output instead of its sigmoid, for cross-entropy.
        paired: Give every feature to a pair of cells; False gives each to one input cell.
        u0: The slope parameter of the sigmoid; 2 is the standard sigmoid.
        bias_value: The value of both bias cells.
        init: The largest initial magnitude, or "degree" for 1 / in-degree of the target.
        keep_signs: False draws weights from -init to init and lets signs change. This is the
            control, for which the theorem of error diffusion does not hold.
        weights: "full", or "ternary" for BitNet's weights: with the signs given by the types, each
            is 0 or one scale per matrix, the mean of \|w\|. A matrix has all synapses of one
            network from one stage to another. Magnitudes below half the scale are rounded to 0.
            Learning changes ``strength``, in full precision; error diffusion computes its update
            from the rounded weights, and autograd passes their derivative on unchanged.
        generator: The generator that draws the weights; torch's global one by default.
        device: The device of the weights.
        dtype: The dtype of the weights.

    Attributes:
        strength: The parameter, whose magnitude is \|w\|, in an internal order.
        weight: w [K, E] in the order of ``edge_index``; can be assigned. Ternary weights are
            rounded when they are read.
        stages: The cells in the order of computation. If ``loops`` sweeps settle all layers, each
            layer is a stage and is computed once, with the same result.
        compiled: The compiled step of the rule; None for networks with loops. Inputs that it does
            not support are computed stage by stage. Assign None to always do so.

    Shapes:
        x [B, F], finite and not negative, of the dtype of the weights -> scores [B, K].

    Raises:
        TypeError: An argument, or x, has a wrong type or dtype.
        ValueError: The cells cannot be wired as requested, or x has a wrong shape or negative
            values.

    Kaneko's program starts each sample from the final state of the previous one. Here every sample
    starts from zero, so that the order within a batch does not matter; without cycles this makes no
    difference. Each sweep costs O(K E B). A complete bundle of synapses is computed as a matrix
    product.

    Source: I. Kaneko, the error diffusion method, 1999
    (https://web.archive.org/web/19991124023203/http://village.infoweb.ne.jp:80/~fwhz9346/ed.htm).

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from sparsebrain.error_diffusion import ErrorDiffusionNetwork
        >>> hidden = Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=8)
        >>> ErrorDiffusionNetwork.around(hidden, in_features=2, networks=1)
        ErrorDiffusionNetwork(15 cells, 58 synapses, networks=1, loops=2)
    """

    def __init__(
        self,
        connectome: Data,
        types: Tensor,
        *,
        inputs: Neurons,
        output: int,
        bias: Neurons | None = None,
        networks: int = 1,
        loops: int | None = None,
        linear: bool = False,
        paired: bool = True,
        u0: float = 0.4,
        bias_value: float = 0.8,
        init: float | str = 1.0,
        keep_signs: bool = True,
        weights: str = "full",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, flag in (("linear", linear), ("paired", paired), ("keep_signs", keep_signs)):
            arguments.flag(name, flag)
        structure = read_structure(connectome).to("cpu")
        self.edge_index, self.num_nodes = structure.edge_index, structure.num_nodes
        roles = assign_roles(connectome, types, inputs=inputs, bias=bias, paired=paired)
        self.in_features, self.bias, self.types = roles.in_features, roles.bias, roles.types
        self._row = roles.row
        self.networks = arguments.count("networks", networks, at_least=1)
        self.linear, self.paired, self.keep_signs = linear, paired, keep_signs
        self.weights = arguments.option("weights", weights, WEIGHTS)
        self.u0 = arguments.real("u0", u0, positive=True)
        self.bias_value = arguments.real("bias_value", bias_value)
        if isinstance(init, str):
            self.init: float | str = arguments.option("init", init, ("degree",))
        else:
            self.init = arguments.real("init", init, positive=True)
        check_dtype(dtype)
        device = torch.get_default_device() if device is None else tensors.device("device", device)
        generator = tensors.generator("generator", generator, torch.device("cpu"))
        level = longest_paths(structure)
        if loops is None:
            if level is None:
                raise ValueError(
                    "the connectome has cycles, so that no number of sweeps is enough; pass "
                    "loops=, such as loops=5."
                )
            loops = int(level.max())
        self.loops = arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)
        output = arguments.count("output", output, at_most=self.num_nodes - 1)
        self.output = int(find_neurons(connectome, [output], "output"))
        check_output(structure, roles, self.output, self.loops, linear=linear)
        told = f"networks={self.networks}, or num_classes where a rule builds the network,"
        tensors.room(told, 16 * self.networks * structure.num_edges, "pass fewer")
        stage_of = number_stages(structure, roles, level, self.loops)
        self.stages, self._place, self._stride = arrange(structure, roles, stage_of, self.networks)
        self.compiled = CompiledStep.of(
            self.stages,
            self.output,
            networks=self.networks,
            in_features=self.in_features,
            bias=self.bias,
        )
        last = int(stage_of[self.output]) - 1
        self._read = last, int((self.stages[last].cells == self.output).nonzero())
        source, target = self.edge_index
        self._sign = roles.types[source] * roles.types[target]
        self._fingerprint = fingerprint(structure, None, self._sign)
        number = self.networks * structure.num_edges
        self.strength = nn.Parameter(torch.empty(number, device=device, dtype=dtype))
        self._follow()
        self.reset_parameters(generator)

    @classmethod
    def around(
        cls,
        connectome: Data,
        in_features: int,
        *,
        inputs: Neurons | None = None,
        outputs: Neurons | None = None,
        types: str | Tensor = "alternating",
        paired: bool = True,
        density: float = 1.0,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> ErrorDiffusionNetwork:
        """Make a network whose hidden cells are the neurons of a connectome.

        The cells are, in the order of their numbers: a bias pair, the inputs, the output and the
        neurons. The bias sends to all computed cells. Neurons without synapses among them form one
        hidden layer; ``graphs.layered`` gives several, with ``inputs`` the first layer and
        ``outputs`` the last.

        Args:
            connectome: The neurons and the synapses among them.
            in_features: The number of features F.
            inputs: The neurons that receive the inputs; all by default.
            outputs: The neurons that the output reads; all by default.
            types: "alternating" (the first is -), "random", or a tensor [N] of -1 and +1.
            paired: Give every feature two inputs of opposite types; otherwise one, whose type is
                alternating or random as in ``types``.
            density: The share of the synapses from inputs that exist, in (0, 1].
            generator: The generator that draws types, synapses and weights.
            **options: The other arguments of the class.

        Returns:
            The network.

        Raises:
            TypeError: An argument has a wrong type.
            ValueError: An argument has a wrong value.
        """
        cells = surround(
            connectome,
            in_features,
            inputs=inputs,
            outputs=outputs,
            types=types,
            paired=paired,
            density=density,
            generator=generator,
        )
        return cls(**cells._asdict(), paired=paired, generator=generator, **options)

    @classmethod
    def all_to_all(
        cls, in_features: int, hidden: int, *, loops: int, self_loops: bool = True, **options: Any
    ) -> ErrorDiffusionNetwork:
        """Make Kaneko's most general network: all cells send to the output and to all hidden cells.

        Args:
            in_features: The number of features F.
            hidden: The number of hidden cells, of alternating types, the first -.
            loops: The number of sweeps.
            self_loops: Whether cells send to themselves.
            **options: The other arguments of the class.

        Returns:
            The network.
        """
        cells = all_to_all(in_features, hidden, self_loops=self_loops)
        return cls(**cells._asdict(), loops=loops, **options)

    @property
    def places(self) -> Tensor:
        """The position [K, E] in ``strength`` of each synapse of each network."""
        number = torch.arange(self.networks, device=self._place.device).unsqueeze(1)
        return self._place + number * self._stride

    @property
    def weight(self) -> Tensor:
        """The weights w [K, E], in the order of ``edge_index``."""
        magnitude = self._magnitude()
        return self._sign.to(magnitude) * magnitude[self.places]

    @weight.setter
    def weight(self, weight: Tensor) -> None:
        shape = [self.networks, len(self._place)]
        if [*weight.shape] != shape:
            raise ValueError(f"weight must have shape {shape}, got {list(weight.shape)}.")
        magnitude = self._sign.to(weight) * weight
        if self.keep_signs and not bool((magnitude >= 0).all()):
            raise ValueError(
                "a weight must be positive between cells of equal types and negative otherwise; "
                "assign network.sign * weight.abs(), or make the network with keep_signs=False."
            )
        with torch.no_grad():
            self.strength[self.places] = magnitude.to(self.strength)

    @property
    def sign(self) -> Tensor:
        """The sign [E] of every synapse, the product of the types of its cells."""
        return self._sign

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights, from the generator given or torch's global one."""
        if self.strength.is_meta:
            return
        low = 0.0 if self.keep_signs else -1.0
        places = self.places
        drawn = torch.empty(places.shape, dtype=self.strength.dtype)
        drawn.uniform_(low, 1.0, generator=generator)
        if isinstance(self.init, str):
            target = self.edge_index[1].cpu()
            drawn /= torch.bincount(target)[target]
        else:
            drawn *= self.init
        self.strength[places] = drawn.to(self.strength.device)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores [B, K] of x [B, F]."""
        return self.run(x)[1]

    def run(self, x: Tensor, strength: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Compute the states of all stages and the scores.

        Args:
            x: Samples [B, F].
            strength: The result of :meth:`fold`, if it was just called.

        Returns:
            The states, inputs first, and the scores [B, K]. The first state is [rows, B], the
            others [K, rows, B]; all but the last have rows for the bias.
        """
        return self._dynamics().run(x, self._magnitude() if strength is None else strength)

    def hold(self, x: Tensor) -> Tensor:
        """Return the first state [rows, B], the bias and the inputs, of samples x [B, F]."""
        return self._dynamics().hold(x, self.strength.dtype)

    def advance(self, number: int, state: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
        """Compute one stage from the stage before it.

        Args:
            number: The number of the stage in ``stages``.
            state: The state of the stage before, as in the list that :meth:`run` returns.
            strength: The strengths that the network computes with, see :meth:`fold`.

        Returns:
            The state of the stage, and the sums [K, n, B] that arrive at its cells.
        """
        return self._dynamics().advance(number, state, strength)

    def read(self, sums: Tensor) -> Tensor:
        """Return the scores [B, K] from the sums [K, n, B] of the stage of the output cell."""
        return self._dynamics().scores(sums)

    @torch.no_grad()
    def fold(self) -> Tensor:
        """Replace negative strengths, which an optimizer may leave, by their magnitudes, in place.

        The weights do not change.

        Returns:
            The strengths that the network computes with, detached; rounded if they are ternary.
        """
        strength = self._fold()
        return strength if self.weights == "full" else ternary(self.stages, strength)

    @torch.no_grad()
    def cancel_pairs(self) -> None:
        """Subtract what the strengths from both cells of a pair have in common, in place.

        Both cells have the same value and opposite signs, so that only the difference of their
        strengths acts: the scores of a network with weights in full precision do not change.
        Error diffusion makes both strengths grow, and ternary weights lose a difference that is
        small beside their mean. Call this after each step of the optimizer to keep it.
        """
        strength = self._fold()
        plus, minus = self._pairs
        smaller = torch.minimum(strength[plus], strength[minus])
        strength[plus] -= smaller
        strength[minus] -= smaller

    def slopes(self, stage: Stage, state: Tensor) -> Tensor:
        """Return o (1 - o) for the cells of a stage [K, n, B], and 1 for a linear output."""
        return self._dynamics().slopes(stage, state)

    def _dynamics(self) -> Dynamics:
        return Dynamics(
            stages=self.stages,
            networks=self.networks,
            in_features=self.in_features,
            loops=self.loops,
            slope=2 / self.u0,
            bias=self.bias_value if self.bias else None,
            linear=self.linear,
            read=self._read,
        )

    def _fold(self) -> Tensor:
        return self.strength.detach().abs_() if self.keep_signs else self.strength.detach()

    @cached_property
    def _pairs(self) -> Tensor:
        # The positions in ``strength``; they are the same on every device.
        pairs, places = find_pairs(self.edge_index, self._row, self.types), self.places
        return torch.stack([places[:, each].flatten() for each in pairs.to(places.device)])

    def _magnitude(self) -> Tensor:
        magnitude = self.strength.abs() if self.keep_signs else self.strength
        if self.weights == "full":
            return magnitude
        return passed_through(magnitude, ternary(self.stages, magnitude.detach()))

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the synapses and their signs, for state_dict."""
        return self._fingerprint

    def _size(self) -> str:
        return f"{self.num_nodes} cells, their types and {self.edge_index.size(1)} synapses"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ErrorDiffusionNetwork:
        super()._apply(fn, recurse)
        self._follow()
        return self

    def _follow(self) -> None:
        """Move signs and indices to the weights; ``to_empty`` would overwrite buffers."""
        device, dtype = self.strength.device, self.strength.dtype
        if device.type == "meta":
            return
        self.stages = [stage.to(device, dtype) for stage in self.stages]
        self.edge_index = self.edge_index.to(device)
        self._place, self._stride = self._place.to(device), self._stride.to(device)
        self._sign = self._sign.to(device)

    def extra_repr(self) -> str:
        """Return the numbers of cells, synapses, networks and loops, and ternary weights."""
        told = f"{self.num_nodes} cells, {self.edge_index.size(1)} synapses"
        told = f"{told}, networks={self.networks}, loops={self.loops}"
        return told if self.weights == "full" else f"{told}, weights={self.weights!r}"
