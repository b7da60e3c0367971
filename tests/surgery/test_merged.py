"""A context block that reads the input of the convolution before its site: when it does, and when it is called."""

from functools import partial

import pytest
import torch
from fused_nets import SmallResNet, gap, images, trained
from torch import nn

import wholeframe as wf
from wholeframe.parts import AttentionContext, Bottleneck, MaxContext
from wholeframe.surgery.merged import Merged

TWO_HEADS = partial(AttentionContext, heads=2)
READS_INPUT = {
    "gc": wf.GlobalContext,
    "gc without norm": partial(wf.GlobalContext, norm=None, fusion="multiply"),
    "gc both": partial(wf.GlobalContext, fusion="multiply_add"),
    "scaled": partial(
        wf.ContextBlock, context=partial(AttentionContext, scale="sqrt_dim", bias=False), transform=Bottleneck
    ),
    "se": partial(wf.SqueezeExcite, activation="silu", bias=False),
    "snl": wf.SimplifiedNonLocal,
    "ese": wf.EffectiveSqueezeExcite,
    "eca": wf.EfficientChannelAttention,
}
READS_OUTPUT = {
    "maximum": partial(wf.ContextBlock, context=MaxContext, transform=Bottleneck),
    "heads": partial(wf.ContextBlock, context=TWO_HEADS, transform=Bottleneck),
    "gsop": partial(wf.GSoPChannel, inner=8),
    "non-local": wf.NonLocal,
}


def fused_with(block, at="layer[12].*.bn3", network=None):
    network = SmallResNet() if network is None else network
    wf.insert(network, block, at=at, example=images().float())
    return trained(network), wf.fuse(network, images())


def sites(network):
    return [name for name, module in network.named_modules() if isinstance(module, Merged)]


class Called(Exception):
    pass


@pytest.fixture
def refuse_calls(monkeypatch):
    def refuse(*_args, **_options):
        raise Called

    return lambda: monkeypatch.setattr(wf.ContextBlock, "forward", refuse)


@pytest.mark.slow_beyond(6)
@pytest.mark.parametrize("name", READS_INPUT)
@pytest.mark.parametrize(("batch", "side"), [(1, 16), (1, 4), (3, 16)])  # 4: fewer positions than channels
def test_the_block_reads_the_input_of_its_convolution(name, batch, side, refuse_calls):
    network, fused = fused_with(READS_INPUT[name])
    assert sites(fused) == ["layer1.0.bn3", "layer2.0.bn3"]
    x = images(batch, side)
    assert gap(network, fused, x) < 1e-13
    refuse_calls()
    with torch.no_grad():
        fused(x)
    with pytest.raises(Called):
        network(x)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", READS_OUTPUT)
def test_other_summaries_are_not_linear_and_are_called(name):
    network, fused = fused_with(READS_OUTPUT[name])
    assert not sites(fused)
    assert gap(network, fused, images()) < 1e-13


def wider():
    network = SmallResNet()
    network.layer1[0].conv1, network.layer1[0].bn1 = nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32)
    network.layer1[0].conv2, network.layer1[0].bn2 = nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32)
    network.layer1[0].conv3 = nn.Conv2d(32, 16, 1)
    return network


def three_by_three():
    network = SmallResNet()
    network.layer1[0].conv3 = nn.Conv2d(4, 16, 3, padding=1)
    return network


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("make", [wider, three_by_three])
def test_other_convolutions_are_folded_and_their_block_is_called(make):
    network, fused = fused_with(wf.GlobalContext, network=make())
    assert sites(fused) == ["layer2.0.bn3"]
    assert gap(network, fused, images()) < 1e-13


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    "disturb",
    [
        lambda site: site.wholeframe.register_forward_hook(lambda *_: None),
        lambda site: site.wholeframe.context.logits.register_forward_pre_hook(lambda *_: None),
        lambda site: site.site.register_forward_hook(lambda *_: None),
        lambda site: setattr(
            site.wholeframe.add, "forward", type(site.wholeframe.add).forward.__get__(site.wholeframe.add)
        ),
        lambda site: nn.utils.parametrizations.weight_norm(site.wholeframe.add.reduce),
        lambda site: site.site.requires_grad_(),
    ],
)
def test_a_block_that_is_observed_or_changed_is_called(disturb, refuse_calls):
    network, fused = fused_with(wf.GlobalContext)
    disturb(fused.layer1[0].bn3)
    assert gap(network, fused, images()) < 1e-13
    refuse_calls()
    with pytest.raises(Called), torch.no_grad():
        fused(images())


def test_a_gradient_of_the_input_is_that_of_the_network():
    network, fused = fused_with(wf.GlobalContext)
    gradients = []
    for net in (network, fused):
        x = images().requires_grad_()
        net(x)[:, 0].sum().backward()
        gradients.append(x.grad)
    assert torch.allclose(*gradients, rtol=1e-10, atol=1e-12)


def test_half_precision_is_called():
    _, fused = fused_with(wf.GlobalContext)
    half = fused.bfloat16()
    assert half(images().bfloat16()).isfinite().all()


@pytest.mark.slow
def test_removing_the_block_leaves_the_convolution():
    network, fused = fused_with(wf.GlobalContext)
    wf.remove(fused)
    wf.remove(network)
    assert gap(network, fused, images()) < 1e-13
