"""An image ResNet from the shapes of its tensors: depth, groups, stem and classes are read; strides are not.

The references have the same residual blocks under torchvision's names, or nearly. Their networks are torchvision's
where it has them, those of `wf.create_model` for Caffe's strides, and timm's for stems of three convolutions, averages
in the shortcut, other numbers of blocks, and sites within a residual block.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from wholeframe.convert.plan import Shapes
from wholeframe.messages import one_of
from wholeframe.models.origin import Origin
from wholeframe.models.resnet_sites import STAGES

Style = Literal["pytorch", "caffe"]
OutputStride = Literal[8, 16, 32]
PLANES = (64, 128, 256, 512)


@dataclass(frozen=True)
class Read:
    """What shapes show of a ResNet.

    Args:
        layers: residual blocks in each stage.
        bottleneck: whether they have three convolutions.
        planes: of each stage: the channels of its residual blocks, over 4 for bottlenecks.
        groups, base_width: of the 3x3 convolutions; `base_width` is the width of a group for 64 planes.
        stem: the widths of the stem's convolutions, one or three.
        averaged: whether shortcuts that halve the map average it first (ResNet-D).
        colours: channels of the input.
        classes: None without a classifier.
    """

    layers: tuple[int, ...]
    bottleneck: bool
    planes: tuple[int, ...]
    groups: int
    base_width: int
    stem: tuple[int, ...]
    averaged: bool
    colours: int
    classes: int | None

    @property
    def depth(self) -> int | None:
        """The depth of the ResNet with these blocks; None for numbers of blocks that are not published."""
        return next((d for d, layers in STAGES.items() if layers == self.layers and (d >= 50) == self.bottleneck), None)

    @property
    def last_norm(self) -> str:
        """The name of the norm before the sum, the site of blocks that are applied there."""
        return "bn3" if self.bottleneck else "bn2"

    @property
    def plain(self) -> bool:
        """Whether torchvision has the network."""
        return (
            bool(self.depth)
            and self.planes == PLANES
            and self.stem == (64,)
            and self.colours == 3
            and not self.averaged
        )


def read(shapes: Shapes) -> Read | str:
    """What shapes under torchvision's names show, or why they are not those of a ResNet.

    Raises:
        ValueError: for a ResNet that lacks a tensor which its other residual blocks have.
    """
    found = [re.match(r"layer(\d+)\.(\d+)\.", name) for name in shapes]
    indices = sorted({(int(block[1]), int(block[2])) for block in found if block})
    stages = sorted({stage for stage, _ in indices})
    if stages != [1, 2, 3, 4]:
        return f"its backbone has the stages {stages or 'of other names'}, and a ResNet here has layer1 to layer4"
    bottleneck = any(name.endswith(".conv3.weight") for name in shapes)
    for part in ("conv1.weight", "conv2.weight", "bn1.running_mean", *(["conv3.weight"] if bottleneck else [])):
        names = [f"layer{stage}.{index}.{part}" for stage, index in indices]
        lacking = [name for name in names if not _has_size(shapes, name)]
        if len(lacking) == len(names):
            return f"its residual blocks have no {part!r}, so it is not a ResNet with batch norms"
        if lacking:
            raise ValueError(f"its backbone lacks {lacking[0]!r}, which other residual blocks have; give a whole file")
    if not any(_has_size(shapes, name) for name in ("conv1.weight", "conv1.0.weight")):
        raise ValueError(
            "its backbone lacks 'conv1.weight', or that of a stem of three convolutions; give a whole file"
        )
    last = "conv3" if bottleneck else "conv2"
    out = [shapes[f"layer{stage}.0.{last}.weight"][0] // (4 if bottleneck else 1) for stage in stages]
    width, each = shapes["layer1.0.conv2.weight"][:2]
    deep = [shapes[name][0] for name in ("conv1.0.weight", "conv1.3.weight", "conv1.6.weight") if name in shapes]
    first = "conv1.0.weight" if deep else "conv1.weight"
    return Read(
        layers=tuple(sum(stage == s for s, _ in indices) for stage in stages),
        bottleneck=bottleneck,
        planes=tuple(out),
        groups=width // each if bottleneck else 1,
        base_width=each * 64 // out[0] if bottleneck else 64,
        stem=tuple(deep) or (shapes[first][0],),
        averaged=any(re.search(r"downsample\.1\.weight$", name) and len(shapes[name]) == 4 for name in shapes),
        colours=shapes[first][1],
        classes=shapes["fc.weight"][0] if "fc.weight" in shapes else None,
    )


def _has_size(shapes: Shapes, name: str) -> bool:
    return name in shapes and 0 not in shapes[name]


def backbone(network: Read, *, style: Style, output_stride: OutputStride, inside: bool = False) -> Origin | str:
    """The network with these shapes, or why no library has it.

    Args:
        network: what its shapes show.
        style: the convolution of a bottleneck that halves the map: the 3x3 of `"pytorch"`, or the first of `"caffe"`.
        output_stride: pixels of the input per cell of the last map; below 32 the last stages dilate their kernels
            instead of halving the map, and the first block of a stage has the dilation of the stage before.
        inside: whether a site is within a residual block, where torchvision's blocks share one activation.

    Raises:
        ValueError: for an unknown style or output stride.
    """
    one_of("style", style, ("pytorch", "caffe"))
    one_of("output_stride", output_stride, (8, 16, 32))
    if style == "caffe" and network.bottleneck:
        if not network.plain or inside or output_stride != 32 or (network.groups, network.base_width) != (1, 64):
            return "a ResNet with Caffe's strides is here in its published depths alone, with dense kernels"
        arguments = {"num_classes": network.classes or 1000, "stride": "1x1"}
        return Origin("wholeframe", f"r{network.depth}", arguments, () if network.classes else ("fc",))
    if output_stride != 32 and not network.bottleneck:
        return "a dilated ResNet of basic blocks has no counterpart here"
    if output_stride != 32 and network.averaged:
        return "a dilated ResNet-D has no counterpart here"
    return _torchvision(network, output_stride) if network.plain and not inside else _timm(network, output_stride)


def _torchvision(network: Read, output_stride: int) -> Origin:
    dilated = {32: None, 16: [False, False, True], 8: [False, True, True]}[output_stride]
    arguments: dict[str, Any] = {
        **({"num_classes": network.classes} if network.classes else {}),
        **({} if network.groups == 1 else {"groups": network.groups}),
        **({} if network.base_width == 64 else {"width_per_group": network.base_width}),
        **({} if dilated is None else {"replace_stride_with_dilation": dilated}),
    }
    return Origin("torchvision", f"resnet{network.depth}", arguments, () if network.classes else ("fc",))


def _timm(network: Read, output_stride: int) -> Origin | str:
    width = network.stem[0]
    if network.stem not in ((64,), (width, width, 2 * width)):
        return f"a ResNet with a stem of {network.stem} channels has no counterpart here"
    arguments: dict[str, Any] = {
        "num_classes": network.classes or 0,
        **({} if network.depth else {"layers": list(network.layers)}),
        **({} if network.planes == PLANES else {"channels": list(network.planes)}),
        **({} if network.groups == 1 else {"cardinality": network.groups}),
        **({} if network.base_width == 64 else {"base_width": network.base_width}),
        **({} if len(network.stem) == 1 else {"stem_type": "deep", "stem_width": width}),
        **({"avg_down": True} if network.averaged else {}),
        **({} if network.colours == 3 else {"in_chans": network.colours}),
        **({} if output_stride == 32 else {"output_stride": output_stride}),
    }
    return Origin("timm", f"resnet{network.depth or (50 if network.bottleneck else 18)}", arguments)


def geometry(network: Read, *, style: Style, output_stride: OutputStride) -> dict[str, str]:
    """What the tensors do not show, in words."""
    halving = {"pytorch": "in the 3x3 convolution", "caffe": "in the first 1x1 convolution"}[style]
    return {
        **({"strides of a bottleneck": halving} if network.bottleneck else {}),
        "output stride": str(output_stride),
    }
