"""CBAM, gather-excite over windows and BAT: blocks that are none of `BLOCKS`, and keep to most of its laws."""

import copy
import pickle
from functools import partial

import pytest
import torch
from rounding import agree
from torch import nn
from torch.autograd import gradcheck
from torch.export import Dim, export
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

import wholeframe as wf
from wholeframe.blocks import BAT, CBAM, GatherExcite
from wholeframe.blocks.protocol import Block

MAKE = {
    "cbam": partial(CBAM, ratio=1 / 2, kernel=3),
    "gather_excite": partial(GatherExcite, extent=2),
    "gather_excite_max": partial(GatherExcite, extent=4, context="mean_max"),
    "bat": partial(BAT, inner=4, size=2, dropout=0.0),
}
GRIDS = {1: (7,), 2: (6, 4), 3: (3, 5, 2)}
CASES = [(name, rank) for name in MAKE for rank in ((2,) if name == "bat" else GRIDS)]
every = pytest.mark.parametrize(("name", "rank"), CASES, ids=[f"{name}-{rank}d" for name, rank in CASES])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def alive(name, **options):
    block = MAKE[name](8, **options).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm1d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return block


def sample(rank, b=2):
    return torch.randn(b, 8, *GRIDS[rank], dtype=torch.float64)


def close(actual, expected):
    agree(actual, expected, terms=8 * 8 * 24, scale=1.0)  # a product of channels for every position


# ----------------------------------------------------------------------------------------------------------- laws


@pytest.mark.slow_beyond(4)
@every
def test_gradients_are_those_of_finite_differences(name, rank):
    block, x = alive(name), sample(rank, 1)[..., :2].contiguous().requires_grad_()
    names = [key for key, _ in block.named_parameters()]
    values = [parameter.detach().clone().requires_grad_() for parameter in block.parameters()]

    def function(x, *values):
        return functional_call(block, dict(zip(names, values, strict=True)), (x,))

    assert gradcheck(function, (x, *values))


@every
def test_copies_and_states(name, rank):
    block, other, x = alive(name).eval(), alive(name).eval(), sample(rank)
    y = block(x)
    other.load_state_dict(block.state_dict())
    for again in (copy.deepcopy(block), pickle.loads(pickle.dumps(block)), other):
        assert torch.equal(again(x), y)
    assert not torch.allclose(y, x)


@every
def test_layouts_and_batches(name, rank):
    block, x = alive(name).eval(), sample(rank)
    y = block(x)
    close(block(x[:1]), y[:1])
    close(block(torch.stack([x, x + 1], dim=-1).flatten(-2)[..., ::2]), y)
    layouts = {2: torch.channels_last, 3: torch.channels_last_3d}
    if rank in layouts:
        close(block(x.to(memory_format=layouts[rank])), y)
    assert block(x[:0]).shape == x[:0].shape


@pytest.mark.slow
@pytest.mark.compiled
@every
def test_export_with_dynamic_sizes(name, rank):
    """Cells of BAT stay whole, and maps of gather-excite have more than one window."""
    block, x = alive(name).eval(), torch.randn(2, 8, *(6, 8, 10)[:rank], dtype=torch.float64)
    sizes = [Dim(f"half{axis}", min=3) for axis in range(rank)]
    sizes = [2 * half for half in sizes] if name == "bat" else [Dim(f"size{axis}", min=5) for axis in range(rank)]
    dynamic = {0: Dim("batch"), **{axis + 2: size for axis, size in enumerate(sizes)}}
    exported = export(block, (x,), dynamic_shapes=(dynamic,)).module()
    for grid in ((6, 8, 10), (10, 6, 14)):
        z = torch.randn(3, 8, *grid[:rank], dtype=torch.float64)
        close(exported(z), block(z))


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", MAKE)
def test_compile(name):
    torch._dynamo.reset()
    block, x, z = alive(name), sample(2).requires_grad_(), sample(2).requires_grad_()
    z.data.copy_(x.data)
    y, expected = torch.compile(block, fullgraph=True, backend="aot_eager")(x), block(z)
    close(y, expected)
    y.square().sum().backward()
    expected.square().sum().backward()
    close(x.grad, z.grad)


@pytest.mark.slow_beyond(5)
@every
def test_what_a_block_promises(name, rank):
    block, x = alive(name), sample(rank)
    assert isinstance(block, Block)
    host = nn.Sequential(nn.Identity())  # which shows nothing of its layout
    report = wf.insert(host, lambda channels: block, at="0", example=x, layout="channels_first")
    assert "output unchanged" in str(report)
    before = block.state_dict()
    wf.reset_blocks(block)
    assert all(torch.equal(tensor, before[key]) for key, tensor in block.state_dict().items())
    if not block.has_attention:
        with pytest.raises(ValueError, match="there is no attention to show; "):
            block.attention(x, [0])


