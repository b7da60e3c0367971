"""Networks of torchvision with SqueezeExcitation are found by their tensors and compute the same."""

import pytest
import torch
import torchvision
from image_layouts import randomised, saved

import wholeframe as wf
from wholeframe.convert.networks import torchvision as torchvision_source
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.rebuild import rebuild

IMAGE = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("network", ["mobilenet_v3_small", pytest.param("regnet_y_400mf", marks=pytest.mark.slow)])
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


def test_a_regnet_is_found_by_its_gates_and_its_last_map():
    """Without values: torchvision's RegNet cannot be built on the meta device, and is moved there."""
    gates = {f"trunk_output.block{n}.f.se.fc1.weight": torch.Size([8, 48, 1, 1]) for n in range(16)}
    last = {"trunk_output.block4.block4-0.f.c.0.weight": torch.Size([440, 440, 1, 1])}
    shapes = {**gates, **last, "fc.weight": torch.Size([5, 440])}
    with torch.device("meta"):
        plan = torchvision_source.plan(shapes)
        network = rebuild(plan.origin)
    assert (plan.origin.name, plan.origin.arguments) == ("regnet_y_400mf", {"num_classes": 5})
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    with pytest.raises(
        ValueError, match="no network of torchvision has 0 gates and 440 channels in its last map; give"
    ):
        torchvision_source.plan(last)


@pytest.mark.slow
def test_the_table_has_the_networks_of_torchvision():
    """Without the larger RegNets, which take gigabytes on the CPU."""
    models = torchvision.models.list_models()
    small = [name for name in models if name.startswith(("mobilenet_v3", "efficientnet"))]
    assert set(torchvision_source.NETWORKS.values()) == {*small, *(n for n in models if n.startswith("regnet_y_"))}
    for name in [*small, "regnet_y_400mf", "regnet_y_800mf", "regnet_y_1_6gf", "regnet_y_3_2gf"]:
        with torch.device("meta"):
            network = rebuild(Origin("torchvision", name, {"num_classes": 3}))
            shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
            assert torchvision_source.plan(shapes).origin.name == name


def test_an_unknown_network_is_refused(tmp_path):
    path = saved(tmp_path, {"features.4.block.2.fc1.weight": torch.zeros(1, 1, 1, 1)})
    with pytest.raises(
        ValueError, match="torchvision has no network 'mobilenet_v4' with SqueezeExcitation; the nearest"
    ):
        wf.convert.checkpoint(path, network="mobilenet_v4")
