"""Global second-order pooling: two gates, three fusions, and the covariance as a part of the context framework."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
import torchvision
from rounding import agree, moved
from torch import nn

from wholeframe import ops
from wholeframe.blocks import ContextBlock, CovarianceContext, GSoP, GSoPChannel, GSoPPosition, MeanContext, RowConv


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def x():
    return torch.randn(2, 16, 6, 5, dtype=torch.float64)


CHANNEL = partial(GSoPChannel, inner=8)
POSITION = partial(GSoPPosition, inner=8, size=(4, 4))


def literal_rows(transform, s, act):
    """As the reference writes it: a map of d x d x 1, batch norm, a grouped d x 1 convolution, a 1 x 1 convolution."""
    s = transform.row_norm(s)[..., None]
    conv = transform.row_conv
    rows = F.conv2d(s, conv.weight[..., None], conv.bias, groups=s.shape[1])
    return F.conv2d(act(rows), transform.expand.weight[:, :, None, None], transform.expand.bias)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("row_act", "act"), [(None, lambda t: t), ("relu", F.relu), ("leaky_relu", lambda t: F.leaky_relu(t, 0.1))]
)
@pytest.mark.parametrize("reduce_act", ["relu", None])
def test_the_channel_block_is_the_literal_formula(x, stride, row_act, act, reduce_act):
    block = CHANNEL(16, stride=stride, row_act=row_act, reduce_act=reduce_act).double()
    reduce = block.context.reduce
    v = reduce.norm(F.conv2d(F.relu(x), reduce.linear.weight[:, :, None, None], reduce.linear.bias, stride).flatten(2))
    s = ops.dense_covariance(F.relu(v) if reduce_act else v)
    gates = torch.sigmoid(literal_rows(block.multiply, s, act))
    agree(block(x), x * gates, x[0].numel(), moved=moved(block, x))
    agree(block.gates(x), gates[:, :, 0, 0], x[0].numel(), moved=moved(block.gates, x))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("centring", ["released", "development", "exact"])
@pytest.mark.parametrize("out_act", ["relu", None])
def test_the_position_block_is_the_literal_formula(x, stride, centring, out_act):
    block = POSITION(16, stride=stride, centring=centring, out_act=out_act).double()
    reduce = block.reduce
    v = F.conv2d(F.relu(x), reduce.linear.weight[:, :, None, None], reduce.linear.bias, stride)
    v = F.adaptive_avg_pool2d(reduce.norm(v.flatten(2)).reshape(v.shape), (4, 4)).flatten(2)
    s = ops.dense_position_covariance(v, centring)
    gates = torch.sigmoid(literal_rows(block.transform, s, F.relu)).reshape(2, 1, 4, 4)
    z = x * F.adaptive_avg_pool2d(gates, (6, 5))
    agree(block(x), F.relu(z) if out_act else z, x[0].numel(), moved=moved(block, x))


def test_a_stride_keeps_all_frames_of_a_clip():
    x, block, everywhere = torch.randn(1, 16, 5, 6, 4), CHANNEL(16, stride=2), CHANNEL(16)
    everywhere.load_state_dict(block.state_dict())
    torch.testing.assert_close(block.context(x), everywhere.context(x[..., ::2, ::2]))


def test_the_covariance_is_a_part_like_any_other(x):
    """Added instead of multiplied, which is unpublished: a point of the framework."""
    block = ContextBlock(
        16,
        context=partial(CovarianceContext, inner=8),
        transform=partial(RowConv, inner=8, act="leaky_relu"),
        fusion="add",
        init="random",
    ).double()
    expected = block.add(block.context(x))[:, :, None, None]
    torch.testing.assert_close(block(x), x + expected)


def test_a_covariance_sees_what_a_mean_does_not():
    """Channels that vary together and channels that vary apart have the same means, and the same variances."""
    wave = torch.linspace(-1, 1, 12)
    together, apart = (torch.stack([wave, sign * wave])[None] + 3 for sign in (1, -1))
    torch.testing.assert_close(MeanContext(2)(together), MeanContext(2)(apart))
    context = CovarianceContext(2, inner=2).eval()
    nn.init.eye_(context.reduce.linear.weight)
    nn.init.zeros_(context.reduce.linear.bias)
    s, t = context(together)[0], context(apart)[0]
    torch.testing.assert_close(s.diagonal(), t.diagonal())
    assert s[0, 1] > 0.3 and t[0, 1] < -0.3


# ------------------------------------------------------------------------------------------------------------ fusions


@pytest.mark.parametrize("fusion", ["sum", "max", "concat"])
def test_fusions_are_the_literal_formulas(x, fusion):
    convolutions = {"groups": 4, "kernel": 11} if fusion == "concat" else {}
    block = GSoP(16, channel=CHANNEL, position=POSITION, fusion=fusion, **convolutions).double()
    u, v = block.channel(x), block.position(x)
    if fusion == "concat":
        z = block.out_channel(u) + block.out_position(v)
        expected = F.batch_norm(z, None, None, block.norm.weight, block.norm.bias, training=True)
    else:
        expected = u + v if fusion == "sum" else torch.max(u, v)
    agree(block(x), expected, x[0].numel(), moved=moved(block, x))


@pytest.mark.parametrize(("channels", "groups", "kernel"), [(256, 4, 11), (512, 8, 9), (1024, 16, 7), (2048, 32, 5)])
def test_the_convolutions_of_concat_are_those_of_the_reference(channels, groups, kernel):
    with torch.device("meta"):
        block = GSoP(channels, fusion="concat")
    assert (block.out_channel.groups, block.out_channel.kernel_size) == (groups, (kernel, 1))


def test_concat_on_sequences_and_clips():
    """A sequence is one column; the frames of a clip are convolved one by one."""
    for shape, size in (((2, 16, 7), (3,)), ((2, 16, 3, 5, 4), (1, 2, 2))):
        position = partial(GSoPPosition, inner=8, size=size)
        block = GSoP(16, channel=CHANNEL, position=position, fusion="concat", groups=4, kernel=3).eval()
        x = torch.randn(shape)
        u, v = block.channel(x), block.position(x)
        if len(shape) == 3:
            expected = (block.out_channel(u[..., None]) + block.out_position(v[..., None]))[..., 0]
        else:
            frames = [block.out_channel(u[:, :, t]) + block.out_position(v[:, :, t]) for t in range(3)]
            expected = torch.stack(frames, dim=2)
        torch.testing.assert_close(block(x), block.norm(expected.flatten(2)).reshape(shape))


def test_the_maximum_of_two_identities_is_one(x):
    neutral = {"gate": "twice_sigmoid", "init": "zero"}
    for out_act, identity in ((None, True), ("relu", False)):
        block = GSoP(
            16,
            channel=partial(CHANNEL, **neutral),
            position=partial(POSITION, **neutral, out_act=out_act),
            fusion="max",
        ).double()
        assert block.identity_at_init == identity == torch.equal(block(x), x)


def test_fusions_reset(x):
    block = GSoP(16, channel=CHANNEL, position=POSITION, fusion="concat", groups=4, kernel=11)
    for parameter in block.parameters():
        nn.init.constant_(parameter, 7)
    block.reset_parameters()
    assert not any((parameter == 7).any() for parameter in block.parameters())
    assert not block.has_attention


# ------------------------------------------------------------------------------------------------- in a host, and costs


@pytest.mark.parametrize("make", [CHANNEL, POSITION, partial(GSoP, channel=CHANNEL, position=POSITION)])
def test_a_residual_block_may_add_in_place(make):
    """torchvision's does; the reference's position block raised there, as its ReLU keeps what is overwritten."""
    host = torchvision.models.resnet.Bottleneck(16, 4)
    host.bn3 = nn.Sequential(host.bn3, make(16))
    x = torch.randn(2, 16, 6, 5, requires_grad=True)
    host(x).square().sum().backward()
    assert torch.isfinite(x.grad).all()


def test_parameters_of_gsop_net_1():
    """Four channel blocks of width 128 in a ResNet-50: 2,728,192, the difference of the reference's networks."""
    with torch.device("meta"):
        blocks = [GSoPChannel(channels) for channels in (256, 512, 1024, 2048)]
    assert sum(p.numel() for block in blocks for p in block.parameters()) == 28_285_224 - 25_557_032


