"""A video ResNet in the names of facebookresearch/SlowFast, with the configuration that its program builds it from."""

import json
from typing import Any

from torch import nn

from wholeframe.blocks import NonLocal
from wholeframe.convert import slowfast as blocks
from wholeframe.convert.networks import slowfast
from wholeframe.convert.targets.draft import Draft, blocks_by_site, residuals, same_for_all, their_state
from wholeframe.messages import quoted
from wholeframe.models.resnet_video import VideoResNet
from wholeframe.models.video_conventions import ARCHITECTURES, Architecture

TARGET = "PySlowFast"
KINDS = {kind: theirs for theirs, kind in blocks.INSTANTIATIONS.items()}
ARCHS: dict[tuple[Architecture, bool], str] = {
    ("c2d", True): "c2d",
    ("c2d", False): "c2d_nopool",
    ("i3d", True): "i3d",
    ("i3d", False): "i3d_nopool",
    ("slowonly", False): "slow",
}
"""temporal kernels, and whether there is a pool over time -> `MODEL.ARCH`"""


def draft(network: nn.Module) -> Draft:
    """The tensors under `model_state`, and a `cfg` with the options that they do not show.

    Raises:
        ValueError: for another network than a `VideoResNet`, other blocks than `NonLocal`, blocks inside a residual
            block, and options that a configuration of PySlowFast does not have.
    """
    if not isinstance(network, VideoResNet):
        raise ValueError(
            f"PySlowFast's networks are video ResNets, and this is a {type(network).__name__}; give a VideoResNet, or "
            "another target"
        )
    found = blocks_by_site(network)
    for site, block in found.items():
        _refuse_block(site, block)
    arch = _arch(network)
    kind = same_for_all((block.kind for block in found.values()), "NONLOCAL.INSTANTIATION", TARGET)
    pools = [_of_stage(found, stage, "pool", 1) for stage in (1, 2, 3, 4)]
    groups = [_of_stage(found, stage, "frame_groups", None) or 1 for stage in (1, 2, 3, 4)]
    options: dict[str, Any] = {
        "convention": "slowfast" if _pools_time(network) else "nopool",
        "stride": "1x1" if residuals(network, 2)[0].conv1.stride[1] == 2 and network.depth >= 50 else "3x3",
        "instantiation": KINDS.get(kind, "softmax"),
        "pool": [list(window(pool)) for pool in pools],
        "groups": groups,
    }
    names = {ours: theirs for theirs, ours in slowfast.NAMES.items() if ours is not None}
    blocks_first = dict(sorted(names.items(), key=lambda pair: ".wholeframe." not in pair[0]))
    ranks = {f"{site}.wholeframe.{layer}.weight": 3 for site in found for layer in ("theta", "phi", "g", "out")}
    state = their_state(network, blocks_first, ranks, TARGET)
    text = _configuration(network, arch, found, options)
    return Draft(state, slowfast.SOURCE, options, {"cfg": text}, "model_state")


def window(pool: int | tuple[int, ...]) -> tuple[int, ...]:
    """A pool in time, height and width."""
    return (1, pool, pool) if isinstance(pool, int) else tuple(pool)


def _refuse_block(site: str, block: nn.Module) -> None:
    if not isinstance(block, NonLocal):
        raise ValueError(
            f"the block at {site!r} is a {type(block).__name__}, and PySlowFast has non-local blocks alone; remove it "
            f"with wf.remove(network, {site!r})"
        )
    if site.count(".") != 1 or not site.startswith("layer"):
        raise ValueError(f"PySlowFast has its blocks after a residual block, such as layer3.1, and this is at {site!r}")
    if block.kind not in KINDS:
        raise ValueError(f"PySlowFast has no kind {block.kind!r} (at {site!r}); it has {quoted(KINDS)}")
    if block.inner != block.channels // 2:
        raise ValueError(
            f"the block at {site!r} is {block.inner} wide inside, and PySlowFast's are half as wide as their map, "
            f"{block.channels // 2} here"
        )
    if block.frames_per_group is not None:
        raise ValueError(
            f"the block at {site!r} has frames_per_group={block.frames_per_group}, and NONLOCAL.GROUP is a number of "
            "groups; build it with frame_groups= for the length of your clips"
        )


def _of_stage(found: dict[str, nn.Module], stage: int, name: str, otherwise: Any) -> Any:
    values = [getattr(block, name) for site, block in found.items() if site.startswith(f"layer{stage}.")]
    shared = same_for_all(map(_hashable, values), f"{name} in a stage", TARGET)
    return otherwise if shared is None else shared


def _hashable(value: Any) -> Any:
    return window(value) if isinstance(value, tuple) else value


def _pools_time(network: VideoResNet) -> bool:
    return isinstance(network.pool2, nn.MaxPool3d)


def _arch(network: VideoResNet) -> str:
    stages = [residuals(network, stage) for stage in (1, 2, 3, 4)]
    kernels = [[residual.conv1.kernel_size[0] == 3 for residual in stage] for stage in stages]
    if network.depth not in (50, 101):
        raise ValueError(f"PySlowFast builds these networks with depths of 50 and 101, and this has {network.depth}")
    for (architecture, pooled), arch in ARCHS.items():
        table = ARCHITECTURES[architecture]
        counts = zip(map(len, stages), table["inflated"], strict=True)
        expected = [[bool(pattern[index % len(pattern)]) for index in range(count)] for count, pattern in counts]
        same = (kernels, network.conv1.kernel_size[0]) == (expected, table["conv1_time"])
        if same and pooled == _pools_time(network):
            return arch
    raise ValueError(
        f"the temporal kernels of this network are those of no MODEL.ARCH of PySlowFast ({quoted(ARCHS.values())}); "
        "its first 1x1 convolutions have 3 frames where VideoResNet.like('slowfast', 'i3d', 50) has them"
    )


def _configuration(network: VideoResNet, arch: str, found: dict[str, nn.Module], options: dict[str, Any]) -> str:
    """The keys of its configuration that decide the network, as YAML."""
    after = [sorted(int(site.split(".")[1]) for site in found if site.startswith(f"layer{s}.")) for s in (1, 2, 3, 4)]
    tree = {
        "MODEL": {"ARCH": arch, "MODEL_NAME": "ResNet", "NUM_CLASSES": network.fc.out_features},
        "RESNET": {
            "DEPTH": network.depth,
            "NUM_BLOCK_TEMP_KERNEL": [[len(residuals(network, stage))] for stage in (1, 2, 3, 4)],
            "SPATIAL_DILATIONS": [[1]] * 4,
            "SPATIAL_STRIDES": [[1], [2], [2], [2]],
            "STRIDE_1X1": options["stride"] == "1x1",
            "TRANS_FUNC": "bottleneck_transform",
        },
        "NONLOCAL": {
            "GROUP": [[count] for count in options["groups"]],
            "INSTANTIATION": options["instantiation"],
            "LOCATION": [[numbers] for numbers in after],
            "POOL": [[pool] for pool in options["pool"]],
        },
    }
    lines = (
        f"{section}:\n" + "".join(f"  {key}: {json.dumps(value)}\n" for key, value in keys.items())
        for section, keys in tree.items()
    )
    return "".join(lines)
