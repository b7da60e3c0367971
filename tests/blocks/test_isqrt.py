"""Covariance pooling with a square root: the head of iSQRT-COV, MPN-COV and GSoP-Net2."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from rounding import agree, moved
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from wholeframe import ops
from wholeframe.blocks import ISqrtCov

ROOTS = pytest.mark.parametrize("root", ["newton_schulz", "eigen"])
GRIDS = pytest.mark.parametrize("grid", [(7,), (5, 4), (3, 2, 2)], ids=["1d", "2d", "3d"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@GRIDS
@pytest.mark.parametrize("steps", [3, 5])
@pytest.mark.parametrize("triangle", ["upper", "lower"])
def test_the_head_is_the_literal_formula(grid, steps, triangle):
    head = ISqrtCov(8, inner=4, steps=steps, triangle=triangle).double()
    x = torch.randn(2, 8, *grid, dtype=torch.float64)
    v = F.relu(head.reduce.norm(F.conv1d(x.flatten(2), head.reduce.linear.weight[..., None])))
    root = ops.dense_newton_schulz(ops.dense_covariance(v), steps)
    indices = (torch.triu_indices if triangle == "upper" else torch.tril_indices)(4, 4)
    agree(head(x), root[:, indices[0], indices[1]], x[0].numel(), moved=moved(head, x))
    assert head(x).shape == (2, head.out_features) == (2, 10)


def test_without_a_reduction_the_covariance_is_that_of_x():
    head, x = ISqrtCov(5, inner=None, root="eigen").double(), torch.randn(2, 5, 6, 4, dtype=torch.float64)
    assert not list(head.parameters())
    expected = ops.triangle(ops.eigen_root(ops.covariance(x.flatten(2))))
    assert torch.equal(head(x), expected)
    head.reset_parameters()


@ROOTS
def test_gradients(root):
    head = ISqrtCov(5, inner=3, root=root).double()
    names = [name for name, _ in head.named_parameters()]
    values = [parameter.detach().clone().requires_grad_() for parameter in head.parameters()]
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x, *p: functional_call(head, dict(zip(names, p, strict=True)), (x,)), (x, *values))


@ROOTS
@pytest.mark.parametrize("inner", [4, None])
@pytest.mark.parametrize("kind", ["one position", "zero", "constant", "rank deficient"])
def test_edges_are_finite(root, inner, kind):
    x = {
        "one position": torch.randn(2, 8, 1, 1),
        "zero": torch.zeros(2, 8, 3, 3),
        "constant": torch.ones(2, 8, 3, 3),
        "rank deficient": torch.randn(2, 8, 1, 3),
    }[kind].requires_grad_()
    head = ISqrtCov(8, inner=inner, root=root)
    y = head(x)
    assert torch.isfinite(y).all()
    y.backward(torch.randn_like(y))
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters())


@pytest.mark.parametrize("steps", [12, 20])
def test_the_most_steps_in_float32_are_still_near_float64(steps):
    """Rank 1 in 64 variables is the worst case: errors grow by half with every step."""
    x = torch.randn(1, 64, 2)
    head = ISqrtCov(64, inner=None, steps=steps)
    expected = head(x.double())
    assert (head(x) - expected).norm() / expected.norm() < {12: 1e-4, 20: 5e-3}[steps]


@ROOTS
def test_a_dead_relu_in_front_gives_zero_and_not_nan(root):
    head = ISqrtCov(8, inner=4, root=root)
    nn.init.constant_(head.reduce.norm.bias, -100)
    x = torch.randn(2, 8, 3, 3, requires_grad=True)
    y = head(x)
    y.sum().backward()
    assert y.abs().max() == 0 and x.grad.abs().max() == 0


@ROOTS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision(root, dtype):
    """Near float32 inside autocast and with half weights; inside autocast the output has x's dtype."""
    head, x = ISqrtCov(8, inner=4, root=root).eval(), 12 * torch.randn(2, 8, 6, 5)
    expected = head(x)
    with torch.autocast("cpu", dtype=dtype):
        inside = head(x)
    half = head.to(dtype)(x.to(dtype))
    assert inside.dtype == torch.float32 and half.dtype == dtype
    for y in (inside, half):
        assert torch.isfinite(y).all()
        assert (y.float() - expected).norm() / expected.norm() < 16 * torch.finfo(dtype).eps


