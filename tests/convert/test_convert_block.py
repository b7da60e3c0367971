"""Converted blocks: against modules of timm and torchvision, and every refusal. The goldens cover other references."""

import copy
from functools import partial

import pytest
import timm.layers
import timm.layers.cbam
import torch
import torchvision
from rounding import agree, moved
from torch import nn

from wholeframe import convert
from wholeframe.blocks import Block
from wholeframe.convert import SOURCES, Source

SLOWFAST = {"dim": 8, "dim_inner": 4, "pool_size": [1, 2, 2], "instantiation": "softmax"}


def slowfast_state():
    shapes = {f"conv_{name}.weight": (4, 8, 1, 1, 1) for name in ("theta", "phi", "g")} | {
        **{f"conv_{name}.bias": (4,) for name in ("theta", "phi", "g")},
        "conv_out.weight": (8, 4, 1, 1, 1),
        "conv_out.bias": (8,),
        **{f"bn.{name}": (8,) for name in ("weight", "bias", "running_mean", "running_var")},
    }
    state = {name: torch.randn(shape).abs() for name, shape in shapes.items()}
    return {**state, "bn.num_batches_tracked": torch.tensor(7)}


# --------------------------------------------------------------------------------------------------- installed modules

INSTALLED = {
    "timm.NonLocalAttn": (
        timm.layers.NonLocalAttn,
        [{}, {"use_scale": False}, {"rd_ratio": 1 / 2}, {"rd_channels": 3}, {"rd_ratio": 0.6, "rd_divisor": 4}],
    ),
    "timm.GlobalContext": (
        timm.layers.GlobalContext,
        [
            {},
            {"fuse_add": True},
            {"fuse_add": True, "fuse_scale": False, "use_attn": False},
            {"gate_layer": "hard_sigmoid", "rd_ratio": 0.3, "rd_divisor": 4},
            {"rd_channels": 5, "act_layer": nn.ReLU, "gate_layer": nn.Sigmoid},
            {"act_layer": nn.SiLU, "gate_layer": "hard_sigmoid", "fuse_add": True},
        ],
    ),
    "timm.SEModule": (
        timm.layers.SEModule,
        [
            {},
            {"bias": False},
            {"rd_ratio": 0.3},
            {"rd_channels": 5, "norm_layer": nn.BatchNorm2d},
            {"gate_layer": "hard_sigmoid", "rd_ratio": 0.9, "rd_divisor": 4},
            {"add_maxpool": True, "act_layer": nn.SiLU},
        ],
    ),
    "timm.EcaModule": (
        timm.layers.EcaModule,
        [{}, {"gate_layer": "hard_sigmoid"}, {"kernel_size": 7}, {"gamma": 0.5, "beta": 2}, {"rd_channels": 3}],
    ),
    "timm.GatherExcite": (
        timm.layers.GatherExcite,
        [
            {"use_mlp": False},
            {"use_mlp": False, "add_maxpool": True},
            {"use_mlp": False, "extent": 2, "gate_layer": "hard_sigmoid"},
            {"use_mlp": False, "extent": 4, "add_maxpool": True},
            {"use_mlp": False, "feat_size": (5, 4), "norm_layer": nn.GroupNorm, "rd_ratio": 0.5},
        ],
    ),
    "timm.CbamModule": (
        timm.layers.cbam.CbamModule,
        [
            {},
            {"rd_ratio": 1 / 3, "rd_divisor": 4, "act_layer": nn.SiLU},
            {"rd_channels": 5, "mlp_bias": True, "spatial_kernel_size": 3, "gate_layer": "hard_sigmoid"},
        ],
    ),
    "timm.BatNonLocalAttn": (
        timm.layers.BatNonLocalAttn,
        [
            {"block_size": 2, "drop_rate": 0.0},
            {"block_size": 1, "drop_rate": 0.0, "rd_ratio": 0.3},
            {"block_size": 2, "drop_rate": 0.0, "rd_channels": 9, "groups": 3},
        ],
    ),
    "timm.EffectiveSEModule": (timm.layers.EffectiveSEModule, [{}, {"gate_layer": "sigmoid"}, {"add_maxpool": True}]),
    "torchvision.SqueezeExcitation": (
        torchvision.ops.SqueezeExcitation,
        [
            {},
            {"scale_activation": nn.Hardsigmoid, "activation": partial(nn.ReLU, inplace=True)},
            {"activation": nn.SiLU},
        ],
    ),
}
CASES = [
    pytest.param(name, make, options, id=f"{name}-{'-'.join(options) or 'defaults'}")
    for name, (make, every) in INSTALLED.items()
    for options in every
]


