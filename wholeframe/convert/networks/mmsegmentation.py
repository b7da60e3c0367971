"""Files of open-mmlab/mmsegmentation with a GC or an NL head: `decode_head.gc_block.*`, `decode_head.nl_block.*`.

The block is applied between two convolutions of the head, which has no counterpart here: it is converted apart from the
backbone, a ResNet that is dilated to an output stride of 8.
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
    output_stride: OutputStride = 8,
    position: Position | None = None,
    mode: Mode = "embedded_gaussian",
    use_scale: bool = True,
) -> Plan:
    """A segmentation network's backbone, and the block of its head.

    Args:
        style: `"caffe"` halves the map in the first convolution of a bottleneck.
        output_stride: 8 for the configurations called D8.
        position: of blocks within the backbone, see mmdetection.
        mode, use_scale: of an NL head.
    """
    non_local = openmmlab.non_local_blocks(shapes, mode, use_scale)
    return openmmlab.plan_of(
        shapes,
        {**openmmlab.context_blocks(shapes), **non_local},
        style=style,
        output_stride=output_stride,
        position=position,
        conventions=openmmlab.assumed_non_local(mode, use_scale) if non_local else {},
    )


SOURCE = WholeSource(
    repository="open-mmlab/mmsegmentation",
    licence="Apache-2.0",
    decisive=(r"^decode_head\.(gc_block\.channel_(add|mul)_conv\.0|nl_block\.conv_out\.conv)\.weight$",),
    plan=plan,
    stated=openmmlab.stated,
)
