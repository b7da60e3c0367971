"""The true Gaussian RBF of generalized non-local, to rounding and at linear cost.

    y_i = sum_j exp(-gamma (theta_i - phi_j)^2) value_j                     (Yue et al., NeurIPS 2018, eq. 10)

gamma only stretches the axis: with u = sqrt(gamma) (theta - centre) and v likewise, the kernel is exp(-(u - v)^2), and
one number decides how many features it takes, the *span*: the largest difference between any two of a group's u and v.

    Mercer   exp(-(u-v)^2) = sum_p e^(-u^2) u^p  2^p/p!  v^p e^(-v^2)       few terms for a small span
    Fourier  exp(-(u-v)^2) = sum_k c_k cos(k w (u - v)),  w = 2 pi / T      T a little more than the span

Mercer is the Taylor series of CGNL with its prefactor kept: the sum of the terms' sizes is at most 1, so nothing
cancels. Fourier is the trapezoid rule of the Gaussian's own transform, which converges faster than any power. Both are
cut where the rest is below the rounding of the dtype.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.autograd import applied, two_modes
from wholeframe.ops.layout import as_given, wide

TRACED_SPAN = 8.0
# Mercer's terms grow with the square of the span, Fourier's with the span: from here on they are always more.
MERCER_SPAN = 10.0
LARGEST_SPAN = 1024.0
# Beyond this span the phases of float32 lose more than the cut does, and the sums are done in float64.
SINGLE_SPAN = 20.0


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


def gauss_transform(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    gamma: float | Float[Tensor, ""],
    *,
    max_span: float | None = None,
) -> Float[Tensor, "b g i"]:
    """y_i = sum_j exp(-gamma (theta_i - phi_j)^2) value_j in time and memory linear in i and j, to rounding.

    Differentiable any number of times, in gamma too; a backward pass keeps theta, phi and value and nothing else.
    Measured errors are in `docs/rbf.md`. They are rounding errors of sum_j |value_j|: where the kernel leaves next to
    nothing of that, as between two far clusters, the digits left are fewer. Not under `torch.func.vmap`, as a span has
    to be read back: make what would be mapped over a longer batch.

    Args:
        theta, phi, value: tokens of each sample and group; halves are computed in float32.
        gamma: a positive number, or a tensor of one, which then gets its gradient.
        max_span: how far apart sqrt(gamma) theta and sqrt(gamma) phi may be. None plans for the span of the data, a
            number for that span whatever the data; either way the span is measured, which reads one number back from
            the device. A graph cannot: it is planned for `max_span`, or for 8 where that is None, and checks the span
            on the device.

    Raises:
        ValueError: where the span exceeds `max_span` or 1024, where gamma is not positive, and under `vmap`. A compiled or
            exported graph raises RuntimeError for a span beyond its max_span.
    """
    _check_gamma(gamma)
    with as_given(theta):
        out = torch.promote_types(theta.dtype, torch.float32)
        theta, phi, value = wide(theta), wide(phi), wide(value)
        low, high = _ends(theta, phi)
        spans = ((high - low) * gamma**0.5).detach()
        span = _planned(spans, max_span) if torch.compiler.is_compiling() else _measured(spans, max_span)
        if span > SINGLE_SPAN:
            theta, phi, value = theta.double(), phi.double(), value.double()
        # Differences do not change when both sides are shifted: the centre has no gradient.
        centre = (low + high) / 2
        return _stretched(theta - centre, phi - centre, value, gamma, span).to(out)


def plan(span: float, dtype: torch.dtype, derivative: int = 0) -> Mercer | Fourier:
    """The fewest features that give exp(-(u-v)^2) and so many derivatives to the rounding of `dtype`.

    The rest of Mercer's series is largest at the ends, |u| = |v| = span/2, where it is the tail of a Poisson
    distribution of mean span^2/2. A derivative costs a term each: it is small where the span is, and has to be right
    relative to that.
    """
    rounding = torch.finfo(dtype).eps / 4
    log = math.log(1 / rounding) + 2.5 * derivative
    fourier = Fourier(math.ceil((span * math.sqrt(log) + log) / math.pi), span + math.sqrt(log))
    if span > MERCER_SPAN:
        return fourier
    mercer = Mercer(_poisson_terms(span**2 / 2, rounding) + derivative)
    return mercer if mercer.features <= fourier.features else fourier


def _poisson_terms(mean: float, rest: float) -> int:
    """The first number whose tail, itself included, is at most `rest`."""
    p, term = 0, math.exp(-mean)
    while p + 1 <= mean or term > rest * (1 - mean / (p + 1)):
        p += 1
        term *= mean / p
    return p


# --------------------------------------------------------------------------------------------------- the two sums


def _transform(u: Tensor, v: Tensor, value: Tensor, features: Mercer | Fourier, derivative: int) -> Tensor:
    """sum_j k(u_i - v_j) value_j, where k is that derivative of exp(-d^2)."""
    if isinstance(features, Mercer):
        return _mercer(u, v, value, features, derivative)
    return _fourier(u, v, value, features, derivative)


def _mercer(u: Tensor, v: Tensor, value: Tensor, features: Mercer, derivative: int) -> Tensor:
    coefficients = _moments(v, value * torch.exp(-v * v), features.terms)
    for _ in range(derivative):
        coefficients = _differentiated(coefficients)
    return horner(coefficients, u) * torch.exp(-u * u)


def _moments(v: Tensor, weighted: Tensor, terms: int) -> list[Tensor]:
    """2^p/p! sum_j v_j^p weighted_j."""
    factor, sums = 1.0, [weighted.sum(dim=-1, keepdim=True)]
    for p in range(1, terms):
        weighted, factor = weighted * v, factor * 2 / p
        sums.append(factor * weighted.sum(dim=-1, keepdim=True))
    return sums


def _differentiated(coefficients: list[Tensor]) -> list[Tensor]:
    """Of P where (e^(-u^2) P)' = e^(-u^2) (P' - 2 u P)."""
    nothing = torch.zeros_like(coefficients[0])
    above = [*((r + 1) * c for r, c in enumerate(coefficients[1:])), nothing, nothing]
    below = [nothing, *(2 * c for c in coefficients)]
    return [a - b for a, b in zip(above, below, strict=True)]


def horner(coefficients: list[Tensor], u: Tensor) -> Tensor:
    """sum_p coefficients[p] u^p; the coefficients of a group stand for all its tokens."""
    y = coefficients[-1].expand_as(u)
    for coefficient in reversed(coefficients[:-1]):
        y = y * u + coefficient
    return y


def _fourier(
    u: Tensor,
    v: Tensor,
    value: Tensor,
    features: Fourier,
    derivative: int,
    factor: Callable[[float], float] | None = None,
) -> Tensor:
    """`factor` of a wave's frequency stands for another even kernel than the Gaussian."""
    y = torch.zeros_like(u)
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


