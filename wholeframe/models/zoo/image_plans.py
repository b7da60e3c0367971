"""Blocks and sites that several image networks share, as plans for a depth."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from wholeframe.blocks import CGNL, GlobalContext, NonLocal, SimplifiedNonLocal, SqueezeExcite
from wholeframe.models.resnet_image import ResNetPlan
from wholeframe.models.resnet_sites import Depth, all_of_res3_and_res4, before_last, branches, every_other

# As in the released code of CGNL and the comparisons of its paper: no biases, softmax over unpooled keys.
nl_block = partial(NonLocal, bias=False, out_bias=False, scale="sqrt_dim")
cgnl_block = partial(CGNL, groups=8)
cgnlx_block = partial(CGNL, groups=8, kernel="taylor", order=3)


def plan_gc(depth: Depth, **options: Any) -> ResNetPlan:
    """GC before the sum of every residual block of res3 to res5; `options` of `GlobalContext`."""
    return ResNetPlan(depth, partial(GlobalContext, **options), branches(depth, 3, 4, 5))


def plan_se(depth: Depth) -> ResNetPlan:
    """SE before the sum of every residual block."""
    return ResNetPlan(depth, SqueezeExcite, branches(depth, 2, 3, 4, 5))


def plan_snl(depth: Depth) -> ResNetPlan:
    """SNL before the sum of every residual block of res3 to res5."""
    return ResNetPlan(depth, SimplifiedNonLocal, branches(depth, 3, 4, 5))


def plan_one(depth: Depth, block: Callable[[int], nn.Module]) -> ResNetPlan:
    """One block before the last residual block of res4."""
    return ResNetPlan(depth, block, before_last(depth))


def plan_five(depth: Depth, block: Callable[[int], nn.Module]) -> ResNetPlan:
    """Two blocks in res3 and three in res4."""
    return ResNetPlan(depth, block, every_other(depth))


def plan_ten(depth: Depth, block: Callable[[int], nn.Module]) -> ResNetPlan:
    """A block after every residual block of res3 and res4."""
    return ResNetPlan(depth, block, all_of_res3_and_res4())
