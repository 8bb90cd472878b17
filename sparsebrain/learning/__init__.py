"""Learning rules on the same sparse graphs, with one interface and in one table.

Every rule is a :class:`Rule` around a model: ``rule(x, y)`` fills gradients, any torch optimizer
takes the step, and ``rule.predict(x)`` returns class scores. ``RULES[name].build(connectome,
in_features, num_classes)`` makes a model that the rule of that name can train. Most rules train any
model of ``nn.Linear`` and ``GraphLayer``; error diffusion and Forward-Forward need models of their
own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebrain import locations
from sparsebrain.learning.backprop import Backprop
from sparsebrain.learning.boltzmann import Boltzmann
from sparsebrain.learning.dendritic_microcircuit import DendriticMicrocircuit
from sparsebrain.learning.direct_feedback_alignment import DirectFeedbackAlignment
from sparsebrain.learning.equilibrium_propagation import EquilibriumPropagation
from sparsebrain.learning.feedback_alignment import FeedbackAlignment
from sparsebrain.learning.forward_forward import ForwardForward, LabelInputs
from sparsebrain.learning.kolen_pollack import KolenPollack
from sparsebrain.learning.local_errors import LocalErrors
from sparsebrain.learning.rule import Rule
from sparsebrain.learning.rule_table import RuleTable
from sparsebrain.learning.sign_symmetry import SignSymmetry
from sparsebrain.learning.six_problems import problems
from sparsebrain.learning.weight_mirror import WeightMirror

if TYPE_CHECKING:
    from sparsebrain.error_diffusion import ErrorDiffusion

#: The rules by name, as in ``sparsebrain compare --rule``. The entry points "sparsebrain.rules" of
#: installed packages are listed as well, and ``RULES["package.module:Class"]`` imports a rule.
RULES: RuleTable[Rule] = RuleTable(
    Rule,  # type: ignore[type-abstract]
    {
        "backprop": Backprop,
        "feedback-alignment": FeedbackAlignment,
        "sign-symmetry": SignSymmetry,
        "kolen-pollack": KolenPollack,
        "weight-mirror": WeightMirror,
        "direct-feedback-alignment": DirectFeedbackAlignment,
        # In a package of its own, which imports this one.
        "error-diffusion": "sparsebrain.error_diffusion:ErrorDiffusion",
        "local-errors": LocalErrors,
        "forward-forward": ForwardForward,
        "dendritic-microcircuit": DendriticMicrocircuit,
        "equilibrium-propagation": EquilibriumPropagation,
        "boltzmann": Boltzmann,
        # Features without labels under a linear readout, in another package.
        "random-features": "sparsebrain.plasticity.feature_rules:RandomFeatures",
        "hebb": "sparsebrain.plasticity.feature_rules:HebbFeatures",
        "oja": "sparsebrain.plasticity.feature_rules:OjaFeatures",
        "bcm": "sparsebrain.plasticity.feature_rules:BCMFeatures",
    },
    group=locations.RULES,
)

__all__ = [
    "RULES",
    "Backprop",
    "Boltzmann",
    "DendriticMicrocircuit",
    "DirectFeedbackAlignment",
    "EquilibriumPropagation",
    "ErrorDiffusion",
    "FeedbackAlignment",
    "ForwardForward",
    "KolenPollack",
    "LabelInputs",
    "LocalErrors",
    "Rule",
    "SignSymmetry",
    "WeightMirror",
    "problems",
]


def __getattr__(name: str) -> Any:
    if name == "ErrorDiffusion":
        return RULES["error-diffusion"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
