"""A function of a product that is computed again: its numbers and derivatives are those of the plain composition."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from new_maps import kept_bytes
from torch import nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

from wholeframe.ops.recomputed import recomputed

NAMES = "matrix", "y", "weight", "bias"


def product(matrix, y):
    return torch.bmm(matrix.expand(y.shape[0], -1, -1), y)


def batch_norm(weight, bias):
    return lambda z: F.batch_norm(z, None, None, weight, bias, training=True)


def group_norm(weight, bias):
    return lambda z: F.group_norm(z, 2, weight, bias)


def smooth(weight, bias):
    """Keeps the product twice, and a sum of its size that is not the product."""
    return lambda z: (z * z).sigmoid() * weight[:, None] + bias[:, None]


@pytest.fixture(params=[batch_norm, group_norm, smooth], ids=lambda function: function.__name__)
def function(request):
    return request.param


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    shapes = (4, 3), (2, 3, 5), (4,), (4,)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def ours(function, matrix, y, weight, bias):
    return recomputed(function(weight, bias), product, matrix, y)


def definition(function, matrix, y, weight, bias):
    return function(weight, bias)(product(matrix, y))


def test_output_and_every_gradient(function, inputs):
    z, expected = ours(function, *inputs), definition(function, *inputs)
    dz = torch.randn_like(z)
    assert torch.equal(z, expected)
    gradients = (torch.autograd.grad(output, inputs, dz) for output in (z, expected))
    for name, found, wanted in zip(NAMES, *gradients, strict=True):
        assert torch.equal(found, wanted), name


def test_each_tensor_alone_may_need_a_gradient(function, inputs):
    for place, name in enumerate(NAMES):
        alone = [x.detach().requires_grad_(i == place) for i, x in enumerate(inputs)]
        for graph in (False, True):
            found, wanted = (
                torch.autograd.grad((way(function, *alone) ** 3).sum(), alone[place], create_graph=graph)[0]
                for way in (ours, definition)
            )
            assert torch.equal(found, wanted), name


def test_derivatives_of_both_orders(function, inputs):
    assert gradcheck(lambda *tensors: ours(function, *tensors), inputs)
    assert gradgradcheck(lambda *tensors: ours(function, *tensors), inputs)


def test_the_product_is_freed(inputs):
    """Its only owner is the call, and no cycle holds the factors once the gradient has run."""
    memory = []

    def noted(matrix, y):
        z = product(matrix, y)
        memory.append(weakref.ref(z.untyped_storage()))
        return z

    gc.disable()
    try:
        y = inputs[1] * 2
        memory.append(weakref.ref(y.untyped_storage()))
        z = recomputed(group_norm(*inputs[2:]), noted, inputs[0], y)
        assert memory[1]() is None
        z.sum().backward()
        del y, z
        assert len(memory) == 3 and memory[0]() is None
    finally:
        gc.enable()


def test_the_factors_are_kept_in_its_place(inputs):
    matrix, y, weight, bias = inputs
    statistics = 2 * 2 * 2 * 8  # mean and deviation of two groups of two samples
    factors = matrix, y, weight, bias
    assert kept_bytes(lambda: ours(group_norm, *inputs), factors) <= statistics
    assert kept_bytes(lambda: definition(group_norm, *inputs), factors) >= 2 * 4 * 5 * 8


def test_inside_a_checkpoint(function, inputs):
    """Its hooks get the factors; what they recompute is recomputed once."""
    runs = []

    def block(*tensors):
        runs.append(1)
        return ours(function, tensors[0], tensors[1].tanh(), *tensors[2:])

    z = checkpoint(block, *inputs, use_reentrant=False)
    expected = definition(function, inputs[0], inputs[1].tanh(), *inputs[2:])
    dz = torch.randn_like(z)
    found, wanted = (torch.autograd.grad(output, inputs, dz) for output in (z, expected))
    assert len(runs) == 2
    for name, one, other in zip(NAMES, found, wanted, strict=True):
        assert torch.equal(one, other), name


def test_in_a_checkpoint_nothing_between_is_alive(inputs):
    alive = []

    def block(*tensors):
        y = tensors[1].tanh()
        alive.append(weakref.ref(y.untyped_storage()))
        return ours(group_norm, tensors[0], y, *tensors[2:])

    z = checkpoint(block, *inputs, use_reentrant=False)
    assert alive[0]() is None
    z.sum().backward()


def test_hooks_within_hooks(function, inputs):
    """On the way to a disk: what is kept of both goes through the outer hook, and comes back."""
    z, expected = None, definition(function, *inputs)
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or (t.clone(),), lambda kept: kept[0]):
        z = ours(function, *inputs)
    assert any(torch.equal(one, inputs[1]) for one in packed)
    found, wanted = (torch.autograd.grad((output**2).sum(), inputs) for output in (z, expected))
    for name, one, other in zip(NAMES, found, wanted, strict=True):
        assert torch.equal(one, other), name
    with torch.autograd.graph.disable_saved_tensors_hooks("none here"):
        assert torch.equal(ours(function, *inputs), expected)


def test_the_second_product_has_the_precision_of_the_first(inputs):
    """A gradient is usually outside of autocast."""
    leaves = [x.detach().float().requires_grad_() for x in inputs]
    gradients = []
    for way in (ours, definition):
        with torch.autocast("cpu", torch.bfloat16):
            z = way(group_norm, *leaves)
        gradients.append(torch.autograd.grad(z.float().square().sum(), leaves))
    for name, found, wanted in zip(NAMES, *gradients, strict=True):
        assert torch.equal(found, wanted), name
    z = ours(group_norm, *leaves)
    with torch.autocast("cpu", torch.bfloat16):  # and here it is inside, where the product was not
        found = torch.autograd.grad(z, leaves[2], torch.ones_like(z), retain_graph=True)
    assert torch.equal(found[0], torch.autograd.grad(z, leaves[2], torch.ones_like(z))[0])


def test_a_factor_that_changes_is_said(inputs):
    matrix, y, weight, bias = inputs
    matrix, y = matrix.detach(), y.detach()
    scaled = y * bias[0]
    z = recomputed(batch_norm(weight, bias), product, matrix, scaled)
    matrix.mul_(2)
    with pytest.raises(RuntimeError, match="has changed in place between its forward pass and its gradient"):
        torch.autograd.grad(z.sum(), weight)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, as it loads forward mode
def test_forward_mode_and_transforms(function, inputs):
    tensors = tuple(x.detach() for x in inputs)
    directions = tuple(torch.randn_like(x) for x in tensors)
    expected = torch.func.jvp(lambda *t: definition(function, *t), tensors, directions)[1]
    assert torch.equal(torch.func.jvp(lambda *t: ours(function, *t), tensors, directions)[1], expected)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, d) for x, d in zip(tensors, directions, strict=True)]
        found = forward_ad.unpack_dual(ours(function, *duals)).tangent
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    several = torch.stack([tensors[2], 2 * tensors[2]])

    def gradients(way):
        one = torch.func.grad(lambda weight: way(function, *tensors[:2], weight, tensors[3]).square().sum())
        return torch.func.vmap(one)(several)

    torch.testing.assert_close(gradients(ours), gradients(definition), rtol=1e-12, atol=1e-12)


def test_many_gradients_in_one_pass(inputs):
    """`is_grads_batched`, as for a Jacobian."""
    rows = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    found, wanted = (
        torch.autograd.grad(way(smooth, *inputs), inputs, rows, is_grads_batched=True) for way in (ours, definition)
    )
    for name, one, other in zip(NAMES, found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12, msg=lambda text, n=name: f"{n} {text}")


def test_sizes_without_memory():
    layer = nn.BatchNorm1d(4, device="meta")
    matrix, y = torch.empty(4, 3, device="meta", requires_grad=True), torch.empty(2, 3, 5, device="meta")
    z = recomputed(layer, product, matrix, y)
    assert torch.autograd.grad(z.sum(), matrix)[0].shape == (4, 3)


@pytest.mark.slow
@pytest.mark.compiled
def test_one_compiled_graph_serves_products_of_all_sizes(inputs, monkeypatch):
    """A graph decides by itself what it keeps, so no size of the product is compared."""
    torch._dynamo.reset()
    monkeypatch.setattr("wholeframe.ops.recomputed.SMALL", 2 * 4 * 16 * 8)
    matrix, _, weight, bias = inputs
    compiled = torch.compile(
        lambda y: ours(group_norm, matrix, y, weight, bias), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    for number, positions in enumerate((5, 33)):
        y = torch.randn(2, 3, positions, dtype=torch.float64, requires_grad=True)
        with torch._dynamo.config.patch(error_on_recompile=number > 0):
            z = compiled(y)
        expected = definition(group_norm, matrix, y, weight, bias)
        torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-12)
        found, wanted = (torch.autograd.grad(output.square().sum(), y)[0] for output in (z, expected))
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
