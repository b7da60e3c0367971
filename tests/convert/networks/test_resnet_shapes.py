"""Damaged files of all these sources: each lacking tensor and each other shape is a sentence, found without values."""

import re

import pytest
import torch
from reference_nets import CGNLBlock, tiny_resnet
from torch import nn

from wholeframe.convert import WHOLE, checkpoint
from wholeframe.convert.matched import match_tensors
from wholeframe.convert.networks.resnet_shapes import displaced, resnet_origin
from wholeframe.convert.parts import Parts
from wholeframe.convert.whole import source_of
from wholeframe.models.rebuild import rebuild

# The tensors that decide what is built.
READ = re.compile(
    r"(\.[tzp]|^layer1\.0\.conv[12]|conv_for_DR\w*|row_bn\w*|concat1|[gW]\.0|^fc|^classifier|^layer_reduce|^features\.\d)"
    r"\.weight$"
)


HEADS = ("fc", "classifier")


def cgnl():
    made = tiny_resnet()
    made.layer3 = nn.Sequential(made.layer3[0], CGNLBlock(1024, 8, 4), made.layer3[1])
    return made.state_dict(), {"kernel": "dot"}


def gsop():
    made = tiny_resnet((1, 2, 1, 1)).state_dict()
    gates = {"conv_for_DR": (6, 512, 1, 1), "row_conv_group": (24, 1, 6, 1), "fc_adapt_channels": (512, 24, 1, 1)}
    gates |= {"conv_for_DR_spatial": (6, 512, 1, 1), "row_conv_group_for_spatial": (16, 1, 4, 1)}
    gates |= {"fc_adapt_channels_for_spatial": (4, 16, 1, 1), "dilate_conv_for_concat1": (512, 64, 9, 1)}
    gates |= {"dilate_conv_for_concat2": (512, 64, 9, 1)}
    norms = {"bn_for_DR": 6, "row_bn": 6, "bn_for_DR_spatial": 6, "row_bn_for_spatial": 4, "bn_for_concat": 512}
    for name, shape in gates.items():
        made[f"layer2.1.{name}.weight"], made[f"layer2.1.{name}.bias"] = torch.empty(shape), torch.empty(shape[0])
    for name, width in norms.items():
        made |= {
            f"layer2.1.{name}.{key}": torch.empty(width) for key in ("weight", "bias", "running_mean", "running_var")
        }
    return made, {}


def mpncov():
    made = {key: tensor for key, tensor in tiny_resnet().state_dict().items() if not key.startswith("fc.")}
    made |= {
        "layer_reduce.weight": torch.empty(6, 2048, 1, 1),
        "fc.weight": torch.empty(5, 21),
        "fc.bias": torch.empty(5),
    }
    made |= {f"layer_reduce_bn.{key}": torch.empty(6) for key in ("weight", "bias", "running_mean", "running_var")}
    return made, {"triangle": "lower"}


def vgg():
    made = {"features.0.weight": torch.empty(8, 3, 3, 3), "features.0.bias": torch.empty(8)}
    made |= {"features.3.weight": torch.empty(9, 8, 3, 3), "features.3.bias": torch.empty(9)}
    made |= {"representation.conv_dr_block.0.weight": torch.empty(6, 9, 1, 1), "classifier.weight": torch.empty(5, 21)}
    norm = ("weight", "bias", "running_mean", "running_var")
    made |= {f"representation.conv_dr_block.1.{key}": torch.empty(6) for key in norm}
    return made | {"classifier.bias": torch.empty(5)}, {"triangle": "upper"}


def alexhex7():
    made = {"nl.g.0.weight": torch.empty(4, 8, 1, 1), "nl.W.0.weight": torch.empty(8, 4, 1, 1)}
    made |= {"nl.g.0.bias": torch.empty(4), "nl.W.0.bias": torch.empty(8)}
    return made | {f"nl.W.1.{k}": torch.empty(8) for k in ("weight", "bias", "running_mean", "running_var")}, {}


