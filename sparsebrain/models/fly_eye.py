"""Trained networks of the fly's visual system."""

from __future__ import annotations

import functools
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import graphs
from graphs import arguments, tensors
from sparsebrain.models.recurrent import Recurrent
from sparsebrain.nn.graph_layer import GraphLayer

_NETWORKS = 50
_LIGHT_ENTERS = 8
# Steps whose states of all neurons are in memory at once.
_STEPS = 16
_LARGEST_RADIUS = 100
_SHORTEST, _LONGEST = 1e-5, 0.1
_MOST_STEPS = 10**6


class FlyEye(nn.Module):
    r"""One of the 50 trained networks of the fly's visual system of Lappalainen et al. (2024).

    A network was trained to detect motion in films. Its neurons and synapses are those of
    :func:`graphs.fly_visual_system` with ``fill_gaps=True``. The potential V of neuron i of cell
    type t(i) follows

    .. math:: \tau_{t(i)} \dot V_i = -V_i + b_{t(i)} + \mathrm{light}_i +
        \sum_j \mathrm{sign}_{t(j) t(i)} \, g_{t(j) t(i)} \, n_{ij} \, \max(V_j, 0)

    with a time constant and a bias for each of 65 cell types, a strength g for each pair of types,
    and the average number n of synapses at an offset of two columns. Light enters at the
    photoreceptors R1 to R8. Euler's method makes this a :class:`sparsebrain.GraphLayer` of the form
    "voltage" with the leak dt / max(tau, dt), one loop a step.

    Args:
        network: The number of the network, from 0 to 49, in the order of the published ensemble.
        radius: The number of rings of columns around the central one. The networks were trained
            with 15, which is 721 columns, 45,669 neurons and 1,513,231 synapses.
        dt: The time step in seconds, from 1e-5 to 0.1. Time constants shorter than it are raised to
            it, as in flyvis.

    Attributes:
        layer: The GraphLayer. Its gains are the strengths of the pairs of cell types.
        dt: The time step in seconds.
        cell_types: The 65 names.
        node_type: [N] int64, the cell type of each neuron.
        columns: [C, 2] int64, the coordinates (u, v) of the columns, in the order of the light.
        positions: [C, 2] float32, the same in the plane, in units of the distance between
            neighbors.
        central: [65] int64, the neuron of each cell type in the central column.

    Shape:
        - light [..., T, C] with any batch dimensions -> potentials [..., T, N] after each step.
          Gray is 0.5, black 0 and white 1.
        - ``neurons=`` [K] int64 returns only these, [..., T, K], and keeps only these in memory.
        - ``state=`` [..., N] is where the first step starts; :meth:`rest` by default.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the network does not fit into memory.

    Note:
        The published networks have 604 pairs of cell types, the connectome 605. The odd one is
        Lawf1 -> Lawf1: its only offset lies between two neurons of this type, so it has no synapse
        and needs no strength.

        Parameters are those of flyvis 1.2.0 (ensemble flow/0000, MIT license).

    References:
        J. K. Lappalainen et al., "Connectome-constrained networks predict neural activity across
        the fly visual system", Nature 634 (2024) 1132-1140.

    Example:
        >>> import torch
        >>> from sparsebrain.models import FlyEye
        >>> eye = FlyEye(network=0, radius=2, dt=0.01)
        >>> eye.layer.num_nodes, len(eye.columns)
        (1203, 19)
        >>> flash = torch.full((20, 19), 0.5)
        >>> flash[10:] = 1.0
        >>> with torch.no_grad():
        ...     potentials = eye(flash, neurons=eye.central)
        >>> potentials.shape
        torch.Size([20, 65])
        >>> on = potentials[:, eye.cell_types.index("Mi1")]  # depolarizes when light goes on
        >>> bool(on[-1] > on[9])
        True
    """

    node_type: Tensor
    columns: Tensor
    positions: Tensor
    central: Tensor

    def __init__(self, network: int = 0, radius: int = 15, *, dt: float = 0.005) -> None:
        super().__init__()
        network = arguments.count("network", network, at_most=_NETWORKS - 1)
        radius = arguments.count("radius", radius, at_most=_LARGEST_RADIUS)
        self.network, self.dt = network, arguments.real("dt", dt, positive=True, at_most=_LONGEST)
        if self.dt < _SHORTEST:
            raise ValueError(f"dt must be {_SHORTEST:g} s or more, got {dt:g}; pass dt=0.005")
        data = graphs.fly_visual_system(radius, fill_gaps=True)
        trained = _trained()
        self.cell_types: list[str] = list(data.node_type_names)
        layer = GraphLayer(
            data,
            activation="relu",
            form="voltage",
            inject=True,
            bias="population",
            leak="population",
            gain="type",
            dale=True,
        )
        # The strength of the pair without synapses is arbitrary.
        strength = {**dict.fromkeys(data.edge_type_names, 0.0), **trained.strength(network)}
        each = torch.tensor([strength[name] for name in data.edge_type_names])
        with torch.no_grad():
            layer.bias.copy_(trained.bias[network])  # type: ignore[union-attr]
            layer.leak = self.dt / trained.time_constant[network].clamp(min=self.dt)
            layer.weight = data.edge_weight * data.edge_sign * each[data.edge_type]
        self._run = Recurrent(layer)
        # The first types are the photoreceptors, each with one neuron a column.
        count = int((data.node_type == 0).sum())
        middle = (data.column == 0).all(1).nonzero().flatten()
        for name, value in {
            "node_type": data.node_type,
            "columns": data.column[:count],
            "positions": data.pos[:count],
            "central": middle,
        }.items():
            self.register_buffer(name, value, persistent=False)

    @property
    def layer(self) -> GraphLayer:
        """The graph layer."""
        return self._run.layer

    def forward(
        self, light: Tensor, state: Tensor | None = None, *, neurons: Tensor | None = None
    ) -> Tensor:
        """Return the potentials after every step; the class describes the shapes."""
        weight, nodes = self.layer.weight, self.layer.num_nodes
        like: dict[str, Any] = {"dtypes": (weight.dtype,), "device": weight.device}
        fix = f"pass light [..., T, {len(self.columns)}], one value for each column of the eye"
        tensors.tensor("light", light, (..., "T", len(self.columns)), fix=fix, **like)
        if not light.size(-2):
            raise ValueError("light must have at least one step, got none; pass one or more")
        if neurons is not None:
            tensors.tensor("neurons", neurons, ("K",), dtypes=(torch.int64,), device=weight.device)
            arguments.node_numbers("neurons", neurons.detach().cpu().numpy(), nodes)
        batch = light.shape[:-2]
        if state is None:
            state = self.rest().expand(*batch, nodes)
        tensors.tensor("state", state, (*batch, nodes), **like)
        kept = nodes if neurons is None else len(neurons)
        tensors.room(
            f"light of {list(light.shape)}",
            light[..., 0].numel() * kept * light.element_size(),
            "pass fewer steps at a time, or neurons=eye.central",
        )
        seen = []
        for part in light.split(_STEPS, -2):
            potentials, state = self._run(self._drive(part), state)
            seen.append(potentials if neurons is None else potentials.index_select(-1, neurons))
        return torch.cat(seen, -2)

    @torch.no_grad()
    def rest(self, light: float = 0.5, *, duration: float = 2.0) -> Tensor:
        """Return the potentials [N] after a constant light.

        Args:
            light: The light at all columns, from 0 to 1.
            duration: How long it shines, in seconds, from potentials of zero. The slowest types
                of some networks still move by 0.2 after 2 s, and by 0.01 after 4 s.

        Raises:
            TypeError: If an argument is not a number.
            ValueError: If ``light`` is not from 0 to 1, or ``duration`` is not positive or longer
                than a million steps.
        """
        light = arguments.real("light", light, at_most=1.0)
        longest = _MOST_STEPS * self.dt
        duration = arguments.real("duration", duration, positive=True, at_most=longest)
        weight = self.layer.weight
        steps = max(1, round(duration / self.dt))
        drive = self._drive(weight.new_full((1, len(self.columns)), light)).squeeze(0)
        state = torch.zeros_like(drive)
        for _ in range(steps):
            _, state = self.layer(drive, state=state)
        return state

    def _drive(self, light: Tensor) -> Tensor:
        """Return the light at each neuron [..., T, N], the same at all receptors of a column."""
        rest = self.layer.num_nodes - _LIGHT_ENTERS * len(self.columns)
        return nn.functional.pad(light.tile((_LIGHT_ENTERS,)), (0, rest))

    def extra_repr(self) -> str:
        """Return the number of the network and the step."""
        return f"network={self.network}, dt={self.dt:g}"


class _Trained:
    """The parameters of all networks, read once.

    Attributes:
        bias: [50, 65].
        time_constant: [50, 65], in seconds.
    """

    def __init__(self) -> None:
        packed = files("sparsebrain.models").joinpath("data", "fly_eye.npz")
        with as_file(packed) as path, np.load(path, allow_pickle=False) as stored:
            self.bias = torch.from_numpy(stored["bias"])
            self.time_constant = torch.from_numpy(stored["time_constant"])
            self._strength = stored["strength"]
            self._pairs = stored["type_pairs"].tolist()

    def strength(self, network: int) -> dict[str, float]:
        """Return the strength of each pair of cell types, by a name such as "R1 -> L1"."""
        return dict(zip(self._pairs, self._strength[network].tolist(), strict=True))


@functools.cache
def _trained() -> _Trained:
    return _Trained()
