"""Residual blocks of GCNet and SlowFast around our block: its site, strides, kernels over time, refusals."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

import wholeframe as wf
from wholeframe import convert
from wholeframe.blocks import GlobalContext, NonLocal

GCB = {"inplanes": 16, "planes": 4, "gcb": {"ratio": 0.25}}
STAGE = {
    "dim_in": [4],
    "dim_out": [8],
    "stride": [2],
    "temp_kernel_sizes": [[3, 1]],
    "num_blocks": [3],
    "dim_inner": [4],
    "num_groups": [1],
    "num_block_temp_kernel": [3],
    "nonlocal_inds": [[1]],
    "nonlocal_group": [1],
    "nonlocal_pool": [[1, 2, 2]],
    "dilation": [1],
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def randomised(network):
    """In float64, with every tensor drawn at random."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.1, 1)
    return network.double().eval()


def test_the_context_block_of_gcnet_is_where_insert_puts_it():
    ours = randomised(convert.block("gcnet.Bottleneck", GCB))
    assert isinstance(ours.bn3[1], GlobalContext)
    residual = Bottleneck(16, 4).double().eval()
    residual.load_state_dict({k.replace("bn3.0", "bn3"): t for k, t in ours.state_dict().items() if "bn3.1" not in k})
    x = torch.randn(2, 16, 6, 5, dtype=torch.float64)
    plain = residual(x)
    wf.insert(residual, lambda channels: GlobalContext(channels, ratio=0.25).double(), at="bn3", example=x)
    residual.bn3.wholeframe.load_state_dict(ours.bn3[1].state_dict())
    assert torch.equal(residual(x), ours(x))
    assert not torch.allclose(ours(x), plain)


@pytest.mark.parametrize(("style", "strides"), [("pytorch", (1, 2)), ("caffe", (2, 1))])
def test_styles_of_gcnet_have_their_stride_in_one_of_two_places(style, strides):
    downsample = nn.Sequential(nn.Conv2d(16, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    block = convert.block("gcnet.Bottleneck", {**GCB, "stride": 2, "style": style, "downsample": downsample})
    assert (block.conv1.stride[0], block.conv2.stride[0]) == strides
    assert block(torch.randn(2, 16, 6, 5)).shape == (2, 16, 3, 3)


def test_the_non_local_block_of_a_stage_is_where_insert_puts_it():
    ours = randomised(convert.block("slowfast.ResStage", STAGE))
    assert list(dict(ours.named_children())) == [
        "pathway0_res0",
        "pathway0_res1",
        "pathway0_nonlocal1",
        "pathway0_res2",
    ]
    stage = convert.block("slowfast.ResStage", {**STAGE, "nonlocal_inds": [[]]}).double().eval()
    stage.load_state_dict({key: tensor for key, tensor in ours.state_dict().items() if "nonlocal" not in key})
    x = torch.randn(1, 4, 4, 9, 8, dtype=torch.float64)
    plain = stage(x)
    block = ours.pathway0_nonlocal1
    wf.insert(stage, lambda channels: block, at="pathway0_res1", example=x)
    assert torch.equal(stage(x), ours(x))
    assert not torch.allclose(ours(x), plain)
    assert (block.inner, block.pool, block.pool_order) == (4, (1, 2, 2), "before")


def test_an_untrained_stage_has_a_random_block_as_in_the_reference():
    block = convert.block("slowfast.ResStage", STAGE).pathway0_nonlocal1
    assert isinstance(block, NonLocal) and not block.identity_at_init


@pytest.mark.parametrize(
    ("kernels", "blocks", "widths"), [([3], 3, [3, 3, 3]), ([3, 1], 3, [3, 1, 3]), ([3], 1, [3, 1, 1])]
)
def test_kernels_over_time_repeat_for_the_first_blocks(kernels, blocks, widths):
    arguments = {**STAGE, "temp_kernel_sizes": [kernels], "num_block_temp_kernel": [blocks]}
    network = convert.block("slowfast.ResStage", arguments)
    assert [network.get_submodule(f"pathway0_res{i}.branch2.a").kernel_size[0] for i in range(3)] == widths


def test_a_stage_may_stride_first_and_dilate():
    for stride_1x1, first, second in ((False, 1, 2), (True, 2, 1)):
        network = convert.block("slowfast.ResStage", {**STAGE, "stride_1x1": stride_1x1, "dilation": [2]})
        two = network.pathway0_res0.branch2
        assert (two["a"].stride[1], two["b"].stride[1]) == (first, second)
        assert network(torch.randn(1, 4, 2, 9, 8)).shape == (1, 8, 2, 5, 4)


def test_a_stage_of_two_pathways_is_refused():
    with pytest.raises(ValueError, match="a stage of 2 pathways has no counterpart here; convert them one by one"):
        convert.block("slowfast.ResStage", {**STAGE, "dim_in": [4, 2]})


def test_numbers_in_names_are_carried():
    source = convert.SOURCES["slowfast.ResStage"]
    assert source.rename("pathway0_nonlocal12.conv_g.bias") == "pathway0_nonlocal12.g.bias"
    assert source.theirs("pathway0_nonlocal12.norm.weight") == ["pathway0_nonlocal12.bn.weight"]
    with pytest.raises(ValueError, match=r"the state has 'pathway1_res0\.branch2\.a\.weight', but this reference's"):
        source.rename("pathway1_res0.branch2.a.weight")
