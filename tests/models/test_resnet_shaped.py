"""A ResNet of any shape: torchvision's where it has it, and the changes to strides and pooling."""

import pytest
import torch
import torchvision

from wholeframe.blocks import ISqrtCov
from wholeframe.models.origin import Origin
from wholeframe.models.rebuild import rebuild
from wholeframe.models.resnet_shaped import shaped_resnet


def test_published_numbers_give_torchvisions_network():
    with torch.device("meta"):
        ours, theirs = shaped_resnet([3, 4, 6, 3], 7), torchvision.models.resnet50(num_classes=7)
    assert str(ours) == str(theirs)


def test_strides_and_pooling_change():
    pool = {"inner": 4, "steps": 3, "triangle": "lower"}
    arguments = {"layers": [1, 1, 1, 1], "num_classes": 5, "stride": "1x1", "last_stride": 1, "pool": pool, "width": 8}
    with torch.device("meta"):
        made = rebuild(Origin("wholeframe", "ResNet", arguments))
    assert isinstance(made.avgpool, ISqrtCov) and (made.avgpool.steps, made.avgpool.triangle) == (3, "lower")
    assert made.fc.in_features == 10
    assert [made.get_submodule(f"layer{s}.0.conv1").stride[0] for s in (2, 3, 4)] == [2, 2, 1]
    assert [made.get_submodule(f"layer{s}.0.conv2").stride[0] for s in (2, 3, 4)] == [1, 1, 1]
    assert made(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [1, 1, 1]}, r"layers=\[1, 1, 1\] must be the blocks of four stages"),
        ({"residual": "bottle"}, r"residual='bottle' is not one of 'basic', 'bottleneck'"),
        ({"residual": "basic", "stride": "1x1"}, r"stride='1x1' has no meaning for basic blocks"),
        ({"last_stride": 3}, r"last_stride=3 is not one of 1, 2"),
        ({"pool": {"iner": 4}}, r"pool has no argument 'iner'; did you mean 'inner'"),
    ],
)
def test_refusals(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        shaped_resnet(**{"layers": [1, 1, 1, 1], **options})
