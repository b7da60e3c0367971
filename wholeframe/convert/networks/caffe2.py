"""Caffe2 pickles of video networks: facebookresearch/video-nonlocal-net@c253ed5, and those of PySlowFast's zoo.

Both have the same names, `res3_1_branch2a_w` and `nonlocal_conv3_1_theta_w`, so the source has to be given where both
fit. A network that was fine-tuned with a frozen batch norm has the folded scale and bias alone, without `_bn_rm` and
`_bn_riv`, and its non-local blocks have no norm.
"""

from collections.abc import Sequence
from typing import Literal

from wholeframe.blocks import NonLocal
from wholeframe.convert.networks import slowfast, video
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource, first_match
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Stride
from wholeframe.models.video_conventions import VideoConvention

Released = Literal["caffe2_org", "caffe2"]
NORM = {"_s": ".weight", "_b": ".bias", "_rm": ".running_mean", "_riv": ".running_var"}  # riv is the variance itself
LAYER = {"_w": ".weight", "_b": ".bias"}
CONVOLUTIONS = {"branch1": "downsample.0", **{f"branch2{letter}": f"conv{n}" for n, letter in enumerate("abc", 1)}}
NORMS = {"branch1_bn": "downsample.1", **{f"branch2{letter}_bn": f"bn{n}" for n, letter in enumerate("abc", 1)}}

NAMES = {
    "conv1_w": "conv1.weight",
    **{f"res_conv1_bn{suffix}": f"bn1{ours}" for suffix, ours in NORM.items()},
    **{
        f"res{stage}_*_{name}{suffix}": f"layer{stage - 1}.*.{ours}{ending}"
        for stage in (2, 3, 4, 5)
        for table, suffixes in ((CONVOLUTIONS, {"_w": ".weight"}), (NORMS, NORM))
        for name, ours in table.items()
        for suffix, ending in suffixes.items()
    },
    **{
        f"nonlocal_conv{stage}_*_{name}{suffix}": f"layer{stage - 1}.*.wholeframe.{ours}{ending}"
        for stage in (2, 3, 4, 5)
        for name, ours, suffixes in (*((n, n, LAYER) for n in ("theta", "phi", "g", "out")), ("bn", "norm", NORM))
        for suffix, ending in suffixes.items()
    },
    **{f"pred{suffix}": f"fc{ending}" for suffix, ending in LAYER.items()},
}
FAST = r"^t_(res|conv1|pool1)"


def released(
    shapes: Shapes,
    *,
    convention: Released,
    group_size: int | None = None,
    use_softmax: bool = True,
    use_scale: bool = True,
    use_maxpool: bool = True,
) -> Plan:
    """A network of video-nonlocal-net.

    Args:
        convention: `"caffe2_org"` for the 32-frame and 128x1 networks (`resnet_video_org`), `"caffe2"` for 8x8 and 32x4
            (`resnet_video`).
        group_size: frames that attend to each other in res3, 0 for all. None for those of the released networks:
            4 where batch norms are frozen, all elsewhere.
        use_softmax, use_scale, use_maxpool: `NONLOCAL.USE_SOFTMAX` and the like.
    """
    one_of("convention", convention, ("caffe2_org", "caffe2"))
    ours = video.ours(shapes, NAMES)
    frozen = "bn1.running_mean" not in ours
    res3 = (4 if frozen else 0) if group_size is None else group_size
    similarity = "softmax" if use_softmax else "dot product over the number of keys"
    scale = ", scale 1/sqrt(inner)" if use_softmax and use_scale else ""
    pooled = ", keys pooled by (1, 2, 2) before phi and g" if use_maxpool else ""
    blocks = {}
    for site, inner in video.blocks_in(ours).items():
        channels, width = inner["out.weight"][:2]
        group = (res3 or None) if site.startswith("layer2.") else None
        block = NonLocal.like(
            "caffe2",
            channels,
            inner=width,
            kind="embedded_gaussian" if use_softmax else "dot",
            scale="sqrt_dim" if use_softmax and use_scale else None,
            pool=2 if use_maxpool else 1,
            frames_per_group=group,
            norm=_norm(inner),
        )
        frames = "all frames" if group is None else f"groups of {group} frames"
        blocks[site] = block, f"{similarity}{scale}{pooled}, within {frames}"
    return video.planned(ours, NAMES, convention, blocks, frozen=frozen, left=training(shapes))


def _norm(inner: Shapes) -> Literal["bn", "affine"] | None:
    """The norm of a block: with statistics, with the folded scale and bias alone, or none."""
    if "norm.weight" not in inner:
        return None
    return "bn" if "norm.running_mean" in inner else "affine"


def training(shapes: Shapes) -> dict[str, str]:
    """What a training program needs to go on, by name."""
    suffixes, names = ("_momentum", "_grad"), ("lr", "model_iter", "epoch", "cur_epoch")
    return {key: "state of the training" for key in shapes if key.endswith(suffixes) or key in names}


def of_slowfast(
    shapes: Shapes,
    *,
    convention: VideoConvention | None = None,
    stride: Stride = "3x3",
    instantiation: slowfast.Instantiation = "softmax",
    pool: Sequence[int] | Sequence[Sequence[int]] = (1, 2, 2),
    groups: int | Sequence[int] = 1,
) -> Plan:
    """A Caffe2 pickle of PySlowFast's zoo; the options are those of the source `slowfast`."""
    if second := first_match(FAST, shapes):
        raise ValueError(slowfast.two_pathways(second))
    ours = video.ours(shapes, NAMES)
    left = training(shapes)
    return slowfast.one_pathway(ours, NAMES, convention, stride, instantiation, pool, groups, left)


DECISIVE = (r"^conv1_w$", r"^res_conv1_bn_s$", r"^res2_0_branch2a_w$")
AXES = {"conv1_w": 5}
SOURCE = WholeSource(
    repository="facebookresearch/video-nonlocal-net@c253ed5",
    licence="CC-BY-NC-4.0",
    decisive=DECISIVE,
    excluded=(FAST,),
    plan=released,
    axes=AXES,
)
SOURCE_SLOWFAST = WholeSource(
    repository="facebookresearch/SlowFast@287ec00",
    licence="Apache-2.0",
    decisive=(*DECISIVE, r"^res_conv1_bn_rm$"),
    plan=of_slowfast,
    axes=AXES,
)
