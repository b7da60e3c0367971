"""`wf.export`: a file is kept only if it gives the network's output at every size that the network takes."""

import json
import sys

import pytest
import torch
from torch import nn

import wholeframe as wf

IMAGES = torch.randn(1, 3, 32, 40, generator=torch.Generator().manual_seed(1))

pytestmark = pytest.mark.compiled


class Positive(nn.Module):
    """Its control flow depends on values."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        y = self.conv(x)
        return {"map": y, "mean": y.mean((2, 3))}


def test_a_program_runs_at_every_size_and_says_what_it_is(small, tmp_path):
    file = tmp_path / "small.pt2"
    names, before = ["é", "b", "c", "d"], {key: value.clone() for key, value in small.state_dict().items()}
    done = wf.export(small.train(), file, IMAGES, classes=names, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))
    assert small.training and all(torch.equal(before[key], value) for key, value in small.state_dict().items())
    strings = {"wholeframe.json": ""}
    program = torch.export.load(file, extra_files=strings).module()
    for shape in [(5, 3, 48, 24), (1, 3, 33, 64), (2, 3, 7, 9)]:
        x = torch.randn(shape)
        torch.testing.assert_close(program(x), small.eval()(x), rtol=0, atol=1e-5)
    said = json.loads(strings["wholeframe.json"])
    assert json.loads(said["classes"]) == names and json.loads(said["mean"]) == [0.5, 0.4, 0.3]
    assert json.loads(said["input"]) == ["batch", 3, "height", "width"] and json.loads(said["size"]) == [32, 40]
    assert len({one.shape for one in done.compared}) == 3 and done.compared[0].shape == IMAGES.shape
    assert "input images (batch, 3, height, width), output output" in str(done) and done.error < 1e-5
    assert list(tmp_path.iterdir()) == [file] and done.size == file.stat().st_size


@pytest.mark.slow
def test_clips_have_a_free_time(tmp_path):
    network = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.AdaptiveAvgPool3d((2, 1, None)))
    done = wf.export(network, tmp_path / "clips.pt2", torch.randn(1, 3, 8, 16, 16))
    assert done.input == ("clips", ("batch", 3, "time", "height", "width"))
    program = torch.export.load(done.path).module()
    x = torch.randn(2, 3, 5, 9, 24)
    torch.testing.assert_close(program(x), network(x))


def test_a_map_that_shrinks_to_one_cell_is_a_graph_of_its_own(tmp_path):
    """torch.export takes a size of 1 as fixed, inside the network too."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.MaxPool2d(8), wf.NonLocal(8, init="random"), nn.AdaptiveAvgPool2d(1)
    )
    with pytest.raises(ValueError, match=r"give a larger example, or a path that ends in \.onnx\) at 1 x 3 x 32 x 32"):
        wf.export(network.eval(), tmp_path / "a.pt2", torch.randn(1, 3, 32, 32))
    assert len(wf.export(network, tmp_path / "a.pt2", torch.randn(1, 3, 64, 64)).compared) == 3


def test_sizes_that_the_network_fixes_are_said_and_stay_fixed(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2 * 8 * 8, 3))
    done = wf.export(network, tmp_path / "fixed.pt2", torch.randn(2, 3, 8, 8))
    assert done.input[1] == ("batch", 3, 8, 8) and json.loads(done.strings["input"]) == ["batch", 3, 8, 8]
    assert any(note.startswith("height is fixed at 8: at 16 in its place the network fails (") for note in done.notes)
    assert {one.shape for one in done.compared} == {(2, 3, 8, 8), (3, 3, 8, 8), (1, 3, 8, 8)}


def test_outputs_have_the_names_of_a_dict(tmp_path):
    assert wf.export(Two(), tmp_path / "two.pt2", IMAGES).outputs == ("output_map", "output_mean")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda run: lambda x: [1.001 * y for y in run(x)], "differs from the network by 1.0e-03"),
        (lambda run: lambda x: run(x) if x.shape[2] == 32 else run(x + 1), "at 2 x 3 x 64"),
        (lambda run: lambda x: run(x) if x.shape[0] < 2 else run(x)[:0], "by inf"),
        (lambda run: lambda x: run(x[:, :2]), "fails ("),
        (lambda run: lambda x: [y * float("nan") for y in run(x)], "by nan"),
    ],
)
def test_a_wrong_file_is_not_left(small, tmp_path, pickled, wrong, said):
    pickled(wrong)
    with pytest.raises(ValueError, match=r"no file is left") as refused:
        wf.export(small, tmp_path / "small.pt2", IMAGES)
    assert said in str(refused.value) and not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays_until_the_new_one_is_right(small, tmp_path, pickled):
    file = tmp_path / "small.pt2"
    file.write_text("earlier")
    with pytest.raises(ValueError, match=r"GuardOnDataDependentSymNode"):
        wf.export(Positive(), file, IMAGES)
    assert file.read_text() == "earlier"
    pickled()
    assert "is replaced" in str(wf.export(small, file, IMAGES))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.tflite", r"ends in '.tflite', which is not one of '.aoti', '.aoti.pt2', '.onnx', '.pt2'"),
        ("folder.onnx", "is a folder"),
        ("file", "is a file, and OpenVINO needs a folder"),
        ("file/net.pt2", r"cannot be written \((Not a directory|File exists)\)"),
    ],
)
def test_a_path_that_cannot_be_is_refused(small, tmp_path, name, said):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=said):
        wf.export(small, tmp_path / name, IMAGES)


@pytest.mark.parametrize(("name", "module"), [("net.onnx", "onnx"), ("folder", "onnx"), ("net.onnx", "onnxscript")])
def test_a_library_that_is_missing_is_named(small, tmp_path, monkeypatch, name, module):
    if module == "onnxscript":
        monkeypatch.setitem(sys.modules, "onnx", sys)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ValueError, match=rf"needs {module}, which is not installed; pip install 'wholeframe\[export\]'"
    ):
        wf.export(small, tmp_path / name, IMAGES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(classes=["a"]), "classes= has 1 names, and the first output has 4 channels"),
        (dict(classes="abcd"), "is one text"),
        (dict(mean=(0.5, 0.5, 0.5)), "mean= is given without std="),
        (dict(mean=(0.5,), std=(1, 1, 1)), "mean= has 1 numbers, and the input has 3 channels"),
        (dict(mean=(0.5, 0.5, 0.5), std=(1, 0, 1)), "not above 0"),
        (dict(example=torch.randn(3, 32)), r"the example has the shape \(3, 32\)"),
        (dict(example=[IMAGES]), "example= is a list"),
        (dict(example=torch.randn(1, 4, 32, 32)), r"does not run on the example of shape \(1, 4, 32, 32\)"),
    ],
)
def test_options_that_cannot_be_are_refused(small, tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        wf.export(small, tmp_path / "small.pt2", **{"example": IMAGES, **options})
    assert not list(tmp_path.iterdir())


def test_half_precision_is_refused(small, tmp_path):
    with pytest.raises(ValueError, match=r"weights in bfloat16.*network.float\(\)"):
        wf.export(small.bfloat16(), tmp_path / "small.pt2", IMAGES)


def test_a_detector_needs_onnx(detector, tmp_path):
    with pytest.raises(ValueError, match=r"exported to ONNX.*torch.export, which .pt2 needs"):
        wf.export(detector, tmp_path / "detector.pt2", torch.rand(3, 64, 64))
