"""What `backend="auto"` takes: a rule per kind, on shapes, device and dtype, and one way wherever there is one."""

import os
import sys

import pytest
import torch

import wholeframe
from wholeframe import ops
from wholeframe.blocks import CGNL, GlobalContext, NonLocal
from wholeframe.ops.non_local import cost


def taken(x, kind, inner=None, **options):
    return NonLocal(x.shape[1], inner=inner, kind=kind, **options).backend_for(x)


def a_map(channels, positions, **like):
    return torch.zeros(1, channels, positions, **like)


@pytest.mark.parametrize("kind", ["embedded_gaussian", "euclidean_gaussian"])
@pytest.mark.parametrize("positions", [1, 196, 3136])
def test_a_softmax_of_two_tensors_is_fused(kind, positions):
    assert taken(a_map(64, positions), kind) == "sdpa"


@pytest.mark.parametrize(("channels", "inner"), [(4, 4), (512, 256)])
def test_gaussian_of_one_tensor_is_symmetric_once_the_matrix_outgrows_what_it_is_made_of(channels, inner):
    """Memory stays linear in positions."""
    limit = 2 * channels + inner
    found = [taken(a_map(channels, n), "gaussian", inner) for n in (limit, limit + 1)]
    assert found == ["gram", "symmetric"]


def test_gaussian_of_pooled_keys_is_fused():
    assert taken(torch.zeros(1, 8, 6, 6), "gaussian", pool=2) == "sdpa"
    assert taken(torch.zeros(1, 8, 6, 6), "gaussian", pool=2, pool_order="before") == "sdpa"


def test_gaussian_of_halves_is_fused():
    assert taken(a_map(8, 100).half(), "gaussian") == "sdpa"
    with torch.autocast("cpu"):
        assert taken(a_map(8, 100), "gaussian") == "sdpa"


@pytest.mark.parametrize(
    ("side", "name"), [(14, "dense"), (28, "associative"), (56, "gram"), (112, "gram")], ids=lambda value: str(value)
)
def test_the_order_of_dot_is_that_of_the_fewest_products(side, name):
    """Of a map of 512 channels and as many inside as usual."""
    assert taken(torch.empty(1, 512, side, side), "dot") == name


def test_dot_over_time_is_dense():
    """Each place has a few frames as keys, fewer than channels."""
    assert taken(torch.zeros(1, 64, 4, 7, 7), "dot", attend_over="time") == "dense"


@pytest.mark.parametrize("width", [4, 64, 512])
def test_concatenation_is_sorted_from_about_400_positions(width):
    """14 x 14 of an image is dense, 28 x 28 is not; where the two meet is a measurement."""
    assert [taken(a_map(width, n), "concatenation", width) for n in (196, 784)] == ["dense", "sorted"]


@pytest.mark.parametrize(("n", "name"), [(3, "dense"), (4, "associative"), (1000, "associative")])
def test_the_operation_alone_is_associative_from_as_many_keys_as_channels(n, name):
    x = torch.randn(1, n, 4)
    assert torch.equal(*(ops.non_local_operation(x, x, x, "dot", backend=backend) for backend in ("auto", name)))


def test_a_name_is_what_it_says():
    block = NonLocal(8, kind="gaussian", backend="dense")
    assert block.backend_for(a_map(8, 9)) == "dense"
    with pytest.raises(ValueError, match="its queries are its keys, and here they are two tensors"):
        NonLocal(8, kind="gaussian", backend="symmetric", pool=2).backend_for(torch.zeros(1, 8, 4, 4))


def test_the_operation_alone_has_no_gram_of_dot():
    x = torch.randn(1, 5, 4)
    with pytest.raises(ValueError, match=r"starts from the map; call ops\.non_local_block"):
        ops.non_local_operation(x, x, x, "dot", backend="gram")


@pytest.mark.parametrize("size", [1, 191, 288, 289, 3136])
def test_chunks_have_nearly_one_size(size):
    w = cost.chunk_size(size)
    assert size - (-(-size // w) - 1) * w > w - -(-size // w)


@pytest.mark.parametrize("kind", ops.KINDS)
def test_multiply_adds_count_the_definition_unless_a_backend_is_named(kind):
    block = NonLocal(512, kind=kind)
    counts = {name: block.multiply_adds((56, 56), name) for name in ops.backend_names(kind)}
    assert block.multiply_adds((56, 56)) == counts["dense"]
    assert block.bfloat16().multiply_adds((56, 56)) == counts["dense"]
    with pytest.raises(ValueError, match="backend='auto' is not one of"):
        block.multiply_adds((56, 56), "auto")


BINDING = "_InOrder.bind", "_Bound.apply_defaults"


@pytest.mark.parametrize(("build", "most"), [(NonLocal, 26), (CGNL, 20), (GlobalContext, 11)])
def test_a_forward_pass_is_a_few_calls(build, most, monkeypatch):
    """A block of small maps in training, counted in frames of the package: what a reader steps through.

    How torch binds the arguments of an autograd Function is not counted; `tests/ops/test_autograd.py` tests it.
    """
    monkeypatch.undo()  # the fixture of all tests that makes them large ones
    root, calls = os.path.dirname(wholeframe.__file__), []
    block, x = build(64), torch.randn(2, 64, 7, 7, requires_grad=True)

    def count(frame, event, _argument):
        name = frame.f_code.co_qualname
        if event == "call" and frame.f_code.co_filename.startswith(root) and name not in BINDING:
            calls.append(name)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        block(x)
    finally:
        sys.setprofile(before)
    assert len(calls) <= most, calls


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("kind", ops.KINDS)
def test_one_compiled_graph_serves_maps_of_all_sizes(kind):
    """Sizes on both sides of every crossover: comparing them would break the graph, or compile it again.

    No two sizes of the first map are equal, as the compiler would take them for one."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    block = NonLocal(8, kind=kind, init="random").double().eval()
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend="aot_eager")
    for number, grid in enumerate(((3, 5), (24, 23))):
        x = torch.randn(2, 8, *grid, dtype=torch.float64, requires_grad=True)
        with torch._dynamo.config.patch(error_on_recompile=number > 0):
            y = compiled(x)
        torch.testing.assert_close(y, block(x), rtol=1e-12, atol=1e-12)
        gradients = [torch.autograd.grad(out.square().sum(), x)[0] for out in (y, block(x))]
        torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-11)


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("kind", ops.KINDS)
def test_an_exported_graph_serves_maps_of_all_sizes(kind):
    block = NonLocal(8, kind=kind, init="random").double().eval()
    sizes = {2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    example = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    exported = torch.export.export(block, (example,), dynamic_shapes=(sizes,)).module()
    for grid in ((3, 2), (24, 23)):
        x = torch.randn(2, 8, *grid, dtype=torch.float64)
        torch.testing.assert_close(exported(x), block(x), rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:`torch.jit.trace:FutureWarning")
@pytest.mark.parametrize("kind", ["gaussian", "dot"])
@pytest.mark.compiled
def test_a_trace_holds_no_number_of_chunks(kind):
    block = NonLocal(8, kind=kind, init="random").eval()
    traced = torch.jit.trace(block, torch.randn(1, 8, 3, 2), check_trace=False)
    x = torch.randn(1, 8, 24, 23)
    torch.testing.assert_close(traced(x), block(x))
