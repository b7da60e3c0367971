"""GSoP and fast-MPN-COV beyond the goldens: networks without attention, the head of GSoP-Net2, defaults, refusals."""

import pytest
import torch
import torchvision
from torch import nn

from wholeframe import convert
from wholeframe.blocks import GSoP, GSoPChannel, GSoPPosition


def test_a_bottleneck_without_attention_is_that_of_torchvision():
    downsample = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    theirs = torchvision.models.resnet.Bottleneck(8, 4, stride=2, downsample=downsample)
    other = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    arguments = {"inplanes": 8, "planes": 4, "stride": 2, "downsample": other}
    ours = convert.block("gsop.Bottleneck0", arguments, theirs.state_dict())
    x = torch.randn(2, 8, 6, 5)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(("attention", "kind"), [("1", GSoPChannel), ("2", GSoPPosition), ("+", GSoP), ("M", GSoP)])
def test_the_defaults_are_those_of_the_reference(attention, kind):
    for planes, stride in ((64, 2), (128, 1)):
        with torch.device("meta"):
            residual = convert.block(f"gsop.Bottleneck{attention}", {"inplanes": 4 * planes, "planes": planes})
        block = residual.bn3[1]
        assert type(block) is kind
        channel = {"1": block, "2": None}.get(attention, getattr(block, "channel", None))
        position = {"1": None, "2": block}.get(attention, getattr(block, "position", None))
        assert channel is None or (channel.context.inner, channel.stride) == (128, stride)
        assert position is None or (position.inner, position.size, position.stride) == (128, (8, 8), 1)


@pytest.mark.parametrize("reference", ["chan_att", "pos_att"])
def test_without_a_state_a_gate_starts_as_in_the_reference(reference):
    """At random around one half, with He initialisation, so it is not an identity."""
    torch.manual_seed(0)
    block, x = convert.block(f"gsop.Bottleneck.{reference}", {"planes": 16, "att_dim": 8}), torch.randn(2, 64, 6, 5)
    assert not block.identity_at_init
    assert not torch.equal(block(x), x)
    assert (block.gates(x).mean() - 0.5).abs() < 0.2


def test_the_development_file_differs_in_named_arguments():
    with torch.device("meta"):
        channel, position = (
            convert.block(f"gsop.development.Bottleneck.{name}", {"planes": 64}) for name in ("chan_att", "spat_att")
        )
    assert (channel.stride, channel.context.reduce.act, channel.multiply.act) == (2, None, "leaky_relu")
    assert (position.stride, position.centring, position.transform.act) == (2, "development", "leaky_relu")
    assert position.transform.row_conv.out_channels == 6 * 64


def test_the_head_of_gsop_net_2():
    state = {
        "layer_reduce.weight": torch.randn(6, 16, 1, 1),
        **{f"layer_reduce_bn.{name}": torch.rand(6) for name in ("weight", "bias", "running_mean", "running_var")},
        "layer_reduce_bn.num_batches_tracked": torch.tensor(3),
    }
    head = convert.block("gsop.ResNet.layer_reduce", {"inplanes": 16, "isqrt_dim": 6}, state)
    assert (head.steps, head.triangle, head.out_features) == (3, "lower", 21)
    assert torch.equal(head.reduce.linear.weight, state["layer_reduce.weight"][:, :, 0, 0])
    assert torch.equal(head.reduce.norm.running_var, state["layer_reduce_bn.running_var"])


def test_the_default_head_of_fast_mpn_cov():
    head = convert.block("mpncov.MPNCOV", {"dimension_reduction": 256})
    assert (head.steps, head.triangle, head.out_features) == (3, "upper", 32_896)


@pytest.mark.parametrize(
    ("reference", "constructor", "message"),
    [
        ("gsop.Bottleneck", {"inplanes": 16, "planes": 4}, "there is no reference 'gsop.Bottleneck'; the nearest are"),
        ("gsop.Bottleneck1", {"inplanes": 16}, "gsop.Bottleneck1 needs 'planes', which was not given"),
        (
            "gsop.Bottleneck&",
            {"inplanes": 16, "planes": 4},
            "takes channels / 64 groups by default, which does not divide channels=16",
        ),
        ("mpncov.MPNCOV", {"is_sqrt": False}, "is_sqrt=False with is_vec=True has no counterpart here; without the"),
    ],
)
def test_refusals(reference, constructor, message):
    with pytest.raises(ValueError, match=message):
        convert.block(reference, constructor)


def test_a_state_of_another_attention_is_refused():
    state = convert.block("gsop.Bottleneck0", {"inplanes": 16, "planes": 4}).state_dict()
    theirs = {f"conv_for_DR_spatial.{key}": tensor for key, tensor in nn.Conv2d(16, 128, 1).state_dict().items()}
    with pytest.raises(
        ValueError, match=r"the state has 'conv_for_DR_spatial\.weight', but this reference's names start"
    ):
        convert.block("gsop.Bottleneck1", {"inplanes": 16, "planes": 4}, {**state, **theirs})
