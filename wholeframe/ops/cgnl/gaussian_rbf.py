"""The Gaussian RBF of the generalized non-local operation, to rounding and in linear time.

    y_i = sum_j exp(-gamma (theta_i - phi_j)^2) value_j                     (Yue et al., NeurIPS 2018, eq. 10)

gamma only stretches the axis: with u = sqrt(gamma) (theta - centre) and v likewise, the kernel is exp(-(u - v)^2),
which `gaussian_features` expands in as many features as the *span* of u and v requires. This file has the operation,
its derivatives, and the rules for the span.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException

from wholeframe.ops.autograd import applied, in_order, two_modes
from wholeframe.ops.backends import in_graph
from wholeframe.ops.cgnl.gaussian_features import Fourier, Mercer, fourier_sum, mercer_sum, plan
from wholeframe.ops.layout import as_given, wide

TRACED_SPAN = 8.0
LARGEST_SPAN = 1024.0
# Beyond this span the phases in float32 lose more digits than the truncation, so the sums run in float64.
SINGLE_SPAN = 20.0


def gauss_transform(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    gamma: float | Float[Tensor, ""],
    *,
    max_span: float | None = None,
) -> Float[Tensor, "b g i"]:
    """y_i = sum_j exp(-gamma (theta_i - phi_j)^2) value_j in linear time and memory, to rounding.

    Differentiable any number of times, also in gamma; the backward pass stores theta, phi and value only. `docs/rbf.md`
    has measured errors. They are rounding errors of sum_j |value_j|: where the kernel leaves almost nothing of that
    sum, as between two distant clusters, fewer digits remain. It does not work under `torch.func.vmap`, because it
    reads the span back from the device: put the mapped dimension into the batch.

    Args:
        theta, phi, value: the tokens of each sample and group; half precision is computed in float32.
        gamma: a positive number, or a scalar tensor, which then gets its gradient.
        max_span: the largest allowed difference between sqrt(gamma) theta and sqrt(gamma) phi. None plans for the span
            of the data, a number for that span; either way the span is measured, which reads one number back from
            the device. A graph cannot read it back: it is planned for `max_span`, or for 8 where that is None, and
            checks the span on the device.

    Returns:
        y in float32 or better.

    Raises:
        ValueError: for a span beyond `max_span` or 1024, for a gamma that is not positive, and under `vmap`.
        RuntimeError: in a compiled or exported graph, for a span beyond its `max_span`; a traced graph gives nan there.
    """
    if not isinstance(gamma, Tensor) and not gamma > 0:
        raise ValueError(f"gamma must be positive, got {gamma:g}; CGNL's released code takes 1e-4")
    with as_given(theta):
        out = torch.promote_types(theta.dtype, torch.float32)
        theta, phi, value = wide(theta), wide(phi), wide(value)
        low, high = _ends(theta, phi)
        spans = ((high - low) * gamma**0.5).detach()
        span = _planned(spans, max_span) if in_graph() or spans.is_meta else _measured(spans, max_span)
        if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            # A trace cannot raise: a group beyond the planned span becomes nan, which cannot pass for a result.
            value = torch.where(spans > span, torch.nan, value)
        if span > SINGLE_SPAN:
            theta, phi, value = theta.double(), phi.double(), value.double()
        # Differences do not change when both sides are shifted, so the centre needs no gradient.
        centre = (low + high) / 2
        return _stretched(theta - centre, phi - centre, value, gamma, span).to(out)


def _stretched(
    theta: Float[Tensor, "b g i"],
    phi: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    gamma: float | Float[Tensor, ""],
    span: float,
) -> Float[Tensor, "b g i"]:
    """The sum over centred tokens."""
    learned = isinstance(gamma, Tensor) and gamma.requires_grad and not in_graph()
    if learned and isinstance(plan(span, theta.dtype, 2), Fourier):
        y = _LearnedGamma.apply(theta, phi, value, gamma, span)
        assert isinstance(y, Tensor)
        return y
    return _apply(gamma**0.5 * theta, gamma**0.5 * phi, value, span, 0)


# --------------------------------------------------------------------------------------------------- derivatives


@two_modes
class _Gauss(torch.autograd.Function):
    """sum_j k(u_i - v_j) value_j, whose derivatives have the same form with the next derivative of k.

    Autograd would store every feature of every token for the backward pass.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        u: Float[Tensor, "b g i"],
        v: Float[Tensor, "b g j"],
        value: Float[Tensor, "b g j"],
        span: float,
        derivative: int,
    ) -> Float[Tensor, "b g i"]:
        features = plan(span, u.dtype, derivative)
        if isinstance(features, Mercer):
            return mercer_sum(u, v, value, features, derivative)
        return fourier_sum(u, v, value, features, derivative)

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


