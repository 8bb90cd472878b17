"""Checks of the arguments of a layer on several processes, before and after they communicate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from graphs import arguments
from sparsebrain.distributed.agreement import require_same
from sparsebrain.distributed.partitions import check_partition, part_of
from sparsebrain.distributed.parts import Part
from sparsebrain.distributed.weights import SHARINGS, WeightSharing, share
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.select import check_backend, resolve
from sparsebrain.nn.arguments import Arguments, check_arguments
from sparsebrain.nn.graph_layer import GraphLayer


def check_made(
    part: Any, options: dict[str, Any], group: distributed.ProcessGroup
) -> tuple[Part, Arguments, WeightSharing]:
    """Return the part of this process, the checked options and the sharing of weights.

    Args:
        part: The argument of the layer.
        options: The options of the layer, as :func:`check_arguments` takes them.
        group: The processes.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has the wrong value, or several processes do not support it.
    """
    checked = check_arguments(aggr="sum", gain=None, **options)
    own = part_of(part, distributed.get_rank(group), distributed.get_world_size(group))
    arguments.option("weight_sharing on several processes", options["weight_sharing"], SHARINGS)
    if options["flags"]["dale"] and options["weight_sharing"] == "source":
        raise ValueError(
            "dale=True on several processes needs the signs of synapses where their weights are, "
            "which weight_sharing='source' separates; pass weight_sharing='synapse'"
        )
    if checked.init == "edge_weight" and options["weight_sharing"] == "source":
        raise ValueError(
            "init='edge_weight' on several processes needs the weights of synapses at their "
            "target; pass weight_sharing='synapse'"
        )
    if checked.init == "identity":
        raise ValueError(
            "init='identity' is not supported on several processes; pass init='variance', or call "
            "DistributedGraphLayer.from_layer(layer, partition)"
        )
    if isinstance(checked.loops, Equilibrium) and checked.loops.constraint is not None:
        raise ValueError(
            f"constraint={checked.loops.constraint!r} of an Equilibrium is not supported on "
            "several processes; pass Equilibrium(constraint=None)"
        )
    return own, checked, share(own, options["weight_sharing"])


def check_same(
    group: distributed.ProcessGroup, part: Part, options: dict[str, Any], like: Tensor
) -> None:
    """Raise ValueError in all processes unless parts, options, backends and seeds agree."""
    kernels = resolve(check_backend(options["backend"]), like.device).name
    own = {name: name_of(value) for name, value in options.items() if name != "device"}
    require_same(
        group,
        {
            "part, its graph,": (part.graph, "pass the parts of one partition(connectome, parts)"),
            "backend": (
                f"{kernels} on {like.device.type}",
                "pass the same backend and kind of device to every process",
            ),
            "dtype": (str(like.dtype), "pass the same dtype to every process"),
            "the options of the layer": (repr(own), "pass the same options to every process"),
            "torch's seed": (
                torch.initial_seed(),
                "call torch.manual_seed with the same number in every process",
            ),
        },
    )


def name_of(value: Any) -> Any:
    """Return the name of a function, which prints the same in every process; others unchanged."""
    return getattr(value, "__qualname__", type(value).__name__) if callable(value) else value


def options_of(layer: Any, partition: Any) -> dict[str, Any]:
    """Return the options of a layer as arguments; TypeError or ValueError."""
    if not isinstance(layer, GraphLayer):
        raise TypeError(
            f"layer must be a GraphLayer, got {arguments.described(layer)}; pass "
            "layer=sparsebrain.GraphLayer(connectome)"
        )
    check_partition(partition, layer.num_nodes, layer.edge_index, "the layer's connectome")
    unsupported = {
        "gain": layer.gain is not None,
        "aggr": not layer.has_plain_messages,
        "checkpoint": layer.checkpoint,
        "state_dtype": layer.state_dtype is not None,
    }
    for name, used in unsupported.items():
        if used:
            raise ValueError(
                f"layer has the option {name}, which is not supported on several processes; make "
                f"the layer without {name}"
            )
    found = {
        name: layer.learned_per.get(name, getattr(layer, name)) for name in ("threshold", "leak")
    }
    return found | {
        "activation": None if layer.activation == "none" else layer.activation,
        "form": layer.form,
        "bias": layer.learned_per.get("bias", False),
        "noise": layer.noise,
        "inject": layer.inject,
        "weight_sharing": layer.weight_sharing,
        "dale": layer.keeps_signs,
        "backend": layer.backend,
        "device": layer.weight.device,
        "dtype": layer.weight.dtype,
    }
