"""Non-local blocks of two repositories in networks of any kind: found by the names of their tensors.

Their demonstration networks are converted whole. In another network the blocks alone are, because nothing in the file
says how their outputs are used.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from torch import nn

from wholeframe.convert import alexhex7 as alexhex7_block
from wholeframe.convert import tea1528 as tea1528_block
from wholeframe.convert.networks.resnet_shapes import axes, displaced, refuse_useless
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import one_of, quoted
from wholeframe.models.origin import Origin

Mode = Literal["embedded", "dot"]
NO_BACKBONE = "its network is not known here, so the blocks are converted alone"


def alexhex7(shapes: Shapes, *, mode: Mode | None = None) -> Plan:
    """AlexHex7's blocks; its network for digits as a whole.

    Args:
        shapes: of the file's tensors, by name.
        mode: `"embedded"` or `"dot"`, which have the same tensors; the other kinds are seen.

    Raises:
        ValueError: for blocks with theta and phi without a mode, and for a file without blocks.
    """
    prefixes = _prefixes(shapes, r"(.*?)(W\.0|W)\.weight")
    kinds = {prefix: _kind(shapes, prefix, "concat_project.0.weight", mode) for prefix in prefixes}
    _refuse_mode(kinds.values(), mode)
    built = {
        prefix: alexhex7_block.non_local(
            tea1528_block.MODES[kind],
            *reversed(axes(shapes, _g(shapes, prefix), 2)),
            sub_sample=f"{prefix}g.0.weight" in shapes,
            bn_layer=f"{prefix}W.1.weight" in shapes,
        )
        for prefix, kind in kinds.items()
    }
    sites = {f"nl_{number}.": f"conv_{number}.3" for number in (1, 2, 3)}
    digits = {"conv_1.0.weight", "conv_2.0.weight", "conv_3.0.weight", "fc.0.weight", "fc.3.weight"} <= shapes.keys()
    if digits and sites.keys() >= built.keys():
        widths = [axes(shapes, f"conv_{number}.0.weight", 1)[0] for number in (1, 2, 3)]
        hidden, classes = (axes(shapes, f"fc.{number}.weight", 1)[0] for number in (0, 3))
        channels = axes(shapes, "conv_1.0.weight", 2)[1]
        arguments = {"num_classes": classes, "widths": widths, "channels": channels, "hidden": hidden}
        origin = Origin("wholeframe", "DigitNet", arguments)
        places = {prefix: sites[prefix] for prefix in built}
        made = _whole(origin, places, built, alexhex7_block.NAMES, {"": ""})
        return replace(made, input=(channels, 28, 28))
    return _alone(shapes, built, alexhex7_block.NAMES)


def tea1528(shapes: Shapes, *, mode: Mode | None = None) -> Plan:
    """tea1528's blocks; its ResNet for images of 32 x 32 positions as a whole.

    Args:
        shapes: of the file's tensors, by name.
        mode: `"embedded"` or `"dot"`, which have the same tensors; the other kinds are seen.

    Raises:
        ValueError: for blocks with theta and phi without a mode, and for a file without blocks.
    """
    prefixes = _prefixes(shapes, r"(.*?)(W_z\.0|W_z)\.weight")
    kinds = {prefix: _kind(shapes, prefix, "W_f.0.weight", mode) for prefix in prefixes}
    _refuse_mode(kinds.values(), mode)
    built = {
        prefix: tea1528_block.non_local(
            *reversed(axes(shapes, f"{prefix}g.weight", 2)),
            mode=kind,
            bn_layer=f"{prefix}W_z.1.weight" in shapes,
        )
        for prefix, kind in kinds.items()
    }
    stages = ("layer1", "layer2", "layer3")
    small = {"conv1.weight", "bn1.weight", "linear.weight", *(f"{s}.0.conv2.weight" for s in stages)} <= shapes.keys()
    plain = not any(re.match(r"layer(4|\d\.\d+\.(conv3|shortcut))\.", key) for key in shapes)
    if small and plain and all(re.fullmatch(r"layer[123]\.\d+\.", prefix) for prefix in built):
        sites, others = displaced(shapes, stages, "g.weight", "bn1")
        layers = [sum(ours.startswith(f"{stage}.") for ours in others.values()) for stage in stages]
        arguments = {"layers": layers, "num_classes": axes(shapes, "linear.weight", 1)[0]}
        arguments["width"] = axes(shapes, "conv1.weight", 1)[0]
        names = {f"{theirs}.": f"{ours}." for theirs, ours in others.items()} | {"": ""}
        places = {f"{theirs}.": site for theirs, site in sites.items()}
        made = _whole(Origin("wholeframe", "SmallResNet", arguments), places, built, tea1528_block.NAMES, names)
        return replace(made, input=(3, 32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
    return _alone(shapes, built, tea1528_block.NAMES)


def _prefixes(shapes: Shapes, last: str) -> list[str]:
    """What precedes the names of each block: those that have the last layer of one, and g."""
    matches = [match for key in shapes if (match := re.fullmatch(last, key))]
    found = dict.fromkeys(
        match[1] for match in matches if f"{match[1]}g.weight" in shapes or f"{match[1]}g.0.weight" in shapes
    )
    if not found:
        raise ValueError("the file has no block of this source: no layer g and a last layer; give another source=")
    return list(found)


def _g(shapes: Shapes, prefix: str) -> str:
    """The name of the layer g, which is the first of two where it is pooled."""
    return f"{prefix}g.0.weight" if f"{prefix}g.0.weight" in shapes else f"{prefix}g.weight"


def _kind(shapes: Shapes, prefix: str, concatenation: str, mode: Mode | None) -> str:
    """The name of the kind in tea1528's code."""
    one_of("mode", mode, ("embedded", "dot", None))
    if f"{prefix}{concatenation}" in shapes:
        return "concatenate"
    if not any(key.startswith(f"{prefix}theta.") for key in shapes):
        return "gaussian"
    if mode is None:
        place = f" at {prefix.rstrip('.')!r}" if prefix else ""
        raise ValueError(
            f"the file does not show whether its block{place} is an embedded Gaussian or a dot product, which have the "
            "same tensors; give mode='embedded' or mode='dot'"
        )
    return mode


