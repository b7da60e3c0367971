"""Networks of timm with our blocks in timm's names, and gates of torchvision's ResNets as timm's seresnet."""

import copy

import pytest
import timm
import torch

import wholeframe as wf
from wholeframe import convert
from wholeframe.convert import back
from wholeframe.surgery.placement import Layout, attach
from wholeframe.surgery.record import remember


def randomised(network):
    torch.manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.5, 1) if tensor.ndim < 2 else torch.nn.init.normal_(tensor, 0, 0.02)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("test_resnet", {"block_args": {"attn_layer": "se"}}),
        pytest.param("gcresnet50t", {}, marks=pytest.mark.slow),
        pytest.param("ecaresnet50t", {}, marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", {}, marks=pytest.mark.slow),
    ],
)
def test_a_network_of_timm_comes_back_bit_for_bit(name, options, tmp_path):
    theirs = randomised(timm.create_model(name, num_classes=5, **options))
    path = tmp_path / "theirs.pth"
    torch.save({"arch": name, "state_dict": theirs.state_dict()}, path)
    ours = convert.checkpoint(path, **({"arguments": options} if options else {})).network
    written = back.to(ours, "timm")
    state = theirs.state_dict()
    assert written.state.keys() == state.keys()
    assert all(torch.equal(written.state[key], state[key]) for key in state)
    fresh = timm.create_model(name, num_classes=5, **options).eval()
    fresh.load_state_dict(torch.load(written.save(tmp_path / "ours.pth"))["state_dict"])
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(fresh(x), ours(x))


@pytest.mark.slow
def test_gates_of_torchvision_are_those_of_seresnet(tmp_path):
    ours = wf.create_model("r18_se", 5)
    for site in ("layer1.0.bn2", "layer1.1.bn2"):  # timm has a multiple of eight hidden channels
        wf.remove(ours, site)
        attach(ours.get_submodule(site), wf.SqueezeExcite(64, hidden=8), Layout())
        remember(ours, {site: 64})
    randomised(ours)
    written = back.to(ours, "timm")
    assert written.content["arch"] == "seresnet18"
    fresh = timm.create_model("seresnet18", num_classes=5).eval()
    fresh.load_state_dict(torch.load(written.save(tmp_path / "ours.pth"))["state_dict"])
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(fresh(x), ours(x))
    again = convert.checkpoint(tmp_path / "ours.pth")
    gates = [block.multiply.expand.bias for block in ours.modules() if hasattr(block, "multiply")]
    assert all(torch.equal(a, b.multiply.expand.bias) for a, b in zip(gates, again.blocks.values(), strict=True))


@pytest.mark.slow
def test_other_networks_are_refused():
    with torch.device("meta"):
        gc, narrow, video = (wf.create_model(name, 5) for name in ("r18_gc", "r18_se", "i3d_r50"))
        part = copy.deepcopy(narrow)
        wf.remove(part, "layer1.0.bn2")
    with pytest.raises(
        ValueError, match=r"a SqueezeExcite before every residual sum .*has a GlobalContext at 'layer2.0"
    ):
        back.to(gc, "timm")
    with pytest.raises(ValueError, match=r"this one has 7 gates in 8 residual blocks"):
        back.to(part, "timm")
    with pytest.raises(ValueError, match=r"'layer1.0.se.fc1.weight' has shape \(4, 64, 1, 1\), but .* has \(8, 64\)"):
        back.to(narrow, "timm")
    with pytest.raises(
        ValueError, match=r"timm's names are those of its own networks, and this network is wholeframe/i3d"
    ):
        back.to(video, "timm")


def test_a_block_where_timm_has_no_attention_is_refused(tmp_path):
    theirs = timm.create_model("test_resnet", num_classes=5, block_args={"attn_layer": "se"})
    path = tmp_path / "theirs.pth"
    torch.save({"arch": "test_resnet", "state_dict": theirs.state_dict()}, path)
    ours = convert.checkpoint(path, arguments={"block_args": {"attn_layer": "se"}}).network
    attach(ours.layer2[0].bn1, wf.SqueezeExcite(48), Layout())
    remember(ours, {"layer2.0.bn1": 48})
    with pytest.raises(ValueError, match=r"timm's 'test_resnet' has no attention at 'layer2.0.bn1'"):
        back.to(ours, "timm")