def test_parameters_of_the_other_published_blocks():
    with torch.device("meta"):
        totals = {
            name: sum(p.numel() for c in (256, 512, 1024, 2048) for p in make(c).parameters()) + 25_557_032
            for name, make in {
                "position": GSoPPosition,
                "sum": GSoP,
                "max": partial(GSoP, fusion="max"),
                "concat": partial(GSoP, fusion="concat"),
            }.items()
        }
    assert totals == {"position": 26_182_952, "sum": 28_911_144, "max": 28_911_144, "concat": 32_105_000}


def test_multiply_adds_with_a_stride_and_fused():
    channel, position = CHANNEL(16, stride=2), POSITION(16)
    assert channel.multiply_adds((6, 5)) == 9 * (16 * 8 + 8 * 8) + 4 * 8 * 8 + 4 * 8 * 16
    assert position.multiply_adds((6, 5)) == 30 * 16 * 8 + 8 * 16 * 16 + 2 * 4 * 16 * 16
    both = GSoP(16, channel=partial(CHANNEL, stride=2), position=POSITION, fusion="concat", groups=4, kernel=11)
    fused = 2 * 30 * 16 * 4 * 11
    assert both.multiply_adds((6, 5)) == channel.multiply_adds((6, 5)) + position.multiply_adds((6, 5)) + fused


