"""A video ResNet from the shapes of its tensors: depth, temporal kernels and classes are read, strides are not.

Every reference of Wang et al.'s networks has the same residual blocks under other names, so each source translates its
names into ours, and this file reads the arguments of `VideoResNet` from the shapes.
"""

import re
from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.rename import renamed
from wholeframe.messages import listed, one_of, quoted
from wholeframe.models.origin import Origin
from wholeframe.models.resnet_sites import STAGES, Depth, Stride
from wholeframe.models.resnet_video import Inflation
from wholeframe.models.video_conventions import VIDEO_CONVENTIONS, Architecture, VideoConvention
from wholeframe.surgery.placement import CHILD

LastStride = Literal[1, 2]
INFLATE = "inflate a network for images by `wf.inflate`"
KINETICS = (0.45,) * 3, (0.225,) * 3
"""the mean and standard deviation of Caffe2, PySlowFast and PyTorchVideo"""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""those of torchvision, which OpenMMLab's programs take"""
FRAMES: dict[VideoConvention, int] = {
    "paper": 32,
    "caffe2_org": 32,
    "caffe2": 8,
    "slowfast": 8,
    "mmaction2": 32,
    "nopool": 8,
}
"""in a clip of the published networks; those with frozen batch norms take four times as many"""
BRANCHES = ("downsample.0.", "downsample.1.", *(f"{kind}{n}." for n in (1, 2, 3) for kind in ("conv", "bn")))
"""our names within a residual block"""


def ours(shapes: Shapes, names: Mapping[str, str | None]) -> dict[str, torch.Size]:
    """The shapes by our names."""
    found = {key: renamed(key, names) for key in shapes}
    return {name: shapes[key] for key, name in found.items() if name is not None}


def blocks_in(shapes: Shapes) -> Mapping[str, Shapes]:
    """The blocks in these shapes, which are under our names: a site -> the shapes by their names in the block."""
    found: dict[str, dict[str, torch.Size]] = {}
    for name, shape in shapes.items():
        site, child, inner = name.partition(f".{CHILD}.")
        if child:
            found.setdefault(site, {})[inner] = shape
    for site, inner in found.items():
        if len(inner.get("out.weight", ())) < 2:
            raise ValueError(
                f"the non-local block at {site!r} has the tensors {listed(inner)} and no last convolution; the file is "
                "not whole"
            )
    return found


def refuse_images(shapes: Shapes, instead: str) -> None:
    """ValueError for kernels without a time axis, which networks for images have under the same names."""
    if len(shapes["conv1.weight"]) != 5:
        raise ValueError(
            f"its first kernel has the shape {tuple(shapes['conv1.weight'])} without a time axis, as in a network for "
            f"images; {instead}"
        )


def backbone(
    shapes: Shapes, convention: VideoConvention, stride: Stride = "3x3", last: tuple[LastStride, int] = (2, 1)
) -> Origin:
    """The `VideoResNet` of these shapes, which are under our names.

    Args:
        shapes: of the backbone's tensors.
        convention: strides and pools, a key of `VIDEO_CONVENTIONS`.
        stride: which convolution of a bottleneck halves the map.
        last: the stride and the dilation of res5.

    Raises:
        ValueError: for an unknown convention, and for tensors of another architecture.
    """
    one_of("convention", convention, tuple(VIDEO_CONVENTIONS))
    depth, (conv1_time, inflated) = depth_of(shapes), temporal(shapes)
    kinds = {kind for stage in inflated for kind in stage if kind is not None}
    if len(kinds) > 1:
        raise ValueError(f"some blocks are inflated as {quoted(sorted(kinds))}, and here all of a network are alike")
    arguments = {
        "depth": depth,
        **({"num_classes": shapes["fc.weight"][0]} if "fc.weight" in shapes else {}),
        "conv1_time": conv1_time,
        **VIDEO_CONVENTIONS[convention],
        "inflated": [[int(kind is not None) for kind in stage] for stage in inflated],
        "inflation": next(iter(kinds), "3x1x1" if depth >= 50 else "3x3x3"),
        "stride": stride,
        **({} if last[0] == 2 else {"last_stride": last[0]}),
        **({} if last[1] == 1 else {"last_dilation": last[1]}),
    }
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    return Origin("wholeframe", "VideoResNet", plain)


