"""The methods that are compared, and the lengths of their trainings."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Method:
    """How an agent learns.

    Attributes:
        rule: "backprop", "error-diffusion", "node-perturbation", "reward-hebb" or
            "dopamine-stdp".
        learns: "values" of actions by Q-learning, a "policy" by REINFORCE, by "noise" on all
            neurons, or by "spikes".
        rate: The learning rate, of Adam for backpropagation and of SGD otherwise.
        decay: The weight decay.
        renewed: The number of updates after which the network of the targets is renewed.
        bootstrapped: Whether targets contain the predicted value of the next state; otherwise they
            are the returns of episodes.
        scale: The factor of all rewards.
        discount: The factor of the next step's reward in a return.
        sigma: The standard deviation of the noise of neurons.
        replays: How often a transition is replayed on average.
        normalized: Whether errors of values are divided by the sum of squares of the cells that
            send to the output, as in normalized least mean squares.
        falls: The number of updates after which the rate of values has fallen to one half, as
            1 / (1 + updates / falls); 0 for a constant rate.
        double: Whether targets take the value of the action that the trained network prefers, as in
            double Q-learning, instead of the largest value.
        depression: A_- of spike-timing-dependent plasticity, relative to A_+.
        entropy: The factor of the entropy of the policy, which is added to the return.
    """

    rule: str
    learns: str = "values"
    rate: float = 1e-3
    decay: float = 0.0
    renewed: int = 50
    bootstrapped: bool = True
    scale: float = 1.0
    discount: float = 0.99
    sigma: float = 0.5
    replays: int = 4
    normalized: bool = False
    falls: int = 0
    double: bool = False
    depression: float = 0.0
    entropy: float = 0.2


_DIFFUSION = Method("error-diffusion", rate=0.1)

CONTROLS = ("backprop, values", "backprop, policy")
"""The methods of which one has to solve a task."""

_FALLING = replace(_DIFFUSION, rate=3.0, normalized=True, falls=200)
_SPIKES = Method("dopamine-stdp", "spikes", rate=5e-3)

MENDS = {
    "ED, values, high rate": replace(_DIFFUSION, rate=0.3),
    "ED, values, low rate": replace(_DIFFUSION, rate=0.01),
    "ED, values, decay": replace(_DIFFUSION, decay=0.03),
    "ED, values, slow targets": replace(_DIFFUSION, renewed=300),
    "ED, values, small targets": replace(_DIFFUSION, scale=0.3),
    "ED, values, double": replace(_DIFFUSION, double=True),
    "ED, values, normalized": replace(_DIFFUSION, rate=3.0, normalized=True),
    "ED, values, falling rate": _FALLING,
    "ED, values, returns": replace(_DIFFUSION, bootstrapped=False),
    "backprop, values, returns": Method("backprop", rate=3e-3, bootstrapped=False),
    "dopamine-STDP, depression": replace(_SPIKES, depression=1.05),
}
"""Variants of Q-learning and of STDP, which are compared on layered networks alone."""

METHODS = {
    "backprop, values": Method("backprop", rate=3e-3),
    "backprop, policy": Method("backprop", "policy", rate=1e-2),
    "ED, policy": Method("error-diffusion", "policy", rate=0.3),
    "ED, values": _DIFFUSION,
    "ED, values, mended": replace(_FALLING, bootstrapped=False),
    "node perturbation": Method("node-perturbation", "noise", rate=0.1, decay=3e-3),
    "reward-Hebb": Method("reward-hebb", "noise", rate=0.05, decay=3e-3),
    "dopamine-STDP": _SPIKES,
    **MENDS,
}
"""The methods by name."""

BATCHES = {"bandit": 600, "catch": 300, "cartpole": 100}
"""The default number of batches of episodes per training, by task."""

SCALES = {"bandit": 1.0, "catch": 1.0, "cartpole": 0.02}
"""The factor of the rewards of a task, which brings returns near 1."""
