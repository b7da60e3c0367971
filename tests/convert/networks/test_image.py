"""ResNets read from shapes: the network that is built has these shapes, or a sentence says why none is built."""

import re

import pytest
import timm
import torch
import torchvision

from wholeframe.convert.networks import image
from wholeframe.models.origin import Origin
from wholeframe.models.rebuild import rebuild


def shapes_of(network):
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def origin(network, style="pytorch", output_stride=32, inside=False):
    read = image.read(shapes_of(network))
    return image.backbone(read, style=style, output_stride=output_stride, inside=inside)


@pytest.fixture(autouse=True)
def without_values():
    with torch.device("meta"):
        yield


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: torchvision.models.resnet18(num_classes=7), ("torchvision", "resnet18", {"num_classes": 7})),
        (
            lambda: torchvision.models.resnext50_32x4d(),
            ("torchvision", "resnet50", {"num_classes": 1000, "groups": 32, "width_per_group": 4}),
        ),
        pytest.param(
            lambda: torchvision.models.get_model("resnet50", groups=64, width_per_group=4),
            ("torchvision", "resnet50", {"num_classes": 1000, "groups": 64, "width_per_group": 4}),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: torchvision.models.wide_resnet50_2(),
            ("torchvision", "resnet50", {"num_classes": 1000, "width_per_group": 128}),
            marks=pytest.mark.slow,
        ),
        (
            lambda: timm.create_model("resnet50c", num_classes=0),
            ("timm", "resnet50", {"num_classes": 0, "stem_type": "deep", "stem_width": 32}),
        ),
        (
            lambda: timm.create_model("resnet50d", num_classes=5, in_chans=1),
            (
                "timm",
                "resnet50",
                {"num_classes": 5, "stem_type": "deep", "stem_width": 32, "avg_down": True, "in_chans": 1},
            ),
        ),
        (
            lambda: timm.create_model("resnet26", num_classes=0),
            ("timm", "resnet50", {"num_classes": 0, "layers": [2, 2, 2, 2]}),
        ),
    ],
)
def test_the_network_has_the_shapes_it_was_read_from(make, expected):
    network = make()
    found = origin(network)
    assert (found.library, found.name, found.arguments) == expected
    assert shapes_of(rebuild(found)) == shapes_of(network)


def test_without_a_classifier_the_layer_is_an_identity():
    network = torchvision.models.resnet50()
    network.fc = torch.nn.Identity()
    assert origin(network) == Origin("torchvision", "resnet50", {}, ("fc",))
    assert origin(network, style="caffe") == Origin(
        "wholeframe", "r50", {"num_classes": 1000, "stride": "1x1"}, ("fc",)
    )
    assert shapes_of(rebuild(origin(network, style="caffe"))) == shapes_of(network)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("output_stride", "dilations"), [(16, (1, 2)), (8, (2, 4))])
@pytest.mark.parametrize("inside", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_dilations_double_where_the_map_is_not_halved(output_stride, dilations, inside):
    network = rebuild(origin(torchvision.models.resnet50(), output_stride=output_stride, inside=inside))
    for stage, dilation in zip((3, 4), dilations, strict=True):
        first, second = (network.get_submodule(f"layer{stage}.{block}.conv2") for block in (0, 1))
        assert second.dilation == (dilation, dilation)
        assert first.dilation == (dilation // 2 or 1,) * 2
        assert first.stride == ((1, 1) if dilation > 1 else (2, 2))


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        (
            lambda: timm.create_model("resnet50c"),
            {"style": "caffe"},
            "is here in its published depths alone, with dense",
        ),
        (torchvision.models.resnext50_32x4d, {"style": "caffe"}, "is here in its published depths alone, with dense"),
        (torchvision.models.resnet18, {"output_stride": 8}, "a dilated ResNet of basic blocks has no counterpart here"),
        (lambda: timm.create_model("resnet50d"), {"output_stride": 8}, "a dilated ResNet-D has no counterpart here"),
        (lambda: timm.create_model("resnet50t"), {}, r"a ResNet with a stem of \(24, 32, 64\) channels has no counter"),
    ],
)
def test_what_no_library_has(make, options, reason):
    found = origin(make(), **options)
    assert isinstance(found, str)
    assert re.search(reason, found)


def test_other_networks_are_not_read():
    assert "its backbone has the stages of other names" in image.read(shapes_of(torchvision.models.vgg11()))
    three = {key: shape for key, shape in shapes_of(torchvision.models.resnet18()).items() if "layer4" not in key}
    assert "its backbone has the stages [1, 2, 3]" in image.read(three)
    bare = {key: shape for key, shape in shapes_of(torchvision.models.resnet18()).items() if "bn1" not in key}
    assert "its residual blocks have no 'bn1.running_mean', so it is not a ResNet with batch norms" in image.read(bare)


@pytest.mark.parametrize(
    "name", ["conv1.weight", "layer1.0.conv1.weight", "layer2.1.conv2.weight", "layer1.0.conv3.weight"]
)
def test_a_resnet_that_lacks_a_tensor_is_refused(name):
    shapes = shapes_of(timm.create_model("resnet26"))
    for damaged in ({**shapes, name: torch.Size([0, 64, 1, 1])}, {k: s for k, s in shapes.items() if k != name}):
        with pytest.raises(ValueError, match=f"its backbone lacks '{name}'"):
            image.read(damaged)


@pytest.mark.parametrize("options", [{"style": "tensorflow"}, {"output_stride": 4}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.* is not one of"):
        origin(torchvision.models.resnet18(), **options)
