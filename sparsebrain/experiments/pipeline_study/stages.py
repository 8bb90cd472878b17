"""The stages of a model: what each process computes with the rules of this package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsebrain.error_diffusion import ErrorDiffusion
from sparsebrain.experiments.pipeline_study.methods import cut, shares
from sparsebrain.learning import (
    DirectFeedbackAlignment,
    ForwardForward,
    LabelInputs,
    LocalErrors,
    Rule,
)
from sparsebrain.learning.blocks import split, through
from sparsebrain.learning.credit import credited
from sparsebrain.plasticity import Hebb
from sparsebrain.plasticity.feature_rules import HebbFeatures


class Stage(ABC):
    """Consecutive layers of a model, which learn on one process.

    Args:
        module: The parameters.
        optimizer: Changes them.
    """

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.module, self.optimizer = module, optimizer

    @abstractmethod
    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Run the layers on a micro-batch, and let them learn if they can do so by themselves.

        Args:
            part: The number of the micro-batch.
            x: The samples in the first stage, otherwise the output of the stage before.
            y: The labels [B].

        Returns:
            The output. In the last stage, the error of the output if others wait for it.
        """

    def backward(self, part: int, error: Tensor | None) -> Tensor | None:
        """Compute gradients from an error, and return the one for the stage before, if any."""
        raise NotImplementedError(f"{type(self).__name__} has no backward pass")

    def kept(self) -> Iterable[Tensor]:
        """Return the tensors that the stage itself keeps for backward passes."""
        return ()

    def update(self, parts: int) -> None:
        """Take the step of the optimizer with the mean gradient of the micro-batches."""
        for parameter in self.module.parameters():
            if parameter.grad is not None:
                parameter.grad /= parts
        self.optimizer.step()
        self.optimizer.zero_grad()

    def values(self) -> list[Tensor]:
        """Return copies of the parameters."""
        return [each.detach().clone() for each in self.module.parameters()]


class BackpropStage(Stage):
    """Backpropagation: the error comes from the next stage, and goes on to the stage before."""

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, *, last: bool) -> None:
        super().__init__(module, optimizer)
        self.last = last
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Run the layers; in the last stage, return the loss."""
        x.requires_grad_()
        out = self.module(x)
        if self.last:
            out = functional.cross_entropy(out, y)
        self._kept[part] = x, out
        return out.detach()

    def backward(self, part: int, error: Tensor | None) -> Tensor | None:
        """Continue the backward pass."""
        x, out = self._kept.pop(part)
        out.backward(error)
        return x.grad


class DirectStage(Stage):
    """Direct feedback alignment: the error of the output comes from the last stage.

    Args:
        rule: The rule around the layers of the stage.
        optimizer: Changes their parameters.
        above: The feedback weights [N, classes] of the first layer of the next stage, which belong
            to the output of this one; None in the last stage.
    """

    def __init__(
        self,
        rule: DirectFeedbackAlignment,
        optimizer: torch.optim.Optimizer,
        above: Tensor | None,
    ) -> None:
        super().__init__(rule.model, optimizer)
        self.rule, self.above = rule, above
        self._kept: dict[int, tuple[Tensor, list[Tensor], Tensor]] = {}

    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Run the layers; in the last stage, return the error [B, classes] of the scores."""
        errors: list[Tensor] = []
        ways = self.rule.ways_back(errors)
        with credited({layer: way.credit for layer, way in ways.items()}):
            out = self.module(x)
        error = out.new_empty(0)
        if self.above is None:
            scores = out.detach().requires_grad_()
            (error,) = torch.autograd.grad(functional.cross_entropy(scores, y), scores)
        self._kept[part] = out, errors, error
        return out.detach() if self.above is not None else error

    def backward(self, part: int, error: Tensor | None) -> None:
        """Send the error of the output directly to all layers."""
        out, errors, own = self._kept.pop(part)
        error = own if error is None else error
        errors.append(error)
        out.backward(error if self.above is None else error @ self.above.T)


