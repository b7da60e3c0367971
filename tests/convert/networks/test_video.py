"""What is read from the shapes of a video network, and which networks have no counterpart."""

import pytest
import torch

from wholeframe.convert.networks import video
from wholeframe.models.resnet_sites import STAGES
from wholeframe.models.resnet_video import VideoResNet


def shapes_of(depth, architecture, **changed):
    with torch.device("meta"):
        network = VideoResNet.like("slowfast", architecture, depth, 7)
    return {name: tensor.shape for name, tensor in network.state_dict().items()} | changed


def convolution(module):
    return [tuple(value) for key, value in vars(module).items() if key in ("kernel_size", "stride", "padding")]


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("architecture", ["c2d", "i3d", "i3d333", "slowonly"])
@pytest.mark.parametrize("depth", [50, 101, 152])
def test_every_architecture_is_read_from_its_shapes(depth, architecture):
    shapes = shapes_of(depth, architecture)
    origin = video.backbone(shapes, "slowfast")
    with torch.device("meta"):
        again, same = VideoResNet(**origin.arguments), VideoResNet.like("slowfast", architecture, depth, 7)
    assert {name: tensor.shape for name, tensor in again.state_dict().items()} == shapes
    assert [convolution(m) for m in again.modules()] == [convolution(m) for m in same.modules()]
    assert origin.arguments["depth"] == depth and origin.arguments["num_classes"] == 7


def test_any_set_of_inflated_blocks_is_read():
    shapes = shapes_of(50, "c2d") | {"layer3.4.conv1.weight": torch.Size((256, 1024, 3, 1, 1))}
    inflated = video.backbone(shapes, "nopool").arguments["inflated"]
    assert inflated == [[0] * 3, [0] * 4, [0, 0, 0, 0, 1, 0], [0] * 3]


def test_a_shallow_network_is_read():
    shapes = shapes_of(18, "c2d") | {"layer1.1.conv1.weight": torch.Size((64, 64, 3, 3, 3))}
    arguments = video.backbone(shapes, "nopool").arguments
    assert (arguments["depth"], arguments["inflation"], arguments["inflated"][0]) == (18, "3x3x3", [0, 1])


@pytest.mark.parametrize("residual", ["layer1.1", "layer4.0"])
def test_a_basic_block_with_two_kernels_over_time_is_read(residual):
    shapes = shapes_of(18, "c2d")
    names = [f"{residual}.{conv}.weight" for conv in ("conv1", "conv2")]
    shapes |= {name: torch.Size((*shapes[name][:2], 3, 3, 3)) for name in names}
    origin = video.backbone(shapes, "nopool", last=(1, 1))
    assert (origin.arguments["inflation"], origin.arguments["last_stride"]) == ("two 3x3x3", 1)
    with torch.device("meta"):
        again = VideoResNet(**origin.arguments)
    assert {name: tensor.shape for name, tensor in again.state_dict().items()} == shapes
    assert again.layer4[0].conv1.stride == (1, 1, 1) and again.layer3[0].conv1.stride == (1, 2, 2)


@pytest.mark.parametrize(("architecture", "expected"), [("i3d", "a"), ("i3d333", "a"), ("c2d", "b"), ("slowonly", "c")])
def test_the_architecture_has_a_convention(architecture, expected):
    shapes = shapes_of(50, architecture)
    assert video.default_convention(shapes, {"i3d": "a", "c2d": "b", "slowonly": "c"}) == expected


def without(prefix):
    return {name: shape for name, shape in shapes_of(50, "i3d").items() if not name.startswith(prefix)}


KERNEL = torch.Size((64, 64, 3, 3, 3))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (without("layer4"), r"its stages have \(3, 4, 6, 0\) blocks of 3 convolutions, and there are networks of 50: "),
        (without("layer2.3"), r"its stages have \(3, 3, 6, 3\) blocks"),
        (shapes_of(50, "i3d", **{"layer1.1.conv2.weight": KERNEL}), r"kernels of 'layer1.1' have 3 and 3 frames"),
        (
            shapes_of(50, "i3d", **{"layer2.1.conv2.weight": KERNEL}),
            r"some blocks are inflated as '3x1x1', '3x3x3', and here all of a network are alike",
        ),
        (shapes_of(50, "i3d", **{"layer1.1.conv1.weight": torch.Size((64, 256, 5, 1, 1))}), r"have 5 and 1 frames"),
    ],
)
def test_other_networks_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        video.backbone(shapes, "slowfast")


def test_an_unknown_convention_is_refused():
    with pytest.raises(ValueError, match=r"convention='slowfats' is not one of .*; did you mean 'slowfast'\?"):
        video.backbone(shapes_of(50, "c2d"), "slowfats")


def test_a_head_that_is_not_there_is_new():
    shapes = without("fc.")
    plan = video.planned(shapes, {"": ""}, "slowfast", {})
    assert plan.new == {"fc.": "the file has no classifier"} and "num_classes" not in plan.origin.arguments
    assert plan.input == (3, 8, 224, 224) and set(STAGES) >= {plan.origin.arguments["depth"]}