def test_the_covariance_stays_in_float32_under_autocast():
    seen = []
    block = CHANNEL(16)
    block.multiply.row_norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        block(torch.randn(2, 16, 6, 5))
    assert seen == [torch.float32]


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GSoPChannel(16, inner=0), "inner must be an integer of at least 1, got 0"),
        (lambda: GSoPChannel(16, stride=0), "stride must be an integer of at least 1, got 0"),
        (
            lambda: GSoPChannel(16, filters=0),
            r"filters must be an integer of at least 1, got 0 \(the default is 4\)",
        ),
        (lambda: GSoPChannel(16, row_act="leaky"), "row_act='leaky' is not one of .*; did you mean 'leaky_relu'?"),
        (lambda: GSoPChannel(16, reduce_act="gelu"), "reduce_act='gelu' is not one of 'relu', None"),
        (lambda: GSoPPosition(16, centring="true"), "centring='true' is not one of 'released', 'development', 'exact'"),
        (lambda: GSoPPosition(16, out_act="silu"), "out_act='silu' is not one of 'relu', None"),
        (lambda: GSoPPosition(16, gate="tanh"), "gate='tanh' is not one of 'sigmoid'"),
        (lambda: GSoPPosition(16, init="one"), "init='one' is not one of 'identity', 'zero', 'random'"),
        (lambda: GSoPPosition(16, size=(8, 0)), r"every number of size=\(8, 0\) must be an integer of at least 1"),
        (lambda: GSoPPosition(16, size=8), r"size must have one to three integers, such as \(8, 8\), got 8"),
        (lambda: GSoPPosition(0), "channels must be an integer of at least 1, got 0"),
        (lambda: GSoP(16, fusion="avg"), "fusion='avg' is not one of 'sum', 'max', 'concat'"),
        (
            lambda: GSoP(16, fusion="concat"),
            "concat.* takes channels / 64 groups by default, which does not divide channels=16; give",
        ),
        (
            lambda: GSoP(16, fusion="concat", groups=3, kernel=5),
            "groups=3 does not divide channels=16; divisors near 3 are 2 and 4",
        ),
        (lambda: GSoP(16, fusion="concat", groups=4, kernel=6), "kernel must be odd, got 6"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_option_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_map_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"grid of 2 axes, but the map \(1, 16, 9\) has 1; build the block with size="):
        GSoPPosition(16)(torch.randn(1, 16, 9))


@pytest.mark.parametrize("make", [CHANNEL, POSITION, partial(GSoP, channel=CHANNEL, position=POSITION)])
def test_gates_are_no_attention(make, x):
    assert not make(16).has_attention
    with pytest.raises(ValueError, match="there is no attention to show; "):
        make(16).double().attention(x, [0])


def test_repr_tells_the_options():
    assert "16, fusion='multiply', gate='sigmoid', init='random', inner=8, stride=2" in repr(CHANNEL(16, stride=2))
    assert "16, inner=8, size=(4, 4), stride=1, centring='released', out_act='relu'" in repr(POSITION(16))
    assert "16, fusion='sum'" in repr(GSoP(16, channel=CHANNEL, position=POSITION))
