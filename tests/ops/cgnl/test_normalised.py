"""The group norm of a product: its definition in numbers and in every derivative, in less memory."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from wholeframe.ops.cgnl.normalised import normalised_product

EPS = 1e-3


@pytest.fixture(params=["a matrix for each sample", "matrices of all samples"])
def inputs(request):
    torch.manual_seed(0)
    of_each = (2,) if request.param == "a matrix for each sample" else ()
    shapes = (*of_each, 3, 4, 2), (2, 3, 2, 5), (12,), (12,)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def definition(matrices, y, weight, bias, norm_groups):
    return F.group_norm((matrices @ y).flatten(1, 2), norm_groups, weight, bias, EPS)


@pytest.mark.parametrize("norm_groups", [3, 2])
def test_it_is_its_definition_with_every_gradient(inputs, norm_groups):
    z, expected = normalised_product(*inputs, norm_groups, EPS), definition(*inputs, norm_groups)
    assert torch.equal(z, expected)
    dz = torch.randn_like(z)
    gradients = (torch.autograd.grad(output, inputs, dz) for output in (z, expected))
    for name, found, wanted in zip(("matrices", "y", "weight", "bias"), *gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12, msg=lambda text, n=name: f"{n} {text}")


def test_each_tensor_alone_may_need_a_gradient(inputs):
    for place in range(4):
        alone = [x.detach().requires_grad_(i == place) for i, x in enumerate(inputs)]
        outputs = normalised_product(*alone, 3, EPS), definition(*alone, 3)
        found, wanted = (torch.autograd.grad(z.square().sum(), alone[place])[0] for z in outputs)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        found, wanted = (
            torch.autograd.grad((z**3).sum(), alone[place], create_graph=True)[0]
            for z in (normalised_product(*alone, 3, EPS), definition(*alone, 3))
        )
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_derivatives_of_both_orders(inputs):
    assert gradcheck(lambda *tensors: normalised_product(*tensors, 3, EPS), inputs)
    assert gradgradcheck(lambda *tensors: normalised_product(*tensors, 3, EPS), inputs)


def test_the_product_is_not_kept(inputs):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        z = normalised_product(*inputs, 3, EPS)
    assert sorted(shape.numel() for shape in kept) == sorted([*(x.numel() for x in inputs), 6, 6])
    assert torch.equal(z, definition(*inputs, 3))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, as it loads forward mode
def test_forward_mode_and_transforms(inputs):
    tensors = [x.detach() for x in inputs]
    directions = [torch.randn_like(x) for x in tensors]
    expected = torch.func.jvp(lambda *t: definition(*t, 3), tuple(tensors), tuple(directions))[1]
    found = torch.func.jvp(lambda *t: normalised_product(*t, 3, EPS), tuple(tensors), tuple(directions))[1]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, d) for x, d in zip(tensors, directions, strict=True)]
        found = forward_ad.unpack_dual(normalised_product(*duals, 3, EPS)).tangent
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

    def loss(weight, z=definition):
        return z(tensors[0], tensors[1], weight, tensors[3], 3).square().sum()

    several = torch.stack([tensors[2], 2 * tensors[2]])
    ours = torch.func.vmap(torch.func.grad(lambda weight: loss(weight, lambda *t: normalised_product(*t, EPS))))(
        several
    )
    torch.testing.assert_close(ours, torch.func.vmap(torch.func.grad(loss))(several), rtol=1e-12, atol=1e-12)
