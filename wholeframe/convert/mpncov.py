"""jiangtaoxie/fast-MPN-COV@c430c78, `src/representation/MPNCOV.py`.

Our output is `(b, t)`, the reference's is `(b, t, 1)`. The triangle is the upper one. States older than 2018-12-26 were
trained with the lower one, which cannot be seen in a state: set `block.triangle = "lower"` for them.
"""

from wholeframe.blocks import ISqrtCov

NAMES = {"conv_dr_block.0.": "reduce.linear.", "conv_dr_block.1.": "reduce.norm."}


def isqrt_cov(
    iterNum: int = 3,
    is_sqrt: bool = True,
    is_vec: bool = True,
    input_dim: int = 2048,
    dimension_reduction: int | None = None,
) -> ISqrtCov:
    """`MPNCOV`."""
    if not (is_sqrt and is_vec):
        raise ValueError(
            f"is_sqrt={is_sqrt} with is_vec={is_vec} has no counterpart here; without the root or the triangle "
            "use wholeframe.ops.covariance and wholeframe.ops.newton_schulz directly"
        )
    return ISqrtCov(input_dim, inner=dimension_reduction, steps=iterNum, triangle="upper")
