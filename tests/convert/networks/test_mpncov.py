"""Files of fast-MPN-COV in each of their forms, and the order of the triangle."""

from pathlib import Path

import pytest
import torch
from reference_nets import ISqrt, keep_last_stage, randomise, tiny_resnet
from torch import Tensor, nn

from wholeframe import convert
from wholeframe.convert.networks.mpncov import reordered, stated

IMAGE = (2, 3, 64, 64)


def second_order(layers: tuple[int, ...] = (1, 2, 1, 1), triangle: str = "upper", steps: int = 5) -> nn.Module:
    made = tiny_resnet(layers)
    keep_last_stage(made)
    made.avgpool = nn.Sequential(
        nn.Conv2d(2048, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), ISqrt(steps, triangle)
    )
    made.fc = nn.Linear(21, 5)
    return randomise(made)


CHILDREN = {f"layer{number}.": f"features.{number + 3}." for number in (1, 2, 3, 4)}
CHILDREN |= {"conv1.": "features.0.", "bn1.": "features.1.", "fc.": "classifier."}
FORMS = {
    "ImageNet": {"avgpool.0.": "layer_reduce.", "avgpool.1.": "layer_reduce_bn."},
    "from scratch": {
        "avgpool.0.": "representation.conv_dr_block.0.",
        "avgpool.1.": "representation.conv_dr_block.1.",
        **CHILDREN,
    },
    "fine-tuned": {"avgpool.0.": "features.8.", "avgpool.1.": "features.9.", **CHILDREN},
}
FORMS["DataParallel"] = {
    ours: theirs.replace("features.", "features.module.") for ours, theirs in FORMS["from scratch"].items()
}


def saved(state: dict[str, Tensor], names: dict[str, str], folder: Path, arch: str = "mpncovresnet50") -> Path:
    path = folder / "model_best.pth.tar"
    renamed = {
        next((theirs + key.removeprefix(ours) for ours, theirs in names.items() if key.startswith(ours)), key): tensor
        for key, tensor in state.items()
    }
    torch.save({"epoch": 2, "arch": arch, "state_dict": renamed}, path)
    return path


