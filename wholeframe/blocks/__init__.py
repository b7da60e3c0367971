"""Modules that own weights and call ops. `BLOCKS` is the only list of them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from wholeframe.blocks.cgnl import CGNL as CGNL
from wholeframe.blocks.context import ContextBlock as ContextBlock
from wholeframe.blocks.context import EffectiveSqueezeExcite as EffectiveSqueezeExcite
from wholeframe.blocks.context import EfficientChannelAttention as EfficientChannelAttention
from wholeframe.blocks.context import GlobalContext as GlobalContext
from wholeframe.blocks.context import SimplifiedNonLocal as SimplifiedNonLocal
from wholeframe.blocks.context import SqueezeExcite as SqueezeExcite
from wholeframe.blocks.contexts import AttentionContext as AttentionContext
from wholeframe.blocks.contexts import MaxContext as MaxContext
from wholeframe.blocks.contexts import MeanAndMaxContext as MeanAndMaxContext
from wholeframe.blocks.contexts import MeanContext as MeanContext
from wholeframe.blocks.contexts import MeanMaxContext as MeanMaxContext
from wholeframe.blocks.contexts import StdContext as StdContext
from wholeframe.blocks.frozen_norm import Affine as Affine
from wholeframe.blocks.gsop import CovarianceContext as CovarianceContext
from wholeframe.blocks.gsop import GSoPChannel as GSoPChannel
from wholeframe.blocks.gsop import GSoPPosition as GSoPPosition
from wholeframe.blocks.gsop import RowConv as RowConv
from wholeframe.blocks.gsop_fusion import GSoP as GSoP
from wholeframe.blocks.init import reset_blocks as reset_blocks
from wholeframe.blocks.isqrt import ISqrtCov as ISqrtCov
from wholeframe.blocks.non_local import NonLocal as NonLocal
from wholeframe.blocks.others.bat import BAT as BAT
from wholeframe.blocks.others.cbam import CBAM as CBAM
from wholeframe.blocks.others.gather_excite import GatherExcite as GatherExcite
from wholeframe.blocks.protocol import Block as Block
from wholeframe.blocks.transforms import Bottleneck as Bottleneck
from wholeframe.blocks.transforms import ChannelConv as ChannelConv
from wholeframe.blocks.transforms import IdentityTransform as IdentityTransform
from wholeframe.blocks.transforms import LinearTransform as LinearTransform
from wholeframe.blocks.transforms import SharedBottleneck as SharedBottleneck
from wholeframe.messages import refuse_unknown


class Entry(NamedTuple):
    """A block by name: its class with the options of this name, its equation on one line, its source."""

    block: Callable[..., Block]
    equation: str
    source: str

    def make(self, channels: int, **options: Any) -> Block:
        """The block for maps with these channels.

        Raises:
            ValueError: for an option that the block does not have, where the message names the nearest one, and for a
                value that the block does not accept.
        """
        refuse_unknown(getattr(self.block, "func", self.block).__name__, self.block, options)
        return self.block(channels, **options)


BLOCKS: dict[str, Entry] = {
    "nl": Entry(
        NonLocal,
        "z_i = x_i + W_z sum_j softmax_j(theta_i . phi_j) g_j",
        "Wang et al., CVPR 2018, embedded Gaussian",
    ),
    "nl_gaussian": Entry(
        partial(NonLocal, kind="gaussian"),
        "z_i = x_i + W_z sum_j softmax_j(x_i . x_j) g_j",
        "Wang et al., CVPR 2018, Gaussian",
    ),
    "nl_euclidean": Entry(
        partial(NonLocal, kind="euclidean_gaussian"),
        "z_i = x_i + W_z sum_j softmax_j(-|theta_i - phi_j|^2 / 2) g_j",
        "Wang et al., CVPR 2018, named there, no reference code",
    ),
    "nl_dot": Entry(
        partial(NonLocal, kind="dot"),
        "z_i = x_i + W_z 1/k sum_j (theta_i . phi_j) g_j",
        "Wang et al., CVPR 2018, dot product",
    ),
    "nl_concatenation": Entry(
        partial(NonLocal, kind="concatenation"),
        "z_i = x_i + W_z 1/k sum_j relu(w_f . [theta_i; phi_j]) g_j",
        "Wang et al., CVPR 2018, concatenation",
    ),
    "snl": Entry(
        SimplifiedNonLocal,
        "z_i = x_i + W_v sum_j softmax_j(w_k . x_j) x_j",
        "Cao et al., GCNet, 2019, simplified non-local",
    ),
    "gc": Entry(
        GlobalContext,
        "z_i = x_i + W_2 relu(LN(W_1 sum_j softmax_j(w_k . x_j) x_j))",
        "Cao et al., GCNet, 2019",
    ),
    "se": Entry(
        SqueezeExcite,
        "z_i = x_i * sigmoid(W_2 relu(W_1 mean_j x_j))",
        "Hu et al., SENet, 2018",
    ),
    "ese": Entry(
        EffectiveSqueezeExcite,
        "z_i = x_i * hardsigmoid(W mean_j x_j + b)",
        "Lee & Park, CenterMask, 2020, effective squeeze-excitation",
    ),
    "eca": Entry(
        EfficientChannelAttention,
        "z_i = x_i * sigmoid(w * mean_j x_j), * over channels",
        "Wang et al., ECA-Net, 2020",
    ),
    "cgnl": Entry(
        CGNL,
        "z = x + GN(W_z y), y_i = theta_i sum_j phi_j g_j over channels and positions",
        "Yue et al., CGNL, NeurIPS 2018, dot product",
    ),
    "cgnl_taylor": Entry(
        partial(CGNL, kernel="taylor"),
        "z = x + GN(W_z y), y_i = sum_p c_p theta_i^p sum_j phi_j^p g_j, p = 0 .. 3",
        "Yue et al., CGNL, NeurIPS 2018, the released Gaussian RBF",
    ),
    "cgnl_rbf": Entry(
        partial(CGNL, kernel="rbf"),
        "z = x + GN(W_z y), y_i = sum_j exp(-gamma (theta_i - phi_j)^2) g_j",
        "Yue et al., CGNL, NeurIPS 2018, Gaussian RBF as the paper writes it, to rounding",
    ),
    "gsop_channel": Entry(
        GSoPChannel,
        "z_i = x_i * sigmoid(W_2 (W_row * BN(cov(relu(BN(W_1 relu(x)))))))",
        "Gao et al., GSoP, CVPR 2019, channel-wise, as released",
    ),
    "gsop_position": Entry(
        GSoPPosition,
        "z_i = relu(x_i * unpool(sigmoid(W_2 relu(W_row * BN(cov(pool(BN(W_1 relu(x)))))))))_i)",
        "Gao et al., GSoP, CVPR 2019, position-wise, as released",
    ),
}
