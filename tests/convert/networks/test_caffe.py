"""SE-ResNets under Caffe's names, written by three kinds of ports; the same network of timm is the expectation."""

import pytest
import timm
import torch
from image_layouts import randomised, saved

import wholeframe as wf
from wholeframe.convert.networks import caffe
from wholeframe.convert.rename import renamed

IMAGE = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LAYERS = {
    "conv1": "1x1_reduce",
    "bn1": "1x1_reduce_bn",
    "conv2": "3x3",
    "bn2": "3x3_bn",
    "conv3": "1x1_increase",
    "bn3": "1x1_increase_bn",
    "downsample.0": "1x1_proj",
    "downsample.1": "1x1_proj_bn",
    "se_module.fc1": "1x1_down",
    "se_module.fc2": "1x1_up",
}
OTHERS = {"layer0.conv1": "conv1_7x7_s2", "layer0.bn1": "conv1_7x7_s2_bn", "last_linear": "classifier"}
BLOBS = {
    "torch": {},
    "caffe2": {"weight": "_w", "bias": "_b", "running_mean": "_rm", "running_var": "_riv"},
    "mxnet": {"weight": "_weight", "bias": "_bias", "running_mean": "_moving_mean", "running_var": "_moving_var"},
}
AFFINE = {"caffe2": {"weight": "_s"}, "mxnet": {"weight": "_gamma", "bias": "_beta"}}


def in_caffes_names(state, port):
    named = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        if kind == "num_batches_tracked":
            continue
        if layer in OTHERS:
            name = OTHERS[layer]
        else:
            stage, block, rest = layer.removeprefix("layer").split(".", 2)
            name = f"conv{int(stage) + 1}_{int(block) + 1}_{LAYERS[rest]}"
        blobs = BLOBS[port] | (AFFINE.get(port, {}) if name.endswith("_bn") else {})
        named[f"{name}{blobs.get(kind, f'.{kind}')}"] = tensor
    return named


def test_the_network_is_that_of_timm(tmp_path):
    torch.manual_seed(0)
    theirs = randomised(timm.create_model("legacy_seresnet50", layers=[1, 1, 1, 1], num_classes=3)).float()
    state = in_caffes_names(theirs.state_dict(), "torch")
    converted = wf.convert.checkpoint(saved(tmp_path, state), colours="BGR")
    torch.testing.assert_close(converted.network(IMAGE), theirs(IMAGE), rtol=1e-4, atol=1e-5)
    assert converted.source == "caffe"
    assert list(converted.blocks) == [f"layer{stage}.0.se_module" for stage in (1, 2, 3, 4)]
    assert set(converted.report.loaded.values()) == state.keys()


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("slashes", [False, True])
@pytest.mark.parametrize("port", BLOBS)
def test_every_port_has_the_names_of_the_network(port, slashes):
    with torch.device("meta"):
        theirs = timm.create_model("legacy_seresnet50", layers=[1, 1, 2, 1], num_classes=3)
        named = in_caffes_names(theirs.state_dict(), port)
        named = {key.replace("_bn", "/bn") if slashes else key: tensor.shape for key, tensor in named.items()}
        plan = caffe.plan(named, colours="RGB")
    gates = {
        "se_module.fc1": "se_module.wholeframe.multiply.reduce",
        "se_module.fc2": "se_module.wholeframe.multiply.expand",
    }
    expected = {
        next((key.replace(old, new) for old, new in gates.items() if old in key), key)
        for key in theirs.state_dict()
        if "num_batches" not in key
    }
    assert set(plan.names.values()) == expected
    assert plan.origin.name == "legacy_seresnet50"
    assert plan.origin.arguments == {"num_classes": 3, "layers": [1, 1, 2, 1]}
    assert {renamed(key, plan.names) for key in named} == expected


def test_the_order_of_the_colours_cannot_be_assumed(tmp_path):
    state = {"conv2_1_1x1_down.weight": torch.zeros(1, 1, 1, 1), "conv2_1_1x1_up.weight": torch.zeros(1, 1, 1, 1)}
    with pytest.raises(ValueError, match="needs 'colours', which was not given; give one of 'BGR', 'RGB'"):
        wf.convert.checkpoint(saved(tmp_path, state))
    with pytest.raises(ValueError, match=r"its stages conv2 to conv5 have \(0, 0, 0, 0\) residual blocks"):
        wf.convert.checkpoint(saved(tmp_path, state), colours="RGB")
    with pytest.raises(
        ValueError, match=r"1 tensor with names that an SE-ResNet of Caffe does not have: 'conv9_1_5x5\.w"
    ):
        wf.convert.checkpoint(saved(tmp_path, state | {"conv9_1_5x5.weight": torch.zeros(1)}), colours="RGB")
