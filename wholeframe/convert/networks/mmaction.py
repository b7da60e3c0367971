"""Files of open-mmlab/mmaction@c7e3b7c, the predecessor of MMAction2: `ResNet_I3D` with a linear classifier.

The names of the backbone are torchvision's. Its non-local block, `layer2.1.nonlocal_block`, pools before phi and g
(`phi.1` is the convolution after the pooling), and its batch norm is in the file under two names, `bn` and `W.1`.
"""

from typing import Any, Literal

from wholeframe.blocks import NonLocal
from wholeframe.convert.networks import video
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Stride
from wholeframe.models.video_conventions import VideoConvention

CONVENTIONS: dict[Any, VideoConvention] = {"i3d": "mmaction2", "c2d": "mmaction2", "slowonly": "nopool"}
BLOCK = {
    "theta.": "theta.",
    "phi.1.": "phi.",
    "phi.": "phi.",
    "g.1.": "g.",
    "g.": "g.",
    "W.0.": "out.",
    "W.1.": "norm.",
    "W.": "out.",
    "bn.": "norm.",
}


def names(prefix: str) -> dict[str, str | None]:
    """The table of names with a prefix of the backbone."""
    return {
        f"{prefix}conv1.": "conv1.",
        f"{prefix}bn1.": "bn1.",
        **{
            f"{prefix}layer*.*.nonlocal_block.{theirs}": f"layer*.*.wholeframe.{ours}" for theirs, ours in BLOCK.items()
        },
        **{f"{prefix}layer*.*.{name}": f"layer*.*.{name}" for name in video.BRANCHES},
        "cls_head.fc_cls.": "fc.",
    }


def plan(
    shapes: Shapes,
    *,
    convention: VideoConvention | None = None,
    stride: Stride = "3x3",
    nonlocal_type: Literal["gaussian", "dot"] = "gaussian",
) -> Plan:
    """A network of `ResNet_I3D`.

    Args:
        convention: strides and pools; None for those of its architecture: `"nopool"` for Slow-only, else
            `"mmaction2"`, the defaults of the class.
        stride: `"1x1"` for `style="caffe"`.
        nonlocal_type: of `nonlocal_cfg`: `"gaussian"`, which is the embedded Gaussian, or `"dot"`. The code of
            `"concat"` cannot run.
    """
    one_of("nonlocal_type", nonlocal_type, ("gaussian", "dot"))
    prefix = "backbone." if "backbone.conv1.weight" in shapes else ""
    table = names(prefix)
    ours = video.ours(shapes, table)
    chosen = convention or video.default_convention(ours, CONVENTIONS)
    blocks = {}
    for site, inner in video.blocks_in(ours).items():
        pooled = f"{prefix}{site}.nonlocal_block.g.1.weight" in shapes
        channels, width = inner["out.weight"][:2]
        block = NonLocal(
            channels,
            inner=width,
            kind="embedded_gaussian" if nonlocal_type == "gaussian" else "dot",
            pool=2 if pooled else 1,
            pool_order="before",
            norm="bn" if "norm.weight" in inner else None,
            momentum=0.9,
            std=None,
        )
        keys = ", keys pooled by (1, 2, 2) before phi and g" if pooled else ""
        blocks[site] = block, f"{nonlocal_type}, no scale{keys}"
    return video.planned(ours, table, chosen, blocks, video.IMAGENET, stride=stride)


SOURCE = WholeSource(
    repository="open-mmlab/mmaction@c7e3b7c",
    licence="Apache-2.0",
    decisive=(
        r"^backbone\.conv1\.weight$",
        r"^backbone\.layer1\.0\.conv1\.weight$",
        r"^cls_head\.fc_cls\.weight$|nonlocal_block\.W\.",
    ),
    plan=plan,
    axes={"backbone.conv1.weight": 5},
)
