"""Files of facebookresearch/SlowFast@287ec00: `{"model_state": ..., "cfg": YAML}`, networks of one pathway.

`s1` is the stem and `s2` to `s5` the stages; residual block i of a stage is `pathway0_res<i>`, and the non-local block
after it `pathway0_nonlocal<i>`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from wholeframe.convert import slowfast
from wholeframe.convert.networks import video
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource, first_match
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Stride
from wholeframe.models.video_conventions import VideoConvention

Instantiation = Literal["softmax", "dot_product"]
SCALES = {"softmax": "1/sqrt(inner)", "dot_product": "1/(number of keys)"}
CONVENTIONS: dict[Any, VideoConvention] = {"i3d": "slowfast", "c2d": "slowfast", "slowonly": "nopool"}
WITHOUT_POOL = ("2d", "c2d_nopool", "i3d_nopool", "slow", "slow_c2d", "slow_i3d")
"""values of `MODEL.ARCH` whose network keeps all frames"""

LONGEST = 10**6
"""characters of a configuration; PySlowFast's have some 10^4"""

BRANCHES = {
    "branch1.": "downsample.0.",
    "branch1_bn.": "downsample.1.",
    **{f"branch2.{letter}.": f"conv{n}." for n, letter in enumerate("abc", 1)},
    **{f"branch2.{letter}_bn.": f"bn{n}." for n, letter in enumerate("abc", 1)},
}
"""names within a residual block"""
PLAIN = {
    "s1.pathway0_stem.conv.": "conv1.",
    "s1.pathway0_stem.bn.": "bn1.",
    **{
        f"s{stage}.pathway0_res*.{theirs}": f"layer{stage - 1}.*.{ours}"
        for stage in (2, 3, 4, 5)
        for theirs, ours in BRANCHES.items()
    },
    **{
        f"s{stage}.pathway0_nonlocal*.{theirs}": f"layer{stage - 1}.*.wholeframe.{ours}"
        for stage in (2, 3, 4, 5)
        for theirs, ours in slowfast.NAMES.items()
    },
    "head.projection.": "fc.",
}
OTHER_HEAD = re.compile(r"head\.(?!projection\.(weight|bias)$)")
NAMES: dict[str, str | None] = {
    # `SubBatchNorm3d` of a training with several clips per device: `bn` has the statistics of all, `split_bn` of parts.
    **{f"{theirs}bn.": ours for theirs, ours in PLAIN.items() if theirs.endswith("bn.")},
    **{f"{theirs}split_bn.": None for theirs in PLAIN if theirs.endswith("bn.")},
    **PLAIN,
}


def plan(
    shapes: Shapes,
    *,
    convention: VideoConvention | None = None,
    stride: Stride = "3x3",
    instantiation: Instantiation = "softmax",
    pool: Sequence[int] | Sequence[Sequence[int]] = (1, 2, 2),
    groups: int | Sequence[int] = 1,
    detector: bool = False,
    last_stride: Literal[1, 2] = 2,
    last_dilation: Literal[1, 2] = 1,
) -> Plan:
    """A network of one pathway.

    Args:
        convention: strides and pools; None for those of its architecture, `"nopool"` for `slow`, else `"slowfast"`.
        stride: `"1x1"` for `RESNET.STRIDE_1X1`.
        instantiation: `NONLOCAL.INSTANTIATION`.
        pool: `NONLOCAL.POOL`, one window or one for each of the four stages.
        groups: `NONLOCAL.GROUP`, the number of groups of frames, or one for each of the four stages.
        detector: `DETECTION.ENABLE`: the head takes regions, and is left.
        last_stride, last_dilation: of res5, in `RESNET.SPATIAL_STRIDES` and `RESNET.SPATIAL_DILATIONS`.
    """
    if second := first_match(r"pathway1_|_fuse\.", shapes):
        raise ValueError(two_pathways(second))
    left = {"head.": "belongs to the head of a detector of actions, which has no counterpart here"} if detector else {}
    left |= {key: "belongs to another head than a linear classifier" for key in shapes if OTHER_HEAD.match(key)}
    ours = {name: shape for name, shape in video.ours(shapes, NAMES).items() if not (detector and name[:3] == "fc.")}
    last = last_stride, last_dilation
    return one_pathway(ours, NAMES, convention, stride, instantiation, pool, groups, left, last)


def two_pathways(name: str) -> str:
    return (
        f"the file has '{name}' of a second pathway; a SlowFast network of two pathways has no counterpart here, only "
        "networks of one (C2D, I3D, Slow)"
    )


