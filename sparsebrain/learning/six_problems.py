"""Which of backpropagation's six problems a learning rule solves.

Y. Bengio and others list what speaks against backpropagation in brains ("Towards biologically
plausible deep learning", arXiv 1502.04156, 2015):

1. The way back is linear, where neurons are not.
2. It needs the activities of the way forward and the derivatives there, kept until it comes.
3. It needs the same weights as the way forward.
4. Neurons exchange real values, where brains send spikes.
5. It needs phases of its own, in which the neurons do not answer.
6. It needs targets, and something has to give them.

The first three can be seen in what a step computes: :func:`problems` records it. The others are
arguments, given in :data:`ARGUMENTS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

import graphs
from graphs import arguments
from sparsebrain.energy import BoltzmannMachine
from sparsebrain.learning.problem_table import PROBLEMS
from sparsebrain.learning.recorder import AHEAD, BACK, SAME, Recorder, Signal
from sparsebrain.learning.rule import Rule
from sparsebrain.nn.graph_layer import GraphLayer

Mark = Literal["solved", "partly", "not"]

_MARKS: Mapping[str, Mark] = {"s": "solved", "p": "partly", "-": "not"}

#: Problems 4 to 6 by rule: a mark for each, and why.
ARGUMENTS: Mapping[str, tuple[str, str]] = {
    "Backprop": ("---", "errors are real numbers of a phase of their own, from given targets"),
    "FeedbackAlignment": (
        "---",
        "as backpropagation: errors are real numbers of a phase of their own",
    ),
    "SignSymmetry": ("---", "as backpropagation: errors are real numbers of a phase of their own"),
    "KolenPollack": ("---", "as backpropagation: errors are real numbers of a phase of their own"),
    "WeightMirror": ("---", "as backpropagation, with one more phase, of noise"),
    "DirectFeedbackAlignment": (
        "---",
        "errors are real numbers from given targets, and layers wait for them",
    ),
    "LocalErrors": ("-p-", "a layer learns as soon as it has answered, and needs the label"),
    "ErrorDiffusion": ("-pp", "one error reaches all cells at once, and is a broadcast amine"),
    "ForwardForward": ("--s", "wrong samples are a phase of their own; the label is an input"),
    "DendriticMicrocircuit": ("-s-", "dendrites compare while neurons answer; it needs targets"),
    "EquilibriumPropagation": ("--p", "a free and a nudged phase; a target is a weak input"),
    "Boltzmann": ("s-s", "neurons are 0 or 1, with labels clamped and free; a label is an input"),
    "ContrastiveDivergence": ("s-s", "neurons are 0 or 1 in a waking and a dreaming phase"),
    "DynamicBoltzmannMachine": ("sss", "neurons are 0 or 1, and the next step is the target"),
    "Hebb": ("-ss", "real values; each synapse sees its two neurons"),
    "Oja": ("-ss", "real values; each synapse sees its two neurons"),
    "Sanger": ("-ss", "real values; each synapse sees its two neurons and those before"),
    "BCM": ("-ss", "real values; each synapse sees its two neurons"),
    "STDP": ("sss", "spikes of the two neurons of a synapse, at any time"),
    "DopamineSTDP": ("sss", "spikes at any time; dopamine is a reward and no target"),
    "RandomFeatures": ("-sp", "features do not learn; their readout needs targets"),
    "HebbFeatures": ("-sp", "features need no target; their readout does"),
    "OjaFeatures": ("-sp", "features need no target; their readout does"),
    "BCMFeatures": ("-sp", "features need no target; their readout does"),
}


class Answer(NamedTuple):
    """What is known of one problem.

    Attributes:
        problem: Its name, one of :data:`PROBLEMS`.
        mark: "solved", "partly" or "not"; None if nothing is known.
        reason: Why.
        derived: Whether it follows from the record of a step, and is not an argument.
    """

    problem: str
    mark: Mark | None
    reason: str
    derived: bool


class Answers(tuple[Answer, ...]):
    """The answers to the six problems, in order."""

    __slots__ = ()

    @property
    def marks(self) -> str:
        """The six marks: s solved, p partly, - not, ? unknown."""
        letters = {mark: letter for letter, mark in _MARKS.items()}
        return " ".join(letters[each.mark] if each.mark else "?" for each in self)

    def __str__(self) -> str:
        return "\n".join(
            f"{number} {each.problem}: {each.mark or 'unknown'}"
            f" ({each.reason}{'; argued' if each.mark and not each.derived else ''})"
            for number, each in enumerate(self, 1)
        )


def problems(
    rule: nn.Module | type[Rule],
    model: nn.Module | None = None,
    *,
    x: Tensor | None = None,
    y: Tensor | None = None,
) -> Answers:
    """Tell which of backpropagation's six problems a rule solves.

    A copy of the rule makes one step. Torch shows every operation of it, so that what carries the
    labels is followed until it reaches the gradients, over which weights and in which direction.

    * Problem 1 is solved if no error goes back over weights while it is a linear function of the
      labels, and partly if each goes back over a classifier of its layer's own.
    * Problem 2 is unsolved if such an error is multiplied by activities or derivatives and then
      sent on, and solved partly if only the update of a neuron's own synapses needs them.
    * Problem 3 is unsolved if such an error goes back over weights of the way forward, and solved
      partly if these are a layer's own classifier, only their signs, or tied pairs of weights.

    Matrices that are neither parameters nor computed from them count as weights of the rule's own.
    Where no gradient carries the labels, as in a step that computes in NumPy, nothing is derived.
    Problems 4 to 6 of a rule that :data:`ARGUMENTS` does not name are unknown.

    Args:
        rule: A rule, or its class, which is tried on a small model.
        model: The model for a class of rules; one that the rule builds if None.
        x: Samples for the step. Needed with a rule or a model of your own.
        y: Their labels [B] int64, or the dopamine of a rule of plasticity. Rules without labels
            take None.

    Returns:
        The answers.

    Raises:
        TypeError: ``rule`` is not a rule, or ``x`` or ``y`` is not a dense tensor.
        ValueError: The rule cannot train the model, or takes other samples.

    Example:
        >>> from sparsebrain.learning import RULES, problems
        >>> problems(RULES["backprop"]).marks, problems(RULES["feedback-alignment"]).marks
        ('- - - - - -', '- - s - - -')
    """
    made, x, y = _made(rule, model, x, y)
    weights = {
        name: weight
        for name, weight in made.named_parameters()
        if weight.dim() and not name.endswith("bias") and "norm" not in name
    }
    labels = torch.zeros(0, dtype=torch.int64) if y is None else y.clone()
    recorder = Recorder(weights, x.clone(), labels)
    x = recorder.samples
    with recorder:
        made(x) if y is None else made(x, labels)
    grads = [p.grad for p in made.parameters() if p.grad is not None]
    found = [recorder.note(each).signal for each in grads]
    signals = [each for each in found if each is not None]
    lost = None
    if not grads:
        lost = "the step wrote no gradient"
    elif y is not None and not signals:
        # For example, a step that computes in NumPy.
        lost = "no gradient carries the labels as far as torch sees the operations"
    derived = [
        Answer(name, None, lost, False) if lost else Answer(name, *decide(signals, made), True)
        for name, decide in zip(PROBLEMS, _DERIVED, strict=False)
    ]
    letters, why = _argued(type(made))
    argued = [
        Answer(name, _MARKS.get(letter), why, False)
        for name, letter in zip(PROBLEMS[3:], letters, strict=True)
    ]
    return Answers([*derived, *argued])


def _made(
    rule: nn.Module | type[Rule], model: nn.Module | None, x: Tensor | None, y: Tensor | None
) -> tuple[nn.Module, Tensor, Tensor | None]:
    """Return a copy of the rule without gradients, and the samples and labels of its step."""
    if isinstance(rule, type) and issubclass(rule, Rule):
        if model is None:
            model = _small(rule)
            x = torch.linspace(0, 1, 48).view(8, 6) if x is None else x
            y = torch.arange(8) % 3 if y is None else y
        rule = rule(model)
    elif not (isinstance(rule, nn.Module) and hasattr(rule, "make_optimizer")):
        raise TypeError(
            f"rule must be a rule or its class, got {arguments.described(rule)}; pass "
            "rule=RULES['backprop']."
        )
    elif model is not None:
        raise ValueError("a rule has its model already; pass model=None, or the class of the rule.")
    for name, given, why in (("x", x, "samples that the model takes"), ("y", y, "their labels")):
        if given is None and name == "y" and not isinstance(rule, Rule):
            continue
        if not isinstance(given, Tensor) or given.layout is not torch.strided:
            raise TypeError(
                f"{name} must be a dense tensor of {why}, got {arguments.described(given)}; pass "
                "x=torch.rand(8, in_features) and y=torch.arange(8) % num_classes."
            )
    assert isinstance(x, Tensor)
    made = copy.deepcopy(rule)
    made.zero_grad(set_to_none=True)
    return made, x, y


def _small(rule: type[Rule]) -> nn.Module:
    """Make a small model that a rule can train, with loops if it takes them."""
    connectome = graphs.grid_local((4, 4), 1)
    try:
        return rule.build(connectome, 6, 3, loops=3)
    except ValueError:
        return rule.build(connectome, 6, 3, loops=1)


def _linear_way_back(signals: list[Signal], rule: nn.Module) -> tuple[Mark, str]:
    back = [each for each in signals if each.linear and each.crossings]
    if not back:
        return "solved", "no error goes back over weights as a linear function of the labels"
    if all(name[:6] != "model." and how == SAME for each in back for name, how in each.over):
        return "partly", "errors go back one step, over a classifier of the layer's own"
    most = max(each.crossings for each in back)
    through = "1 layer" if most == 1 else f"{most} layers or loops"
    return "not", f"errors go back linearly, through {through}"


def _kept_activities(signals: list[Signal], rule: nn.Module) -> tuple[Mark, str]:
    if any(each.sent_scaled for each in signals):
        return "not", "errors are multiplied by kept activities or derivatives and sent on"
    if any(each.linear and each.crossings for each in signals):
        return "partly", "kept activities and derivatives serve a neuron's own synapses alone"
    return "solved", "nothing is kept for a way back"


def _same_weights(signals: list[Signal], rule: nn.Module) -> tuple[Mark, str]:
    over = {(name, how, each.linear) for each in signals for name, how in each.over}
    of_model = {(how, linear) for name, how, linear in over if name.startswith("model.")}
    walked = {name for name, how, _ in over if name.startswith("model.") and how == SAME}
    if (SAME, True) in of_model or len(walked) > 1:
        return "not", "errors go back over the weights of the way forward"
    if (SAME, False) in of_model:
        return "partly", "only the readout's weights carry an error back"
    if any(how == SAME for _, how, _ in over):
        return "partly", "errors go back over the weights of a layer's own classifier"
    if any(how == BACK for how, _ in of_model):
        return "partly", "the way back knows something of the weights, such as their signs"
    ahead = any(how == AHEAD for how, _ in of_model)
    for each in rule.modules():
        # A machine samples in compiled code, which shows torch none of its steps.
        if not (
            (ahead and isinstance(each, GraphLayer) and each.weight_sharing == "pair")
            or isinstance(each, BoltzmannMachine)
        ):
            continue
        return "partly", "the two directions of a pair of neurons share a weight"
    return "solved", "no error goes back over weights of the way forward"


_DERIVED: tuple[Callable[[list[Signal], nn.Module], tuple[Mark, str]], ...] = (
    _linear_way_back,
    _kept_activities,
    _same_weights,
)


def _argued(kind: type[Any]) -> tuple[str, str]:
    for each in kind.__mro__:
        if each.__name__ in ARGUMENTS and each.__module__.startswith("sparsebrain."):
            return ARGUMENTS[each.__name__]
    return "???", "no operation shows it, and no argument is known"
