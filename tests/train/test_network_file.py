"""A file of `wf.save` where a command takes a run: how its header says that photographs and clips are read."""

import pytest
import torch
from PIL import Image

import wholeframe as wf
from wholeframe.data.images import MEAN, STD
from wholeframe.models.build import create_backbone
from wholeframe.models.origin import Origin
from wholeframe.store.header import Header
from wholeframe.train.inputs.objects import Objects
from wholeframe.train.network_file import holds_network, open_network, spec_of

HALF = {"mean": (0.5,) * 3, "std": (0.25,) * 3}


def header(kind, size, name="small", **facts):
    return Header(Origin("wholeframe", name, {}), "Net", kind=kind, input=size, **facts)


def test_an_image_is_normalised_as_the_header_says(tmp_path):
    spec = spec_of(header("image", (3, 8, 8), **HALF), "f")
    Image.new("RGB", (8, 8), (255, 0, 51)).save(tmp_path / "a.png")
    x = spec.reader(None)(tmp_path / "a.png")
    torch.testing.assert_close(x[:, 0, 0], torch.tensor([2.0, -2.0, -1.2]))
    assert torch.equal(spec.whole()(Image.open(tmp_path / "a.png")), x)
    usual = spec_of(header("image", (3, 8, 8)), "f")
    assert (usual.mean, usual.std, usual.size) == (MEAN, STD, 8)


def test_a_clip_has_the_stride_of_the_header_or_of_the_name():
    assert spec_of(header("clip", (3, 4, 16, 16), stride=3), "f").sampling.stride == 3
    assert spec_of(header("clip", (3, 4, 16, 16)), "f").sampling.stride == 16
    named = spec_of(header("clip", (3, 32, 224, 224), "c2d_r50"), "f")
    assert (named.sampling.frames, named.sampling.stride, named.colours) == (32, 2, "nonlocal")
    coloured = spec_of(header("clip", (3, 4, 16, 16), mean=MEAN, std=STD), "f")
    assert coloured.colours == "torchvision"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (header("image", (1, 8, 8)), r"takes samples of 1 x 8 x 8 numbers, and a photograph has 3 channels"),
        (header("other", (3, 8)), r"takes samples of 3 x 8 numbers"),
        (header("clip", (3, 4, 8, 8), **HALF), r"clips are read with the values of 'nonlocal', 'torchvision'"),
    ],
)
def test_inputs_that_no_file_has(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        spec_of(given, "f")


def test_a_detector_scales_images_itself():
    assert spec_of(header("detector", None), "f") == Objects()


def test_weights_next_to_a_file_that_has_them(tmp_path):
    file = tmp_path / "n.safetensors"
    wf.save(create_backbone("small", 3), file, input=(3, 16, 16))
    assert holds_network(file) and open_network(file).classes == ("class 0", "class 1", "class 2")
    with pytest.raises(ValueError, match=r"has weights itself; leave --weights best out"):
        open_network(file, "best")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_dtype_are_computed_in_that_of_photographs(tmp_path, capsys, dtype):
    network = create_backbone("small", 3).eval().to(dtype)
    wf.save(network, tmp_path / "n.safetensors", input=(3, 16, 16))
    opened = open_network(tmp_path / "n.safetensors").network
    assert opened(torch.randn(1, 3, 16, 16)).dtype == torch.float32
    assert f"has weights of {str(dtype)[6:]}, and is computed in float32" in capsys.readouterr().err
    assert next(wf.load(tmp_path / "n.safetensors").parameters()).dtype == dtype


def test_usual_weights_need_no_word(tmp_path, capsys):
    wf.save(create_backbone("small", 3), tmp_path / "n.safetensors", input=(3, 16, 16))
    open_network(tmp_path / "n.safetensors")
    assert capsys.readouterr().err == ""
