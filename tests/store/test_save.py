"""One file has a network: `save` writes it, proves it, and refuses in a sentence what a file cannot hold."""

import copy
from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.optim.swa_utils import AveragedModel

import wholeframe as wf
from wholeframe.models.build import create_backbone
from wholeframe.models.origin import Origin
from wholeframe.store.read import read_header

SIDE = 32


def small(block=wf.NonLocal, at="stage2"):
    """The small network of `compare` with a block of its own, whose weights are all random."""
    torch.manual_seed(1)
    network = create_backbone("small", 3)
    if block is not None:
        wf.insert(network, block, at=at)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def image(*shape):
    return torch.randn(*(shape or (2, 3, SIDE, SIDE)), generator=torch.Generator().manual_seed(0))


def back(network, path, **options):
    """The network in the file of this one; both give the same output."""
    saved = wf.save(network, path, input=(3, SIDE, SIDE), **options)
    loaded = wf.load(path)
    assert saved.deviation == 0 and saved.unproved is None
    return loaded


@pytest.mark.slow_beyond(3)
@pytest.mark.parametrize(
    "change",
    [
        lambda n: n,
        nn.DataParallel,
        wf.bake,
        AveragedModel,
        torch.compile,
        lambda n: n.half(),
        lambda n: n.double(),
        lambda n: n.to(memory_format=torch.channels_last),
        lambda n: n.train(),
    ],
    ids=["plain", "parallel", "baked", "averaged", "compiled", "half", "double", "channels_last", "training"],
)
def test_the_network_that_is_loaded_computes_the_same(tmp_path, change):
    network = small()
    given = change(copy.deepcopy(network))
    flags = [module.training for module in given.modules()]
    loaded = back(given, tmp_path / "n.safetensors")
    assert [module.training for module in given.modules()] == flags and not loaded.training
    weight = next(given.parameters())
    network.to(weight.dtype)
    if not weight.is_contiguous():  # kernels of this format round in another order
        network.to(memory_format=torch.channels_last)
    assert torch.equal(loaded(image().to(weight.dtype)), network(image().to(weight.dtype)))
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert wf.blocks_of(loaded) == wf.blocks_of(network)


def test_the_file_is_an_ordinary_state_dict(tmp_path):
    from safetensors.torch import load_file

    network = small()
    back(network, tmp_path / "n.safetensors")
    again = small()
    again.load_state_dict(load_file(tmp_path / "n.safetensors"))


def test_facts_are_in_the_header_and_are_kept_when_a_loaded_network_is_saved_again(tmp_path):
    facts = {"classes": ["a", "b", "c"], "mean": (0.5,) * 3, "std": (0.25,) * 3, "licence": "MIT", "notes": {"x": "y"}}
    loaded = back(small(), tmp_path / "n.safetensors", **facts)
    assert loaded.classes == ("a", "b", "c")
    wf.save(loaded, tmp_path / "again.safetensors")
    header = read_header(tmp_path / "again.safetensors")
    assert header == read_header(tmp_path / "n.safetensors")
    assert (header.classes, header.mean, header.std) == (("a", "b", "c"), (0.5,) * 3, (0.25,) * 3)
    assert (header.kind, header.input, header.licence, header.notes) == ("image", (3, SIDE, SIDE), "MIT", {"x": "y"})
    assert header.num_classes == 3


def test_frozen_and_synchronised_norms_stay_so(tmp_path):
    network = timm.create_model("test_resnet", num_classes=4).eval()
    wf.insert(network, wf.SqueezeExcite, at="layer2.0.bn2", example=image(1, 3, 64, 64))
    wf.freeze_norms(network.layer1)
    wf.sync_batchnorm(network.layer2)
    wf.insert(network, wf.NonLocal, at="layer3.0", example=image(1, 3, 64, 64))
    wf.freeze_norms(network.get_submodule("layer3.0.wholeframe"))
    loaded = back(network, tmp_path / "n.safetensors")
    assert str(loaded) == str(network)
    assert torch.equal(loaded(image()), network(image()))


