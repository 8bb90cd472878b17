"""The graph layer: neurons that exchange values along synapses, loop after loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation, SumAggregation

from sparsebrain.equilibrium import Equilibrium, Report, Reports, check_loops
from sparsebrain.nn.arguments import check_arguments, check_dtype
from sparsebrain.nn.batching import BatchedEdges, admit, check_start
from sparsebrain.nn.connectome import read_structure
from sparsebrain.nn.messages import is_plain, run_messages
from sparsebrain.nn.neurons import Neurons
from sparsebrain.nn.renumbering import LEAST_LOOPS, Renumbering, renumber
from sparsebrain.nn.runners import activation_of_columns, run_equilibrium, run_fused
from sparsebrain.nn.synapses import Synapses
from sparsebrain.options import check_flag


class GraphLayer(Synapses, Neurons):
    r"""Neurons wired by a connectome, which pass values along their synapses for a number of loops.

    One loop, with one weight a synapse, tied over the loops:

    .. math:: x(t + 1) = f(W x(t) + b), \qquad W_{ts} = w_{s \to t}

    A leak and noise make that x(t + 1) = (1 - a) x(t) + a f(W x(t) + b - theta) + noise, see
    :class:`sparsebrain.nn.neurons.Neurons`. The input is x(0). With ``inject=True`` it is added at
    every loop instead, x(t + 1) = f(W x(t) + b + input), starting from zero or a given state. On a
    grid this is the graph layer of A. Ejima, "Neurons regarded as Graph", whose defaults are kept:
    no bias, no activation, one loop.

    Args:
        connectome: any ``torch_geometric.data.Data`` with ``edge_index`` [2, E] (sources, targets)
            and ``num_nodes`` N, in any order; read where asked for: ``edge_type`` [E] int64,
            ``edge_weight`` [E], ``edge_sign`` [E] or ``node_sign`` [N] of -1, 0 (unknown) and +1,
            ``node_type`` [N] int64, the population of each neuron.
        loops: how many exchanges, at least 1; or an :class:`sparsebrain.Equilibrium`, with which
            they go on until nothing changes, and the input is injected.
        activation: f: None, "tanh", "sigmoid", "relu", "leaky_relu" (slope 0.01), "gelu", "silu",
            "softplus", "hardtanh" or any function that is given the state in the shape of x and
            keeps that shape.
        bias: True or "neuron" to learn b [N], "population" for one per ``node_type`` [P]; it starts
            at zero.
        threshold: theta, which has to be passed, f(u - theta): a negative bias. A number, or
            "neuron" or "population" to learn it from zero.
        leak: a, above 0 and at most 1, for a time constant of 1 / a loops. A number, or "neuron" or
            "population" to learn it from 1, under any optimizer.
        noise: the standard deviation of what is added to the state at every loop while training.
        inject: add the input at every loop.
        weight_sharing: "synapse" for a weight each [E], or one weight per: "type", ``edge_type``
            [T] (a grid, whose types are its offsets, is then a convolution), "projection", from
            one ``node_type`` to another [P], in the order of ``projections``, "source" or "target".
        gain: keep the connectome's ``edge_weight`` as it is and learn gains, shared as weights are
            by ``weight_sharing``: a weight is strength times gain, from 1; with ``dale`` no gain is
            below 0. See :class:`sparsebrain.nn.gains.Gain`.
        dale: keep every synapse's sign, under any optimizer: that of ``edge_sign``, or else of the
            source's ``node_sign``. Where that is 0, unknown, a weight starts positive and is free;
            with ``gain`` its strength stays and its gain is free. Set weights by
            ``layer.weight = ...``; changes of ``layer.weight`` in place are lost, as with every
            parametrization of torch.
        init: "variance" draws normal weights and scales them so that ``loops`` linear loops keep
            the variance of the state; "identity" does the same around a state that stays what it
            is, self-loops at 1 and little noise elsewhere; "edge_weight" starts from the
            connectome's. With an Equilibrium "contraction" is the default: normal weights, small
            enough that all loops settle.
        aggr: how a neuron joins its messages, as in PyG. All but "sum" take PyG's slower path.
        checkpoint: for backpropagation keep a state every sqrt(loops) loops and compute the others
            again: less memory, a third more time. Where PyG's slower path is taken all are kept.
        backend: who computes: "auto", "native", "triton", "torch" or "reference".
        device, dtype: of the parameters, as everywhere in torch; float32 or float64.

    Attributes:
        weight: [E], in the order of ``edge_index``, or [T] and the like; with ``gain`` what is made
            of strengths and gains. A value that is assigned has to be possible.
        gain: the gains, or None.
        projections: [2, P] int64, source and target ``node_type`` of each projection, or None.
        bias, threshold, leak: [N] or [P], a number, or None.
        report: with an Equilibrium how the last call came to it, a
            :class:`sparsebrain.equilibrium.Report`; it warns where that failed. Of threads that
            share the layer each reads that of its own last call, and None before.

    Shapes:
        - ``layer(x)``: x [..., N], leading dimensions are batch -> [..., N]: a drop-in for
          ``nn.Linear(N, N)``.
        - ``layer(x, edge_index)``: x [B * N, C] node-first and edge_index [2, B * E], as a PyG
          ``DataLoader`` batches B copies of the connectome -> [B * N, C]. Other edges are refused.
        - ``return_states=True`` returns (output, states) with states [loops + 1, *x.shape], x(0)
          first.
        - ``state=``, shaped like x and with ``inject=True`` only, is x(0); returns (output, state)
          for the next call.
        - ``generator=`` draws the noise, torch's own by default.

    Raises:
        TypeError: a wrong type or dtype. ValueError: a wrong shape, value or option.

    On a connectome without cycles the state moves from layer to layer and then out: with more loops
    than the longest path has synapses everything is zero, so let ``loops`` be the depth.

    An overridden ``message``, ``aggregate`` or ``update``, a PyG hook or an explainer's edge mask
    is honoured: such a layer goes through ``MessagePassing.propagate``, every other one through
    fused kernels, with the same result. ``state_dict`` carries a fingerprint of the synapses and
    loads onto no others. The connectome is copied; changing it later changes no layer. Neurons of
    large layers with several loops may be renumbered inside, where that makes them faster.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> layer = GraphLayer(ring, loops=3, activation="tanh")
        >>> layer
        GraphLayer(4 neurons, 4 synapses, loops=3, activation='tanh')
        >>> layer(torch.randn(8, 4)).shape
        torch.Size([8, 4])
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "propagate" in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} overrides propagate, which is PyG's own and would not be called; "
                "override message, aggregate or update."
            )

    def __init__(
        self,
        connectome: Data,
        loops: int | Equilibrium = 1,
        *,
        activation: str | Callable[[Tensor], Tensor] | None = None,
        bias: bool | str = False,
        threshold: float | str | None = None,
        leak: float | str | None = None,
        noise: float = 0.0,
        inject: bool = False,
        weight_sharing: str = "synapse",
        gain: str | None = None,
        dale: bool = False,
        init: str | None = None,
        aggr: str | list[str] | Aggregation = "sum",
        checkpoint: bool = False,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        loops, init, lipschitz, neurons = check_arguments(
            loops,
            activation,
            aggr,
            init,
            weight_sharing,
            gain,
            backend,
            {"bias": bias, "threshold": threshold, "leak": leak, "noise": noise},
            inject=inject,
            dale=dale,
            checkpoint=checkpoint,
        )
        check_dtype(dtype)
        super().__init__(aggr=aggr)
        structure = read_structure(connectome)
        self.structure = structure
        self._renumbering: Renumbering | None = None
        if not (isinstance(loops, int) and loops < LEAST_LOOPS):
            self._renumbering = renumber(structure)
        self.num_nodes = structure.num_nodes
        self._loops = loops
        self.activation = "none" if activation is None else activation
        # The input is what an equilibrium depends on, so that it stays.
        self.inject = inject or isinstance(loops, Equilibrium)
        self._reports = Reports()
        self._lipschitz = lipschitz
        self.weight_sharing = weight_sharing
        self.init = init
        self.checkpoint = checkpoint
        self.backend = backend
        self._batched_edges = BatchedEdges()
        where = {"device": device, "dtype": dtype}
        plain = is_plain(self, GraphLayer)
        self._make_weights(connectome, gain, dale=dale, plain=plain, where=where)
        self._make_neurons(connectome, neurons, where)
        self._follow_parameters()
        self.reset_parameters()

    @property
    def edge_index(self) -> Tensor:
        """The synapses [2, E] int64, in the order of the connectome that was given."""
        return self.structure.edge_index

    @property
    def report(self) -> Report | None:
        """How this thread's last call came to an equilibrium; None before, and of numbers."""
        return self._reports.last

    @property
    def loops(self) -> int | Equilibrium:
        """How many loops, or until when; a number may be set to another one."""
        return self._loops

    @loops.setter
    def loops(self, loops: int | Equilibrium) -> None:
        loops, made = check_loops(loops), self._loops
        if isinstance(loops, int) and isinstance(made, int):
            self._loops = loops
            return
        if not (
            isinstance(loops, Equilibrium)
            and isinstance(made, Equilibrium)
            and (loops.constraint, loops.bound, loops.lipschitz)
            == (made.constraint, made.bound, made.lipschitz)
        ):
            raise ValueError(
                f"loops={made!r} cannot become {loops!r}: weights, their constraint and inject are "
                "made for it with the layer; make a new GraphLayer(connectome, loops=...)."
            )
        self._loops = loops

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew, from torch's generator or the one passed; the rest as at first."""
        super().reset_parameters()
        self._reset_neurons()
        self._reset_weights(generator)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | None = None,
        *,
        state: Tensor | None = None,
        return_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Run all loops; shapes and results are described at the class."""
        check_flag("return_states", return_states)
        weight = self._weight_per_synapse()
        node_first = edge_index is not None
        x = admit(x, "x", weight.dtype, self.num_nodes, node_first=node_first)
        if edge_index is not None:
            self._batched_edges.check(edge_index, self.structure, x.size(0))
        start, drive = x, None
        if self.inject:
            start, drive = torch.zeros_like(x), x
        if state is not None:
            start = admit(state, "state", weight.dtype, self.num_nodes, node_first=node_first)
            check_start(start, x, inject=self.inject)

        plain, noise = is_plain(self, GraphLayer), self._draws(x, generator)
        if isinstance(self.loops, Equilibrium):
            if return_states:
                raise ValueError(
                    "return_states=True is for a number of loops; an Equilibrium keeps one state."
                )
            z = run_equilibrium(
                self, self._exchange, weight, start, x, edge_index, self._reports, plain=plain
            )
            states = [z]
        elif plain:
            states = run_fused(
                self, weight, start, drive, noise, node_first=node_first, keep=return_states
            )
        else:
            function = activation_of_columns(self, start.shape, node_first=False)
            states = run_messages(
                self,
                self._exchange,
                weight,
                start,
                drive,
                edge_index,
                function if edge_index is None else self.activation,
                noise,
            )
        if return_states:
            return states[-1], torch.stack([start, *states])
        return states[-1] if state is None else (states[-1], states[-1].clone())

    def _exchange(self, edge_index: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """One exchange through PyG, which looks for this call in the text of the class."""
        after: Tensor = self.propagate(edge_index, x=x, weight=weight, size=(x.size(0),) * 2)
        return after

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """What a synapse carries: ``weight`` [E] times the state ``x_j`` [E, C] of its source."""
        return weight.unsqueeze(-1) * x_j

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GraphLayer:
        super()._apply(fn, recurse)
        self._follow_parameters()
        return self

    def _follow_parameters(self) -> None:
        """Bring the index arrays to where the parameters are.

        They are no buffers: ``to_empty`` would fill them with whatever lies in memory, and a kernel
        would read out of bounds.
        """
        device = self.weight.device
        if device.type == "meta":
            return
        self.structure = self.structure.to(device)
        if self._renumbering is not None:
            self._renumbering = self._renumbering.to(device)
        for name in ("_types", "_populations", "projections"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value.to(device))

    def __repr__(self) -> str:
        told = [
            f"{self.num_nodes} neurons",
            f"{self.structure.num_edges} synapses",
            f"loops={self.loops}",
        ]
        if self.activation != "none":
            told.append(f"activation={self.activation!r}")
        told += self._told_neurons()
        if self.inject and not isinstance(self.loops, Equilibrium):
            told.append("inject=True")
        if self.checkpoint:
            told.append("checkpoint=True")
        told += self._told_weights()
        if type(self.aggr_module) is not SumAggregation:
            told.append(f"aggr={self.aggr!r}")
        return f"{parametrize.type_before_parametrizations(self).__name__}({', '.join(told)})"
