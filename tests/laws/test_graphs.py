"""Every block in every graph: traces, ONNX files, tensors without numbers, compiled graphs, second derivatives."""

import io

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wholeframe import ops
from wholeframe.blocks import BAT, BLOCKS, CBAM, GatherExcite, NonLocal
from wholeframe.surgery.insert import insert

CHANNELS, GRID, OTHER = 16, (8, 6), (12, 10)
OPTIONS = {"se": {"ratio": 1 / 2}, "gc": {"ratio": 1 / 2}} | {
    name: {"groups": 2} for name in BLOCKS if name.startswith("cgnl")
}
BUILD = {name: lambda name=name: BLOCKS[name].make(CHANNELS, **OPTIONS.get(name, {})) for name in BLOCKS}
BUILD |= {f"nl_{kind}_pooled": lambda kind=kind: NonLocal(CHANNELS, kind=kind, pool=2, norm=None) for kind in ops.KINDS}
BUILD |= {
    "bat": lambda: BAT(CHANNELS, size=2),
    "cbam": lambda: CBAM(CHANNELS, ratio=1 / 2),
    "gather_excite": lambda: GatherExcite(CHANNELS, extent=2),
}

NAMES = list(BUILD)
TWICE = [name for name in NAMES if name != "ese"]  # whose hard sigmoid has no second derivative in torch

pytestmark = pytest.mark.filterwarnings(
    # What torch says of its own tracer and exporter: that they are deprecated, and of sizes that become constants.
    "ignore::torch.jit.TracerWarning",
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:Constant folding - Only steps=1 can be constant folded:UserWarning",
)


def made(name, dtype=torch.float64):
    torch.manual_seed(0)
    block = BUILD[name]()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block.to(dtype).eval()


@pytest.mark.compiled
@pytest.mark.parametrize("grad", [True, False])
def test_a_trace_serves_other_batches_and_grids(name, grad):
    block = made(name)
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(block, torch.randn(2, CHANNELS, *GRID, dtype=torch.float64), check_trace=False)
        for shape in ((3, CHANNELS, *GRID), (1, CHANNELS, *OTHER)):
            x = torch.randn(shape, dtype=torch.float64)
            torch.testing.assert_close(traced(x), block(x), rtol=1e-11, atol=1e-11)


@pytest.mark.compiled
def test_a_traced_rbf_gives_nan_beyond_its_span():
    block = made("cgnl_rbf")
    block.gamma = 1.0
    traced = torch.jit.trace(block, torch.randn(2, CHANNELS, *GRID, dtype=torch.float64), check_trace=False)
    assert traced(100 * torch.randn(2, CHANNELS, *GRID, dtype=torch.float64)).isnan().all()


@pytest.mark.compiled
def test_an_onnx_file_from_a_trace_serves_other_batches_and_grids(name):
    runtime = pytest.importorskip("onnxruntime")
    block, file = made(name, torch.float32), io.BytesIO()
    # The file of GSoPPosition is open in the batch and keeps the grid of its example.
    axes = {0: "b"} if name == "gsop_position" else {0: "b", 2: "h", 3: "w"}
    torch.onnx.export(
        block,
        (torch.randn(2, CHANNELS, *GRID),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
    )
    session = runtime.InferenceSession(file.getvalue())
    for shape in ((3, CHANNELS, *GRID), (1, CHANNELS, *(GRID if name == "gsop_position" else OTHER))):
        x = torch.randn(shape)
        (y,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), block(x).detach(), rtol=1e-4, atol=1e-3)


def test_meta_tensors_run_forward_and_backward(name):
    block = made(name).train().to("meta")
    x = torch.randn(2, CHANNELS, *GRID, dtype=torch.float64, device="meta", requires_grad=True)
    y = block(x)
    y.sum().backward()
    assert y.shape == x.shape == x.grad.shape


def test_fake_tensors_run_forward_and_backward(name):
    block = made(name).train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.randn(2, CHANNELS, *GRID, dtype=torch.float64, requires_grad=True)
        y = block(x)
        y.sum().backward()
    assert y.shape == x.shape == x.grad.shape


