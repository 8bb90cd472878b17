"""The networks of the agents: layered, or with synapses among the hidden neurons."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain.error_diffusion import ErrorDiffusionNetwork
from sparsebrain.experiments.kinds import NO_GRAPH
from sparsebrain.experiments.topology import Topology, build, parse
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.plasticity import NodePerturbation

HIDDEN = 64
NEIGHBORS, REWIRED, LOOPS = 6, 0.2, 3
LAYERED, LOOPY = "layered", "loopy"
TOPOLOGIES = (LAYERED, LOOPY)
"""One hidden layer, or the same neurons on a small world with three loops."""

_SHEET = 8, 8


@dataclass(frozen=True)
class Traced:
    """What every layer of synapses received and added in a run with noise, loops one by one."""

    rules: list[NodePerturbation]
    inputs: list[Tensor]
    sums: list[Tensor]
    noise: list[Tensor]


class Network(nn.Module):
    """Features, hidden neurons with tanh, and one output per action.

    With a connectome the hidden neurons exchange their states in loops, while the features drive
    them: h <- tanh(drive + W h), from zero. Biases are weights from a feature that is always 1.

    Args:
        in_features: The number of features.
        outputs: The number of outputs.
        connectome: The synapses among the hidden neurons; None for none.
    """

    def __init__(self, in_features: int, outputs: int, connectome: Data | None) -> None:
        super().__init__()
        hidden = count_hidden(connectome)
        self.below = nn.Linear(in_features + 1, hidden, bias=False)
        self.among = None if connectome is None else GraphLayer(connectome)
        self.above = nn.Linear(hidden + 1, outputs, bias=False)
        nn.init.zeros_(self.above.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [B, outputs] of x [B, in_features]."""
        drive = self.below(with_one(x))
        state = torch.tanh(drive)
        for _ in range(LOOPS if self.among is not None else 0):
            assert self.among is not None
            state = torch.tanh(drive + self.among(state))
        found: Tensor = self.above(with_one(state))
        return found

    @torch.no_grad()
    def perturbed(self, x: Tensor, rules: dict[str, NodePerturbation]) -> Traced:
        """Run with noise on the sums of all neurons, and return all that the rules need."""
        traced = Traced([], [], [], [])

        def run(name: str, received: Tensor) -> Tensor:
            sums, noise = rules[name].perturb(received)
            traced.rules.append(rules[name])
            traced.inputs.append(received)
            traced.sums.append(sums)
            traced.noise.append(noise)
            return sums

        drive = run("below", with_one(x))
        state = torch.tanh(drive)
        for _ in range(LOOPS if self.among is not None else 0):
            state = torch.tanh(drive + run("among", state))
        run("above", with_one(state))
        return traced


def with_one(x: Tensor) -> Tensor:
    """Return x [B, F] with a last feature that is 1."""
    return nn.functional.pad(x, (0, 1), value=1.0)


def count_hidden(connectome: Data | None) -> int:
    """Return the number of hidden neurons."""
    return HIDDEN if connectome is None else int(connectome.num_nodes or 0)


def read_topology(text: str) -> str:
    """Return the standard form of the text of a topology.

    Raises:
        TopologyError: The text is neither "layered" nor "loopy" nor a topology.
    """
    text = text.strip()
    if text in TOPOLOGIES:
        return text
    parsed = parse(text)
    return LAYERED if parsed.kind == NO_GRAPH else parsed.spec


def make_connectome(topology: str, seed: int) -> Data | None:
    """Return the synapses among the hidden neurons of a topology; None for none.

    A topology that does not state its size has 64 neurons and 384 synapses. Measured weights and
    signs are left out, so that all networks start from weights of the same distribution.

    Raises:
        TopologyError: The topology cannot be built.
    """
    if topology == LAYERED:
        return None
    if topology == LOOPY:
        return graphs.small_world(HIDDEN, NEIGHBORS, REWIRED, directed=True, seed=seed)
    parsed: Topology = parse(topology)
    found = build(parsed, _SHEET, num_edges=HIDDEN * NEIGHBORS, seed=seed, num_nodes=HIDDEN)
    assert found is not None
    return Data(edge_index=found.edge_index, num_nodes=found.num_nodes)


def make_cells(
    in_features: int, outputs: int, connectome: Data | None, generator: torch.Generator
) -> ErrorDiffusionNetwork:
    """Make the same network for error diffusion, one for each action, with linear outputs."""
    none = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=HIDDEN)
    return ErrorDiffusionNetwork.around(
        none if connectome is None else connectome,
        in_features,
        networks=outputs,
        loops=2 if connectome is None else LOOPS + 2,
        linear=True,
        init="degree",
        generator=generator,
    )
