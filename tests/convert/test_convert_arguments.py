"""Every argument of a reference's constructor is accepted at the reference's default, and changes nothing there."""

import inspect

import pytest
import timm.layers
import timm.layers.cbam
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from wholeframe import convert
from wholeframe.blocks import ContextBlock, SqueezeExcite

INSTALLED = {
    "timm.NonLocalAttn": timm.layers.NonLocalAttn,
    "timm.GlobalContext": timm.layers.GlobalContext,
    "timm.SEModule": timm.layers.SEModule,
    "timm.EffectiveSEModule": timm.layers.EffectiveSEModule,
    "timm.EcaModule": timm.layers.EcaModule,
    "timm.GatherExcite": timm.layers.GatherExcite,
    "timm.CbamModule": timm.layers.cbam.CbamModule,
    "timm.BatNonLocalAttn": timm.layers.BatNonLocalAttn,
    "torchvision.SqueezeExcitation": torchvision.ops.SqueezeExcitation,
}
# The defaults of references that this environment does not have, as their files have them.
WRITTEN = {
    **{
        f"mmcv.NonLocal{rank}d": {
            "sub_sample": False,
            "conv_cfg": {"type": f"Conv{rank}d"},
            "reduction": 2,
            "use_scale": True,
            "norm_cfg": None,
            "mode": "embedded_gaussian",
            "std": 0.01,
            "zeros_init": True,
        }
        for rank in (1, 2, 3)
    },
    "mmcv.ContextBlock": {"pooling_type": "att", "fusion_types": ("channel_add",)},
    "mmpretrain.SELayer": {
        "squeeze_channels": None,
        "ratio": 16,
        "divisor": 8,
        "bias": "auto",
        "conv_cfg": None,
        "act_cfg": ({"type": "ReLU"}, {"type": "Sigmoid"}),
        "return_weight": False,
        "init_cfg": None,
    },
    "gcnet.ContextBlock": {"pooling_type": "att", "fusion_types": ("channel_add",)},
    "gcnet.Bottleneck": {
        "stride": 1,
        "dilation": 1,
        "downsample": None,
        "style": "pytorch",
        "with_cp": False,
        "conv_cfg": None,
        "norm_cfg": {"type": "BN"},
        "dcn": None,
        "gcb": None,
        "gen_attention": None,
    },
    "slowfast.Nonlocal": {
        "pool_size": None,
        "instantiation": "softmax",
        "zero_init_final_conv": False,
        "zero_init_final_norm": True,
        "norm_eps": 1e-5,
        "norm_momentum": 0.1,
        "norm_module": nn.BatchNorm3d,
    },
    "slowfast.ResStage": {
        "instantiation": "softmax",
        "trans_func_name": "bottleneck_transform",
        "stride_1x1": False,
        "inplace_relu": True,
        "norm_module": nn.BatchNorm3d,
        "drop_connect_rate": 0.0,
    },
    "pytorchvideo.create_nonlocal": {
        "pool_size": (1, 1, 1),
        "instantiation": "softmax",
        "norm": nn.BatchNorm3d,
        "norm_eps": 1e-5,
        "norm_momentum": 0.1,
    },
    "senet.SELayer": {"reduction": 16},
    **{
        f"senet.SE{kind}": {
            "stride": 1,
            "downsample": None,
            "groups": 1,
            "base_width": 64,
            "dilation": 1,
            "norm_layer": None,
            "reduction": 16,
        }
        for kind in ("BasicBlock", "Bottleneck")
    },
    **{
        f"alexhex7.non_local_dot_product.NONLocalBlock{rank}D": {
            "inter_channels": None,
            "sub_sample": True,
            "bn_layer": True,
        }
        for rank in (1, 2, 3)
    },
    "cgnl.SpatialCGNL": {"use_scale": False},
    "cgnl.SpatialCGNLx": {"use_scale": False, "order": 2},
    "cgnl.SpatialNL": {"use_scale": False},
    "gsop.Bottleneck0": {"stride": 1, "downsample": None, "attention": "0", "att_dim": 128},
    "gsop.Bottleneck1": {"stride": 1, "downsample": None, "att_dim": 128},
    "mpncov.MPNCOV": {
        "iterNum": 3,
        "is_sqrt": True,
        "is_vec": True,
        "input_dim": 2048,
        "dimension_reduction": None,
    },
}
REQUIRED = {
    "in_channels": 64,
    "channels": 64,
    "input_channels": 64,
    "squeeze_channels": 4,
    "ratio": 1 / 4,
    "inplanes": 64,
    "planes": 16,
    "dim": 64,
    "dim_in": 64,
    "dim_inner": 8,
    "channel": 64,
    "groups": 2,
}
STAGE = {
    "dim_in": [4],
    "dim_out": [8],
    "stride": [2],
    "temp_kernel_sizes": [[3]],
    "num_blocks": [1],
    "dim_inner": [4],
    "num_groups": [1],
    "num_block_temp_kernel": [1],
    "nonlocal_inds": [[0]],
    "nonlocal_group": [1],
    "nonlocal_pool": [[1, 2, 2]],
    "dilation": [1],
}


