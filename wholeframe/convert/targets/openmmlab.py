"""A network in the names of OpenMMLab: `backbone.` of mmaction2 for clips, of mmdetection and mmpretrain for images.

The blocks are mmcv's: `NonLocal2d`, `NonLocal3d` and `ContextBlock`, and the gate of mmpretrain.
"""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn
from torchvision.models import ResNet

from wholeframe.blocks import GlobalContext, NonLocal, SqueezeExcite
from wholeframe.convert import mmcv, mmpretrain
from wholeframe.convert.networks import mmaction2, mmdetection
from wholeframe.convert.networks import mmpretrain as mmpretrain_files
from wholeframe.convert.targets.draft import Draft, blocks_by_site, residuals, same_for_all, their_state
from wholeframe.messages import listed, quoted
from wholeframe.models.resnet_sites import STAGES
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.video_conventions import VIDEO_CONVENTIONS

TARGET = "OpenMMLab"
MODES = {kind: mode for mode, kind in mmcv.MODES.items()}
CHILDREN = {NonLocal: "nonlocal_block", GlobalContext: "context_block", SqueezeExcite: "se_layer"}
BACKBONE = {"conv1.": "backbone.conv1.", "bn1.": "backbone.bn1.", "layer": "backbone.layer", "fc.": "head.fc."}
STRIDES = {convention: values for values, convention in mmaction2.STRIDES.items()}


def draft(network: nn.Module) -> Draft:
    """The tensors under `state_dict`, and under `meta` a configuration with the options that they do not show.

    Raises:
        ValueError: for another network than a `VideoResNet` or torchvision's ResNet, for blocks that OpenMMLab does not
            have, and for blocks at other places than its own.
    """
    found = blocks_by_site(network)
    if isinstance(network, VideoResNet):
        return _of_clips(network, found)
    if isinstance(network, ResNet):
        return _of_images(network, found)
    raise ValueError(
        f"OpenMMLab's backbones are ResNets of images and of clips, and this is a {type(network).__name__}; give a "
        "ResNet of torchvision, a VideoResNet, or another target"
    )


# --------------------------------------------------------------------------------------------------------------- clips


def _of_clips(network: VideoResNet, found: Mapping[str, nn.Module]) -> Draft:
    names: dict[str, str] = {}
    for site, block in found.items():
        if not isinstance(block, NonLocal) or site.count(".") != 1:
            raise ValueError(
                "mmaction2 has non-local blocks after a residual block, such as layer3.1, and the one at "
                f"{site!r} is a {type(block).__name__}; remove it with wf.remove(network, {site!r})"
            )
        names |= {f"{site}.wholeframe.{o}": f"backbone.{site}.non_local_block.{t}" for o, t in _pairs(block).items()}
    ranks = {f"{site}.wholeframe.{layer}.weight": rank for site in found for layer, rank in _kernels(3).items()}
    table = {
        ours: theirs for theirs, ours in mmaction2.names("backbone.").items() if ours and ".wholeframe." not in ours
    }
    convention = next((c for c in STRIDES if _like(network, c)), None)
    if convention is None:
        raise ValueError(
            f"mmaction2 has the strides and pools of {quoted(STRIDES)}, and this network has others: conv1 with stride "
            f"{network.conv1.stride}, pool1 {network.pool1.kernel_size} with stride {network.pool1.stride} and padding "
            f"{network.pool1.padding}"
        )
    blocks = [block for block in found.values() if isinstance(block, NonLocal)]
    mode = same_for_all((MODES.get(block.kind, block.kind) for block in blocks), "mode", "mmaction2")
    scaled = same_for_all((block.scale is not None for block in blocks), "use_scale", "mmaction2")
    options: dict[str, Any] = {
        "convention": convention,
        "stride": "1x1" if network.depth >= 50 and residuals(network, 2)[0].conv1.stride[1] == 2 else "3x3",
    }
    options |= {"mode": mode, "use_scale": scaled} if mode in ("embedded_gaussian", "dot_product") else {}
    state = their_state(network, {**names, **table}, ranks, "mmaction2")
    return Draft(state, mmaction2.SOURCE, options, {"meta": {"config": _clip_text(network, found, options)}})


