"""KaiyuYue/cgnl-network.pytorch@33e348b, `model/resnet.py`.

`SpatialCGNL` and `SpatialCGNLx` have the same tensor names and shapes, so neither the class nor
the order can be read from a state. The released networks draw every weight from N(0, 0.01) and start the norm at zero.
"""

from wholeframe.blocks import CGNL, NonLocal

NAMES = {
    "t.": "theta.",
    "p.": "phi.",
    "g.": "g.",
    "z.": "out.",
    "gn.": "norm.",
    "bn.": "norm.",
}


def cgnl_dot(inplanes: int, planes: int, use_scale: bool = False, groups: int | None = None) -> CGNL:
    """`SpatialCGNL`."""
    return CGNL(
        inplanes,
        inner=planes,
        groups=_groups("SpatialCGNL", groups),
        kernel="dot",
        scale="sqrt_length" if use_scale else None,
        norm="gn",
    )


def cgnl_taylor(inplanes: int, planes: int, use_scale: bool = False, groups: int | None = None, order: int = 2) -> CGNL:
    """`SpatialCGNLx`. Its gamma is the constant 1e-4, which the reference rounds to float32."""
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


def non_local(inplanes: int, planes: int, use_scale: bool = False) -> NonLocal:
    """`SpatialNL`: an embedded Gaussian without biases and without pooling."""
    return NonLocal(
        inplanes, inner=planes, scale="sqrt_dim" if use_scale else None, norm="bn", bias=False, out_bias=False
    )


def _groups(name: str, groups: int | None) -> int:
    if groups is None:
        raise ValueError(f"{name} cannot be built with groups=None, its default; give groups=1 for one group")
    return groups
