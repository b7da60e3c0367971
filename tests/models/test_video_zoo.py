"""The published networks for clips: their sizes, their places, and that each exports and compiles."""

import re
from functools import cache

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import wholeframe as wf
from wholeframe.models.places import in_block
from wholeframe.models.video_zoo import VIDEOS
from wholeframe.study.cost import cost, count


@cache
def sizes(name, **options):
    """Parameters and multiply-adds on the card's clip, of the blocks as they run."""
    card = VIDEOS[name]
    return count(lambda: card.make(card.classes, **options), card.input)


@cache
def explicit(name):
    """As references count: attention as two products, and two operations per number that a batch norm gives."""
    card, normed = VIDEOS[name], []
    with FakeTensorMode():
        network = card.make(card.classes)
        for module in network.modules():
            if isinstance(module, wf.NonLocal):
                module.backend = "dense"
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.register_forward_hook(lambda _module, _args, y: normed.append(y.numel()))
        macs = cost(network, torch.empty(1, *card.input)).macs
    return macs, 2 * sum(normed)


# Of our own specification, counted without this code; the last digit printed is the one asserted.
@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [
        ("c2d_r50", 24.328, 20.23),
        ("c2d_r101", 43.320, 35.08),
        ("i3d_r50", 28.043, 32.83),
        ("i3d_r101", 51.754, 51.38),
        ("i3d333_r50", 33.434, 38.69),
        ("i3d333_r101", 63.043, 61.86),
        ("c2d_r50_nl1", 26.429, 21.42),
        ("c2d_r50_nl5", 31.686, 28.36),
        ("c2d_r50_nl10", 39.045, 36.49),
        ("c2d_r101_nl5", 50.678, 43.21),
        ("i3d_r50_nl5", 35.402, 40.96),
        ("i3d_r101_nl5", 59.113, 59.51),
    ],
)
def test_counts_of_the_released_geometry(name, millions, giga):
    found = sizes(name)
    assert (round(found.params / 1e6, 3), round(found.macs / 1e9, 2)) == (millions, giga)


def test_the_paper_counts_without_norms_and_with_the_stride_in_the_1x1():
    """C2D ResNet-101: 43.2 M parameters and 34.2 G multiply-adds."""
    with FakeTensorMode():
        network = VIDEOS["c2d_r101"].make(400)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    of_norms = sum(parameter.numel() for norm in norms for parameter in norm.parameters())
    assert round((sizes("c2d_r101").params - of_norms) / 1e6, 1) == 43.2
    assert round(sizes("c2d_r101", stride="1x1").macs / 1e9, 1) == 34.2


def test_relations_that_the_paper_prints():
    """Table 2e, and "NL-5 R50 has about 70 % of the parameters and 80 % of the FLOPs of C2D R101" (section 5.1)."""
    deep = sizes("c2d_r101")
    for name, parameters, macs in [("i3d333_r101", 1.5, 1.8), ("i3d_r101", 1.2, 1.5), ("c2d_r101_nl5", 1.2, 1.2)]:
        assert (round(sizes(name).params / deep.params, 1), round(sizes(name).macs / deep.macs, 1)) == (parameters, macs)
    shallow = sizes("c2d_r50_nl5")
    assert (round(shallow.params / deep.params, 1), round(shallow.macs / deep.macs, 1)) == (0.7, 0.8)


MMACTION2 = [name for name in VIDEOS if name.endswith("_mmaction2") and name != "c2d_r50_mmaction2"]


@pytest.mark.parametrize("name", MMACTION2)
def test_mmaction2_counts_norms_too(name):
    """Every figure of its tables but one, to its last digit: C2D's 19 G is 19.49 without norms and 19.62 with them."""
    figures = [published.figure for published in VIDEOS[name].published if published.unit.startswith(("M ", "G "))]
    macs, norms = explicit(name)
    for ours, figure in zip((sizes(name).params / 1e6, (macs + norms) / 1e9), figures, strict=True):
        assert f"{ours:.{len(figure.partition('.')[2])}f}" == figure


def test_what_is_published_of_sizes_is_reached_or_explained():
    for name, card in VIDEOS.items():
        for published in card.published:
            if not published.unit.startswith(("M ", "G ")):
                continue
            found = sizes(name, **published.options)
            ours = found.params / 1e6 if published.unit.startswith("M ") else found.macs / 1e9
            agrees = f"{ours:.{len(published.figure.partition('.')[2])}f}" == published.figure
            assert agrees == (not published.differs), (name, published, ours)


def test_what_gcnet_adds_to_slow_only():
    """Its totals are 6 % below ours, but what SNL and GC add to them is what they add to ours (to two roundings)."""
    base = sizes("slowonly_r50").macs
    for name, added in [("slowonly_r50_snl5", 0.03), ("slowonly_r50_gc5", 0.02), ("slowonly_r50_gc", 0.06)]:
        assert (sizes(name).macs - base) / 1e9 == pytest.approx(added, abs=0.01)
    assert base / 39.29e9 == pytest.approx(1.062, abs=1e-3)
    assert sizes("slowonly_r50", stride="1x1").macs / 39.29e9 == pytest.approx(0.953, abs=1e-3)
    added = sizes("slowonly_r50_nl5").macs - base
    assert added / (59.60e9 - 39.29e9) == pytest.approx(1.095, abs=1e-3)


