"""A record of what a step of a learning rule computes: where the labels go, and over which weights.

Each tensor carries a note of what it was computed from: samples, labels, weights. Torch shows every
operation of a step, those of the backward pass included, to a dispatch mode, which reads the notes
of what goes in and writes those of what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

_PRODUCTS = {
    # Operations by the positions of the factors of a matrix product.
    "aten::mm": (0, 1),
    "aten::addmm": (1, 2),
    "aten::bmm": (0, 1),
    "aten::baddbmm": (1, 2),
    "aten::mv": (0, 1),
    "aten::addmv": (1, 2),
}

# Outputs that are constants, by operation, though they are computed from labels.
_CONSTANTS = {"aten::nll_loss_forward": (1,)}

# Operations that read the shape alone.
_SHAPES = tuple(
    f"aten::{name}"
    for name in (
        *("ones_like", "zeros_like", "empty_like", "full_like", "rand_like", "randn_like"),
        *("new_ones", "new_zeros", "new_empty", "new_empty_strided", "new_full"),
    )
)

# Points between which an affine map has equal steps.
_MULTIPLES = (-1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Signal:
    """What a tensor carries of the labels, and how it came there.

    Attributes:
        raw: Whether it is the labels in another form, such as one-hot vectors.
        linear: Whether it is an affine function of the first error that the labels made.
        crossings: How many weights it went back over while it was linear.
        over: The weights that it was multiplied by: names, and :data:`BACK`, :data:`SAME` or
            :data:`AHEAD`.
        scaled: Whether it was multiplied by activities behind weights, or by their derivatives.
        sent_scaled: Whether it went back over weights after that.
        age: The largest number of layers and loops that ran between an activity and its use.
    """

    raw: bool = False
    linear: bool = True
    crossings: int = 0
    over: frozenset[tuple[str, str]] = frozenset()
    scaled: bool = False
    sent_scaled: bool = False
    age: int = 0

    def back(self, times: int, over: set[tuple[str, str]], *, scales: bool) -> Signal:
        """Return the signal after it went back over weights, scaled between them or not."""
        if not times:
            return replace(self, scaled=self.scaled or scales)
        return replace(
            self,
            crossings=self.crossings + times * self.linear,
            over=self.over | over,
            sent_scaled=self.sent_scaled or self.scaled or (scales and times > 1),
        )


BACK = "backward, over weights that are not those of the way forward"
SAME = "backward, over the weights of the way forward"
AHEAD = "forward"

UNNAMED = "a tensor of the rule"
"""The name of weights that are not among the named ones."""


@dataclass(frozen=True)
class Note:
    """What a tensor was computed from.

    Attributes:
        sample: Whether it depends on the samples.
        signal: What it carries of the labels, or None.
        weights: The names of the weights it is computed from, if from nothing else.
        made: The number of layers and loops that had run before it was made.
    """

    sample: bool = False
    signal: Signal | None = None
    weights: frozenset[str] = frozenset()
    made: int = 0

    @property
    def is_error(self) -> bool:
        """Whether it is linear in what the labels made, and not an activity of neurons."""
        return self.signal is not None and self.signal.linear and not self.signal.raw


class Recorder(TorchDispatchMode):
    """Record the operations of a block.

    Args:
        weights: The tensors of the rule by name. Those of the model begin with "model.".
        samples: The samples.
        labels: The labels.

    Attributes:
        samples: The samples.
        runs: How often each weight was applied to activities, by name.
        clock: The number of layers and loops that ran.
    """

    def __init__(self, weights: Mapping[str, Tensor], samples: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.runs: dict[str, int] = {}
        self.clock = 0
        self._weights = dict(weights)
        # Storages are kept alive, so that no two have the same address.
        self._notes: dict[int, tuple[Any, Note]] = {}
        for name, weight in weights.items():
            self._write(weight, Note(weights=frozenset({name})))
        self.samples = samples
        self._write(samples, Note(sample=True))
        self._write(labels, Note(signal=Signal(raw=True)))

    def note(self, tensor: Tensor) -> Note:
        """Return what a tensor was computed from."""
        held = self._notes.get(_key(tensor))
        return Note() if held is None else held[1]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        name = func._schema.name
        given = [each for each in tree_leaves((args, named)) if isinstance(each, Tensor)]
        notes = {id(each): self._now(each) for each in given}
        shown = None if name in _SHAPES else self._probe(func, args, named, notes)
        out = func(*args, **named)
        if name in _SHAPES:
            return out
        made = [self._joined(list(notes.values()), shown)] * len(tree_leaves(out))
        for use in uses(func, args, len(made)):
            made = self._applied(use, made)
        for at, (each, note) in enumerate(zip(tree_leaves(out), made, strict=True)):
            if isinstance(each, Tensor) and at not in _CONSTANTS.get(name, ()):
                self._write(each, note)
        return out

    def _now(self, tensor: Tensor) -> Note:
        """Return the note of what an operation reads: the samples are there all the time."""
        note = self.note(tensor)
        return replace(note, made=self.clock) if _key(tensor) == _key(self.samples) else note

    def _write(self, tensor: Tensor, note: Note) -> None:
        if note != Note(made=note.made) or _key(tensor) in self._notes:
            self._notes[_key(tensor)] = (tensor.untyped_storage(), note)

    def _joined(self, notes: list[Note], shown: Shown | None) -> Note:
        """Return the note of what is computed from tensors with these notes."""
        bends, scales = (False, False) if shown is None else shown
        sample = any(note.sample for note in notes)
        signals = [note.signal for note in notes if note.signal is not None]
        if not signals:
            weights: frozenset[str] = frozenset().union(*(note.weights for note in notes))
            return Note(sample, None, frozenset() if sample else weights, self.clock)
        errors = [each for each in signals if not each.raw]
        states = [note for note in notes if note.sample and not note.is_error]
        ages = [self.clock - note.made for note in states] if errors else []
        signal = Signal(
            raw=not errors and not sample,
            linear=all(each.linear for each in errors) and not bends,
            crossings=max((each.crossings for each in errors), default=0),
            over=frozenset().union(*(each.over for each in errors)),
            scaled=any(e.scaled or (scales and e.crossings and e.linear) for e in errors),
            sent_scaled=any(each.sent_scaled for each in errors),
            age=max([*ages, *(each.age for each in errors)], default=0),
        )
        return Note(sample, signal, made=self.clock)

    def _applied(self, use: Use, made: list[Note]) -> list[Note]:
        """Return the notes of an operation's results, given the weights that it applies."""
        known, moved = self.note(use.weight), [self.note(each) for each in use.moved]
        error = any(note.is_error for note in moved)
        names = known.weights
        if error and known == Note(made=known.made):
            # A matrix that is no parameter, such as a buffer.
            names = frozenset({UNNAMED})
        if not names or known.sample or not any(note.sample or note.signal for note in moved):
            return made
        of_model = any(name.startswith("model.") for name in names)
        if use.forward and (of_model or not error):
            self.clock += max(use.times)
            for name in {n for n in names if _same(use.weight, self._weights[n])} or names:
                self.runs[name] = self.runs.get(name, 0) + max(use.times)
            if not any(note.signal and not note.signal.raw for note in moved):
                return [replace(note, made=self.clock) for note in made]
            ahead = frozenset((name, AHEAD) for name in names)
            return [
                replace(
                    note,
                    made=self.clock,
                    signal=note.signal and replace(note.signal, over=note.signal.over | ahead),
                )
                for note in made
            ]
        same = {n for n in names if n in self.runs and _same(use.weight, self._weights[n])}
        over = {(name, SAME if name in same else BACK) for name in names}
        return [
            replace(note, signal=note.signal and note.signal.back(n, over, scales=use.scales))
            for note, n in zip(made, use.times, strict=True)
        ]

    def _probe(self, func: Any, args: Any, named: Any, notes: Mapping[int, Note]) -> Shown | None:
        """Repeat an operation with multiples of what carries the labels, and without states."""
        if not any(note.signal and not note.signal.raw for note in notes.values()):
            return None
        if torch.Tag.nondeterministic_seeded in func.tags or func.is_view:
            return None

        def at(multiple: float, of_states: float = 1.0) -> list[Tensor]:
            def moved(value: Any) -> Any:
                if not isinstance(value, Tensor):
                    return value
                note = notes[id(value)]
                if not value.is_floating_point():
                    return value.clone()
                if note.signal is not None and not note.signal.raw:
                    return value.clone() * multiple
                return value.clone() * of_states if note.sample else value.clone()

            found = func(*tree_map(moved, args), **tree_map(moved, named))
            return [each for each in tree_leaves(found) if isinstance(each, Tensor)]

        bends = scales = False
        has_states = any(note.sample and note.signal is None for note in notes.values())
        points = [at(multiple) for multiple in _MULTIPLES]
        points += [at(0, 0), at(1, 0)] if has_states else [points[1], points[2]]
        for values in zip(*points, strict=True):
            if not values[0].is_floating_point():
                return Shown(bends=True, scales=True)
            below, zero, one, two, still, alone = (each.double() for each in values)
            bends |= _differ(two - one, one - zero) or _differ(one - zero, zero - below)
            scales |= _differ(one - zero, alone - still)
        return Shown(bends, scales)


