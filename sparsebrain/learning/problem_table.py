"""Which of backpropagation's six problems each rule solves, as a table.

The help of the commands reads this table without importing torch. Tests assert that it is what
:func:`sparsebrain.learning.problems` derives and argues.
"""

from collections.abc import Mapping

PROBLEMS = (
    "a linear way back",
    "activities and derivatives kept for it",
    "the same weights there",
    "real values instead of spikes",
    "separate phases",
    "where the target comes from",
)
"""The six problems, in order."""

SOLVED: Mapping[str, str] = {
    "Backprop": "- - - - - -",
    "FeedbackAlignment": "- - s - - -",
    "SignSymmetry": "- - p - - -",
    "KolenPollack": "- - s - - -",
    "WeightMirror": "- - s - - -",
    "DirectFeedbackAlignment": "- p s - - -",
    "ErrorDiffusion": "s s s - p p",
    "LocalErrors": "p p p - p -",
    "ForwardForward": "s s s - - s",
    "DendriticMicrocircuit": "s s s - s -",
    "EquilibriumPropagation": "s s p - - p",
    "Boltzmann": "s s p s - s",
    "RandomFeatures": "s s s - s p",
    "HebbFeatures": "s s s - s p",
    "OjaFeatures": "s s s - s p",
    "BCMFeatures": "s s s - s p",
    "Hebb": "s s s - s s",
    "Oja": "s s s - s s",
    "Sanger": "s s s - s s",
    "BCM": "s s s - s s",
    "STDP": "s s s s s s",
    "DopamineSTDP": "s s s s s s",
    "ContrastiveDivergence": "s s p s - s",
    "DynamicBoltzmannMachine": "s s s s s s",
}
"""The marks of each rule by the name of its class: s solved, p partly, - not.

The rules are those of the tables RULES and PLASTICITY, and those of networks with an energy.
"""
