"""Rules that change synapses without labels.

Every rule in :data:`PLASTICITY` is a :class:`PlasticityRule` around a layer: ``rule(x)``, or
``rule(spikes)`` for the rules on spikes, adds minus its update to the gradient of the layer's
weight, and ``rule.make_optimizer()`` takes the step.
:class:`Rewiring` replaces synapses during training by any rule. :class:`RewardPrediction` and
:class:`TemporalDifference` compute the errors that dopamine neurons signal, and
:class:`NodePerturbation` and :class:`RewardHebb` learn from such errors. :class:`FastWeights`
stores pairs of patterns in one step each.
"""

from __future__ import annotations

from sparsebrain.learning.rule_table import RuleTable
from sparsebrain.plasticity.bcm import BCM
from sparsebrain.plasticity.dopamine_stdp import DopamineSTDP
from sparsebrain.plasticity.fast_weights import FastWeights
from sparsebrain.plasticity.hebb import Hebb
from sparsebrain.plasticity.node_perturbation import NodePerturbation, RewardRule
from sparsebrain.plasticity.oja import Oja
from sparsebrain.plasticity.plasticity_rule import PlasticityRule, RateRule
from sparsebrain.plasticity.reward_hebb import RewardHebb
from sparsebrain.plasticity.reward_prediction import RewardPrediction
from sparsebrain.plasticity.rewiring import Rewiring
from sparsebrain.plasticity.sanger import Sanger
from sparsebrain.plasticity.spike_timing import SpikeTimingRule
from sparsebrain.plasticity.stdp import STDP
from sparsebrain.plasticity.temporal_difference import TemporalDifference

#: The rules by name.
PLASTICITY: RuleTable[PlasticityRule] = RuleTable(
    PlasticityRule,
    {
        "hebb": Hebb,
        "oja": Oja,
        "sanger": Sanger,
        "bcm": BCM,
        "stdp": STDP,
        "dopamine-stdp": DopamineSTDP,
    },
)

__all__ = [
    "BCM",
    "PLASTICITY",
    "STDP",
    "DopamineSTDP",
    "FastWeights",
    "Hebb",
    "NodePerturbation",
    "Oja",
    "PlasticityRule",
    "RateRule",
    "RewardHebb",
    "RewardPrediction",
    "RewardRule",
    "Rewiring",
    "Sanger",
    "SpikeTimingRule",
    "TemporalDifference",
]
