"""Which builder made a network, found by its modules."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from wholeframe.models.build import create_backbone
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.rebuild import rebuild
from wholeframe.store.origins import found_origin
from wholeframe.surgery.record import blocks_of


def found(network):
    return found_origin(network, blocks_of(network))


def test_a_network_of_wholeframe_remembers_its_origin():
    network = create_backbone("small", 7)
    assert found(network) == origin_of(network) == Origin("wholeframe", "small", {"num_classes": 7})
    network.head[2] = nn.Conv2d(48, 9, 1)
    assert found(network).arguments == {"num_classes": 9}


def test_timm_by_name_and_tag():
    network = timm.create_model("test_vit.r160_in1k", num_classes=3, img_size=96)
    origin = found(network)
    assert origin == Origin("timm", "test_vit.r160_in1k", {"num_classes": 3, "img_size": (96, 96)})
    assert str(rebuild(origin)) == str(network)
    one = timm.create_model("test_resnet", in_chans=1, num_classes=0)
    assert found(one).arguments == {"num_classes": 0, "in_chans": 1}
    tuned = timm.create_model("test_resnet", num_classes=3, drop_path_rate=0.1, drop_rate=0.2, global_pool="max")
    assert found(tuned).arguments == {"num_classes": 3, "drop_path_rate": 0.1, "global_pool": "max"}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (lambda: torchvision.models.squeezenet1_0(num_classes=3), {"num_classes": 3}),
        (lambda: torchvision.models.mnasnet0_5(num_classes=2), {"num_classes": 2}),
        (
            lambda: torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=4),
            {"num_classes": 4, "weights_backbone": None},
        ),
    ],
)
def test_torchvision_by_its_modules(build, arguments):
    with torch.device("meta"):
        network = build()
    assert found(network).arguments == arguments


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnext50_32x4d",
        "vgg11_bn",
        "efficientnet_b0",
        "swin_v2_t",
        "fasterrcnn_mobilenet_v3_large_fpn",
        "retinanet_resnet50_fpn_v2",
        "ssdlite320_mobilenet_v3_large",
        "fcn_resnet50",
        "deeplabv3_mobilenet_v3_large",
        "r2plus1d_18",
        "googlenet",
    ],
)
def test_families_of_torchvision(name):
    extra = {"weights_backbone": None} if "net50_fpn" in name or "_v3_large" in name or name == "fcn_resnet50" else {}
    extra |= {"init_weights": False} if name == "googlenet" else {}
    origin = found(torchvision.models.get_model(name, num_classes=5, **extra))
    assert (origin.library, origin.name, origin.arguments["num_classes"]) == ("torchvision", name, 5)


def test_a_network_that_nothing_builds_names_the_nearest():
    network = torchvision.models.squeezenet1_1(num_classes=3)
    network.classifier[2] = nn.GELU()
    with pytest.raises(ValueError, match=r"the nearest of 2 candidates: its module 'classifier\.2' is GELU") as caught:
        found(network)
    assert "torchvision/squeezenet1_1(num_classes=3)" in str(caught.value)
