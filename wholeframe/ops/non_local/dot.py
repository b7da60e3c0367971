"""`dot` in an order that builds no q x k matrix: without a softmax, theta (phi^T g) is (theta phi^T) g.

W_z and W_theta merge with phi^T g, which is one small matrix per sample.
"""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wholeframe.ops.backends import in_graph
from wholeframe.ops.layout import as_given, flat, to_positions, wide
from wholeframe.ops.linear import gram
from wholeframe.ops.non_local.dense import Keys, Kind, Layers, embed
from wholeframe.ops.pooling import pool_keys

# W, y and b of W y + b, with a W of the sample or one for all
Affine = tuple[Float[Tensor, "... c _"], Float[Tensor, "b n _"], Float[Tensor, "... c"] | None]


def associative(
    theta: Float[Tensor, "b q d"], phi: Float[Tensor, "b k d"], value: Float[Tensor, "b k v"], kind: Kind, **_: Any
) -> Float[Tensor, "b q v"]:
    """theta (phi^T value / k)."""
    with as_given(theta):
        return (wide(theta) @ _mean_product(phi, value)).to(value.dtype)


def associative_block(x: Float[Tensor, "b c *grid"], layers: Layers, keys: Keys) -> Affine:
    """(W_z (phi^T g / k)^T) theta, or W_z ((phi^T g / k)^T theta) for fewer positions than channels."""
    theta, phi, value = embed(x, layers, keys)
    out = layers.out
    # In a graph the number of positions may be a symbol, which no comparison should fix.
    if in_graph() or theta.shape[1] < x.shape[1]:
        return out.weight, associative(theta, phi, value, "dot"), out.bias
    return _through(out.weight, _mean_product(phi, value)).to(theta.dtype), theta, out.bias


def gram_block(x: Float[Tensor, "b c *grid"], layers: Layers, keys: Keys) -> Affine:
    """K (x - mu) + K_0 with a c x c matrix K per sample, since phi^T g follows from the covariance of x.

    With the mean mu of x over the keys, Sigma its covariance, and phi and g linear:
    phi^T g / k = W_phi Sigma W_g^T + (W_phi mu + b_phi) (W_g mu + b_g)^T. Products with x itself would be sums of
    large terms that cancel wherever a bias cancels the mean of an embedding.
    """
    theta, phi, g, out = layers.theta, layers.phi, layers.g, layers.out
    assert theta is not None and phi is not None
    source = flat(x if keys.pooled is None else pool_keys(x, keys.pool))
    mean = source.mean(dim=2)
    centred = source - mean[..., None]
    covariance = gram(centred) / source.shape[2]
    mean_phi, mean_g = (F.linear(mean, layer.weight, layer.bias) for layer in (phi, g))
    state = phi.weight @ covariance @ g.weight.transpose(-2, -1) + mean_phi[..., None] * mean_g[:, None]
    through = _through(out.weight, state)
    constant = (through @ F.linear(mean, theta.weight, theta.bias)[..., None])[..., 0]
    queries = centred.transpose(-2, -1) if keys.pooled is None else to_positions(x) - mean[:, None]
    return through @ theta.weight, queries, constant if out.bias is None else constant + out.bias


def _mean_product(phi: Float[Tensor, "b k d"], value: Float[Tensor, "b k v"]) -> Float[Tensor, "b d v"]:
    """phi^T value / k in float32 or float64, where no sum over halves overflows."""
    with as_given(phi):
        return wide(phi).transpose(-2, -1) @ wide(value) / phi.shape[1]


def _through(weight: Float[Tensor, "c v"], state: Float[Tensor, "b d v"]) -> Float[Tensor, "b c d"]:
    """W_z state^T: the linear map that the keys of one sample make of theta."""
    with as_given(state):
        return wide(weight) @ state.transpose(-2, -1)
