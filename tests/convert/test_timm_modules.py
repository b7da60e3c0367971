"""The bottleneck of timm's byobnet with our block inside, and the blocks of modules that timm has built."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from image_layouts import randomised
from timm.layers import get_attn
from timm.models import byobnet
from torch import nn

from wholeframe import convert
from wholeframe.blocks import (
    BAT,
    ContextBlock,
    EfficientChannelAttention,
    GatherExcite,
    GlobalContext,
    NonLocal,
    SqueezeExcite,
)
from wholeframe.convert import timm_modules


@pytest.mark.slow_beyond(8)
@pytest.mark.parametrize(
    ("attention", "kind", "options"),
    [
        ("gca", GlobalContext, {}),
        ("gc", GlobalContext, {"rd_ratio": 0.25}),
        ("se", SqueezeExcite, {"rd_ratio": 0.5}),
        ("eca", EfficientChannelAttention, {}),
        ("nl", NonLocal, {}),
        ("ge", GatherExcite, {"use_mlp": False, "extent": 2}),
        ("ge", ContextBlock, {"use_mlp": False, "add_maxpool": True}),
        ("bat", BAT, {"block_size": 2, "drop_rate": 0.0}),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_bottleneck_of_byobnet(attention, kind, options, last):
    torch.manual_seed(0)
    layers = replace(byobnet.LayerFn(), attn=partial(get_attn(attention), **options))
    arguments = {"in_chs": 16, "out_chs": 32, "stride": 2, "bottle_ratio": 0.5, "attn_last": last}
    theirs = randomised(byobnet.BottleneckBlock(**arguments, layers=layers))
    state = theirs.state_dict()
    ours = convert.block("timm.BottleneckBlock", {**arguments, "layers": layers}, state).eval()
    assert type(ours.attn_last if last else ours.attn) is kind
    x = torch.randn(2, 16, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    named = {"attn_layer": attention, "attn_kwargs": options}
    torch.testing.assert_close(
        convert.block("timm.BottleneckBlock", {**arguments, **named}, state).eval()(x), theirs(x)
    )


def test_the_activation_of_a_configuration():
    block = convert.block("timm.BottleneckBlock", {"in_chs": 8, "out_chs": 8, "act_layer": "silu", "attn_layer": "se"})
    assert isinstance(block.act, nn.SiLU) and isinstance(block.conv1_1x1.bn.act, nn.SiLU)
    assert isinstance(block.attn, SqueezeExcite)


def test_attention_without_a_counterpart_is_refused():
    with pytest.raises(ValueError, match="timm's CoordAttn has no counterpart here"):
        convert.block("timm.BottleneckBlock", {"in_chs": 16, "out_chs": 16, "attn_layer": "coord"})


def test_a_module_without_a_counterpart_says_why():
    module = get_attn("se")(16, act_layer=nn.GELU)
    with pytest.raises(ValueError, match="act_layer='GELU' has no counterpart here"):
        timm_modules.converters({})[type(module)](module)
    module = get_attn("se")(16, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))
    with pytest.raises(ValueError, match="has no counterpart here, where the norm has eps=1e-5"):
        timm_modules.converters({})[type(module)](module)
    module = get_attn("bat")(16, act_layer=nn.SiLU)
    with pytest.raises(ValueError, match="BatNonLocalAttn has a counterpart here with ReLU and eps=1e-5 alone"):
        timm_modules.converters({})[type(module)](module)
