"""Parameters and multiply-adds equal their formulas; memory does not grow with the square of the positions."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from wholeframe.blocks import BLOCKS
from wholeframe.models.products import ON_CPU

C, D, P, G = 8, 4, 4, 2  # channels, inner width, hidden width and groups of the blocks below
CELLS = 4  # of the coarse grid of GSoP's position block
IN, OUT, BN, LN = C * D + D, D * C + C, 2 * C, 2 * P
PARAMETERS = {
    "nl": 3 * IN + OUT + BN,
    "nl_gaussian": IN + OUT + BN,
    "nl_euclidean": 3 * IN + OUT + BN,
    "nl_dot": 3 * IN + OUT + BN,
    "nl_concatenation": 3 * IN + 2 * D + OUT + BN,
    "snl": (C + 1) + (C * C + C),
    "gc": (C + 1) + (C * P + P) + LN + (P * C + C),
    "se": (C * P + P) + (P * C + C),
    **dict.fromkeys(("cgnl", "cgnl_taylor", "cgnl_rbf"), 3 * C * D + C * D // G + 2 * C),
    "gsop_channel": 5 * D * C + C + 4 * D * D + 9 * D,
    "gsop_position": IN + 2 * D + 2 * CELLS + (4 * CELLS**2 + 4 * CELLS) + (4 * CELLS**2 + CELLS),
    "ese": C * C + C,
    "eca": 3,
}
NON_LOCAL = [name for name in BLOCKS if name.startswith("nl")]


def test_parameters(build, name):
    assert PARAMETERS.keys() == BLOCKS.keys()
    assert sum(parameter.numel() for parameter in build().parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", NON_LOCAL)
@pytest.mark.parametrize(("norm", "trained"), [("bn", BN), ("affine", 0), (None, 0)])
def test_parameters_of_the_norms(build, name, norm, trained):
    assert sum(parameter.numel() for parameter in build(norm=norm).parameters()) == PARAMETERS[name] - BN + trained


# The counter sees products of matrices and fused attention, none of matrix and vector: these are the ones we run.
UNSEEN = {
    "nl_euclidean": lambda n, k: n * k * D,  # squared distances
    "cgnl": lambda n, k: n * D,  # phi . g
    "cgnl_taylor": lambda n, k: 2 * 3 * n * D,  # running products and Horner's scheme to the third power
    "cgnl_rbf": lambda n, k: 2 * 9 * n * D,  # the nine features at one width of the kernel
}


def counted(block, grid):
    with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter, torch.no_grad():
        block.eval()(torch.randn(1, C, *grid))
    return counter.get_total_flops() // 2


def test_multiply_adds(build, name, grid):
    """On the dense backend: the fused kernels are fed with zeros to equal widths, which the counter counts."""
    block = build(**({"backend": "dense"} if name.startswith("nl") else {}))
    n = math.prod(grid)
    unseen = UNSEEN.get(name, lambda n, k: 0)(n, n)
    assert block.multiply_adds(grid) == counted(block, grid) + unseen


@pytest.mark.parametrize("name", NON_LOCAL)
@pytest.mark.parametrize("pool_order", ["before", "after"])
def test_multiply_adds_with_fewer_keys(build, name, grid, pool_order):
    block = build(backend="dense", pool=2, pool_order=pool_order)
    n, k = math.prod(grid), math.prod(block.key_grid(grid))
    unseen = UNSEEN.get(name, lambda n, k: 0)(n, k)
    assert block.multiply_adds(grid) == counted(block, grid) + unseen


@pytest.mark.parametrize("name", ["nl", "nl_dot"])
def test_multiply_adds_of_what_auto_takes(build, grid):
    """Where the widths are equal, the fused kernel costs what the definition costs; associativity costs less."""
    block = build().eval()
    backend = block.backend_for(torch.empty(1, C, *grid))
    assert block.multiply_adds(grid, backend) == counted(block, grid)


class Largest(TorchDispatchMode):
    """The most numbers in any tensor that an op returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))])
        return out


def test_no_intermediate_is_queries_by_keys(build, name):
    """Forward and backward."""
    n = 32 * 32
    x = torch.randn(1, C, 32, 32, requires_grad=True)
    with Largest() as largest:
        build()(x).square().sum().backward()
    assert x.numel() <= largest.numel < n * n / 4
