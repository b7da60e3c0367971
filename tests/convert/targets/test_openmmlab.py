"""Networks in OpenMMLab's names: clips, images, gates; the configuration reads them without options."""

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe import convert
from wholeframe.blocks import NonLocal
from wholeframe.convert import back
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.surgery.placement import Layout, attach
from wholeframe.surgery.record import remember


def clips(convention="mmaction2", site="layer3.3", **options):
    made = VideoResNet.like(convention, "slowonly" if convention == "nopool" else "i3d", 50, num_classes=5)
    block = NonLocal.like("mmcv", 1024, **{"norm": "bn", "out_bias": False, "pool": 2, **options})
    attach(made.get_submodule(site), block, Layout())
    remember(made, {site: 1024})
    return made.eval()


def images(*sites, **options):
    made = wf.create_model("r18", 5)
    for site in sites:
        width = 64 << (int(site[5]) - 1)
        attach(made.get_submodule(site), NonLocal.like("mmcv", width, **options), Layout())
        remember(made, {site: width})
    return made.eval()


def round_trip(ours, folder, source):
    written = back.to(ours, "mmcv")
    again = convert.checkpoint(written.save(folder / "net.pth"))
    own, other = ours.state_dict(), again.network.state_dict()
    assert again.source == source and again.report.left == again.report.new == {}
    assert own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)
    return written, again


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"convention": "slowfast", "scale": None, "pool": 1}, marks=pytest.mark.slow),
        pytest.param({"convention": "nopool", "kind": "dot", "scale": None}, marks=pytest.mark.slow),
        pytest.param({"kind": "gaussian", "scale": None}, marks=pytest.mark.slow),
        pytest.param({"kind": "concatenation", "scale": None}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_clips_are_read_again(options, tmp_path):
    ours = clips(**options)
    written, again = round_trip(ours, tmp_path, "mmaction2")
    pooled = options.get("pool", 2) == 2
    name = f"backbone.layer3.3.non_local_block.g{'.0' if pooled else ''}.conv.weight"
    assert written.state[name].shape == (512, 1024, 1, 1, 1)
    clip = torch.randn(1, 3, 8, 32, 32)
    assert torch.equal(ours(clip), again.network(clip))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_order": "before"}, r"has pool_order='before' here and pool_order='after' there"),
        pytest.param(
            {"out_bias": True}, r"'backbone.layer3.3.non_local_block.conv_out.conv.bias'", marks=pytest.mark.slow
        ),
        pytest.param(
            {"frame_groups": 2}, r"has frame_groups=2 here and frame_groups=None there", marks=pytest.mark.slow
        ),
        pytest.param({"scale": 0.3}, r"has scale=0.3 here", marks=pytest.mark.slow),
        ({"convention": "caffe2"}, r"mmaction2 has the strides and pools of .* pool1 \(1, 3, 3\)"),
        pytest.param(
            {"site": "layer3.3.bn3"},
            r"non-local blocks after a residual block.*the one at 'layer3.3.bn3' is a NonLocal",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_clips_cannot_express_is_refused(options, message):
    with torch.device("meta"):
        ours = clips(**options)
    with pytest.raises(ValueError, match=message):
        back.to(ours, "mmcv")


def test_non_local_blocks_of_images_are_read_again(tmp_path):
    ours = images("layer3.0.bn2", "layer3.1.bn2")
    written, _ = round_trip(ours, tmp_path, "mmdetection")
    assert "backbone.layer3.1.nonlocal_block.theta.conv.weight" in written.state
    assert "stages=(False, False, True, False), position='after_conv3'" in written.content["meta"]["config"]


def test_places_of_images_are_refused():
    with pytest.raises(ValueError, match=r"before the residual sum, at layer3.1.bn2 .*one at 'layer3.1', which is an"):
        back.to(images("layer3.1"), "mmcv")
    with pytest.raises(ValueError, match=r"every block of a stage the same block, and of layer3 1 of 2 have one"):
        back.to(images("layer3.1.bn2"), "mmcv")
    with pytest.raises(
        ValueError, match=r"OpenMMLab's backbones are ResNets of images and of clips, and this is a Lin"
    ):
        back.to(nn.Linear(2, 2), "mmcv")
    with torch.device("meta"):
        gates = wf.create_model("r18_se", 5)
    with pytest.raises(ValueError, match=r"mmpretrain has gates in ResNets with bottlenecks, and this one has basic"):
        back.to(gates, "mmcv")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r50_gc", "r50_gc_avg_scale", "r50_gc_r4", "r50_se"])
@pytest.mark.parametrize("stride", ["3x3", "1x1"])
def test_named_networks_are_read_again(name, stride, tmp_path):
    ours = wf.create_model(name, 5, stride=stride).eval()
    _, again = round_trip(ours, tmp_path, "mmpretrain" if name == "r50_se" else "mmdetection")
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(x), again.network(x))
