"""Networks of moskomule/senet.pytorch: torchvision's with linear gates; of its CIFAR networks the blocks alone."""

from functools import partial

import pytest
import timm
import torch
import torchvision
from image_layouts import draw, gate_forward, hooked, prefixed, randomised, saved

import wholeframe as wf

IMAGE = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def with_gates(theirs, norm, biased=False):
    """The state of a network with a gate after each of these norms, and the network that runs them."""
    state, gates = theirs.state_dict(), {}
    for site, module in list(theirs.named_modules()):
        if site.startswith("layer") and site.endswith(f".{norm}"):
            width = module.num_features
            layers = [[draw(4, width)], [draw(width, 4)]]
            named = {f"fc.{n}.weight": layer[0] for n, layer in zip((0, 2), layers, strict=True)}
            if biased:
                layers[0].append(draw(4))
                layers[1].append(draw(width))
                named |= {f"fc.{n}.bias": layer[1] for n, layer in zip((0, 2), layers, strict=True)}
            state |= prefixed(f"{site.removesuffix(norm)}se.", named)
            gates[site] = partial(gate_forward, *layers)
    return state, hooked(theirs, gates), list(gates)


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(("kind", "norm"), [("resnet50", "bn3"), ("resnet18", "bn2")])
@pytest.mark.parametrize("biased", [False, True])
def test_a_gate_before_every_sum(tmp_path, kind, norm, biased):
    torch.manual_seed(0)
    theirs = randomised(timm.create_model(kind, layers=[1, 2, 1, 1], channels=[8, 8, 16, 16], num_classes=5))
    state, expected, sites = with_gates(theirs, norm, biased)
    converted = wf.convert.checkpoint(saved(tmp_path, prefixed("module.", state)))
    torch.testing.assert_close(converted.network(IMAGE), expected(IMAGE))
    assert converted.source == "senet"
    assert list(converted.blocks) == sites


def test_of_a_network_for_cifar_the_blocks_are_converted(tmp_path):
    torch.manual_seed(0)
    first, second = draw(4, 16), draw(16, 4)
    state = {f"layer{stage}.0.conv1.weight": torch.zeros(16, 16, 3, 3) for stage in (1, 2, 3)}
    state |= {"layer1.0.se.fc.0.weight": first, "layer1.0.se.fc.2.weight": second}
    converted = wf.convert.checkpoint(saved(tmp_path, state))
    assert converted.network is None
    x = torch.randn(2, 16, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(converted.blocks["layer1.0.se"](x), gate_forward([first], [second], x))
    assert {"its backbone has the stages [1, 2, 3]" in reason for reason in converted.report.left.values()} == {True}


@pytest.mark.slow
def test_se_resnet_50(tmp_path):
    torch.manual_seed(0)
    state, expected, sites = with_gates(randomised(torchvision.models.resnet50()), "bn3")
    converted = wf.convert.checkpoint(saved(tmp_path, state))
    torch.testing.assert_close(converted.network(IMAGE), expected(IMAGE))
    assert len(sites) == len(converted.blocks) == 16