def test_copies():
    head, x = ISqrtCov(8, inner=4).eval(), torch.randn(2, 8, 3, 3)
    assert torch.equal(copy.deepcopy(head)(x), head(x))
    assert torch.equal(pickle.loads(pickle.dumps(head))(x), head(x))


@pytest.mark.slow
def test_export_with_a_dynamic_batch_and_grid():
    head = ISqrtCov(8, inner=4).eval()
    dynamic = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    exported = torch.export.export(head, (torch.randn(2, 8, 4, 5),), dynamic_shapes=(dynamic,)).module()
    x = torch.randn(3, 8, 6, 3)
    torch.testing.assert_close(exported(x), head(x))


@pytest.mark.slow
@pytest.mark.compiled
@ROOTS
def test_compile(root):
    torch._dynamo.reset()
    head = ISqrtCov(8, inner=4, root=root).double()
    compiled = torch.compile(head, fullgraph=True, backend="aot_eager")
    x, z = (torch.linspace(-9, 9, 240).sin().double().reshape(2, 8, 15).requires_grad_() for _ in range(2))
    y, expected = compiled(x), head(z)
    agree(y, expected, x[0].numel(), moved=moved(head, z))
    weights = torch.linspace(-1, 1, 10, dtype=torch.float64)
    (y * weights).sum().backward()

    def gradient(z):
        z = z.detach().requires_grad_()
        return torch.autograd.grad((head(z) * weights).sum(), z)[0]

    (expected * weights).sum().backward()
    agree(x.grad, z.grad, x[0].numel(), moved=moved(gradient, z))


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("inner", [4, None])
def test_multiply_adds(steps, inner):
    head = ISqrtCov(8, inner=inner, steps=steps).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        head(torch.randn(1, 8, 6, 5))
    assert head.multiply_adds((6, 5)) == counter.get_total_flops() // 2


def test_multiply_adds_of_eigenvalues_are_those_of_putting_the_root_together():
    assert ISqrtCov(8, inner=4, root="eigen").multiply_adds((6, 5)) == 30 * (8 * 4 + 4 * 4) + 4**3


def test_published_width():
    """32,896 numbers of GSoP-Net2 and of iSQRT-COV ResNet-50; the reduction of 2048 channels to 256."""
    with torch.device("meta"):
        head = ISqrtCov(2048)
    assert head.out_features == 32_896
    assert sum(parameter.numel() for parameter in head.parameters()) == 2048 * 256 + 2 * 256


def test_reset_undoes_an_initialisation_of_everything():
    head = ISqrtCov(8, inner=4)
    head(torch.randn(2, 8, 3, 3))
    for parameter in head.parameters():
        nn.init.constant_(parameter, 7)
    head.reset_parameters()
    assert not any((parameter == 7).any() for parameter in head.parameters())
    assert torch.equal(head.reduce.norm.running_mean, torch.zeros(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"steps": 0},
            r"steps must be an integer of at least 1, got 0 \(the default is 5\)",
        ),
        (
            {"steps": 21},
            "steps must be from 1 to 20, got 21: in float32 the rounding errors.*; take root='eigen'",
        ),
        ({"root": "svd"}, "root='svd' is not one of 'newton_schulz', 'eigen'"),
        ({"triangle": "uper"}, "triangle='uper' is not one of 'upper', 'lower'; did you mean 'upper'?"),
        ({"inner": 0}, "inner must be an integer of at least 1, got 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ISqrtCov(16, **options)


def test_repr_tells_the_options():
    assert "16, inner=6, steps=3, root='newton_schulz', triangle='lower'" in repr(
        ISqrtCov(16, inner=6, steps=3, triangle="lower")
    )
