"""The graph layer: neurons that exchange values along synapses for a number of loops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import _has_any_global_hook
from torch.nn.utils import parametrize
from torch_geometric.data import Data
from torch_geometric.nn.aggr import Aggregation, SumAggregation

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium, Report, Reports, check_new_loops
from sparsebrain.kernels.forms import Form
from sparsebrain.kernels.transforms import refuse_old_export
from sparsebrain.nn.arguments import check_arguments, check_change
from sparsebrain.nn.batching import BatchedEdges, admit, check_start
from sparsebrain.nn.connectome import read_structure
from sparsebrain.nn.fixed import Fixed
from sparsebrain.nn.hooks import HookPlace, LoopHook
from sparsebrain.nn.initialization import Init
from sparsebrain.nn.messages import Messages, OneLoop
from sparsebrain.nn.neurons import Leak, NeuronParameters
from sparsebrain.nn.recurrence import Recurrence, run, run_stacked
from sparsebrain.nn.renumbering import renumber
from sparsebrain.nn.replacement import ReplaceableSynapses
from sparsebrain.nn.sharing import Grouping, Sharing

_PYG_HOOKS = tuple(
    f"_{stage}_forward_{when}hooks"
    for stage in ("propagate", "message", "aggregate", "message_and_aggregate")
    for when in ("", "pre_")
)

# The methods that compute messages and what they add up to.
_METHODS = ("message", "aggregate", "update")

_TORCH_HOOKS = tuple(
    f"_{direction}_{when}hooks" for direction in ("forward", "backward") for when in ("", "pre_")
)

# The methods that a call of a layer consists of.
_CALLED = (
    "__call__",
    "forward",
    "describe",
    "weight_per_synapse",
    "bias_per_neuron",
    "leak_per_neuron",
)

# The attributes whose assigned values are checked.
_OPTIONS = (
    *("activation", "form", "inject", "noise", "checkpoint", "state_dtype", "backend"),
    *("threshold", "leak"),
)


class GraphLayer(ReplaceableSynapses, NeuronParameters):
    r"""Neurons connected by a connectome, which exchange values along its synapses.

    One loop, with one weight per synapse, tied over the loops:

    .. math:: x(t + 1) = f(W x(t) + b), \qquad W_{ts} = w_{s \to t}

    With leak a, threshold theta and noise, x(t + 1) = (1 - a) x(t) + a f(W x(t) + b - theta) +
    noise, see :class:`sparsebrain.nn.neurons.NeuronParameters`. The input is x(0). With
    ``inject=True`` the input is instead added at every loop, x(t + 1) = f(W x(t) + b + input),
    starting from zero or from a given state.

    With ``form="voltage"`` the state is a membrane potential and synapses carry the rate f(x):

    .. math:: x(t + 1) = (1 - a) \odot x(t) + a \odot (W f(x(t)) + b - \theta + \mathrm{input})

    This is Euler's method for :math:`\tau \dot x = -x + W f(x) + b - \theta + \mathrm{input}`
    with a = dt / tau; the output is the state x. Without an activation both forms are the same.

    On a grid this is the graph layer of A. Ejima, "Neurons regarded as Graph". The defaults are
    those of that article: no bias, no activation, one loop.

    Args:
        connectome: Any ``torch_geometric.data.Data`` with ``edge_index`` [2, E] (sources, targets),
            in any order, and ``num_nodes`` N. Options read further fields: ``edge_type`` [E] int64,
            ``edge_weight`` [E], ``edge_sign`` [E] or ``node_sign`` [N] of -1, 0 (unknown) and +1,
            and ``node_type`` [N] int64, the population of each neuron.
        loops: The number of loops, from 1 to a million, or an :class:`sparsebrain.Equilibrium`,
            which loops until the state no longer changes and injects the input.
        activation: f: None, "tanh", "sigmoid", "relu", "leaky_relu" (slope 0.01), "gelu", "silu",
            "softplus", "hardtanh", or any function that takes the state in the shape of x and keeps
            its shape and dtype.
        form: "rate" for f(W x + b), or "voltage" for W f(x) + b.
        bias: True or "neuron" to learn b [N], "population" for one value per ``node_type`` [P]. The
            bias starts at zero.
        threshold: theta, which is subtracted from u = W x + b, or from W f(x) + b. A number, or
            "neuron" or "population" to learn it from zero.
        leak: a, above 0 and at most 1, for a time constant of 1 / a loops. A number, or "neuron" or
            "population" to learn it from 1. It stays in this range under any optimizer.
        noise: The standard deviation of the noise that is added to the state at every loop during
            training.
        inject: Whether the input is added at every loop.
        weight_sharing: "synapse" for one weight per synapse [E], or one weight per "type"
            (``edge_type`` [T]; on a grid, whose types are offsets, this is a convolution),
            "projection" (from one ``node_type`` to another [P], in the order of ``projections``),
            "source", "target", or "pair" for a symmetric W: one weight per pair of neurons i <= j
            with a synapse in both directions, sorted by (i, j). Every synapse needs a partner; see
            :func:`graphs.symmetrize`.
        gain: Learn gains on fixed strengths: a weight is the connectome's signed ``edge_weight``
            times a gain, which starts at 1. The value says which synapses share a gain, as for
            ``weight_sharing``. With ``dale`` gains stay at 0 or above. See
            :class:`sparsebrain.nn.gains.Gain`.
        dale: Keep the sign of every synapse under any optimizer: that of ``edge_sign``, or else the
            ``node_sign`` of its source. Where the sign is 0 (unknown) the weight starts positive
            and is free; with ``gain`` its strength is fixed and its gain is free. Set weights with
            ``layer.weight = ...``; in-place changes of ``layer.weight`` are lost, as with every
            parametrization of torch.
        init: "variance" draws normal weights and scales them so that ``loops`` linear loops keep
            the variance of the state. "identity" does the same around the identity, with self-loops
            at 1 and little noise elsewhere. "edge_weight" uses the connectome's weights with their
            signs, see :func:`graphs.signed_weights`. With an Equilibrium the default is
            "contraction": normal weights, small enough that all loops converge.
        aggr: How a neuron aggregates its messages, as in PyG. "sum", "mean", "max" and "min" are
            fused; other values use PyG's slower path. The gradient of a maximum or minimum is
            divided evenly among equal messages, and where it is 0 PyG counts one message more.
        checkpoint: For backpropagation, keep a state every sqrt(loops) loops and recompute the
            others: less memory for a second forward pass, with the compiled kernels 1.2 to 1.4
            times the time (``python -m benchmarks.options``). PyG's slower path keeps all states.
        state_dtype: ``torch.bfloat16`` to round the state to bfloat16 before the first and after
            each loop: half the memory of states for backpropagation, and for large layers, whose
            states do not fit into a cache, a faster forward pass (``python -m
            benchmarks.narrow``). Sums, weights, inputs and outputs remain float32.
            For form="rate", aggr="sum", a named activation and a number of loops; not with
            backend="triton", and without second derivatives. See :mod:`sparsebrain.kernels.narrow`.
        backend: The kernel backend: "auto", "native", "triton", "torch", "dense" or "reference".
        device: The device of the parameters.
        dtype: The dtype of the parameters, float32 or float64.

    Attributes:
        weight: [E], in the order of ``edge_index``, or one value per group with
            ``weight_sharing``. With ``gain`` it is the product of strengths and gains.
        gain: The gains, or None.
        weight_index: [E] int64, the position of each synapse's weight in ``weight``, or None if
            every synapse has its own.
        projections: [2, P] int64, the source and target ``node_type`` of each projection, or None.
        bias: [N] or [P], or None.
        threshold: [N] or [P], a number, or None.
        leak: [N] or [P], a number, or None.
        report: With an Equilibrium, how the last call converged, a
            :class:`sparsebrain.equilibrium.Report`. Each thread reads the report of its own last
            call, and None before its first.

    Shape:
        - ``layer(x)``: x [..., N] with any batch dimensions -> [..., N]. This replaces
          ``nn.Linear(N, N)``.
        - ``layer(x, edge_index)``: x [B * N, C] node-first and edge_index [2, B * E], as a PyG
          ``DataLoader`` batches B copies of the connectome -> [B * N, C]. The layer refuses other
          edges.
        - ``return_states=True`` returns (output, states), where states is
          ``[loops + 1, *x.shape]`` and starts with x(0).
        - ``state=``, in the shape of x and only with ``inject=True``, is x(0). The call returns
          (output, state) for the next call.
        - ``generator=`` draws the key of the noise, one number for each call; torch's default
          generator draws it otherwise.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an argument has the wrong shape, value or option.

    Note:
        On a connectome without cycles every loop moves the state one layer further, and after more
        loops than the longest path has synapses the state is zero. Set ``loops`` to the depth.

        If ``message``, ``aggregate`` or ``update`` is overridden, or PyG's hooks or an explainer's
        edge mask are set, the layer uses ``MessagePassing.propagate``. Otherwise it uses fused
        kernels, with the same result. ``state_dict`` contains a fingerprint of the synapses and is
        only loaded into a layer with the same synapses. The layer copies the connectome, so later
        changes of the connectome do not change the layer. Large layers with several loops may
        renumber their neurons internally for speed.

        Second derivatives, ``torch.func``, forward-mode derivatives and ``torch.onnx.export`` with
        ``dynamo=True`` work with a number of loops. They use PyTorch's own operations, which are
        slower and need memory in proportion to the synapses times the batch; ``checkpoint`` has no
        effect under ``torch.func``. For an ensemble, ``torch.func.stack_module_state`` takes layers
        with ``dale``, ``gain`` or a learned leak as modules of a model, for example in
        ``nn.Sequential(layer)``, because torch gives each parametrized layer a class of its own.

        After a process has used several threads, a child process that was started with the "fork"
        method can hang in OpenMP, as with PyTorch itself. Start processes with "spawn" or
        "forkserver", or call ``torch.set_num_threads(1)`` before the first call.

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

    # Layers that were pickled by older versions have none of their own.
    state_dtype: torch.dtype | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "propagate" in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} overrides propagate, which fused kernels do not call; override "
                "message, aggregate or update"
            )

    def __init__(
        self,
        connectome: Data,
        loops: int | Equilibrium = 1,
        *,
        activation: str | Callable[[Tensor], Tensor] | None = None,
        form: Form = "rate",
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
        state_dtype: torch.dtype | None = None,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        checked = check_arguments(
            loops=loops,
            activation=activation,
            form=form,
            aggr=aggr,
            init=init,
            weight_sharing=weight_sharing,
            gain=gain,
            backend=backend,
            device=device,
            dtype=dtype,
            neurons={"bias": bias, "threshold": threshold, "leak": leak, "noise": noise},
            flags={"inject": inject, "dale": dale, "checkpoint": checkpoint},
            state_dtype=state_dtype,
        )
        super().__init__(aggr=aggr)
        # What the loops do.
        self._loops = checked.loops
        self.activation = "none" if activation is None else activation
        self.form = form
        # An equilibrium depends only on its input, which is therefore added at every loop.
        self.inject = inject or isinstance(checked.loops, Equilibrium)
        self.checkpoint, self.backend = checkpoint, backend
        self.state_dtype = state_dtype
        self._lipschitz = checked.lipschitz
        # The synapses.
        self.structure = read_structure(connectome)
        self.num_nodes = self.structure.num_nodes
        self._renumbering = renumber(self.structure, checked.loops)
        # The learned parameters; weights are drawn for these loops and this activation.
        self.weight_sharing, self.init = weight_sharing, checked.init
        where = {"device": device, "dtype": dtype}
        self._make_weights(connectome, gain, dale=dale, where=where)
        self._make_neurons(connectome, checked.neurons, where)
        self._follow_parameters()
        self.reset_parameters()
        # The state that is kept between calls.
        self._batched_edges = BatchedEdges()
        self._reports = Reports()
        self._hook = HookPlace()

    @property
    def edge_index(self) -> Tensor:
        """The synapses [2, E] int64, in the order of the connectome."""
        return self.structure.edge_index

    @property
    def report(self) -> Report | None:
        """How this thread's last call converged; None before it, or with a number of loops."""
        return self._reports.last

    @property
    def loops(self) -> int | Equilibrium:
        """The number of loops, which can be changed, or the Equilibrium."""
        return self._loops

    @loops.setter
    def loops(self, loops: int | Equilibrium) -> None:
        self._loops = check_new_loops(loops, self._loops)

    def __setattr__(self, name: str, value: Any) -> None:
        # __init__ assigns checked values, and torch's setters check learned ones.
        if name in _OPTIONS and "_hook" in self.__dict__ and name not in self._per:
            value = check_change(name, value, self._loops)
            # Torch refuses to replace a module by a function, or None by a number.
            for held in (self._modules, self._parameters):
                held.pop(name, None)
        elif name == "loops":
            # Torch would register a module without calling the property's setter.
            value = check_new_loops(value, self._loops)
        super().__setattr__(name, value)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights and reset all other parameters to their initial values.

        Args:
            generator: The source of randomness; torch's default generator if None.
        """
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
        """Run all loops; the class describes the shapes and results."""
        recurrence = self.describe(
            x, edge_index, state=state, return_states=return_states, generator=generator
        )
        recurrence = self._hook.apply(recurrence)
        if return_states:
            return run_stacked(recurrence, self._reports)
        states = run(recurrence, self._reports)
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
        """Describe the loops of ``layer(x, ...)`` without running them.

        :func:`sparsebrain.nn.recurrence.run` runs a description.

        Raises:
            TypeError: As the call itself.
            ValueError: As the call itself.
        """
        arguments.flag("return_states", return_states)
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
                "return_states=True is for a number of loops, and an Equilibrium keeps one state; "
                "pass return_states=False"
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
            form=self.form,
            noise=self._draws(x, generator, node_first=node_first),
            keep=return_states,
            checkpoint=self.checkpoint,
            state_dtype=self.state_dtype,
            backend=self.backend,
            edge_index=edge_index,
            exchange=None if self.has_plain_messages else self._messages(weight, edge_index),
            renumbering=self._renumbering,
        )

    def weight_per_synapse(self) -> Tensor:
        """Return the weight of every synapse [E], in the order of ``edge_index``."""
        # Without torch's lookup of attributes, unless the weight is parametrized.
        found = self._parameters.get("weight")
        weight = self.weight if found is None else found
        return weight if self.weight_index is None else weight.index_select(0, self.weight_index)

    def bias_per_neuron(self) -> Tensor | None:
        """Return bias minus threshold [N], which every loop adds; None if there is neither."""
        bias, threshold = self._per_neuron("bias"), self._per_neuron("threshold")
        if threshold is None:
            return bias
        return -threshold if bias is None else bias - threshold

    def leak_per_neuron(self) -> Tensor | None:
        """Return the leak [N]; None if it is 1."""
        return self._per_neuron("leak")

    def hooked(self, hook: LoopHook) -> AbstractContextManager[None]:
        """Let a function see or replace the description of each call's loops, within a context.

        A call then runs ``hook(layer.describe(x, ...))``. The hook returns the description
        unchanged, or a new one from :func:`dataclasses.replace`, for example with an ``exchange``
        that has another backward pass, an ``activation`` that records the pre-activations, or a
        ``start`` that is a leaf. The hook applies to the calls of all threads and of shallow copies
        of the layer.

        Args:
            hook: A function from a :class:`sparsebrain.nn.recurrence.Recurrence` to another one.

        Returns:
            The context manager.

        Raises:
            RuntimeError: If the layer already has a hook.
            TypeError: If ``hook`` is not a function; in the call, if it does not return a
                description.
            ValueError: In the call, if the hook returns an inconsistent description.

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
        if not arguments.is_function(hook):
            raise TypeError(
                f"hook must be a function of a Recurrence, got {type(hook).__name__}; pass "
                "hook=lambda recurrence: recurrence"
            )
        return self._hook.held_by(hook, self)

    @property
    def has_plain_messages(self) -> bool:
        """Whether messages are weight times state and are summed, as the kernels compute them.

        With ``form="voltage"`` the state of a message is the rate f(x).

        False if ``message``, ``aggregate`` or ``update`` is overridden, if PyG's hooks or an
        explainer need single messages, or if ``aggr`` is not "sum".
        """
        return type(self._modules["aggr_module"]) is SumAggregation and self._sends_plainly

    @property
    def _sends_plainly(self) -> bool:
        """Whether messages are weight times state and nothing but the aggregation joins them."""
        return (
            not self.explain
            and not any(map(vars(self).get, _PYG_HOOKS))
            and not any(name in vars(self) for name in _METHODS)
            and (
                type(self) is GraphLayer
                or all(getattr(type(self), name) is getattr(GraphLayer, name) for name in _METHODS)
            )
        )

    @property
    def has_plain_calls(self) -> bool:
        """Whether a call computes its loops and nothing else, always from the same parameters.

        False while noise is drawn, within :meth:`hooked`, with torch's hooks or parametrizations of
        the caller's own, if the layer is compiled, or if a method that a call uses is overridden.
        """
        steps = chain.from_iterable(getattr(self, "parametrizations", {}).values())
        return (
            self._hook.is_free
            and not (self.training and self.noise)
            and self._compiled_call_impl is None
            and not _has_any_global_hook()
            and not any(getattr(self, hooks) for hooks in _TORCH_HOOKS)
            and all(isinstance(step, Fixed | Leak) for step in steps)
            and all(
                getattr(type(self), name) is getattr(GraphLayer, name) and name not in vars(self)
                for name in _CALLED
            )
        )

    def _messages(self, weight: Tensor, edge_index: Tensor | None) -> Callable[[Tensor], Tensor]:
        """Compute W x message by message with PyG, for states [N, B] or [B * N, C]."""
        edges, own = self.edge_index if edge_index is None else edge_index, self.structure.num_edges

        @functools.cache
        def repeated(differentiable: bool) -> Tensor:
            return weight if edge_index is None or not own else weight.repeat(edges.size(1) // own)

        def exchange(x: Tensor) -> Tensor:
            size, weights = (x.size(0),) * 2, repeated(torch.is_grad_enabled())
            # PyG searches the source of the class for this call.
            after: Tensor = self.propagate(edges, x=x, weight=weights, size=size)
            return after

        one_loop = OneLoop(self.structure, weight, self.backend) if edge_index is None else None
        return Messages(exchange, one_loop, self.aggr_module if self._sends_plainly else None)

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """Return the messages: ``weight`` [E] times the state ``x_j`` [E, C] of the source.

        With ``form="voltage"`` ``x_j`` is the rate f(x) of the source.
        """
        return weight.unsqueeze(-1) * x_j

    def __prepare_scriptable__(self) -> None:
        """Refuse ``torch.jit.script``, which calls this method, and name the alternatives."""
        raise NotImplementedError(
            "torch.jit.script cannot read a GraphLayer; use torch.export.export(model, (x,)) or "
            "torch.compile(model)"
        )

    def _slow_forward(self, *args: Any, **kwargs: Any) -> Any:
        # Torch calls this in place of forward while it traces.
        refuse_old_export()
        return super()._slow_forward(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GraphLayer:
        super()._apply(fn, recurse)
        self._follow_parameters()
        return self

    def _follow_parameters(self) -> None:
        """Move the index arrays to the device of the parameters.

        They are not buffers, because ``to_empty`` would fill buffers with arbitrary memory
        contents, and a kernel would then read out of bounds.
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
        if self.form != "rate":
            told.append(f"form={self.form!r}")
        told += self._told_neurons()
        if self.inject and not isinstance(self.loops, Equilibrium):
            told.append("inject=True")
        if self.checkpoint:
            told.append("checkpoint=True")
        if self.state_dtype is not None:
            told.append(f"state_dtype={self.state_dtype}")
        told += self._told_weights()
        if type(self.aggr_module) is not SumAggregation:
            told.append(f"aggr={self.aggr!r}")
        return f"{parametrize.type_before_parametrizations(self).__name__}({', '.join(told)})"
