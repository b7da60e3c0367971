"""Second-order pooling: how the rows of a matrix vary together over its samples.

    Sigma = X I_bar X^T,    I_bar = 1/m (I - 1/m 1 1^T)                 (Li et al., MPN-COV, ICCV 2017)

X is `(d, m)`: d variables, m samples. `dense_covariance` builds the centring matrix and is the definition;
`covariance` subtracts the mean and never allocates an m x m matrix.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.autograd import applied, two_modes
from wholeframe.ops.layout import as_given, wide

Centring = Literal["exact", "released", "development"]
Triangle = Literal["upper", "lower"]


def dense_covariance(x: Float[Tensor, "b d m"]) -> Float[Tensor, "b d d"]:
    """Sigma with its centring matrix, in float32 or better: the definition."""
    with as_given(x):
        return _quadratic(wide(x), 1 / x.shape[2], 1 / x.shape[2] ** 2)


def covariance(x: Float[Tensor, "b d m"]) -> Float[Tensor, "b d d"]:
    """Sigma of m samples, in float32 or better: the biased estimate, as in all references; zero for one sample."""
    with as_given(x):
        return applied(_Covariance, wide(x))


def dense_position_covariance(v: Float[Tensor, "b d n"], centring: Centring = "exact") -> Float[Tensor, "b n n"]:
    """S = V^T J V with J = alpha I - beta 1 1^T: how n positions vary together over d channels. See `CENTRINGS`."""
    with as_given(v):
        return _quadratic(wide(v).transpose(-2, -1), *CENTRINGS[centring](v.shape[1], v.shape[2]))


def position_covariance(v: Float[Tensor, "b d n"], centring: Centring = "exact") -> Float[Tensor, "b n n"]:
    """S of `dense_position_covariance`, from the covariance and the mean mu of the d samples.

    V^T V = d (Sigma + mu mu^T) and V^T 1 = d mu, so S = alpha d Sigma + (alpha d - beta d^2) mu mu^T.
    """
    sigma = covariance(v.transpose(-2, -1))
    if centring == "exact":
        return sigma
    d = v.shape[1]
    alpha, beta = CENTRINGS[centring](d, v.shape[2])
    with as_given(v):
        mu = wide(v).mean(dim=1)
        return alpha * d * sigma + (alpha * d - beta * d**2) * mu[:, :, None] * mu[:, None, :]


# alpha and beta of J for d samples of n variables. Only "exact" is a centring matrix. The released `cov_feature` of
# GSoP divides by n instead of d, which is a covariance only where n = d. The authors' development file (`resnet.py~`
# of commit b69ea4e) corrects alpha and not beta.
CENTRINGS = {
    "exact": lambda d, n: (1 / d, 1 / d**2),
    "released": lambda d, n: (1 / n, 1 / n**2),
    "development": lambda d, n: (1 / d, 1 / n**2),
}


def dense_row_conv(
    s: Float[Tensor, "b d d"], weight: Float[Tensor, "rd 1 d"], bias: Float[Tensor, "rd"]
) -> Float[Tensor, "b rd"]:
    """r filters for each row of S, one group per row: y_(i r + k) = w_(i r + k) . S_i + b_(i r + k)."""
    return F.conv1d(s, weight, bias, groups=s.shape[1])[:, :, 0]


def row_conv(
    s: Float[Tensor, "b d d"], weight: Float[Tensor, "rd 1 d"], bias: Float[Tensor, "rd"]
) -> Float[Tensor, "b rd"]:
    """`dense_row_conv` as one batched product over rows: a grouped convolution with one output position is slow."""
    return applied(_RowConv, s, weight, bias)


def triangle(matrix: Float[Tensor, "b d d"], order: Triangle = "upper") -> Float[Tensor, "b t"]:
    """The d (d + 1) / 2 distinct numbers of a symmetric matrix, row by row, without scaling.

    `"upper"` is (0, 0), (0, 1), ..., (1, 1), ...; `"lower"` is (0, 0), (1, 0), (1, 1), ...
    """
    indices = {"upper": torch.triu_indices, "lower": torch.tril_indices}[order]
    d = matrix.shape[1]
    row, column = indices(d, d, device=matrix.device)
    return matrix.flatten(1).index_select(1, row * d + column)


def _quadratic(x: Float[Tensor, "b d m"], alpha: float, beta: float) -> Float[Tensor, "b d d"]:
    """X (alpha I - beta 1 1^T) X^T."""
    m = x.shape[2]
    return x @ (alpha * torch.eye(m, dtype=x.dtype, device=x.device) - beta) @ x.transpose(-2, -1)


@two_modes
class _Covariance(torch.autograd.Function):
    """Centre once, multiply once. The backward pass stores x only, which the layer before has stored already.

    dL/dx = (G + G^T) / m (x - mu). The mean is subtracted from x and not from the product, because the product of
    uncentred numbers loses digits to a common offset.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Float[Tensor, "b d m"]) -> Float[Tensor, "b d d"]:
        centred = x - x.mean(dim=2, keepdim=True)
        return (centred @ centred.transpose(-2, -1)).div_(x.shape[2])

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def tangents(ctx, *tangents: Tensor) -> Tensor:
        (dx,), (x,) = tangents, ctx.saved_tensors
        half = dx @ (x - x.mean(dim=2, keepdim=True)).transpose(-2, -1) / x.shape[2]
        return half + half.transpose(-2, -1)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> Tensor:
        (grad,), (x,) = grad_outputs, ctx.saved_tensors
        return (grad + grad.transpose(-2, -1)).div_(x.shape[2]) @ (x - x.mean(dim=2, keepdim=True))


@two_modes
class _RowConv(torch.autograd.Function):
    """Y_i = S_i W_i^T + b_i for every row i, where S_i is row i of all samples.

    The gradient of Y is made contiguous before it is multiplied: torch multiplies an expanded gradient (of a sum), or
    one with other strides, row by row.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        s: Float[Tensor, "b d d"], weight: Float[Tensor, "rd 1 d"], bias: Float[Tensor, "rd"]
    ) -> Float[Tensor, "b rd"]:
        d = s.shape[1]
        y = torch.baddbmm(bias.view(d, 1, -1), s.transpose(0, 1), weight.view(d, -1, d).transpose(-2, -1))
        return y.transpose(0, 1).flatten(1)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.save_for_forward(*inputs[:2])

    @staticmethod
    def tangents(ctx, *tangents: Tensor) -> Tensor:
        (ds, dweight, dbias), (s, weight) = tangents, ctx.saved_tensors
        return _RowConv.forward(ds, weight, dbias) + _RowConv.forward(s, dweight, torch.zeros_like(dbias))

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        (grad,), (s, weight) = grad_outputs, ctx.saved_tensors
        d = s.shape[1]
        rows = grad.to(weight.dtype).reshape(-1, d, weight.shape[0] // d).transpose(0, 1).contiguous()
        ds, dw, db = ctx.needs_input_grad
        return (
            torch.bmm(rows, weight.view(d, -1, d)).transpose(0, 1) if ds else None,
            torch.bmm(rows.transpose(-2, -1), s.transpose(0, 1)).view_as(weight) if dw else None,
            grad.sum(dim=0) if db else None,
        )
