"""What the checks of tensor arguments take and refuse."""

import numpy as np
import pytest
import scipy.sparse
import torch

from graphs import tensors
from graphs.tensors import tensor

WANTED = r"^x must be a float32 or float64 tensor of shape \[\.\.\., 3\], got "


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((3,), (..., 3)),
        ((2, 4, 3), (..., 3)),
        ((2, 3), ("B", 3)),
        ((0, 3), ("B", 3)),
        ((), ()),
        ((7,), ("E",)),
        ((2, 3), None),
    ],
)
def test_what_fits_is_returned_itself(size, shape):
    x = torch.zeros(size)
    assert tensor("x", x, shape) is x


def test_parameters_views_and_other_dtypes():
    assert tensor("x", torch.nn.Parameter(torch.ones(3)), (3,)).requires_grad
    assert tensor("x", torch.ones(4, 3).t()[:, ::2], (3, "B")).shape == (3, 2)
    index = torch.zeros(2, 5, dtype=torch.int64)
    assert tensor("edge_index", index, (2, "E"), dtypes=tensors.INTEGERS) is index


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (None, r"None; pass a tensor, such as torch.zeros\(...\)$"),
        ("abc", "'abc' of type str; pass a tensor"),
        (True, r"True of type bool; pass torch.as_tensor\(x, dtype=torch.float32\)$"),
        ([1.0, 2.0, 3.0], r"list; pass torch.as_tensor\(x, dtype=torch.float32\)$"),
        ([[1.0], [2.0, 3.0]], "list; pass a tensor"),
        (np.ones(3), r"ndarray; pass torch.as_tensor\(x, dtype=torch.float32\)$"),
        (np.array(["a"]), "ndarray; pass a tensor"),
        (scipy.sparse.eye(3), "dia_matrix; pass a tensor"),
        (torch.Tensor, "the class Tensor; pass a tensor"),
        (torch.ones(3, 3).to_sparse(), r"the layout torch.sparse_coo; pass x.to_dense\(\)$"),
        (torch.ones(3, dtype=torch.int64), r"torch.int64; pass x.float\(\)$"),
        (torch.ones(3).half(), r"torch.float16; pass x.float\(\)$"),
        (torch.ones(3, dtype=torch.complex64), r"torch.complex64; pass x.real.float\(\)$"),
    ],
)
def test_wrong_types(x, got):
    with pytest.raises(TypeError, match=WANTED + got):
        tensor("x", x, (..., 3))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors():
    nested = torch.nested.nested_tensor([torch.ones(3), torch.ones(3)])
    with pytest.raises(TypeError, match=r"a nested tensor; pass torch.nested.to_padded_tensor\(x"):
        tensor("x", nested, (..., 3))


@pytest.mark.parametrize(
    ("size", "shape", "fix"),
    [
        ((), (..., 3), r"\[\.\.\., 3\], got \[\]; pass a tensor of that shape"),
        ((2, 4), (..., 3), r"\[\.\.\., 3\], got \[2, 4\]; pass a tensor of that shape"),
        ((3, 2), ("B", 3), r"\[B, 3\], got \[3, 2\]; pass x.t\(\)"),
        ((3, 1), (3,), r"\[3\], got \[3, 1\]; pass x.flatten\(\)"),
        ((3,), ("B", 3), r"\[B, 3\], got \[3\]; pass x.unsqueeze\(0\)"),
        ((3,), (3, "B"), r"\[3, B\], got \[3\]; pass x.unsqueeze\(-1\)"),
    ],
)
def test_wrong_shapes(size, shape, fix):
    with pytest.raises(ValueError, match=f"^x must be a float32 or float64 tensor of shape {fix}$"):
        tensor("x", torch.zeros(size), shape)


def test_a_call_may_know_a_better_remedy():
    with pytest.raises(ValueError, match=r"got \[2\]; call layer\(x, edge_index\)$"):
        tensor("x", torch.zeros(2), (3,), fix="call layer(x, edge_index)")


def test_wrong_devices():
    with pytest.raises(ValueError, match=r"got one on 'meta', .* such as torch.zeros\(\[3\]\)$"):
        tensor("x", torch.zeros(3, device="meta"), (3,))
    with pytest.raises(ValueError, match=r"^x must be on cuda:0, got cpu; call x.to\('cuda:0'\)$"):
        tensor("x", torch.zeros(3), (3,), device=torch.device("cuda:0"))


def test_the_first_dtype_is_the_remedy():
    with pytest.raises(TypeError, match=r"an int64 tensor, got torch.float32; pass y.long\(\)$"):
        tensor("y", torch.zeros(3), dtypes=(torch.int64,))
    with pytest.raises(TypeError, match=r"pass y.to\(torch.int32\)$"):
        tensor("y", torch.zeros(3), dtypes=(torch.int32,))
    with pytest.raises(TypeError, match=r"pass torch.as_tensor\(y, dtype=torch.int64\)$"):
        tensor("y", [1], dtypes=(torch.int64,))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(value):
    x = torch.zeros(2, 3)
    x[1, 2] = value
    assert tensor("x", x) is x
    with pytest.raises(ValueError, match=rf"^x must be finite, got {value} at position \[1, 2\]"):
        tensor("x", x, finite=True)


def test_it_is_traced_without_a_break():
    call = torch.compile(
        lambda x: tensor("x", x, (..., 3), finite=True) + 1, fullgraph=True, backend="eager"
    )
    torch.testing.assert_close(call(torch.ones(2, 3)), torch.full((2, 3), 2.0))
