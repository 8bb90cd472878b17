"""Moving edges, and how selective the cells of an eye are for their direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain.models.fly_eye import FlyEye

_ANGLES = tuple(range(0, 360, 30))
_MOST_STEPS = 10**6
_FASTEST, _LONGEST = 1e6, 1e3


def moving_edge(
    positions: Tensor,
    angle: float,
    *,
    bright: bool = True,
    speed: float = 19.0,
    dt: float = 0.005,
    background: float = 0.5,
) -> Tensor:
    r"""Return the light of an edge that moves over an eye.

    The edge starts before the first column, and leaves behind it a light of 1 (an ON edge) or 0 (an
    OFF edge). A column sees a width of 1, so that its light changes linearly while the edge passes:
    with the direction :math:`d = (\cos \varphi, \sin \varphi)`, the position p and the edge at
    :math:`e(t) = -r + \mathrm{speed} \cdot t`, where r is the distance of the outermost column plus
    1, its share behind the edge is :math:`e(t) - d \cdot p + 1/2`, limited to 0 to 1.

    Args:
        positions: [C, 2], float32 or float64: the columns, in units of the distance between
            neighbors, such as ``FlyEye.positions``.
        angle: The direction of motion phi in degrees, counterclockwise from the x axis.
        bright: True for an ON edge, False for an OFF edge.
        speed: In columns per second. One column of the fly's eye is 5.8 degrees wide, so that 19
            columns are 110 degrees per second.
        dt: The time step in seconds.
        background: The light before the edge, from 0 to 1.

    Returns:
        [T, C], in the dtype of the positions; the last step is the first after the edge has left.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a shape or number is out of range, or there would be more than a million
            steps.

    Example:
        >>> import torch
        >>> from sparsebrain.models import moving_edge
        >>> row = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
        >>> moving_edge(row, 0.0, speed=1.0, dt=1.0)
        tensor([[0.5000, 0.5000, 0.5000],
                [0.7500, 0.5000, 0.5000],
                [1.0000, 0.7500, 0.5000],
                [1.0000, 1.0000, 0.7500],
                [1.0000, 1.0000, 1.0000]])
    """
    tensors.tensor("positions", positions, ("C", 2), finite=True)
    angle = _angle("angle", angle)
    arguments.flag("bright", bright)
    speed = arguments.real("speed", speed, positive=True, at_most=_FASTEST)
    dt = arguments.real("dt", dt, positive=True, at_most=_LONGEST)
    background = arguments.real("background", background, at_most=1.0)
    reach = float(positions.norm(dim=1).max()) + 1 if len(positions) else 1.0
    number = 2 * reach / (speed * dt)
    if not number < _MOST_STEPS:
        raise ValueError(
            f"speed={speed:g} and dt={dt:g} make {number:.3g} steps, and {_MOST_STEPS} are "
            f"possible; pass speed={2 * reach / dt / 1000:.3g}"
        )
    steps = math.ceil(number) + 1
    tensors.room(
        f"dt={dt:g}", steps * len(positions) * positions.element_size(), "pass a larger dt"
    )
    radians = math.radians(angle)
    along = positions @ positions.new_tensor([math.cos(radians), math.sin(radians)])
    edge = torch.arange(steps, dtype=positions.dtype, device=positions.device) * (speed * dt)
    behind = (edge.unsqueeze(1) - reach - along + 0.5).clamp(0, 1)
    return torch.lerp(
        torch.full_like(behind, background), torch.full_like(behind, float(bright)), behind
    )


@dataclass(frozen=True, eq=False)
class DirectionTuning:
    r"""The peak responses of the central cells of an eye to moving edges.

    Attributes:
        peak: [2, S, A, 65], the largest depolarization above the potential before the edge, for ON
            and OFF edges, each speed and each angle; at least 0.
        angles: [A], the directions of motion in degrees.
        speeds: [S], in columns per second.
        cell_types: The 65 names.
    """

    peak: Tensor
    angles: Tensor
    speeds: Tensor
    cell_types: list[str]

    @property
    def selectivity(self) -> Tensor:
        r"""The direction selectivity index [2, 65] for ON and OFF edges, from 0 to 1.

        With the peak responses r to contrast c at angle :math:`\varphi`, averaged over the speeds,

        .. math:: D_c = \frac{|\sum_\varphi r_c(\varphi) e^{i \varphi}|}
            {\max_{c'} \sum_\varphi r_{c'}(\varphi)}

        so that a cell that responds to the other contrast more strongly is less selective. It is 0
        for a cell that never responds.
        """
        total = self.peak.sum(2).amax(0)
        share = self._vector().abs() / torch.where(total > 0, total, 1)
        return share.mean(1)

    @property
    def preferred(self) -> Tensor:
        """The preferred direction [2, 65] in degrees, from 0 to 360: the angle of the sum."""
        return torch.rad2deg(self._vector().sum(1).angle()).remainder(360)

    def _vector(self) -> Tensor:
        """Return the sum over the angles of r e^(i phi), [2, S, 65]."""
        turn = torch.polar(torch.ones_like(self.angles), torch.deg2rad(self.angles))
        return (self.peak * turn[:, None]).sum(2)


@torch.no_grad()
def direction_tuning(
    eye: FlyEye, *, angles: Sequence[float] = _ANGLES, speeds: Sequence[float] = (19.0,)
) -> DirectionTuning:
    """Show moving edges to an eye and record the peak responses of its central cells.

    Every film begins after ``eye.rest()``, two seconds of gray. Takes O(A T E) time per speed and
    contrast, and the memory of 2 A states of all neurons and a few steps.

    Args:
        eye: The eye.
        angles: The directions of motion in degrees, A numbers.
        speeds: The speeds in columns per second, S numbers. The paper uses 2.4, 4.8, 9.7, 13, 19
            and 25.

    Returns:
        The tuning.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a list is empty or a number out of range.

    Example:
        >>> from sparsebrain.models import FlyEye, direction_tuning
        >>> eye = FlyEye(network=0, radius=3, dt=0.01)
        >>> tuning = direction_tuning(eye, angles=(0, 90, 180, 270))
        >>> tuning.peak.shape
        torch.Size([2, 1, 4, 65])
    """
    if not isinstance(eye, FlyEye):
        raise TypeError(
            f"eye must be a FlyEye, got {arguments.described(eye)}; pass models.FlyEye(network=0)"
        )
    turned = _numbers("angles", angles, _ANGLES)
    paced = _numbers("speeds", speeds, (19.0,))
    start = eye.rest()
    peaks = []
    for speed in paced:
        films = [
            moving_edge(eye.positions, angle, bright=bright, speed=speed, dt=eye.dt)
            for bright in (True, False)
            for angle in turned
        ]
        light = torch.stack(films).to(start.dtype)
        state = start.expand(len(light), -1)
        seen = eye(light, state, neurons=eye.central)
        rise = seen.amax(1) - start[eye.central]
        peaks.append(rise.clamp(min=0).view(2, len(turned), -1))
    return DirectionTuning(
        torch.stack(peaks, 1), start.new_tensor(turned), start.new_tensor(paced), eye.cell_types
    )


def _numbers(name: str, values: object, example: tuple[float, ...]) -> list[float]:
    """Return a list of numbers; TypeError or ValueError unless it is one of at least one."""
    listed = list(values) if arguments.is_list(values) else None  # type: ignore[call-overload]
    if not listed:
        kind = TypeError if listed is None else ValueError
        raise kind(
            f"{name} must be a list of at least one number, got {arguments.described(values)}; "
            f"pass {name}={example}"
        )
    if name == "angles":
        return [_angle(name, each) for each in listed]
    return [arguments.real(name, each, positive=True, at_most=_FASTEST) for each in listed]


def _angle(name: str, value: object) -> float:
    """Return an angle in degrees, of any sign."""
    sign = -1 if isinstance(value, int | float) and value < 0 else 1
    return sign * arguments.real(name, value if sign > 0 else -value)  # type: ignore[operator]
