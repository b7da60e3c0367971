"""Files of mmsegmentation: a dilated backbone with a stem of three convolutions, and a block in the head."""

import pytest
import timm
import torch
from image_layouts import (
    context_forward,
    context_state,
    draw,
    non_local_forward,
    non_local_state,
    prefixed,
    randomised,
    saved,
)

import wholeframe as wf
from wholeframe.models.origin import origin_of

IMAGE = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
STEM = {"conv1.0": "stem.0", "conv1.1": "stem.1", "conv1.3": "stem.3", "conv1.4": "stem.4", "conv1.6": "stem.6"}
HEAD = {
    "decode_head.conv_seg.weight": torch.zeros(19, 8, 1, 1),
    "decode_head.convs.0.conv.weight": torch.zeros(8, 64, 3, 3),
    "auxiliary_head.conv_seg.weight": torch.zeros(19, 8, 1, 1),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def tiny(output_stride):
    options = {"layers": [1, 1, 1, 2], "channels": [8, 8, 16, 32], "num_classes": 0}
    return randomised(
        timm.create_model("resnet50", stem_type="deep", stem_width=8, output_stride=output_stride, **options)
    )


def in_their_names(backbone):
    """`stem.7` is the norm after the last convolution of the stem."""
    state = {}
    for key, tensor in backbone.state_dict().items():
        layer, _, tail = key.rpartition(".")
        state[f"backbone.{STEM.get(layer, 'stem.7' if layer == 'bn1' else layer)}.{tail}"] = tensor
    return state


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "block", "forward"),
    [
        ("gc_block", lambda: context_state(8, 2), context_forward),
        ("nl_block", lambda: non_local_state(8, 4), non_local_forward),
    ],
)
def test_a_head_and_its_backbone(tmp_path, name, block, forward):
    theirs, block = tiny(8), block()
    state = in_their_names(theirs) | prefixed(f"decode_head.{name}.", block) | HEAD
    converted = wf.convert.checkpoint(saved(tmp_path, state, meta={"CLASSES": ["road"]}))
    torch.testing.assert_close(converted.network(IMAGE), theirs(IMAGE))
    coarser = wf.convert.checkpoint(tmp_path / "network.pth", output_stride=32)
    assert not torch.allclose(converted.network(IMAGE), coarser.network(IMAGE))
    x = draw(2, 8, 5, 4)
    ours = converted.blocks[f"decode_head.{name}"]
    torch.testing.assert_close(ours(x), forward(block, x))
    assert converted.source == "mmsegmentation"
    assert converted.report.left.keys() == HEAD.keys()
    assert set(converted.report.loaded.values()) | HEAD.keys() == state.keys()
    assert converted.report.conventions["output stride"] == "8"


def test_the_output_stride_is_read_from_the_configuration(tmp_path):
    state = in_their_names(tiny(16)) | prefixed("decode_head.gc_block.", context_state(8, 2))
    text = "model = dict(backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)))"
    converted = wf.convert.checkpoint(saved(tmp_path, state, meta={"config": text}))
    assert origin_of(converted.network).arguments["output_stride"] == 16


def test_a_disentangled_head_is_of_no_source(tmp_path):
    """Its `dnl_block` has the names of a non-local block and a map of unary attention, which no block here has."""
    block = {**non_local_state(8, 4), "conv_mask.weight": draw(1, 8, 1, 1)}
    state = in_their_names(tiny(8)) | prefixed("decode_head.dnl_block.", block)
    with pytest.raises(ValueError, match=r"is a ResNet .* without a block of any of the 20 sources"):
        wf.convert.checkpoint(saved(tmp_path, state))


def test_a_dilated_network_of_basic_blocks_gives_its_block_alone(tmp_path):
    theirs = randomised(timm.create_model("resnet18", layers=[1, 1, 1, 1], channels=[8, 8, 8, 8], num_classes=0))
    block = context_state(8, 2)
    state = prefixed("backbone.", theirs.state_dict()) | prefixed("decode_head.gc_block.", block)
    converted = wf.convert.checkpoint(saved(tmp_path, state))
    assert converted.network is None
    assert list(converted.blocks) == ["decode_head.gc_block"]
    assert {"dilated ResNet of basic blocks" in reason for reason in converted.report.left.values()} == {True}
    plain = wf.convert.checkpoint(tmp_path / "network.pth", output_stride=32)
    torch.testing.assert_close(plain.network(IMAGE), theirs(IMAGE))
