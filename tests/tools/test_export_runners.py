"""The runners of docs/howto/export.md: each prints the class that the network itself gives."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import wholeframe as wf

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "export.md").read_text(encoding="utf-8")
CLASSES, MEAN, STD = ["cat", "dog", "owl"], (0.4, 0.5, 0.6), (0.3, 0.2, 0.1)


def listing(language, word):
    [source] = [
        source
        for source in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
        if word in source
    ]
    return source


@pytest.fixture
def network(moved, tmp_path, monkeypatch):
    """A network whose answers differ between photographs, and a photograph."""
    monkeypatch.chdir(tmp_path)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    wf.insert(network, wf.GlobalContext, at="1", example=torch.zeros(1, 3, 32, 32))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.jpg", quality=95)
    return moved(network).eval()


def answer(network):
    with torch.no_grad():
        x = torch.from_numpy(np.array(Image.open("photo.jpg"))) / 255
        x = (x - torch.tensor(MEAN)) / torch.tensor(STD)
        return CLASSES[network(x.permute(2, 0, 1)[None])[0].argmax()]


def export(network, name):
    wf.export(network, name, torch.randn(1, 3, 64, 96), classes=CLASSES, mean=MEAN, std=STD)


def printed(source):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, "docs/howto/export.md", "exec"), {})
    return out.getvalue().strip()


@pytest.mark.parametrize(
    ("file", "needs", "word"),
    [
        ("network.onnx", "onnxruntime", "onnxruntime.InferenceSession"),
        ("network.pt2", "torch", "torch.export.load"),
        ("network", "openvino", "openvino.Core"),
    ],
)
def test_a_runner_prints_the_class_of_the_network(network, file, needs, word):
    pytest.importorskip(needs, reason=f"uv sync --extra tools installs {needs}")
    for _ in range(2):
        export(network, file)
        assert printed(listing("python", word)) == answer(network)
        with torch.no_grad():  # another class wins
            network[4].bias.copy_(torch.tensor([5.0 if name != answer(network) else -5.0 for name in CLASSES]))


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler")
def test_the_runners_of_a_compiled_package(network):
    export(network, "network.aoti.pt2")
    assert printed(listing("python", "aoti_load_package")) == answer(network)
    Path("run.cpp").write_text(listing("cpp", "// run.cpp"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-ec", listing("sh", "-ltorch")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False)
    assert done.returncode == 0, done.stderr
    said, *found = done.stdout.split("\n")[:3]
    with torch.no_grad():
        expected = network(torch.ones(2, 3, 64, 96)).argmax(1).tolist()
    assert said == '["cat", "dog", "owl"]' and list(map(int, found)) == expected


HEADERS = Path("/usr/include/onnxruntime")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="a runner in C++ needs a C++ compiler")
@pytest.mark.skipif(
    not (HEADERS / "onnxruntime_cxx_api.h").is_file(),
    reason="the Python package of onnxruntime has no headers; apt-get install libonnxruntime-dev",
)
def test_the_runner_of_onnx_in_cpp(network, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
    export(network, "network.onnx")
    Path("run_onnx.cpp").write_text(listing("cpp", "// run_onnx.cpp"))
    release = tmp_path / "release"  # with the library of the Python package
    (release / "lib").mkdir(parents=True)
    (release / "include").symlink_to(HEADERS)
    [library] = Path(runtime.__file__).parent.glob("capi/libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (release / "lib" / name).symlink_to(library)
    done = subprocess.run(
        ["bash", "-ec", listing("sh", "run_onnx")],
        capture_output=True,
        text=True,
        env={**os.environ, "ONNXRUNTIME": str(release)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = network(torch.ones(1, 3, 64, 96))[0].argmax().item()
    assert done.stdout.split("\n")[:2] == ['["cat", "dog", "owl"]', str(expected)]
