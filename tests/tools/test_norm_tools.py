"""Tools that replace or fold batch norms, with a block at a batch norm, after a residual sum, and in a baked network.

A tool that takes the module of a site away takes the block with it. That cannot be prevented from outside, so
`wf.verify` names the site, and `wf.bake` gives a network in which these tools find ordinary modules.
"""

import copy

import pytest
import torch
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx
from torch.fx.experimental import optimization
from torchvision.models.resnet import Bottleneck, ResNet

import wholeframe as wf


def convert_sync_batchnorm_of_torch(model):
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def convert_sync_batchnorm_of_timm(model):
    layers = pytest.importorskip("timm.layers", reason="uv sync --extra tools installs timm")
    return layers.convert_sync_batchnorm(model)


def freeze_batch_norm_2d_of_timm(model):
    layers = pytest.importorskip("timm.layers", reason="uv sync --extra tools installs timm")
    return layers.freeze_batch_norm_2d(model)


def fuse_conv_bn_of_mmcv(model):
    mmcv = pytest.importorskip("mmcv.cnn.utils", reason="uv sync --extra tools installs mmcv-lite")
    return mmcv.fuse_conv_bn(model)


def revert_sync_batchnorm_of_mmengine(model):
    mmengine = pytest.importorskip("mmengine.model", reason="uv sync --extra tools installs mmengine")
    return mmengine.revert_sync_batchnorm(nn.SyncBatchNorm.convert_sync_batchnorm(model))


def fuse_of_torch_fx(model):
    return optimization.fuse(model)


def prepare_fx_of_torch(model):
    return quantize_fx.prepare_fx(model, get_default_qconfig_mapping("x86"), torch.randn(1, 3, 64, 64))


TOOLS = [
    convert_sync_batchnorm_of_torch,
    convert_sync_batchnorm_of_timm,
    freeze_batch_norm_2d_of_timm,
    fuse_conv_bn_of_mmcv,
    revert_sync_batchnorm_of_mmengine,
    fuse_of_torch_fx,
    prepare_fx_of_torch,
]
TRACERS = [fuse_of_torch_fx, prepare_fx_of_torch]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]


@pytest.fixture(params=TOOLS, ids=lambda tool: tool.__name__)
def tool(request):
    return request.param


def network(at, moved):
    """A narrow ResNet with a block at one site, whose statistics and weights are not those of the start."""
    model = ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5, width_per_group=16)
    wf.insert(model, wf.GlobalContext, at=at, example=torch.zeros(1, 3, 64, 64))
    moved(model)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(4, 3, 64, 64))
    return model.eval()


def equal(tool, actual, expected):
    """Folding a norm into a convolution rounds, and so do observers' copies of a graph; nothing else may differ."""
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5, msg=lambda text: f"{tool.__name__}: {text}")


def test_a_lost_block_at_a_batch_norm_is_named(tool, moved):
    """Or it is not lost: then the output is the same, and `verify` agrees."""
    model, x = network("layer3.0.bn3", moved), torch.randn(2, 3, 64, 64)
    blocks = wf.blocks_of(model)
    with torch.no_grad():
        expected = model(x)
        changed = tool(copy.deepcopy(model)).eval()
        lost = not torch.allclose(changed(x), expected, rtol=1e-4, atol=1e-5)
    if lost:
        with pytest.raises(ValueError, match=r"layer3\.0\.bn3"):
            wf.verify(changed, blocks=blocks)
    else:
        wf.verify(changed, x, blocks=blocks)


def test_a_block_after_a_residual_sum_is_kept(tool, moved):
    model, x = network("layer3.0", moved), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        equal(tool, tool(copy.deepcopy(model)).eval()(x), expected)


@pytest.mark.parametrize("at", ["layer3.0.bn3", "layer3.0"])
def test_a_baked_network_keeps_its_block(tool, at, moved):
    model, x = network(at, moved), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        baked = wf.bake(copy.deepcopy(model))
        assert torch.equal(baked.eval()(x), expected)
        equal(tool, tool(baked).eval()(x), expected)


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet10t", "mobilenetv3_small_100"])
@pytest.mark.parametrize("convert", [wf.sync_batchnorm, wf.freeze_norms], ids=lambda f: f.__name__)
def test_our_own_tools_keep_the_activations_of_timm(convert, name):
    timm = pytest.importorskip("timm", reason="uv sync --extra tools installs timm")
    model, x = timm.create_model(name, num_classes=5).eval(), torch.randn(1, 3, 64, 64)
    expected = model(x).detach()
    try:
        changed = convert(model)
    except ValueError as refusal:
        assert "BatchNormAct2d" in str(refusal)
    else:
        changed = model if changed is None or not isinstance(changed, nn.Module) else changed
        torch.testing.assert_close(changed.eval()(x).detach(), expected, rtol=1e-4, atol=1e-5)