def same(converted: convert.Converted, theirs: nn.Module) -> bool:
    x = torch.randn(IMAGE, dtype=torch.float64)
    return torch.allclose(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", [pytest.param(f, marks=[pytest.mark.slow] * (f != "DataParallel")) for f in FORMS])
def test_each_form_gives_the_same(form, tmp_path):
    torch.manual_seed(0)
    theirs = second_order()
    path = saved(theirs.state_dict(), FORMS[form], tmp_path)
    converted = convert.checkpoint(path, triangle="upper")
    assert converted.report.left == converted.report.new == {}
    assert same(converted, theirs)
    assert "assumed: triangle: upper" in str(converted.report)


@pytest.mark.slow
def test_a_classifier_in_the_older_order_is_rewritten(tmp_path):
    torch.manual_seed(0)
    theirs = second_order(triangle="lower", steps=3)
    path = saved(theirs.state_dict(), FORMS["ImageNet"], tmp_path)
    converted = convert.checkpoint(path, triangle="lower", steps=3)
    assert converted.network.avgpool.triangle == "upper"
    assert same(converted, theirs)
    assert not same(convert.checkpoint(path, triangle="upper", steps=3), theirs)
    assert not same(convert.checkpoint(path, triangle="lower"), theirs)


def test_the_order_of_the_columns_is_that_of_the_published_rule():
    """fc_upper[:, i d - i (i - 1) / 2 + (j - i)] = fc_lower[:, j (j + 1) / 2 + i] for i <= j."""
    d = 7
    lower = torch.randn(3, d * (d + 1) // 2)
    upper = torch.full_like(lower, torch.nan)
    for i in range(d):
        for j in range(i, d):
            upper[:, i * d - i * (i - 1) // 2 + (j - i)] = lower[:, j * (j + 1) // 2 + i]
    assert torch.equal(reordered("fc.weight")("fc.weight", lower), upper)
    assert reordered("fc.weight")("conv1.weight", lower) is lower


def test_the_architecture_of_a_file_is_read():
    assert stated({"arch": "mpncovresnet101"}) == {"last_stride": 1}
    assert stated({"arch": "resnet50", "epoch": 3}) == {"last_stride": 2}
    assert stated({"arch": "vgg16_bn"}) == stated({}) == {}


def test_the_order_must_be_given(tmp_path):
    path = saved(second_order().state_dict(), FORMS["ImageNet"], tmp_path)
    with pytest.raises(ValueError, match=r"needs 'triangle'"):
        convert.checkpoint(path)
    with pytest.raises(ValueError, match=r"triangle='up' is not one of 'upper', 'lower'"):
        convert.checkpoint(path, triangle="up")


@pytest.mark.slow
def test_a_stride_of_two_in_the_last_stage(tmp_path):
    """`resnet50` with this representation has the names of `mpncovresnet50`."""
    torch.manual_seed(0)
    theirs = second_order()
    theirs.layer4[0].conv2.stride = theirs.layer4[0].downsample[0].stride = (2, 2)
    path = saved(theirs.state_dict(), FORMS["from scratch"], tmp_path)
    assert same(convert.checkpoint(path, triangle="upper", last_stride=2), theirs)
    assert not same(convert.checkpoint(path, triangle="upper"), theirs)
    content = torch.load(path)
    torch.save({**content, "arch": "resnet50"}, path)
    assert same(convert.checkpoint(path, triangle="upper"), theirs)


class CovarianceVGG(nn.Module):
    """A small VGG with the names of the reference; the last maximum is not there."""

    def __init__(self, batch_norm: bool, hidden: bool, triangle: str):
        super().__init__()
        layers, channels = [], 3
        for width in (8, "M", 8, 16, "M", 16):
            if width == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            norm = [nn.BatchNorm2d(width)] if batch_norm else []
            layers += [nn.Conv2d(channels, width, 3, padding=1), *norm, nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.representation = nn.Module()
        self.representation.conv_dr_block = nn.Sequential(nn.Conv2d(16, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.pool = ISqrt(5, triangle)
        rest = [nn.ReLU(), nn.Dropout(), nn.Linear(9, 7), nn.ReLU(), nn.Dropout(), nn.Linear(7, 4)]
        self.classifier = nn.Sequential(nn.Linear(21, 9), *rest) if hidden else nn.Linear(21, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.representation.conv_dr_block(self.features(x))))


@pytest.mark.parametrize("triangle", ["upper", "lower"])
@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_vgg_gives_the_same(batch_norm, hidden, triangle, tmp_path):
    torch.manual_seed(0)
    theirs = randomise(CovarianceVGG(batch_norm, hidden, triangle), (2, 3, 16, 12))
    path = saved(theirs.state_dict(), {"features.": "features.module."}, tmp_path, "vgg16_bn")
    converted = convert.checkpoint(path, triangle=triangle)
    x = torch.randn(2, 3, 16, 12, dtype=torch.float64)
    torch.testing.assert_close(converted.network(x), theirs(x), rtol=1e-9, atol=1e-9)
    other = convert.checkpoint(path, triangle="upper" if triangle == "lower" else "lower")
    assert (other.network(x) - theirs(x)).abs().max() > 1e-6


def test_other_backbones_and_poolings_are_refused(tmp_path):
    state = second_order().state_dict()
    average = {key: t for key, t in state.items() if not key.startswith("avgpool.")} | {
        "fc.weight": torch.zeros(5, 2048)
    }
    with pytest.raises(ValueError, match=r"takes 2048 values, which are not the triangle of a covariance"):
        convert.checkpoint(saved(average, FORMS["from scratch"], tmp_path), triangle="upper")
    names = {**FORMS["from scratch"], "avgpool.0.": "layer_reduce."}
    twice = saved({**state, "avgpool.1.weight": state["avgpool.0.weight"]}, names, tmp_path)
    content = torch.load(twice)["state_dict"]
    content["representation.conv_dr_block.0.weight"] = content["layer_reduce.weight"]
    with pytest.raises(ValueError, match=r"reduces its channels twice, by 'layer_reduce.' and by 'repr"):
        convert.checkpoint(saved(content, {}, tmp_path), triangle="upper")
    dense = {"features.0.weight": torch.zeros(8, 3, 7, 7), "features.denseblock1.conv.weight": torch.zeros(1)}
    dense |= {"representation.conv_dr_block.0.weight": torch.zeros(6, 8, 1, 1), "classifier.weight": torch.zeros(5, 21)}
    with pytest.raises(ValueError, match=r"neither a ResNet nor a VGG: its features.0 is a convolution of shape"):
        convert.checkpoint(saved(dense, {}, tmp_path, "densenet121"), triangle="upper")


BACKBONES = {
    "a DenseNet": {"features.conv0.weight": (4, 3, 7, 7)},
    "an Inception network": {"features.0.conv.weight": (4, 3, 3, 3)},
    "an AlexNet": {"features.0.weight": (4, 3, 11, 11), "features.3.weight": (4, 4, 5, 5)},
}


@pytest.mark.parametrize("triangle", ["upper", "lower"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_of_another_backbone_the_representation_alone_is_converted(backbone, triangle, tmp_path):
    torch.manual_seed(0)
    theirs = randomise(nn.Sequential(nn.Conv2d(8, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU()), (2, 8, 5, 4))
    pool = ISqrt(5, triangle)
    state = {f"representation.conv_dr_block.{name}": tensor for name, tensor in theirs.state_dict().items()}
    others = {name: torch.zeros(shape) for name, shape in BACKBONES[backbone].items()} | {
        "classifier.bias": torch.ones(3)
    }
    torch.save({"state_dict": state | others}, tmp_path / "file.pth")
    converted = convert.checkpoint(tmp_path / "file.pth", triangle=triangle)
    assert converted.network is None and converted.report.left.keys() == others.keys()
    assert set(converted.report.left.values()) == {
        f"belongs to {backbone}, which has no counterpart here; the representation alone is converted"
    }
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(converted.blocks["representation"](x), pool(theirs(x)), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match=f"last_stride=1 does not apply to this file, whose backbone is {backbone}"):
        convert.checkpoint(tmp_path / "file.pth", triangle=triangle, last_stride=1)