def test_settings_that_the_constructor_does_not_have_are_kept(tmp_path):
    network = timm.create_model("test_resnet", num_classes=4).eval()
    network.layer4[0].conv2.stride = (1, 1)
    network.layer4[0].downsample[0].stride = 1, 1
    network.layer1.requires_grad_(False)
    network.fc = nn.Identity()
    loaded = back(network, tmp_path / "n.safetensors")
    assert str(loaded) == str(network) and torch.equal(loaded(image()), network(image()))
    fixed = {name for name, parameter in loaded.named_parameters() if not parameter.requires_grad}
    assert fixed == {name for name, parameter in network.named_parameters() if not parameter.requires_grad} != set()


def test_one_tensor_under_two_names_stays_one(tmp_path):
    network = small()
    network.stage3[0].weight = network.stage2[0].weight
    loaded = back(network, tmp_path / "n.safetensors")
    assert loaded.stage3[0].weight is loaded.stage2[0].weight
    assert torch.equal(loaded(image()), network(image()))


class Own(nn.Module):
    """A network that no library has, with a buffer outside the state dict."""

    def __init__(self, stride=1):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride)
        self.factor = 1
        self.register_buffer("scale", torch.ones(8, 1, 1), persistent=False)

    def forward(self, x):
        return self.factor * (self.body(x) * self.scale).mean((2, 3))


def test_a_backbone_without_a_name_is_given_when_the_file_is_read(tmp_path):
    network, file = Own(), tmp_path / "own.safetensors"
    network.scale *= 2
    network.factor = 3
    wf.insert(network, wf.GlobalContext, at="body", example=image())
    with pytest.raises(ValueError, match=r"no name is known that builds this Own .*origin='given'"):
        wf.save(network, file)
    saved = wf.save(network, file, origin="given", input=(3, SIDE, SIDE))
    assert "a Own that the caller of wf.load gives with 1 inserted block" in str(saved)
    with pytest.raises(ValueError, match=r"has a Own whose backbone has no name; build it and give it"):
        wf.load(file)
    backbone = Own()
    loaded = wf.load(file, backbone)
    assert torch.equal(loaded(image()), network(image())) and not wf.blocks_of(backbone)
    wf.save(loaded, tmp_path / "again.safetensors")
    with pytest.raises(ValueError, match=r"the given backbone is another network: its module 'body'.*stride=\(2, 2\)"):
        wf.load(file, Own(stride=2))
    with pytest.raises(ValueError, match=r"has blocks already"):
        wf.load(file, network)


@pytest.mark.slow
def test_a_detector_and_its_thresholds(tmp_path):
    network = wf.create_model("maskrcnn_tiny_gc", 3).eval()
    network.roi_heads.score_thresh = 0.4
    saved = wf.save(network, tmp_path / "n.safetensors", classes=("cat", "dog"))
    loaded = wf.load(tmp_path / "n.safetensors")
    assert saved.deviation == 0 and loaded.roi_heads.score_thresh == 0.4 and saved.header.kind == "detector"
    assert saved.header.input is None and saved.header.num_classes == 3


