"""KaiyuYue/cgnl-network.pytorch: ResNets with one block among the residual blocks of res4; classifiers and Mask R-CNN.

A file shows neither the kernel of its CGNL nor the order of the series.
"""

from typing import Any, Literal

from torch import Tensor, nn

from wholeframe.blocks import CGNL
from wholeframe.convert import cgnl
from wholeframe.convert.networks.resnet_shapes import STAGES, axes, displaced, refuse_useless, renumbered, resnet_origin
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Stride

Kernel = Literal["dot", "taylor"]
EPS = 1e-5  # of torch's batch norm
DETECTOR = {  # the first residual stages have the stem in front of them, the last is in the head of a C4 network
    "backbone.body.stem.": "",
    "backbone.body.": "",
    "roi_heads.box.feature_extractor.head.": "",
}


def plan(
    shapes: Shapes,
    *,
    kernel: Kernel | None = None,
    order: int | None = None,
    use_scale: bool | None = None,
    stride: Stride | None = None,
) -> Plan:
    """The ResNet with its block after the residual block that precedes it; later residual blocks get their own number.

    Args:
        shapes: of the file's tensors, by name.
        kernel: `"dot"` for `cgnl` (`SpatialCGNL`), `"taylor"` for `cgnlx` (`SpatialCGNLx`).
        order: of the series of `"taylor"`: 3 in the released networks, 2 by default in the class.
        use_scale: of the block; None for what the released networks have: False for CGNL, True for NL.
        stride: the convolution of a residual block that halves the map; None for 3x3 in classifiers and 1x1,
            maskrcnn-benchmark's default, in detectors.

    Raises:
        ValueError: for a CGNL without a kernel, a series without an order, and a backbone that is not a ResNet.
    """
    detects = any(key.startswith("backbone.body.") for key in shapes)
    parts = DETECTOR if detects else {"": ""}
    inside = {key.removeprefix(part): s for key, s in shapes.items() if (part := _part(key, parts)) is not None}
    sites, others = displaced(inside, STAGES, "t.weight", "maxpool")
    if not any(f"{theirs}.gn.weight" in inside for theirs in sites):
        refuse_useless({"kernel": kernel, "order": order}, "whose block is an NL")
    blocks = {site: _block(inside, theirs, kernel, order, use_scale) for theirs, site in sites.items()}
    names = {f"{theirs}.{t}": f"{site}.wholeframe.{o}" for theirs, site in sites.items() for t, o in cgnl.NAMES.items()}
    names |= {f"{theirs}.": f"{ours}." for theirs, ours in others.items()} | {"": ""}
    backbone = renumbered(inside, others, sites)
    absent = () if any(key.startswith("layer4.") for key in backbone) else ("layer4",)
    halving: Stride = stride or ("1x1" if detects else "3x3")
    conventions = {"stride": f"in the {halving} convolution"}
    conventions |= {f"the {type(block).__name__} at {site}": _said(block) for site, block in blocks.items()}
    if detects:
        conventions["batch norm"] = f"without epsilon: the variances are smaller by {EPS:g}, which ours adds"
    else:
        conventions["dropout"] = "of 0.5 before fc while training, not here"
    return Plan(
        origin=resnet_origin(backbone, stride=halving, replaced=absent),
        blocks=blocks,
        names={part + theirs: ours for part in parts for theirs, ours in names.items()},
        change=_without_epsilon if detects else None,
        left={key: "a part of the detector around its backbone" for key in shapes if _part(key, parts) is None},
        conventions=conventions,
        mean=None if detects else (0.485, 0.456, 0.406),
        std=None if detects else (0.229, 0.224, 0.225),
    )


def _part(key: str, parts: dict[str, str]) -> str | None:
    """What precedes the name of a ResNet's tensor; None for a tensor of something else."""
    return next((part for part in parts if key.startswith(part)), None)


def _block(shapes: Shapes, theirs: str, kernel: Kernel | None, order: int | None, use_scale: bool | None) -> nn.Module:
    planes, inplanes = axes(shapes, f"{theirs}.t.weight", 2)
    given: dict[str, Any] = {"inplanes": inplanes, "planes": planes}
    if f"{theirs}.gn.weight" not in shapes:
        return cgnl.non_local(**given, use_scale=True if use_scale is None else use_scale)
    if kernel is None:
        raise ValueError(
            f"the file does not show which kernel its block at {theirs!r} has, and both have the same tensors; give "
            "kernel='dot' for cgnl, or kernel='taylor' with order=3 for the released cgnlx"
        )
    one_of("kernel", kernel, ("dot", "taylor"))
    given |= {"groups": max(planes // axes(shapes, f"{theirs}.z.weight", 2)[1], 1), "use_scale": bool(use_scale)}
    if kernel == "dot":
        if order is not None:
            raise ValueError(f"order={order} does not apply to kernel='dot', which has no series; leave it out")
        return cgnl.cgnl_dot(**given)
    if order is None:
        raise ValueError(
            f"the file does not show the order of the series at {theirs!r}; give order=3, which the released networks "
            "have, or order=2, the default of the class SpatialCGNLx"
        )
    return cgnl.cgnl_taylor(**given, order=order)


def _said(block: nn.Module) -> str:
    """The options that the file does not show."""
    assert isinstance(block, nn.Module)
    said = f"scale={block.scale!r}"
    if isinstance(block, CGNL):
        said = f"kernel={block.kernel!r}, {said}" + (f", order={block.order}" if block.kernel == "taylor" else "")
    return said


def _without_epsilon(name: str, tensor: Tensor) -> Tensor:
    """The variance v - eps, for which 1 / sqrt((v - eps) + eps) is the 1 / sqrt(v) of maskrcnn-benchmark."""
    frozen = name.endswith(".running_var") and ".wholeframe." not in name
    return (tensor.double() - EPS).to(tensor.dtype) if frozen else tensor


START = r"^(backbone\.body\.|roi_heads\..*\.)?layer\d\.\d+\."
"""of a block in a classifier, in a detector, and in the last stage of a detector"""

SOURCE = WholeSource(
    repository="KaiyuYue/cgnl-network.pytorch@33e348b",
    licence="MIT",
    decisive=(rf"{START}t\.weight$", rf"{START}p\.weight$", rf"{START}z\.weight$"),
    plan=plan,
)
