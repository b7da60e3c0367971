"""The context framework: context x transform x fusion, and its named points."""

import copy
import runpy
from pathlib import Path

import pytest
import torch

from wholeframe.blocks import (
    AttentionContext,
    Bottleneck,
    ChannelConv,
    ContextBlock,
    EffectiveSqueezeExcite,
    EfficientChannelAttention,
    GlobalContext,
    IdentityTransform,
    LinearTransform,
    MaxContext,
    MeanContext,
    MeanMaxContext,
    SimplifiedNonLocal,
    SqueezeExcite,
    StdContext,
)
from wholeframe.blocks.others.cbam import CBAM
from wholeframe.blocks.transforms import channel_kernel, hidden_width


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 8, 3, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GlobalContext(32, fusion="sum"), "fusion='sum' is not one of 'add', 'multiply', 'multiply_add'"),
        (lambda: GlobalContext(32, gate="sigmod"), "gate='sigmod' is not one of .*; did you mean 'sigmoid'?"),
        (lambda: GlobalContext(32, init="zeros"), "init='zeros' is not one of .*; did you mean 'zero'?"),
        (lambda: GlobalContext(32, norm="gn"), "norm='gn' is not one of 'ln', 'bn', None"),
        (lambda: GlobalContext(32, context="max"), "context='max' is not one of 'attention', 'mean'"),
        (
            lambda: GlobalContext(32, hidden=0),
            "hidden must be an integer of at least 1, got 0",
        ),
        (lambda: SqueezeExcite(256, hidden=-4), "hidden must be an integer of at least 1, got -4"),
        (lambda: GlobalContext(32, ratio=16.0), "ratio=16 is the hidden width over the channels.*did you mean 1/16?"),
        (lambda: GlobalContext(32, ratio="big"), r"ratio must be positive, got 'big' \(the default is 1/16\)"),
        (lambda: GlobalContext(32, ratio=-0.5), r"ratio must be positive, got -0.5 \(the default is 1/16\)"),
        (lambda: GlobalContext(0), "channels must be an integer of at least 1, got 0"),
        (lambda: SimplifiedNonLocal("64"), "channels must be an integer of at least 1, got '64'"),
        (lambda: AttentionContext(8, heads="two"), "heads must be an integer of at least 1, got 'two'"),
        (
            lambda: ContextBlock(8, context="mean", transform=LinearTransform),
            "context must be a class or function of the channels, got 'mean'; write context=MeanContext",
        ),
        (lambda: StdContext(8, eps=0), "eps must be positive, got 0"),
        (lambda: SqueezeExcite(8, min_hidden=0), "min_hidden must be an integer of at least 1, got 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_option_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("channels", "ratio", "p"), [(18, 1 / 4, 4), (256, 1 / 16, 16), (8, 1.0, 8), (8, 0.25, 2)])
def test_the_hidden_width_is_truncated_as_in_mmcv(channels, ratio, p):
    assert hidden_width(channels, ratio) == p == Bottleneck(channels, ratio=ratio).reduce.out_features


@pytest.mark.parametrize("ratio", [1.5, 16.0])
def test_a_ratio_that_is_no_fraction_is_refused(ratio):
    with pytest.raises(ValueError, match="a fraction; did you mean"):
        hidden_width(64, ratio)


@pytest.mark.parametrize("make", [GlobalContext, SqueezeExcite, CBAM])
def test_narrow_maps_have_at_least_two_hidden_channels_and_a_remark(make):
    """One channel would be constant after a layer norm; wider maps keep the widths of their checkpoints."""
    assert make(16).remark == "2 hidden channels: ratio 1/16 of 16 channels gives 1, and min_hidden is 2"
    assert make(64).remark is None and make(1).remark.endswith("of 1 channels gives 0, and min_hidden is 2")
    assert "gives 2, and min_hidden is 4" in make(32, min_hidden=4).remark
    block = make(16)
    (y := block(torch.randn(2, 16, 3, 3))).sum().backward()
    assert y.shape == (2, 16, 3, 3)


def test_no_width_of_a_wider_map_changes():
    assert [hidden_width(c, 1 / 16) for c in (1, 31, 32, 47, 48, 63, 64)] == [2, 2, 2, 2, 3, 3, 4]
    assert Bottleneck(16, hidden=1).reduce.out_features == 1 and Bottleneck(16, hidden=1).remark is None


@pytest.mark.parametrize("context", [MeanContext, AttentionContext])
@pytest.mark.parametrize("transform", [LinearTransform, lambda c: Bottleneck(c, ratio=1 / 2)])
@pytest.mark.parametrize("fusion", ["add", "multiply", "multiply_add"])
def test_the_product_of_parts_is_the_literal_formula(x, context, transform, fusion):
    block = ContextBlock(8, context=context, transform=transform, fusion=fusion, init="random")
    c = block.context(x)
    expected = x
    if fusion != "add":
        expected = expected * torch.sigmoid(block.multiply(c))[:, :, None, None]
    if fusion != "multiply":
        expected = expected + block.add(c)[:, :, None, None]
    torch.testing.assert_close(block(x), expected)


def test_both_fusions_have_a_transform_each():
    block = GlobalContext(8, ratio=1 / 2, fusion="multiply_add", init="random")
    assert block.multiply is not None and block.add is not None
    assert not torch.equal(block.multiply.reduce.weight, block.add.reduce.weight)


@pytest.mark.parametrize(
    ("gate", "function"),
    [
        ("sigmoid", torch.sigmoid),
        ("hard_sigmoid", torch.nn.functional.hardsigmoid),
        ("twice_sigmoid", lambda t: 2 * torch.sigmoid(t)),
    ],
)
def test_gates(x, gate, function):
    block = SqueezeExcite(8, ratio=1 / 2, gate=gate)
    expected = x * function(block.multiply(x.mean(dim=(2, 3))))[:, :, None, None]
    torch.testing.assert_close(block(x), expected)


def test_what_gc_adds_is_the_same_everywhere(x):
    added = GlobalContext(8, ratio=1 / 2, init="random")(x) - x
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added), rtol=1e-5, atol=1e-6)


