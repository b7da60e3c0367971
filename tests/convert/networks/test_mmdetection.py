"""Detectors of mmdetection and GCNet: context blocks and non-local blocks in the backbone, heads left with reasons."""

import pytest
import timm
import torch
import torchvision
from image_layouts import (
    context_forward,
    context_state,
    draw,
    hooked,
    non_local_forward,
    non_local_state,
    prefixed,
    randomised,
    saved,
)

import wholeframe as wf
from wholeframe.models.origin import origin_of

IMAGE = torch.randn(2, 3, 40, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TINY = {"layers": [1, 2, 1, 1], "channels": [8, 8, 16, 16], "num_classes": 0}
HEADS = {
    "neck.lateral_convs.0.conv.weight": torch.zeros(4, 4, 1, 1),
    "rpn_head.rpn_conv.weight": torch.zeros(4, 4, 3, 3),
    "roi_head.bbox_head.fc_cls.weight": torch.zeros(4, 4),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def tiny(**more):
    return randomised(timm.create_model("resnet50", **{**TINY, **more}))


def detector(backbone, blocks, forward, sites, prefix="backbone."):
    """The state of a detector, and the output of its backbone with these functions at these sites."""
    state = prefixed(prefix, {k: v for k, v in backbone.state_dict().items() if "num_batches" not in k})
    for place, block in blocks.items():
        state |= prefixed(f"{prefix}{place}.", block)
    functions = {
        site: lambda x, block=block: forward(block, x) for site, block in zip(sites, blocks.values(), strict=True)
    }
    return state, hooked(backbone, functions)(IMAGE)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("kinds", "attention", "name", "prefix"),
    [
        (("add",), True, "context_block", "backbone."),
        (("mul",), True, "context_block1", "backbone."),
        (("add", "mul"), True, "context_block", ""),
        (("add",), False, "context_block_c4", "backbone."),
    ],
)
def test_context_blocks_before_the_sum(tmp_path, kinds, attention, name, prefix):
    blocks = {
        f"layer{place}.{name}": context_state(channels, 4, kinds=kinds, attention=attention)
        for place, channels in {"2.0": 32, "2.1": 32, "3.0": 64, "4.0": 64}.items()
    }
    sites = [f"{place.rpartition('.')[0]}.bn3" for place in blocks]
    state, expected = detector(tiny(), blocks, context_forward, sites, prefix)
    heads = HEADS if prefix else {}
    converted = wf.convert.checkpoint(saved(tmp_path, state | heads, meta={"epoch": 12}))
    torch.testing.assert_close(converted.network(IMAGE), expected)
    assert converted.source == "mmdetection"
    assert list(converted.blocks) == sites
    assert converted.report.left.keys() == heads.keys()
    assert converted.report.new == {}
    assert all("which has no counterpart here" in reason for reason in converted.report.left.values())


@pytest.mark.parametrize(("mode", "pooled", "norm"), [("embedded_gaussian", False, True), ("dot_product", True, False)])
def test_a_non_local_plugin(tmp_path, mode, pooled, norm):
    blocks = {"layer3.0.nonlocal_block": non_local_state(64, 32, pooled=pooled, norm=norm)}
    state, expected = detector(tiny(), blocks, lambda b, x: non_local_forward(b, x, mode=mode), ["layer3.0.bn3"])
    converted = wf.convert.checkpoint(saved(tmp_path, state), mode=mode)
    torch.testing.assert_close(converted.network(IMAGE), expected)
    assert mode in converted.report.conventions["non-local blocks"]


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("position", "site"), [("after_conv1", "act1"), ("after_conv2", "act2")])
def test_a_block_inside_a_residual_block_needs_its_position(tmp_path, position, site):
    blocks = {"layer3.0.context_block": context_state(16, 4)}
    state, expected = detector(tiny(), blocks, context_forward, [f"layer3.0.{site}"])
    path = saved(tmp_path, state)
    with pytest.raises(
        ValueError, match="on which side of it the block is; give position=, one of 'after_conv1', 'aft"
    ):
        wf.convert.checkpoint(path)
    torch.testing.assert_close(wf.convert.checkpoint(path, position=position).network(IMAGE), expected)
    plugin = f"dict(cfg=dict(type='ContextBlock', ratio=0.25), stages=(False, True), position='{position}')"
    text = f"model = dict(backbone=dict(plugins=[{plugin}], norm_cfg=dict(type='SyncBN')))"
    path = saved(tmp_path, state, meta={"config": text})
    torch.testing.assert_close(wf.convert.checkpoint(path).network(IMAGE), expected)