def _refuse_mode(kinds: Iterable[str], mode: Mode | None) -> None:
    found = set(kinds)
    if mode not in found:
        refuse_useless({"mode": mode}, f"whose tensors show that its blocks are of the kind {quoted(sorted(found))}")


def _whole(
    origin: Origin,
    sites: Mapping[str, str],
    built: Mapping[str, nn.Module],
    block_names: Mapping[str, str],
    others: Mapping[str, str],
) -> Plan:
    names = {
        p + theirs: f"{site}.wholeframe.{ours}" for p, site in sites.items() for theirs, ours in block_names.items()
    }
    blocks = {sites[prefix]: block for prefix, block in built.items()}
    return Plan(origin=origin, blocks=blocks, names={**names, **others}, conventions=_said(blocks))


def _alone(shapes: Shapes, built: Mapping[str, nn.Module], block_names: Mapping[str, str]) -> Plan:
    apart = {prefix.rstrip(".") or "block": block for prefix, block in built.items()}
    names = {
        prefix + theirs: f"{prefix.rstrip('.') or 'block'}.wholeframe.{ours}"
        for prefix in built
        for theirs, ours in block_names.items()
    }
    left = {key: NO_BACKBONE for key in shapes if not key.startswith(tuple(names))}
    return Plan(origin=None, blocks={}, names=names, apart=apart, left=left, conventions=_said(apart))


def _said(blocks: Mapping[str, nn.Module]) -> dict[str, str]:
    return {f"the block at {name}": f"kind={block.kind!r}, scale={block.scale!r}" for name, block in blocks.items()}


ALEXHEX7 = WholeSource(
    repository="AlexHex7/Non-local_pytorch@ec15789",
    licence="Apache-2.0",
    decisive=(r"(^|\.)g(\.0)?\.weight$", r"(^|\.)W(\.0)?\.weight$"),
    excluded=(r"(^|\.)(phi|g)\.1\.weight$", r"^cls_head\."),
    plan=alexhex7,
)
TEA1528 = WholeSource(
    repository="tea1528/Non-Local-NN-Pytorch@64c6047",
    licence="MIT",
    decisive=(r"(^|\.)g\.weight$", r"(^|\.)W_z(\.0)?\.weight$"),
    plan=tea1528,
)