def options_of(module):
    """Everything that a module and its parts were built with, and the shapes of its tensors."""
    own = {
        name: {key: str(value) for key, value in vars(part).items() if not key.startswith("_")}
        for name, part in module.named_modules()
    }
    return own, {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def defaults(make):
    parameters = inspect.signature(make).parameters.values()
    return {
        p.name: p.default
        for p in parameters
        if p.default is not p.empty and p.kind is not inspect.Parameter.VAR_KEYWORD
    }


CASES = {**{name: defaults(make) for name, make in INSTALLED.items()}, **WRITTEN}


@pytest.mark.parametrize("name", CASES)
def test_a_default_can_be_given(name):
    given = {key: value for key, value in CASES[name].items() if (name, key) != ("timm.EcaModule", "channels")}
    takes = inspect.signature(convert.SOURCES[name].make).parameters
    needs = (
        STAGE if name == "slowfast.ResStage" else {k: v for k, v in REQUIRED.items() if k in takes and k not in given}
    )
    torch.manual_seed(0)
    plain = convert.block(name, needs)
    torch.manual_seed(0)
    assert options_of(convert.block(name, {**needs, **given})) == options_of(plain)


@pytest.mark.parametrize("name", INSTALLED)
def test_no_argument_of_an_installed_module_is_missing(name):
    """Those that the reference passes on to nothing (`**_`) are not arguments."""
    theirs = inspect.signature(INSTALLED[name]).parameters.values()
    ours = inspect.signature(convert.SOURCES[name].make).parameters
    assert {p.name for p in theirs if p.kind is not p.VAR_KEYWORD} <= ours.keys()


def test_an_untrained_block_of_timm_is_where_it_is_asked_to_be_and_a_state_brings_its_own():
    block = convert.block("timm.SEModule", {"channels": 16, "device": "meta", "dtype": torch.float16})
    assert {(p.device.type, p.dtype) for p in block.parameters()} == {("meta", torch.float16)}
    state = timm.layers.SEModule(16).state_dict()
    block = convert.block("timm.SEModule", {"channels": 16, "device": "meta", "dtype": torch.float16}, state)
    assert {(p.device.type, p.dtype) for p in block.parameters()} == {("cpu", torch.float32)}


@pytest.mark.parametrize("kernel", [3, 5])
def test_eca_without_channels_has_the_kernel_that_was_given(kernel):
    theirs = timm.layers.EcaModule(kernel_size=kernel).double()
    arguments = {"kernel_size": kernel, "map_channels": 24}
    ours = convert.block("timm.EcaModule", arguments, theirs.state_dict())
    x = torch.randn(2, 24, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("more", [{}, {"add_maxpool": True}, {"rd_ratio": 0.3, "act_layer": nn.SiLU}])
def test_gather_excite_has_a_bottleneck_by_default(more):
    """timm 1.0.31 cannot build this one (`*dd` where `**dd` is meant), so its parts are put together here."""
    theirs = timm.layers.GatherExcite(24, use_mlp=False, **more)
    hidden, activation = int(24 * more.get("rd_ratio", 1 / 16) + 0.5), more.get("act_layer", nn.ReLU)
    theirs.mlp = timm.layers.ConvMlp(24, hidden, act_layer=activation)
    theirs.double()
    ours = convert.block("timm.GatherExcite", {"channels": 24, **more}, theirs.state_dict())
    assert isinstance(ours, SqueezeExcite)
    x = torch.randn(2, 24, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


def test_ese_with_a_maximum_can_be_stored_as_data():
    block = convert.block("timm.EffectiveSEModule", {"channels": 16, "add_maxpool": True})
    assert type(block) is ContextBlock


@pytest.mark.parametrize("reference", ["gcnet.Bottleneck", "senet.SEBottleneck", "senet.SEBasicBlock"])
def test_a_residual_block_that_strides_has_the_shortcut_of_its_reference(reference):
    more = {"gcb": {"ratio": 0.25}, "norm_cfg": {"type": "BN", "eps": 0.1}} if reference == "gcnet.Bottleneck" else {}
    block = convert.block(reference, {"inplanes": 16, "planes": 16, "stride": 2, **more})
    assert block(torch.randn(2, 16, 6, 5)).shape[2:] == (3, 3)
    assert [type(layer) for layer in block.downsample] == [nn.Conv2d, nn.BatchNorm2d]
    assert block.downsample[1].eps == block.bn1.eps
    assert convert.block(reference, {"inplanes": 64, "planes": 16}).downsample is None or "Basic" in reference


class SENetForward:
    """The forward pass of `SEBasicBlock` and `SEBottleneck`: the gate before the sum, by linear layers."""

    def __init__(self, plain, first, second):
        self.plain, self.first, self.second = plain, first, second

    def __call__(self, x):
        plain, y = self.plain, x
        convolutions = [name for name in ("conv1", "conv2", "conv3") if hasattr(plain, name)]
        for name in convolutions:
            y = getattr(plain, name.replace("conv", "bn"))(getattr(plain, name)(y))
            y = y if name == convolutions[-1] else y.relu()
        gate = torch.sigmoid((y.mean(dim=(2, 3)) @ self.first.T).relu() @ self.second.T)
        return (y * gate[:, :, None, None] + x).relu()


@pytest.mark.parametrize(
    ("name", "kind", "width"), [("SEBasicBlock", BasicBlock, 16), ("SEBottleneck", Bottleneck, 16)]
)
def test_a_residual_block_of_moskomule(name, kind, width):
    torch.manual_seed(0)
    planes = width // kind.expansion
    plain = kind(width, planes).double().eval()
    first, second = torch.randn(4, width).double(), torch.randn(width, 4).double()
    state = {**plain.state_dict(), "se.fc.0.weight": first, "se.fc.2.weight": second}
    ours = convert.block(f"senet.{name}", {"inplanes": width, "planes": planes, "reduction": 4}, state).eval()
    x = torch.randn(2, width, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(ours(x), SENetForward(plain, first, second)(x))


def test_the_norms_of_a_residual_block_of_gcnet_are_configured():
    options = {"norm_cfg": {"type": "BN", "eps": 0.1, "momentum": 0.2, "requires_grad": True}, "with_cp": True}
    block = convert.block("gcnet.Bottleneck", {"inplanes": 16, "planes": 4, **options})
    assert (block.bn1.eps, block.bn2.momentum, block.bn3[0].eps) == (0.1, 0.2, 0.1)
    assert len(block.bn3) == 1