class Shown(NamedTuple):
    """What repetitions of an operation show: whether the result bends as the labels' part grows,
    and whether activities change how it grows.
    """

    bends: bool
    scales: bool


def _differ(one: Tensor, other: Tensor) -> bool:
    """Return whether tensors differ beyond the rounding of float32; NaN differs."""
    if not one.numel():
        return False
    scale = float(torch.maximum(one.abs(), other.abs()).max())
    return not float((one - other).abs().max()) <= 1e-3 * scale


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


class Use(NamedTuple):
    """Weights that an operation applies.

    Attributes:
        weight: The weights.
        moved: What they are multiplied by.
        forward: Whether from their inputs to their outputs.
        times: How often each result of the operation went through them.
        scales: Whether activities, or their derivatives, scale what goes through.
    """

    weight: Tensor
    moved: list[Tensor]
    forward: bool
    times: list[int]
    scales: bool = False


def uses(func: Any, args: Any, results: int) -> Iterator[Use]:
    """Yield the weights that an operation applies."""
    name, once = func._schema.name, [1] * results
    if name in _PRODUCTS:
        first, second = (args[at] for at in _PRODUCTS[name])
        # An nn.Linear stores its weight as [out, in]: forward sums over its last dimension.
        yield Use(second, [first], second.dim() > 1 and second.stride(-2) == 1, once)
        yield Use(first, [second], first.stride(-1) == 1, once)
    elif name == "sparsebrain::propagate":
        weight, x, _, transpose, _ = args
        yield Use(weight, [x], not transpose, once)
    elif name == "sparsebrain::loop":
        weight, *given = args[:3]
        yield Use(weight, [each for each in given if each is not None], True, [args[6]] * results)
    elif name == "sparsebrain::loop_backward":
        # The gradients of the weights and of the inputs, of which only the state's went over all.
        grads, needs_weight = args[6], args[9]
        times = [len(grads) - 1] * results
        times[int(needs_weight)] += 1
        moved = [each for each in grads if each is not None]
        yield Use(args[0], moved, False, times, scales=args[8] != "none")


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same values, transposed or not."""
    if one.shape != other.shape:
        one = one.t() if one.dim() == 2 else one
    return one.shape == other.shape and bool(torch.equal(one.detach(), other.detach()))