def _like(network: VideoResNet, convention: Any) -> bool:
    values = VIDEO_CONVENTIONS[convention]
    pool1, pool2 = network.pool1, network.pool2
    time = _tuple(pool2.kernel_size)[0] if isinstance(pool2, nn.MaxPool3d) else None
    own = (network.conv1.stride, pool1.kernel_size, pool1.stride, pool1.padding, time)
    keys = ("conv1_stride", "pool1", "pool1_stride", "pool1_padding", "pool2")
    return [_tuple(value) for value in own] == [_tuple(values[key]) for key in keys]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _clip_text(network: VideoResNet, found: Mapping[str, nn.Module], options: Mapping[str, Any]) -> str:
    """The backbone in a configuration of mmaction2, Python text."""
    conv1_stride, pool1_stride, pool2 = STRIDES[options["convention"]]
    stages = [residuals(network, stage) for stage in (1, 2, 3, 4)]
    places = tuple(tuple(int(f"layer{s}.{n}" in found) for n in range(len(stage))) for s, stage in enumerate(stages, 1))
    inflate = tuple(
        tuple(int(max(r.conv1.kernel_size[0], r.conv2.kernel_size[0]) > 1) for r in stage) for stage in stages
    )
    whole = any(r.conv2.kernel_size[0] > 1 for stage in stages for r in stage)
    backbone: dict[str, Any] = {
        "type": "ResNet3d",
        "depth": network.depth,
        "conv1_kernel": tuple(network.conv1.kernel_size),
        "conv1_stride_t": conv1_stride,
        "pool1_stride_t": pool1_stride,
        "with_pool2": pool2,
        "inflate": inflate,
        "inflate_style": "3x3x3" if whole else "3x1x1",
        "style": "caffe" if options["stride"] == "1x1" else "pytorch",
    }
    if found:
        block = next(iter(found.values()))
        backbone |= {"non_local": places, "non_local_cfg": _non_local(block)}
    classifier = {"type": "I3DHead", "num_classes": network.fc.out_features, "in_channels": network.fc.in_features}
    return f"model = { ({'type': 'Recognizer3D', 'backbone': backbone, 'cls_head': classifier})!r}\n"


# -------------------------------------------------------------------------------------------------------------- images


def _of_images(network: ResNet, found: Mapping[str, nn.Module]) -> Draft:
    last = "bn3" if hasattr(residuals(network, 1)[0], "bn3") else "bn2"
    names: dict[str, str] = {}
    ranks: dict[str, int] = {}
    for site, block in found.items():
        child = CHILDREN.get(type(block))
        if child is None:
            raise ValueError(
                f"OpenMMLab has no block like the {type(block).__name__} at {site!r}; it has "
                f"{listed(kind.__name__ for kind in CHILDREN)}"
            )
        residual, _, norm = site.rpartition(".")
        if norm != last or residual.count(".") != 1:
            raise ValueError(
                f"OpenMMLab applies its blocks before the residual sum, at layer3.1.{last} for example, and this "
                f"network has one at {site!r}, which is another function"
            )
        pairs = _pairs(block)
        names |= {f"{site}.wholeframe.{ours}": f"backbone.{residual}.{child}.{t}" for ours, t in pairs.items()}
        ranks |= {f"{site}.wholeframe.{part}": axes for part, axes in _axes(block).items()}
    _refuse_parts_of_stages(network, found, last)
    kinds = {type(block) for block in found.values()}
    source = mmpretrain_files.SOURCE if SqueezeExcite in kinds else mmdetection.SOURCE
    if SqueezeExcite in kinds and len(kinds) > 1:
        raise ValueError(
            "OpenMMLab has gates in mmpretrain and the other blocks in mmdetection, and this network has both; remove "
            "the blocks of one kind"
        )
    options: dict[str, Any] = {
        "style": "caffe" if last == "bn3" and residuals(network, 2)[0].conv1.stride[0] == 2 else "pytorch",
        "output_stride": 4 * _stride(network),
    }
    if NonLocal in kinds:
        blocks = [block for block in found.values() if isinstance(block, NonLocal)]
        mode = same_for_all((MODES.get(block.kind, block.kind) for block in blocks), "mode", "a configuration")
        scaled = same_for_all((block.scale is not None for block in blocks), "use_scale", "a configuration")
        options |= {"mode": mode, "use_scale": scaled} if mode in ("embedded_gaussian", "dot_product") else {}
    state = their_state(network, {**names, **BACKBONE}, ranks, "OpenMMLab's ResNet")
    return Draft(state, source, options, {"meta": {"config": _image_text(network, found, options)}})


def _refuse_parts_of_stages(network: ResNet, found: Mapping[str, nn.Module], last: str) -> None:
    """Raise ValueError for stages of which some residual blocks have a block: a configuration names whole stages."""
    for stage in (1, 2, 3, 4):
        every = [f"layer{stage}.{number}.{last}" for number in range(len(residuals(network, stage)))]
        own = [found[site] for site in every if site in found]
        gates = any(isinstance(block, SqueezeExcite) for block in found.values())
        if (own and len(own) < len(every)) or (gates and not own):
            raise ValueError(
                f"a configuration of OpenMMLab gives {'every residual block' if gates else 'every block of a stage'} "
                f"the same block, and of layer{stage} {len(own)} of {len(every)} have one"
            )
        same_for_all((repr(_plugin(block)) for block in own), f"block in layer{stage}", "OpenMMLab")
    if last == "bn2" and any(isinstance(block, SqueezeExcite) for block in found.values()):
        raise ValueError("mmpretrain has gates in ResNets with bottlenecks, and this one has basic blocks")