def test_a_resnext_is_read_from_its_kernels(tmp_path):
    backbone = tiny(cardinality=2, base_width=16)
    state, expected = detector(
        backbone, {"layer2.0.context_block": context_state(32, 4)}, context_forward, ["layer2.0.bn3"]
    )
    converted = wf.convert.checkpoint(saved(tmp_path, state))
    torch.testing.assert_close(converted.network(IMAGE), expected)
    assert origin_of(converted.network).arguments["cardinality"] == 2


def test_a_resnet_d_averages_its_shortcuts(tmp_path):
    backbone = tiny(stem_type="deep", stem_width=8, avg_down=True)
    blocks = {"layer2.0.context_block": context_state(32, 4)}
    state, expected = detector(backbone, blocks, context_forward, ["layer2.0.bn3"])
    stem = {"backbone.conv1.": "backbone.stem.", "backbone.bn1.": "backbone.stem.7."}
    renamed = {
        next((ours + key.removeprefix(old) for old, ours in stem.items() if key.startswith(old)), key): tensor
        for key, tensor in state.items()
    }
    converted = wf.convert.checkpoint(saved(tmp_path, renamed))
    torch.testing.assert_close(converted.network(IMAGE), expected)


@pytest.mark.parametrize(
    ("key", "shape", "reason"),
    [
        ("layer4.0.conv2.conv_offset.weight", (27, 16, 3, 3), "deformable convolutions"),
        ("layer4.0.conv2_offset.weight", (27, 16, 3, 3), "deformable convolutions"),
        ("layer4.0.gen_attention_block.query_conv.weight", (9, 64, 1, 1), "have parts"),
    ],
)
def test_of_a_backbone_without_a_counterpart_the_blocks_are_converted(tmp_path, key, shape, reason):
    block = context_state(32, 4)
    state, _ = detector(tiny(), {"layer2.0.context_block": block}, context_forward, ["layer2.0.bn3"])
    converted = wf.convert.checkpoint(saved(tmp_path, state | {f"backbone.{key}": torch.zeros(shape)}))
    assert converted.network is None
    x = draw(2, 32, 5, 4)
    torch.testing.assert_close(
        converted.blocks["backbone.layer2.0.context_block"].double()(x), context_forward(block, x)
    )
    assert {reason in why for why in converted.report.left.values()} == {True}
    assert len(converted.report.left) == len(state) + 1 - len(block)


def test_group_norms_and_two_blocks_at_one_place(tmp_path):
    state, _ = detector(tiny(), {"layer2.0.context_block": context_state(32, 4)}, context_forward, ["layer2.0.bn3"])
    grouped = {key.replace("bn", "gn"): tensor for key, tensor in state.items() if "running" not in key}
    converted = wf.convert.checkpoint(saved(tmp_path, grouped))
    assert converted.network is None
    assert {"group norms" in reason for reason in converted.report.left.values()} == {True}
    second = prefixed("backbone.layer2.0.context_block2.", context_state(32, 4))
    with pytest.raises(ValueError, match=r"two blocks have the place layer2\.0\.bn3"):
        wf.convert.checkpoint(saved(tmp_path, state | second))


def test_a_block_in_a_neck_has_no_site(tmp_path):
    state, _ = detector(tiny(), {"layer2.0.context_block": context_state(32, 4)}, context_forward, ["layer2.0.bn3"])
    refine = non_local_state(8, 4, norm=False)
    converted = wf.convert.checkpoint(saved(tmp_path, state | prefixed("neck.1.refine.", refine)))
    x = draw(2, 8, 5, 4)
    torch.testing.assert_close(converted.blocks["neck.1.refine"](x), non_local_forward(refine, x))
    assert converted.report.left == {}


