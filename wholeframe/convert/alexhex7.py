"""AlexHex7/Non-local_pytorch@ec15789, `lib/non_local_*.py`: one file for each kind, with the same class names.

Its blocks pool after the projections and never scale.
"""

from wholeframe import ops
from wholeframe.blocks import NonLocal

MODULES: dict[str, ops.Kind] = {
    "non_local_gaussian": "gaussian",
    "non_local_embedded_gaussian": "embedded_gaussian",
    "non_local_dot_product": "dot",
    "non_local_concatenation": "concatenation",
}
NAMES = {
    "theta.": "theta.",
    "phi.0.": "phi.",
    "phi.": "phi.",
    "g.0.": "g.",
    "g.": "g.",
    "concat_project.0.": "w_f.",
    "W.0.": "out.",
    "W.1.": "norm.",
    "W.": "out.",
}


def non_local(
    kind: ops.Kind,
    /,
    in_channels: int,
    inter_channels: int | None = None,
    sub_sample: bool = True,
    bn_layer: bool = True,
) -> NonLocal:
    """`NONLocalBlock1D`, `NONLocalBlock2D` or `NONLocalBlock3D`; each kind is a file of the reference."""
    return NonLocal(
        in_channels,
        inner=inter_channels,
        kind=kind,
        pool=2 if sub_sample else 1,
        pool_order="after",
        norm="bn" if bn_layer else None,
        std=None,
        init="identity",
    )
