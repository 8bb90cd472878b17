"""A graph layer whose neurons are spread over the processes of torch.distributed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import parametrize

from graphs import arguments, tensors
from sparsebrain.distributed.agreement import CallCheck, group_of, require_same, together
from sparsebrain.distributed.layer_checks import check_made, check_same, name_of, options_of
from sparsebrain.distributed.links import Links, total
from sparsebrain.distributed.partitions import Partition
from sparsebrain.distributed.parts import Part
from sparsebrain.distributed.products import PartProduct, replicated
from sparsebrain.distributed.weights import REPLICATED, draw, value_of_weights
from sparsebrain.equilibrium import Equilibrium, Report, Reports
from sparsebrain.kernels import Structure
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.nn.arguments import check_change
from sparsebrain.nn.batching import admit, check_start
from sparsebrain.nn.connectome import read_node_types, read_signs, read_weights
from sparsebrain.nn.dale import DaleSign, with_signs
from sparsebrain.nn.fingerprinted import Fingerprinted
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.neurons import Leak
from sparsebrain.nn.recurrence import Recurrence, from_columns, run, run_stacked, to_columns
from sparsebrain.nn.weight_setting import set_weight

_CHANGEABLE = ("activation", "form", "inject", "noise", "backend")
_NEURONS = ("bias", "threshold", "leak")


class DistributedGraphLayer(Fingerprinted, nn.Module):
    r"""A :class:`~sparsebrain.GraphLayer` on several processes, each of which owns some neurons.

    Every process makes the layer from its own part and calls it with the states of its own neurons:
    x and the output are [..., n] for n owned neurons. All processes call it together, forward and
    backward, with the same samples. Output and gradients equal those of one layer up to rounding.

    At every loop each process sends the states that others read, and computes the neurons without
    sources in the halo while they travel. The gradient travels back the same way. Every loop of the
    backward pass recomputes nothing and keeps the states of owned and halo neurons.

    Args:
        part: The part of this process, a :class:`Part`, or the whole :class:`Partition`.
        loops: As for a GraphLayer. An Equilibrium adds up its norms over all processes; it takes
            no constraint.
        activation: As for a GraphLayer.
        form: As for a GraphLayer.
        bias: As for a GraphLayer.
        threshold: As for a GraphLayer.
        leak: As for a GraphLayer.
        noise: As for a GraphLayer. With the same seed of torch it equals that of one layer.
        inject: As for a GraphLayer.
        weight_sharing: As for a GraphLayer, except "pair". With "type" and "projection" every
            process holds all weights, and their gradients are added up.
        dale: As for a GraphLayer; not with ``weight_sharing="source"``.
        init: "variance" or "edge_weight", or by default "contraction" with an Equilibrium. Drawn
            weights are the same for every number of processes, and other ones than a GraphLayer
            draws; :meth:`from_layer` copies those of a layer.
        backend: As for a GraphLayer.
        device: The device of the parameters.
        dtype: The dtype of the parameters.
        group: The processes, one for each part; all processes by default.

    Attributes:
        weight: The weights of the synapses onto owned neurons, [e], in the order of
            ``part.data.edge_index``; or one value per group with ``weight_sharing``.
        part: The part of this process.
        owned: The global numbers of the neurons of x and of the output, ascending, [n] int64.
        interior_share: The share of the synapses that is computed while the halo travels.

    Raises:
        TypeError: If an argument has the wrong type in some process.
        ValueError: If an argument has the wrong value in some process; or if parts, options, kernel
            backends or torch's seeds differ between processes. Every error is raised in all
            processes.
        RuntimeError: If torch.distributed is not initialized, or a process has ended.

    Note:
        A hanging process is noticed after the timeout of the process group, which is half an hour
        by default; pass ``timeout=timedelta(seconds=60)`` to ``init_process_group``. Derivatives of
        second order are not supported.

    Example:
        >>> import graphs, torch
        >>> from torch import distributed
        >>> from sparsebrain.distributed import DistributedGraphLayer, partition
        >>> store = distributed.HashStore()
        >>> distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        >>> one = partition(graphs.grid_local((4, 4), 1), 1)
        >>> layer = DistributedGraphLayer(one, loops=2, activation="tanh")
        >>> layer(torch.randn(8, 16)).shape
        torch.Size([8, 16])
        >>> distributed.destroy_process_group()
    """

    weight: Tensor

    def __init__(
        self,
        part: Part | Partition,
        loops: int | Equilibrium = 1,
        *,
        activation: str | Callable[[Tensor], Tensor] | None = None,
        form: str = "rate",
        bias: bool | str = False,
        threshold: float | str | None = None,
        leak: float | str | None = None,
        noise: float = 0.0,
        inject: bool = False,
        weight_sharing: str = "synapse",
        dale: bool = False,
        init: str | None = None,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        group: distributed.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        where = group_of(group)
        options = {
            "loops": loops,
            "activation": activation,
            "form": form,
            "init": init,
            "weight_sharing": weight_sharing,
            "backend": backend,
            "device": device,
            "dtype": dtype,
            "neurons": {"bias": bias, "threshold": threshold, "leak": leak, "noise": noise},
            "flags": {"inject": inject, "dale": dale, "checkpoint": False},
        }
        self.part, checked, self._sharing = together(
            where, lambda: check_made(part, options, where)
        )
        like = torch.empty(0, device=device, dtype=dtype)
        check_same(where, self.part, options, like)
        self._loops = checked.loops
        self.activation = "none" if activation is None else activation
        self.form, self.backend, self.noise = form, backend, checked.neurons["noise"]
        self.inject = inject or isinstance(checked.loops, Equilibrium)
        self.weight_sharing, self.init = weight_sharing, checked.init
        self._lipschitz = checked.lipschitz
        own = self.part
        links = Links(where, own.owned, own.halo, own.owner[~own.is_owned])
        self._product = PartProduct(own, links, like.device)
        # The description of the loops needs the number of the neurons alone.
        self._neurons = Structure(torch.empty((2, 0), dtype=torch.int64), len(own.owned))
        self._make_neurons(checked.neurons, like)
        self._make_weights(dale, like)
        self._reports, self._check_call = Reports(), CallCheck(where)
        self.reset_parameters()

    def _make_neurons(self, values: dict[str, Any], like: Tensor) -> None:
        self._per: dict[str, str] = {}
        self._populations: Tensor | None = None
        for name in _NEURONS:
            value = values[name]
            if not isinstance(value, str):
                setattr(self, name, value)
                continue
            self._per[name] = value
            count = self.num_nodes
            if value == "population":
                types = read_node_types(self.part.data, f"{name}='population'")
                self._populations = types[self.part.is_owned].to(like.device)
                count = self.part.num_node_types
            start = torch.ones if name == "leak" else torch.zeros
            parameter = nn.Parameter(start(count, device=like.device, dtype=like.dtype))
            self.register_parameter(name, parameter)
            if name == "leak":
                parametrize.register_parametrization(self, name, Leak())

    def _make_weights(self, dale: bool, like: Tensor) -> None:
        self.weight = nn.Parameter(like.new_zeros(self._sharing.size))
        self._sign: Tensor | None = None
        if dale:
            sign = read_signs(self.part.data).to(like.dtype)
            sign = value_of_weights(sign, self._sharing, "edge_sign", self.group)
            self._sign = sign.to(like.device)
            parametrize.register_parametrization(self, "weight", DaleSign(self._sign))
        self._initial: Tensor | None = None
        if self.init == "edge_weight":
            measured = read_weights(self.part.data, like.dtype, for_gain=False)
            self._initial = value_of_weights(measured, self._sharing, "edge_weight", self.group)

    @property
    def group(self) -> distributed.ProcessGroup:
        """The processes."""
        return self._product.links.group

    @property
    def num_nodes(self) -> int:
        """The number of owned neurons n."""
        return len(self.part.owned)

    @property
    def owned(self) -> Tensor:
        """The global numbers of the neurons of x and of the output, ascending, [n] int64."""
        return self.part.owned

    @property
    def interior_share(self) -> float:
        """The share of the synapses that is computed while the halo travels."""
        return self._product.interior_share

    @property
    def loops(self) -> int | Equilibrium:
        """The number of loops or the Equilibrium, as the layer was made."""
        return self._loops

    @property
    def report(self) -> Report | None:
        """How this thread's last call converged; None before it, or with a number of loops."""
        return self._reports.last

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CHANGEABLE and "_check_call" in self.__dict__:
            value = check_change(name, value, self._loops)
        super().__setattr__(name, value)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new weights and reset all other parameters; all processes call this together.

        Args:
            generator: The source of randomness, in the same state in every process; torch's default
                generator if None.

        Raises:
            ValueError: In all processes, if their generators are in different states.
        """
        tensors.generator("generator", generator, self.weight.device)
        for name in self._per:
            parameter = getattr(self, name)
            if name == "leak":
                self.leak = torch.ones_like(parameter)
            else:
                nn.init.zeros_(parameter)
        if self._initial is not None:
            self.assign_weight(self._initial.to(self.weight))
            return
        key = torch.randint(2**63 - 1, (), generator=generator, device=self.weight.device)
        fix = "call torch.manual_seed with the same number in every process"
        require_same(self.group, {"generator, torch's seed,": (int(key), fix)})
        sign = self._sign
        self.assign_weight(
            draw(
                self.part,
                self._sharing,
                self._product,
                self.weight.detach(),
                key,
                signed=lambda w: w if sign is None else with_signs(w.abs(), sign),
                loops=None if isinstance(self._loops, Equilibrium) else self._loops,
                lipschitz=self._lipschitz,
                backend=self.backend,
            )
        )

    def assign_weight(self, weight: Tensor) -> None:
        """Set ``weight``, in its own shape, whether it is parametrized or not.

        Raises:
            TypeError: If ``weight`` is not a dense tensor of floats.
            ValueError: If it has another shape, or a sign that ``dale`` does not allow.
        """
        set_weight(self, weight)

    def exchange_halo(self, states: Tensor) -> Tensor:
        """Return the states of the halo [h, B], for states [n, B] of the owned neurons.

        All processes call this together; a call of the layer does so by itself.
        """
        return self._product.links.exchange(states)

    def numbers_of(self, name: str) -> Tensor | None:
        """Return the numbers in the whole graph that the values of a parameter belong to.

        Args:
            name: The name of the parameter, as in ``named_parameters()``.

        Returns:
            Numbers of synapses or neurons, [k] int64; None if every process holds all values.
        """
        if "weight" in name.split("."):
            return None if self.weight_sharing in REPLICATED else self._sharing.numbers
        # The leak is parametrized: "parametrizations.leak.original".
        per = self._per[next(each for each in name.split(".") if each in self._per)]
        return self.owned if per == "neuron" else None

    def forward(
        self,
        x: Tensor,
        *,
        state: Tensor | None = None,
        return_states: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Run all loops, together with all other processes.

        Args:
            x: The states of the owned neurons, [..., n]; all processes pass the same batch shape.
            state: x(0), as for a GraphLayer.
            return_states: As for a GraphLayer.
            generator: As for a GraphLayer, in the same state in every process.

        Returns:
            As a GraphLayer, for the owned neurons.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument has the wrong value, or the calls of the processes differ.
            RuntimeError: If the call failed in another process, or a process has ended.
        """
        given = self._check_call(
            lambda: self._admit(x, state, return_states, generator), self._told, self.weight
        )
        x, start, key = given
        weight = self._sharing.per_synapse(self.weight, self._product, self.part)
        recurrence = Recurrence(
            structure=self._neurons,
            weight=weight,
            start=x if start is None else start,
            loops=self._loops,
            drive=x if self.inject else None,
            bias=self._bias(),
            leak=self._per_neuron("leak"),
            activation=self.activation,
            form=self.form,
            noise=None if key is None else partial(self._noise, CounterNoise(key, self.noise), x),
            keep=return_states,
            backend=self.backend,
            exchange=lambda columns: self._product(columns, weight, self.backend),
            total=total(self.group),
        )
        if return_states:
            return run_stacked(recurrence, self._reports)
        states = run(recurrence, self._reports)
        return states[-1] if state is None else (states[-1], states[-1].clone())

    def _admit(
        self,
        x: Tensor,
        state: Tensor | None,
        return_states: bool,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return x, the initial state and the key of the noise, all of them checked."""
        arguments.flag("return_states", return_states)
        weight = self.weight
        x = admit(x, "x", weight, self.num_nodes, node_first=False)
        if state is not None:
            state = admit(state, "state", weight, self.num_nodes, node_first=False)
            check_start(state, x, inject=self.inject)
        elif self.inject:
            state = torch.zeros_like(x)
        if return_states and isinstance(self._loops, Equilibrium):
            raise ValueError(
                "return_states=True is for a number of loops, and an Equilibrium keeps one state; "
                "pass return_states=False"
            )
        tensors.generator("generator", generator, x.device)
        if generator is not None and not self.noise:
            raise ValueError(
                "generator is for noise, which this layer does not have; pass noise=0.1 when you "
                "make it"
            )
        if not self.training or not self.noise:
            return x, state, None
        return x, state, torch.randint(2**63 - 1, (), generator=generator, device=x.device)

    def _told(self, given: tuple[Tensor, Tensor | None, Tensor | None]) -> dict[str, Any]:
        """Return all that must be the same in all processes."""
        x, state, key = given
        return {
            "the batch shape of x": list(x.shape[:-1]),
            "x.requires_grad": x.requires_grad,
            "state.requires_grad": state is not None and state.requires_grad,
            "torch.is_grad_enabled()": torch.is_grad_enabled(),
            "requires_grad of the parameters": [
                name for name, each in self.named_parameters() if each.requires_grad
            ],
            "activation": name_of(self.activation),
            "form": self.form,
            "inject": self.inject,
            "noise": self.noise,
            "generator, torch's seed,": None if key is None else int(key),
        }

    def _noise(self, counter: CounterNoise, like: Tensor, number: int) -> Tensor:
        columns = to_columns(like.detach(), self.num_nodes, node_first=False)
        drawn = counter.values(number, columns, self.part.owned.to(like.device))
        return from_columns(drawn, like.shape, node_first=False)

    def _bias(self) -> Tensor | None:
        bias, threshold = self._per_neuron("bias"), self._per_neuron("threshold")
        if threshold is None:
            return bias
        return -threshold if bias is None else bias - threshold

    def _per_neuron(self, name: str) -> Tensor | None:
        value = getattr(self, name)
        if value is None:
            return None
        if isinstance(value, float):
            return self.weight.new_full((self.num_nodes,), value)
        if self._per[name] == "neuron":
            return value
        assert self._populations is not None
        return replicated(value, self.group).index_select(0, self._populations)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        loops: int | Equilibrium = 1,
        *,
        group: distributed.ProcessGroup | None = None,
        **options: Any,
    ) -> DistributedGraphLayer:
        """Make the layer from a folder of parts; every process reads its own file alone.

        Args:
            folder: Where :meth:`Partition.save` or a generator saved the parts.
            loops: As for the class.
            group: As for the class.
            options: Further arguments of the class.

        Raises:
            FileNotFoundError: In all processes, if a part is missing.
            ValueError: As for the class, or if a file is damaged.
        """
        where = group_of(group)
        rank = distributed.get_rank(where)
        part = together(where, lambda: Part.load(folder, rank))
        return cls(part, loops, group=group, **options)

    @classmethod
    def from_layer(
        cls,
        layer: GraphLayer,
        partition: Partition,
        *,
        group: distributed.ProcessGroup | None = None,
    ) -> DistributedGraphLayer:
        """Spread a layer over processes, with its options and its parameters.

        Args:
            layer: The layer, the same in every process.
            partition: A partition of its connectome.
            group: The processes, one for each part; all processes by default.

        Returns:
            The layer of this process.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the partition is of another connectome, or the layer has an option that
                several processes do not support, which the message names.
        """
        where = group_of(group)
        options = together(where, lambda: options_of(layer, partition))
        spread = cls(partition, layer.loops, group=group, **options)
        spread._copy(layer)
        return spread

    def _copy(self, layer: GraphLayer) -> None:
        at = {"synapse": self.part.synapse, "source": self.owned, "target": self.owned}
        chosen = at.get(self.weight_sharing)
        source = layer.weight.detach()
        self.assign_weight((source if chosen is None else source[chosen]).to(self.weight))
        for name, per in self._per.items():
            value = getattr(layer, name).detach()
            value = value if per == "population" else value[self.owned]
            if name == "leak":
                self.leak = value.to(self.weight)
            else:
                with torch.no_grad():
                    getattr(self, name).copy_(value)
        self.train(layer.training)

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the graph and the part, for state_dict."""
        text = f"{self.part.graph} {self.part.rank} {self.part.parts} {self.weight_sharing}"
        return torch.frombuffer(
            bytearray(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8
        )

    def _size(self) -> str:
        return "the whole graph, the part and the shared types"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DistributedGraphLayer:
        super()._apply(fn, recurse)
        device = self.weight.device
        if device.type != "meta" and device != self._product.interior.device:
            self._product = PartProduct(self.part, self._product.links, device)
            if self._populations is not None:
                self._populations = self._populations.to(device)
        return self

    def __repr__(self) -> str:
        told = [repr(self.part), f"loops={self._loops}"]
        if self.activation != "none":
            told.append(f"activation={self.activation!r}")
        return f"{parametrize.type_before_parametrizations(self).__name__}({', '.join(told)})"
