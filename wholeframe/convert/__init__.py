"""Blocks and whole files of other repositories converted to blocks and networks of this package.

    converted = wf.convert.checkpoint("I3D_NLN_8x8_R50.pyth")
    block = wf.convert.block("slowfast.Nonlocal", {"dim": 8, "dim_inner": 4, "pool_size": [1, 2, 2]}, state)

One file for each repository translates its constructor arguments and lists its tensor names; `rename` applies them.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from wholeframe.convert import (
    alexhex7,
    cgnl,
    gcnet,
    gsop,
    mmcv,
    mmpretrain,
    mpncov,
    pytorchvideo,
    senet,
    slowfast,
    tea1528,
    timm,
    timm_modules,
    torchvision,
)
from wholeframe.convert.back import Written as Written
from wholeframe.convert.back import to as to
from wholeframe.convert.converted import Converted as Converted
from wholeframe.convert.converted import Report as Report
from wholeframe.convert.converted import checkpoint as checkpoint
from wholeframe.convert.rename import Source as Source
from wholeframe.convert.rename import call, load
from wholeframe.convert.sources import WHOLE as WHOLE
from wholeframe.convert.whole import WholeSource as WholeSource
from wholeframe.messages import nearest

SOURCES: dict[str, Source] = {
    "mmcv.NonLocal1d": Source(partial(mmcv.non_local, 1), mmcv.NON_LOCAL),
    "mmcv.NonLocal2d": Source(partial(mmcv.non_local, 2), mmcv.NON_LOCAL),
    "mmcv.NonLocal3d": Source(partial(mmcv.non_local, 3), mmcv.NON_LOCAL),
    "mmcv.ContextBlock": Source(mmcv.context, mmcv.CONTEXT),
    "mmpretrain.SELayer": Source(mmpretrain.squeeze_excite, mmpretrain.NAMES),
    "gcnet.ContextBlock": Source(gcnet.context, mmcv.CONTEXT),
    "gcnet.Bottleneck": Source(gcnet.bottleneck, gcnet.BOTTLENECK),
    "slowfast.Nonlocal": Source(slowfast.non_local, slowfast.NAMES),
    "slowfast.ResStage": Source(slowfast.stage, slowfast.STAGE),
    "pytorchvideo.create_nonlocal": Source(pytorchvideo.non_local, pytorchvideo.NAMES),
    "timm.NonLocalAttn": Source(timm.placed(timm.non_local), timm.NON_LOCAL),
    "timm.GlobalContext": Source(timm.placed(timm.global_context), timm.GLOBAL_CONTEXT),
    "timm.SEModule": Source(timm.placed(timm.squeeze_excite), timm.SQUEEZE_EXCITE),
    "timm.EffectiveSEModule": Source(timm.placed(timm.effective_squeeze_excite), timm.EFFECTIVE),
    "timm.EcaModule": Source(timm.placed(timm.efficient_channel), timm.EFFICIENT),
    "timm.GatherExcite": Source(timm.placed(timm.gather_excite), timm.GATHER),
    "timm.CbamModule": Source(timm.placed(timm.cbam), timm.CBAM_NAMES),
    "timm.BatNonLocalAttn": Source(timm.placed(timm.bilinear), timm.BAT_NAMES),
    "timm.BottleneckBlock": Source(timm.placed(timm_modules.bottleneck), timm_modules.BOTTLENECK),
    "torchvision.SqueezeExcitation": Source(torchvision.squeeze_excite, torchvision.NAMES),
    "senet.SELayer": Source(senet.squeeze_excite, senet.NAMES),
    "senet.SEBasicBlock": Source(senet.basic_block, senet.BASIC_BLOCK),
    "senet.SEBottleneck": Source(senet.bottleneck, senet.BOTTLENECK),
    "cgnl.SpatialCGNL": Source(cgnl.cgnl_dot, cgnl.NAMES),
    "cgnl.SpatialCGNLx": Source(cgnl.cgnl_taylor, cgnl.NAMES),
    "cgnl.SpatialNL": Source(cgnl.non_local, cgnl.NAMES),
    **{
        f"gsop.Bottleneck{attention}": Source(partial(gsop.bottleneck, attention), gsop.bottleneck_names(attention))
        for attention in ("0", "1", "2", "+", "M", "&")
    },
    "gsop.Bottleneck.chan_att": Source(gsop.channel, gsop.CHANNEL),
    "gsop.Bottleneck.pos_att": Source(gsop.position, gsop.POSITION),
    "gsop.development.Bottleneck.chan_att": Source(gsop.development_channel, gsop.CHANNEL),
    "gsop.development.Bottleneck.spat_att": Source(gsop.development_position, gsop.POSITION),
    "gsop.ResNet.layer_reduce": Source(gsop.head, gsop.HEAD),
    "mpncov.MPNCOV": Source(mpncov.isqrt_cov, mpncov.NAMES),
    **{
        f"alexhex7.{module}.NONLocalBlock{rank}D": Source(partial(alexhex7.non_local, kind), alexhex7.NAMES)
        for module, kind in alexhex7.MODULES.items()
        for rank in (1, 2, 3)
    },
    "tea1528.NLBlockND": Source(tea1528.non_local, tea1528.NAMES),
}


def block(reference: str, constructor: Mapping[str, object], state: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Build the block that computes the same function as a block of another repository.

    Args:
        reference: a key of `SOURCES`: `"<repository>.<class>"`, with the module in between where a repository has
            the same class name in several files.
        constructor: the arguments that the reference was built with; the others take the reference's defaults.
        state: the reference's state dict for this block alone, without a prefix. dtype and device follow it. None for
            an untrained block: an identity if the reference starts as one, otherwise random with our own distribution.

    Returns:
        A module with the attributes of `wholeframe.blocks.Block`. Four kinds of references are converted to other
        modules: whole residual blocks (`gcnet.Bottleneck`, `timm.BottleneckBlock`, `gsop.Bottleneck0` and the like),
        the stage `slowfast.ResStage`, and the poolings `gsop.ResNet.layer_reduce` and `mpncov.MPNCOV`, which give
        vectors.

    Raises:
        ValueError: for an unknown reference or argument, a value that has no counterpart here, and a state whose
            names or shapes are not those of such a block.
    """
    if reference not in SOURCES:
        raise ValueError(f"there is no reference {reference!r}; {nearest(reference, SOURCES)}")
    source = SOURCES[reference]
    module = call(reference, source.make, constructor)
    if state is not None:
        load(module, source, state)
    return module
