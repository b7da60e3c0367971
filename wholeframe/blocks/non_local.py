"""The non-local block (Wang et al., CVPR 2018)."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.modules.batchnorm import _BatchNorm  # the base class of SyncBatchNorm as well

from wholeframe import ops
from wholeframe.blocks import arguments, conventions, spacetime
from wholeframe.blocks.arguments import flat_positions, integer, not_negative, positive
from wholeframe.blocks.conventions import Convention
from wholeframe.blocks.frozen_norm import Affine
from wholeframe.blocks.init import init_weight
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import Look, of_magnitude_one
from wholeframe.blocks.plain import plain, refuse_changed
from wholeframe.blocks.recipe import Recorded
from wholeframe.blocks.spacetime import AttendOver
from wholeframe.messages import one_of
from wholeframe.ops.linear import add_to_new
from wholeframe.ops.pooling import pool_positions

DISPLAYED = {
    "dot": "dot products, which have a sign, divided by the sum of their magnitudes over the keys of the query",
    "concatenation": "values of a ReLU, divided by their sum over the keys of the query",
}
"""how the weights of the kinds that are not a distribution are shown"""


class NonLocal(Recorded):
    """Every position takes a weighted sum over all positions, and the block adds it to its input.

        y_i = 1/C_i  sum_j f(theta x_i, phi x_j) g x_j,        z_i = BN(W_z y_i) + x_i

    f and C_i by `kind`: see `wholeframe.ops.non_local.dense`.

    Source: Wang, Girshick, Gupta, He, "Non-local Neural Networks", CVPR 2018 (arXiv 1711.07971), eq. 1 and 6.

    *Where references disagree* (each is an argument):

    - `scale` of the logits: None in the paper, AlexHex7 and mmcv with `use_scale=False`; `"sqrt_dim"`
      (inner^-1/2) in the released Caffe2 code, PySlowFast, PyTorchVideo and mmcv by default; timm divides by the
      root of `channels`, not of `inner`. `gaussian` has none anywhere; `dot` and `concatenation` divide by the
      number of keys instead.
    - `pool` and `pool_order`: the paper, mmcv and AlexHex7 pool the keys after phi and g; Caffe2, PySlowFast and
      PyTorchVideo pool x before. A maximum and a linear map do not commute: these are different functions.
    - `frame_groups` or `frames_per_group`: both cut a clip into runs of frames that do not attend to each other.
      Caffe2's `group_size` is `frames_per_group`, PySlowFast's `NONLOCAL.GROUP` is `frame_groups`.
    - `norm`: batch norm after W_z, or none (mmcv by default, Caffe2's frozen nets); Caffe2's `USE_AFFINE` is
      `"affine"`, batch norm frozen to y = s x + b, with neither of them trained.
    - `out_bias`: mmcv drops the bias of W_z before a norm, the others keep it.
    - `std` of theta, phi and g at initialisation: 0.01 in the released code, He initialisation (None) in the paper.
    - `init`: the paper starts the norm's gain (or W_z, without a norm) at zero, so that the block is an identity;
      PyTorchVideo, and PySlowFast by default, start at random.

    Args:
        channels: c.
        inner: d, the width of theta, phi and g; None for channels // 2. timm takes channels // 8.
        kind: the pairwise function.
        scale: None, `"sqrt_dim"`, or a number that multiplies the similarity of the softmax kinds.
        pool: window of the max pooling of keys; an integer pools space and never time, a tuple names every axis.
        pool_order: `"before"` or `"after"` the projections phi and g.
        attend_over: the keys of a query: all of `"spacetime"`, those of its frame (`"space"`), or those at its position
            in every frame (`"time"`, which needs a clip and no spatial pooling). The paper's table 2d, without code.
        frame_groups, frames_per_group: the number of groups that the frames of a clip are cut into, or their length.
        norm: `"bn"`, `"affine"` or None. Statistics are over all positions, whatever a query attends over. To freeze
            the norm of a trained block, give `norm="affine"` a folded state, or set
            `block.norm = Affine.folded(block.norm)`.
        eps, momentum: of the batch norm.
        bias: of theta, phi and g.
        out_bias: of W_z.
        concatenation_bias: of w_f (tea1528 has one, mmcv and AlexHex7 have none).
        std: of the initial weights of theta, phi and g; None for He initialisation.
        init: `"identity"` starts the gain of the batch norm at zero, or W_z without one; `"random"` does not.
        backend: the way to compute it; `"auto"`, or a name of `wholeframe.ops.backend_names(kind)`.

    Returns:
        `(b, c, *grid)`, as its input, for a grid of any rank.

    Raises:
        ValueError: for a scale with a kind that has none, an unknown option, a pool larger than the grid, or a clip
            that cannot be cut as the options say.
    """

    remark: str | None = None

    def __init__(
        self,
        channels: int,
        *,
        inner: int | None = None,
        kind: ops.Kind = "embedded_gaussian",
        scale: ops.Scale = None,
        pool: int | Sequence[int] = 1,
        pool_order: ops.PoolOrder = "after",
        attend_over: AttendOver = "spacetime",
        frame_groups: int | None = None,
        frames_per_group: int | None = None,
        norm: Literal["bn", "affine"] | None = "bn",
        eps: float = 1e-5,
        momentum: float = 0.1,
        bias: bool = True,
        out_bias: bool = True,
        concatenation_bias: bool = False,
        std: float | None = 0.01,
        init: Literal["identity", "random"] = "identity",
        backend: str = "auto",
    ):
        super().__init__()
        one_of("kind", kind, ops.KINDS)
        one_of("pool_order", pool_order, ("before", "after"))
        arguments.windows(pool)
        spacetime.check(attend_over, frame_groups, frames_per_group, pool)
        one_of("norm", norm, ("bn", "affine", None))
        one_of("init", init, ("identity", "random"))
        one_of("backend", backend, ("auto", *ops.backend_names(kind)))
        if scale is not None and kind in ("dot", "concatenation"):
            raise ValueError(
                f"scale={scale!r} does not apply to kind={kind!r}, which is divided by the number of keys; "
                "leave scale=None, or take a gaussian kind"
            )
        arguments.similarity_scale(scale)
        arguments.flags(bias=bias, out_bias=out_bias, concatenation_bias=concatenation_bias)
        if concatenation_bias and kind != "concatenation":
            raise ValueError(f"concatenation_bias=True does not apply to kind={kind!r}, which has no w_f; leave it out")
        integer("channels", channels)
        inner = max(channels // 2, 1) if inner is None else inner
        integer("inner", inner, default=max(channels // 2, 1))
        positive("eps", eps, default=1e-5)
        arguments.momentum(momentum)
        if std is not None:
            not_negative("std", std, default=0.01)

        self.channels, self.inner = channels, inner
        self.kind: ops.Kind = kind
        self.scale: ops.Scale = scale
        self.pool = pool if isinstance(pool, int) else tuple(pool)
        self.attend_over: AttendOver = attend_over
        self.frame_groups, self.frames_per_group = frame_groups, frames_per_group
        self.pool_order: ops.PoolOrder = pool_order
        self.keys = ops.Keys(self.pool, pool_order)
        self.std, self.init, self.backend = std, init, backend
        # An option, not a question about sizes, so that it exports.
        self.restricted = attend_over != "spacetime" or frame_groups is not None or frames_per_group is not None

        embedded = kind != "gaussian"
        self.theta = nn.Linear(channels, inner, bias=bias) if embedded else None
        self.phi = nn.Linear(channels, inner, bias=bias) if embedded else None
        self.g = nn.Linear(channels, inner, bias=bias)
        self.w_f = nn.Linear(2 * inner, 1, bias=concatenation_bias) if kind == "concatenation" else None
        self.out = nn.Linear(inner, channels, bias=out_bias)
        norms = {
            "bn": lambda: nn.BatchNorm1d(channels, eps=eps, momentum=momentum),
            "affine": lambda: Affine(channels),
            None: lambda: None,
        }
        self.norm: _BatchNorm | Affine | None = norms[norm]()
        self.reset_parameters()

    @classmethod
    def like(cls, convention: Convention, channels: int, **overrides: Any) -> "NonLocal":
        """The block as a reference builds it by default: `NonLocal.like("slowfast", 512, pool=2)`.

        `wholeframe.blocks.conventions.CONVENTIONS` lists the arguments of each name; `overrides`, which are arguments
        of `NonLocal`, take precedence.
        """
        one_of("convention", convention, conventions.NAMES)
        kind = overrides.get("kind", "embedded_gaussian")
        return cls(channels, **{**conventions.expand(convention, channels, kind), **overrides})

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        refuse_changed(self)
        for linear in (self.theta, self.phi, self.g, self.w_f, self.out):
            if linear is None:
                continue
            init_weight(linear.weight, None if linear is self.out else self.std)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        if self.norm is not None:
            self.norm.reset_parameters()
        if self.init == "identity":
            nn.init.zeros_(self.norm.weight if isinstance(self.norm, _BatchNorm) else self.out.weight)

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.init == "identity"

    @property
    def has_attention(self) -> bool:
        """Whether the block has an `attention` method."""
        return True

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        parts = self.parts(x.shape[2:]) if self.restricted else None
        source = x if parts is None else ops.cut(x, parts)
        if plain(self.theta, self.phi, self.g, self.w_f, self.out, self.norm):
            norm, fixed = self._norms()
            z = ops.non_local_block(
                source,
                self.layers(),
                self.kind,
                self.keys,
                scale=self.scale,
                norm=fixed,
                residual=norm is None,
                backend=self.backend,
            )
        else:
            z = self._called(source)
            z = z if parts is None else ops.join(z, parts)
            return x + (z if self.norm is None else ops.on_grid(self.norm(ops.flat(z)), x.shape[2:]))
        z = z if parts is None else ops.join(z, parts)
        if norm is None:
            return z
        if z.stride(1) == x.stride(1) == 1 and isinstance(norm, _BatchNorm):
            return _sum_of_positions(norm, z, x)
        return ops.on_grid(add_to_new(ops.flat(x), norm(ops.flat(z))), x.shape[2:])

    def _called(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        """W_z y, with every layer called."""
        theta, phi, g = self.project(x)
        if plain(self.w_f):
            if self.kind == "dot" and self.backend == "gram":
                raise ValueError(
                    "backend='gram' merges the linear maps with their products, and a tool has changed a layer of this "
                    "block, so it must be called; take backend='auto'"
                )
            y = ops.non_local_operation(theta, phi, g, self.kind, scale=self.scale, **self._w_f(), backend=self.backend)
        else:
            y = (self._weights(theta, phi) @ ops.wide(g)).to(g.dtype)
        return ops.to_grid(self.out(y), x.shape[2:])

    def _weights(self, theta: Float[Tensor, "b q d"], phi: Float[Tensor, "b k d"]) -> Float[Tensor, "b q k"]:
        """f(theta_i, phi_j) / C_i; a changed w_f is called on every pair, since only a plain one splits in two."""
        if plain(self.w_f):
            return ops.pairwise_weights(theta, phi, self.kind, scale=self.scale, **self._w_f())
        assert self.w_f is not None
        q, k = theta.shape[1], phi.shape[1]
        pairs = torch.cat([theta[:, :, None].expand(-1, -1, k, -1), phi[:, None].expand(-1, q, -1, -1)], dim=3)
        return ops.wide(self.w_f(pairs).squeeze(3)).relu() / k

    def layers(self) -> ops.Layers:
        """The weights as the ops take them; a layer that a tool has changed is called instead."""
        theta, phi, g, out, w_f = self.theta, self.phi, self.g, self.out, self.w_f
        together: Any = self._modules.get("together")
        return ops.Layers(
            theta and ops.LinearMap(theta.weight, theta.bias),
            phi and ops.LinearMap(phi.weight, phi.bias),
            ops.LinearMap(g.weight, g.bias),
            ops.LinearMap(out.weight, out.bias),
            w_f and ops.LinearMap(w_f.weight, w_f.bias),
            together and ops.LinearMap(together.weight, together.bias),
        )

    def _norms(self) -> tuple[nn.Module | None, ops.FixedNorm | None]:
        """The norm that needs all of z, or the norm that is s z + b whatever its input and merges with W_z."""
        norm = self.norm
        if isinstance(norm, Affine):
            return None, ops.FixedNorm(norm.weight, norm.bias)
        if not isinstance(norm, _BatchNorm) or norm.training or not norm.affine:
            return norm, None
        mean, var = norm.running_mean, norm.running_var
        if mean is None or var is None:
            return norm, None
        s = ops.wide(norm.weight) * (ops.wide(var) + norm.eps).rsqrt()
        return None, ops.FixedNorm(s, norm.bias - s * mean)

    def parts(self, grid: Sequence[int]) -> tuple[int, ...]:
        """The number of parts that each axis is cut into; a query attends over the keys of its own part."""
        return spacetime.parts_of(grid, self.attend_over, self.frame_groups, self.frames_per_group)

    def project(self, x: Float[Tensor, "b c *grid"]) -> tuple[Tensor, Tensor, Tensor]:
        """Theta of all queries, phi and g of all keys, each as `(b, positions, channels)`."""
        if plain(self.theta, self.phi, self.g, self.w_f, self.out):
            return ops.embed(x, self.layers(), self.keys)
        pooled = self.keys.pooled
        queries = ops.to_positions(x).contiguous()
        keys = ops.to_positions(ops.pool_keys(x, self.pool)) if pooled == "before" else queries
        theta, phi = (y if layer is None else layer(y) for layer, y in ((self.theta, queries), (self.phi, keys)))
        g = self.g(keys)
        if pooled == "after":
            phi, g = pool_positions(x.shape[2:], self.pool, phi, g)
        return theta, phi, g

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *key_grid"]:
        """The normalised weights of chosen queries over the grid of keys.

        Recomputed for these queries alone; nothing of size n x n is built.

        Args:
            x: the map.
            query: flat positions, row-major; `wholeframe.ops.flat_index` turns `(y, x)` into one.

        Returns:
            `(b, q, *key_grid)`; keys that a query does not attend over weigh 0.
        """
        index = flat_positions(query, x.device)
        if self.restricted:
            return self._attention_in_parts(x, index)
        weights = self._weights(*self._queries_and_keys(x, index))
        return weights.unflatten(2, self.key_grid(x.shape[2:]))

    def _queries_and_keys(
        self, x: Float[Tensor, "b c *grid"], index: Int[Tensor, "q"]
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b k d"]]:
        """Theta of the chosen queries alone, and phi of all keys; g has no part in the weights."""
        positions, pooled = ops.to_positions(x), self.keys.pooled
        keys = ops.to_positions(ops.pool_keys(x, self.pool)) if pooled == "before" else positions
        sources = ((self.theta, positions[:, index]), (self.phi, keys))
        theta, phi = (y if layer is None else layer(y) for layer, y in sources)
        return theta, pool_positions(x.shape[2:], self.pool, phi)[0] if pooled == "after" else phi

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The weights of chosen queries; of the kinds that do not sum to one, divided by their sum of magnitudes."""
        weights, rule = self.attention(x, query), DISPLAYED.get(self.kind)
        shown = weights if rule is None else of_magnitude_one(weights)
        return (Look("pairwise", shown, rule, window=ops.pool_window(self.pool, x.ndim - 2)),)

    def _attention_in_parts(self, x, index):
        """Weights of each query over the keys of its own part, placed in the grid of all keys."""
        b, grid, parts, q = x.shape[0], x.shape[2:], self.parts(x.shape[2:]), len(index)
        theta, phi, _ = (y.unflatten(0, (b, math.prod(parts))) for y in self.project(ops.cut(x, parts)))
        positions = torch.arange(math.prod(grid), device=x.device).view(1, 1, *grid)
        place = ops.cut(positions, parts).flatten().argsort()[index]
        part, inside = place // theta.shape[2], place % theta.shape[2]
        query, keys = theta[:, part, inside].flatten(0, 1)[:, None], phi[:, part].flatten(0, 1)
        weights = self._weights(query, keys)
        everywhere = weights.new_zeros(b, math.prod(parts), q, phi.shape[2])
        everywhere[:, part, torch.arange(q, device=x.device)] = weights.view(b, q, -1)
        return ops.join(everywhere.flatten(0, 1).unflatten(2, self._part_key_grid(grid)), parts)

    def key_grid(self, grid: Sequence[int]) -> tuple[int, ...]:
        """The grid of keys on a map with this grid, those of all parts together."""
        return tuple(keys * count for keys, count in zip(self._part_key_grid(grid), self.parts(grid), strict=True))

    def _part_key_grid(self, grid: Sequence[int]) -> tuple[int, ...]:
        window = ops.pool_window(self.pool, len(grid))
        parts = self.parts(grid)
        return tuple(size // count // width for size, count, width in zip(grid, parts, window, strict=True))

    def backend_for(self, x: Float[Tensor, "b c *grid"]) -> str:
        """The name of the backend that `forward(x)` runs: `backend`, unless that is `"auto"`.

        Raises:
            ValueError: for a block one of whose layers a tool has changed, which merges no layer with a product.
        """
        if not plain(self.theta, self.phi, self.g, self.w_f, self.out, self.norm):
            raise ValueError(
                "a tool has changed a layer of this block, so its layers are called and no backend starts from "
                "the map; take backend_for of an unchanged block"
            )
        part = ops.cut(x, self.parts(x.shape[2:])) if self.restricted else x
        return ops.backend_for(part, self.layers(), self.kind, self.keys, self.backend)

    def multiply_adds(self, grid: Sequence[int], backend: str = "dense") -> int:
        """Multiply-adds of one sample.

        Args:
            grid: the sizes of the map.
            backend: the counted one; by default the definition, so that the count does not depend on dtype or machine.
        """
        one_of("backend", backend, ops.backend_names(self.kind))
        parts = self.parts(grid)
        part = tuple(size // count for size, count in zip(grid, parts, strict=True))
        return math.prod(parts) * ops.non_local_macs(part, self.channels, self.inner, self.kind, self.keys, backend)

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, inner={self.inner}, kind={self.kind!r}, scale={self.scale!r}, "
            f"pool={self.pool!r}, pool_order={self.pool_order!r}, init={self.init!r}, attend_over={self.attend_over!r}"
            + (f", frame_groups={self.frame_groups}" if self.frame_groups else "")
            + (f", frames_per_group={self.frames_per_group}" if self.frames_per_group else "")
        )

    def _w_f(self) -> dict[str, Tensor | None]:
        return {} if self.w_f is None else {"w_f": self.w_f.weight[0], "beta": self.w_f.bias}


def _sum_of_positions(
    norm: _BatchNorm, z: Float[Tensor, "b c *grid"], x: Float[Tensor, "b c *grid"]
) -> Float[Tensor, "b c *grid"]:
    """BN(z) + x with positions as samples of the norm, for maps that store the channels of a position together."""
    positions, source = (ops.to_positions(maps).flatten(0, 1) for maps in (z, x))
    z = add_to_new(source, norm(positions)).unflatten(0, (x.shape[0], -1))
    return ops.to_grid(z, x.shape[2:])
