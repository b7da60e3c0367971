"""`NonLocal.like(name)` is the block that the reference builds by default."""

import pytest

from wholeframe import convert, ops
from wholeframe.blocks import NonLocal
from wholeframe.blocks.conventions import CONVENTIONS, NAMES

DEFAULTS = {
    "slowfast": lambda c: convert.block("slowfast.Nonlocal", {"dim": c, "dim_inner": c // 2}),
    "mmcv": lambda c: convert.block("mmcv.NonLocal2d", {"in_channels": c}),
    "alexhex7": lambda c: convert.block("alexhex7.non_local_embedded_gaussian.NONLocalBlock2D", {"in_channels": c}),
    "timm": lambda c: convert.block("timm.NonLocalAttn", {"in_channels": c}),
}


def settings(block):
    """All options of a block, defaults included."""
    options = {name: value for name, value in vars(block).items() if not name.startswith("_") and name != "training"}
    shapes = {name: tuple(tensor.shape) for name, tensor in block.state_dict().items()}
    norm = block.norm and (block.norm.eps, block.norm.momentum)
    return options | {"shapes": shapes, "norm": norm, "pool_order": block.pool == 1 or block.pool_order}


@pytest.mark.parametrize("channels", [16, 100, 512])
@pytest.mark.parametrize("name", DEFAULTS)
def test_a_convention_is_the_default_of_its_reference(name, channels):
    assert settings(NonLocal.like(name, channels)) == settings(DEFAULTS[name](channels))


def test_slowfast_and_caffe2_differ_by_what_the_configurations_set():
    """`NONLOCAL.POOL: [1, 2, 2]` and `ZERO_INIT_FINAL_BN`, and the standard deviation that the model overwrites."""
    caffe2, slowfast = (settings(block) for block in (NonLocal.like("caffe2", 64), NonLocal.like("slowfast", 64)))
    assert {name for name in caffe2 if caffe2[name] != slowfast[name]} - {"keys"} == {
        "pool",
        "pool_order",
        "std",
        "init",
    }


def test_the_paper_is_unscaled_and_pools_its_projections():
    paper = NonLocal.like("paper", 64)
    assert (paper.scale, paper.pool, paper.pool_order, paper.std, paper.init) == (None, 2, "after", None, "identity")


@pytest.mark.parametrize("kind", ops.KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_convention_has_every_kind(name, kind):
    block = NonLocal.like(name, 64, kind=kind)
    assert block.kind == kind
    assert (block.scale is None) == (kind != "embedded_gaussian" or name in ("paper", "alexhex7"))


def test_overrides_win():
    assert NonLocal.like("slowfast", 64, pool=2, scale=0.3).scale == 0.3


def test_the_table_has_every_name():
    assert tuple(CONVENTIONS) == NAMES


def test_an_unknown_convention_is_refused():
    with pytest.raises(ValueError, match=r"convention='slow_fast' is not one of .*; did you mean 'slowfast'?"):
        NonLocal.like("slow_fast", 64)