def randomise(module):
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.2, 1.5)
            tensor.mul_(torch.randint_like(tensor, 2) * 2 - 1 if tensor.ndim > 1 else 1)


def slope(module, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(module(x).square().sum(), x)[0]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(("name", "make", "options"), CASES)
def test_an_installed_module_gives_the_same(name, make, options, training):
    torch.manual_seed(0)
    first = {"torchvision.SqueezeExcitation": {"input_channels": 24, "squeeze_channels": 6}}
    first = first.get(name) or {"in_channels" if name.endswith("NonLocalAttn") else "channels": 24}
    theirs = make(**first, **options).double()
    randomise(theirs)
    ours = convert.block(name, {**first, **options}, theirs.state_dict())
    ours.train(training)
    theirs.train(training)
    grid = (6, 4) if name == "timm.BatNonLocalAttn" else (5, 4)
    x, z = (torch.randn(2, 24, *grid, dtype=torch.float64).requires_grad_() for _ in range(2))
    z.data.copy_(x.data)
    expected, y = theirs(x), ours(z)
    agree(y, expected, x[0].numel(), moved=moved(copy.deepcopy(theirs), x))
    expected.square().sum().backward()
    y.square().sum().backward()
    agree(z.grad, x.grad, x[0].numel(), moved=moved(partial(slope, copy.deepcopy(theirs)), x))
    renamed = {SOURCES[name].rename(key): tensor for key, tensor in theirs.state_dict().items()}
    state = ours.state_dict()
    assert state.keys() == renamed.keys()
    for key, tensor in renamed.items():
        agree(state[key].double(), tensor.reshape(state[key].shape).double(), x[0].numel())


@pytest.mark.parametrize("channels", [8, 16, 24, 36, 40, 100, 152, 256])
def test_timm_widths_are_rounded_as_timm_rounds_them(channels):
    assert convert.block("timm.SEModule", {"channels": channels}).multiply.reduce.out_features == (
        timm.layers.SEModule(channels).fc1.out_channels
    )
    assert convert.block("timm.NonLocalAttn", {"in_channels": channels}).inner == (
        timm.layers.NonLocalAttn(channels).t.out_channels
    )
    assert convert.block("timm.GlobalContext", {"channels": channels}).multiply.reduce.out_features == (
        timm.layers.GlobalContext(channels).mlp_scale.fc1.out_channels
    )


# ----------------------------------------------------------------------------------------------------------- a state


def test_dtypes_follow_the_state_and_nothing_is_shared():
    state = {key: t.half() if key.startswith("conv") else t for key, t in slowfast_state().items()}
    block = convert.block("slowfast.Nonlocal", SLOWFAST, state)
    assert block.theta.weight.dtype == torch.float16
    assert block.norm.weight.dtype == block.norm.running_var.dtype == torch.float32
    assert block.norm.num_batches_tracked == 7
    assert all(parameter.requires_grad for parameter in block.parameters())
    before = block.out.bias.clone()
    state["conv_out.bias"].zero_()
    assert torch.equal(block.out.bias, before)


def test_a_state_of_parameters_is_detached():
    theirs = timm.layers.EffectiveSEModule(8)
    block = convert.block("timm.EffectiveSEModule", {"channels": 8}, dict(theirs.named_parameters()))
    assert block.multiply.expand.weight.is_leaf and block.multiply.expand.weight is not theirs.fc.weight


def test_a_state_is_on_its_device():
    state = {key: tensor.to("meta") for key, tensor in slowfast_state().items()}
    assert convert.block("slowfast.Nonlocal", SLOWFAST, state).theta.weight.device.type == "meta"


def test_an_unknown_key_is_refused():
    with pytest.raises(ValueError, match=r"the state has 'fc\.weight', but this reference's names start with 'conv_th"):
        convert.block("slowfast.Nonlocal", SLOWFAST, {**slowfast_state(), "fc.weight": torch.zeros(1)})


def test_a_key_of_another_configuration_is_refused():
    with pytest.raises(
        ValueError, match=r"the state has 'norm\.weight', which is 'norm\.weight' here, but a block with"
    ):
        constructor = {"dim_in": 8, "dim_inner": 4, "norm": None}
        state = {key.replace("bn.", "norm."): tensor for key, tensor in slowfast_state().items()}
        convert.block("pytorchvideo.create_nonlocal", constructor, dict(sorted(state.items(), reverse=True)))


def test_a_missing_key_is_refused_by_both_its_names():
    state = slowfast_state()
    del state["bn.running_var"]
    with pytest.raises(ValueError, match=r"the state lacks 'bn\.running_var', which is 'norm\.running_var' here"):
        convert.block("slowfast.Nonlocal", SLOWFAST, state)


@pytest.mark.parametrize("shape", [(3, 8, 1, 1, 1), (4, 8, 1, 3, 3), (8, 4), (1, 4, 8)])
def test_a_wrong_shape_is_refused(shape):
    state = {**slowfast_state(), "conv_phi.weight": torch.zeros(shape)}
    with pytest.raises(ValueError, match=r"'conv_phi\.weight' has shape \(.*\), but 'phi\.weight' has \(4, 8\) here"):
        convert.block("slowfast.Nonlocal", SLOWFAST, state)


def test_one_tensor_under_two_names_is_refused():
    state = {"W.0.weight": torch.zeros(8, 4, 1), "W.weight": torch.zeros(8, 4, 1)}
    with pytest.raises(ValueError, match=r"the state has 'out\.weight' twice, the second time as 'W\.weight'"):
        convert.block("alexhex7.non_local_gaussian.NONLocalBlock1D", {"in_channels": 8}, state)


def test_a_known_name_can_be_dropped():
    source = Source(nn.Linear, {"old.": None, "": ""})
    assert source.rename("old.weight") is None
    assert source.rename("weight") == "weight"
    linear = nn.Linear(2, 1)
    state = {"weight": torch.ones(1, 2), "bias": torch.ones(1), "old.mask": torch.ones(3)}
    convert.load(linear, source, state)
    assert torch.equal(linear.weight, torch.ones(1, 2))


# -------------------------------------------------------------------------------------------------------- no state

MINIMAL = {
    "mmcv.NonLocal": {"in_channels": 8},
    "mmcv.ContextBlock": {"in_channels": 8, "ratio": 1 / 4},
    "gcnet.": {"inplanes": 8, "ratio": 1 / 4},
    "slowfast.": {"dim": 8, "dim_inner": 4},
    "pytorchvideo.": {"dim_in": 8, "dim_inner": 4},
    "alexhex7.": {"in_channels": 8},
    "tea1528.": {"in_channels": 8},
    "mmpretrain.": {"channels": 8},
    "timm.NonLocalAttn": {"in_channels": 8},
    "timm.": {"channels": 8},
    "torchvision.": {"input_channels": 8, "squeeze_channels": 2},
    "senet.": {"channel": 8, "reduction": 4},
    "cgnl.SpatialNL": {"inplanes": 8, "planes": 4},
    "cgnl.": {"inplanes": 8, "planes": 4, "groups": 2},
}
IDENTITIES_AT_INIT = ("mmcv.", "gcnet.", "alexhex7.", "tea1528.", "timm.NonLocalAttn", "cgnl.")
# Whole residual blocks and heads, and a block for images only, are tested elsewhere.
ELSEWHERE = (
    "gsop.",
    "mpncov.",
    "gcnet.Bottleneck",
    "senet.SEB",
    "slowfast.ResStage",
    "timm.BatNonLocalAttn",
    "timm.Bottle",
)


@pytest.mark.parametrize("reference", [name for name in SOURCES if not name.startswith(ELSEWHERE)])
def test_without_a_state_a_block_starts_as_the_reference_does(reference):
    torch.manual_seed(0)
    constructor = next(arguments for prefix, arguments in MINIMAL.items() if reference.startswith(prefix))
    block, x = convert.block(reference, constructor), torch.randn(2, 8, 3, 4, 5)
    assert isinstance(block, Block)
    assert torch.equal(block(x), x) == block.identity_at_init == reference.startswith(IDENTITIES_AT_INIT)


def test_zeros_init_of_mmcv_is_init():
    for norm_cfg in (None, {"type": "BN"}):
        arguments = {"in_channels": 8, "norm_cfg": norm_cfg}
        assert convert.block("mmcv.NonLocal2d", arguments).init == "identity"
        assert convert.block("mmcv.NonLocal2d", {**arguments, "zeros_init": False}).init == "random"


def test_cgnl_takes_the_order_of_the_released_class_and_scales_by_the_tokens():
    arguments = {"inplanes": 16, "planes": 8, "groups": 2}
    assert convert.block("cgnl.SpatialCGNLx", arguments).order == 2
    block = convert.block("cgnl.SpatialCGNLx", {**arguments, "order": 3, "use_scale": True})
    assert (block.order, block.gamma, block.scale, block.groups) == (3, 1e-4, "sqrt_length", 2)
    block = convert.block("cgnl.SpatialNL", {"inplanes": 16, "planes": 8, "use_scale": True})
    assert (block.scale, block.theta.bias, block.out.bias) == ("sqrt_dim", None, None)


def test_the_options_of_a_norm_are_carried():
    block = convert.block("mmcv.NonLocal3d", {"in_channels": 8, "norm_cfg": {"type": "BN3d", "eps": 0.1}})
    assert (block.norm.eps, block.norm.momentum, block.out.bias) == (0.1, 0.1, None)
    block = convert.block("slowfast.Nonlocal", {**SLOWFAST, "norm_eps": 0.2, "norm_momentum": 0.3})
    assert (block.norm.eps, block.norm.momentum) == (0.2, 0.3)
    assert convert.block("timm.GlobalContext", {"channels": 16}).multiply.norm.eps == 1e-6
    assert convert.block("mmcv.ContextBlock", {"in_channels": 16, "ratio": 0.25}).add.norm.eps == 1e-5


def test_scale_and_pool_are_the_references():
    def option(reference, name, **constructor):
        return getattr(convert.block(reference, constructor), name)

    assert option("mmcv.NonLocal2d", "scale", in_channels=8) == "sqrt_dim"
    assert option("mmcv.NonLocal2d", "scale", in_channels=8, use_scale=False) is None
    assert option("mmcv.NonLocal2d", "scale", in_channels=8, mode="gaussian") is None
    assert option("mmcv.NonLocal3d", "pool_order", in_channels=8, sub_sample=True) == "after"
    assert option("mmcv.NonLocal2d", "inner", in_channels=1) == 1
    assert option("slowfast.Nonlocal", "scale", **SLOWFAST) == "sqrt_dim"
    assert option("slowfast.Nonlocal", "scale", **{**SLOWFAST, "instantiation": "dot_product"}) is None
    assert option("slowfast.Nonlocal", "pool", **SLOWFAST) == (1, 2, 2)
    assert option("slowfast.Nonlocal", "pool_order", **SLOWFAST) == "before"
    assert option("pytorchvideo.create_nonlocal", "pool", dim_in=8, dim_inner=4) == 1
    assert option("alexhex7.non_local_embedded_gaussian.NONLocalBlock2D", "scale", in_channels=8) is None
    assert option("alexhex7.non_local_embedded_gaussian.NONLocalBlock2D", "pool", in_channels=8) == 2
    assert option("timm.NonLocalAttn", "scale", in_channels=16) == 1 / 4


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("reference", "constructor", "message"),
    [
        ("slowfast.NonLocal", {}, r"there is no reference 'slowfast\.NonLocal'; the nearest are slowfast\.Nonlocal"),
        ("alexhex7.NONLocalBlock2D", {}, r"the nearest are .*alexhex7\.non_local_\w+\.NONLocalBlock2D"),
        ("slowfast.Nonlocal", {"dim": 8, "dim_iner": 4}, r"slowfast\.Nonlocal has no argument 'dim_iner'; .*dim_inner"),
        ("slowfast.Nonlocal", {"dim": 8}, "slowfast.Nonlocal needs 'dim_inner', which was not given"),
        ("slowfast.Nonlocal", {**SLOWFAST, "norm_module": nn.GroupNorm}, "norm_module='GroupNorm' has no counterpart"),
        (
            "slowfast.Nonlocal",
            {**SLOWFAST, "instantiation": "sum"},
            "instantiation='sum' has no counterpart here; give",
        ),
        ("pytorchvideo.create_nonlocal", {"dim_in": 8, "dim_inner": 4, "norm": "LayerNorm"}, "norm='LayerNorm' has no"),
        ("mmcv.NonLocal2d", {"in_channels": 8, "mode": "euclidean"}, "mode='euclidean' has no counterpart here"),
        ("mmcv.NonLocal2d", {"in_channels": 8, "conv_cfg": {"type": "DCN"}}, "conv_cfg=.*leave it out for a plain"),
        ("mmcv.NonLocal2d", {"in_channels": 8, "conv_cfg": {"type": "Conv3d"}}, "conv_cfg=.*has no counterpart"),
        ("mmcv.NonLocal2d", {"in_channels": 8, "norm_cfg": {"type": "GN"}}, "norm_cfg type='GN' has no counterpart"),
        ("mmcv.NonLocal2d", {"in_channels": 8, "norm_cfg": {"eps": 1}}, "norm_cfg needs 'type', which was not given"),
        ("mmcv.NonLocal2d", {"in_channels": 8, "norm_cfg": {"type": "BN", "epsilon": 1}}, "norm_cfg has no argument"),
        (
            "mmcv.NonLocal2d",
            {"in_channels": 8, "norm_cfg": {"type": "BN", "requires_grad": False}},
            "requires_grad=False cannot be set here; leave it out and freeze block.norm afterwards",
        ),
        ("mmcv.ContextBlock", {"in_channels": 8}, "mmcv.ContextBlock needs 'ratio', which was not given"),
        ("mmcv.ContextBlock", {"in_channels": 8, "ratio": 1 / 16}, "hidden must be an integer of at least 1, got 0"),
        ("mmcv.ContextBlock", {"in_channels": 8, "ratio": 1, "pooling_type": "max"}, "pooling_type='max' has no"),
        (
            "mmcv.ContextBlock",
            {"in_channels": 8, "ratio": 1, "fusion_types": []},
            "must contain 'channel_add', 'channel",
        ),
        ("timm.GlobalContext", {"channels": 8, "fuse_scale": False}, "is a block that returns its input; set one"),
        ("timm.GlobalContext", {"channels": 8, "act_layer": nn.GELU}, "act_layer='GELU' has no counterpart here"),
        (
            "timm.EcaModule",
            {"channels": 8, "use_mlp": True},
            "use_mlp=True has no counterpart here, as it is not in the paper",
        ),
        (
            "timm.EcaModule",
            {"kernel_size": 5},
            "takes maps of any width, and a block here takes maps of one; add their",
        ),
        (
            "timm.EcaModule",
            {"channels": 8, "map_channels": 9},
            "channels=8 and map_channels=9 differ; leave map_channe",
        ),
        ("timm.GatherExcite", {"channels": 8, "extra_params": True}, "extra_params=True has no counterpart here; give"),
        ("timm.GatherExcite", {"channels": 8, "extent": 2}, "use_mlp=True with extent=2 has no counterpart here; give"),
        ("timm.BatNonLocalAttn", {"in_channels": 8, "act_layer": nn.SiLU}, "act_layer='SiLU' has no counterpart here"),
        ("timm.BatNonLocalAttn", {"in_channels": 8, "norm_layer": nn.GroupNorm}, "norm_layer='GroupNorm' has no coun"),
        (
            "mmpretrain.SELayer",
            {"channels": 8, "return_weight": True},
            "return_weight=True has no counterpart here; leav",
        ),
        ("mmpretrain.SELayer", {"channels": 8, "conv_cfg": {"type": "DCN"}}, "conv_cfg=.* has no counterpart here"),
        ("mmpretrain.SELayer", {"channels": 8, "act_cfg": [{"type": "GELU"}] * 2}, "act_cfg='GELU' has no counterpart"),
        ("mmpretrain.SELayer", {"channels": 8, "act_cfg": [{"type": "ReLU"}]}, "must have two entries, of the activat"),
        ("slowfast.ResStage", {"dim_in": [4]}, "slowfast.ResStage needs 'dim_out', which was not given"),
        ("gcnet.Bottleneck", {"inplanes": 8, "planes": 2, "gcb": {}}, "gcb needs 'ratio', which was not given"),
        (
            "gcnet.Bottleneck",
            {"inplanes": 8, "planes": 2, "dcn": {"type": "DCN"}},
            "dcn=.* has no counterpart here; leav",
        ),
        ("gcnet.Bottleneck", {"inplanes": 8, "planes": 2, "gen_attention": {}}, "gen_attention=.* has no counterpart"),
        (
            "gcnet.Bottleneck",
            {"inplanes": 8, "planes": 2, "conv_cfg": {"type": "DCN"}},
            "conv_cfg=.*leave it out for a",
        ),
        (
            "gcnet.Bottleneck",
            {"inplanes": 8, "planes": 2, "norm_cfg": {"type": "GN"}},
            "norm_cfg type='GN' has no coun",
        ),
        (
            "mmcv.NonLocal2d",
            {"in_channels": 8, "norm_cfg": {"type": "BN", "affine": False}},
            "affine=False, track_running_stats=True has no counterpart here; the norm of a block has both",
        ),
        (
            "gsop.Bottleneck1",
            {"inplanes": 8, "planes": 2, "attention": "2"},
            "attention='2' is of 'gsop.Bottleneck2', and 'gsop.B",
        ),
        ("timm.SEModule", {"channels": 8, "norm_layer": partial(nn.BatchNorm2d, eps=0.1)}, "norm_layer=.*no counter"),
        ("timm.SEModule", {"channels": 8, "gate_layer": "tanh"}, "gate_layer='tanh' has no counterpart here"),
        (
            "cgnl.SpatialCGNL",
            {"inplanes": 8, "planes": 4},
            "cannot be built with groups=None, its default; give",
        ),
        (
            "cgnl.SpatialCGNLx",
            {"inplanes": 8, "planes": 4, "groups": 3},
            "groups=3 does not divide channels=8; div",
        ),
        (
            "torchvision.SqueezeExcitation",
            {"input_channels": 8, "squeeze_channels": 2, "activation": partial(nn.GELU, inplace=True)},
            "activation='GELU' has no counterpart here; give one of 'ReLU'",
        ),
    ],
)
def test_refusals(reference, constructor, message):
    with pytest.raises(ValueError, match=message):
        convert.block(reference, constructor)


@pytest.mark.parametrize("gate", [{"type": "HSigmoid"}, {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0}])
def test_the_gate_of_mobilenet_v3_in_mmpretrain_is_the_hard_sigmoid(gate):
    arguments = {"channels": 16, "ratio": 4, "act_cfg": [{"type": "ReLU"}, gate]}
    block = convert.block("mmpretrain.SELayer", arguments)
    assert (block.gate, block.multiply.hidden) == ("hard_sigmoid", 8)
    with pytest.raises(ValueError, match="act_cfg='HSigmoid' has no counterpart here"):
        convert.block(
            "mmpretrain.SELayer", {**arguments, "act_cfg": [{"type": "ReLU"}, {"type": "HSigmoid", "bias": 1}]}
        )
