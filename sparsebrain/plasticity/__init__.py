"""Rules that change synapses without labels.

Every rule in :data:`PLASTICITY` is a :class:`PlasticityRule` around a layer: ``rule(x)`` adds minus
its update to the gradient of the layer's weight, and ``rule.make_optimizer()`` takes the step.
:class:`Rewiring` replaces synapses during training by any rule. :class:`RewardPrediction` and
:class:`TemporalDifference` compute the errors that dopamine neurons signal.
"""

from __future__ import annotations

from sparsebrain.learning.rule_table import RuleTable
from sparsebrain.plasticity.bcm import BCM
from sparsebrain.plasticity.hebb import Hebb
from sparsebrain.plasticity.oja import Oja
from sparsebrain.plasticity.plasticity_rule import PlasticityRule, RateRule
from sparsebrain.plasticity.reward_prediction import RewardPrediction
from sparsebrain.plasticity.rewiring import Rewiring
from sparsebrain.plasticity.sanger import Sanger
from sparsebrain.plasticity.temporal_difference import TemporalDifference

#: The rules by name.
PLASTICITY: RuleTable[PlasticityRule] = RuleTable(
    PlasticityRule,
    {"hebb": Hebb, "oja": Oja, "sanger": Sanger, "bcm": BCM},
)

__all__ = [
    "BCM",
    "PLASTICITY",
    "Hebb",
    "Oja",
    "PlasticityRule",
    "RateRule",
    "RewardPrediction",
    "Rewiring",
    "Sanger",
    "TemporalDifference",
]