def _gradients(
    u: Float[Tensor, "b g i"],
    v: Float[Tensor, "b g j"],
    value: Float[Tensor, "b g j"],
    grad: Float[Tensor, "b g i"],
    span: float,
    derivative: int,
    needed: Sequence[bool],
) -> tuple[Float[Tensor, "b g i"] | None, Float[Tensor, "b g j"] | None, Float[Tensor, "b g j"] | None]:
    """The gradients of u, v and value that `needed` selects; None for the others."""
    # k is even, so each derivative changes its sign when u and v are exchanged.
    back = (-1) ** derivative * grad
    du = grad * _apply(u, v, value, span, derivative + 1) if needed[0] else None
    dv = value * _apply(v, u, back, span, derivative + 1) if needed[1] else None
    dvalue = _apply(v, u, back, span, derivative) if needed[2] else None
    return du, dv, dvalue


def _apply(
    u: Float[Tensor, "b g i"], v: Float[Tensor, "b g j"], value: Float[Tensor, "b g j"], span: float, derivative: int
) -> Float[Tensor, "b g i"]:
    """sum_j k(u_i - v_j) value_j, where k is that derivative of exp(-d^2)."""
    return applied(_Gauss, u, v, value, span, derivative)


@in_order
class _LearnedGamma(torch.autograd.Function):
    """The sum with a separate gradient of gamma: -sum_ij dy_i (theta_i - phi_j)^2 k_ij value_j.

    The chain rule gives (theta . dtheta + phi . dphi) / (2 gamma), whose two terms cancel where the span is large. The
    kernel d^2 e^(-d^2) has the Gaussian's waves times (2 - w^2) / 4. Second derivatives and compiled graphs use the
    chain rule.
    """

    @staticmethod
    def forward(
        ctx,
        theta: Float[Tensor, "b g i"],
        phi: Float[Tensor, "b g j"],
        value: Float[Tensor, "b g j"],
        gamma: Float[Tensor, ""],
        span: float,
    ) -> Float[Tensor, "b g i"]:
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
        squares = fourier_sum(u, v, value, features, 0, lambda w: (2 - w * w) / 4)
        return dtheta, dphi, dvalue, -(grad * squares).sum().to(gamma.dtype) / gamma, None


# ------------------------------------------------------------------------------------------------------ the span


def _ends(
    theta: Float[Tensor, "b g i"], phi: Float[Tensor, "b g j"]
) -> tuple[Float[Tensor, "b g 1"], Float[Tensor, "b g 1"]]:
    """The smallest and the largest token of each group."""
    theta, phi = theta.detach(), phi.detach()
    low = torch.minimum(theta.amin(dim=-1, keepdim=True), phi.amin(dim=-1, keepdim=True))
    high = torch.maximum(theta.amax(dim=-1, keepdim=True), phi.amax(dim=-1, keepdim=True))
    return low, high


def _measured(spans: Float[Tensor, "b g 1"], max_span: float | None) -> float:
    """The span to plan for. Groups with tokens that are not finite are skipped: their results are not finite anyway."""
    try:
        span = float(torch.where(spans.isfinite(), spans, 0).max()) if spans.numel() else 0.0
    except DataDependentOutputException:  # a fake tensor has no numbers to read
        return TRACED_SPAN if max_span is None else check_max_span(max_span)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise ValueError(
            "the span of the embeddings is read back from the device, which torch.func.vmap cannot do: put the mapped "
            "dimension into the batch (samples are independent), or use a loop"
        ) from error
    limit = LARGEST_SPAN if max_span is None else check_max_span(max_span)
    if span > limit:
        declared = f"the declared max_span={max_span:g}" if max_span is not None else f"the supported {limit:g}"
        larger = (
            f"give max_span={span * 1.25:.3g} or None, or " if max_span is not None and span <= LARGEST_SPAN else ""
        )
        raise ValueError(
            f"sqrt(gamma) times the range of the embeddings is {span:.4g}, beyond {declared}; "
            f"{larger}take a smaller gamma or smaller embeddings"
        )
    return span if max_span is None else max_span


def _planned(spans: Float[Tensor, "b g 1"], max_span: float | None) -> float:
    """The span that a graph is built for; the graph checks it at run time."""
    max_span = TRACED_SPAN if max_span is None else check_max_span(max_span)
    within = ~(spans > max_span).any()
    if spans.is_meta or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return max_span
    torch.ops.aten._assert_async.msg(
        within,
        "sqrt(gamma) times the range of the embeddings is "
        f"beyond the max_span={max_span} that this graph was built for; "
        "build it with a larger max_span, or take a smaller gamma",
    )
    return max_span


def check_max_span(max_span: float) -> float:
    """Return `max_span`; ValueError if it is not a number in its range."""
    if isinstance(max_span, str) or not 0 < max_span <= LARGEST_SPAN:
        raise ValueError(f"max_span must be a positive number up to {LARGEST_SPAN:g}, or None, got {max_span!r}")
    return max_span
