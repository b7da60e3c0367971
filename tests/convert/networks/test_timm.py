"""timm's networks with attention: the same network with our blocks inside computes the same."""

import pytest
import timm
import torch
from image_layouts import randomised, saved

import wholeframe as wf
from wholeframe.models.origin import origin_of

IMAGE = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RESNET = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "num_classes": 3}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def compared(tmp_path, network, arguments, image=IMAGE, **entries):
    """The conversion of a file of this network, whose output is that of timm's."""
    theirs = randomised(timm.create_model(network, **arguments))
    options = {} if entries else {"network": network}
    rest = {key: value for key, value in arguments.items() if key not in ("num_classes", "in_chans")}
    state = theirs.state_dict()
    converted = wf.convert.checkpoint(saved(tmp_path, state, **entries), arguments=rest, **options)
    assert converted.source == "timm"
    with torch.no_grad():
        expected = theirs(image)
        assert expected.std() > 1e-6
        torch.testing.assert_close(converted.network(image), expected)
    assert set(converted.report.loaded.values()) == state.keys()
    assert not converted.report.new and not converted.report.left
    return converted


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize(
    ("attention", "block"),
    [
        ("se", "SqueezeExcite"),
        pytest.param("ese", "EffectiveSqueezeExcite", marks=pytest.mark.slow),
        ("eca", "EfficientChannelAttention"),
        pytest.param("gc", "GlobalContext", marks=pytest.mark.slow),
        ("gca", "GlobalContext"),
        ("nl", "NonLocal"),
        ("bat", "BAT"),
        pytest.param("cbam", "CBAM", marks=pytest.mark.slow),
    ],
)
def test_every_attention_of_a_resnet(tmp_path, attention, block):
    arguments = {**RESNET, "block_args": {"attn_layer": attention}}
    image = torch.randn(2, 3, 224, 224, dtype=torch.float64) if attention == "bat" else IMAGE
    converted = compared(tmp_path, "resnet26", arguments, image)
    assert {type(one).__name__ for one in converted.blocks.values()} == {block}
    assert list(converted.blocks) == [f"layer{stage}.0.se" for stage in (1, 2, 3, 4)]


def test_a_network_of_one_colour_has_no_normalisation_of_three(tmp_path):
    arguments = {**RESNET, "in_chans": 1, "block_args": {"attn_layer": "se"}}
    converted = compared(tmp_path, "resnet26", arguments, IMAGE[:, :1])
    assert converted.mean is converted.std is None
    assert len(compared(tmp_path, "resnet26", {**arguments, "in_chans": 3}).mean) == 3


def test_the_file_names_its_network(tmp_path):
    converted = compared(tmp_path, "test_byobnet", {"num_classes": 7}, arch="test_byobnet", epoch=3)
    assert origin_of(converted.network).arguments == {"num_classes": 7}
    assert {type(one).__name__ for one in converted.blocks.values()} == {"SqueezeExcite"}


def test_without_a_classifier_and_with_other_colours(tmp_path):
    converted = compared(tmp_path, "test_efficientnet", {"num_classes": 0, "in_chans": 1}, IMAGE[:, :1])
    assert origin_of(converted.network).arguments == {"num_classes": 0, "in_chans": 1}


def test_refusals(tmp_path):
    path = saved(tmp_path, {"layer1.0.se.fc1.weight": torch.zeros(1, 1, 1, 1)})
    with pytest.raises(ValueError, match="are those of many networks of timm; give network= the name of the one"):
        wf.convert.checkpoint(path)
    with pytest.raises(ValueError, match="timm has no network 'seresnet5'; did you mean 'seresnet50'"):
        wf.convert.checkpoint(path, network="seresnet5")
    with pytest.raises(
        ValueError,
        match=r"timm's 'test_resnet' with arguments=.* has no attention that a block here computes.*attn_layer",
    ):
        wf.convert.checkpoint(path, network="test_resnet")


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        "gcresnet50t",
        "seresnet50",
        "legacy_seresnet18",
        "efficientnet_b0",
        "ese_vovnet19b_dw",
        "regnety_002",
        "gc_efficientnetv2_rw_t",
        "ecaresnet26t",
        "mobilenetv3_small_050",
    ],
)
def test_published_networks(tmp_path, network):
    compared(tmp_path, network, {"num_classes": 3})


def test_a_network_under_a_prefix_is_found_by_the_names_of_timm(tmp_path):
    arguments = {**RESNET, "block_args": {"attn_layer": "gca"}}
    state = timm.create_model("test_resnet", **arguments).state_dict()
    rest = {key: value for key, value in arguments.items() if key != "num_classes"}
    path = saved(tmp_path, {f"encoder.{key}": t for key, t in state.items()} | {"decoder.weight": torch.ones(1)})
    converted = wf.convert.checkpoint(path, network="test_resnet", arguments=rest)
    assert converted.report.left == {"decoder.weight": "is outside of 'encoder.', where the network is"}
    assert torch.equal(converted.network.fc.weight, state["fc.weight"])
    path = saved(tmp_path, {f"{name}.{key}": t for key, t in state.items() for name in ("student", "teacher")})
    with pytest.raises(ValueError, match=r"two networks, whose names begin with 'student\.' and 'teacher\.'; save one"):
        wf.convert.checkpoint(path, network="test_resnet", arguments=rest)


@pytest.mark.parametrize("arguments", [{"foo": 1}, {"block_args": 3}])
def test_arguments_that_timm_refuses_are_named(arguments, tmp_path):
    path = saved(tmp_path, {"layer1.0.se.fc1.weight": torch.zeros(1, 1, 1, 1)})
    with pytest.raises(
        ValueError, match=r"timm.create_model\('test_resnet', .*\) fails \(TypeError: .*; give arguments="
    ):
        wf.convert.checkpoint(path, network="test_resnet", arguments=arguments)