def blocks(name):
    """The sites of a network's blocks, and the blocks."""
    with FakeTensorMode():
        network = VIDEOS[name].make(400)
    found = {path.removesuffix(".wholeframe"): m for path, m in network.named_modules() if path.endswith(".wholeframe")}
    return network, found


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("c2d_r18_nl1", "3.0"),
        ("c2d_r50_nl1", "3.4"),
        ("c2d_r101_nl1", "3.21"),
        ("c2d_r50_nl1_res2", "1.1"),
        ("c2d_r50_nl1_res3", "2.2"),
        ("c2d_r50_nl1_res5", "4.1"),
        ("i3d_r50_nl5", "2.1 2.3 3.1 3.3 3.5"),
        ("i3d_r101_nl5", "2.1 2.3 3.6 3.13 3.20"),
        ("i3d_r101_nl5_slowfast", "2.1 2.3 3.1 3.3 3.5"),
        ("c2d_r50_nl10", "2.0 2.1 2.2 2.3 3.0 3.1 3.2 3.3 3.4 3.5"),
        ("i3d_r101_cgnl1", "3.21"),
    ],
)
def test_places(name, places):
    assert list(blocks(name)[1]) == [f"layer{place}" for place in places.split()]


def test_frozen_networks_have_groups_in_res3_alone_and_no_norms():
    network, found = blocks("i3d_r50_nl5_128x1")
    assert [block.frames for block in found.values()] == [4, 4, None, None, None]
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    assert all(block.norm is None and block.identity_at_birth for block in found.values())
    trained = {name for name, _ in network.named_parameters() if not in_block(name)}
    assert all(name.startswith("fc.") or "conv" in name or "downsample.0" in name for name in trained)


def test_blocks_of_the_references():
    """What distinguishes the released code from PySlowFast and MMAction2, and the rows of table 2d."""
    ours, slowfast, mmaction2 = (
        next(iter(blocks(name)[1].values()))
        for name in ("i3d_r50_nl5", "i3d_r50_nl5_slowfast", "i3d_r50_nl5_mmaction2")
    )
    assert (ours.scale, ours.pool, ours.pool_order, ours.std) == ("sqrt_dim", 2, "before", 0.01)
    assert (slowfast.scale, slowfast.pool, slowfast.pool_order, slowfast.std) == ("sqrt_dim", 2, "before", None)
    assert (mmaction2.scale, mmaction2.pool, mmaction2.pool_order, mmaction2.out.bias) == (None, 2, "after", None)
    assert all(block.identity_at_birth for block in (ours, slowfast, mmaction2))
    reaches = [next(iter(blocks(f"c2d_r50_nl5_{reach}")[1].values())) for reach in ("space", "time")]
    assert [(block.reach, block.pool) for block in reaches] == [("space", 2), ("time", 1)]


def test_names_follow_the_rule():
    rule = re.compile(
        r"(c2d|i3d|i3d333|slowonly)_r(18|34|50|101|152)(_(nl|snl|gc|se|cgnl)\d*)?"
        r"(_(gaussian|dot|concatenation|space|time|res[235]|nopool))?(_(8x8|32x4|128x1|4x16))?(_(slowfast|mmaction2))?"
    )
    assert [name for name in VIDEOS if not rule.fullmatch(name)] == []


def test_the_small_one_is_the_bare_network_at_birth():
    network = VIDEOS["c2d_r18_nl1"].make(5).eval()
    clip = torch.randn(2, 3, 8, 64, 64)
    with torch.no_grad():
        full = network(clip)
        assert full.shape == (2, 5)
        assert wf.remove(network) == ["layer3.0"]
        assert torch.equal(network(clip), full)


# ------------------------------------------------------------------------------------------------------- all of them


def clip_for(name):
    """The card's frames, and the least side that leaves 2 x 2 positions in res5."""
    return torch.randn(1, 3, VIDEOS[name].input[1], 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", VIDEOS)
def test_blocks_change_nothing_at_birth(name):
    """`insert` has proved it on its own clip; here on another, against the network without blocks."""
    network, clip = VIDEOS[name].make(5).eval(), clip_for(name)
    identities = all(
        module.identity_at_birth for path, module in network.named_modules() if path.endswith(".wholeframe")
    )
    with torch.no_grad():
        full = network(clip)
        if any(in_block(key) for key in network.state_dict()):
            wf.remove(network)
        assert torch.equal(network(clip), full) == identities
    assert identities == (not name.endswith("_se"))


@pytest.mark.slow
@pytest.mark.parametrize("name", VIDEOS)
def test_all_export(name):
    network, clip = VIDEOS[name].make(5).eval(), clip_for(name)
    with torch.no_grad():
        exported = torch.export.export(network, (clip,)).module()
        torch.testing.assert_close(exported(clip), network(clip), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", VIDEOS)
def test_all_compile(name):
    torch._dynamo.reset()
    network, clip = VIDEOS[name].make(5).eval(), clip_for(name)
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(clip), network(clip), rtol=1e-4, atol=1e-5)