@pytest.mark.slow
@pytest.mark.compiled
def test_one_compiled_graph_serves_every_size(name):
    """No two sizes of the first map are equal, as the compiler would take them for one."""
    torch._dynamo.reset()
    block, graphs = made(name), []

    def count(graph, _example):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend=count)
    for shape in ((3, CHANNELS, *GRID), (2, CHANNELS, *OTHER), (4, CHANNELS, 6, 20), (2, CHANNELS, 14, 28)):
        x = torch.randn(shape, dtype=torch.float64)
        torch.testing.assert_close(compiled(x), block(x), rtol=1e-11, atol=1e-11)
    assert len(graphs) == 1


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["nl", "cgnl", "gc", "se", "gsop_channel"])
def test_a_training_step_of_a_host_is_one_graph(name):
    """The map that a block gets there is made by a layer, and not given."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    host = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1), nn.BatchNorm2d(CHANNELS), nn.ReLU()).double()
    x = torch.randn(2, CHANNELS, *GRID, dtype=torch.float64)
    insert(host, lambda _: BUILD[name](), "1", example=x)
    host.train()[1].wholeframe.load_state_dict(made(name).state_dict())
    for network in (host, torch.compile(host, fullgraph=True, backend="aot_eager")):
        host.zero_grad()
        y = network(x)
        y.square().sum().backward()
        found = {"y": y.detach(), **{key: p.grad for key, p in host.named_parameters()}}
        expected = found if network is host else expected
        for key, value in found.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-10, atol=1e-10, msg=key)


def penalty(block, x):
    """The gradients of |dL/dx|^2 by name."""
    (dx,) = torch.autograd.grad(block(x).square().mean(), x, create_graph=True)
    dx.square().sum().backward()
    return {"x": x.grad} | {key: p.grad for key, p in block.named_parameters() if p.grad is not None}


def test_the_second_derivative_of_a_hard_sigmoid_is_refused_by_torch():
    x = torch.randn(2, CHANNELS, 4, 4, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="derivative for aten::hardsigmoid_backward is not implemented"):
        penalty(made("ese"), x)


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("grid", [(4, 4), (14, 14)])
def test_a_gradient_penalty_exists_at_every_size(name, grid):
    x = torch.randn(2, CHANNELS, *grid, dtype=torch.float64, requires_grad=True)
    block = made(name)
    found = penalty(block, x)
    assert found.keys() == {"x"} | {key for key, _ in block.named_parameters()}
    for key, gradient in found.items():
        assert gradient.isfinite().all(), key


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("kind", ["gaussian", "embedded_gaussian", "euclidean_gaussian"])
def test_the_second_derivatives_of_fused_attention_are_those_of_the_definition(kind, pool):
    x, found = torch.randn(2, 8, 14, 14, dtype=torch.float64), {}
    for backend in ("sdpa", "dense"):
        torch.manual_seed(1)
        block = NonLocal(8, kind=kind, pool=pool, init="random", std=0.3, backend=backend).double()
        found[backend] = penalty(block, x.clone().requires_grad_())
    assert found["sdpa"].keys() == found["dense"].keys()
    torch.testing.assert_close(found["sdpa"], found["dense"], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_are_those_of_differences(name):
    block = made(name)
    x = torch.randn(1, CHANNELS, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(block, x, fast_mode=True)


@pytest.mark.parametrize("kind", ["gaussian", "embedded_gaussian", "euclidean_gaussian"])
def test_forward_mode_is_that_of_the_definition_on_large_maps(kind):
    x, dx = torch.randn(2, 2, 8, 20, 20, dtype=torch.float64)
    found = {}
    for backend in ("auto", "dense"):
        torch.manual_seed(1)
        block = NonLocal(8, kind=kind, init="random", std=0.3, backend=backend).double().eval()
        found[backend] = torch.func.jvp(block, (x,), (dx,))
    torch.testing.assert_close(found["auto"], found["dense"], rtol=1e-9, atol=1e-11)
