"""8-bit files of onnxruntime: close to the network, smaller, with blocks in float; and the command."""

import numpy as np
import pytest
import torch
from fused_nets import SmallResNet, trained
from PIL import Image

import wholeframe as wf
from wholeframe.commands import quantize as command
from wholeframe.data.images import read_image
from wholeframe.deploy import onnx
from wholeframe.deploy.quantize import agreement
from wholeframe.train.opened import Given, Opened

pytest.importorskip("onnxruntime")


def inputs(count):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(1, 3, 16, 16, generator=generator) + torch.randn(1, 3, 1, 1, generator=generator)
        for _ in range(count)
    ]


def network_with_blocks():
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer1.*.bn3", example=inputs(1)[0])
    wf.insert(network, wf.NonLocal, at="layer2.0", example=inputs(1)[0])
    return trained(network, torch.float32)


def test_layers_have_8_bits_and_blocks_stay_in_float(tmp_path):
    import onnx as library

    network = network_with_blocks()
    done = wf.quantize(network, tmp_path / "it.onnx", inputs(16), classes=list("abcde"))
    assert done.layers == 8 and done.kept["Softmax"] == 2 and done.images == 16
    assert list(tmp_path.iterdir()) == [done.path]
    graph = library.load(str(done.path)).graph
    producers = {output: node for node in graph.node for output in node.output}
    consumers = [node for node in graph.node if node.op_type in ("Softmax", "Conv")]
    for node in consumers:
        of = producers.get(node.input[0])
        integers = of is not None and of.op_type == "DequantizeLinear"
        assert integers == (node.op_type == "Conv"), node.name
    run = onnx.opened(done.path)
    x = torch.cat(inputs(16))  # within the ranges, so that only the rounding of 8 bits is seen
    with torch.no_grad():
        expected = network(x)
    gap = (run(x)[0] - expected).abs().max() / expected.abs().max()
    assert 0 < gap < 0.15
    found = agreement(network, run, [(x, int(network(x).argmax())) for x in inputs(40)[16:]])
    assert found.images == found.labelled == found.right == 24
    assert found.same == found.right_in_file >= 20


def read(file):
    pixels = np.asarray(read_image(file).resize((16, 16)), dtype=np.float32)
    return Given(torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None], pixels)


def test_the_command_prints_what_it_costs(tmp_path, capsys, monkeypatch):
    opened = Opened("it", network_with_blocks(), "image", read, list("abcde"), "it has random weights")
    monkeypatch.setattr(command, "open_model", lambda *_: opened)
    for number in range(6):
        folder = tmp_path / "images" / ("a" if number % 2 else "other")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (40 * number, 255 - 40 * number, 90)).save(folder / f"{number}.png")
    (tmp_path / "images" / "other" / "broken.png").write_bytes(b"nothing")
    out = tmp_path / "it.onnx"
    command.main(["it", "--images", str(tmp_path / "images"), "-o", str(out)])
    said = capsys.readouterr().out
    assert "8 layers with 8 bits, calibrated with 3 images" in said
    assert "top-1 agrees on " in said and "accuracy on " in said
    assert "1 image not read" in said and "random weights" in said
    assert out.is_file()
