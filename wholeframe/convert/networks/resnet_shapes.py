"""A ResNet of any size from the shapes of its tensors, and where blocks between its residual blocks go.

`image` reads the ResNets of mmcv's libraries, with stems, dilations and shortcuts that torchvision or timm has. Here
are those with another pooling or stride of res5, which `shaped_resnet` builds, and backbones that end before their last
stage.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch

from wholeframe.convert.plan import Shapes
from wholeframe.messages import listed, quoted, shown
from wholeframe.models.origin import Origin
from wholeframe.models.resnet_sites import Stride

STAGES = ("layer1", "layer2", "layer3", "layer4")
TORCHVISION: dict[tuple[str, tuple[int, ...], int, int], str] = {
    ("basic", (2, 2, 2, 2), 1, 64): "resnet18",
    ("basic", (3, 4, 6, 3), 1, 64): "resnet34",
    ("bottleneck", (3, 4, 6, 3), 1, 64): "resnet50",
    ("bottleneck", (3, 4, 23, 3), 1, 64): "resnet101",
    ("bottleneck", (3, 8, 36, 3), 1, 64): "resnet152",
    ("bottleneck", (3, 4, 6, 3), 32, 4): "resnext50_32x4d",
    ("bottleneck", (3, 4, 23, 3), 32, 8): "resnext101_32x8d",
    ("bottleneck", (3, 4, 23, 3), 64, 4): "resnext101_64x4d",
    ("bottleneck", (3, 4, 6, 3), 1, 128): "wide_resnet50_2",
    ("bottleneck", (3, 4, 23, 3), 1, 128): "wide_resnet101_2",
}
"""residual blocks, their numbers, groups and width -> torchvision's name"""


def axes(shapes: Shapes, key: str, count: int) -> list[int]:
    """The first sizes of a tensor.

    Raises:
        ValueError: for a tensor that the file lacks, and for one with fewer axes or without values.
    """
    if key not in shapes:
        raise ValueError(
            f"the file lacks {shown(key)!r}, which a network with its other tensors has; it is a part of a file, or of "
            "another network"
        )
    shape = shapes[key]
    if len(shape) < count or 0 in shape:
        raise ValueError(
            f"the shape of {shown(key)!r} is {tuple(shape)}, and such a network has at least "
            f"{count} axes there, none of length 0; the file is of another network"
        )
    return [int(size) for size in shape[:count]]


def refuse_useless(options: Mapping[str, object], why: str) -> None:
    """Raise ValueError for options that were given, and that nothing in the file takes."""
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)} does not apply to this file, {why}; leave it out")


def resnet_origin(
    shapes: Shapes,
    *,
    stride: Stride = "3x3",
    last_stride: Literal[1, 2] = 2,
    pool: Mapping[str, Any] | None = None,
    replaced: tuple[str, ...] = (),
) -> Origin:
    """The ResNet whose tensors have these names (torchvision's) and shapes.

    Args:
        shapes: of the backbone alone, with consecutive residual blocks.
        stride, last_stride, pool: what shapes do not show, see `shaped_resnet`.
        replaced: modules that the file has no tensors of; `fc` is seen.

    Raises:
        ValueError: for shapes of another network.
    """
    missing = [key for key in ("conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight") if key not in shapes]
    if missing:
        raise ValueError(
            f"the backbone of this file has no {quoted(missing)}, so it is not a ResNet with the names of torchvision "
            f"(it has {listed(shapes, most=3)}); convert its blocks alone with wf.convert.block"
        )
    layers = [len(residuals(shapes, stage)) for stage in STAGES]
    residual = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
    inner, each = axes(shapes, "layer1.0.conv2.weight", 2)
    groups = max(inner // each, 1)
    width = inner // groups
    classes = axes(shapes, "fc.weight", 1)[0] if "fc.weight" in shapes else 1000
    if not any(key.startswith("fc.") for key in shapes):
        replaced = tuple(dict.fromkeys((*replaced, "fc")))
    name = TORCHVISION.get((residual, tuple(layers), groups, width))
    if name is not None and (stride, last_stride, pool) == ("3x3", 2, None):
        return Origin("torchvision", name, {"num_classes": classes}, replaced)
    arguments: dict[str, Any] = {"layers": [max(count, 1) for count in layers], "num_classes": classes}
    given = {"residual": residual, "groups": groups, "width": width, "stride": stride, "last_stride": last_stride}
    defaults = {"residual": "bottleneck", "groups": 1, "width": 64, "stride": "3x3", "last_stride": 2}
    arguments |= {key: value for key, value in given.items() if value != defaults[key]}
    return Origin("wholeframe", "ResNet", arguments | ({} if pool is None else {"pool": dict(pool)}), replaced)


def residuals(shapes: Shapes, stage: str) -> list[int]:
    """The numbers of the modules of a stage."""
    found = {match[1] for key in shapes if (match := re.match(rf"{re.escape(stage)}\.(\d+)\.", key))}
    return sorted(map(int, found))


def displaced(shapes: Shapes, stages: tuple[str, ...], mark: str, before: str) -> tuple[dict[str, str], dict[str, str]]:
    """Where blocks go that the file numbers among the residual blocks, and how it numbers the others.

    Args:
        shapes: of the backbone, without a prefix.
        stages: names of the sequences of residual blocks, in their order.
        mark: the end of a name that only a block has.
        before: the module that precedes the first stage.

    Returns:
        `{theirs: site}` of the blocks, and `{theirs: ours}` of the residual blocks, without a point at the end.

    Raises:
        ValueError: for two blocks in a row, because a site holds one.
    """
    sites: dict[str, str] = {}
    others: dict[str, str] = {}
    last = before
    for stage in stages:
        kept = 0
        for number in residuals(shapes, stage):
            theirs = f"{stage}.{number}"
            if f"{theirs}.{mark}" not in shapes:
                last = others[theirs] = f"{stage}.{kept}"
                kept += 1
                continue
            if last in sites.values():
                raise ValueError(
                    f"the file has two blocks in a row at {theirs!r}, and a site holds one; convert each of them with "
                    "wf.convert.block and insert them as one nn.Sequential"
                )
            sites[theirs] = last
    return sites, others


def renumbered(shapes: Shapes, others: Mapping[str, str], blocks: Iterable[str]) -> dict[str, torch.Size]:
    """The shapes of the backbone alone, by our names."""
    kept: dict[str, torch.Size] = {}
    theirs = tuple(f"{block}." for block in blocks)
    for key, shape in shapes.items():
        if not key.startswith(theirs):
            residual = ".".join(key.split(".")[:2])
            kept[others[residual] + key.removeprefix(residual) if residual in others else key] = shape
    return kept
