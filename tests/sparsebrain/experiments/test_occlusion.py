import pytest
import torch

from sparsebrain.experiments.occlusion import Occluded, occlude


def test_a_square_of_each_image_is_hidden():
    """Each of 3 x 4 places alike: 12,000 images, 5 standard deviations, false alarm below 1e-5."""
    whole = 1 + torch.rand(12_000, 30, generator=torch.Generator().manual_seed(0))
    x, hidden = occlude(whole, (5, 6), 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(x, whole * ~hidden)
    places = hidden.reshape(-1, 5, 6)
    assert (places.any(2).sum(1) == 3).all()
    assert (places.any(1).sum(1) == 3).all()
    assert (hidden.sum(1) == 9).all()
    first = hidden.int().argmax(1)
    counts = first.bincount(minlength=30).reshape(5, 6)
    assert not counts[3:].any()
    assert not counts[:, 4:].any()
    spread = (12_000 / 12 * 11 / 12) ** 0.5
    assert (counts[:3, :4] - 1000).abs().max() < 5 * spread
    again = occlude(whole, (5, 6), 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again.hidden, hidden)


def test_the_share_that_is_hidden():
    whole = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 5.0]])
    hidden = torch.tensor([[True, False, False, True], [True, True, False, False]])
    pixels = torch.tensor([True, True, False, True])
    share = Occluded(whole * ~hidden, hidden).share(whole, pixels)
    assert share.tolist() == pytest.approx([5 / 7, 0])
    none = Occluded(whole, hidden).share(whole, torch.tensor([False, False, True, False]))
    assert none.tolist() == [0, 0]


def test_what_cannot_be_hidden_is_refused():
    with pytest.raises(ValueError, match=r"x must have shape \[B, 12\] for images of 3x4"):
        occlude(torch.ones(2, 11), (3, 4), 2)
    with pytest.raises(ValueError, match="size must be at most 3, .* got 4; pass"):
        occlude(torch.ones(2, 12), (3, 4), 4)
    with pytest.raises(ValueError, match="size must be an integer >= 1"):
        occlude(torch.ones(2, 12), (3, 4), 0)
