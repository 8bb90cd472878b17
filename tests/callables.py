"""A good call of every public function, class and method: what shared tests start from."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import matplotlib as mpl
import networkx as nx
import numpy as np
import pyarrow as pa
import scipy.sparse
import torch
from torch import nn

import graphs
import sparsebrain
from sparsebrain import (
    diagnostics,
    distributed,
    energy,
    error_diffusion,
    experiments,
    kernels,
    learning,
    models,
    plasticity,
    reward,
    spiking,
)
from sparsebrain import nn as layers
from sparsebrain.learning import RULES
from sparsebrain.nn import rewire
from sparsebrain.plasticity import PLASTICITY
from tests.graphs.cases import CASES, ON_DATA
from tests.sparsebrain.learning.conftest import connectome_for

PACKAGES = (
    graphs,
    sparsebrain,
    kernels,
    spiking,
    models,
    layers,
    learning,
    error_diffusion,
    diagnostics,
    distributed,
    energy,
    experiments,
    plasticity,
    reward,
)


class Call(NamedTuple):
    function: Callable[..., Any]
    arguments: dict[str, Any]


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    # A module's own call takes anything and hands it on.
    described = function.forward if isinstance(function, nn.Module) else function
    parameters = inspect.signature(described).parameters.values()
    return {
        each.name: each.default
        for each in parameters
        if each.default is not each.empty and each.kind is not each.VAR_KEYWORD
    }


def _of_graphs() -> Iterator[tuple[str, Call]]:
    data = graphs.coordinate_random(20, (4, 4), 2, seed=0)
    for name, case in CASES.items():
        seed = {"seed": 0} if "seed" in inspect.signature(case.make).parameters else {}
        yield f"graphs.{case.make.__name__} ({name})", Call(case.make, case.arguments | seed)
    for name, options in ON_DATA.items():
        yield f"graphs.{name}", Call(getattr(graphs, name), {"data": data} | options)
    source, target = data.edge_index.numpy()
    calls = {
        "AllToAll": {},
        "OneToOne": {},
        "FixedInDegree": {"degree": 2},
        "FixedOutDegree": {"degree": 2},
        "FixedProbability": {"probability": 0.5},
        "FixedTotal": {"num_edges": 3},
        "from_dataframe": {
            "edges": pa.table({"source": source, "target": target}),
            "nodes": pa.table({"neuron": np.arange(20)}),
        },
        "from_edges": {"source": source, "target": target, "num_nodes": 20},
        "from_networkx": {"graph": nx.DiGraph([(0, 1), (1, 2)])},
        "from_numpy": {"matrix": np.eye(4)},
        "from_scipy": {"matrix": scipy.sparse.eye_array(4, format="csr")},
        "join": {"parts": [data, data], "labels": ["a", "b"]},
        "lesion": {"data": data, "fraction": 0.5},
        "nest": {"outer": data, "inner": data},
        "to_dataframe": {"data": data, "library": "pyarrow"},
        "plot_distances": {"data": data, "bins": 5, "max_pairs": 100},
        "validate": {"data": data},
    }
    for name, arguments in calls.items():
        yield f"graphs.{name}", Call(getattr(graphs, name), arguments)


def _of_layers() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1)
    layer = sparsebrain.GraphLayer(data, loops=2, activation="relu", leak=0.5, inject=True)
    maxout = sparsebrain.Maxout(data, loops=2)
    x = torch.rand(3, 20)
    yield "Equilibrium", Call(sparsebrain.Equilibrium, {})
    yield "GraphLayer", Call(sparsebrain.GraphLayer, {"connectome": data})
    yield "Maxout", Call(sparsebrain.Maxout, {"connectome": data})
    yield "GraphLayer.forward", Call(layer, {"x": x, "state": x})
    nodes = {"x": torch.rand(20, 3), "edge_index": data.edge_index}
    yield "GraphLayer.forward (PyG)", Call(layer, nodes)
    yield "GraphLayer.describe", Call(layer.describe, {"x": x})
    yield "GraphLayer.reset_parameters", Call(layer.reset_parameters, {})
    yield "nn.Ternary", Call(layers.Ternary, {})
    yield "nn.Ternary.forward", Call(layers.Ternary(), {"weight": layer.weight.detach()})
    yield "GraphLayer.hooked", Call(layer.hooked, {"hook": lambda recurrence: recurrence})
    yield "Maxout.forward", Call(maxout, {"x": x})


def _of_kernels() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1)
    structure = kernels.Structure(data.edge_index, 20)
    weight, state = torch.rand(data.num_edges), torch.rand(20, 3)
    yield "kernels.available", Call(kernels.available, {"device": "cpu"})
    arguments: dict[str, Any] = {"edge_index": data.edge_index, "num_nodes": 20}
    yield "kernels.Structure", Call(kernels.Structure, arguments)
    yield "Structure.to", Call(structure.to, {"device": "cpu"})
    both = {"structure": structure, "weight": weight}
    yield "kernels.propagate", Call(kernels.propagate, {**both, "x": state})
    yield "kernels.backpropagate", Call(kernels.backpropagate, {**both, "grad": state})
    arguments = {"structure": structure, "post": state, "pre": state}
    yield "kernels.correlate", Call(kernels.correlate, arguments)
    arguments = {
        **both,
        "state": state,
        "loops": 2,
        "drive": state,
        "bias": torch.rand(20),
        "leak": torch.rand(20),
    }
    yield "kernels.loop", Call(kernels.loop, arguments)
    source, target = data.edge_index
    apart = kernels.Structure(data.edge_index[:, source != target], 20)
    arguments = {
        "structure": apart,
        "weight": torch.rand(apart.num_edges),
        "bias": torch.rand(20),
        "state": torch.zeros(20, 3, dtype=torch.uint8),
        "colors": apart.colors(),
        "sweeps": 1,
        "seed": 0,
        "clamped": torch.arange(20) < 3,
    }
    yield "kernels.gibbs", Call(kernels.gibbs, arguments)


def _of_distributed() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1)
    halves = distributed.partition(data, 2)
    yield (
        "distributed.partition",
        Call(distributed.partition, {"connectome": data, "parts": 2, "method": "blocks"}),
    )
    for name in ("owned", "part"):
        yield f"Partition.{name}", Call(getattr(halves, name), {"rank": 1})
    place = {"distance": 1.0, "rank": 0, "parts": 2}
    lattice = {"shape": (4, 5), **place}
    yield "generators.grid_local", Call(distributed.generators.grid_local, lattice)
    box = {"num_nodes": 20, "extent": (4.0, 3.0), **place}
    yield "generators.coordinate_random", Call(distributed.generators.coordinate_random, box)


def _of_energy() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((2, 3), 1, self_loops=False)
    x = torch.tensor([[0.0, 1, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1]])
    machine = energy.BoltzmannMachine(data)
    spins = {"data": data, "temperature": 2.0}
    yield "energy.BoltzmannMachine", Call(energy.BoltzmannMachine, {"connectome": data})
    yield "energy.ising", Call(energy.ising, spins)
    yield "energy.hopfield", Call(energy.hopfield, {**spins, "patterns": 2 * x - 1})
    for name in ("energy", "field", "free_energy", "log_prob"):
        yield f"BoltzmannMachine.{name}", Call(getattr(machine, name), {"x": x})
    some = {"x": x, "observed": torch.arange(6) < 3}
    yield "BoltzmannMachine.conditional", Call(machine.conditional, some)
    yield "BoltzmannMachine.log_partition", Call(machine.log_partition, {"chains": 10, "steps": 2})
    estimate = machine.estimate_log_partition
    yield "BoltzmannMachine.estimate_log_partition", Call(estimate, {"chains": 10, "steps": 2})
    chains = {"chains": 2, "sweeps": 1, "start": x, "clamp": ([0, 1], torch.zeros(2))}
    yield "BoltzmannMachine.sample", Call(machine.sample, chains)
    divergence = {"machine": machine, "chains": 4}
    yield "energy.ContrastiveDivergence", Call(energy.ContrastiveDivergence, divergence)
    yield "ContrastiveDivergence.forward", Call(energy.ContrastiveDivergence(machine), {"x": x})
    classes = {"machine": energy.BoltzmannMachine(data, visible=4), "num_classes": 2}
    yield "energy.BoltzmannClassifier", Call(energy.BoltzmannClassifier, classes)
    around = {"connectome": data, "in_features": 3, "num_classes": 2}
    yield "BoltzmannClassifier.around", Call(energy.BoltzmannClassifier.around, around)
    classifier = energy.BoltzmannClassifier.around(**around)
    yield "BoltzmannClassifier.forward", Call(classifier, {"x": x[:, :3]})
    labeled = {"x": x[:, :3], "y": torch.tensor([0, 1]), "generator": None}
    yield "BoltzmannClassifier.visible_state", Call(classifier.visible_state, labeled)
    series = {"connectome": data, "decays": [0.5], "ltd_decays": [0.6]}
    yield (
        "energy.DynamicBoltzmannMachine",
        Call(
            energy.DynamicBoltzmannMachine, {**series, "delay": torch.ones(data.num_edges).long()}
        ),
    )
    dynamic = energy.DynamicBoltzmannMachine(**series, delay=2)
    for name in ("field", "log_prob", "advance"):
        yield (
            f"DynamicBoltzmannMachine.{name}",
            Call(getattr(dynamic, name), {"x": x[None], "state": dynamic.rest()}),
        )
    yield "DynamicBoltzmannMachine.rest", Call(dynamic.rest, {"batch": 2})
    yield (
        "DynamicBoltzmannMachine.generate",
        Call(dynamic.generate, {"steps": 2, "start": x[None], "state": dynamic.rest()}),
    )


def _of_spiking() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1)
    data.edge_weight = torch.rand(data.num_edges)
    lif = spiking.LIF(data, tau_synapse=5.0, delay=2.0)
    yield "spiking.LIF", Call(spiking.LIF, {"connectome": data})
    given = {"current": torch.rand(3, 4, 20), "state": lif.rest_state(3)}
    yield "LIF.forward", Call(lif, given)
    yield "LIF.rest_state", Call(lif.rest_state, {})
    yield "LIF.assign_weight", Call(lif.assign_weight, {"weight": lif.weight.detach().clone()})
    yield "LIF.reset_parameters", Call(lif.reset_parameters, {})
    events = {"step": torch.tensor([0, 1]), "neuron": torch.tensor([2, 0]), "jump": 2.0}
    trains = events | {"sample": torch.tensor([0, 1])}
    yield "spiking.SpikeTrains", Call(spiking.SpikeTrains, trains)
    simulated: dict[str, Any] = {
        "duration": 10.0,
        "events": spiking.SpikeTrains(**trains),
        "poisson": ([0, 1], 50.0, 2.0),
        "current": torch.rand(20),
        "record": ("v", [0, 1], 2.0),
        "samples": 2,
        "silence": [3],
    }
    yield "LIF.simulate", Call(lif.simulate, simulated)
    thresholds = {"lif": lif, "increment": torch.rand(20), "tau": 1e5}
    yield "spiking.AdaptiveThreshold", Call(spiking.AdaptiveThreshold, thresholds)
    scaled = {"lif": lif, "total": 2.0, "every": 5.0, "synapses": lif.weight > 0}
    yield "spiking.Normalization", Call(spiking.Normalization, scaled)
    recording = lif.simulate(10.0, current=1.5, samples=2)
    yield "Recording.plot", Call(recording.plot, {"sample": 1})
    yield "spiking.FlyBrain", Call(spiking.FlyBrain, {"connectome": data})
    respond = spiking.FlyBrain(data).respond
    experiment = {"activate": [0, 1], "silence": [2], "duration": 1.0, "trials": 2}
    yield "FlyBrain.respond", Call(respond, experiment)


def _of_models() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1)
    layer = sparsebrain.GraphLayer(data, loops=2, activation="relu", inject=True)
    x, y = torch.rand(6, 20), torch.arange(6) % 3
    yield "models.classifier", Call(models.classifier, {"connectome": data, "num_classes": 3})
    sizes = {"in_features": 4, "hidden": 5, "num_classes": 3}
    spiking_model = {"connectome": data, "num_classes": 3, "steps": 4}
    yield "models.spiking_classifier", Call(models.spiking_classifier, spiking_model)
    yield "models.perceptron", Call(models.perceptron, sizes)
    yield "models.ejima_model", Call(models.ejima_model, {"name": "MLP", "shape": (6, 6)})
    yield (
        "models.AnytimeClassifier",
        Call(models.AnytimeClassifier, {"layer": layer, "num_classes": 3}),
    )
    anytime = models.AnytimeClassifier(layer, 3)
    yield "AnytimeClassifier.forward", Call(anytime, {"x": x})
    yield "AnytimeClassifier.loss", Call(anytime.loss, {"x": x, "y": y})
    yield "AnytimeClassifier.predict", Call(anytime.predict, {"x": x, "confidence": 0.5})
    yield "models.Recurrent", Call(models.Recurrent, {"layer": layer})
    recurrent = models.Recurrent(layer)
    series = torch.rand(3, 4, 20)
    yield "Recurrent.forward", Call(recurrent, {"x": series, "state": x[:3]})
    arguments: dict[str, Any] = {
        "model": recurrent,
        "x": series,
        "y": series,
        "loss": nn.functional.mse_loss,
        "every": 2,
    }
    yield "models.truncated_backward", Call(models.truncated_backward, arguments)
    yield "models.NeuronClassifier", Call(models.NeuronClassifier, {"in_features": 4})
    neuron = models.NeuronClassifier(20)
    for name in ("forward", "predict"):
        yield f"NeuronClassifier.{name}", Call(getattr(neuron, name), {"x": x})
    yield "NeuronClassifier.loss", Call(neuron.loss, {"x": x, "y": y % 2})
    optimizer = torch.optim.SGD(neuron.parameters(), lr=0.1, weight_decay=0.01)
    yield "models.decay_weights", Call(models.decay_weights, {"optimizer": optimizer})
    eye = models.FlyEye(radius=1, dt=0.01)
    yield "models.FlyEye", Call(models.FlyEye, {"radius": 1, "dt": 0.01})
    yield "FlyEye.forward", Call(eye, {"light": torch.rand(2, 3, 7), "neurons": eye.central})
    yield "FlyEye.rest", Call(eye.rest, {"duration": 0.1})
    edge = {"positions": eye.positions, "angle": 30.0, "speed": 50.0}
    yield "models.moving_edge", Call(models.moving_edge, edge)
    tuning = {"eye": eye, "angles": [0.0, 90.0], "speeds": [50.0]}
    yield "models.direction_tuning", Call(models.direction_tuning, tuning)


def _of_rules() -> Iterator[tuple[str, Call]]:
    x, y = torch.rand(6, 12), torch.arange(6) % 3
    for name in RULES:
        rule = RULES[name]
        sizes: dict[str, Any] = {
            "connectome": connectome_for(name, graphs.layered([12, 6, 6])),
            "in_features": 12,
            "num_classes": 3,
            "loops": 1,
        }
        yield f"RULES[{name}].build", Call(rule.build, sizes)
        sizes = sizes | {"connectome": None}
        yield f"RULES[{name}].build (layered)", Call(rule.build, sizes)
        model = rule.build(**sizes)
        yield f"RULES[{name}]", Call(rule, {"model": model})
        made = rule(model)
        yield f"RULES[{name}].forward", Call(made, {"x": x, "y": y})
        yield f"RULES[{name}].predict", Call(made.predict, {"x": x})
        rate = {"learning_rate": 0.1}
        yield f"RULES[{name}].make_optimizer", Call(made.make_optimizer, rate)
    small = RULES["backprop"](RULES["backprop"].build(None, 12, 3))
    yield "learning.problems", Call(learning.problems, {"rule": small, "x": x, "y": y})
    yield "learning.LabelInputs", Call(learning.LabelInputs, {"num_classes": 3})
    data = graphs.layered([12, 6, 6])
    network = {"connectome": data, "types": error_diffusion.alternating(24), "inputs": range(12)}
    yield (
        "error_diffusion.ErrorDiffusionNetwork",
        Call(error_diffusion.ErrorDiffusionNetwork, network | {"output": 23}),
    )
    yield "error_diffusion.alternating", Call(error_diffusion.alternating, {"number": 4})


def _of_diagnostics() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1)
    model = models.classifier(data, 3, loops=2)
    x = torch.rand(3, 20)
    watched = {"model": model, "x": x}
    calls: dict[str, dict[str, Any]] = {
        "loop_gradients": {**watched, "loss": lambda output: output.sum()},
        "reach": {"model": model, "neurons": [0, 1]},
        "receptive_field": {**watched, "neurons": [0, 1]},
        "saturation": {**watched, "threshold": 0.05},
        "similarity": watched,
        "similarity_of": {"states": torch.rand(3, 4, 5)},
        "spectrum": {"model": model},
    }
    for name, arguments in calls.items():
        yield f"diagnostics.{name}", Call(getattr(diagnostics, name), arguments)


def _of_experiments() -> Iterator[tuple[str, Call]]:
    values = {"a": [1.0, 2.0, 1.5], "b": [2.0, 3.5, 2.5]}
    yield "experiments.differences", Call(experiments.differences, {"values": values})


def _of_plasticity() -> Iterator[tuple[str, Call]]:
    data = graphs.grid_local((4, 5), 1, self_loops=False)
    layer = sparsebrain.GraphLayer(data, loops=2, activation="tanh")
    x = torch.rand(3, 20)
    lif = spiking.LIF(data)
    spikes = (torch.rand(3, 5, 20) < 0.2).float()
    values = {"x": x, "y": x, "spikes": spikes, "dopamine": torch.rand(3, 5)}
    for name in PLASTICITY:
        kind = PLASTICITY[name]
        on_spikes = issubclass(kind, plasticity.SpikeTimingRule)
        made = {"lif": lif} if on_spikes else {"layer": layer}
        yield f"PLASTICITY[{name}]", Call(kind, made)
        rule = kind(*made.values())
        taken = {each: values[each] for each in inspect.signature(rule.forward).parameters}
        yield f"PLASTICITY[{name}].forward", Call(rule, taken)
        rate = {"learning_rate": 0.1}
        yield f"PLASTICITY[{name}].make_optimizer", Call(rule.make_optimizer, rate)
    online = plasticity.DopamineSTDP(lif).step
    yield "DopamineSTDP.step", Call(online, {"spikes": spikes[:, 0], "dopamine": torch.rand(3)})
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    arguments: dict[str, Any] = {"layer": layer, "optimizer": optimizer}
    yield "plasticity.Rewiring", Call(plasticity.Rewiring, arguments)
    rigged = {**arguments, "method": "rigl", "candidates": 3.0}
    yield "plasticity.Rewiring (candidates)", Call(plasticity.Rewiring, rigged)
    rewiring = plasticity.Rewiring(layer, optimizer)
    yield "Rewiring.follow", Call(rewiring.follow, {"connectome": data})
    arguments = {"removed": torch.tensor([0, 1]), "weight": torch.ones(2)}
    arguments["added"] = torch.tensor([[0, 19], [19, 0]])
    grown = {"layer": layer, "connectome": data, "optimizer": optimizer}
    yield "nn.rewire", Call(rewire, grown)
    yield "GraphLayer.replace_synapses", Call(layer.replace_synapses, arguments)
    yield "plasticity.FastWeights", Call(plasticity.FastWeights, {"connectome": data})
    memory = plasticity.FastWeights(data)
    pair = {"key": torch.rand(20), "value": torch.rand(20)}
    memory.write(**pair)
    yield "FastWeights.write", Call(memory.write, pair)
    yield "FastWeights.read", Call(memory.read, {"key": torch.rand(3, 20)})
    yield "FastWeights.clear", Call(plasticity.FastWeights(data).clear, {})
    yield "plasticity.RewardPrediction", Call(plasticity.RewardPrediction, {})
    prediction = plasticity.RewardPrediction()
    yield "RewardPrediction.forward", Call(prediction, {"rewards": torch.rand(4, 3)})
    yield "RewardPrediction.spread", Call(prediction.spread, {"probability": 0.5})
    sizes = {"num_states": 3}
    yield "plasticity.TemporalDifference", Call(plasticity.TemporalDifference, sizes)
    learner = plasticity.TemporalDifference(3)
    arguments = {"states": torch.tensor([0, 1, 2]), "rewards": torch.ones(3).double()}
    yield "TemporalDifference.forward", Call(learner, arguments)


def _of_rewards() -> Iterator[tuple[str, Call]]:
    linear = nn.Linear(3, 2, bias=False)
    x, y, error = torch.rand(4, 3), torch.rand(4, 2), torch.rand(4)
    yield "plasticity.NodePerturbation", Call(plasticity.NodePerturbation, {"layer": linear})
    perturbation = plasticity.NodePerturbation(linear)
    yield "NodePerturbation.perturb", Call(perturbation.perturb, {"x": x})
    arguments = {"x": x, "noise": y, "error": error}
    yield "NodePerturbation.forward", Call(perturbation, arguments)
    yield "plasticity.RewardHebb", Call(plasticity.RewardHebb, {"layer": linear})
    hebb = plasticity.RewardHebb(linear)
    yield "RewardHebb.forward", Call(hebb, {"x": x, "y": y, "error": error})
    for name, make in reward.TASKS.items():
        yield f"reward.{make.__name__}", Call(make, {})
        task = make(3, seed=0)
        yield f"TASKS[{name}].step", Call(task.step, {"actions": np.zeros(3, np.int64)})


def public_calls() -> dict[str, Call]:
    """Return a good call of every public callable, by its name, with every argument it has."""
    mpl.use("Agg")
    tables = (
        _of_graphs,
        _of_layers,
        _of_kernels,
        _of_energy,
        _of_distributed,
        _of_spiking,
        _of_models,
        _of_rules,
        _of_diagnostics,
        _of_experiments,
        _of_plasticity,
        _of_rewards,
    )
    return {
        name: call._replace(arguments=_defaults(call.function) | call.arguments)
        for table in tables
        for name, call in table()
    }


# Records that functions return, warnings and base classes: nobody makes them from values.
NOT_CALLED = {
    *("DataFrames", "DegreeDistribution", "Degrees", "Estimate", "FullSummary", "LeftOutWarning"),
    *("Influence", "NullComparison", "NullComparisons", "StrongPath", "StrongPaths", "TypeMatrix"),
    *("LikelihoodRatio", "PathLength", "PowerLaw", "RichClub", "SmallWorldness", "Summary"),
    *("WiringLength", "LoopGradients", "Reach", "ReceptiveField", "Saturation", "Similarity"),
    *("Spectrum", "Prediction", "Rule", "DirectionTuning"),
    *("Recording", "Responses", "State", "Surrogate", "Trace"),
    # Files and folders, which have tests of their own.
    *("fetch", "load", "save", "plot_html", "compare", "reproduce", "features", "rewiring", "song"),
    *("digits_stdp", "one_shot", "reward", "wiring", "pipeline", "read_config", "load_trained"),
    *("Callback", "CSVLog", "TensorBoardLog"),
    # What runs in several processes, whose errors tests/sparsebrain/distributed compares.
    *("DistributedGibbs", "DistributedGraphLayer", "DistributedLIF", "Part", "Partition"),
    *("PartitionReport", "load_checkpoint", "save_checkpoint"),
    # The rules, which are called by their names in RULES and PLASTICITY.
    *(table[name].__name__ for table in (RULES, PLASTICITY) for name in table),
    *("PlasticityRule", "RateRule", "RewardRule", "SpikeTimingRule", "Step", "Task"),
}

_NUMBERS = {"zero", "float", "2**40", "2**63", "10**20", "1e308"}
_SIGNED = {"negative", "negative float", *_NUMBERS}
_WHOLE = {"2**40", "2**63", "10**20"}
_COLORS = {"None", "array float16"}

# What an argument may be given besides what its good call has, by its name.
_SUITS: dict[str, set[str]] = {
    "activation": {"None", "function", "class", "object"},
    "alpha": {"None", "zero", "float"},
    "ax": {"None"},
    "bias": {"bool", "None"},
    "bootstraps": {"zero"},
    "by_default": {"bool"},
    "cells": {"None"},
    "checkpoint": {"bool"},
    "confidence": {"zero"},
    "connect": {"None", "function", "dict"},
    "constraint": {"None"},
    "cumulative": {"bool"},
    "degree": {"zero", "2**40"},
    "rank": {"zero"},
    "decode": {"None"},
    "device": {"None"},
    "directed": {"None", "bool"},
    "distance": _NUMBERS | {"None"},
    "drive": {"None"},
    "dale": {"bool"},
    "dtype": {"None"},
    "state_dtype": {"None"},
    "edge_color": _COLORS,
    "edge_index": {"None"},
    "edge_sign": {"None"},
    "edge_type": {"None"},
    "edge_weight": {"None"},
    "encode": {"None"},
    "extent": {"None", "float", "2**40"},
    "fill_gaps": {"bool"},
    "fraction": {"zero", "None"},
    "full": {"bool"},
    "gain": {"None"},
    "grouped": {"bool"},
    "generator": {"None"},
    "groups": {"None"},
    "hidden": {"None"},
    "hook": {"function", "class"},
    "in_degree": {"zero"},
    "init": {"None"},
    "inject": {"bool"},
    "in_features": {"None"},
    "inputs": {"None"},
    "jitter": {"zero"},
    "keep": {"bool"},
    "labels": {"None", "list of strings"},
    "layer": {"None"},
    "loop_activation": {"None", "function", "class", "object"},
    "leak": {"None", "zero"},
    "learning_rate": _NUMBERS | {"None"},
    "plastic_inhibition": {"bool"},
    "rescale": {"bool"},
    "self_predicting": {"bool"},
    "u0": _NUMBERS,
    "uniform": {"bool"},
    "bias_value": {"negative", "negative float"} | _NUMBERS,
    "l1": _NUMBERS,
    "levels": {"zero"},
    "linear": {"bool"},
    "lipschitz": _NUMBERS | {"None"},
    "max_edges": {"None", "zero", "2**40"},
    "max_loops": {"2**40"},
    "max_pairs": {"2**40"},
    "max_sources": {"None", "2**40"},
    "model": {"None"},
    "neighbors": {"zero"},
    "neuron_columns": {"None", "dict"},
    "columns": {"None", "dict"},
    "transmitter_signs": {"None", "dict"},
    "names": {"None"},
    "nodes": {"None"},
    "normalized": {"bool"},
    "neurons": {"None", "empty list", "tuple", "empty array"},
    "node_color": _COLORS,
    "node_size": _NUMBERS | {"None"},
    "noise": _NUMBERS | {"None", "function", "class"},
    "null_model": {"None"},
    "nulls": {"None"},
    "num_classes": {"None"},
    "num_edges": {"zero"},
    "num_nodes": {"zero"},
    "out_degree": {"zero"},
    "outputs": {"None"},
    "outward": {"zero"},
    "p_max": {"zero"},
    "padding": {"bool"},
    "paired": {"bool"},
    "keep_signs": {"bool"},
    "pairs": {"None"},
    "period": _NUMBERS | {"None"},
    "periodic": {"bool"},
    "positions": {"array"},
    "power_law": _NUMBERS | {"None"},
    "power_law_from": {"2**40"},
    "predict": {"bool"},
    "progress": {"bool"},
    "probabilities": {"array"},
    "probability": {"zero"},
    "profile": {"None", "function"},
    "radius": {"None", "zero"},
    "ratio": {"zero"},
    "resolution": _NUMBERS | {"None"},
    "return_states": {"bool"},
    "rewire": {"zero"},
    "seed": {"None", "zero", "2**40", "2**63", "10**20"},
    "self_loops": {"bool"},
    "shape": {"None"},
    "signed": {"bool"},
    "signs": {"None", "dict"},
    "spacing": _NUMBERS,
    "state": {"None"},
    "swaps": {"zero", "float"},
    **{f"a_{side}": _NUMBERS - {"1e308"} for side in ("plus", "minus")},
    **{f"tau_{name}": _NUMBERS - {"zero"} for name in ("plus", "minus", "c", "d")},
    "synapses": {"None"},
    "threshold": {"None", "negative", "negative float"} | _NUMBERS,
    "tolerance": _NUMBERS | {"None"},
    "triangle": {"zero"},
    "w_max": _NUMBERS - {"zero", "1e308"},
    "xmin": {"None", "2**40"},
}
# The same for one call.
_SUITS_OF: dict[tuple[str, str], set[str]] = {
    ("PLASTICITY[stdp]", "bounds"): {"None"},
    **{(f"PLASTICITY[{name}].forward", "y"): {"None"} for name in PLASTICITY},
    ("GraphLayer.replace_synapses", "sign"): {"None"},
    ("nn.rewire", "init"): {"None"},
    ("nn.rewire", "optimizer"): {"None"},
    ("RewardPrediction.forward", "rewards"): {"tensor", "one axis more", "wider", "no width"},
    ("FastWeights.read", "key"): {"one axis more"},
    ("plasticity.FastWeights", "decay"): {"zero"},
    ("plasticity.FastWeights", "rate"): _NUMBERS,
    ("plasticity.Rewiring", "candidates"): {"None"},
    ("plasticity.Rewiring", "temperature"): _NUMBERS,
    ("plasticity.Rewiring (candidates)", "candidates"): {"None", "float"},
    ("plasticity.Rewiring (candidates)", "temperature"): _NUMBERS,
    ("plasticity.RewardPrediction", "value"): {"negative", "negative float", *_NUMBERS},
    ("plasticity.TemporalDifference", "discount"): {"zero"},
    ("plasticity.NodePerturbation", "sigma"): {"float"},
    ("reward.Bandit", "table_seed"): {"zero", "2**40"},
    ("graphs.from_networkx", "graph"): {"graph"},
    ("graphs.from_edges", "num_nodes"): {"None"},
    ("graphs.from_numpy", "matrix"): {"array"},
    # The coordinates say how many neurons there are.
    ("graphs.coordinate_random (coordinate-given)", "num_nodes"): {"None"},
    ("GraphLayer.forward (PyG)", "edge_index"): {"None"},
    # [B * N, C] and [N, B]: any number of samples or channels, none among them.
    ("GraphLayer.forward (PyG)", "x"): {"wider", "no width"},
    ("kernels.propagate", "x"): {"wider", "no width"},
    ("kernels.backpropagate", "grad"): {"wider", "no width"},
    ("kernels.Structure", "edge_index"): {"wider", "no width", "int32"},
    ("LIF.simulate", "duration"): {"float"},
    ("LIF.simulate", "events"): {"None"},
    ("LIF.simulate", "poisson"): {"None"},
    ("LIF.simulate", "current"): {"None", "zero", "negative", "negative float", "float", *_WHOLE},
    ("LIF.simulate", "record"): {"empty list", "tuple"},
    ("LIF.simulate", "silence"): {"empty list", "tuple", "empty array"},
    **{("LIF.simulate", name): {"None"} for name in ("plasticity", "adaptation", "normalization")},
    ("spiking.AdaptiveThreshold", "increment"): _NUMBERS | {"zero"},
    ("spiking.AdaptiveThreshold", "tau"): _NUMBERS | {"1e308"},
    ("spiking.Normalization", "total"): _NUMBERS,
    ("spiking.Normalization", "every"): {"float"},
    ("spiking.Normalization", "synapses"): {"bool"},
    ("PLASTICITY[stdp]", "synapses"): {"None", "bool"},
    ("Recording.plot", "sample"): {"zero"},
    # [..., N], as nn.Linear takes.
    ("GraphLayer.describe", "x"): {"one axis more"},
    ("Maxout.forward", "x"): {"one axis more"},
    ("AnytimeClassifier.forward", "x"): {"one axis more"},
    ("NeuronClassifier.forward", "x"): {"one axis more"},
    ("NeuronClassifier.predict", "x"): {"one axis more"},
    # States of 0 and 1 of any dtype.
    **{
        (f"{name}.{method}", "x"): {"bool", "float16", "int32"}
        for name, methods in {
            "BoltzmannMachine": ("energy", "field", "free_energy", "log_prob", "conditional"),
            "ContrastiveDivergence": ("forward",),
            "DynamicBoltzmannMachine": ("field", "log_prob", "advance"),
        }.items()
        for method in methods
    },
    ("BoltzmannMachine.sample", "start"): {"None", "bool", "float16", "int32"},
    ("DynamicBoltzmannMachine.generate", "start"): {"None", "bool", "float16", "int32"},
    ("energy.DynamicBoltzmannMachine", "delay"): {"int32"},
    ("energy.DynamicBoltzmannMachine", "decays"): {"array float16"},
    ("energy.BoltzmannMachine", "visible"): {"None"},
    ("energy.ising", "coupling"): {"zero", "negative", "negative float"} | _NUMBERS,
    ("energy.ContrastiveDivergence", "persistent"): {"bool"},
    **{("energy.ContrastiveDivergence", name): {"None"} for name in ("given", "settle")},
    ("energy.BoltzmannClassifier", "loops"): {"zero"},
    ("BoltzmannClassifier.around", "loops"): {"zero"},
    ("BoltzmannMachine.conditional", "observed"): {"bool"},
    ("BoltzmannMachine.log_prob", "log_partition"): {"None", "tensor 0-d"},
    ("BoltzmannMachine.sample", "beta"): {"float"},
    ("BoltzmannMachine.sample", "clamp"): {"None"},
    ("BoltzmannMachine.sample", "sweeps"): {"zero"},
    ("DynamicBoltzmannMachine.generate", "steps"): {"zero"},
    # Not read where there is a cue.
    ("DynamicBoltzmannMachine.generate", "samples"): {"2**40"},
    ("DynamicBoltzmannMachine.generate", "temperature"): _NUMBERS - {"zero"},
    ("energy.hopfield", "patterns"): {"float16", "int32"},
    ("energy.hopfield", "temperature"): _NUMBERS - {"zero"},
    ("energy.ising", "temperature"): _NUMBERS - {"zero"},
    ("kernels.gibbs", "clamped"): {"None", "bool"},
    ("kernels.gibbs", "offset"): {"zero", "2**40"},
    ("kernels.gibbs", "seed"): {"negative"},
    ("kernels.gibbs", "state"): {"wider", "no width"},
    ("kernels.gibbs", "sweeps"): {"zero"},
    ("DynamicBoltzmannMachine.rest", "batch"): {"zero"},
    ("diagnostics.similarity_of", "ratio"): _NUMBERS | {"NaN"},
    ("diagnostics.similarity_of", "states"): {"one axis more", "tensor", "wider"},
    ("error_diffusion.ErrorDiffusionNetwork", "init"): {"float", *_WHOLE, "1e308"},
    ("error_diffusion.ErrorDiffusionNetwork", "loops"): {"None"},
    ("error_diffusion.alternating", "number"): {"zero"},
    ("nn.Ternary.forward", "weight"): {
        *("tensor", "tensor 0-d", "tensor meta", "0-d", "one axis more", "wider", "no width"),
        "meta",
    },
    ("RULES[equilibrium-propagation]", "beta"): {"float"},
    ("RULES[forward-forward]", "peer"): _NUMBERS,
    ("RULES[local-errors]", "share"): {"zero"},
    ("RULES[weight-mirror]", "decay"): _NUMBERS | {"None"},
    ("diagnostics.reach", "loops"): {"None"},
    # The number of one neuron.
    ("diagnostics.reach", "neurons"): {"zero"},
    ("diagnostics.receptive_field", "neurons"): {"zero"},
    # As for `joblib`, one process per core.
    ("graphs.against_nulls", "jobs"): {"negative"},
    # Which field measures read, if any.
    **{(f"graphs.{name}", "weight"): {"None"} for name in ON_DATA if name != "symmetrize"},
    ("graphs.influence", "targets"): {"None"},
    ("graphs.pagerank", "damping"): {"zero"},
    ("experiments.differences", "pairs"): {"empty list", "tuple", "dict"},
    ("experiments.differences", "values"): {"dict"},
    ("models.decay_weights", "steps"): {"zero"},
    ("models.FlyEye", "network"): {"zero"},
    ("models.FlyEye", "radius"): {"zero"},
    ("FlyEye.forward", "light"): {"one axis more"},
    ("FlyEye.forward", "neurons"): {"None", "wider", "no width"},
    ("FlyEye.forward", "state"): {"None"},
    ("FlyEye.rest", "light"): {"zero", "float"},
    ("FlyEye.rest", "duration"): {"float"},
    ("models.moving_edge", "angle"): _SIGNED,
    ("models.moving_edge", "bright"): {"bool"},
    **{("models.moving_edge", name): {"float"} for name in ("speed", "dt")},
    ("models.direction_tuning", "angles"): {"list of -1", "array float16"},
    ("models.moving_edge", "background"): {"zero", "float"},
    ("models.moving_edge", "positions"): {"wider", "no rows"},
    **{("spiking.LIF", name): _NUMBERS for name in ("tau", "dt")},
    ("spiking.LIF", "tau_synapse"): _NUMBERS | {"None"},
    ("spiking.LIF", "rest"): _SIGNED - {"1e308"},
    ("spiking.LIF", "reset"): {"zero", "negative", "negative float"},
    ("spiking.LIF", "threshold"): _SIGNED - {"1e308"},
    **{("spiking.LIF", name): {"zero", "float"} for name in ("refractory", "delay")},
    ("spiking.SpikeTrains", "sample"): {"None", "int32"},
    **{("spiking.SpikeTrains", name): {"int32"} for name in ("step", "neuron")},
    ("spiking.SpikeTrains", "jump"): _SIGNED,
    ("spiking.FlyBrain", "synapse_weight"): _SIGNED - {"1e308"},
    ("FlyBrain.respond", "rate"): {"zero", "float"},
    ("FlyBrain.respond", "silence"): {"empty list", "tuple", "empty array"},
    ("FlyBrain.respond", "duration"): {"zero", "float"},
    ("FlyBrain.respond", "jump"): _SIGNED - {"1e308"},
    ("models.spiking_classifier", "tau"): _NUMBERS,
    ("models.spiking_classifier", "refractory"): {"zero", "float"},
    # Labels of any dtype, and targets of the dtype that the loss takes.
    ("NeuronClassifier.loss", "y"): {"bool", "float16", "int32"},
    # Then y must have that axis too.
    ("NeuronClassifier.loss", "x"): {"one axis more"},
    ("models.truncated_backward", "y"): {"bool", "float16", "int32"},
    # More steps than the sequence has: one chunk.
    ("models.truncated_backward", "every"): {"2**40"},
    # The width of a model without a connectome.
    **{(f"RULES[{name}].build", "hidden"): _WHOLE for name in RULES},
    **{(f"RULES[{name}].build", "connectome"): {"None"} for name in RULES},
    **{(f"RULES[{name}].build (layered)", "connectome"): {"None", "Data"} for name in RULES},
}


def suits(name: str, argument: str) -> set[str]:
    """Return the kinds of value in `tests.bad_values` that an argument may be given."""
    return _SUITS.get(argument, set()) | _SUITS_OF.get((name, argument), set())