def _stride(network: ResNet) -> int:
    """By how much the last three stages divide the map."""
    firsts = [residuals(network, stage)[0] for stage in (2, 3, 4)]
    return math.prod(max(first.conv1.stride[0], first.conv2.stride[0]) for first in firsts)


def _image_text(network: ResNet, found: Mapping[str, nn.Module], options: Mapping[str, Any]) -> str:
    """The backbone in a configuration of mmdetection or mmpretrain, Python text."""
    stages = [residuals(network, stage) for stage in (1, 2, 3, 4)]
    layers, basic = tuple(map(len, stages)), not hasattr(residuals(network, 1)[0], "bn3")
    depth = next((depth for depth, counts in STAGES.items() if counts == layers and (depth < 50) == basic), None)
    strides = tuple(max(stage[0].conv1.stride[0], stage[0].conv2.stride[0]) for stage in stages)
    parts = [f"depth={depth}, style={options['style']!r}, strides={strides}"]
    # One entry for each kind of block, with the stages that have it.
    places: dict[str, list[bool]] = {}
    for site, block in found.items():
        places.setdefault(repr(_plugin(block)), [False] * 4)[int(site[5]) - 1] = True
    if any(isinstance(block, SqueezeExcite) for block in found.values()):
        ratio = same_for_all(places, "se_ratio", "mmpretrain")
        return f"model = dict(backbone=dict(type='SEResNet', {parts[0]}, **{ratio}))\n"
    plugins = (f"dict(cfg={cfg}, stages={tuple(s)}, position='after_conv3')" for cfg, s in places.items())
    parts += [f"plugins=[{', '.join(plugins)}]"] if places else []
    return f"model = dict(backbone=dict(type='ResNet', {', '.join(parts)}))\n"


def _plugin(block: nn.Module) -> dict[str, Any]:
    if isinstance(block, NonLocal):
        return {"type": "NonLocal2d", **_non_local(block)}
    if isinstance(block, SqueezeExcite):
        return {"se_ratio": block.channels // _hidden(block.multiply)}
    assert isinstance(block, GlobalContext)
    first = block.add if block.add is not None else block.multiply
    fusions = [f"channel_{name}" for name, part in (("mul", block.multiply), ("add", block.add)) if part is not None]
    pooling = "att" if any(name.startswith("context.") for name, _ in block.named_parameters()) else "avg"
    hidden = _hidden(first)
    ratio = hidden / block.channels
    ratio = ratio if int(block.channels * ratio) == hidden else (hidden + 0.5) / block.channels  # mmcv truncates
    return {"type": "ContextBlock", "ratio": ratio, "pooling_type": pooling, "fusion_types": fusions}


# -------------------------------------------------------------------------------------------------------------- blocks


def _hidden(transform: Any) -> int:
    """The hidden width of a transform."""
    return transform.reduce.out_features


def _non_local(block: nn.Module) -> dict[str, Any]:
    """The arguments of mmcv's block."""
    assert isinstance(block, NonLocal)
    return {
        "mode": MODES.get(block.kind, block.kind),
        "reduction": block.channels // block.inner,
        "use_scale": block.scale is not None,
        "sub_sample": _pools(block),
        "norm_cfg": None if block.norm is None else {"type": "BN"},
    }


def _pools(block: NonLocal) -> bool:
    return block.pool != 1 and (isinstance(block.pool, int) or max(block.pool) > 1)


def _pairs(block: nn.Module) -> dict[str, str]:
    """Prefixes of our block's tensors -> prefixes of theirs; a pooled layer is the first of two."""
    if isinstance(block, SqueezeExcite):
        table: Mapping[str, str] = mmpretrain.NAMES
    else:
        table = mmcv.NON_LOCAL if isinstance(block, NonLocal) else mmcv.CONTEXT
    pooled = isinstance(block, NonLocal) and _pools(block)
    kept = {
        t: o
        for t, o in table.items()
        if t not in (("phi.conv.", "g.conv.") if pooled else ("phi.0.conv.", "g.0.conv."))
    }
    return {ours: theirs for theirs, ours in kept.items()}


def _kernels(rank: int) -> dict[str, int]:
    """The axes of their kernels; the pairs of a concatenation are always an image."""
    return {**dict.fromkeys(("theta", "phi", "g", "out"), rank), "w_f": 2}


def _axes(block: nn.Module) -> dict[str, int]:
    """Our tensors that are kernels over images there, and norms over `[c, 1, 1]`."""
    if isinstance(block, NonLocal):
        return {f"{layer}.weight": axes for layer, axes in _kernels(2).items()}
    parts = (
        "context.logits.weight",
        *(f"{part}.{layer}.weight" for part in ("add", "multiply") for layer in ("reduce", "expand")),
    )
    return dict.fromkeys((*parts, "add.norm.", "multiply.norm."), 2)
