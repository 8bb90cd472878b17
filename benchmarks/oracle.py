"""What must come out of a problem, in float64 and by none of the kernels that are measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from benchmarks.problem import Problem

_COLUMNS_AT_ONCE = 8
_SYNAPSES_AT_ONCE = 1 << 20

Matrix = NDArray[np.float64]


class Solution(NamedTuple):
    """The output [N, B] and the gradients of weight [E] and input [N, B]."""

    output: Tensor
    weight_grad: Tensor
    state_grad: Tensor


def solve(problem: Problem) -> Solution:
    """By products of SciPy and backpropagation written out, a few columns of the batch at a time.

    Memory is that of the states of those columns, so that a million neurons can be checked.
    """
    assert problem.connectome.edge_index is not None
    source, target = problem.connectome.edge_index.numpy()
    entries = (problem.weight.double().numpy(), (target, source))
    forth = csr_array(entries, shape=(problem.neurons, problem.neurons))
    back = forth.T.tocsr()
    weight_grad = np.zeros(problem.synapses)
    outputs: list[Matrix] = []
    state_grads: list[Matrix] = []
    for first in range(0, problem.batch, _COLUMNS_AT_ONCE):
        columns = slice(first, first + _COLUMNS_AT_ONCE)
        states = [problem.state[:, columns].double().numpy()]
        for _ in range(problem.loops):
            states.append(np.tanh(forth @ states[-1]))
        outputs.append(states[-1])
        grad = problem.grad[:, columns].double().numpy()
        for before, after in zip(states[-2::-1], states[:0:-1], strict=True):
            local = grad * (1 - after**2)
            _correlate(local, before, target, source, weight_grad)
            grad = back @ local
        state_grads.append(grad)
    output, state_grad = (torch.from_numpy(np.hstack(parts)) for parts in (outputs, state_grads))
    return Solution(output, torch.from_numpy(weight_grad), state_grad)


def _correlate(
    post: Matrix,
    pre: Matrix,
    target: NDArray[np.int64],
    source: NDArray[np.int64],
    total: Matrix,
) -> None:
    """Add to ``total`` [E] the products of both ends, summed over the columns."""
    for first in range(0, len(total), _SYNAPSES_AT_ONCE):
        here = slice(first, first + _SYNAPSES_AT_ONCE)
        total[here] += np.einsum("eb,eb->e", post[target[here]], pre[source[here]])
