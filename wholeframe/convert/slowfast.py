"""facebookresearch/SlowFast@287ec00, `slowfast/models/nonlocal_helper.py`, and the stage around it, `resnet_helper.py`.

Its block pools before the projections and always scales the softmax. The released Caffe2 weights need both.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wholeframe import ops
from wholeframe.blocks import NonLocal
from wholeframe.convert.rename import meaning

INSTANTIATIONS: dict[str | None, ops.Kind] = {"softmax": "embedded_gaussian", "dot_product": "dot"}
NAMES = {"conv_theta.": "theta.", "conv_phi.": "phi.", "conv_g.": "g.", "conv_out.": "out.", "bn.": "norm."}


STAGE = {
    **{f"pathway0_nonlocal*.{theirs}": f"pathway0_nonlocal*.{ours}" for theirs, ours in NAMES.items()},
    "pathway0_res*.": "pathway0_res*.",
}


def non_local(
    dim: int,
    dim_inner: int,
    pool_size: Sequence[int] | None = None,
    instantiation: str = "softmax",
    zero_init_final_conv: bool = False,
    zero_init_final_norm: bool = True,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    norm_module: object = nn.BatchNorm3d,
    nonlocal_group: int = 1,
) -> NonLocal:
    """`Nonlocal`, and the groups of frames into which the `ResStage` around it cuts the clip.

    Both `zero_init_*` only mark a layer for the model's initialiser: the block on its own starts at random.
    """
    return NonLocal(
        dim,
        inner=dim_inner,
        kind=meaning("instantiation", instantiation, INSTANTIATIONS),
        scale=scale_of(instantiation),
        pool=pool_of(pool_size),
        pool_order="before",
        frame_groups=None if nonlocal_group == 1 else nonlocal_group,
        norm=meaning("norm_module", norm_module, {"BatchNorm3d": "bn"}),
        eps=norm_eps,
        momentum=norm_momentum,
        std=None,
        init="random",
    )


def scale_of(instantiation: str) -> ops.Scale:
    """inner^-1/2 for the softmax; the dot product has no scale."""
    return "sqrt_dim" if instantiation == "softmax" else None


def pool_of(pool_size: Sequence[int] | None) -> int | tuple[int, ...]:
    """The window in time, height and width; 1 for no pooling."""
    return 1 if pool_size is None or max(pool_size) == 1 else tuple(pool_size)


def stage(
    dim_in: Sequence[int],
    dim_out: Sequence[int],
    stride: Sequence[int],
    temp_kernel_sizes: Sequence[Sequence[int]],
    num_blocks: Sequence[int],
    dim_inner: Sequence[int],
    num_groups: Sequence[int],
    num_block_temp_kernel: Sequence[int],
    nonlocal_inds: Sequence[Sequence[int]],
    nonlocal_group: Sequence[int],
    nonlocal_pool: Sequence[Sequence[int]],
    dilation: Sequence[int],
    instantiation: str = "softmax",
    trans_func_name: str = "bottleneck_transform",
    stride_1x1: bool = False,
    inplace_relu: bool = True,
    norm_module: object = nn.BatchNorm3d,
    drop_connect_rate: float = 0.0,
) -> nn.Module:
    """`ResStage` of one pathway: residual blocks in a row, some of them followed by a non-local block.

    Input and output are one map `(b, c, t, h, w)`; the reference has a list of one map. `inplace_relu` does not change
    the result.
    """
    meaning("norm_module", norm_module, {"BatchNorm3d": None})
    if drop_connect_rate:
        raise ValueError(
            f"drop_connect_rate={drop_connect_rate} acts in training alone and has no counterpart here; leave it out"
        )
    if len(dim_in) != 1:
        raise ValueError(f"a stage of {len(dim_in)} pathways has no counterpart here; convert them one by one")
    meaning("trans_func_name", trans_func_name, {"bottleneck_transform": None})
    count, after = num_blocks[0], dim_out[0]
    # The kernel sizes over time repeat for `num_block_temp_kernel` blocks; the other blocks have a size of 1.
    frames = [*(list(temp_kernel_sizes[0]) * count)[: num_block_temp_kernel[0]], *[1] * count][:count]
    network = nn.Sequential()
    for index in range(count):
        before, step = (dim_in[0], stride[0]) if index == 0 else (after, 1)
        residual = Residual(before, dim_inner[0], after, frames[index], step, num_groups[0], dilation[0], stride_1x1)
        network.add_module(f"pathway0_res{index}", residual)
        if index in nonlocal_inds[0]:
            block = non_local(after, after // 2, nonlocal_pool[0], instantiation, nonlocal_group=nonlocal_group[0])
            network.add_module(f"pathway0_nonlocal{index}", block)
    return network


class Residual(nn.Module):
    """`ResBlock` with `BottleneckTransform`, with its names: 1 x 1 over `frames` frames, 3 x 3, 1 x 1."""

    def __init__(
        self,
        before: int,
        inner: int,
        after: int,
        frames: int,
        stride: int,
        groups: int = 1,
        dilation: int = 1,
        stride_first: bool = False,
    ):
        super().__init__()
        first, second = (stride, 1) if stride_first else (1, stride)
        if before != after or stride != 1:
            self.branch1 = nn.Conv3d(before, after, 1, (1, stride, stride), bias=False)
            self.branch1_bn = nn.BatchNorm3d(after)
        self.branch2 = nn.ModuleDict(
            {
                "a": nn.Conv3d(before, inner, (frames, 1, 1), (1, first, first), (frames // 2, 0, 0), bias=False),
                "a_bn": nn.BatchNorm3d(inner),
                "b": nn.Conv3d(
                    inner,
                    inner,
                    (1, 3, 3),
                    (1, second, second),
                    (0, dilation, dilation),
                    (1, dilation, dilation),
                    groups,
                    bias=False,
                ),
                "b_bn": nn.BatchNorm3d(inner),
                "c": nn.Conv3d(inner, after, 1, bias=False),
                "c_bn": nn.BatchNorm3d(after),
            }
        )

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t i j"]:
        two = self.branch2
        y = F.relu(two["a_bn"](two["a"](x)))
        y = two["c_bn"](two["c"](F.relu(two["b_bn"](two["b"](y)))))
        return F.relu(y + (self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x))
