"""Learning rules on the same sparse graphs: one interface, one table."""

from sparsebrain.learning.backprop import Backprop
from sparsebrain.learning.dendritic_microcircuit import DendriticMicrocircuit
from sparsebrain.learning.feedback_alignment import FeedbackAlignment
from sparsebrain.learning.forward_forward import ForwardForward, LabelInputs
from sparsebrain.learning.local_errors import LocalErrors
from sparsebrain.learning.rule import Rule

#: The rules by name, as ``sparsebrain compare --rule`` takes them.
RULES: dict[str, type[Rule]] = {
    "backprop": Backprop,
    "feedback-alignment": FeedbackAlignment,
    "local-errors": LocalErrors,
    "forward-forward": ForwardForward,
    "dendritic-microcircuit": DendriticMicrocircuit,
}

__all__ = [
    "RULES",
    "Backprop",
    "DendriticMicrocircuit",
    "FeedbackAlignment",
    "ForwardForward",
    "LabelInputs",
    "LocalErrors",
    "Rule",
]