def converted(state, options):
    """As `checkpoint` does it, without a file."""
    name = source_of(state, "the file", WHOLE, None)
    with torch.device("meta"):
        plan = WHOLE[name].plan({key: tensor.shape for key, tensor in state.items()}, **options)
        parts = Parts.of(plan)
    return match_tensors(plan, parts.state(), state, "the file")


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize("make", [cgnl, vgg, alexhex7, gsop, mpncov], ids=lambda make: make.__name__)
def test_damage_is_a_sentence(make):
    with torch.device("meta"):
        state, options = make()
    converted(state, options)
    chosen = [key for key in state if READ.search(key)]
    assert len(chosen) >= 2
    for key in chosen:
        others = {name: tensor for name, tensor in state.items() if name != key}
        for shape in (None, (0, 3), ()):
            damaged = others if shape is None else {**others, key: torch.empty(shape, device="meta")}
            with pytest.raises(ValueError, match=r"[a-z]{3}") as raised:
                converted(damaged, options)
            assert "unpack" not in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (gsop, {"fusion": "sum"}, r"fusion='sum' does not apply to this file, none of whose residual blocks adds"),
        (gsop, {"steps": 5}, r"steps=5 does not apply to this file, which is of GSoP-Net1"),
        (vgg, {"last_stride": 2}, r"last_stride=2 does not apply to this file, whose backbone is a VGG"),
        (alexhex7, {"mode": "dot"}, r"mode='dot' does not apply to this file, whose .* are of the kind 'gaussian'"),
    ],
)
def test_an_option_that_nothing_takes_is_refused(make, options, message):
    with torch.device("meta"):
        state, needed = make()
    with pytest.raises(ValueError, match=message):
        converted(state, {**needed, **options})


@pytest.mark.slow
def test_torchvision_has_the_published_ones():
    for name in ("resnet18", "resnet101", "resnext50_32x4d", "wide_resnet50_2"):
        with torch.device("meta"):
            import torchvision

            state = torchvision.models.get_model(name, num_classes=7).state_dict()
        origin = resnet_origin({key: tensor.shape for key, tensor in state.items()})
        assert (origin.library, origin.name, origin.arguments) == ("torchvision", name, {"num_classes": 7})


def test_other_sizes_are_built_from_their_numbers():
    with torch.device("meta"):
        state = tiny_resnet((1, 3, 2, 1), groups=2).state_dict()
        origin = resnet_origin({key: tensor.shape for key, tensor in state.items()}, last_stride=1, stride="1x1")
        made = rebuild(origin)
    assert {key: tensor.shape for key, tensor in made.state_dict().items()} == {k: t.shape for k, t in state.items()}
    assert made.layer4[0].conv2.stride == made.layer4[0].conv1.stride == (1, 1)
    assert made.layer3[0].conv1.stride == (2, 2) and made.layer3[0].conv2.stride == (1, 1)


def test_a_block_goes_after_the_module_before_it():
    names = ["s1.0.a", "s1.1.mark", "s1.2.a", "s2.0.mark", "s2.1.a", "s2.10.a"]
    sites, others = displaced(dict.fromkeys(names, torch.Size()), ("s1", "s2"), "mark", "stem")
    assert sites == {"s1.1": "s1.0", "s2.0": "s1.1"}
    assert others == {"s1.0": "s1.0", "s1.2": "s1.1", "s2.1": "s2.0", "s2.10": "s2.1"}


@pytest.mark.parametrize("make", [cgnl, vgg, gsop, mpncov], ids=lambda make: make.__name__)
def test_a_file_without_its_classifier_gives_features(make, tmp_path):
    with torch.device("meta"):
        state, options = make()
    rest = {k: torch.ones(t.shape) for k, t in state.items() if not k.startswith(("fc.", "classifier.")) and t.ndim}
    torch.save(rest, tmp_path / "file.pth")
    found = checkpoint(tmp_path / "file.pth", **options)
    assert not found.report.new and set(found.report.loaded.values()) == rest.keys()
    assert found.report.conventions["not in the file"] in (f"{name}, so the network gives features" for name in HEADS)
    assert all(
        isinstance(found.network.get_submodule(name), nn.Identity) for name in HEADS if hasattr(found.network, name)
    )
