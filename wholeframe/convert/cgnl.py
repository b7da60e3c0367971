"""KaiyuYue/cgnl-network.pytorch@33e348b, `model/resnet.py`.

`SpatialCGNL` and `SpatialCGNLx` have the same names and shapes: which of the two, and the order, is not in a file. The
released networks start every weight from N(0, 0.01) and the norm at zero.
"""

from torch import nn

from wholeframe.blocks import CGNL, NonLocal

NAMES = {
    "t.": "theta.",
    "p.": "phi.",
    "g.": "g.",
    "z.": "out.",
    "gn.": "norm.",
    "bn.": "norm.",
}


def dot(inplanes: int, planes: int, use_scale: bool = False, groups: int | None = None) -> nn.Module:
    """`SpatialCGNL`."""
    return CGNL(
        inplanes,
        inner=planes,
        groups=_groups("SpatialCGNL", groups),
        kernel="dot",
        scale="sqrt_length" if use_scale else None,
        norm="gn",
    )


def taylor(inplanes: int, planes: int, use_scale: bool = False, groups: int | None = None, order: int = 2) -> nn.Module:
    """`SpatialCGNLx`. Its gamma is a constant, 1e-4, rounded to float32 there."""
    return CGNL(
        inplanes,
        inner=planes,
        groups=_groups("SpatialCGNLx", groups),
        kernel="taylor",
        gamma=1e-4,
        order=order,
        scale="sqrt_length" if use_scale else None,
        norm="gn",
    )


def non_local(inplanes: int, planes: int, use_scale: bool = False) -> nn.Module:
    """`SpatialNL`: an embedded Gaussian without biases, without pooling."""
    return NonLocal(
        inplanes, inner=planes, scale="sqrt_dim" if use_scale else None, norm="bn", bias=False, out_bias=False
    )


def _groups(name: str, groups: int | None) -> int:
    if groups is None:
        raise ValueError(f"{name} cannot be built with groups=None, its default; give groups=1 for one group")
    return groups
