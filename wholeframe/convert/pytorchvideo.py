"""facebookresearch/pytorchvideo@f3142bb, `pytorchvideo/layers/nonlocal_net.py`: SlowFast's block."""

from collections.abc import Sequence

from torch import nn

from wholeframe.blocks import NonLocal
from wholeframe.convert.rename import meaning
from wholeframe.convert.slowfast import INSTANTIATIONS, pool_of, scale_of

NAMES = {"conv_theta.": "theta.", "conv_phi.": "phi.", "conv_g.": "g.", "conv_out.": "out.", "norm.": "norm."}


def non_local(
    dim_in: int,
    dim_inner: int,
    pool_size: Sequence[int] | None = (1, 1, 1),
    instantiation: str = "softmax",
    norm: object = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
) -> NonLocal:
    """`create_nonlocal`."""
    return NonLocal(
        dim_in,
        inner=dim_inner,
        kind=meaning("instantiation", instantiation, INSTANTIATIONS),
        scale=scale_of(instantiation),
        pool=pool_of(pool_size),
        pool_order="before",
        norm=meaning("norm", norm, {"BatchNorm3d": "bn", None: None}),
        eps=norm_eps,
        momentum=norm_momentum,
        std=None,
        init="random",
    )
