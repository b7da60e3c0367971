"""Files of open-mmlab/mmdetection and xvjiarui/GCNet: `backbone.layer2.0.context_block.*`, with a detector's heads.

Both repositories write the same names. A plugin has the name of its class with a postfix, `context_block1` for example.
Blocks of mmcv in other parts of a network are found too: in the neck of Libra R-CNN, `neck.1.refine.*`, and in
backbones of other programs that take mmcv's blocks.
"""

from wholeframe.convert.networks import openmmlab
from wholeframe.convert.networks.image import OutputStride, Style
from wholeframe.convert.networks.openmmlab import Mode, Position
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource


def plan(
    shapes: Shapes,
    *,
    style: Style = "pytorch",
    output_stride: OutputStride = 32,
    position: Position | None = None,
    mode: Mode = "embedded_gaussian",
    use_scale: bool = True,
) -> Plan:
    """A detector's backbone with context blocks or non-local blocks.

    Args:
        style: `"caffe"` halves the map in the first convolution of a bottleneck.
        output_stride: below 32, the last stages dilate their kernels instead of halving the map.
        position: of a block as wide as the 3x3 convolution; a block as wide as the residual block is `after_conv3`.
        mode, use_scale: of a non-local block with `theta` and `phi`; the neck of Libra R-CNN had a scale in the first
            version of mmdetection, and has `use_scale=False` in the second.
    """
    non_local = openmmlab.non_local_blocks(shapes, mode, use_scale)
    place = position or "after_conv3"
    return openmmlab.plan_of(
        shapes,
        {**openmmlab.context_blocks(shapes), **non_local},
        style=style,
        output_stride=output_stride,
        position=position,
        conventions={
            "place of blocks": f"{place}, before the sum",
            **(openmmlab.assumed_non_local(mode, use_scale) if non_local else {}),
        },
    )


SOURCE = WholeSource(
    repository="open-mmlab/mmdetection, xvjiarui/GCNet@029db540",
    licence="Apache-2.0",
    decisive=(r"(^|\.)(channel_(add|mul)_conv\.0|conv_out\.conv)\.weight$",),
    # mmsegmentation, mmaction2's networks for clips, and its block that is not mmcv's, a disentangled one.
    excluded=(
        r"^decode_head\.(gc_block|nl_block)\.",
        r"(^|\.)layer1\.0\.conv1\.conv\.weight$",
        r"\.dnl_block\.",
    ),
    plan=plan,
    stated=openmmlab.stated,
)
