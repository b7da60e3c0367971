"""What `wf.load` put on a network is in its exported file, unless the caller gives something else."""

import json

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.deploy.example import default_example
from wholeframe.deploy.stated import stated

CLASSES, MEAN, STD, LICENCE = ["é", "b", "c", "d"], (0.5, 0.4, 0.3), (0.2, 0.2, 0.1), "CC-BY-NC 4.0"
NOTES = {"softmax scale": "1/sqrt(inner)", "source": "video-nonlocal-net"}
OUTPUTS = [torch.zeros(1, 4)]


@pytest.fixture
def loaded(tmp_path):
    """A network of four classes from a file of `wf.save` that says all that a file can say."""
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    file = tmp_path / "network.safetensors"
    wf.save(
        backbone,
        file,
        origin="given",
        input=(3, 24, 16),
        classes=CLASSES,
        mean=MEAN,
        std=STD,
        licence=LICENCE,
        notes=NOTES,
    )
    return wf.load(file, backbone)


def test_the_file_has_what_the_network_states(loaded, tmp_path, pickled):
    pickled()
    done = wf.export(loaded, tmp_path / "network.pt2")
    _, said = torch.load(done.path, weights_only=False)
    assert json.loads(said["classes"]) == CLASSES and said["licence"] == LICENCE
    assert json.loads(said["mean"]) == list(MEAN) and json.loads(said["std"]) == list(STD)
    assert json.loads(said["notes"]) == NOTES and json.loads(said["size"]) == [24, 16]
    assert "the network itself states classes, mean, std, licence, notes" in str(done)


def test_what_the_caller_gives_comes_first(loaded):
    own = stated(loaded, OUTPUTS, 3, list("wxyz"), (0, 0, 0), (1, 1, 1))
    assert (own.classes, own.mean, own.std) == (list("wxyz"), (0, 0, 0), (1, 1, 1))
    assert own.licence == LICENCE and own.notes == ("the network itself states licence, notes",)


def test_what_does_not_fit_the_network_is_left_out_and_said(loaded):
    own = stated(loaded, [torch.zeros(1, 7)], 1)
    assert own.classes is own.mean is own.std is None
    assert any("4 names of classes, and its first output has 7 channels" in note for note in own.notes)
    assert any("mean of the network has 3 numbers, and the input has 1 channels" in note for note in own.notes)


def test_a_network_that_was_built_states_nothing():
    network = nn.Conv2d(3, 4, 1)
    own = stated(network, OUTPUTS, 3)
    assert not any((own.classes, own.mean, own.std, own.licence, own.facts, own.notes))
    network.__dict__["classes"] = 4  # another library's number
    assert stated(network, OUTPUTS, 3).classes is None and default_example(network).shape == (1, 3, 224, 224)


def test_a_detector_keeps_its_names_and_licence(detector, tmp_path):
    file = tmp_path / "detector.safetensors"
    wf.save(detector, file, origin="given", classes=["cat", "dog"], licence="MIT", mean=[0.5] * 3, std=[0.2] * 3)
    network = wf.load(file, detector)
    own = stated(network, (), 3)
    assert own.classes == ("cat", "dog") and own.licence == "MIT" and own.mean is None
    assert default_example(network).ndim == 3