def one_pathway(
    ours: Shapes,
    names: Mapping[str, str | None],
    convention: VideoConvention | None,
    stride: Stride,
    instantiation: Instantiation,
    pool: Sequence[int] | Sequence[Sequence[int]],
    groups: int | Sequence[int],
    left: Mapping[str, str] | None = None,
    last: tuple[Literal[1, 2], Literal[1, 2]] = (2, 1),
) -> Plan:
    """The plan of a network with PySlowFast's blocks; see `plan`."""
    video.refuse_images(ours, video.INFLATE)
    one_of("instantiation", instantiation, tuple(SCALES))
    chosen = convention or video.default_convention(ours, CONVENTIONS)
    blocks = {}
    for site, inner in video.blocks_in(ours).items():
        window, count = _of_stage(pool, site), _of_stage(groups, site)
        channels, width = inner["out.weight"][:2]
        block = slowfast.non_local(channels, width, window, instantiation, nonlocal_group=count)
        within = "" if count == 1 else f", {count} groups of frames"
        blocks[site] = block, f"{in_words(instantiation, window)}{within}"
    return video.planned(ours, names, chosen, blocks, stride=stride, last=last, left=left)


def in_words(instantiation: Instantiation, window: Sequence[int]) -> str:
    return f"{instantiation}, scale {SCALES[instantiation]}, keys pooled by {tuple(window)} before phi and g"


def _of_stage(value: Any, site: str) -> Any:
    """The value for the stage of a site (`layer3.1` is of the third): the same for all, or one of four."""
    one = value if isinstance(value, int) else value[0]
    if isinstance(value, int) or (isinstance(one, int) and len(value) == 3):
        return value
    if len(value) != 4:
        raise ValueError(f"{value!r} must be one value for all stages, or a list of four")
    return value[int(site[5]) - 1]


def stated(apart: Mapping[str, object]) -> dict[str, object]:
    """The options in the YAML text `cfg`, as PySlowFast saves it."""
    text = apart.get("cfg")
    cfg = _yaml(text) if isinstance(text, str) and len(text) < LONGEST else None
    if not isinstance(cfg, dict) or not all(isinstance(cfg.get(key), dict) for key in ("RESNET", "MODEL")):
        return {}
    options: dict[str, object] = {"stride": "1x1" if cfg["RESNET"].get("STRIDE_1X1") else "3x3", **_of_res5(cfg)}
    if cfg.get("DETECTION", {}).get("ENABLE"):
        options["detector"] = True
    if arch := cfg["MODEL"].get("ARCH"):
        options["convention"] = "nopool" if arch in WITHOUT_POOL else "slowfast"
    non_local = cfg.get("NONLOCAL", {})
    if "INSTANTIATION" in non_local:
        options["instantiation"] = non_local["INSTANTIATION"]
    if "POOL" in non_local:  # for each stage, for each pathway
        options["pool"] = [pathways[0] for pathways in non_local["POOL"]]
    if "GROUP" in non_local:
        options["groups"] = [pathways[0] for pathways in non_local["GROUP"]]
    return options


def _yaml(text: str) -> Any:
    """The plain data of a YAML text, whose tuples become lists; None for another text."""
    import yaml  # here, because no other source needs it

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_sequence)
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _of_res5(cfg: Mapping[str, Any]) -> dict[str, object]:
    """The stride and the dilation of res5, where they are not the usual ones; ValueError for others elsewhere."""
    options: dict[str, object] = {}
    for key, standard, name in (
        ("SPATIAL_STRIDES", [1, 2, 2, 2], "last_stride"),
        ("SPATIAL_DILATIONS", [1, 1, 1, 1], "last_dilation"),
    ):
        given = cfg["RESNET"].get(key)
        found = standard if given is None else [pathways[0] for pathways in given]
        if len(found) != 4 or found[:3] != standard[:3] or found[3] not in (1, 2):
            raise ValueError(f"its cfg has RESNET.{key} {given}, and here they are {standard}, the last one 1 or 2")
        if found != standard:
            options[name] = found[3]
    return options


SOURCE = WholeSource(
    repository="facebookresearch/SlowFast@287ec00",
    licence="Apache-2.0",
    decisive=(r"^s1\.pathway0_stem\.conv\.weight$", r"^s2\.pathway0_res0\.branch2\.a\.weight$"),
    plan=plan,
    stated=stated,
)
