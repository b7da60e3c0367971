"""PySlowFast's `.pyth` files: names, geometry, what `cfg` states, and networks without a counterpart."""

import pytest
import torch
from video_layouts import NOPOOL, SLOWFAST, Layout, Network

from wholeframe import convert


def name(part, stage=None, index=None, n=None):
    if part in ("conv1", "bn1"):
        return f"s1.pathway0_stem.{part[:-1]}"
    if part == "fc":
        return "head.projection"
    residual, block = f"s{stage}.pathway0_res{index}.", f"s{stage}.pathway0_nonlocal{index}."
    if part in ("conv", "bn"):
        return f"{residual}branch2.{'abc'[n - 1]}{'_bn' if part == 'bn' else ''}"
    if part.startswith("shortcut"):
        return residual + part.replace("shortcut", "branch1")
    return block + ("bn" if part == "nl_bn" else f"conv_{part}")


LAYOUT = Layout(name)
NAMES = {"s1.pathway0_stem.conv.weight": torch.zeros(1), "s2.pathway0_res0.branch2.a.weight": torch.zeros(1)}
BASIC = {"depth": 18, "style": "3x3x3"}


@pytest.mark.slow
def test_an_i3d_of_every_option_that_shapes_show(converted):
    network = Network(LAYOUT, SLOWFAST, blocks=((2, 0), (3, 1), (4, 1)), **BASIC)
    state = network.state()
    found = converted(network, state, {"epoch": 3, "model_state": state, "optimizer_state": {}})
    assert found.source == "slowfast"
    assert set(found.blocks) == {"layer1.0", "layer2.1", "layer3.1"}
    assert found.report.conventions["strides and pools"].startswith("slowfast ")
    assert found.licence == "Apache-2.0"


@pytest.mark.slow
def test_the_slow_network_keeps_its_frames(converted):
    inflated = (0,) * 9, (0,) * 9, (1,) * 9, (1,) * 9
    network = Network(LAYOUT, NOPOOL, time=1, inflated=inflated, blocks=(), **BASIC)
    state = network.state()
    found = converted(network, state, {"model_state": state})
    assert "nopool" in found.report.conventions["strides and pools"]


CFG = """
MODEL: {{ARCH: {arch}}}
RESNET: {{STRIDE_1X1: false, SPATIAL_STRIDES: [[1], [2], [2], [2]]}}
NONLOCAL:
  GROUP: [[1], [{groups}], [1], [1]]
  INSTANTIATION: {kind}
  POOL: [[[1, 2, 2]], [[1, 2, 2]], [[1, 2, 2]], [[1, 2, 2]]]
DETECTION: {{ENABLE: {detects}}}
"""


@pytest.mark.slow
def test_what_the_cfg_states_is_read(converted):
    cfg = CFG.format(arch="c2d_nopool", groups=2, kind="dot_product", detects="false")
    network = Network(
        LAYOUT,
        NOPOOL,
        time=1,
        inflated=((0,) * 9,) * 4,
        blocks=((3, 0), (4, 1)),
        mode="dot_product",
        groups={3: 2},
        **BASIC,
    )
    state = network.state()
    found = converted(network, state, {"model_state": state, "cfg": cfg})
    assert "2 groups of frames" in found.report.conventions["non-local block at layer2.0"]
    assert "groups" not in found.report.conventions["non-local block at layer3.1"]


@pytest.mark.slow
def test_of_a_detector_of_actions_the_head_is_left(tmp_path):
    state = Network(LAYOUT, SLOWFAST, depth=50).state()
    cfg = CFG.format(arch="i3d", groups=1, kind="softmax", detects="true")
    cfg = cfg.replace("[[1], [2], [2], [2]]", "[[1], [2], [2], [1]], SPATIAL_DILATIONS: [[1], [1], [1], [2]]")
    torch.save({"model_state": state, "cfg": cfg}, tmp_path / "a.pyth")
    found = convert.checkpoint(tmp_path / "a.pyth")
    assert set(found.report.left) == {"head.projection.weight", "head.projection.bias"}
    assert "detector of actions" in found.report.left["head.projection.bias"] and set(found.report.new) == {
        "fc.weight",
        "fc.bias",
    }
    assert found.report.conventions["res5"] == "stride 1, dilation 2"
    last = found.network.layer4[1].conv2
    assert (last.dilation, last.padding) == ((1, 2, 2), (0, 2, 2)) and found.network.layer3[1].conv2.dilation[1] == 1
    assert found.network.layer4(torch.zeros(1, 1024, 2, 6, 5)).shape == (1, 2048, 2, 6, 5)
    assert torch.equal(found.network.layer4[0].conv2.weight, state["s5.pathway0_res0.branch2.b.weight"])


@pytest.mark.parametrize("strides", ["[[1], [2], [1], [1]]", "[[1], [2], [2], [3]]", "[[1], [2]]"])
def test_other_strides_are_refused(strides, tmp_path):
    cfg = CFG.format(arch="i3d", groups=1, kind="softmax", detects="true").replace("[[1], [2], [2], [2]]", strides)
    torch.save({"model_state": NAMES, "cfg": cfg}, tmp_path / "a.pyth")
    with pytest.raises(ValueError, match=r"its cfg has RESNET.SPATIAL_STRIDES .*the last one 1 or 2"):
        convert.checkpoint(tmp_path / "a.pyth")


@pytest.mark.slow
def test_statistics_of_parts_of_a_batch_are_left(converted):
    """`SubBatchNorm3d` has them apart from those of the batch, which an evaluation takes."""
    network = Network(LAYOUT, SLOWFAST, **BASIC)
    plain = network.state()
    state = {key.replace("bn.running", "bn.bn.running"): tensor for key, tensor in plain.items()}
    split = {key.replace("bn.bn.", "bn.split_bn."): tensor for key, tensor in state.items() if "bn.bn." in key}
    found = converted(lambda _, clip: network(plain, clip), state | split, {"model_state": state | split})
    assert set(found.report.left) == set(split) and split


def test_two_pathways_are_refused(tmp_path):
    torch.save({"model_state": NAMES | {"s1.pathway1_stem.conv.weight": torch.zeros(8)}}, tmp_path / "a.pyth")
    with pytest.raises(ValueError, match=r"'s1.pathway1_stem.conv.weight' of a second pathway"):
        convert.checkpoint(tmp_path / "a.pyth")


@pytest.mark.slow
def test_the_published_i3d_of_depth_50(converted):
    network = Network(LAYOUT, SLOWFAST, depth=50, blocks=((3, 1), (3, 3), (4, 1), (4, 3), (4, 5)), classes=400)
    state = network.state()
    converted(network, state, {"model_state": state}, clip=(1, 3, 8, 64, 64))
