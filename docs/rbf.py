"""Writes docs/rbf.md: `uv run python docs/rbf.py > docs/rbf.md`."""

import torch

from wholeframe import ops
from wholeframe.ops.cgnl.gaussian_features import Mercer, plan

GAMMAS = (1e-4, 0.05, 1.0)
RANGES = (1, 5, 20, 40)
ORDERS = (1, 3, 8, 20)
PAGE = """\
# The Gaussian RBF of CGNL for any gamma and any range

`CGNL(channels, kernel="rbf")` and `ops.gauss_transform` compute y_i = sum_j exp(-gamma (theta_i - phi_j)^2) g_j to
rounding, with every gradient, in time and memory linear in the tokens. This holds for any gamma, which may be learned,
and for any range of the embeddings. This page makes no claim about the accuracy of a trained network.

The released series (`kernel="taylor"`, order 3) is e^(-2 gamma) times the Taylor polynomial of e^(2 gamma theta phi).
It is a different function: with growing order it converges to e^(-2 gamma) e^(2 gamma theta phi), which is the RBF only
where |theta| = |phi| = 1. The last columns are its distance from the RBF, not an error of its implementation.

`uv run python docs/rbf.py > docs/rbf.md` writes this page: {tokens} tokens, 2 samples, theta and phi uniform over the
range, g and the gradient of y normal. Every number is the largest absolute difference over the largest absolute
reference; the reference is dense and in float64. For gradients it is the largest of those for theta, phi and g.
*Features* are those of the forward pass in float64 and float32: M for Mercer's series, F for Fourier's. Beyond a span
of 20 the sums run in float64.

{table}

A span is sqrt(gamma) times the range; spans beyond 1024 raise an error. A call measures the span of its data and plans
for it. A compiled or exported graph cannot measure it: it is planned for `max_span` (8 by default), checks the span
when it runs, and raises an error beyond it. The size of the graph and the time to build it grow with `max_span`.
"""


def tokens(span: float, n: int) -> list[torch.Tensor]:
    """theta, phi, g and the gradient of y."""
    torch.manual_seed(0)
    theta, phi = (span * (torch.rand(2, 1, n) - 0.5) for _ in range(2))
    theta[..., 0], phi[..., 0] = span / 2, -span / 2
    return [theta, phi, torch.randn(2, 1, n), torch.randn(2, 1, n)]


def outcome(operation, inputs: list[torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
    """y and the gradients of theta, phi and g."""
    *leaves, dy = (t.to(dtype) for t in inputs)
    leaves = [leaf.requires_grad_() for leaf in leaves]
    y = operation(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def errors(actual: list[torch.Tensor], expected: list[torch.Tensor]) -> tuple[float, float]:
    """The error of y, and the largest error of the gradients."""
    each = [float((a.double() - e).abs().max() / e.abs().max()) for a, e in zip(actual, expected, strict=True)]
    return each[0], max(each[1:])


def features(span: float) -> str:
    plans = (plan(span, torch.float64), plan(span, torch.float64 if span > 20 else torch.float32))
    return " / ".join(f"{'M' if isinstance(p, Mercer) else 'F'}{p.features}" for p in plans)


def row(gamma: float, span: float, n: int) -> list[str]:
    inputs = tokens(span, n)
    expected = outcome(lambda *t: ops.gnl(*t, "rbf", gamma=gamma), inputs, torch.float64)
    ours = [
        errors(outcome(lambda *t: ops.gauss_transform(*t, gamma), inputs, dtype), expected)
        for dtype in (torch.float64, torch.float32)
    ]
    dense = errors(outcome(lambda *t: ops.gnl(*t, "rbf", gamma=gamma), inputs, torch.float32), expected)
    series = []
    for order in ORDERS:
        away = outcome(lambda *t, p=order: ops.compact_gnl(*t, "taylor", gamma=gamma, order=p), inputs, torch.float64)
        series.append(errors(away, expected)[0])
    pairs = [f"{y:.0e} / {gradient:.0e}" for y, gradient in (*ours, dense)]
    return [f"{gamma:g}", f"{span:g}", features(gamma**0.5 * span), *pairs, *(f"{away:.0e}" for away in series)]


def table(n: int) -> str:
    header = ["gamma", "range", "features", "float64 y / gradients", "float32 y / gradients", "dense float32"]
    header += [f"series, order {order}" for order in ORDERS]
    rows = [header, ["---:"] * len(header), *(row(gamma, span, n) for gamma in GAMMAS for span in RANGES)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


if __name__ == "__main__":
    print(PAGE.format(tokens=2000, table=table(2000)), end="")
