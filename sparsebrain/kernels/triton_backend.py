"""The ``triton`` backend: kernels for GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.coloring import Colors
from sparsebrain.kernels.counter import keys_of_steps, signed
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.triton_launch import launch, load, obstacle_on_gpu
from sparsebrain.kernels.triton_matrix import Matrix
from sparsebrain.kernels.triton_steps import BackwardPass, correlate, run, step

_MOST_KEYS = 4096
"""How many sweeps of Gibbs sampling have their keys in memory."""


class TritonBackend(Backend):
    """Triton's kernels for CUDA: product, bias, drive, activation and leak in one pass over memory.

    In the backward pass W^T g, the derivative, the leak and the sums for drive, bias and leak are
    one kernel per loop; the gradient of the weights is one kernel for all loops, as long as their
    gradients fit into 256 MiB. If a graph is so small that launching a kernel takes longer than a
    loop, one kernel runs all loops. With ``form="voltage"``, f and all of the backward pass but its
    products are PyTorch's operations. Weights are brought into the order of the rows once per call.

    Each row and block of columns is one program. Rows of more than 2048 synapses are first cut into
    segments of 1024, which are programs of their own; the correlation distributes hubs likewise.
    Results are reproducible bit by bit.

    Triton compiles a kernel when it is first used, which takes a second, and caches it on disk.

    Tests run the kernels without a GPU, slowly, in Triton's interpreter: with
    ``TRITON_INTERPRET=1`` in the environment before triton is imported, the backend runs on a CPU,
    and not on CUDA. ``auto`` never chooses the interpreter. ``python -m benchmarks.gpu`` tests and
    measures the kernels on a GPU.
    """

    name = "triton"
    tape_suffices = True

    def obstacle(self, device: torch.device) -> str | None:
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"
        if device.type == "cpu" and interpreted:
            return load()[1]
        if device.type != "cuda":
            return f"triton's kernels run on 'cuda', not on {device.type!r}"
        if interpreted:
            return "TRITON_INTERPRET=1 runs triton's kernels in an interpreter on the 'cpu'"
        if not torch.cuda.is_available():
            return "torch finds no GPU"
        return load()[1] or obstacle_on_gpu(device.index)

    def suits(self, device: torch.device) -> bool:
        return device.type == "cuda" and super().suits(device)

    def fuses(self, activation: str) -> bool:
        return ACTIVATIONS[activation].number is not None

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        matrix = Matrix.of(structure, weight, transpose=transpose)

        def apply(x: Tensor) -> Tensor:
            x = x.contiguous()
            return step(torch.empty_like(x), matrix, LoopInputs(x, None, None, None), "none")

        return apply

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        out = post.new_empty(structure.num_edges)
        post, pre = (each.contiguous().unsqueeze(0) for each in (post, pre))
        correlate(structure, post, pre, out, add=False)
        return structure.by_target.restore(out)

    def tape_shapes(
        self, neurons: int, batch: int, *, loops: int, keep: bool
    ) -> list[tuple[int, ...]]:
        return [(loops + 1, neurons, batch)]

    def loop(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        *,
        loops: int,
        activation: str,
        keep: bool,
        learns: bool,
        form: str = "rate",
        narrow: bool = False,
        noise: CounterNoise | None = None,
        out: Sequence[Tensor] = (),
    ) -> Looped:
        matrix = Matrix.of(structure, weight, transpose=False)
        inputs = inputs.map(Tensor.contiguous)
        state = inputs.state
        keys = None if noise is None else noise.keys_of_loops(loops)
        drawn = (keys, 0.0 if noise is None else noise.std)
        kept = loops + 1 if keep or learns else 2
        states = state.new_empty(kept, *state.shape)
        states[0].copy_(state)
        if form == "rate" and loops > 1 and matrix.is_small(state.size(1)):
            run(states, matrix, inputs, activation, drawn, loops)
        else:
            for number in range(loops):
                before, after = states[number % kept], states[(number + 1) % kept]
                key = (None if keys is None else keys[number], drawn[1])
                here = inputs._replace(state=before)
                if form == "voltage":
                    sent = here._replace(state=ACTIVATIONS[activation].function(before))
                    step(after, matrix, sent, "none", key, before)
                else:
                    step(after, matrix, here, activation, key, before)
        made = states[1:] if keep else states[loops % kept].unsqueeze(0)
        for to, each in zip(out, made, strict=False):
            to.copy_(each)
        # Copies, because results must not share memory with the tape or with each other.
        returned = list(out) or [each.clone() for each in made]
        return Looped(returned, [states] if learns else [])

    def loop_backward(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        states: list[Tensor],
        grads: list[Tensor | None],
        *,
        activation: str,
        need_weight: bool,
        form: str = "rate",
        narrow: bool = False,
        noisy: bool = False,
    ) -> LoopGradients:
        (every,) = states
        if form == "voltage":
            return super().loop_backward(
                structure,
                weight,
                inputs,
                list(every),
                grads,
                activation=activation,
                need_weight=need_weight,
                form=form,
                noisy=noisy,
            )
        backward = BackwardPass(
            structure,
            weight,
            inputs.map(Tensor.contiguous),
            every,
            activation=activation,
            noisy=noisy,
            need_weight=need_weight,
        )
        return backward.run([None if grad is None else grad.contiguous() for grad in grads])

    def gibbs(
        self,
        structure: Structure,
        weight: Tensor,
        bias: Tensor,
        state: Tensor,
        colors: Colors,
        *,
        sweeps: int,
        seed: int,
        offset: int,
        clamped: Tensor | None,
    ) -> Tensor:
        matrix = Matrix.of(structure, weight, transpose=False)
        x = state.to(weight.dtype).contiguous()
        classes = colors.classes()
        if clamped is not None:
            classes = [members[~clamped[members]] for members in classes]
        tile = matrix.tile(x.size(1))
        key = torch.tensor(signed(seed), device=x.device)
        for first in range(0, sweeps, _MOST_KEYS):
            for sweep_key in keys_of_steps(key, offset + first, min(_MOST_KEYS, sweeps - first)):
                for members in classes:
                    launch(
                        "draw",
                        len(members) * tile.blocks(x.size(1)),
                        tile,
                        x.device,
                        member_neuron=members,
                        matrix=matrix.with_segments(x),
                        bias=bias.contiguous(),
                        noise_key=sweep_key,
                        x=x,
                        neurons=x.size(0),
                        members=len(members),
                        batch=x.size(1),
                    )
        return x.to(torch.uint8)
