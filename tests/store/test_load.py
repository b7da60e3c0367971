"""Another process builds the same network from the file alone, and a file that does not fit is refused."""

import json
import struct
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import timm
import torch
import torchvision

import wholeframe as wf
from wholeframe.models.build import create_backbone
from wholeframe.models.origin import Origin
from wholeframe.store.read import read
from wholeframe.store.save import write

READ = """
import sys, torch, wholeframe as wf
torch.set_num_threads(int(sys.argv[1]))  # Another number of threads sums in another order.
for name in sys.argv[2:]:
    network = wf.load(f"{name}.safetensors")
    x = torch.load(f"{name}.in.pt")
    with torch.no_grad():
        y = network(x)
    torch.save({"y": y, "classes": network.classes, "text": str(network)}, f"{name}.out.pt")
"""


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def in_another_process(folder, networks):
    """The outputs of networks there and here: {name: (network, input)}."""
    for name, (network, x) in networks.items():
        network.eval()
        wf.save(network, folder / f"{name}.safetensors", input=None if isinstance(x, list) else x.shape[1:])
        torch.save(x, folder / f"{name}.in.pt")
    arguments = [str(torch.get_num_threads()), *(str(folder / name) for name in networks)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", READ, *arguments], check=True)
    for name, (network, x) in networks.items():
        there = torch.load(folder / f"{name}.out.pt", weights_only=True)
        with torch.no_grad():
            torch.testing.assert_close(there["y"], network(x), rtol=0, atol=0)
        assert there["text"] == str(network)


def randomised(network):
    """The network with random values in all parameters of its blocks."""
    for name, parameter in network.named_parameters():
        if "wholeframe" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def of_wholeframe():
    clips = create_backbone("small_c2d", 3)
    wf.insert(clips, partial(wf.NonLocal, kind="dot"), at="layer2.0", example=random(1, 3, 4, 16, 16))
    wf.insert(clips, wf.GSoPChannel, at="layer3.0", example=random(1, 3, 4, 16, 16))
    return clips, random(2, 3, 4, 16, 16)


def of_timm():
    network = timm.create_model("test_resnet", num_classes=4)
    wf.insert(network, partial(wf.CGNL, groups=4), at="layer3.0", example=random(1, 3, 64, 64))
    return network, random(2, 3, 64, 64)


def of_torchvision():
    network = torchvision.models.squeezenet1_1(num_classes=4)
    wf.insert(network, wf.GlobalContext, at="features.7", example=random(1, 3, 64, 64))
    return network, random(2, 3, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("library", [of_wholeframe, of_timm, of_torchvision])
def test_a_network_of_each_library_in_a_second_process(tmp_path, library):
    network, x = library()
    in_another_process(tmp_path, {"network": (randomised(network), x)})


@pytest.mark.slow
def test_named_networks_and_detectors_in_a_second_process(tmp_path):
    torch.manual_seed(0)
    of_torchvision = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights_backbone=None, num_classes=5, box_score_thresh=0.01
    )
    wf.insert(of_torchvision, wf.SqueezeExcite, at="backbone.body.13")
    networks = {
        "video": (wf.create_model("c2d_r18_nl1", 4), random(1, 3, 8, 64, 64)),
        "image": (wf.create_model("r18_gc", 4), random(1, 3, 64, 64)),
        "detector": (wf.create_model("maskrcnn_tiny_gc", 4), [random(3, 64, 64).abs()]),
        "library": (of_torchvision, [random(3, 64, 64).abs()]),
    }
    in_another_process(tmp_path, {name: (randomised(network), x) for name, (network, x) in networks.items()})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of a small network with a block."""
    path = tmp_path_factory.mktemp("file") / "n.safetensors"
    network = create_backbone("small", 3)
    wf.insert(network, wf.NonLocal, at="stage2", example=random(1, 3, 16, 16))
    wf.save(network, path, input=(3, 16, 16), classes=["a", "b", "c"])
    return path


def rewritten(file, folder, **changes):
    """The file with another header, whole and with its checksum."""
    header, tensors = read(file)
    path = folder / "other.safetensors"
    write(path, replace(header, **changes), tensors)
    return path


def test_the_attributes_of_the_loaded_network(file):
    network = wf.load(file)
    assert network.classes == ("a", "b", "c") and not network.training
    assert [str(block) for block in wf.blocks_of(network)] == ["stage2.5: NonLocal(48), channels first"]
    wf.remove(network)
    network.load_state_dict(create_backbone("small", 3).state_dict())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"origin": Origin("timm", "no_such_net", {})}, r"neither torchvision nor timm has a model 'no_such_net'"),
        ({"origin": Origin("torchvision", "resnet7", {})}, r"torchvision has no model 'resnet7'"),
        ({"origin": Origin("wholeframe", "smal", {})}, r"wholeframe has no network 'smal'; the nearest are small"),
        ({"origin": Origin("wholeframe", "small", {"classes": 3})}, r"'small' has no argument 'classes'|small"),
        ({"origin": Origin("wholeframe", "small", {"num_classes": 4})}, r"the tensors are not those of .*there and"),
        ({"origin": Origin("wholeframe", "small_dense", {"num_classes": 3})}, r"the network has no module 'stage2\.5'"),
        (
            {"origin": Origin("wholeframe", "small", {"num_classes": 10**12})},
            r"has the argument 1e\+12, and the largest",
        ),
        ({"origin": Origin("timm", "hf-hub:a/b", {})}, r"names a place to fetch a network from"),
        ({"origin": Origin("timm", "test_resnet", {"checkpoint_path": "x"})}, r"'checkpoint_path', which fetches"),
        ({"placements": ()}, r"the tensors are not those of .*also has stage2\.5\.wholeframe"),
        ({"norms": {"stage1.0": "frozen"}}, r"'stage1.0' is to be a frozen batch norm, and is a Conv2d"),
        ({"settings": {"stage1.0": {"__class__": 1}}}, r"has no plain attribute '__class__'"),
        (
            {"settings": {"stage1": {"forward": 1}}},
            r"has no plain attribute 'forward'",
        ),
        ({"settings": {"nowhere": {"a": 1}}}, r"the module 'nowhere' of the network has no plain"),
        ({"kind": "sound"}, r"kind='sound' is not one of 'image'"),
        ({"versions": {"timm": "0.0.1"}, "placements": ()}, r"\(written with timm 0\.0\.1, here \d"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(file, tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        wf.load(rewritten(file, tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_an_unknown_block_is_refused(file, tmp_path):
    header, _ = read(file)
    (placement,) = header.placements
    for recipe, sentence in (
        ({**placement.recipe, "block": "NonLocl"}, r"wholeframe has no block 'NonLocl'; did you mean 'NonLocal'"),
        ({**placement.recipe, "block": "Conv2d"}, r"wholeframe has no block 'Conv2d'"),
        (None, r"has no recipe, so it cannot be built"),
    ):
        with pytest.raises(ValueError, match=sentence):
            wf.load(rewritten(file, tmp_path, placements=(replace(placement, recipe=recipe),)))


def test_a_backbone_that_is_not_needed_is_refused(file):
    with pytest.raises(ValueError, match=r"names its backbone itself, wholeframe/small.*leave backbone= out"):
        wf.load(file, create_backbone("small", 3))


def test_a_newer_format(file, tmp_path):
    content = file.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    text = json.loads(header["__metadata__"]["wholeframe"])
    header["__metadata__"]["wholeframe"] = json.dumps({**text, "format": 2})
    packed = json.dumps(header).encode()
    (tmp_path / "n.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + content[8 + size :])
    with pytest.raises(ValueError, match=r"cannot be loaded: a newer version of wholeframe wrote it; install"):
        wf.load(tmp_path / "n.safetensors")