def planned(
    shapes: Shapes,
    names: Mapping[str, str | None],
    convention: VideoConvention,
    blocks: Mapping[str, tuple[nn.Module, str]],
    colours: tuple[tuple[float, ...], tuple[float, ...]] = KINETICS,
    *,
    stride: Stride = "3x3",
    last: tuple[LastStride, int] = (2, 1),
    frozen: bool = False,
    left: Mapping[str, str] | None = None,
    conventions: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of a video network.

    Args:
        shapes: of all its tensors, under our names.
        names: the table of names.
        convention, stride, last: see `backbone`.
        blocks: a site -> its block, and the assumptions about it in words.
        colours: the mean and standard deviation of the input.
        frozen, left: see `Plan`.
        conventions: further assumptions.
    """
    assumed = {f"non-local block at {site}": words for site, (_, words) in blocks.items()}
    return Plan(
        origin=backbone(shapes, convention, stride, last),
        blocks={site: block for site, (block, _) in blocks.items()},
        names=names,
        frozen=frozen,
        new={} if "fc.weight" in shapes else {"fc.": "the file has no classifier"},
        left=left or {},
        conventions={**geometry(convention, stride), **_in_words(last), **(conventions or {}), **assumed},
        input=(3, FRAMES[convention] * (4 if frozen else 1), 224, 224),
        mean=colours[0],
        std=colours[1],
    )


def _in_words(last: tuple[LastStride, int]) -> dict[str, str]:
    return {} if last == (2, 1) else {"res5": f"stride {last[0]}, dilation {last[1]}"}


def counts(shapes: Shapes) -> tuple[int, ...]:
    """The number of residual blocks in each of the four stages."""
    found = [re.match(r"layer(\d)\.(\d+)\.conv", name) for name in shapes]
    indices = {(int(block[1]), int(block[2])) for block in found if block}
    return tuple(max((index for s, index in indices if s == stage), default=-1) + 1 for stage in (1, 2, 3, 4))


def depth_of(shapes: Shapes) -> Depth:
    """The depth whose stages have as many blocks, of two convolutions (18, 34) or three (50, 101, 152)."""
    three, blocks = "layer1.0.conv3.weight" in shapes, counts(shapes)
    for depth, stages in STAGES.items():
        if stages == blocks and (depth >= 50) == three:
            return depth
    known = ", ".join(f"{depth}: {stages}" for depth, stages in STAGES.items() if (depth >= 50) == three)
    raise ValueError(
        f"its stages have {blocks} blocks of {3 if three else 2} convolutions, and there are networks of {known}; a "
        "file of another depth, or a half of a file, has no counterpart here"
    )


def temporal(shapes: Shapes) -> tuple[int, list[list[Inflation | None]]]:
    """The frames in the kernel of conv1, and for each block of each stage which convolution is temporal."""
    sizes = {name: shape[2] for name, shape in shapes.items() if len(shape) == 5 and name.endswith(".weight")}
    stages: list[list[Inflation | None]] = []
    for stage, count in enumerate(counts(shapes), 1):
        blocks = [f"layer{stage}.{index}" for index in range(count)]
        stages.append([_inflation(shapes, sizes, block) for block in blocks])
    return sizes.get("conv1.weight", 1), stages


def _inflation(shapes: Shapes, sizes: Mapping[str, int], block: str) -> Inflation | None:
    first, second = (sizes.get(f"{block}.{conv}.weight", 1) for conv in ("conv1", "conv2"))
    if {first, second} == {1}:
        return None
    if (first, second) == (3, 1):
        return "3x1x1" if shapes[f"{block}.conv1.weight"][3] == 1 else "3x3x3"
    if (first, second) == (1, 3) and f"{block}.conv3.weight" in shapes:
        return "3x3x3"
    if (first, second) == (3, 3) and f"{block}.conv3.weight" not in shapes:
        return "two 3x3x3"
    raise ValueError(
        f"the kernels of {block!r} have {first} and {second} frames; here one of the two has 3, or none, and both in a "
        "block of two convolutions"
    )


def default_convention(shapes: Shapes, of: Mapping[Architecture, VideoConvention]) -> VideoConvention:
    """The convention of a source for the architecture that these shapes are nearest to."""
    conv1_time, stages = temporal(shapes)
    if conv1_time > 1 or any(stages[0]) or any(stages[1]):
        return of["i3d"]
    return of["slowonly"] if any(stages[2]) or any(stages[3]) else of["c2d"]


def geometry(convention: VideoConvention, stride: Stride) -> dict[str, str]:
    """The strides and pools in words, for a report."""
    values = VIDEO_CONVENTIONS[convention]
    pools = f"conv1 stride {values['conv1_stride']}, pool1 {values['pool1']} stride {values['pool1_stride']}"
    padding = f"padding {values['pool1_padding']}, pool2 {values['pool2'] or 'none'}"
    return {"strides and pools": f"{convention} ({pools} {padding}), spatial stride in the {stride}"}
