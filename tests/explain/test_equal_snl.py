"""The simplified block is the non-local block with one query: against the definition, with its gradient."""

import pytest
import torch
from rounding import agree, moved
from torch import nn
from torch.nn.utils import parametrizations

from wholeframe import ops
from wholeframe.blocks import Affine, GlobalContext, NonLocal
from wholeframe.explain.equal_snl import refuse_unequal, snl_at

GRIDS = {"1-D": (7,), "2-D": (3, 5), "3-D": (2, 3, 4)}


def trained(kind="embedded_gaussian", **options):
    """A block in which every weight and statistic matters."""
    torch.manual_seed(0)
    block = NonLocal(6, inner=4, kind=kind, std=0.5, init="random", **options).double().eval()
    with torch.no_grad():
        for name, tensor in block.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(
                    torch.rand_like(tensor) + 0.5 if "var" in name else tensor + 0.3 * torch.randn_like(tensor)
                )
    return block


def with_one_query(block, theta, x):
    """The definition, with this theta at every position."""
    _, phi, g = block.project(x)
    weights = ops.pairwise_weights(theta.expand(len(x), 1, -1), phi, block.kind, scale=block.scale)
    z = block.out(weights @ g).mT
    z = z if block.norm is None else block.norm(z)
    return x + z.unflatten(2, (1,) * (x.ndim - 2))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize(
    "options", [{}, {"norm": None}, {"norm": "affine"}, {"scale": "sqrt_dim"}, {"bias": False}], ids=str
)
@pytest.mark.parametrize("kind", ["embedded_gaussian", "gaussian"])
def test_the_block_with_one_query(kind, options, grid):
    block = trained(kind, **options)
    x = torch.randn(2, 6, *grid, dtype=torch.float64, requires_grad=True)
    theta = torch.randn(6 if kind == "gaussian" else 4, dtype=torch.float64)
    snl = snl_at(block, theta)
    direction = torch.randn_like(x)
    found, expected = (
        (y.detach(), *torch.autograd.grad(y, x, direction)) for y in (snl(x), with_one_query(block, theta, x))
    )
    shift = moved(lambda given: snl_at(block, theta)(given).detach(), x)
    for name, a, b in zip(("output", "gradient"), found, expected, strict=True):
        agree(a, b, terms=24 * 6, moved=shift, what=name)


def test_a_constant_theta_is_the_same_block():
    block = trained()
    with torch.no_grad():
        block.theta.weight.zero_()
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    y = block(x)
    assert (snl_at(block, block.theta.bias.detach())(x) - y).abs().max() < 1e-14 * y.abs().max()


@pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "without gain"])
def test_other_norms(freeze):
    block = trained()
    block.norm = Affine.folded(block.norm) if freeze else nn.BatchNorm1d(6, affine=False).double().eval()
    x, theta = torch.randn(2, 6, 5, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    agree(snl_at(block, theta)(x), with_one_query(block, theta, x), terms=24 * 6, scale=10)


def test_weights_are_its_own():
    block = trained().train().requires_grad_(False)
    snl = snl_at(block, torch.randn(4, dtype=torch.float64))
    assert snl.training and not any(parameter.requires_grad for parameter in snl.parameters())
    before = [parameter.clone() for parameter in snl.parameters()]
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, snl.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in snl_at(trained(), torch.zeros(4)).parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_have_the_dtype_of_the_block(dtype):
    exact = trained()
    theta = torch.randn(4, dtype=torch.float64)
    block = trained().to(dtype)
    # The sums are in float64, so each weight differs from the exact one by the rounding of the given weights alone.
    for a, b in zip(snl_at(block, theta).parameters(), snl_at(exact, theta).parameters(), strict=True):
        assert a.dtype == dtype
        torch.testing.assert_close(
            a.double(), b, rtol=0, atol=20 * torch.finfo(dtype).eps * max(b.abs().max().item(), 1)
        )


def unequal():
    pruned = trained()
    parametrizations.weight_norm(pruned.phi)
    unstable = trained()
    unstable.norm = nn.BatchNorm1d(6, track_running_stats=False).double()
    return {
        "is a GlobalContext, and only a NonLocal has a query to replace": GlobalContext(6),
        r"kind='euclidean_gaussian', and no SNL equals it at any query: its logits have \|phi_j\|": trained(
            "euclidean_gaussian"
        ),
        "kind='dot', and no SNL equals it at any query: its weights are signed": trained("dot"),
        "kind='concatenation', and no SNL equals it at any query: its weights do not sum to one": trained(
            "concatenation"
        ),
        "pool=2, and no SNL equals it: SNL sums over all positions and pools none": trained(pool=2),
        r"pool=\(1, 2, 2\), and no SNL equals it": trained(pool=(1, 2, 2), pool_order="before"),
        "restricts the keys of a query to its own part of the clip": trained(attend_over="space"),
        "restricts the keys of a query": trained(frame_groups=2),
        "a tool has changed a layer of the block at 'layer3'": pruned,
        "has no running statistics, so what it adds depends on the batch": unstable,
    }


@pytest.mark.parametrize("message", unequal())
def test_blocks_without_an_equal_one(message):
    with pytest.raises(ValueError, match=message):
        refuse_unequal(unequal()[message], "layer3")


def test_blocks_with_one():
    for kind in ("gaussian", "embedded_gaussian"):
        refuse_unequal(trained(kind, scale=0.5, pool=1), "layer3")
