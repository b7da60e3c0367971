"""facebookresearch/SlowFast@287ec00, `slowfast/models/nonlocal_helper.py`.

Pools before the projections and always scales the softmax. The released Caffe2 weights need both.
"""

from collections.abc import Sequence

from torch import nn

from wholeframe import ops
from wholeframe.blocks import NonLocal
from wholeframe.convert.rename import meaning

INSTANTIATIONS: dict[str | None, ops.Kind] = {"softmax": "embedded_gaussian", "dot_product": "dot"}
NAMES = {"conv_theta.": "theta.", "conv_phi.": "phi.", "conv_g.": "g.", "conv_out.": "out.", "bn.": "norm."}


def non_local(
    dim: int,
    dim_inner: int,
    pool_size: Sequence[int] | None = None,
    instantiation: str = "softmax",
    zero_init_final_conv: bool = False,
    zero_init_final_norm: bool = True,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    norm_module: object = nn.BatchNorm3d,
    nonlocal_group: int = 1,
) -> nn.Module:
    """`Nonlocal`, and how the `ResStage` around it cuts the clip: `nonlocal_group` is a number of groups.

    Both `zero_init_*` only mark a layer for the model's initialiser: the block alone starts at random.
    """
    return NonLocal(
        dim,
        inner=dim_inner,
        kind=meaning("instantiation", instantiation, INSTANTIATIONS),
        scale=scale(instantiation),
        pool=pool(pool_size),
        pool_order="before",
        groups=None if nonlocal_group == 1 else nonlocal_group,
        norm=meaning("norm_module", norm_module, {"BatchNorm3d": "bn"}),
        eps=norm_eps,
        momentum=norm_momentum,
        std=None,
        birth="random",
    )


def scale(instantiation: str) -> ops.Scale:
    """inner^-1/2, which the dot product has no use for."""
    return "sqrt_dim" if instantiation == "softmax" else None


def pool(pool_size: Sequence[int] | None) -> int | tuple[int, ...]:
    """One window for each of time, height and width."""
    return 1 if pool_size is None or max(pool_size) == 1 else tuple(pool_size)
