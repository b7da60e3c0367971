"""What files of mmdetection, mmsegmentation and mmpretrain share: a ResNet under `backbone.`, blocks of mmcv, heads.

A block of mmcv is found by its own tensors, wherever it is. Within a residual block it has a site of the backbone; in a
head or a neck it is a block without a site. The other tensors of heads have no place here.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from wholeframe.convert import mmcv
from wholeframe.convert.networks import image
from wholeframe.convert.networks.image import OutputStride, Read, Style
from wholeframe.convert.networks.python_text import literals
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.rename import renamed
from wholeframe.messages import quoted

Position = Literal["after_conv1", "after_conv2", "after_conv3"]
Mode = Literal["embedded_gaussian", "dot_product"]
STEM = {"stem.0.": "conv1.0.", "stem.1.": "conv1.1.", "stem.3.": "conv1.3.", "stem.4.": "conv1.4."}
DEEP = {**STEM, "stem.6.": "conv1.6.", "stem.7.": "bn1."}
RESIDUAL = re.compile(r"(?:conv[123]\.weight|bn[123]\.\w+|downsample\.\d\.\w+)$")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Found:
    """A block of the file: ours, untrained, and the names of its tensors."""

    block: nn.Module
    channels: int
    names: Mapping[str, str | None]


Finder = Callable[[Shapes], Mapping[str, Found]]


def context_blocks(shapes: Shapes) -> dict[str, Found]:
    """mmcv's `ContextBlock`s by their names in the file."""
    found = {}
    for key in shapes:
        if match := re.match(r"(.+)\.channel_(?:add|mul)_conv\.0\.weight$", key):
            hidden, channels = shapes[key][:2]
            kinds = [kind for kind in ("add", "mul") if f"{match[1]}.channel_{kind}_conv.0.weight" in shapes]
            block = mmcv.context(
                channels,
                (hidden + 0.5) / channels,  # mmcv truncates; half a channel more is truncated to the same
                "att" if f"{match[1]}.conv_mask.weight" in shapes else "avg",
                [f"channel_{kind}" for kind in kinds],
            )
            found[match[1]] = Found(block, channels, mmcv.CONTEXT)
    return found


def assumed_non_local(mode: Mode, use_scale: bool) -> dict[str, str]:
    """What tensors do not show of mmcv's non-local blocks, for `Plan.conventions`."""
    scale = "1/sqrt(inner)" if use_scale and mode == "embedded_gaussian" else "none"
    return {"non-local blocks": f"{mode}, scale {scale}"}


def non_local_blocks(shapes: Shapes, mode: Mode, use_scale: bool) -> dict[str, Found]:
    """mmcv's `NonLocalNd`s by their names in the file.

    Args:
        mode: of those with `theta` and `phi`, where tensors do not show it.
        use_scale: whether an embedded Gaussian is scaled.
    """
    found = {}
    for key, shape in shapes.items():
        if (match := re.match(r"(.+)\.conv_out\.conv\.weight$", key)) and f"{match[1]}.conv_mask.weight" not in shapes:
            name, (channels, inner) = match[1], shape[:2]
            seen = {part for part in mmcv.NON_LOCAL if any(other.startswith(f"{name}.{part}") for other in shapes)}
            block = mmcv.non_local(
                len(shape) - 2,
                channels,
                sub_sample="g.0.conv." in seen,
                reduction=channels // inner,
                use_scale=use_scale,
                norm_cfg={"type": "BN"} if "conv_out.bn." in seen else None,
                mode="gaussian"
                if "theta.conv." not in seen
                else "concatenation"
                if "concat_project.conv." in seen
                else mode,
            )
            found[name] = Found(block, channels, mmcv.NON_LOCAL)
    return found


