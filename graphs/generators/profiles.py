"""Profiles: the probability of a synapse as a function of distance."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs import arguments

Floats = NDArray[np.float64]
Law = Callable[[Floats], Floats]
ProfileName = Literal["linear", "exponential", "gaussian", "step", "mexican-hat"]

# A pair with a probability below this one is out of reach.
_NEGLIGIBLE = 1e-6

# Width of the surround of the Mexican hat, in widths of its center.
_SURROUND = 1.6


class Profile(NamedTuple):
    """A probability that never increases with distance.

    Attributes:
        law: The probability as a function of r / d.
        reach: The ratio r / d beyond which it is 0.
    """

    law: Law
    reach: float


def _mexican_hat(u: Floats) -> Floats:
    squares, wide = u**2, _SURROUND**2
    hat = (wide * np.exp(-squares / 2) - np.exp(-squares / (2 * wide))) / (wide - 1)
    return np.clip(hat, 0.0, 1.0)


PROFILES: dict[ProfileName, Profile] = {
    "linear": Profile(lambda u: np.maximum(0.0, 1.0 - u), 1.0),
    "exponential": Profile(lambda u: np.exp(-u), -math.log(_NEGLIGIBLE)),
    "gaussian": Profile(lambda u: np.exp(-(u**2) / 2), math.sqrt(-2 * math.log(_NEGLIGIBLE))),
    "step": Profile(lambda u: np.where(u <= 1.0, 1.0, 0.0), 1.0),
    "mexican-hat": Profile(_mexican_hat, math.sqrt(4 * math.log(_SURROUND) / (1 - _SURROUND**-2))),
}


class Chance(NamedTuple):
    """A probability as a function of the distance r itself.

    Attributes:
        law: The probability of distances [P].
        reach: The distance beyond which it is 0.
        falls: Whether it never increases with distance.
    """

    law: Law
    reach: float
    falls: bool


def chance(profile: ProfileName | Law, distance: float, p_max: float) -> Chance:
    """Return `p_max` times a profile of a given length.

    Args:
        profile: Name of a profile, or a function of distances [P].
        distance: Length d of the profile; a function is cut off there.
        p_max: Factor of the profile.

    Returns:
        The probability as a function of distance.

    Raises:
        TypeError: `profile` is neither a string nor a function.
        ValueError: `profile` is unknown. A function that returns invalid probabilities raises this
            error when it is called.
    """
    if arguments.is_function(profile):
        return Chance(lambda r: p_max * _checked(profile, r), distance, False)
    law, reach = PROFILES[arguments.option("profile", profile, PROFILES)]
    return Chance(lambda r: p_max * law(r / distance), reach * distance, True)


def _checked(law: Law, distances: Floats) -> Floats:
    if len(distances) == 0:
        return distances
    expected = f"profile must return one probability for each of {len(distances)} distances"
    fix = "pass profile=lambda r: np.exp(-r)"
    found = arguments.array(expected, law(distances), fix)
    if found.shape != distances.shape or found.dtype.kind not in "biuf":
        raise ValueError(f"{expected}, got {arguments.described(found)}; {fix}")
    bad = ~((found >= 0) & (found <= 1))
    if bad.any():
        raise ValueError(
            f"profile must return probabilities in [0, 1], got {found[bad][0]} at r = "
            f"{distances[bad][0]:g}; pass profile=lambda r: np.clip(law(r), 0, 1)"
        )
    return found
