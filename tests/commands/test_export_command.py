"""`wholeframe export`: what a person gives, and what the file says afterwards."""

import json

import pytest
import torch
from PIL import Image

import wholeframe as wf
from wholeframe.data.video.crops import COLOURS
from wholeframe.models.build import create_backbone
from wholeframe.train.opened import open_model

pytestmark = pytest.mark.compiled


@pytest.mark.slow
def test_a_run_becomes_a_file_that_reads_pictures_as_predict_does(call, run, photo, tmp_path, capsys):
    file = tmp_path / "run.pt2"
    call("export", run, "-o", file)
    printed = capsys.readouterr().out
    assert f"'{file}'" in printed and "torch.export" in printed and "random weights" not in printed
    strings = {"wholeframe.json": ""}
    program = torch.export.load(file, extra_files=strings).module()
    said = json.loads(strings["wholeframe.json"])
    assert json.loads(said["size"]) == [16, 16]
    opened = open_model(str(run))
    assert json.loads(said["classes"]) == list(opened.classes or ())
    mean, std = (torch.tensor(json.loads(said[name]))[:, None, None] for name in ("mean", "std"))
    grey = tmp_path / "grey.png"
    Image.new("RGB", (16, 16), (10, 120, 250)).save(grey)
    x = (torch.tensor([10, 120, 250])[:, None, None] / 255 - mean) / std * torch.ones(1, 1, 16, 16)
    torch.testing.assert_close(x, opened.read(grey).x, rtol=0, atol=1e-5)
    torch.testing.assert_close(program(x), opened.network(x), rtol=0, atol=1e-4)


def test_a_photograph_is_the_example_and_random_weights_are_said(call, photo, tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("wholeframe.commands.export.export", lambda network, out, example, **_: seen.append(example))
    call("export", "r18", "-o", tmp_path / "r18.onnx", "--example", photo)
    assert seen[0].shape == (1, 3, 224, 448) and "r18 has random weights" in capsys.readouterr().out
    call("export", "r18", "-o", tmp_path / "r18.onnx", "--input", "3", "64", "96")
    assert seen[1].shape == (1, 3, 64, 96)
    call("export", "r18", "-o", tmp_path / "r18.onnx")
    assert seen[2].shape == (1, 3, 224, 224)


def test_clips_and_detectors_have_inputs_of_their_own(call, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("wholeframe.commands.export.export", lambda *given, **named: seen.append((given[2], named)))
    call("export", "c2d_r18", "-o", tmp_path / "clips.onnx")
    assert seen[0][0].shape == (1, 3, 32, 224, 224) and seen[0][1]["mean"] == (0.45, 0.45, 0.45)
    call("export", "maskrcnn_tiny", "-o", tmp_path / "detector.onnx", "--input", "3", "64", "96")
    assert seen[1][0].shape == (3, 64, 96) and seen[1][1]["mean"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("r18", "-o", "net.tflite"), "ends in '.tflite'"),
        (("r18", "-o", "r18.onnx", "--input", "3", "0", "64"), "has a side below 1"),
        (("r18", "-o", "r18.onnx", "--input", "3", "64", "64", "--example", "x.jpg"), "leave one of them out"),
        (("r19", "-o", "r19.onnx"), "did you mean"),
        (("maskrcnn_tiny", "-o", "detector.pt2"), "a detector is exported to ONNX"),
    ],
)
def test_what_cannot_be_is_refused(refused, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("export", *options) and not list(tmp_path.iterdir())


def test_a_file_of_save_has_its_own_clips_and_colours(call, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("wholeframe.commands.export.export", lambda *given, **named: seen.append((given[2], named)))
    file, (mean, std) = tmp_path / "c2d.safetensors", COLOURS["torchvision"]
    network = create_backbone("small_c2d", 2).eval()
    wf.save(network, file, classes=["sit", "walk"], input=(3, 4, 32, 32), mean=mean, std=std)
    call("export", file, "-o", tmp_path / "c2d.onnx")
    ((example, named),) = seen
    assert example.shape == (1, 3, 4, 32, 32) and named["mean"] == mean and list(named["classes"]) == ["sit", "walk"]
