"""Learning rules on the same sparse graphs: one interface, one table."""

from sparsebrain.learning.backprop import Backprop
from sparsebrain.learning.error_diffusion import ErrorDiffusion
from sparsebrain.learning.feedback_alignment import FeedbackAlignment
from sparsebrain.learning.rule import Rule

#: The rules by name, as ``sparsebrain compare --rule`` takes them.
RULES: dict[str, type[Rule]] = {
    "backprop": Backprop,
    "error-diffusion": ErrorDiffusion,
    "feedback-alignment": FeedbackAlignment,
}

__all__ = ["RULES", "Backprop", "ErrorDiffusion", "FeedbackAlignment", "Rule"]
