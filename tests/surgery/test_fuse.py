"""`wf.fuse`: the same function in fewer operations, whatever feeds a norm, and a reason for every norm that stays."""

import copy
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
import torchvision
from fused_nets import Run, SmallResNet, gap, images, trained
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrizations

import wholeframe as wf

ROUNDING = 1e-13


def conv_bn(conv, norm, x):
    return lambda: (Run(lambda m, x: m.norm(m.conv(x)), conv=conv(), norm=norm()), x)


PAIRS = {
    "1d": conv_bn(partial(nn.Conv1d, 3, 8, 3), partial(nn.BatchNorm1d, 8), torch.randn(2, 3, 9)),
    "2d": conv_bn(partial(nn.Conv2d, 3, 8, 3, padding=1, bias=False), partial(nn.BatchNorm2d, 8), images()),
    "3d": conv_bn(partial(nn.Conv3d, 3, 8, 3, bias=False), partial(nn.BatchNorm3d, 8), torch.randn(2, 3, 4, 6, 6)),
    "grouped": conv_bn(partial(nn.Conv2d, 4, 8, 3, groups=2), partial(nn.BatchNorm2d, 8), images(channels=4)),
    "depthwise": conv_bn(partial(nn.Conv2d, 4, 4, 3, groups=4), partial(nn.BatchNorm2d, 4), images(channels=4)),
    "transposed": conv_bn(partial(nn.ConvTranspose2d, 3, 8, 3), partial(nn.BatchNorm2d, 8), images()),
    "grouped transposed 1d": conv_bn(
        partial(nn.ConvTranspose1d, 4, 6, 3, stride=2, groups=2, bias=False),
        partial(nn.BatchNorm1d, 6),
        torch.randn(2, 4, 9),
    ),
    "linear": conv_bn(partial(nn.Linear, 3, 8), partial(nn.BatchNorm1d, 8), torch.randn(4, 3)),
    "reflected": conv_bn(
        partial(nn.Conv2d, 3, 8, 3, padding=1, padding_mode="reflect"), partial(nn.BatchNorm2d, 8), images()
    ),
    "no gain": conv_bn(partial(nn.Conv2d, 3, 8, 1), partial(nn.BatchNorm2d, 8, affine=False), images()),
    "frozen": conv_bn(partial(nn.Conv2d, 3, 8, 1), partial(torchvision.ops.FrozenBatchNorm2d, 8), images()),
    "affine": conv_bn(partial(nn.Conv2d, 3, 8, 1), partial(wf.Affine, 8), images()),
    "sync": conv_bn(partial(nn.Conv2d, 3, 8, 1), partial(nn.SyncBatchNorm, 8), images()),
    "stored instance": conv_bn(
        partial(nn.Conv2d, 3, 8, 1), partial(nn.InstanceNorm2d, 8, affine=True, track_running_stats=True), images()
    ),
    "deformable": lambda: (
        Run(
            lambda m, x: m.norm(m.conv(x, m.offset(x))),
            conv=torchvision.ops.DeformConv2d(3, 8, 3),
            offset=nn.Conv2d(3, 18, 3),
            norm=nn.BatchNorm2d(8),
        ),
        images(1, 9),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_norm_folds_into_the_layer_before_it(name):
    network, x = PAIRS[name]()
    trained(network)
    x = x.double()
    fused = wf.fuse(network, x)
    assert wf.fusion_of(fused).folded == {"norm": "conv"} and not wf.fusion_of(fused).left
    assert gap(network, fused, x) < ROUNDING
    assert not any("running_mean" in key for key in fused.state_dict())


def two_rounds():
    return Run(lambda m, x: m.c(m.b(m.a(x))), a=nn.Conv2d(3, 4, 1), b=nn.BatchNorm2d(4), c=nn.BatchNorm2d(4)), {
        "b": "a",
        "c": "a",
    }


def one_layer_many_times():
    return Run(lambda m, x: m.b(m.a(x)) + m.b(m.a(2 * x)), a=nn.Conv2d(3, 4, 1), b=nn.BatchNorm2d(4)), {"b": "a"}


def through_dropout_and_identity():
    layers = nn.Conv2d(3, 4, 1), nn.Identity(), nn.Dropout(0.5), nn.BatchNorm2d(4)
    return nn.Sequential(*layers), {"3": "0"}


def under_two_names():
    norm = nn.BatchNorm2d(4)
    return Run(lambda m, x: m.other(m.a(x)), a=nn.Conv2d(3, 4, 1), norm=norm, other=norm), {"norm": "a"}


def in_another_order():
    return Run(lambda m, x: m.b(m.z(x)), b=nn.BatchNorm2d(4), a=nn.Conv2d(3, 4, 1), z=nn.Conv2d(3, 4, 1)), {"b": "z"}


@pytest.mark.parametrize(
    "make", [two_rounds, one_layer_many_times, through_dropout_and_identity, under_two_names, in_another_order]
)
def test_the_order_of_calls_decides_and_not_names(make):
    network, folded = make()
    trained(network)
    fused = wf.fuse(network, images())
    assert wf.fusion_of(fused).folded == folded
    assert gap(network, fused, images()) < ROUNDING


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, weight / weight.std(dim=(1, 2, 3), keepdim=True), self.bias)


class Clipped(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).clamp(-1, 1)


def hooked(module):
    module.register_forward_hook(lambda _m, _a, y: y)
    return module


def keeping(module):
    module.register_forward_hook(lambda m, _a, y: setattr(m, "seen", y))
    return module


def a(**change):
    return {"a": nn.Conv2d(3, 4, 1), "b": nn.BatchNorm2d(4), **change}


STAY = {
    "shared by 2 layers": Run(lambda m, x: m.b(m.a(x)) + m.b(m.c(x)), **a(c=nn.Conv2d(3, 4, 1))),
    "output of 'a' before it is read": Run(lambda m, x: (y := m.a(x)) + m.b(y), **a()),
    "read or changed": Run(lambda m, x: m.b(m.a(x).relu_()), **a()),
    "returned": Run(lambda m, x: (lambda y: torch.cat([m.b(y), y]))(m.a(x)), **a()),
    "input is not what one layer returns": Run(lambda m, x: m.b(m.a(x).relu()), **a()),
    "a concatenation": Run(
        lambda m, x: m.b(torch.cat([m.a(x), m.c(x)], 1)), **a(a=nn.Conv2d(3, 2, 1), c=nn.Conv2d(3, 2, 1))
    ),
    "weight of 'a' before it is read": Run(lambda m, x: m.b(m.a(x)) + F.conv2d(x, m.a.weight), **a()),
    "also runs without it": Run(lambda m, x: m.b(m.a(x)) + m.c(m.a(x)), **a(c=nn.BatchNorm2d(4))),
    "it has a hook": Run(lambda m, x: m.b(m.a(x)), **a(b=hooked(nn.BatchNorm2d(4)))),
    "before it stays: it has a hook": Run(lambda m, x: m.b(m.a(x)), **a(a=hooked(nn.Conv2d(3, 4, 1)))),
    "parametrisation": Run(lambda m, x: m.b(m.a(x)), **a(a=parametrizations.weight_norm(nn.Conv2d(3, 4, 1)))),
    "does not run": Run(lambda m, x: m.a(x), **a()),
    "no running statistics": Run(lambda m, x: m.b(m.a(x)), **a(b=nn.BatchNorm2d(4, track_running_stats=False))),
    "does not compute what its weight says": Run(lambda m, x: m.b(m.a(x)), **a(a=Standardised(3, 4, 3))),
    "does more than normalise": Run(lambda m, x: m.b(m.a(x)), **a(b=Clipped(4))),
    "a view": Run(lambda m, x: m.b(m.a(x).flatten(2)), **a(b=nn.BatchNorm1d(4))),
    "comes between": Run(lambda m, x: m.b(m.a(x.movedim(1, -1))), a=nn.Linear(3, 7), b=nn.BatchNorm2d(16)),
}


@pytest.mark.parametrize("reason", STAY)
def test_a_norm_that_cannot_fold_stays_with_its_reason(reason):
    network = trained(copy.deepcopy(STAY[reason]))
    fused = wf.fuse(network, images())
    fusion = wf.fusion_of(fused)
    assert not fusion.folded
    assert isinstance(fused.b, _BatchNorm)
    assert reason in fusion.left["b"] or reason == "returned"
    assert gap(network, fused, images()) == 0


def test_an_output_that_is_kept_for_later_is_read():
    network = trained(Run(lambda m, x: (setattr(m, "kept", m.a(x)), m.b(m.kept))[1], **a()))
    fused = wf.fuse(network, images())
    assert "read or changed" in wf.fusion_of(fused).left["b"]


def test_channels_last_keeps_its_memory_order():
    network = trained(SmallResNet()).to(memory_format=torch.channels_last)
    x = images().to(memory_format=torch.channels_last)
    fused = wf.fuse(network, x)
    assert gap(network, fused, x) < ROUNDING
    assert fused.layer1[0].conv2.weight.is_contiguous(memory_format=torch.channels_last)


BLOCKS = {
    "gc": wf.GlobalContext,
    "gc multiply_add": partial(wf.GlobalContext, fusion="multiply_add", norm="bn"),
    "se": wf.SqueezeExcite,
    "eca": wf.EfficientChannelAttention,
    "nl": partial(wf.NonLocal, pool=2),
    "nl before": partial(wf.NonLocal, kind="dot", pool=2, pool_order="before", bias=False, out_bias=False),
    "nl affine": partial(wf.NonLocal, norm="affine", kind="concatenation"),
    "gaussian": partial(wf.NonLocal, kind="gaussian"),
    "cgnl": partial(wf.CGNL, norm="bn", groups=2),
    "cgnl taylor": partial(wf.CGNL, kernel="taylor"),
    "gsop": partial(wf.GSoPChannel, inner=8),
    "gsop position": partial(wf.GSoPPosition, inner=8, size=(4, 4)),
    "gsop concat": partial(wf.GSoP, channel=partial(wf.GSoPChannel, inner=8), fusion="concat", groups=1, kernel=3),
    "cbam": wf.CBAM,
}


PLACES = [(name, "layer[12].*.bn3") for name in BLOCKS]
PLACES += [(name, "layer[12].*") for name in ("gc", "nl", "cgnl")] + [("se", "layer[12].*.conv2")]


@pytest.mark.slow_beyond(4)
@pytest.mark.parametrize(("name", "at"), PLACES)
def test_blocks_stay_attached_and_compute_the_same(name, at):
    network = SmallResNet()
    wf.insert(network, BLOCKS[name], at=at, example=images().float())
    trained(network)
    fused = wf.fuse(network, images())
    assert gap(network, fused, images()) < ROUNDING
    assert gap(network, fused, images(1, 20)) < ROUNDING
    assert [p.site for p in wf.blocks_of(fused)] == [p.site for p in wf.blocks_of(network)]
    assert wf.verify(fused, images()).runs == (1, 1)
    fusion = wf.fusion_of(fused)
    assert fusion.folded["bn1"] == "conv1"
    if at.endswith("conv2"):
        assert "a block runs on its output" in fusion.left["layer1.0.bn2"]


@pytest.mark.slow
def test_attention_is_that_of_the_network():
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer[12].*.bn3", example=images().float())
    wf.insert(network, wf.NonLocal, at="layer2.0", example=images().float())
    trained(network)
    fused = wf.fuse(network, images())
    first, second = (wf.attention(net, images(1), query=(3, 4)) for net in (network, fused))
    for one, other in zip(first, second, strict=True):
        assert one.site == other.site
        assert torch.allclose(one.weights, other.weights, rtol=1e-9, atol=1e-12)


def test_the_original_stays_as_it_is():
    network = trained(SmallResNet()).train()
    before = copy.deepcopy(network.state_dict())
    flags = [module.training for module in network.modules()]
    wf.fuse(network, images())
    assert [module.training for module in network.modules()] == flags
    assert list(before) == list(network.state_dict())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.slow
def test_copies_files_and_removal_of_a_fused_network():
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer[12].*.bn3", example=images().float())
    wf.insert(network, wf.NonLocal, at="layer2.0", example=images().float())
    trained(network)
    fused = wf.fuse(network, images())
    for again in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):
        assert gap(fused, again, images()) == 0
        again.load_state_dict(fused.state_dict())
        assert gap(fused, again, images()) == 0
    wf.remove(fused)
    wf.remove(network)
    assert gap(network, fused, images()) < ROUNDING