@two_modes
class _Gauss(torch.autograd.Function):
    """sum_j k(u_i - v_j) value_j, whose own derivatives are of the same form with the next derivative of k.

    Left to autograd, every feature of every token would be kept for the backward pass.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(u, v, value, span, derivative):
        return _transform(u, v, value, plan(span, u.dtype, derivative), derivative)

    @staticmethod
    def setup_context(ctx, inputs, output):
        u, v, value, ctx.span, ctx.derivative = inputs
        ctx.save_for_backward(u, v, value)
        ctx.save_for_forward(u, v, value)

    @staticmethod
    def tangents(ctx, *tangents):
        (du, dv, dvalue, *_), (u, v, value), span, derivative = tangents, ctx.saved_tensors, ctx.span, ctx.derivative
        slope = du * _apply(u, v, value, span, derivative + 1) - _apply(u, v, dv * value, span, derivative + 1)
        return slope + _apply(u, v, dvalue, span, derivative)

    @staticmethod
    def backward(ctx, *grads):
        (grad,), (u, v, value) = grads, ctx.saved_tensors
        return *_gradients(u, v, value, grad, ctx.span, ctx.derivative, ctx.needs_input_grad), None, None


def _gradients(u, v, value, grad, span, derivative, needed):
    # k is even: seen from the other side, every derivative changes its sign.
    back = (-1) ** derivative * grad
    du = grad * _apply(u, v, value, span, derivative + 1) if needed[0] else None
    dv = value * _apply(v, u, back, span, derivative + 1) if needed[1] else None
    dvalue = _apply(v, u, back, span, derivative) if needed[2] else None
    return du, dv, dvalue


def _apply(u: Tensor, v: Tensor, value: Tensor, span: float, derivative: int) -> Tensor:
    return applied(_Gauss, u, v, value, span, derivative)


# --------------------------------------------------------------------------------------------------------- gamma


def _stretched(theta: Tensor, phi: Tensor, value: Tensor, gamma: float | Tensor, span: float) -> Tensor:
    """The sum over centred tokens."""
    learned = isinstance(gamma, Tensor) and gamma.requires_grad and not torch.compiler.is_compiling()
    if learned and isinstance(plan(span, theta.dtype, 2), Fourier):
        y = _Learned.apply(theta, phi, value, gamma, span)
        assert isinstance(y, Tensor)
        return y
    return _apply(gamma**0.5 * theta, gamma**0.5 * phi, value, span, 0)


class _Learned(torch.autograd.Function):
    """The same with gamma's gradient as a sum over pairs of its own, -sum_ij dy_i (theta_i - phi_j)^2 k_ij value_j.

    By the chain rule it is (theta . dtheta + phi . dphi) / (2 gamma), whose two halves cancel where the span is large.
    The kernel d^2 e^(-d^2) has the Gaussian's waves times (2 - w^2) / 4. Second derivatives, and compiled graphs, go by
    the chain rule.
    """

    @staticmethod
    def forward(ctx, theta, phi, value, gamma, span):
        ctx.save_for_backward(theta, phi, value, gamma)
        ctx.span = span
        return _apply(gamma**0.5 * theta, gamma**0.5 * phi, value, span, 0)

    @staticmethod
    def backward(ctx, *grads):
        (grad,), (theta, phi, value, gamma), span = grads, ctx.saved_tensors, ctx.span
        if torch.is_grad_enabled():
            inputs = [t for t in (theta, phi, value, gamma) if t.requires_grad]
            y = _apply(gamma**0.5 * theta, gamma**0.5 * phi, value, span, 0)
            found = iter(torch.autograd.grad(y, inputs, grad, create_graph=True))
            return *(next(found) if t.requires_grad else None for t in (theta, phi, value, gamma)), None
        u, v = gamma**0.5 * theta, gamma**0.5 * phi
        du, dv, dvalue = _gradients(u, v, value, grad, span, 0, ctx.needs_input_grad)
        dtheta, dphi = (None if d is None else gamma**0.5 * d for d in (du, dv))
        features = plan(span, u.dtype, 2)
        assert isinstance(features, Fourier)
        squares = _fourier(u, v, value, features, 0, lambda w: (2 - w * w) / 4)
        return dtheta, dphi, dvalue, -(grad * squares).sum().to(gamma.dtype) / gamma, None


# ------------------------------------------------------------------------------------------------------ the span


def _ends(theta: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the greatest token of each group."""
    theta, phi = theta.detach(), phi.detach()
    low = torch.minimum(theta.amin(dim=-1, keepdim=True), phi.amin(dim=-1, keepdim=True))
    high = torch.maximum(theta.amax(dim=-1, keepdim=True), phi.amax(dim=-1, keepdim=True))
    return low, high


