"""torch.jit.trace, both ONNX exporters and TensorBoard, on networks with each block and on torchvision's detectors."""

import warnings

import pytest
import torch
from torch import nn
from torch._dynamo import lookup_backend
from torchvision.models import detection

import wholeframe as wf

OPSET = 18

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]

SHAPES = [(2, 3, 32, 32), (3, 3, 32, 32), (1, 3, 48, 64)]


class OtherBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gate * x.mean((2, 3), keepdim=True)


def make_host():
    return nn.Sequential(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, 8, 1)).eval()


@pytest.fixture(params=wf.BLOCKS)
def network(request, moved):
    host = make_host()
    wf.insert(host, wf.BLOCKS[request.param].make, at="1", example=torch.zeros(1, 3, 32, 32))
    return moved(host)


def near(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("grad", [True, False])
def test_a_traced_network_takes_other_batches_and_sizes(network, grad):
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(network, torch.randn(SHAPES[0]))
        for shape in SHAPES:
            x = torch.randn(shape)
            near(traced(x), network(x))


def test_a_traced_network_loads_without_this_package(network, tmp_path):
    torch.jit.trace(network, torch.randn(SHAPES[0])).save(tmp_path / "traced.pt")
    x = torch.randn(SHAPES[0])
    near(torch.jit.load(tmp_path / "traced.pt")(x), network(x))


@pytest.mark.parametrize("dynamo", [True, False])
def test_onnx_takes_other_batches_and_sizes(network, dynamo, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
    pytest.importorskip("onnxscript", reason="uv sync --extra tools installs onnxscript")
    free = {0: "batch", 2: "height", 3: "width"}
    if dynamo:
        axes = dict(dynamic_shapes=({axis: torch.export.Dim.DYNAMIC for axis in free},))
    else:
        axes = dict(dynamic_axes={"images": free}, opset_version=OPSET)
    file, x = tmp_path / "network.onnx", torch.randn(SHAPES[0])
    torch.onnx.export(network, (x,), file, input_names=["images"], dynamo=dynamo, verbose=False, **axes)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for shape in SHAPES:
        x = torch.randn(shape)
        with torch.no_grad():
            near(torch.from_numpy(session.run(None, {"images": x.numpy()})[0]), network(x))


def test_a_detector_of_torchvision_exports_to_onnx(moved, tmp_path):
    """Their control flow needs the exporter by TorchScript; `test_detectors.py` exports some with NonLocal and GC."""
    runtime = pytest.importorskip("onnxruntime", reason="uv sync --extra tools installs onnxruntime")
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=3, min_size=96, max_size=128, box_score_thresh=0.0
    ).eval()
    image = [torch.rand(3, 96, 128)]
    wf.insert(model, wf.BLOCKS["cgnl"].make, at="backbone.body.13", example=(image,))
    moved(model)
    file = tmp_path / "detector.onnx"
    axes = {"image": {1: "height", 2: "width"}}
    torch.onnx.export(
        model, (image,), file, input_names=["image"], dynamic_axes=axes, dynamo=False, opset_version=OPSET
    )
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for shape in [(3, 96, 128), (3, 128, 96)]:
        x = torch.rand(shape)
        with torch.no_grad():
            expected = model([x])[0]
        boxes = torch.from_numpy(session.run(None, {"image": x.numpy()})[0])
        assert boxes.shape == expected["boxes"].shape
        near(boxes, expected["boxes"])


def test_tensorboard_draws_the_graph(network, tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(tmp_path) as writer:
        writer.add_graph(network, torch.randn(SHAPES[0]))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 1000


def test_a_network_on_the_meta_device_runs(network):
    y = network.to("meta")(torch.zeros(SHAPES[0], device="meta"))
    y.sum().backward()
    assert y.shape == (2, 8, 16, 16)
    assert not [name for name, p in network.named_parameters() if p.grad is None]


def graphs_for(network, shapes):
    """How many graphs torch.compile makes for maps of these shapes, each compared with the network itself.

    The backend counts the graphs that it finishes: PyTorch discards one and starts again where it meets a Python float
    such as the eps of a norm, with or without blocks.
    """
    finished = []

    def backend(graph, inputs):
        compiled = lookup_backend("aot_eager")(graph, inputs)
        finished.append(graph)
        return compiled

    torch._dynamo.reset()
    compiled = torch.compile(network, backend=backend, fullgraph=True, dynamic=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        for shape in shapes:
            x = torch.randn(shape)
            near(compiled(x), network(x))
    return len(finished)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("network", ["gc", "nl", "cgnl"], indirect=True)  # tests/laws compiles every block
def test_one_compiled_graph_serves_every_size(network):
    """The first map is not square: PyTorch takes equal sizes of the first input for one size, in every network."""
    assert graphs_for(network, [(2, 3, 32, 40), (3, 3, 32, 40), (2, 3, 48, 64), (4, 3, 56, 56)]) == 1


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("network", ["gc", "nl", "cgnl"], indirect=True)  # tests/laws compiles every block
def test_blocks_add_no_graph_after_a_square_map_or_for_one_image(network):
    """PyTorch itself compiles again where the first map is square and a later one is not, and for a batch of one."""
    shapes = [(2, 3, 32, 32), (4, 3, 48, 48), (1, 3, 40, 56)]
    assert graphs_for(network, shapes) == graphs_for(make_host(), shapes)


NOT_SCRIPTED = r"^torch\.jit\.script .*torch\.jit\.trace.*torch\.export.*torch\.compile"


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(m), lambda m: m[1].wholeframe])
def test_scripting_is_refused_by_a_sentence(network, wrap):
    """torch.jit.script is deprecated, and the sentence names what works: trace, export or compile."""
    x = torch.randn(SHAPES[0])
    before = network(x)
    with pytest.raises(NotImplementedError, match=NOT_SCRIPTED):
        torch.jit.script(wrap(network))
    assert torch.equal(network(x), before)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(m), lambda m: m[1]])
def test_scripting_a_network_with_a_block_of_another_package_is_refused_by_a_sentence(wrap):
    host = make_host()
    wf.insert(host, OtherBlock, at="1", example=torch.zeros(1, 3, 32, 32))
    with pytest.raises(AttributeError, match=NOT_SCRIPTED):
        torch.jit.script(wrap(host))


@pytest.mark.parametrize("side", [7, 14, 28])
@pytest.mark.parametrize("name", sorted(wf.BLOCKS.keys() - {"ese"}))  # torch's hard sigmoid has no second derivative
def test_a_gradient_penalty_does_not_depend_on_the_size(name, side):
    """The penalty exists at every size: its gradient by the weights is finite."""
    block, x = wf.BLOCKS[name].make(32), torch.randn(2, 32, side, side, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
