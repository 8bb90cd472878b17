"""Distortions keep the range of images, differ between them, and come from the generator."""

import torch

from sparsebrain.experiments.one_shot_study.backbone import turned
from sparsebrain.experiments.one_shot_study.distortions import distort


def test_distorted_images_are_images():
    images = torch.zeros(6, 28, 28)
    images[:, 8:20, 12:16] = 1
    first, again = (distort(images, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1
    # All copies differ, and none is empty.
    assert all(not torch.equal(first[0], each) for each in first[1:])
    assert first.amax((1, 2)).min() > 0.5


def test_turns_are_quarter_turns():
    images = torch.rand(4, 5, 5)
    expected = torch.stack([images[turns].rot90(turns, (0, 1)) for turns in range(4)])
    assert torch.equal(turned(images, torch.arange(4)), expected)