def _measured(spans: Tensor, max_span: float | None) -> float:
    """The span to plan for. A group with a token that is not finite is not finite as a whole, and plans nothing."""
    try:
        span = float(torch.where(spans.isfinite(), spans, 0).max()) if spans.numel() else 0.0
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise ValueError(
            "the span of the embeddings is read back from the device, which torch.func.vmap cannot do: make what would "
            "be mapped over a longer batch (samples do not see each other), or go through it in a loop"
        ) from error
    limit = LARGEST_SPAN if max_span is None else _check_max_span(max_span)
    if span > limit:
        raise ValueError(
            f"sqrt(gamma) times the range of the embeddings is {span:.4g}, beyond "
            + (
                f"the declared max_span={max_span:g}; "
                if max_span is not None
                else f"the {limit:g} that are worth planning; "
            )
            + (f"give max_span={span * 1.25:.3g} or None, or " if max_span is not None and span <= LARGEST_SPAN else "")
            + "take a smaller gamma or smaller embeddings"
        )
    return span if max_span is None else max_span


def _planned(spans: Tensor, max_span: float | None) -> float:
    """The span a graph is built for; the graph checks it at run time."""
    max_span = TRACED_SPAN if max_span is None else _check_max_span(max_span)
    within = ~(spans > max_span).any()
    torch.ops.aten._assert_async.msg(
        within,
        f"sqrt(gamma) times the range of the embeddings is beyond the max_span={max_span} that this graph was built for; "
        "build it with a larger max_span, or take a smaller gamma",
    )
    return max_span


def _check_max_span(max_span: float) -> float:
    if not 0 < max_span <= LARGEST_SPAN:
        raise ValueError(
            f"max_span={max_span:g} is no span to plan for; give a number from 0 to {LARGEST_SPAN:g}, or None"
        )
    return max_span


def _check_gamma(gamma: float | Tensor) -> None:
    if not isinstance(gamma, Tensor) and not gamma > 0:
        raise ValueError(f"gamma={gamma:g} is no width of a Gaussian; give a positive number, such as 1e-4")
