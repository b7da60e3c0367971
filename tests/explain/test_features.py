"""The input of the classifier, for every kind of network."""

import pytest
import torch
from torch import nn

from wholeframe.explain.features import classifier, features
from wholeframe.models.build import ModelConfig, build, create_backbone
from wholeframe.models.resnet_video import VideoResNet

IMAGE = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_of_a_linear_layer():
    network = create_backbone("torchvision/resnet18", 4).eval()
    with features(network) as seen, torch.no_grad():
        logits = network(IMAGE)
    assert seen[0].shape == (2, 512) and torch.allclose(network.fc(seen[0]), logits, atol=1e-6)
    network(IMAGE)
    assert len(seen) == 1, "and no longer"


def test_of_a_convolution_the_mean_over_positions():
    network = create_backbone("small", 4).eval()
    with features(network) as seen, torch.no_grad():
        logits = network(IMAGE)
    assert torch.allclose(network.head[2](seen[0][:, :, None, None])[..., 0, 0], logits, atol=1e-6)


def test_of_a_clip_in_windows_the_mean_over_places():
    network = VideoResNet.like("slowfast", "c2d", 18, 4).eval()
    clip = IMAGE[:, :, None].repeat(1, 1, 4, 1, 1)
    with features(network) as seen, torch.no_grad():
        network(clip)
        network.windows(clip, side=1)
    assert seen[0].shape == seen[1].shape == (2, 512) and torch.allclose(seen[0], seen[1], atol=1e-5)


def test_a_block_after_the_classifier_is_not_the_classifier():
    network = build(ModelConfig(backbone="small", block="gc", at=("head.2",), options={"ratio": 0.5}), 4, IMAGE)
    assert classifier(network) is network.head[2]


def test_a_network_without_a_classifier():
    with pytest.raises(ValueError, match="this Sequential has no linear layer or convolution to be its classifier"):
        classifier(nn.Sequential(nn.ReLU()))
