"""Files of Tushar-N/pytorch-resnet3d@8d3e1da: the 32-frame networks of video-nonlocal-net, converted to PyTorch.

The names are torchvision's with kernels over time; `layer2.1.nl` is the non-local block after block 1 of res3.
"""

from wholeframe.blocks import NonLocal
from wholeframe.convert.networks import video
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.models.video_conventions import VideoConvention

BLOCK = {"theta.": "theta.", "phi.": "phi.", "g.": "g.", "out.": "out.", "bn.": "norm."}
NORMS = ("bn1.", "layer*.*.downsample.1.", *(f"layer*.*.bn{n}." for n in (1, 2, 3)))
NAMES = {
    # `FrozenBN`, which the port puts in the place of batch norms for fine-tuning, calls the weight of a norm `scale`.
    **{f"{norm}scale": f"{norm}weight" for norm in NORMS},
    "layer*.*.nl.bn.scale": "layer*.*.wholeframe.norm.weight",
    "conv1.": "conv1.",
    "bn1.": "bn1.",
    **{f"layer*.*.nl.{theirs}": f"layer*.*.wholeframe.{ours}" for theirs, ours in BLOCK.items()},
    **{f"layer*.*.{name}": f"layer*.*.{name}" for name in video.BRANCHES},
    "fc.": "fc.",
}


def plan(shapes: Shapes, *, convention: VideoConvention = "caffe2_org") -> Plan:
    """A network of the port.

    Args:
        convention: strides and pools; the port has those of `resnet_video_org`.
    """
    ours = video.ours(shapes, NAMES)
    blocks = {}
    for site, inner in video.blocks_in(ours).items():
        channels, width = inner["out.weight"][:2]
        block = NonLocal.like("caffe2", channels, inner=width)
        blocks[site] = block, "softmax, scale 1/sqrt(inner), keys pooled by (1, 2, 2) before phi and g"
    return video.planned(ours, NAMES, convention, blocks)


SOURCE = WholeSource(
    repository="Tushar-N/pytorch-resnet3d@8d3e1da",
    licence="CC-BY-NC-4.0 (weights of facebookresearch/video-nonlocal-net)",
    decisive=(r"^conv1\.weight$", r"^layer1\.0\.conv1\.weight$"),
    # The names of all other sources with these two have something more.
    excluded=(r"^(?!(conv1|bn1|fc|layer[1-4]\.\d+\.(conv[123]|bn[123]|downsample\.[01]|nl\.(theta|phi|g|out|bn)))\.)",),
    plan=plan,
    axes={"conv1.weight": 5},
)
