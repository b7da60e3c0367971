"""MMAction2's files: names, the three functions of its block, and what its configuration states."""

import pytest
import torch
from video_layouts import MMACTION2, NOPOOL, SLOWFAST, Layout, Network

from wholeframe import convert


def layout(pooled, prefix="backbone."):
    def name(part, stage=None, index=None, n=None):
        if part == "fc":
            return "cls_head.fc_cls"
        if part in ("conv1", "bn1"):
            return f"{prefix}conv1.{part[:-1]}"
        inside = f"{prefix}layer{stage - 1}.{index}."
        if part in ("conv", "bn"):
            return f"{inside}conv{n}.{part}"
        if part.startswith("shortcut"):
            return f"{inside}downsample.{'bn' if part.endswith('bn') else 'conv'}"
        if part in ("out", "nl_bn"):
            return f"{inside}non_local_block.conv_out.{'conv' if part == 'out' else 'bn'}"
        return f"{inside}non_local_block.{part}{'.0' if pooled and part != 'theta' else ''}.conv"

    return Layout(name)


PLAIN = {"depth": 50, "scaled": False, "out_bias": False}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["embedded_gaussian", "dot_product", "gaussian"])
def test_each_function_of_the_block(converted, mode):
    network = Network(layout(True), MMACTION2, blocks=((3, 1), (4, 1)), mode=mode, pooled="after", **PLAIN)
    state = network.state()
    options = {} if mode == "gaussian" else {"mode": mode, "use_scale": False}
    found = converted(network, state, {"meta": {}, "state_dict": state}, clip=(1, 3, 16, 40, 40), **options)
    assert found.source == "mmaction2" and found.mean == (0.485, 0.456, 0.406)


CONFIG = """
num = 3 * 4
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='ResNet3d', depth=50, conv1_stride_t=1, pool1_stride_t=1, pretrained=some.function(),
        non_local_cfg=dict(sub_sample=False, use_scale=True, norm_cfg=None, mode='embedded_gaussian')))
"""


@pytest.mark.slow
def test_the_configuration_is_read(converted):
    network = Network(layout(False), SLOWFAST, blocks=((3, 1),), depth=50, block_bn=False, pooled="")
    state = network.state()
    found = converted(network, state, {"meta": {"config": CONFIG}, "state_dict": state})
    assert "scale 1/sqrt(inner)" in found.report.conventions["non-local block at layer2.1"]


@pytest.mark.slow
def test_a_basic_block_with_two_kernels_over_time(converted):
    network = Network(layout(False), MMACTION2, style="two 3x3x3", blocks=(), classes=3)
    state = network.state()
    found = converted(network, state, {"state_dict": state}, clip=(1, 3, 8, 32, 32))
    block = found.network.layer1[0]
    assert block.conv1.kernel_size == block.conv2.kernel_size == (3, 3, 3)


def test_of_a_detector_of_actions_the_head_is_left(tmp_path):
    state = Network(layout(False), NOPOOL, blocks=()).state()
    heads = {"roi_head.bbox_head.fc_cls.weight": torch.ones(2), "neck.conv.weight": torch.ones(1)}
    body = {key: tensor for key, tensor in state.items() if not key.startswith("cls_head.")}
    torch.save({"meta": {}, "state_dict": body | heads}, tmp_path / "ava.pth")
    found = convert.checkpoint(tmp_path / "ava.pth")
    assert set(found.report.left) == set(heads) and set(found.report.new) == {"fc.weight", "fc.bias"}
    assert found.report.conventions["res5"] == "stride 1, dilation 1"
    assert found.network.layer4[0].conv1.stride == (1, 1, 1) and found.network.layer3[0].conv1.stride == (1, 2, 2)
    assert torch.equal(found.network.layer4[0].conv1.weight, state["backbone.layer4.0.conv1.conv.weight"])


def test_other_strides_in_a_configuration_are_refused(tmp_path):
    config = "model = dict(backbone=dict(type='ResNet3dSlowOnly', spatial_strides=(1, 1, 2, 2)))"
    state = {"backbone.conv1.conv.weight": torch.ones(1), "backbone.layer1.0.conv1.conv.weight": torch.ones(1)}
    torch.save({"meta": {"config": config}, "state_dict": state}, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"has spatial_strides=\(1, 1, 2, 2\) and dilations=\(1, 1, 1, 1\); here they"):
        convert.checkpoint(tmp_path / "file.pth")


@pytest.mark.slow
def test_slow_only_and_a_backbone_without_prefix(converted):
    inflated = (0,) * 9, (0,) * 9, (1,) * 9, (1,) * 9
    network = Network(layout(False, prefix=""), NOPOOL, time=1, inflated=inflated, blocks=(), depth=50)
    state = network.state()
    converted(network, state, state)


def test_what_no_tensor_shows_has_to_be_said(tmp_path):
    state = Network(layout(True), MMACTION2, style="3x3x3", out_bias=False).state()
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"give mode='embedded_gaussian' or mode='dot_product'"):
        convert.checkpoint(tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"give use_scale=False, as in the published networks, or use_scale=True"):
        convert.checkpoint(tmp_path / "a.pth", mode="embedded_gaussian")
    found = convert.checkpoint(tmp_path / "a.pth", mode="dot_product")
    assert found.blocks["layer2.1"].kind == "dot"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"backbone.conv1.conv.weight": (8, 3, 7, 7)},
            r"for a C2D give convention='slowfast'; a TSN has no counterpart",
        ),
        ({"backbone.slow_path.conv1.conv.weight": (8, 3, 1, 7, 7)}, r"of a second pathway"),
    ],
)
def test_other_networks_are_refused(tmp_path, keys, message):
    names = keys | {"backbone.layer1.0.conv1.conv.weight": (1,)}
    torch.save({key: torch.zeros(shape) for key, shape in names.items()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=message):
        convert.checkpoint(tmp_path / "a.pth")
