"""mmcv's own blocks, loaded with what `wf.convert.to` writes, compute what ours compute."""

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.blocks import NonLocal
from wholeframe.convert import to
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.surgery.placement import Layout, attach
from wholeframe.surgery.record import remember

bricks = pytest.importorskip("mmcv.cnn.bricks", reason="uv sync --extra tools installs mmcv-lite")


def randomised(module):
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1) if tensor.ndim < 2 else nn.init.normal_(tensor, 0, 0.1)
    return module.eval()


def part(state, prefix):
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


@pytest.mark.parametrize(("name", "fusion"), [("r18_gc", "channel_add"), ("r50_gc_avg_scale", "channel_mul")])
def test_context_blocks(name, fusion):
    torch.manual_seed(0)
    ours = randomised(wf.create_model(name, 5))
    site = "layer3.1.bn2" if name == "r18_gc" else "layer3.1.bn3"
    block = ours.get_submodule(site).wholeframe
    written = to(ours, "mmcv")
    pooling = "att" if name == "r18_gc" else "avg"
    theirs = bricks.ContextBlock(block.channels, ratio=1 / 16, pooling_type=pooling, fusion_types=(fusion,)).eval()
    theirs.load_state_dict(part(written.state, "backbone.layer3.1.context_block."))
    x = torch.randn(2, block.channels, 5, 4)
    torch.testing.assert_close(theirs(x), block(x))


@pytest.mark.parametrize("mode", ["embedded_gaussian", "dot_product", "gaussian", "concatenation"])
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("rank", [2, 3])
def test_non_local_blocks(rank, pool, mode):
    torch.manual_seed(0)
    kind = "dot" if mode == "dot_product" else mode
    scale = "sqrt_dim" if mode == "embedded_gaussian" else None
    options = {"kind": kind, "scale": scale, "pool": pool, "norm": "bn", "out_bias": False}
    if rank == 2:
        ours, sites, width = wf.create_model("r18", 5), ("layer2.0.bn2", "layer2.1.bn2"), 128
        prefix = "backbone.layer2.1.nonlocal_block."
    else:
        ours, sites, width = VideoResNet.like("mmaction2", "i3d", 50, num_classes=5), ("layer2.1",), 512
        prefix = "backbone.layer2.1.non_local_block."
    for site in sites:
        attach(ours.get_submodule(site), NonLocal.like("mmcv", width, **options), Layout())
        remember(ours, {site: width})
    block = randomised(ours).get_submodule(sites[-1]).wholeframe
    theirs = getattr(bricks, f"NonLocal{rank}d")(
        width, mode=mode, sub_sample=pool == 2, norm_cfg={"type": f"BN{rank}d"}
    ).eval()
    theirs.load_state_dict(part(to(ours, "mmcv").state, prefix))
    x = torch.randn(2, width, *([2] if rank == 3 else []), 5, 4, dtype=torch.float64)
    torch.testing.assert_close(theirs.double()(x), block.double()(x), rtol=1e-9, atol=1e-9)
