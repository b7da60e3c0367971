"""MODEL of the commands: runs, their checkpoints, and named networks; and how a file becomes an input."""

import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import wholeframe as wf
from wholeframe.commands import train
from wholeframe.explain.recording import Recording
from wholeframe.train.opened import open_model
from wholeframe.train.run import load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_photos):
    """The run folder of a short training."""
    folder = tmp_path_factory.mktemp("opened")
    options = ["--size", "16", "--batch", "8", "--workers", "0", "--epochs", "1"]
    train.main(["small_nl", "--data", str(make_photos(folder / "photos")), "--out", str(folder / "run"), *options])
    return folder / "run"


@pytest.fixture
def photo(tmp_path):
    """A photograph of 40 x 20 pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_run_and_its_checkpoints(run, photo):
    opened = open_model(str(run))
    assert opened.kind == "image" and list(opened.classes) == ["cat", "dog"] and opened.untrained is None
    assert not opened.network.training and same_weights(opened.network, load_run(run))
    best = load_run(run, "best")
    for other in (open_model(str(run), "best"), open_model(str(run / "best.ckpt"))):
        assert same_weights(other.network, best)
    given = opened.read(photo)
    assert given.x.shape == (1, 3, 16, 32) and given.picture.shape == (20, 40, 3) and given.note is None
    assert given.factors == (1.25, 1.25) and given.query((19, 39)) == (15, 31) and given.query((0, 1)) == (0, 1)
    (found,) = Recording(opened.network, given.x).attention(given.query((19, 0)))
    (_, bottom), _ = found.scaled(given.factors).frame.intervals
    assert bottom == found.frame.intervals[0][1] * 1.25


@pytest.mark.slow
def test_a_weights_file_takes_the_name_of_its_network(run, photo, tmp_path):
    network = open_model("small").network
    torch.save(network.state_dict(), tmp_path / "small.pt")
    with pytest.raises(
        ValueError, match=r"small\.pt' holds weights and not which network they belong to; give the name"
    ):
        open_model(str(tmp_path / "small.pt"))
    opened = open_model("small", str(tmp_path / "small.pt"))
    assert same_weights(opened.network, network) and opened.untrained is None
    wf.insert(network, partial(wf.NonLocal, init="random"), "stage2")
    torch.save(network.state_dict(), tmp_path / "blocks.pt")
    restored = open_model("small", str(tmp_path / "blocks.pt"))
    assert same_weights(restored.network, network) and restored.untrained is None
    assert Recording(restored.network, restored.read(photo).x).sites == ("stage2.5",)
    copy = shutil.copy(run / "last.ckpt", tmp_path / "copy.ckpt")
    with pytest.raises(ValueError, match=r"copy\.ckpt' holds weights and not which network"):
        open_model(str(copy))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", ["r18_gc", "torchvision/resnet18", "small_dense"])
def test_a_name_has_random_weights_and_says_so(name, photo):
    opened = open_model(name)
    assert opened.untrained == f"{name} has random weights; give a run or --weights FILE" and opened.classes is None
    assert opened.read(photo).x.shape == (1, 3, 224, 448)


def test_a_network_of_one_size_sees_the_centre_square(photo):
    pytest.importorskip("timm")
    given = open_model("timm/vit_tiny_patch16_224").read(photo)
    assert given.x.shape == (1, 3, 224, 224) and given.picture.shape == (20, 20, 3)
    assert given.note == "the network takes only 224 x 224 pixels, so it sees the centre square of the photograph"
    assert np.array_equal(given.picture, np.asarray(Image.open(photo))[:, 10:30])


def test_a_detector_takes_the_photograph_itself(photo):
    opened = open_model("maskrcnn_tiny_nl1")
    given = opened.read(photo)
    assert opened.kind == "detector" and given.x[0].shape == (3, 20, 40) and given.factors == (1, 1)
    assert Recording(opened.network, given.x).size == (20, 40)


@pytest.mark.slow
def test_a_network_for_clips_takes_the_frames_in_the_middle_of_the_crop(make_video, tmp_path):
    pytest.importorskip("av")
    video = make_video(tmp_path / "clip.mp4", count=20)
    opened = open_model("c2d_r50_nl1")
    given = opened.read(video)
    assert opened.kind == "clip" and given.x.shape[:2] == (1, 3)
    assert given.picture.shape == (*given.x.shape[2:], 3) and given.factors == (1, 1, 1)
    back = (given.x[0] * 0.225 + 0.45).permute(1, 2, 3, 0) * 255
    assert np.abs(back.numpy() - given.picture).max() < 1e-3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nosuch", r"there is neither a run folder nor a network 'nosuch' \(`wholeframe models` lists all\)"),
        ("r50_gd", r"there is neither .* 'r50_gd'; did you mean 'r50_gc'\? \(`wholeframe models` lists all\)"),
        ("./there", r"there is no '\./there'; give a run folder, a checkpoint in one, or the name of a network"),
        ("runs/gone", r"there is no 'runs/gone'; give a run folder"),
        ("gone.ckpt", r"there is no 'gone\.ckpt'; give a run folder"),
        ("torchvision/rsnet18", r"torchvision has no model 'rsnet18'; the nearest are resnet18"),
    ],
)
def test_what_is_not_there(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        open_model(text)


def test_what_is_not_a_run_or_has_no_such_weights(run, tmp_path, photo):
    with pytest.raises(ValueError, match=r"is not a run folder: it has no recipe\.json; give the folder that `wholefr"):
        open_model(str(tmp_path))
    with pytest.raises(
        ValueError, match=r"weights='middle' does not exist: the run '.*' has the weights last and best"
    ):
        open_model(str(run), "middle")
    with pytest.raises(ValueError, match=r"last\.ckpt' holds weights itself; leave weights='best' out"):
        open_model(str(run / "last.ckpt"), "best")
    with pytest.raises(ValueError, match=r"photo\.png' is an image; give a file of safetensors"):
        open_model(str(photo))


def test_a_photograph_that_is_a_strip(tmp_path):
    Image.new("RGB", (700, 3)).save(tmp_path / "strip.png")
    with pytest.raises(ValueError, match=r"strip\.png' has 700 x 3 pixels, .* more than 16 times that; cut out a part"):
        open_model("r18_gc").read(tmp_path / "strip.png")
