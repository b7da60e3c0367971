"""tea1528/Non-Local-NN-Pytorch@64c6047, `models/non_local.py`: one class for all kinds and ranks.

Its block builds a pooling layer and never applies it, never scales, and has a bias in w_f, which its ReLU follows.
"""

from wholeframe import ops
from wholeframe.blocks import NonLocal
from wholeframe.convert.rename import meaning

MODES: dict[str | None, ops.Kind] = {
    "gaussian": "gaussian",
    "embedded": "embedded_gaussian",
    "dot": "dot",
    "concatenate": "concatenation",
}
NAMES = {
    "theta.": "theta.",
    "phi.": "phi.",
    "g.": "g.",
    "W_f.0.": "w_f.",
    "W_z.0.": "out.",
    "W_z.1.": "norm.",
    "W_z.": "out.",
}


def non_local(
    in_channels: int,
    inter_channels: int | None = None,
    mode: str = "embedded",
    dimension: int = 3,
    bn_layer: bool = True,
) -> NonLocal:
    """`NLBlockND`. Ours takes maps of any rank, whatever `dimension` the reference was built for."""
    if dimension not in (1, 2, 3):
        raise ValueError(f"dimension={dimension!r} has no counterpart here; give 1, 2 or 3")
    kind = meaning("mode", mode, MODES)
    return NonLocal(
        in_channels,
        inner=inter_channels,
        kind=kind,
        norm="bn" if bn_layer else None,
        concatenation_bias=kind == "concatenation",
        std=None,
        init="identity",
    )