def plan_of(
    shapes: Shapes,
    found: Mapping[str, Found],
    *,
    style: Style,
    output_stride: OutputStride,
    position: Position | None = None,
    conventions: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of a file with these blocks.

    Args:
        shapes: of its tensors.
        found: its blocks by their names in the file.
        style, output_stride: see `image.backbone`.
        position: of blocks as wide as the 3x3 convolution, which may be applied before it or after it.
        conventions: of the source.
    """
    prefix = "backbone." if any(key.startswith("backbone.") for key in shapes) else ""
    names = {f"{prefix}{theirs}": ours for theirs, ours in {**DEEP, "conv1.": "conv1.", "bn1.": "bn1."}.items()}
    names |= {f"{prefix}layer": "layer", "head.fc." if prefix else "fc.": "fc."}
    places = tuple(f"{name}." for name in found)
    rest = [key for key in shapes if not key.startswith(places)]
    backbone = {ours: shapes[key] for key in rest if (ours := renamed(key, names)) is not None}
    network = image.read(backbone)
    inner = {name: re.fullmatch(re.escape(prefix) + r"(layer\d+\.\d+)\.\w+", name) for name in found}
    residual = {name: match[1] for name, match in inner.items() if match}
    origin = _strange(backbone) or network
    sites = {}
    if isinstance(origin, Read):
        sites = _sites(shapes, found, residual, prefix, origin, position)
        inside = any(site.rpartition(".")[2].startswith("act") for site in sites.values())
        origin = image.backbone(origin, style=style, output_stride=output_stride, inside=inside)
    if isinstance(origin, str):
        return Plan(
            origin=None,
            blocks={},
            apart={name: one.block for name, one in found.items()},
            names=_names_of(found, {}),
            left={key: origin for key in rest},
            conventions=dict(conventions or {}),
        )
    assert isinstance(network, Read)
    usual = style == "pytorch" and network.colours == 3
    return Plan(
        origin=origin,
        blocks={site: found[name].block for name, site in sites.items()},
        apart={name: one.block for name, one in found.items() if name not in sites},
        names={**_names_of(found, sites), **names},
        left={key: _belongs(key) for key in rest if renamed(key, names) is None},
        conventions={**image.geometry(network, style=style, output_stride=output_stride), **(conventions or {})},
        mean=MEAN if usual else None,
        std=STD if usual else None,
    )


def _names_of(found: Mapping[str, Found], sites: Mapping[str, str]) -> dict[str, str | None]:
    """The names of the blocks' tensors, under a site or under the name of the block."""
    return {
        f"{name}.{theirs}": None if ours is None else f"{sites.get(name, name)}.wholeframe.{ours}"
        for name, one in found.items()
        for theirs, ours in one.names.items()
    }


def _belongs(key: str) -> str:
    return f"belongs to '{key.partition('.')[0]}', which has no counterpart here"


def _strange(backbone: Shapes) -> str | None:
    """Why residual blocks have no counterpart here, or None."""
    for key in backbone:
        match = re.match(r"layer\d+\.\d+\.(.+)", key)
        if match and not RESIDUAL.match(match[1]):
            what = "deformable convolutions" if "offset" in key else "group norms" if ".gn" in key else "parts"
            return (
                f"its residual blocks have {what} ('{key}') without a counterpart here; the blocks alone are converted"
            )
    return None


def _sites(
    shapes: Shapes,
    found: Mapping[str, Found],
    residual: Mapping[str, str],
    prefix: str,
    network: Read,
    position: Position | None,
) -> dict[str, str]:
    """The sites of the blocks within residual blocks."""
    sites = {}
    for name, place in residual.items():
        out, width = (shapes[f"{prefix}{place}.conv{n}.weight"][0] for n in (3 if network.bottleneck else 2, 2))
        site = _site(found[name].channels, out, width if network.bottleneck else None, position, name, network)
        if f"{place}.{site}" in sites.values():
            raise ValueError(
                f"two blocks have the place {place}.{site}, the second is '{name}'; mmdetection runs one of the two: "
                "save a file with that one alone"
            )
        sites[name] = f"{place}.{site}"
    return sites


def _site(channels: int, out: int, width: int | None, position: Position | None, name: str, network: Read) -> str:
    """The module of a residual block after which a block with these channels is applied."""
    if channels == out and (width != out or position in (None, "after_conv3")):
        return network.last_norm
    if channels != width:
        raise ValueError(
            f"'{name}' has {channels} channels, and its residual block has maps of {width or out} and {out}"
        )
    if position not in ("after_conv1", "after_conv2"):
        raise ValueError(
            f"'{name}' has {channels} channels, the width of the 3x3 convolution, and tensors do not show on which "
            f"side of it the block is; give position=, one of {quoted(('after_conv1', 'after_conv2'))}"
        )
    return {"after_conv1": "act1", "after_conv2": "act2"}[position]


def stated(entries: Mapping[str, object]) -> dict[str, object]:
    """Options in the configuration that a file of mmcv or mmengine has as text under `meta`."""
    meta = entries.get("meta")
    texts = [meta.get(key) for key in ("config", "cfg")] if isinstance(meta, Mapping) else []
    model = _mapping(literals(next((text for text in texts if isinstance(text, str)), "")).get("model"))
    backbone, head = _mapping(model.get("backbone")), _mapping(model.get("decode_head"))
    plugins = [_mapping(plugin) for plugin in backbone.get("plugins") or ()]
    options: dict[str, object] = {}
    if backbone.get("style") in ("pytorch", "caffe"):
        options["style"] = backbone["style"]
    if "strides" in backbone:
        options["output_stride"] = 4 * math.prod(backbone["strides"])
    positions = {plugin.get("position") for plugin in plugins} - {None}
    if len(positions) == 1:
        options["position"] = positions.pop()
    for block in (head, *(_mapping(plugin.get("cfg")) for plugin in plugins)):
        if block.get("mode") in ("embedded_gaussian", "dot_product"):  # The tensors show the others.
            options["mode"] = block["mode"]
        if "use_scale" in block:
            options["use_scale"] = block["use_scale"]
    return options


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
