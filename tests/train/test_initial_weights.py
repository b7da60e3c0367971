"""Begin with what another network has learned."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wholeframe.blocks import Affine
from wholeframe.models.build import create_backbone
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


@pytest.mark.slow
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
    torch.save({"a": torch.tensor([float("nan")])}, tmp_path / "d.pth")
    for name, sentence in [
        ("a.safetensors", "a.safetensors' holds no weights, or is damaged"),
        ("d.pth", r"d.pth' holds values that are not finite \(a\)"),
        ("b.pth", "b.pth' holds no state dict"),
        ("c.pth", "there is neither a run folder nor a file of weights"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            state_of(tmp_path / name)
    with pytest.raises(ValueError, match="there is no checkpoint"):
        state_of(tmp_path)


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize(
    ("name", "fresh"),
    [
        ("torchvision/mobilenet_v3_small", {"classifier.3.weight", "classifier.3.bias"}),
        ("torchvision/squeezenet1_0", {"classifier.1.weight", "classifier.1.bias"}),
        ("torchvision/swin_t", {"head.weight", "head.bias"}),
        ("timm/convnext_atto", {"head.fc.weight", "head.fc.bias"}),
        (
            "timm/deit_tiny_distilled_patch16_224",
            {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"},
        ),
        ("small", {"head.2.weight", "head.2.bias"}),
    ],
)
def test_a_classifier_of_another_width_by_any_name(tmp_path, name, fresh):
    parent, child = create_backbone(name, 7), create_backbone(name, 3)
    torch.save(parent.state_dict(), tmp_path / "w.pth")
    loaded = load_initial_weights(child, tmp_path / "w.pth")
    assert set(loaded.fresh) == fresh and len(loaded.copied) == len(child.state_dict()) - len(fresh)
    first = next(iter(parent.state_dict()))
    assert torch.equal(child.state_dict()[first], parent.state_dict()[first])


def test_a_file_without_a_classifier(tmp_path):
    parent, child = create_backbone("torchvision/resnet18", 3), create_backbone("torchvision/resnet18", 3)
    state = {key: value for key, value in parent.state_dict().items() if not key.startswith("fc.")}
    torch.save(state, tmp_path / "w.pth")
    assert load_initial_weights(child, tmp_path / "w.pth").fresh == ("fc.weight", "fc.bias")


def test_other_differences_are_refused(tmp_path):
    parent, child = create_backbone("torchvision/resnet18", 3), create_backbone("torchvision/resnet34", 3)
    torch.save(parent.state_dict(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="these weights are of another network"):
        load_initial_weights(child, tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda s: s, ""),
        (lambda s: {f"module.{k}": v for k, v in s.items()}, "keys without 'module.': "),
        (lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()}, "keys without '_orig_mod.module.': "),
        (lambda s: {"model": s, "epoch": 3}, "its 'model': "),
        (lambda s: {"state_dict": s, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, ""),
        (
            lambda s: {"state_dict": {k: -v for k, v in s.items()}, "state_dict_ema": s},
            "its 'state_dict_ema', not 'state_dict': ",
        ),
        (
            lambda s: {"model_state": {f"model.{k}": v for k, v in s.items()}},
            "its 'model_state', keys without 'model.': ",
        ),
        (lambda s: {"n_averaged": torch.tensor(4), **{f"module.{k}": v for k, v in s.items()}}, "keys without"),
        (lambda s: {"model": {"state_dict": s}, "cfg": "x"}, "its 'model.state_dict': "),
        (lambda s: {"mine": s}, "its 'mine': "),
    ],
)
def test_files_of_other_programs(tmp_path, wrap, said):
    parent, child = create_backbone("small", 3), create_backbone("small", 3)
    torch.save(wrap(parent.state_dict()), tmp_path / "w")
    loaded = load_initial_weights(child, tmp_path / "w")
    assert str(loaded).startswith(said) and (said or str(loaded).startswith("0 kernels")) and loaded.fresh == ()
    assert all(torch.equal(value, parent.state_dict()[key]) for key, value in child.state_dict().items())


class Wrapper(nn.Module):
    """A network whose own keys begin as a wrapper's would."""

    def __init__(self):
        super().__init__()
        self.model = nn.Linear(2, 2)


def test_a_prefix_that_the_network_has_is_kept(tmp_path):
    parent, child = Wrapper(), Wrapper()
    torch.save(parent.state_dict(), tmp_path / "a.pth")
    torch.save({f"module.{k}": v for k, v in parent.state_dict().items()}, tmp_path / "b.pth")
    for name in ("a.pth", "b.pth"):
        nn.init.zeros_(child.model.weight)
        load_initial_weights(child, tmp_path / name)
        assert torch.equal(child.model.weight, parent.model.weight)
