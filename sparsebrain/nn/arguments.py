"""Checks of the arguments that make a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.nn.aggr import Aggregation, SumAggregation
from torch_geometric.nn.resolver import aggregation_resolver

from graphs import arguments, tensors
from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium, check_loops
from sparsebrain.kernels.activations import ACTIVATIONS, check_activation
from sparsebrain.kernels.forms import check_form
from sparsebrain.kernels.narrow import WITHOUT, check_rates, check_state_dtype
from sparsebrain.kernels.select import check_backend
from sparsebrain.nn.neurons import check_neurons, check_number
from sparsebrain.nn.sharing import SYNAPSES


class Arguments(NamedTuple):
    """The checked and completed arguments of a layer.

    Attributes:
        loops: The number of loops or the Equilibrium.
        init: The initialization.
        lipschitz: Lip(f); 1 if it is unknown.
        neurons: The arguments of :class:`sparsebrain.nn.neurons.NeuronParameters`.
    """

    loops: int | Equilibrium
    init: str
    lipschitz: float
    neurons: dict[str, Any]


def check_arguments(
    *,
    loops: int | Equilibrium,
    activation: str | Callable[[Tensor], Tensor] | None,
    form: str,
    aggr: Any,
    init: str | None,
    weight_sharing: str,
    gain: str | None,
    backend: str,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
    neurons: dict[str, Any],
    flags: dict[str, bool],
    state_dtype: torch.dtype | None = None,
) -> Arguments:
    """Check and complete the arguments of a layer.

    Args:
        loops: As for :class:`~sparsebrain.GraphLayer`.
        activation: As for a GraphLayer.
        form: As for a GraphLayer.
        aggr: As for a GraphLayer.
        init: As for a GraphLayer.
        weight_sharing: As for a GraphLayer.
        gain: As for a GraphLayer.
        backend: As for a GraphLayer.
        device: As for a GraphLayer.
        dtype: As for a GraphLayer.
        neurons: The values of bias, threshold, leak and noise.
        flags: The values of inject, dale and checkpoint.
        state_dtype: As for a GraphLayer.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has the wrong value, or two of them exclude each other.
    """
    loops = check_loops(loops)
    lipschitz = _lipschitz_of(activation)
    check_form(form)
    for name, flag in flags.items():
        arguments.flag(name, flag)
    _check_aggr(aggr)
    neurons = check_neurons(**neurons)
    arguments.option("weight_sharing", weight_sharing, SYNAPSES)
    arguments.option("gain", gain, (None, *SYNAPSES))
    if gain is not None:
        init = _init_of_gains(init, weight_sharing)
    check_backend(backend)
    if check_state_dtype(state_dtype):
        check_rates(form, activation)
        _refuse_other_than_sum(aggr)
    if isinstance(loops, Equilibrium):
        _refuse_narrow(state_dtype)
        init = "contraction" if init is None else init
        arguments.option("init of an Equilibrium", init, ("contraction", "edge_weight"))
        _refuse_with_equilibrium(checkpoint=flags["checkpoint"], noise=neurons["noise"])
        lipschitz = _lipschitz_for(loops, activation, lipschitz)
    else:
        init = "variance" if init is None else init
        arguments.option("init", init, ("variance", "identity", "edge_weight"))
    if device is not None:
        tensors.device("device", device)
    check_dtype(dtype)
    return Arguments(loops, init, lipschitz, neurons)


def check_change(name: str, value: Any, loops: int | Equilibrium) -> Any:
    """Check and complete a value that is assigned to an attribute of a layer.

    Args:
        name: The name of the attribute.
        value: The new value.
        loops: The loops of the layer.

    Raises:
        TypeError: As when the layer is made with this value.
        ValueError: As when the layer is made with this value, or if an Equilibrium relies on the
            old one.
    """
    if name == "activation":
        # The attribute is "none" if the argument was None.
        value = None if isinstance(value, str) and value == "none" else value
        _lipschitz_of(value)
        value = "none" if value is None else value
    elif name == "backend":
        check_backend(value)
    elif name == "form":
        check_form(value)
    elif name in ("inject", "checkpoint"):
        arguments.flag(name, value)
    elif name == "state_dtype":
        check_state_dtype(value)
    elif value is not None or name == "noise":
        value = check_number(name, value)
    if not isinstance(loops, Equilibrium):
        return value
    if name == "activation" and loops.constraint is not None:
        raise ValueError(
            f"activation cannot change, since constraint={loops.constraint!r} bounds the weights "
            "for the one that the layer was made with; make a new GraphLayer(activation=...)"
        )
    if name == "inject" and not value:
        raise ValueError(
            "inject cannot be False with an Equilibrium, which depends on its input alone; make a "
            "new GraphLayer(connectome, loops=10)"
        )
    if name == "state_dtype":
        _refuse_narrow(value)
    if name in ("checkpoint", "noise"):
        _refuse_with_equilibrium(**{"checkpoint": False, "noise": None, name: value})
    return value


def _check_aggr(aggr: Any) -> None:
    """Raise TypeError or ValueError unless PyG can make an aggregation from ``aggr``."""
    several = isinstance(aggr, list | tuple)
    for each in aggr if several else [aggr]:
        if not isinstance(each, str | Aggregation):
            raise TypeError(
                f"aggr must name an aggregation of PyG, or be one, got {each!r:.60} of type "
                f"{type(each).__name__}; pass aggr='sum' or 'max'"
            )
        try:
            known = type(aggregation_resolver(each)) is not Aggregation
        except (TypeError, ValueError):
            known = False
        if not known:
            raise ValueError(
                f"aggr must name an aggregation of PyG, got {each!r}; pass aggr='sum', 'mean' or "
                "'max', or an instance from torch_geometric.nn.aggr"
            )
    if several and not aggr:
        raise ValueError("aggr must name an aggregation of PyG, got none; pass aggr='sum'")


def _refuse_other_than_sum(aggr: Any) -> None:
    several = isinstance(aggr, list | tuple)
    if several or type(aggregation_resolver(aggr)) is not SumAggregation:
        raise ValueError(
            f"state_dtype=torch.bfloat16 is for aggr='sum', got aggr={aggr!r:.60}; pass aggr='sum' "
            f"{WITHOUT}"
        )


def _refuse_with_equilibrium(*, checkpoint: bool, noise: float | str | None) -> None:
    if checkpoint:
        raise ValueError(
            "checkpoint=True is for a number of loops, and an Equilibrium keeps one state; pass "
            "checkpoint=False"
        )
    if noise:
        raise ValueError(
            "noise changes the state at every loop, so that it never reaches an Equilibrium; pass "
            "noise=0 or a number of loops"
        )


def _refuse_narrow(state_dtype: object) -> None:
    if state_dtype is not None:
        raise ValueError(
            "state_dtype=torch.bfloat16 is for a number of loops, and rounding keeps an "
            "Equilibrium from being reached; pass state_dtype=None"
        )


def _lipschitz_for(loops: Equilibrium, activation: object, known: float) -> float:
    """Return Lip(f), which the caller must pass exactly if f is a function."""
    if callable(activation):
        if loops.constraint is not None and loops.lipschitz is None:
            raise ValueError(
                f"constraint={loops.constraint!r} needs the Lipschitz constant of an activation "
                "that is a function; pass Equilibrium(lipschitz=1.0) if its slope is at most 1"
            )
        return loops.lipschitz or known
    if loops.lipschitz is not None:
        raise ValueError(
            f"lipschitz is for an activation that is a function, and that of {activation!r} is "
            f"known to be {known:g}; pass lipschitz=None"
        )
    return known


def check_dtype(dtype: torch.dtype | None) -> None:
    """Raise TypeError unless the kernels compute in this dtype; None is torch's default dtype."""
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if not isinstance(dtype, torch.dtype) or dtype not in kernels.DTYPES:
        raise TypeError(
            f"dtype must be torch.float32 or torch.float64, got {dtype!r:.60}; pass dtype="
            "torch.float32, and call the model under torch.autocast for narrower other layers"
        )


def _init_of_gains(init: str | None, weight_sharing: str) -> str:
    if init not in (None, "edge_weight"):
        raise ValueError(
            f"gain multiplies the strengths of the connectome, so init={init!r} draws nothing; "
            "pass init='edge_weight'"
        )
    if weight_sharing != "synapse":
        raise ValueError(
            f"with gain strengths are fixed and only gains are shared, got weight_sharing="
            f"{weight_sharing!r}; pass gain={weight_sharing!r} and weight_sharing='synapse'"
        )
    return "edge_weight"


def _lipschitz_of(activation: str | Callable[[Tensor], Tensor] | None) -> float:
    if isinstance(activation, str) and activation == "maxout":
        raise ValueError(
            "activation='maxout' needs several weights per synapse; use "
            "sparsebrain.Maxout(connectome, loops)"
        )
    known = {None: "none"} | {name: name for name in ACTIVATIONS if name != "none"}
    check_activation(activation, known)
    if callable(activation):
        return 1.0
    return ACTIVATIONS[known[activation]].lipschitz
