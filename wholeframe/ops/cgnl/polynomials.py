"""Sums of powers and Horner's scheme, for both series of `wholeframe.ops.cgnl`."""

from jaxtyping import Float
from torch import Tensor


def moments(x: Float[Tensor, "b g j"], weighted: Float[Tensor, "b g j"], count: int) -> list[Float[Tensor, "b g 1"]]:
    """sum_j x_j^p weighted_j for p = 0 .. count-1, by running products."""
    sums = [weighted.sum(dim=-1, keepdim=True)]
    for _ in range(count - 1):
        weighted = weighted * x
        sums.append(weighted.sum(dim=-1, keepdim=True))
    return sums


def horner(coefficients: list[Float[Tensor, "b g 1"]], x: Float[Tensor, "b g i"]) -> Float[Tensor, "b g i"]:
    """sum_p coefficients[p] x^p; a coefficient applies to all tokens of its group."""
    y = coefficients[-1].expand_as(x)
    for coefficient in reversed(coefficients[:-1]):
        y = y * x + coefficient
    return y
