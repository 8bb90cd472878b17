"""The graph layer: neurons that exchange values along synapses, loop after loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation, SumAggregation

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium, Report, Reports, check_new_loops
from sparsebrain.nn.arguments import check_arguments, check_change
from sparsebrain.nn.batching import BatchedEdges, admit, check_start
from sparsebrain.nn.connectome import read_structure
from sparsebrain.nn.hooks import HookPlace, LoopHook
from sparsebrain.nn.initialization import Init
from sparsebrain.nn.neurons import NeuronParameters
from sparsebrain.nn.recurrence import Recurrence, run
from sparsebrain.nn.renumbering import renumber
from sparsebrain.nn.sharing import Grouping, Sharing
from sparsebrain.nn.synapses import SynapticWeights

_PYG_HOOKS = tuple(
    f"_{stage}_forward_{when}hooks"
    for stage in ("propagate", "message", "aggregate", "message_and_aggregate")
    for when in ("", "pre_")
)


# What a layer can be given another value of after it was made.
_OPTIONS = ("activation", "inject", "noise", "checkpoint", "backend", "threshold", "leak")


class GraphLayer(SynapticWeights, NeuronParameters):
    r"""Neurons wired by a connectome, which pass values along their synapses for a number of loops.

    One loop, with one weight a synapse, tied over the loops:

    .. math:: x(t + 1) = f(W x(t) + b), \qquad W_{ts} = w_{s \to t}

    With leak a and noise, x(t + 1) = (1 - a) x(t) + a f(W x(t) + b - theta) + noise, see
    :class:`sparsebrain.nn.neurons.NeuronParameters`. The input is x(0). With ``inject=True`` it is
    added at every loop instead, x(t + 1) = f(W x(t) + b + input), starting from zero or a given
    state. On a grid this is the graph layer of A. Ejima, "Neurons regarded as Graph", whose
    defaults are kept: no bias, no activation, one loop.

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
        backend: of the kernels: "auto", "native", "triton", "torch" or "reference".
        device, dtype: of the parameters, as everywhere in torch; float32 or float64.

    Attributes:
        weight: [E], in the order of ``edge_index``, or [T] and the like; with ``gain`` what is made
            of strengths and gains. A value that is assigned has to be possible.
        gain: the gains, or None.
        weight_index: [E] int64, the place of each synapse's weight in ``weight``; None for its own.
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
        bias: bool | Grouping = False,
        threshold: float | Grouping | None = None,
        leak: float | Grouping | None = None,
        noise: float = 0.0,
        inject: bool = False,
        weight_sharing: Sharing = "synapse",
        gain: Sharing | None = None,
        dale: bool = False,
        init: Init | None = None,
        aggr: str | list[str] | Aggregation = "sum",
        checkpoint: bool = False,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        checked = check_arguments(
            loops=loops,
            activation=activation,
            aggr=aggr,
            init=init,
            weight_sharing=weight_sharing,
            gain=gain,
            backend=backend,
            device=device,
            dtype=dtype,
            neurons={"bias": bias, "threshold": threshold, "leak": leak, "noise": noise},
            flags={"inject": inject, "dale": dale, "checkpoint": checkpoint},
        )
        super().__init__(aggr=aggr)
        # What the loops do.
        self._loops = checked.loops
        self.activation = "none" if activation is None else activation
        # An equilibrium depends on its input alone, which is therefore added at every loop.
        self.inject = inject or isinstance(checked.loops, Equilibrium)
        self.checkpoint, self.backend = checkpoint, backend
        self._lipschitz = checked.lipschitz
        # The synapses.
        self.structure = read_structure(connectome)
        self.num_nodes = self.structure.num_nodes
        self._renumbering = renumber(self.structure, checked.loops)
        # What is learned: weights are drawn for these loops and this activation.
        self.weight_sharing, self.init = weight_sharing, checked.init
        where = {"device": device, "dtype": dtype}
        self._make_weights(connectome, gain, dale=dale, where=where)
        self._make_neurons(connectome, checked.neurons, where)
        self._follow_parameters()
        self.reset_parameters()
        # What is remembered between calls.
        self._batched_edges = BatchedEdges()
        self._reports = Reports()
        self._hook = HookPlace()

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
        self._loops = check_new_loops(loops, self._loops)

    def __setattr__(self, name: str, value: Any) -> None:
        # What __init__ assigns is checked already; of learned values torch's setters take care.
        if name in _OPTIONS and "_hook" in self.__dict__ and name not in self._per:
            value = check_change(name, value, self._loops)
            # Torch lets neither a function take the place of a module, nor a number that of None.
            for held in (self._modules, self._parameters):
                held.pop(name, None)
        elif name == "loops":
            # Torch would register a module and not ask the property.
            value = check_new_loops(value, self._loops)
        super().__setattr__(name, value)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew, from torch's generator or the one passed; the rest as at first."""
        tensors.generator("generator", generator, self.weight.device)
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
        arguments.flag("return_states", return_states)
        recurrence = self.describe(
            x, edge_index, state=state, return_states=return_states, generator=generator
        )
        recurrence = self._hook.apply(recurrence)
        states = run(recurrence, self._reports)
        if return_states:
            return states[-1], torch.stack([recurrence.start, *states])
        return states[-1] if state is None else (states[-1], states[-1].clone())

    def describe(
        self,
        x: Tensor,
        edge_index: Tensor | None = None,
        *,
        state: Tensor | None = None,
        return_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> Recurrence:
        """The loops of ``layer(x, ...)``, not yet run: :func:`sparsebrain.nn.recurrence.run` does.

        Raises:
            TypeError, ValueError: as the call itself.
        """
        weight, node_first = self.weight_per_synapse(), edge_index is not None
        x = admit(x, "x", weight, self.num_nodes, node_first=node_first)
        if edge_index is not None:
            self._batched_edges.check(edge_index, self.structure, x.size(0))
        if state is not None:
            state = admit(state, "state", weight, self.num_nodes, node_first=node_first)
            check_start(state, x, inject=self.inject)
        elif self.inject:
            state = torch.zeros_like(x)
        if return_states and isinstance(self.loops, Equilibrium):
            raise ValueError(
                "return_states=True is for a number of loops; an Equilibrium keeps one state."
            )
        return Recurrence(
            structure=self.structure,
            weight=weight,
            start=x if state is None else state,
            loops=self.loops,
            drive=x if self.inject else None,
            bias=self.bias_per_neuron(),
            leak=self.leak_per_neuron(),
            activation=self.activation,
            noise=self._draws(x, generator),
            keep=return_states,
            checkpoint=self.checkpoint,
            backend=self.backend,
            edge_index=edge_index,
            exchange=None if self.has_plain_messages else self._messages(weight, edge_index),
            renumbering=self._renumbering,
        )

    def weight_per_synapse(self) -> Tensor:
        """The weight of every synapse [E], in the order of ``edge_index``; differentiable."""
        weight = self.weight
        return weight if self.weight_index is None else weight.index_select(0, self.weight_index)

    def bias_per_neuron(self) -> Tensor | None:
        """What is added to every sum, bias less threshold [N]; None where that is nothing."""
        bias, threshold = self._per_neuron("bias"), self._per_neuron("threshold")
        if threshold is None:
            return bias
        return -threshold if bias is None else bias - threshold

    def leak_per_neuron(self) -> Tensor | None:
        """The leak [N]; None where it is 1."""
        return self._per_neuron("leak")

    def hooked(self, hook: LoopHook) -> AbstractContextManager[None]:
        """Let a function see, or replace, the description of the loops of each call.

        While the context lasts, a call runs ``hook(layer.describe(x, ...))``. A hook returns the
        description as it is, or another one by :func:`dataclasses.replace`: with an ``exchange``
        that has another backward pass, an ``activation`` that records the sums, a ``start`` that
        is a leaf. Calls of all threads go through it, and those of shallow copies of the layer.

        Raises:
            RuntimeError: the layer has a hook already. In the call, TypeError or ValueError: what
            the hook returned is no description, or not a consistent one.

        Example:
            >>> import torch
            >>> from sparsebrain import GraphLayer
            >>> from torch_geometric.data import Data
            >>> ring = Data(edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
            >>> layer = GraphLayer(ring, loops=2)
            >>> def look(recurrence):
            ...     print(recurrence.loops, list(recurrence.start.shape))
            ...     return recurrence
            >>> with layer.hooked(look):
            ...     _ = layer(torch.ones(5, 3))
            2 [5, 3]
        """
        if not callable(hook) or isinstance(hook, type):
            raise TypeError(
                f"hook must be a function of a Recurrence, got {type(hook).__name__}; pass "
                "hook=lambda recurrence: recurrence"
            )
        return self._hook.held_by(hook, self)

    @property
    def has_plain_messages(self) -> bool:
        """Whether messages are weight times state and are summed, as the kernels compute it.

        Not where ``message``, ``aggregate`` or ``update`` is overridden, PyG's hooks or an
        explainer look at single messages, or ``aggr`` is another one than "sum".
        """
        return (
            not self.explain
            and type(self.aggr_module) is SumAggregation
            and not any(getattr(self, hooks) for hooks in _PYG_HOOKS)
            and all(
                getattr(type(self), name) is getattr(GraphLayer, name) and name not in vars(self)
                for name in ("message", "aggregate", "update")
            )
        )

    def _messages(self, weight: Tensor, edge_index: Tensor | None) -> Callable[[Tensor], Tensor]:
        """W x through PyG, message by message, for states [N, B] or [B * N, C]."""
        if edge_index is None:
            edge_index = self.edge_index
        elif self.structure.num_edges:
            weight = weight.repeat(edge_index.size(1) // self.structure.num_edges)

        def exchange(x: Tensor) -> Tensor:
            # PyG looks for this call in the text of the class.
            after: Tensor = self.propagate(edge_index, x=x, weight=weight, size=(x.size(0),) * 2)
            return after

        return exchange

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """What a synapse carries: ``weight`` [E] times the state ``x_j`` [E, C] of its source."""
        return weight.unsqueeze(-1) * x_j

    def __prepare_scriptable__(self) -> None:
        """Refuse ``torch.jit.script``, which asks for this, with the way that works."""
        raise NotImplementedError(
            "torch.jit.script cannot read a GraphLayer; use torch.export.export(model, (x,)) or "
            "torch.compile(model)"
        )

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
        for name in ("weight_index", "_populations", "projections"):
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
