"""Linear maps over channels: torch's numbers and gradients, in the layout of the map and without copies of it."""

import pytest
import torch
import torch.nn.functional as F
from new_maps import new_maps
from torch.autograd import gradgradcheck

from wholeframe.ops.linear import LinearMap, add_product, add_to_new, project, project_maps

LAYOUTS = ["contiguous", "channels last"]


def a_map(layout, samples=2, channels=6, positions=5, **like):
    torch.manual_seed(0)
    x = torch.randn(samples, channels, positions, dtype=torch.float64, **like)
    return x if layout == "contiguous" else x.mT.contiguous().mT


def some_layers(*widths, channels=6, bias=True):
    return [
        LinearMap(
            torch.randn(width, channels, dtype=torch.float64, requires_grad=True),
            torch.randn(width, dtype=torch.float64, requires_grad=True) if bias else None,
        )
        for width in widths
    ]


def assert_same_gradients(found, expected, leaves):
    weights = [torch.randn_like(y) for y in expected]
    for y, z in zip(found, expected, strict=True):
        torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-12)
    pairs = (torch.autograd.grad(outputs, leaves, weights) for outputs in (found, expected))
    for index, (d, wanted) in enumerate(zip(*pairs, strict=True)):
        torch.testing.assert_close(d, wanted, rtol=1e-12, atol=1e-12, msg=lambda text, i=index: f"leaf {i}: {text}")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_projection_is_linear_with_every_gradient(layout, samples, bias):
    x, layers = a_map(layout, samples).requires_grad_(), some_layers(4, 3, 8, bias=bias)
    expected = [F.linear(x.mT, *layer) for layer in layers]
    leaves = [x, *(tensor for layer in layers for tensor in layer if tensor is not None)]
    found = project(x, *layers)
    assert all(y.is_contiguous() for y in found)
    assert_same_gradients(found, expected, leaves)
    maps = project_maps(x, *(layer.weight for layer in layers))
    assert_same_gradients(maps, [layer.weight @ x for layer in layers], [x, *(layer.weight for layer in layers)])


def test_one_layer_with_the_rows_of_several():
    x, (layer,) = a_map("contiguous"), some_layers(9)
    for y, (start, end) in zip(project(x, layer, widths=[4, 5]), [(0, 4), (4, 9)], strict=True):
        torch.testing.assert_close(y, F.linear(x.mT, layer.weight[start:end], layer.bias[start:end]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_have_the_layout_of_what_they_belong_to(layout):
    """A weight whose gradient has other strides is copied by the optimiser's sum, and a map by the layer below."""
    x, layers = a_map(layout).requires_grad_(), some_layers(4, 3)
    gradients = torch.autograd.grad([y.sum() for y in project(x, *layers)], [x, *(layer.weight for layer in layers)])
    assert [d.stride() for d in gradients] == [x.stride(), *(layer.weight.stride() for layer in layers)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_projection_has_no_map_but_its_outputs(layout):
    """Nor has its backward pass, but for the gradient, and one copy for many samples of fewer positions than widths."""
    for positions, copies in ((9, []), (3, ["clone"] * (layout == "contiguous"))):
        x, layers = a_map(layout, channels=8, positions=positions).requires_grad_(), some_layers(4, 4, channels=8)
        found = []
        assert new_maps(lambda x=x, layers=layers, found=found: found.extend(project(x, *layers)), like=x) == []
        leaves = [x, *(layer.weight for layer in layers)]
        dys = [torch.ones_like(y) for y in found]
        backward = new_maps(lambda f=found, leaves=leaves, dys=dys: torch.autograd.grad(f, leaves, dys), like=x)
        assert [name for name in backward if name not in ("mm", "sum")] == ["bmm", *copies]


def test_vmap_over_any_of_the_tensors():
    """Some may be of one sample and others of many, which in-place sums do not allow."""
    x, (layer,) = a_map("contiguous"), some_layers(4)
    y = torch.randn(2, 5, 3, dtype=torch.float64)
    out, bias = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    tensors = (x, layer.weight.detach(), layer.bias.detach())
    for place in range(3):
        several = [torch.stack([t, 2 * t]) if i == place else t for i, t in enumerate(tensors)]
        dims = tuple(0 if i == place else None for i in range(3))
        found = torch.func.vmap(lambda x, w, b: project(x, LinearMap(w, b))[0], in_dims=dims)(*several)
        for index in range(2):
            x_, w, b = (t[index] if i == place else t for i, t in enumerate(several))
            torch.testing.assert_close(found[index], F.linear(x_.mT, w, b))
    found = torch.func.vmap(lambda b: add_product(x, out, y, b))(torch.stack([bias, 2 * bias]))
    for index in range(2):
        torch.testing.assert_close(found[index], x + out @ y.mT + (index + 1) * bias[:, None])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_sum_with_a_product(layout, residual, bias):
    x, ((weight, b),) = a_map(layout).requires_grad_(), some_layers(6, channels=3, bias=bias)
    y = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    expected = weight @ y.mT + (0 if b is None else b[:, None]) + (x if residual else 0)
    z = add_product(x if residual else None, weight, y, b, channels_last=layout == "channels last")
    assert z.stride() == x.stride()
    leaves = [t for t in (x if residual else None, weight, y, b) if t is not None]
    assert_same_gradients([z], [expected], leaves)
    assert gradgradcheck(lambda w, y: add_product(None, w, y, None, layout == "channels last"), (weight, y))


def test_a_sum_is_in_the_memory_of_what_is_new():
    x, new = torch.ones(2, 3, 4), torch.ones(2, 3, 4)
    assert add_to_new(x, new) is new and torch.equal(new, torch.full((2, 3, 4), 2.0))
    assert torch.equal(x, torch.ones(2, 3, 4))


@pytest.mark.parametrize("new", [torch.ones(2, 3, 4, dtype=torch.bfloat16), torch.ones(2, 4, 3).mT])
def test_a_sum_of_another_dtype_or_layout_is_that_of_torch(new):
    x = torch.ones(2, 3, 4)
    z, expected = add_to_new(x, new), x + new
    assert z is not new and torch.equal(z, expected) and z.dtype == expected.dtype and z.stride() == expected.stride()


def test_vmap_of_a_sum():
    several = torch.randn(5, 2, 3, 4)
    new = torch.ones(2, 3, 4)
    assert torch.equal(torch.func.vmap(lambda x: add_to_new(x, new))(several), several + 1)
    assert torch.equal(new, torch.ones(2, 3, 4))