def test_the_value_may_go_before_or_after_the_sum(x):
    """SNL's hoisting: sum_j a_j (W_v x_j + b) = W_v sum_j a_j x_j + b, as the weights sum to one."""
    block = SimplifiedNonLocal(8, init="random")
    positions = x.flatten(2).transpose(1, 2)
    inside = (block.context.weights(x)[:, None] @ block.add.expand(positions))[:, 0]
    torch.testing.assert_close(block(x), x + inside[:, :, None, None])


@pytest.mark.parametrize("make", [SimplifiedNonLocal, lambda c: GlobalContext(c, ratio=1 / 2)])
def test_attention_is_the_same_map_for_every_query(x, make):
    block = make(8)
    assert block.has_attention
    attention = block.attention(x, [0, 7, 14])
    assert attention.shape == (2, 3, 3, 5)
    assert torch.equal(attention[:, 0], attention[:, 1]) and torch.equal(attention[:, 0], attention[:, 2])
    torch.testing.assert_close(attention.sum(dim=(2, 3)), torch.ones(2, 3))
    logits = (x * block.context.logits.weight[0][:, None, None]).sum(dim=1)
    torch.testing.assert_close(attention[:, 0], logits.flatten(1).softmax(dim=1).reshape(2, 3, 5))


@pytest.mark.usefixtures("unchecked")
def test_one_number_is_not_a_list_of_queries(x):
    """It would index samples instead of positions."""
    for query in (3, torch.tensor(3)):
        with pytest.raises(ValueError, match=r"query must be a list of flat positions, got .*; write \[position\]"):
            SimplifiedNonLocal(8).attention(x, query)


@pytest.mark.parametrize("make", [SqueezeExcite, lambda c, ratio: GlobalContext(c, ratio=ratio, context="mean")])
def test_a_mean_has_no_attention_to_show(x, make):
    assert not make(8, ratio=1 / 2).has_attention
    with pytest.raises(ValueError, match="MeanContext weighs all positions alike, so there is no attention to show; "):
        make(8, ratio=1 / 2).attention(x, [0])


def test_the_logits_of_a_fresh_context_do_not_pick_one_position():
    """Their std is sqrt(2) for unit inputs of any width; GCNet's re-initialised ones had 47 at 1024 channels."""
    torch.manual_seed(0)
    x = torch.randn(4, 1024, 10, 10)
    attention = GlobalContext(1024).attention(x, [0])
    assert attention.amax(dim=(2, 3)).max() < 0.5


def test_the_bias_of_the_logits_is_there_and_does_nothing(x):
    block = GlobalContext(8, ratio=1 / 2, init="random")
    y = block(x)
    block.context.logits.bias.data.fill_(5)
    torch.testing.assert_close(block(x), y)
    assert AttentionContext(8, bias=False).logits.bias is None


def test_multiply_adds_do_not_count_a_mean():
    assert SqueezeExcite(8, ratio=1 / 2).multiply_adds((9, 9)) == 2 * 8 * 4
    assert GlobalContext(8, ratio=1 / 2, fusion="multiply_add").multiply_adds((3, 5)) == 2 * 8 * 15 + 2 * 2 * 8 * 4


def test_repr_tells_the_options():
    assert "8, fusion='add', gate='sigmoid', init='identity'" in repr(SimplifiedNonLocal(8))


# --------------------------------------------------------------------------------------------- points of the product


def half(c, norm="ln"):
    return Bottleneck(c, ratio=1 / 2, norm=norm)


