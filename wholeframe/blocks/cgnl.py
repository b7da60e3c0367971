"""The compact generalized non-local block (Yue et al., NeurIPS 2018)."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.fx import Proxy

from wholeframe import ops
from wholeframe.blocks import arguments
from wholeframe.blocks.arguments import divides, flat_positions, integer, not_negative, positive
from wholeframe.blocks.grouped import GroupedLinear
from wholeframe.blocks.init import init_weight
from wholeframe.blocks.inputs import leaf_or_refuse
from wholeframe.blocks.looks import Look, of_magnitude_one
from wholeframe.blocks.plain import plain, refuse_changed
from wholeframe.blocks.recipe import Recorded
from wholeframe.messages import one_of
from wholeframe.ops.cgnl import gaussian_rbf
from wholeframe.ops.cgnl.contributions import contributions
from wholeframe.ops.layout import as_given
from wholeframe.ops.linear import add_to_new
from wholeframe.ops.recomputed import recomputed

DISPLAYED = (
    "parts of each position in the sum that the query takes, with the sign of support or of opposition, divided by the "
    "sum of their magnitudes"
)
"""what the map of a query is"""


class CGNL(Recorded):
    """Every channel of every position attends to every other of its group; the block adds the result to its input.

        y_i = sum_j f(theta_i, phi_j) g_j,    i, j over channels and positions,        z = x + GN(W_z y)

    Input and output `(b, c, *grid)`, any rank of grid. Time and memory are linear in channels times positions;
    `kernel` selects f, see `wholeframe.ops.cgnl.dense`. theta, phi, g and W_z have no biases, and W_z is one matrix per
    group. Source: Yue, Sun, Yuan, Zhou, Ding, Xu, "Compact Generalized Non-local Network", NeurIPS 2018
    (arXiv 1810.13125); released code KaiyuYue/cgnl-network.pytorch@33e348b.

    **The norm cancels the attention.** With `kernel="dot"`, y of a group is a_k theta with one scalar a_k, and the
    released GroupNorm with the same groups divides by |a_k| again. Up to eps, only the sign of a_k remains, so phi and
    g hardly learn (their gradients are 10^-5 of theta's in the reference). `"bn"` normalises over the batch and keeps
    a_k. Published weights need `"gn"`.

    *Where references disagree* (each is an argument):

    - `norm`: batch norm over the grouped output in the paper (as quoted by AlexHex7) and the authors' Caffe file;
      group norm with the kernel's groups in the released PyTorch code.
    - `kernel`: the paper's RBF is exp(-gamma (theta - phi)^2), `"rbf"`; the released `SpatialCGNLx` is the first
      `order + 1` terms of another function, e^(-2 gamma) e^(2 gamma theta phi), `"taylor"`.
    - `gamma`: a hyper-parameter in the paper, 1e-4 in the released code.
    - `order`: the released class defaults to 2, its networks take 3.
    - `scale`: `"sqrt_length"` divides by the root of a group's tokens (`use_scale`); released networks do not.
    - `groups`: 8 in the released networks, 1 in the Caffe file.
    - `std`: 0.01 in the released networks with one block, Kaiming initialisation (None) with more.
    - `init`: the released networks start the norm at zero, the Caffe file at one.

    Args:
        channels: c.
        inner: d, the width of theta, phi and g; None for channels // 2.
        groups: number of contiguous groups of channels, which are independent; divides channels and inner. None for 8,
            or where 8 does not divide both, for the largest smaller number that does (`remark` says so).
        kernel: `"dot"`, `"taylor"` or `"rbf"` (exact to rounding for any gamma and any range of the embeddings).
        gamma: of `"taylor"` and `"rbf"`; None for 1e-4.
        learn_gamma: whether gamma is a parameter, stored as `log_gamma`; `gamma` is then its initial value.
        order: of `"taylor"`, the highest power; None for 3. With 0 the output does not depend on theta and phi.
        max_span: of `"rbf"`, the largest difference of sqrt(gamma) theta and sqrt(gamma) phi to plan for, at most 1024.
            None measures it at every call; a compiled or exported graph cannot measure it and is planned for 8.
        scale: None or `"sqrt_length"`.
        norm: `"gn"` (with `groups` groups), `"bn"` or None.
        eps, momentum: of the norm; group norm has no momentum.
        std: standard deviation of all initial weights; None for Kaiming initialisation.
        init: `"identity"` starts the norm's gain (or W_z, without a norm) at zero; `"random"` does not.

    Raises:
        ValueError: for groups that do not divide the channels, for an unknown option or one that the kernel does not
            have, and in the forward pass for a range of the embeddings beyond `max_span`.
    """

    remark: str | None = None

    def __init__(
        self,
        channels: int,
        *,
        inner: int | None = None,
        groups: int | None = None,
        kernel: ops.Kernel = "dot",
        gamma: float | None = None,
        learn_gamma: bool = False,
        order: int | None = None,
        max_span: float | None = None,
        scale: Literal["sqrt_length"] | None = None,
        norm: Literal["gn", "bn"] | None = "gn",
        eps: float = 1e-5,
        momentum: float = 0.1,
        std: float | None = 0.01,
        init: Literal["identity", "random"] = "identity",
    ):
        super().__init__()
        one_of("kernel", kernel, ops.KERNELS)
        one_of("scale", scale, ("sqrt_length", None))
        one_of("norm", norm, ("gn", "bn", None))
        one_of("init", init, ("identity", "random"))
        arguments.flags(learn_gamma=learn_gamma)
        _of_kernel("gamma", gamma, kernel, ("taylor", "rbf"))
        _of_kernel("learn_gamma", learn_gamma or None, kernel, ("taylor", "rbf"))
        _of_kernel("order", order, kernel, ("taylor",))
        _of_kernel("max_span", max_span, kernel, ("rbf",))
        integer("channels", channels)
        inner = max(channels // 2, 1) if inner is None else inner
        integer("inner", inner, default=max(channels // 2, 1))
        if groups is None:
            groups = next(g for g in range(8, 0, -1) if math.gcd(channels, inner) % g == 0)
            if groups != 8:
                self.remark = (
                    f"{groups} group{'s' * (groups > 1)}: the default of 8 does not divide both {channels} channels "
                    f"and inner={inner}, and {groups} is the largest smaller number that does"
                )
        divides("groups", groups, "channels", channels)
        divides("groups", groups, "inner", inner)
        gamma = ops.GAMMA if gamma is None else gamma
        positive("gamma", gamma, default=ops.GAMMA)
        order = ops.ORDER if order is None else order
        integer("order", order, least=0, default=ops.ORDER)
        if max_span is not None:
            gaussian_rbf.check_max_span(max_span)
        positive("eps", eps, default=1e-5)
        arguments.momentum(momentum)
        if std is not None:
            not_negative("std", std, default=0.01)

        self.channels, self.inner, self.groups = channels, inner, groups
        self.kernel: ops.Kernel = kernel
        self.gamma, self.order, self.max_span, self.scale = gamma, order, max_span, scale
        self.std, self.init = std, init
        self.theta = nn.Linear(channels, inner, bias=False)
        self.phi = nn.Linear(channels, inner, bias=False)
        self.g = nn.Linear(channels, inner, bias=False)
        self.log_gamma = nn.Parameter(torch.empty(())) if learn_gamma else None
        self.out = GroupedLinear(inner, channels, groups)
        norms = {
            "gn": lambda: nn.GroupNorm(groups, channels, eps=eps),
            "bn": lambda: nn.BatchNorm1d(channels, eps=eps, momentum=momentum),
            None: lambda: None,
        }
        self.norm: nn.GroupNorm | nn.BatchNorm1d | None = norms[norm]()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the initial state, which a model-wide initialisation may have overwritten."""
        refuse_changed(self)
        for linear in (self.theta, self.phi, self.g, self.out):
            init_weight(linear.weight, self.std)
        if self.log_gamma is not None:
            nn.init.constant_(self.log_gamma, math.log(self.gamma))
        if self.norm is not None:
            self.norm.reset_parameters()
        if self.init == "identity":
            nn.init.zeros_(self.out.weight if self.norm is None else self.norm.weight)

    @property
    def identity_at_init(self) -> bool:
        """Whether a fresh block returns its input."""
        return self.init == "identity"

    @property
    def has_attention(self) -> bool:
        """False: channels of positions attend to each other, which is not a map over the grid."""
        return False

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        if (
            isinstance(x, Proxy)
            or x.ndim < 3
            or x.shape[1] != self.channels
            or not x.is_floating_point()
            or 0 in x.shape[2:]
        ):
            return leaf_or_refuse(self, x)
        options = self._kernel_options()
        if plain(self.theta, self.phi, self.g, self.out, self.norm):
            together: Any = self._modules.get("together")
            if together is None:
                theta, phi, g = ops.project_maps(ops.flat(x), self.theta.weight, self.phi.weight, self.g.weight)
            else:
                theta, phi, g = ops.project_maps(ops.flat(x), together.weight)[0].chunk(3, dim=1)
            factors = ops.compact_gnl_factors(theta, phi, g, self.out.weight, self.groups, self.kernel, **options)
            with as_given(x):
                if self.norm is not None:
                    return ops.on_grid(add_to_new(ops.flat(x), self._normalised(*factors).to(x.dtype)), x.shape[2:])
                z = torch.matmul(*factors).flatten(1, 2)
        else:
            z = self._called(x, **options)
        return x + ops.on_grid(z.to(x.dtype), x.shape[2:])

    def _called(
        self, x: Float[Tensor, "b c *grid"], scale: Literal["sqrt_length"] | None, **options: Any
    ) -> Float[Tensor, "b c n"]:
        """GN(W_z y), with every layer called."""
        theta, phi, g = (ops.grouped_tokens(maps, self.groups) for maps in self.project(x))
        y = ops.compact_gnl(theta, phi, g, self.kernel, **options)
        y = y * theta.shape[2] ** -0.5 if scale == "sqrt_length" else y
        z = self.out(y.to(x.dtype).unflatten(2, (self.inner // self.groups, -1)).flatten(1, 2))
        return z if self.norm is None else self.norm(z)

    def project(
        self, x: Float[Tensor, "b c *grid"]
    ) -> tuple[Float[Tensor, "b d n"], Float[Tensor, "b d n"], Float[Tensor, "b d n"]]:
        """Theta, phi and g as maps of `inner` channels."""
        positions = ops.to_positions(x)
        return tuple(layer(positions).transpose(1, 2) for layer in (self.theta, self.phi, self.g))

    def _kernel_options(self) -> dict[str, Any]:
        gamma = self.gamma if self.log_gamma is None else ops.wide(self.log_gamma).exp()
        return {"gamma": gamma, "order": self.order, "max_span": self.max_span, "scale": self.scale}

    def _normalised(
        self, matrices: Float[Tensor, "... g c_per_group e"], y: Float[Tensor, "b g e n"]
    ) -> Float[Tensor, "b c n"]:
        """GN(W_z y); a group norm in the dtype of y, because W_z y may be more than a half can hold."""
        norm = self.norm
        assert norm is not None
        if isinstance(norm, nn.GroupNorm) and norm.affine:
            weight, bias = norm.weight.to(y.dtype), norm.bias.to(y.dtype)
            function = partial(F.group_norm, num_groups=norm.num_groups, weight=weight, bias=bias, eps=norm.eps)
            return recomputed(function, _product, matrices, y)
        dtype = y.dtype if norm.weight is None else norm.weight.dtype
        return recomputed(norm, lambda matrices, y: _product(matrices, y).to(dtype), matrices, y)

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """Raises ValueError: the weights of a channel are over channels of positions, which is not a map."""
        raise ValueError(
            "CGNL compares channels of positions and reduces them to a few numbers per group: "
            "there is no map over the grid to show; NonLocal has one"
        )

    def looks(self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]) -> tuple[Look, ...]:
        """The part of every position in y of chosen queries, with its sign: see `wholeframe.ops.cgnl.contributions`."""
        theta, phi, g = self.project(x)
        options = self._kernel_options()
        options = {name: options[name] for name in ("gamma", "order")}
        queries = theta[:, :, flat_positions(query, x.device)]
        weights = contributions(queries, phi, g, self.groups, self.kernel, **options).unflatten(2, x.shape[2:])
        return (Look("pairwise", of_magnitude_one(weights), DISPLAYED),)

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the projections, the products of the kernel (`ops.compact_gnl_macs`), and W_z.

        FLOP counters miss the products of the kernel, because these are elementwise.
        """
        n = math.prod(grid)
        kernel = ops.compact_gnl_macs(self.inner * n, self.kernel, order=self.order, max_span=self.max_span)
        return 3 * self.channels * self.inner * n + kernel + self.channels * self.inner // self.groups * n

    def extra_repr(self) -> str:
        options = {"dot": "", "taylor": f"gamma={self.gamma:g}, order={self.order}, "}
        options["rbf"] = f"gamma={self.gamma:g}, max_span={self.max_span}, "
        return (
            f"{self.channels}, inner={self.inner}, groups={self.groups}, kernel={self.kernel!r}, "
            f"{options[self.kernel]}scale={self.scale!r}, init={self.init!r}"
        )


def _product(matrices: Float[Tensor, "... g c_per_group e"], y: Float[Tensor, "b g e n"]) -> Float[Tensor, "b c n"]:
    return (matrices @ y).flatten(1, 2)


def _of_kernel(option: str, value: object, kernel: str, kernels: Sequence[str]) -> None:
    """Raise ValueError for an option that the kernel does not have."""
    if value is not None and kernel not in kernels:
        raise ValueError(
            f"{option}={value!r} does not apply to kernel={kernel!r}; "
            f"leave it out, or take kernel={' or '.join(map(repr, kernels))}"
        )
