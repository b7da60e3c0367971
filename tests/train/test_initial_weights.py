"""Begin with what another network has learned."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wholeframe.blocks import Affine
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.surgery.insert import insert
from wholeframe.surgery.norms import freeze_norms
from wholeframe.train.initial_weights import load_initial_weights, state_of

CLIP = torch.randn(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))


def network(classes=3, seed=0):
    torch.manual_seed(seed)
    made = VideoResNet.like("slowfast", "c2d", 18, classes)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    return made.eval()


@pytest.fixture
def parent(tmp_path):
    """A network, and the file it is saved in as a run would."""
    made = network()
    torch.save(
        {"state_dict": {f"network.{key}": value for key, value in made.state_dict().items()}}, tmp_path / "p.ckpt"
    )
    return made, tmp_path / "p.ckpt"


def test_the_same_network(parent):
    made, file = parent
    child = network(seed=1)
    assert not torch.allclose(child(CLIP), made(CLIP))
    assert load_initial_weights(child, file).fresh == () and torch.equal(child(CLIP), made(CLIP))


def test_blocks_and_another_last_layer_begin_anew(parent):
    made, file = parent
    child = network(classes=5, seed=1)
    insert(child, lambda channels: nn.Conv3d(channels, channels, 1), "layer3.0", CLIP)
    assert set(load_initial_weights(child, file).fresh) == {
        "fc.weight",
        "fc.bias",
        "layer3.0.wholeframe.weight",
        "layer3.0.wholeframe.bias",
    }
    assert torch.equal(child.layer2[0].conv1.weight, made.layer2[0].conv1.weight)


def test_frozen_norms_take_the_maps_of_batch_norms(parent):
    made, file = parent
    child = network(seed=1)
    freeze_norms(child)
    load_initial_weights(child, file)
    assert any(isinstance(module, Affine) for module in child.modules())
    assert torch.allclose(child(CLIP), made(CLIP), atol=1e-5)


def test_files_of_weights(tmp_path, parent):
    made, _ = parent
    torch.save(made.state_dict(), tmp_path / "a.pth")
    save_file(made.state_dict(), tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert state_of(tmp_path / name).keys() == made.state_dict().keys()


def test_what_holds_no_weights(tmp_path):
    (tmp_path / "a.safetensors").write_text("none")
    torch.save({"a": 1}, tmp_path / "b.pth")
    for name, sentence in [
        ("a.safetensors", "a.safetensors' holds no weights, or is damaged"),
        ("b.pth", "b.pth' holds no state dict"),
        ("c.pth", "there is neither a run folder nor a file of weights"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            state_of(tmp_path / name)
    with pytest.raises(ValueError, match="there is no checkpoint"):
        state_of(tmp_path)
