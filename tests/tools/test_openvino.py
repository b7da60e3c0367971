"""OpenVINO: the direct conversion of a network with each block, run at its own and at another batch and size."""

import pytest
import torch
from torch import nn

import wholeframe as wf

openvino = pytest.importorskip("openvino", reason="uv sync --extra tools installs openvino")

pytestmark = [
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("name", wf.BLOCKS)
def test_a_converted_network_gives_the_same_output(name, moved):
    host = nn.Sequential(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, 8, 1))
    wf.insert(host, wf.BLOCKS[name].make, at="1", example=torch.zeros(1, 3, 32, 32))
    moved(host).eval()
    converted = openvino.convert_model(host, example_input=torch.randn(2, 3, 32, 32), input=[-1, 3, -1, -1])
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for shape in ((2, 3, 32, 32), (3, 3, 48, 32)):
        x = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(compiled(x.numpy())[0]), host(x), rtol=1e-3, atol=1e-4)