# Every published block as context x transform x fusion (Cao et al., 2019, figure 4, and what came after).
POINTS = {
    "SE": (SqueezeExcite(8, ratio=1 / 2), MeanContext, lambda c: half(c, None), "multiply", "sigmoid"),
    "eSE": (EffectiveSqueezeExcite(8), MeanContext, LinearTransform, "multiply", "hard_sigmoid"),
    "ECA": (EfficientChannelAttention(8), MeanContext, ChannelConv, "multiply", "sigmoid"),
    "SNL": (SimplifiedNonLocal(8, init="random"), AttentionContext, LinearTransform, "add", "sigmoid"),
    **{
        f"GC {pooling} {fusion}": (
            GlobalContext(8, ratio=1 / 2, context=pooling, fusion=fusion, init="random"),
            {"attention": AttentionContext, "mean": MeanContext}[pooling],
            half,
            fusion,
            "sigmoid",
        )
        for pooling in ("attention", "mean")
        for fusion in ("add", "multiply", "multiply_add")
    },
}


@pytest.mark.parametrize("point", POINTS)
def test_a_published_block_is_a_point(x, point):
    block, context, transform, fusion, gate = POINTS[point]
    parts = ContextBlock(8, context=context, transform=transform, fusion=fusion, gate=gate, init="random")
    parts.load_state_dict(block.state_dict())
    assert torch.equal(parts(x), block(x))


DOCS = Path(__file__).parents[2] / "docs"
PAGE = runpy.run_path(str(DOCS / "framework.py"))


def test_the_page_is_that_of_its_script():
    assert (DOCS / "framework.md").read_text() == PAGE["page"]()


@pytest.mark.parametrize("call", PAGE["POINTS"].values(), ids=PAGE["POINTS"])
def test_a_point_of_the_page_is_its_parts(call):
    """The block is no more than a `ContextBlock` of the parts that the page names."""
    torch.manual_seed(0)
    block, x = PAGE["built"](call), torch.randn(2, 256, 4, 3)
    transform = block.multiply or block.add
    parts = ContextBlock(
        256,
        context=lambda _: copy.deepcopy(block.context),
        transform=lambda _: copy.deepcopy(transform),
        fusion=block.fusion,
        gate=block.gate,
        init="random",
    )
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    parts.load_state_dict(block.state_dict())
    assert torch.equal(parts(x), block(x))
    assert not torch.allclose(block(x), x)


@pytest.mark.parametrize(
    ("context", "formula"),
    [
        (MeanContext, lambda p: p.mean(dim=1)),
        (MaxContext, lambda p: p.max(dim=1).values),
        (MeanMaxContext, lambda p: p.mean(dim=1) / 2 + p.max(dim=1).values / 2),
        (StdContext, lambda p: ((p - p.mean(dim=1, keepdim=True)).square().mean(dim=1) + 1e-5).sqrt()),
    ],
)
def test_poolings_are_their_formulas(x, context, formula):
    torch.testing.assert_close(context(8)(x), formula(x.flatten(2).mT))


def test_the_deviation_of_a_flat_map_has_a_gradient():
    x = torch.ones(1, 8, 5, requires_grad=True)
    StdContext(8)(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize(("scale", "s"), [(None, 1.0), ("sqrt_dim", 0.5)])
def test_heads_share_the_query_and_have_channels_of_their_own(x, scale, s):
    """MASTER: each head is a context of c / h channels."""
    context = AttentionContext(8, heads=2, scale=scale)
    positions, w = x.flatten(2).mT, context.logits.weight[0]
    expected, weights = [], []
    for head in positions.chunk(2, dim=2):
        weights.append((s * head @ w).softmax(dim=1))
        expected.append((weights[-1][..., None] * head).sum(dim=1))
    torch.testing.assert_close(context(x), torch.cat(expected, dim=1))
    torch.testing.assert_close(context.weights(x), sum(weights) / 2)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="heads=3 does not divide channels=8; divisors near 3 are 2 and 4"):
        AttentionContext(8, heads=3)
    with pytest.raises(ValueError, match="heads must be an integer of at least 1, got 0"):
        AttentionContext(8, heads=0)


@pytest.mark.parametrize(("channels", "kernel"), [(4, 3), (8, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_the_kernel_of_eca_grows_with_the_channels(channels, kernel):
    assert channel_kernel(channels) == kernel == ChannelConv(channels).expand.kernel_size[0]


def test_a_kernel_without_a_middle_is_refused():
    assert EfficientChannelAttention(8, kernel=5).multiply.kernel == 5
    with pytest.raises(ValueError, match=r"kernel must be odd, got 4 \(the default is 3\)"):
        EfficientChannelAttention(8, kernel=4)


def test_a_transform_without_weights_cannot_start_at_zero():
    parts = {"context": MeanContext, "transform": IdentityTransform, "fusion": "multiply"}
    assert ContextBlock(8, **parts, init="random").multiply_adds((3, 5)) == 0
    with pytest.raises(ValueError, match="starts the transform's last layer at zero, and this transform has none"):
        ContextBlock(8, **parts)
