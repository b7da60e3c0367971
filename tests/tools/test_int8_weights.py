"""8-bit weights of torchao as a program: integers outside of blocks, the rest in float, and torch alone opens it."""

import subprocess
import sys

import pytest
import torch
from fused_nets import SmallResNet, trained
from torch import nn
from torch.nn.utils import parametrizations

import wholeframe as wf
from wholeframe.deploy import exported_program
from wholeframe.deploy.int8_weights import NOT_LINEAR, NOT_PLAIN, rounded

pytest.importorskip("torchao", reason="uv sync --extra tools installs torchao")
X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))


def network_with_blocks():
    network = SmallResNet()
    wf.insert(network, wf.GlobalContext, at="layer1.*.bn3", example=X)
    wf.insert(network, wf.NonLocal, at="layer2.0", example=X)
    return trained(network, torch.float32)


def inputs(count, *sizes):
    return [torch.randn(1, 3, *sizes[i % len(sizes)]) for i in range(count)]


def test_a_program_has_integers_outside_of_blocks_only(tmp_path):
    network = network_with_blocks()
    images = inputs(4, (16, 16), (24, 20))
    done = wf.quantize(network, tmp_path / "it.pt2", images, classes=list("abcde"))
    assert list(tmp_path.iterdir()) == [done.path]
    linear = [name for name, m in network.named_modules() if type(m) is nn.Linear and ".wholeframe" not in name]
    assert done.layers == len(linear) == 1 and done.images == 4
    assert done.kept["Linear"] > 0 and set(done.left.values()) == {NOT_LINEAR}
    state = torch.export.load(done.path).state_dict
    names = [name for name, t in state.items() if t.dtype == torch.int8 and t.shape[1] > 1]
    assert [name.split(".parametrizations")[0] for name in names] == linear
    run = exported_program.opened(done.path)
    with torch.no_grad():
        gaps = [float((run(x)[0] - y).abs().max() / y.abs().max()) for x in images for y in [network(x)]]
    assert done.error == pytest.approx(max(gaps), rel=1e-2) and 0 < done.error < 0.02
    assert "1 linear layer with 8-bit weights" in str(done) and "in float, because torchao" in str(done)


def test_a_weight_is_off_by_half_a_step_of_its_output():
    layer = nn.Linear(48, 32)
    with torch.no_grad():
        layer.weight *= torch.logspace(-4, 4, 32)[:, None]  # a scale for all outputs would round the small rows to 0
    exact, x = layer.weight.double(), torch.eye(48)
    found = rounded(nn.Sequential(layer), x)
    with torch.no_grad():
        weight = (found.network(x) - found.network(torch.zeros(48))).T.double()
    steps = exact.abs().amax(1, keepdim=True) / 127.5
    assert found.layers == ("0",)
    assert ((weight - exact).abs() <= 0.501 * steps + 1e-6 * layer.bias.abs().max()).all()
    assert torch.equal(layer.weight.double(), exact)


class Reader(nn.Module):
    """Computes with the weights of layers that it does not call."""

    def __init__(self):
        super().__init__()
        self.read = nn.Linear(16, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.normed = parametrizations.weight_norm(nn.Linear(16, 16))
        self.plain = nn.Linear(16, 16)

    def forward(self, x):
        x = self.normed(self.plain(x)) @ self.read.weight
        return self.attention(x, x, x, need_weights=False)[0]


def test_layers_that_do_not_run_as_linear_stay_in_float():
    network, x = Reader().eval(), torch.randn(2, 5, 16)
    found = rounded(network, x)
    assert found.layers == ("plain",)
    assert found.left["read"] == found.left["attention.out_proj"] == NOT_PLAIN
    assert found.left["attention"] == NOT_LINEAR and any(name.startswith("normed") for name in found.left)
    with torch.no_grad():
        assert 0 < (found.network(x) - network(x)).abs().max() < 0.02 * network(x).abs().max()


def test_refusals(tmp_path):
    convolutions = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"no linear layer outside of blocks.* ends in .onnx"):
        wf.quantize(convolutions, tmp_path / "it.pt2", [X])
    broken = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    nn.init.constant_(broken[2].weight, float("inf"))
    with pytest.raises(ValueError, match="not finite on one of the images"):
        wf.quantize(broken, tmp_path / "it.pt2", [X])
    assert not list(tmp_path.iterdir())


def test_torch_alone_opens_the_file(tmp_path):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 999), nn.ReLU(), nn.Linear(999, 5))
    done = wf.quantize(network.eval(), tmp_path / "it.pt2", [X])
    assert done.layers == 2 and done.size < done.float_size - 2 * 1004 * 48
    source = (
        "import sys; sys.modules['torchao'] = sys.modules['wholeframe'] = None\n"
        "import torch; program = torch.export.load(sys.argv[1]).module()\n"
        "print(program(torch.zeros(2, 3, 20, 24)).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, tmp_path / "it.pt2"], capture_output=True, text=True, timeout=120
    )
    assert "torch.Size([2, 5])" in done.stdout, done.stderr