def test_the_style_is_read_from_the_configuration(tmp_path):
    """With widths that no published network has, Caffe's strides have no counterpart, so the reason shows the style."""
    state, _ = detector(tiny(), {"layer2.0.context_block": context_state(32, 4)}, context_forward, ["layer2.0.bn3"])
    path = saved(tmp_path, state, meta={"cfg": "model = dict(backbone=dict(style='caffe'))"})
    assert "Caffe's strides" in next(iter(wf.convert.checkpoint(path).report.left.values()))
    assert wf.convert.checkpoint(path, style="pytorch").network is not None


@pytest.mark.slow
@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_a_resnet_50_in_both_styles(tmp_path, style):
    backbone = torchvision.models.resnet50()
    backbone.fc = torch.nn.Identity()
    for stage in (2, 3, 4) if style == "caffe" else ():
        block = backbone.get_submodule(f"layer{stage}.0")
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    randomised(backbone)
    blocks = {f"layer{stage}.0.context_block": context_state(256 * 2 ** (stage - 1), 16) for stage in (2, 3, 4)}
    sites = [f"layer{stage}.0.bn3" for stage in (2, 3, 4)]
    state, expected = detector(backbone, blocks, context_forward, sites)
    converted = wf.convert.checkpoint(saved(tmp_path, state | HEADS), style=style)
    torch.testing.assert_close(converted.network(IMAGE), expected)
    assert origin_of(converted.network).library == {"pytorch": "torchvision", "caffe": "wholeframe"}[style]
    assert style == "pytorch" or not torch.allclose(
        wf.convert.checkpoint(saved(tmp_path, state)).network(IMAGE), expected
    )


def test_a_block_in_the_neck_alone_is_converted_apart(tmp_path):
    """The balanced pyramid of Libra R-CNN, a non-local block as wide inside as outside."""
    backbone = tiny()
    state = prefixed("backbone.", {k: v for k, v in backbone.state_dict().items() if "num_batches" not in k})
    block = non_local_state(6, 6, norm=False)
    path = saved(tmp_path, state | HEADS | prefixed("neck.1.refine.", block), meta={})
    converted = wf.convert.checkpoint(path, use_scale=False)
    assert converted.source == "mmdetection" and set(converted.blocks) == {"neck.1.refine"}
    assert set(converted.report.left) == set(HEADS) and not wf.blocks_of(converted.network)
    assert converted.report.conventions["non-local blocks"] == "embedded_gaussian, scale none"
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(converted.blocks["neck.1.refine"](x), non_local_forward(block, x, use_scale=False))


def test_blocks_of_mmcv_in_another_backbone_are_converted_alone(tmp_path):
    context, block = context_state(8, 2), non_local_state(8, 4)
    state = {"backbone.stem.conv.weight": draw(8, 3, 3, 3)} | prefixed("backbone.stages.0.gcb.", context)
    state |= prefixed("backbone.layer2.1.non_local_block.", block)
    converted = wf.convert.checkpoint(saved(tmp_path, state, meta={}), use_scale=True)
    assert converted.network is None and set(converted.report.left) == {"backbone.stem.conv.weight"}
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(converted.blocks["backbone.stages.0.gcb"](x), context_forward(context, x))
    name = "backbone.layer2.1.non_local_block"
    torch.testing.assert_close(converted.blocks[name](x), non_local_forward(block, x))


def test_a_disentangled_block_is_not_taken_for_a_non_local_one(tmp_path):
    block = non_local_state(8, 4) | {"conv_mask.weight": draw(1, 8, 1, 1)}
    with pytest.raises(ValueError, match=r"is of none of the sources \(mmdetection: it has 'decode_head.dnl_block"):
        wf.convert.checkpoint(saved(tmp_path, prefixed("decode_head.dnl_block.", block), meta={}))
