"""Rules in several processes, which train on their own samples and take the same step."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

_FAILED = -1


class Averaging:
    """The processes over which a rule averages. They are not copied with the rule."""

    def __init__(self, *, alone: bool = False) -> None:
        #: Whether each process was explicitly set to train a model of its own.
        self.alone = alone
        #: Whether that call came before initialization, when group.WORLD is also None.
        self.told_early = False
        self.group: distributed.ProcessGroup | None = None
        self._running = False

    def __reduce__(self) -> tuple[type[Averaging], tuple[()], dict[str, bool]]:
        # A group belongs to its process. Without one, a copy refuses to run in several processes.
        return Averaging, (), {"alone": self.alone, "told_early": self.told_early}

    def start(self, rule: nn.Module, group: distributed.ProcessGroup | None) -> None:
        """Send the parameters and buffers of the first process of a group to all others."""
        if group is None:
            self.alone, self.group = True, None
            self.told_early = not _is_initialized()
            return
        _check_group(group)
        _check_alike(rule, group)
        first = distributed.get_global_rank(group, 0)
        for tensor in (*rule.parameters(), *rule.buffers()):
            sent = tensor.detach().clone(memory_format=torch.contiguous_format)
            distributed.broadcast(sent, first, group)
            tensor.detach().copy_(sent)
        self.alone, self.told_early, self.group = False, False, group

    @contextmanager
    def together(self, rule: nn.Module, samples: int, reduction: str) -> Iterator[list[Tensor]]:
        """Average what the block adds to gradients, over the samples of all processes.

        Floating-point buffers that the block changes, and tensors appended to the yielded list, are
        averaged as well. A block inside another one leaves the averaging to the outer one.

        Raises:
            RuntimeError: The processes are unknown, one of them failed, or their rules have become
                different.
        """
        told: list[Tensor] = []
        if not self.is_needed(rule):
            yield told
            return
        assert self.group is not None
        self._running, failure = True, None
        state = _State(rule)
        try:
            yield told
            state.check()
        except Exception as error:
            # The other processes wait for this one, so inform them before it fails.
            failure = error
        finally:
            self._running = False
        try:
            state.average(self.group, _FAILED if failure else samples, reduction, told)
        except Exception as error:
            state.give_back()
            raise (failure or error) from None
        state.add_up()

    def is_needed(self, rule: nn.Module) -> bool:
        """Return whether to average over processes here, outside of a block that already does."""
        if self._running:
            return False
        if not _is_initialized():
            return False
        name = type(rule).__name__
        if getattr(DistributedDataParallel, "_active_ddp_module", None) is not None:
            raise RuntimeError(
                f"{name} is called inside DistributedDataParallel, which averages gradients of a "
                "later backward() alone, while a rule fills them when it is called; do not wrap "
                "it, call rule.average_over(torch.distributed.group.WORLD) in every process."
            )
        if self.group is not None:
            return distributed.get_world_size(self.group) > 1
        size = distributed.get_world_size()
        if size == 1:
            return False
        if self.alone and not self.told_early:
            return False
        if self.alone:
            raise RuntimeError(
                f"{name}.average_over(None) was called before torch.distributed was initialized, "
                "when group.WORLD is None too; call init_process_group first, and then "
                "rule.average_over(torch.distributed.group.WORLD), or None if each process trains "
                "its own model."
            )
        raise RuntimeError(
            f"torch.distributed runs {size} processes, and {name} cannot decide whether they train "
            "one model; call rule.average_over(torch.distributed.group.WORLD) in each if they do, "
            "or rule.average_over(None) if each trains its own."
        )


def _is_initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()


class _State:
    """The gradients and buffers before a step, and the changes made by the step."""

    def __init__(self, rule: nn.Module) -> None:
        self.parameters = list(rule.parameters())
        self.kept = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            # Existing gradients come from other steps and are not averaged again.
            parameter.grad = None
        self.buffers = [buffer for buffer in rule.buffers() if buffer.is_floating_point()]
        # Compare values, because batch normalization does not count versions of its buffers.
        self.values = [buffer.clone() for buffer in self.buffers]

    def check(self) -> None:
        for parameter in self.parameters:
            if parameter.grad is not None and parameter.grad.layout != torch.strided:
                raise TypeError(
                    f"gradients over several processes must be dense, got {parameter.grad.layout}; "
                    "make the model without sparse=True."
                )

    def average(
        self,
        group: distributed.ProcessGroup,
        samples: int,
        reduction: str,
        told: list[Tensor],
    ) -> None:
        filled = [parameter.grad is not None for parameter in self.parameters]
        filled += [not torch.equal(*pair) for pair in zip(self.buffers, self.values, strict=True)]
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        own = torch.tensor([samples, len(filled), zlib.crc32(bytes(filled))], device=device)
        every = [torch.empty_like(own) for _ in range(distributed.get_world_size(group))]
        distributed.all_gather(every, own, group)
        counts, sizes, sums = torch.stack(every).t().tolist()
        if _FAILED in counts:
            raise RuntimeError(
                f"the step failed in process {counts.index(_FAILED)} of the group and is taken in "
                "none; see the error of that process."
            )
        if len(set(sizes)) > 1:
            raise RuntimeError(
                "the parameters or buffers of the rule have changed in some processes since "
                "rule.average_over(group); make the same change in all, and call it again."
            )
        if len(set(sums)) > 1:
            # A parameter that a process did not use has no gradient there, which counts as zero.
            flags = torch.tensor(filled, dtype=torch.uint8, device=device)
            distributed.all_reduce(flags, distributed.ReduceOp.MAX, group)
            filled = flags.bool().tolist()
        whole = sum(counts)
        share = samples / whole if whole else 1 / len(counts)
        grads = []
        for parameter, fill in zip(self.parameters, filled, strict=False):
            if fill and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.grad is not None:
                grads.append(parameter.grad)
        changed = filled[len(self.parameters) :]
        others = [b for b, fill in zip(self.buffers, changed, strict=True) if fill] + told
        if not samples:
            # The mean of no samples has weight zero, and may be NaN.
            for each in grads + others:
                each.zero_()
        _sum_up(grads, 1.0 if reduction == "sum" else share, group)
        _sum_up(others, share, group)

    def give_back(self) -> None:
        for parameter, kept in zip(self.parameters, self.kept, strict=True):
            parameter.grad = kept

    def add_up(self) -> None:
        for parameter, kept in zip(self.parameters, self.kept, strict=True):
            if kept is not None:
                if parameter.grad is not None:
                    kept.add_(parameter.grad)
                parameter.grad = kept


@torch.no_grad()
def _sum_up(tensors: list[Tensor], factor: float, group: distributed.ProcessGroup) -> None:
    """Multiply each tensor by the factor and sum it over processes, in place."""
    alike: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        alike.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    for members in alike.values():
        flat = torch.cat([each.reshape(-1) for each in members]).mul_(factor)
        distributed.all_reduce(flat, group=group)
        parts = flat.split([each.numel() for each in members])
        for each, part in zip(members, parts, strict=True):
            each.copy_(part.view_as(each))


def _check_group(group: object) -> None:
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "there are no processes to average over; call torch.distributed.init_process_group "
            "first, or pass None for a process by itself."
        )
    if not isinstance(group, distributed.ProcessGroup):
        raise TypeError(
            "group must be a process group that this process is in, got "
            f"{type(group).__name__}; pass torch.distributed.group.WORLD, or None for a process by "
            "itself."
        )


def _check_alike(rule: nn.Module, group: distributed.ProcessGroup) -> None:
    """Raise ValueError in all processes unless parameters and synapses of their rules agree."""
    own = {"the rule": type(rule).__name__}
    for name, value in rule.state_dict().items():
        own[name] = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else "other"
        if name.endswith("_extra_state"):
            # Weights belong to synapses by position.
            own[name] = str(value.tolist() if isinstance(value, Tensor) else value)
    for name, parameter in rule.named_parameters():
        own[name] = f"{own.get(name)}, learns: {parameter.requires_grad}"
        if hasattr(parameter, "device_mesh"):
            own[name] = "sharded"
    every: list[dict[str, str] | None] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(every, own, group)
    for number, other in enumerate(every):
        differ = [name for name in own | (other or {}) if (other or {}).get(name) != own.get(name)]
        if differ:
            raise ValueError(
                f"the rule is not the same in process {number} of the group as in this one: "
                f"{', '.join(differ[:3])} differ; make it of the same connectome and options in "
                "every process, with the same seed where a topology is drawn."
            )
    if "sharded" in own.values():
        raise ValueError(
            "the parameters are sharded over processes, and a rule needs them whole; call "
            "average_over on a model that is not sharded."
        )
