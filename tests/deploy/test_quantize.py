"""8-bit files: what is refused, each in a sentence, before an optional library is needed."""

import pytest
import torch
from torch import nn

import wholeframe as wf
from wholeframe.commands import quantize as command
from wholeframe.deploy.quantize import Agreement, agreement

X = torch.randn(1, 3, 8, 8)
NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("network", "path", "images", "sentence"),
    [
        (NETWORK, "it.xml", [X], "does not end in .onnx or .pt2"),
        (NETWORK, "it.aoti.pt2", [X], "does not end in .onnx or .pt2"),
        (NETWORK, "it.onnx", [], "images= is empty; give a few dozen inputs"),
        (NETWORK, "it.onnx", [torch.randn(2, 3, 8, 8)], r"images= has \(2, 3, 8, 8\); each is one input"),
        (NETWORK, "it.onnx", ["a.png"], "images= has str; each is one input"),
        (nn.Conv2d(3, 4, 3).double(), "it.onnx", [X], r"not float32; quantize `network.float\(\)`"),
    ],
)
def test_refusals(network, path, images, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        wf.quantize(network, tmp_path / path, images)
    assert not list(tmp_path.iterdir())


def test_agreement_is_counted():
    classes = torch.eye(3)
    network = lambda x: classes[[int(x)]]  # noqa: E731
    wrong_at_two = lambda x: [classes[[min(int(x), 1)]]]  # noqa: E731
    images = [(torch.tensor(0), 0), (torch.tensor(1), 2), (torch.tensor(2), 2), (torch.tensor(2), None)]
    found = agreement(network, wrong_at_two, images)
    assert found == Agreement(4, 2, 3, 2, 1)
    assert str(found) == (
        "top-1 agrees on 2 of 4 images (50.0%); accuracy on 3 labelled: 66.7% in float, 33.3% with 8 bits"
    )
    assert "accuracy is not known" in str(Agreement(4, 2))
    with pytest.raises(ValueError, match="no image to compare"):
        agreement(network, wrong_at_two, [])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["r18", "-o", "it.aoti.pt2"], "does not end in .onnx or .pt2"),
        (["maskrcnn_tiny", "-o", "it.onnx"], "finds objects, and quantize compares networks that classify"),
    ],
)
def test_refusals_of_the_command(options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for name in "ab":
        (tmp_path / "images" / f"{name}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=sentence):
        command.main([*options, "--images", "images"])
    assert not (tmp_path / "it.onnx").exists()