REFUSED = {
    "lambda": (
        lambda n: wf.insert(n, lambda c: nn.Conv2d(c, c, 1), at="stage1", example=image()),
        r"the block at 'stage1.5' cannot be built from data \(Conv2d is not a class of .*partial\(wf\.NonLocal",
    ),
    "hook": (lambda n: n.stage1.register_forward_hook(lambda m, a, y: y * 2), r"the hooks at 'stage1' are not part"),
    "forward": (lambda n: n.__dict__.update(forward=lambda x: type(n).forward(n, x) + 1), r"a method that was changed"),
    "layer": (lambda n: n.stage1.append(nn.ReLU()), r"no name is known.*its module 'stage1.6' is ReLU\(\), and absent"),
    "lost": (lambda n: n.set_submodule("stage2", nn.Identity()), r"inserted blocks is lost"),
    "parametrised": (
        lambda n: nn.utils.parametrizations.weight_norm(n.stage1[0]),
        r"'stage1.0' in the network is parametrised.*remove_parametrizations",
    ),
    "meta": (lambda n: n.to("meta"), r"'stage1.0.weight' .* is on the meta device and has no values"),
    "overlap": (
        lambda n: setattr(n.stage3[0].weight, "data", n.stage2[0].weight.data.transpose(0, 1)),
        r"share a part of their memory",
    ),
    "extra state": (
        lambda n: setattr(n, "get_extra_state", lambda: {"a": 1}) or n.stage1.add_module("x", Extra()),
        r"'stage1\.x\._extra_state' of the network's state dict is a dict \(extra state of a module\)",
    ),
    "wrapped part": (lambda n: setattr(n, "stage1", nn.DataParallel(n.stage1)), r"'stage1' .* wrapped in DataParallel"),
}


class Extra(nn.Module):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        """Nothing to set."""


@pytest.mark.slow_beyond(5)
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_hold_is_refused_and_nothing_is_written(tmp_path, name):
    change, sentence = REFUSED[name]
    network = small()
    change(network)
    with pytest.raises(ValueError, match=sentence):
        wf.save(network, tmp_path / "n.safetensors", input=(3, SIDE, SIDE))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": ["a"]}, r"classes= has 1 name, and the network has 3 classes; give one name for each"),
        ({"classes": "abc"}, r"classes='abc' is not a list of names"),
        ({"mean": (0.5,) * 3}, r"mean= and std= belong together"),
        ({"mean": (0.5,), "std": (0.5,)}, r"mean=\(0\.5,\) has 1 values, and the input has 3 channels"),
        ({"notes": {"a": 1}}, r"notes= maps names to texts"),
        ({"input": (4, 8, 8)}, r"does not run on a sample of 4 x 8 x 8"),
        ({"origin": "mine"}, r"origin='mine' is neither an Origin nor 'given'"),
        ({"origin": Origin("wholeframe", "small", {"num_classes": 5})}, r"is not that of its origin: its module 'head"),
        ({"origin": Origin("torchvision", "resnet18", {"weights": "DEFAULT"})}, r"'weights', which fetches weights"),
    ],
)
def test_facts_that_contradict_the_network(tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        wf.save(small(), tmp_path / "n.safetensors", **{"input": (3, SIDE, SIDE), **options})


def test_a_failed_save_leaves_the_file_before(tmp_path):
    file = tmp_path / "n.safetensors"
    back(small(), file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="classes="):
        wf.save(small(), file, classes=["a"], input=(3, SIDE, SIDE))
    assert file.read_bytes() == before
    with pytest.raises(OSError, match="cannot be written"):
        wf.save(small(), tmp_path / "absent" / "n.safetensors", input=(3, SIDE, SIDE))


def test_a_partial_and_an_option_of_a_block_are_recorded(tmp_path):
    network = small(partial(wf.NonLocal, kind="dot", pool=2))
    loaded = back(network, tmp_path / "n.safetensors")
    assert wf.blocks_of(loaded)[0].recipe["arguments"]["kind"] == "dot"


def test_a_fused_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"fused for inference.*call `wf\.fuse` after `wf\.load`"):
        wf.save(wf.fuse(small(), image()), tmp_path / "n.safetensors")


def test_the_random_state_of_the_caller_stays(tmp_path):
    network = small()
    before = torch.get_rng_state()
    back(network, tmp_path / "n.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_of_torchvision_is_found_by_its_modules(tmp_path):
    network = torchvision.models.squeezenet1_1(num_classes=5).eval()
    wf.insert(network, wf.GlobalContext, at="features.7", example=image(1, 3, 64, 64))
    saved = wf.save(network, tmp_path / "n.safetensors", input=(3, 64, 64))
    assert saved.header.origin == Origin("torchvision", "squeezenet1_1", {"num_classes": 5})