class ErrorDiffusionStage(Stage):
    """Error diffusion: the error of the output comes from the last stage.

    Args:
        rule: The rule around the whole network, of which only the strengths of the synapses into
            these stages are kept.
        first: The number of the network's first stage that is computed here.
        last: The number after the last one.
    """

    def __init__(self, rule: ErrorDiffusion, first: int, last: int) -> None:
        network = rule.model
        own = network.stages[first:last]
        bundles = [each for stage in own for each in (*stage.feed, *stage.loop)]
        start = min(each.first for each in bundles)
        end = max(each.first + each.size for each in bundles)
        moved = [
            replace(
                stage, feed=tuple(replace(each, first=each.first - start) for each in stage.feed)
            )
            for stage in own
        ]
        network.stages = [*network.stages[:first], *moved, *network.stages[last:]]
        network.strength = nn.Parameter(network.strength.detach()[start:end].clone())
        super().__init__(rule, rule.make_optimizer())
        self.rule, self.first, self.last = rule, first, last
        self._kept: dict[int, tuple[list[Tensor], Tensor]] = {}
        self._strength = network.fold()

    @torch.no_grad()
    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Run the stages; at the end of the network, return the error [B, K] of the scores."""
        network = self.rule.model
        state = network.hold(x) if self.first == 0 else x
        states, error = [state], state.new_empty(0)
        for number in range(self.first, self.last):
            state, sums = network.advance(number, state, self._strength)
            states.append(state)
        ends = self.last == len(network.stages)
        if ends:
            _, error = self.rule.compare(network.read(sums), y)
        self._kept[part] = states, error
        return error if ends else state

    def backward(self, part: int, error: Tensor | None) -> None:
        """Send the error of the output directly to all cells."""
        states, own = self._kept.pop(part)
        self.rule.diffuse(states, own if error is None else error, first=self.first)

    def update(self, parts: int) -> None:
        """Take the step, and fold strengths that have crossed zero."""
        super().update(parts)
        self._strength = self.rule.model.fold()

    def kept(self) -> Iterable[Tensor]:
        """Return the states that wait for their error."""
        return [state for states, _ in self._kept.values() for state in states]


class LocalStage(Stage):
    """Local errors, or the first layers of Forward-Forward: the rule's own step, from labels."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule, rule.make_optimizer())
        self.rule = rule
        self._out = torch.empty(0)
        # The step returns the loss; the output is that of the last module.
        list(rule.model.children())[-1].register_forward_hook(self._take)

    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Let all layers learn."""
        self.rule(x, y)
        return self._out

    def values(self) -> list[Tensor]:
        """Return copies of the parameters of the model, without those of the rule."""
        return [each.detach().clone() for each in self.rule.model.parameters()]

    def _take(self, module: nn.Module, x: object, out: Tensor) -> None:
        self._out = out.detach()


class LaterForwardForwardStage(LocalStage):
    """The later layers of Forward-Forward, whose input belongs to true and to wrong labels."""

    rule: ForwardForward

    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Let all layers learn."""
        layers = self.rule.layers(x)
        grads = [self.rule.loss_and_gradient(z.detach())[1] for z in layers]
        torch.autograd.backward(layers, grads)
        return layers[-1].detach()


class HebbStage(Stage):
    """Hebb's rule in all layers, before the stage with the readout."""

    def __init__(self, module: nn.Module) -> None:
        rate = HebbFeatures.learning_rate * HebbFeatures.ratio
        super().__init__(module, torch.optim.SGD(module.parameters(), lr=rate))
        self._rules = [(Hebb(block.layer), block) for block in split(module)]

    @torch.no_grad()
    def forward(self, part: int, x: Tensor, y: Tensor) -> Tensor:
        """Let all layers learn."""
        for rule, block in self._rules:
            if isinstance(block.layer, nn.Linear):
                # The activity behind the activation is postsynaptic, see HebbFeatures.
                x = rule(x, through([block.layer, *block.after], x))
            else:
                x = through(block.after, rule(x))
        return x


def make_stage(rule: Rule, stage: int, stages: int) -> Stage:
    """Make one stage of the model of a rule, which must not be used afterwards.

    Args:
        rule: The rule, as :func:`~.methods.make_rule` makes it.
        stage: The number of the stage.
        stages: The number of stages.
    """
    if isinstance(rule, ErrorDiffusion):
        # The first stage also computes the layer behind the inputs, and the last one the output.
        first, last = shares(len(rule.model.stages) - 2, stages)[stage]
        made: Stage = ErrorDiffusionStage(
            rule, first + (stage > 0), last + 1 + (stage == stages - 1)
        )
    elif isinstance(rule, DirectFeedbackAlignment):
        made = _direct_stage(rule, cut(rule, stages), stage)
    else:
        made = _plain_stage(rule, nn.Sequential(*cut(rule, stages)[stage]), stage, stages)
    for each in made.module.modules():
        if isinstance(each, Rule):
            # The processes do not average their gradients.
            each.average_over(None)
    return made


def _plain_stage(rule: Rule, module: nn.Module, stage: int, stages: int) -> Stage:
    """Make a stage that needs no part of the whole rule but its layers."""
    ends = stage == stages - 1
    if isinstance(rule, LocalErrors):
        number = None if ends else rule.num_classes
        return LocalStage(LocalErrors(module, kind="prediction", num_classes=number))
    if isinstance(rule, ForwardForward):
        if stage == 0:
            return LocalStage(ForwardForward(module, generator=rule.generator))
        labels = LabelInputs(rule.num_classes)
        return LaterForwardForwardStage(ForwardForward(nn.Sequential(labels, *module.children())))
    if isinstance(rule, HebbFeatures):
        return LocalStage(HebbFeatures(module)) if ends else HebbStage(module)
    return BackpropStage(module, _adam(rule, module), last=ends)


def _adam(rule: Rule, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=rule.learning_rate)


def _direct_stage(
    whole: DirectFeedbackAlignment, parts: Sequence[Sequence[nn.Module]], stage: int
) -> DirectStage:
    """Make a stage with its part of the feedback weights of the whole rule."""
    rule = DirectFeedbackAlignment(nn.Sequential(*parts[stage]), num_classes=whole.num_classes)
    layers = list(whole.layers.values())
    before = sum(module in layers for part in parts[:stage] for module in part)
    after = before + len(rule.feedback)
    feedback = [each.detach() for each in whole.feedback]
    for own, value in zip(rule.feedback, feedback[before:after], strict=True):
        own.copy_(value)
    above = None if stage == len(parts) - 1 else feedback[after]
    return DirectStage(rule, _adam(whole, rule.model), above)