@every
def test_multiply_adds(name, rank):
    block = alive(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(sample(rank, 1))
    assert block.multiply_adds(GRIDS[rank]) == counter.get_total_flops() // 2


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_autocast_is_finite_and_near(name, rank, dtype):
    block, x = alive(name).float().eval(), 12 * sample(rank).float()
    expected = block(x)
    with torch.autocast("cpu", dtype=dtype):
        y = block(x)
    assert torch.isfinite(y).all()
    assert (y - expected).norm() / (expected - x).norm() < 32 * torch.finfo(dtype).eps


# ----------------------------------------------------------------------------------------------------------- CBAM


def test_cbam_can_start_as_an_identity_and_learn():
    x = torch.randn(2, 8, 6, 4)
    block = CBAM(8, ratio=1 / 2, gate="twice_sigmoid", init="identity")
    assert block.identity_at_init and torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.spatial.norm.weight.grad.abs().max() > 1e-3
    assert not CBAM(8, ratio=1 / 2).identity_at_init


def test_cbam_is_its_equation():
    block, x = alive("cbam").eval(), sample(2)
    m = block.channel.multiply.each
    y = x * torch.sigmoid(m(x.mean(dim=(2, 3))) + m(x.amax(dim=(2, 3))))[:, :, None, None]
    seen = nn.functional.conv2d(torch.stack([y.mean(dim=1), y.amax(dim=1)], dim=1), block.spatial.weight, padding=1)
    norm = block.spatial.norm
    normal = (seen - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    close(block(x), y * torch.sigmoid(normal))


def test_frames_of_a_clip_share_the_gates_of_channels_and_not_those_of_places():
    block, x = alive("cbam").eval(), sample(3)
    y = block.channel(x)
    close(block(x)[:, :, 1], block.spatial(y[:, :, 1]))


@pytest.mark.parametrize(
    ("options", "message"), [({"kernel": 4}, "kernel must be odd, got 4"), ({"hidden": 0}, "hidden must be an integer")]
)
def test_cbam_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CBAM(8, **{"ratio": 1 / 2, **options})


# -------------------------------------------------------------------------------------------------- gather-excite


def test_windows_are_cut_off_at_the_border():
    x = sample(1)
    c = torch.stack([x[..., :2].mean(-1), x[..., 1:4].mean(-1), x[..., 3:6].mean(-1), x[..., 5:].mean(-1)], dim=-1)
    nearest = c[..., [0, 0, 1, 1, 2, 2, 3]]
    close(GatherExcite(8, extent=2)(x), x * torch.sigmoid(nearest))


def test_a_clip_is_gathered_frame_by_frame():
    block, x = GatherExcite(8, extent=2, context="mean_max"), sample(3)
    close(block(x)[:, :, 2], block(x[:, :, 2]))


def test_a_window_of_one_position_is_refused():
    with pytest.raises(ValueError, match="extent must be at least 2, got 1; for the whole map take ContextBlock"):
        GatherExcite(8, extent=1)


# ------------------------------------------------------------------------------------------------------------ BAT


@pytest.mark.parametrize("groups", [1, 2])
def test_the_attention_of_bat_is_what_it_sums_with(groups):
    block, x = alive("bat", groups=groups).eval(), sample(2)
    v = block.reduce(x.flatten(2).mT)
    if groups == 2:  # the attention is the mean over groups: give both the same matrices
        for layer in (block.rows, block.columns):
            layer.weight.data[4:], layer.bias.data[4:] = layer.weight.data[:4], layer.bias.data[:4]
    attention = block.attention(x, range(24)).flatten(2)
    close(attention.sum(dim=2), torch.ones(2, 24, dtype=torch.float64))
    assert (attention > 0).sum(dim=2).eq(4).all()  # the same place in each of 2 x 2 cells
    mixed = block.mix(attention @ v.mT)
    close(block(x), x + block.expand(mixed.mT).unflatten(2, (6, 4)))


def test_bat_drops_whole_channels_while_training():
    block, x = MAKE["bat"](8, dropout=0.5), torch.randn(2, 8, 6, 4)
    dropped = (block(x) - x).flatten(2).eq(0).all(dim=2)
    assert dropped.any() and not dropped.all()


@pytest.mark.parametrize(
    ("options", "grid", "message"),
    [
        ({"groups": 3}, (6, 4), "groups=3 does not divide inner=4; divisors near 3 are 2 and 4"),
        ({"size": 0}, (6, 4), "size must be an integer of at least 1, got 0"),
        ({"size": 3}, (6, 4), r"size=3 does not divide the grid \(6, 4\) into cells; take size=1, 2"),
        ({}, (6,), r"BAT takes images, but the grid \(6,\) has 1 axes; give a map \(b, c, h, w\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bat_refuses(options, grid, message):
    with pytest.raises(ValueError, match=message):
        MAKE["bat"](8, **options)(torch.randn(2, 8, *grid))