def test_a_baked_network_fuses():
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer[12].*.bn3", example=images().float())
    trained(network)
    fused = wf.fuse(wf.bake(network), images())
    assert not wf.fusion_of(fused).left
    assert gap(network, fused, images()) < ROUNDING


def test_training_is_refused():
    fused = wf.fuse(trained(nn.Sequential(nn.Dropout(), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))), images())
    with pytest.raises(ValueError, match=r"fused for inference.*cannot train; train the network from before"):
        fused.train()
    with pytest.raises(ValueError, match="fused for inference"):
        fused(images())
    fused.eval()(images())
    assert not any(parameter.requires_grad for parameter in fused.parameters())


def test_weights_of_the_network_before_are_refused():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    with pytest.raises(ValueError, match="'1', which is folded in this network; load them into the network before"):
        wf.fuse(network, images()).load_state_dict(network.state_dict(), strict=False)


def broken_by_its_code():
    return Run(lambda m, x: m.b(m.a(x)) * m.b.running_mean.mean(), **a())


class Held(nn.Module):
    """Calls a norm that it holds a second time, where no tool can replace it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.held = [self.b]

    def forward(self, x):
        return self.held[0](self.a(x))


def endless():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    network[1].running_mean.fill_(torch.inf)
    return network


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Conv2d(3, 4, 1), "has no batch norm and no block that fuses; take it as it is"),
        (lambda: wf.fuse(trained(SmallResNet()), images()), "fused already"),
        (lambda: nn.Sequential(nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4)).double(), "does not run on the given example"),
        (lambda: trained(broken_by_its_code()), "does not run .*in a way that replacing them does not serve"),
        (lambda: trained(Held()), "returns something else .*in a way that replacing them does not serve"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).to("meta"), "without values"),
        (endless, "returns no finite number on the example, so nothing shows"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        wf.fuse(make(), images())


def amplifying():
    """A norm that takes a mean of 1e5 from maps of about 1: rounding of the convolution becomes part of the output."""
    layers = [nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)]
    network = trained(nn.Sequential(*layers), torch.float32)
    with torch.no_grad():
        network[0].bias.add_(1e5)
        network[1].running_mean.copy_(network[0](images().float()).mean((0, 2, 3)))
    return network


def test_rounding_that_the_network_amplifies_is_told_from_misuse():
    x = images().float()
    with pytest.raises(
        ValueError, match=r"amplify the rounding of float32, in which the network itself is 0\.0\d+ from"
    ):
        wf.fuse(amplifying(), x)
    wide = wf.fuse(amplifying().double(), x.double())  # as the sentence says
    assert wf.fusion_of(wide).deviation < 1e-8
    network = amplifying()
    network.held = [network[1]]
    misused = Run(lambda m, x: 2 * m.net[2](m.net.held[0](m.net[0](x))), net=network)
    with pytest.raises(ValueError, match="in a way that replacing them does not serve"):
        wf.fuse(misused, x)


def test_the_default_example_and_the_report():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 9, stride=8), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)))
    fusion = wf.fusion_of(wf.fuse(network))
    lines = str(fusion).splitlines()
    assert lines[0] == "1 is folded into 0"
    assert lines[1].startswith("3 stays: its input is not what one layer returns")
    assert lines[2].startswith("1 norm folded, 1 left, 0 merged; outputs differ by ")
    with pytest.raises(ValueError, match="is not fused"):
        wf.fusion_of(network)


@pytest.mark.slow
def test_a_fused_network_exports():
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer[12].*.bn3", example=images().float())
    wf.insert(network, wf.NonLocal, at="layer2.0", example=images().float())
    fused = wf.fuse(trained(network), images())
    batch = ({0: torch.export.Dim("batch", min=1, max=8)},)
    program = torch.export.export(fused, (images(),), dynamic_shapes=batch)
    assert gap(network, program.module(), images(3)) < 1e-11


ROUNDING = 1e-10
"""In float64, of networks with random weights, whose many layers multiply the rounding of the first ones"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "densenet121", "regnet_y_400mf", "r3d_18"])
def test_networks_of_torchvision(name):
    network = trained(torchvision.models.get_model(name))
    x = torch.randn(1, 3, 8, 32, 32) if name == "r3d_18" else torch.randn(1, 3, 64, 64)
    fusion = wf.fusion_of(wf.fuse(network, x.double()))
    assert fusion.deviation < ROUNDING
    assert bool(fusion.left) == (name == "densenet121")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "mobilenetv3_small_050", "resnetv2_18", "repvgg_a0"])
def test_networks_of_timm(name):
    timm = pytest.importorskip("timm")
    network = trained(timm.create_model(name))
    fusion = wf.fusion_of(wf.fuse(network, torch.randn(1, 3, 64, 64).double()))
    assert fusion.folded
    assert fusion.deviation < ROUNDING


@pytest.mark.slow
def test_a_detector_fuses():
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=3).eval()
    fusion = wf.fusion_of(wf.fuse(network))
    assert len(fusion.folded) == 46 and not fusion.left
