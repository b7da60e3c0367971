"""The compact generalized non-local block (Yue et al., NeurIPS 2018)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks.init import init_weight
from wholeframe.messages import one_of
from wholeframe.ops.layout import as_given, wide


class CGNL(nn.Module):
    """Every channel of every position looks at every other of its group, and the block adds the sum to its input.

        y_i = sum_j f(theta_i, phi_j) g_j,    i, j over channels and positions,        z = x + GN(W_z y)

    Input and output `(b, c, *grid)`, any rank of grid. Time and memory are linear in channels times positions; f by
    `kernel`: see `wholeframe.ops.cgnl.compact`. theta, phi, g and W_z have no biases, and W_z is one matrix per group.
    Source: Yue, Sun, Yuan, Zhou, Ding, Xu, "Compact Generalized Non-local Network", NeurIPS 2018 (arXiv 1810.13125);
    released code KaiyuYue/cgnl-network.pytorch@33e348b.

    **What the norm does to the attention.** With `kernel="dot"` a group's y is a_k theta with one number a_k, and
    the released GroupNorm of as many groups divides by |a_k| again: of phi and g it leaves a sign, up to eps, and
    they hardly learn (their gradients are 10^-5 of theta's in the reference). `"bn"` normalises over the batch and
    keeps a_k. Published weights need `"gn"`.

    Where references disagree (each is an argument):

    - `norm`: batch norm over the grouped output in the paper (as quoted by AlexHex7) and the authors' Caffe file;
      group norm with the kernel's groups in the released PyTorch code.
    - `kernel`: the paper's RBF is exp(-gamma (theta - phi)^2), `"rbf"`; the released `SpatialCGNLx` is the first
      `order + 1` terms of another function, e^(-2 gamma) e^(2 gamma theta phi), `"taylor"`.
    - `gamma`: a hyper-parameter in the paper, 1e-4 in the released code.
    - `order`: the released class defaults to 2, its networks take 3.
    - `scale`: `"sqrt_length"` divides by the root of a group's tokens (`use_scale`); released networks do not.
    - `groups`: 8 in the released networks, 1 in the Caffe file.
    - `std`: 0.01 in the released networks with one block, He initialisation (None) with more.
    - `init`: the released networks start the norm at zero, the Caffe file at one.

    With `kernel="rbf"` gamma and the range of the embeddings are free: the sum is that of the kernel to rounding,
    whatever they are, and a range that was not planned for raises (`max_span`).

    Args:
        channels: c.
        inner: d, the width of theta, phi and g; None for channels // 2.
        groups: contiguous groups of channels that do not see each other; divides channels and inner.
        kernel: `"dot"`, `"taylor"` or `"rbf"`.
        gamma: of `"taylor"` and `"rbf"`; None for 1e-4.
        learn_gamma: whether gamma is a parameter, kept as `log_gamma`; `gamma` is then its start.
        order: of `"taylor"`, the highest power; None for 3. With 0 the block does not look at theta and phi.
        max_span: of `"rbf"`, the largest difference of sqrt(gamma) theta and sqrt(gamma) phi to plan for. None measures
            it at every call; a compiled or exported graph cannot and is planned for 8.
        scale: None or `"sqrt_length"`.
        norm: `"gn"` (with `groups` groups), `"bn"` or None.
        eps, momentum: of the norm; group norm has no momentum.
        std: of all initial weights; None for He initialisation.
        init: `"identity"` for an identity at initialisation (the norm's gain, or W_z without a norm), `"random"` otherwise.

    Raises:
        ValueError: for groups that do not divide the channels, an option that the kernel does not have, an unknown
            one, and in the forward pass for a range beyond `max_span`.
    """

    def __init__(
        self,
        channels: int,
        *,
        inner: int | None = None,
        groups: int = 8,
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
        _of_kernel("gamma", gamma, kernel, ("taylor", "rbf"))
        _of_kernel("learn_gamma", learn_gamma or None, kernel, ("taylor", "rbf"))
        _of_kernel("order", order, kernel, ("taylor",))
        _of_kernel("max_span", max_span, kernel, ("rbf",))
        inner = max(channels // 2, 1) if inner is None else inner
        if inner < 1:
            raise ValueError(f"inner={inner} is no width; give a number from 1, such as {max(channels // 2, 1)}")
        _divides("channels", channels, groups)
        _divides("inner", inner, groups)
        gamma = ops.GAMMA if gamma is None else gamma
        if not gamma > 0:
            raise ValueError(f"gamma={gamma:g} is no width of a kernel; give a positive number, such as 1e-4")
        order = ops.ORDER if order is None else order
        if order < 0:
            raise ValueError(f"order={order} is no power; give a number from 0, such as 3")

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
        """Whether `attention` has something to show: no, channels look at channels, and not over the grid."""
        return False

    def forward(self, x: Float[Tensor, "b c *grid"]) -> Float[Tensor, "b c *grid"]:
        return x + self._normalised(self._response(x)).to(x.dtype).unflatten(2, x.shape[2:])

    def project(self, x: Float[Tensor, "b c *grid"]) -> tuple[Tensor, Tensor, Tensor]:
        """Theta, phi and g as tokens: `(b, groups, inner / groups * positions)` each, x being read once."""
        maps = ops.project_maps(x.flatten(2), self.theta.weight, self.phi.weight, self.g.weight)
        theta, phi, g = (ops.grouped_tokens(y, self.groups) for y in maps)
        return theta, phi, g

    def attention(
        self, x: Float[Tensor, "b c *grid"], query: Sequence[int] | Int[Tensor, "q"]
    ) -> Float[Tensor, "b q *grid"]:
        """Refused: a channel of a position looks at channels of positions, and what it sees is a few numbers."""
        raise ValueError(
            "CGNL compares channels of positions, n x n of them per group, and sums them up in a few numbers per "
            "group: there is no map over the grid to show; NonLocal has one"
        )

    def multiply_adds(self, grid: Sequence[int]) -> int:
        """Multiply-adds of one sample: the projections, the kernel's own products (`ops.compact_gnl_macs`), W_z.

        Counters of matrix products see the first and the last, never the kernel's: they are elementwise.
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

    # ------------------------------------------------------------------------------------------------- W_z y

    def _response(self, x: Tensor) -> Float[Tensor, "b c n"]:
        theta, phi, g = self.project(x)
        # One number stands for a whole map here: sums, W_z and the norm are in float32 or better.
        with as_given(x):
            theta, phi, g = wide(theta), wide(phi), wide(g)
            return self._dot(theta, phi, g) if self.kernel == "dot" else self._series(theta, phi, g)

    def _dot(self, theta: Tensor, phi: Tensor, g: Tensor) -> Float[Tensor, "b c n"]:
        """W_z (a theta) = (a W_z) theta: the scalar goes to the smaller of the two, never mind which."""
        a = ops.attention_scalar(phi, g) * self._scaling(phi)
        # While exporting, comparing sizes would freeze the graph to one side.
        folds = torch.compiler.is_exporting() or self._positions(theta) > self.channels // self.groups
        if folds:
            tokens = theta.unflatten(2, (self.inner // self.groups, -1))
            return (a[..., None] * wide(self.out.matrices) @ tokens).flatten(1, 2)
        return self.out(self._maps(a * theta))

    def _series(self, theta: Tensor, phi: Tensor, g: Tensor) -> Float[Tensor, "b c n"]:
        gamma = self.gamma if self.log_gamma is None else wide(self.log_gamma).exp()
        y = ops.compact_gnl(theta, phi, g, self.kernel, gamma=gamma, order=self.order, max_span=self.max_span)
        return self.out(self._maps(y * self._scaling(phi)))

    def _normalised(self, z: Float[Tensor, "b c n"]) -> Float[Tensor, "b c n"]:
        with as_given(z):
            if isinstance(self.norm, nn.GroupNorm):
                return F.group_norm(z, self.groups, wide(self.norm.weight), wide(self.norm.bias), self.norm.eps)
            return z if self.norm is None else self.norm(z.to(self.norm.weight.dtype))

    def _maps(self, y: Float[Tensor, "b g l"]) -> Float[Tensor, "b d n"]:
        return y.unflatten(2, (self.inner // self.groups, -1)).flatten(1, 2)

    def _positions(self, tokens: Float[Tensor, "b g l"]) -> int:
        return tokens.shape[2] * self.groups // self.inner

    def _scaling(self, tokens: Float[Tensor, "b g l"]) -> float:
        return tokens.shape[2] ** -0.5 if self.scale == "sqrt_length" else 1.0


class GroupedLinear(nn.Module):
    """One matrix per contiguous group of channels: `weight` is `(out_channels, in_channels / groups)`.

    No `nn.Conv1d`, so that a host which re-initialises its convolutions leaves the block alone.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int):
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups))

    @property
    def matrices(self) -> Float[Tensor, "g out_per_group in_per_group"]:
        return self.weight.unflatten(0, (self.groups, -1))

    def forward(self, y: Float[Tensor, "b d n"]) -> Float[Tensor, "b c n"]:
        return F.conv1d(y, self.weight.to(y.dtype)[:, :, None], groups=self.groups)


def _of_kernel(option: str, value: object, kernel: str, kernels: Sequence[str]) -> None:
    """Refuse an option that the kernel would not look at."""
    if value is not None and kernel not in kernels:
        raise ValueError(
            f"{option}={value!r} does not apply to kernel={kernel!r}; "
            f"leave it out, or take kernel={' or '.join(map(repr, kernels))}"
        )


def _divides(name: str, width: int, groups: int) -> None:
    if groups < 1 or width % groups:
        divisors = [d for d in range(1, width + 1) if width % d == 0]
        below = [d for d in divisors if d < groups][-1:]
        above = [d for d in divisors if d > groups][:1]
        near = [str(d) for d in below + above]
        verb = "divisors near {} are {}" if len(near) > 1 else "the divisor nearest to {} is {}"
        raise ValueError(f"groups={groups} does not divide {name}={width}; " + verb.format(groups, " and ".join(near)))
