"""Feature expansions of the Gaussian exp(-(u - v)^2) and of its derivatives, to the rounding of a dtype.

The *span* decides how many features are needed: the largest difference between any two of a group's u and v.

    Mercer   exp(-(u-v)^2) = sum_p e^(-u^2) u^p  2^p/p!  v^p e^(-v^2)       few terms for a small span
    Fourier  exp(-(u-v)^2) = sum_k c_k cos(k w (u - v)),  w = 2 pi / T      T a little more than the span

Mercer is the Taylor series of CGNL with its prefactor kept: the sizes of the terms sum to at most 1, so nothing
cancels. Fourier is the trapezoid rule for the Gaussian's own transform, which converges faster than any power. Both are
truncated where the remainder is below the rounding of the dtype.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.cgnl.polynomials import horner, moments

# Mercer's terms grow with the square of the span and Fourier's with the span: beyond this span Mercer needs more.
MERCER_SPAN = 10.0


class Mercer(NamedTuple):
    """The powers 0 .. terms-1."""

    terms: int

    @property
    def features(self) -> int:
        return self.terms


class Fourier(NamedTuple):
    """The waves 0 .. waves of a period."""

    waves: int
    period: float

    @property
    def features(self) -> int:
        return 2 * self.waves + 1


def plan(span: float, dtype: torch.dtype, derivative: int = 0) -> Mercer | Fourier:
    """The smallest expansion of exp(-(u-v)^2) and its first `derivative` derivatives, to the rounding of `dtype`.

    The remainder of Mercer's series is largest at the ends, |u| = |v| = span/2, where it is the tail of a Poisson
    distribution of mean span^2/2. Each derivative costs one more term: derivatives are small where the span is small,
    and have to be accurate relative to that.
    """
    rounding = torch.finfo(dtype).eps / 4
    log = math.log(1 / rounding) + 2.5 * derivative
    fourier = Fourier(math.ceil((span * math.sqrt(log) + log) / math.pi), span + math.sqrt(log))
    if span > MERCER_SPAN:
        return fourier
    mercer = Mercer(_poisson_terms(span**2 / 2, rounding) + derivative)
    return mercer if mercer.features <= fourier.features else fourier


def _poisson_terms(mean: float, rest: float) -> int:
    """The smallest n for which the Poisson tail from n on is at most `rest`."""
    p, term = 0, math.exp(-mean)
    while p + 1 <= mean or term > rest * (1 - mean / (p + 1)):
        p += 1
        term *= mean / p
    return p


def mercer_sum(
    u: Float[Tensor, "b g i"],
    v: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    features: Mercer,
    derivative: int,
) -> Float[Tensor, "b g i"]:
    """sum_j k(u_i - v_j) value_j by Mercer's series, where k is that derivative of exp(-d^2)."""
    coefficients, factor = [], 1.0
    for p, moment in enumerate(moments(v, value * torch.exp(-v * v), features.terms)):
        factor = factor * 2 / p if p else 1.0
        coefficients.append(factor * moment)
    for _ in range(derivative):
        coefficients = _differentiated(coefficients)
    return horner(coefficients, u) * torch.exp(-u * u)


def _differentiated(coefficients: list[Float[Tensor, "b g 1"]]) -> list[Float[Tensor, "b g 1"]]:
    """Coefficients of P' - 2 u P, because (e^(-u^2) P)' = e^(-u^2) (P' - 2 u P)."""
    zero = torch.zeros_like(coefficients[0])
    above = [*((r + 1) * c for r, c in enumerate(coefficients[1:])), zero, zero]
    below = [zero, *(2 * c for c in coefficients)]
    return [a - b for a, b in zip(above, below, strict=True)]


def fourier_sum(
    u: Float[Tensor, "b g i"],
    v: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    features: Fourier,
    derivative: int,
    factor: Callable[[float], float] | None = None,
) -> Float[Tensor, "b g i"]:
    """sum_j k(u_i - v_j) value_j by Fourier's series, where k is that derivative of exp(-d^2).

    `factor` of the frequency multiplies each wave, which gives another even kernel than the Gaussian.
    """
    y = 0.0 * u
    for k in range(features.waves + 1):
        w = 2 * math.pi * k / features.period
        weight = (1 if k == 0 else 2) * math.sqrt(math.pi) / features.period * math.exp(-w * w / 4) * w**derivative
        weight = weight if factor is None else factor(w) * weight
        cosine = (value * torch.cos(w * v)).sum(dim=-1, keepdim=True)
        sine = (value * torch.sin(w * v)).sum(dim=-1, keepdim=True)
        for _ in range(derivative):
            cosine, sine = sine, -cosine
        y = y + (weight * cosine) * torch.cos(w * u) + (weight * sine) * torch.sin(w * u)
    return y
