"""Networks of torchvision with SqueezeExcitation are found by their tensors and compute the same."""

import pytest
import torch
import torchvision
from image_layouts import randomised, saved

import wholeframe as wf
from wholeframe.models.origin import origin_of

IMAGE = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("network", ["mobilenet_v3_small", "regnet_y_400mf"])
def test_a_named_network(tmp_path, network):
    theirs = randomised(torchvision.models.get_model(network, num_classes=5))
    converted = wf.convert.checkpoint(saved(tmp_path, theirs.state_dict()), network=network)
    torch.testing.assert_close(converted.network(IMAGE), theirs(IMAGE))
    assert converted.source == "torchvision"
    gates = [n for n, m in theirs.named_modules() if isinstance(m, torchvision.ops.SqueezeExcitation)]
    assert list(converted.blocks) == gates
    assert set(converted.report.loaded.values()) == theirs.state_dict().keys()
    assert origin_of(converted.network).arguments == {"num_classes": 5}


@pytest.mark.slow
@pytest.mark.parametrize("network", ["mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s", "regnet_y_800mf"])
def test_a_network_is_found_by_its_tensors(tmp_path, network):
    theirs = randomised(torchvision.models.get_model(network, num_classes=5))
    converted = wf.convert.checkpoint(saved(tmp_path, theirs.state_dict()))
    torch.testing.assert_close(converted.network(IMAGE), theirs(IMAGE))
    assert origin_of(converted.network).name == network


def test_an_unknown_network_is_refused(tmp_path):
    path = saved(tmp_path, {"features.4.block.2.fc1.weight": torch.zeros(1, 1, 1, 1)})
    with pytest.raises(
        ValueError, match="torchvision has no network 'mobilenet_v4' with SqueezeExcitation; the nearest"
    ):
        wf.convert.checkpoint(path, network="mobilenet_v4")
