"""Files of open-mmlab/mmaction2@4d6c934: `ResNet3d`, `ResNet3dSlowOnly` and `C2D` with a linear classifier.

The non-local block of block i of a stage is inside it, `layer3.1.non_local_block`, and runs after its residual sum.
Which of three functions it computes shows in no tensor, but the file often has its configuration as text.
"""

from collections.abc import Mapping
from typing import Any, Literal

from wholeframe.convert import mmcv
from wholeframe.convert.networks import video
from wholeframe.convert.networks.python_text import literals
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource, first_match
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Stride
from wholeframe.models.video_conventions import VideoConvention

Mode = Literal["embedded_gaussian", "dot_product"]
CONVENTIONS: dict[Any, VideoConvention] = {"i3d": "mmaction2", "c2d": "slowfast", "slowonly": "nopool"}
STRIDES: dict[tuple[Any, ...], VideoConvention] = {
    (2, 2, True): "mmaction2",
    (1, 1, True): "slowfast",
    (1, 1, False): "nopool",
}
"""`conv1_stride_t`, `pool1_stride_t` and `with_pool2` -> our convention"""
DEFAULTS = {"ResNet3d": (2, 2, True), "ResNet3dSlowOnly": (1, 1, False)}
HEADS = ("roi_head", "bbox_head", "neck", "localizer", "shared_head")
BRANCHES = {
    "downsample.conv.": "downsample.0.",
    "downsample.bn.": "downsample.1.",
    **{f"conv{n}.conv.": f"conv{n}." for n in (1, 2, 3)},
    **{f"conv{n}.bn.": f"bn{n}." for n in (1, 2, 3)},
}


def names(prefix: str) -> dict[str, str | None]:
    """The table of names with a prefix of the backbone."""
    return {
        f"{prefix}conv1.conv.": "conv1.",
        f"{prefix}conv1.bn.": "bn1.",
        **{f"{prefix}layer*.*.{theirs}": f"layer*.*.{ours}" for theirs, ours in BRANCHES.items()},
        **{
            f"{prefix}layer*.*.non_local_block.{theirs}": f"layer*.*.wholeframe.{ours}"
            for theirs, ours in mmcv.NON_LOCAL.items()
        },
        "cls_head.fc_cls.": "fc.",
    }


def plan(
    shapes: Shapes,
    *,
    convention: VideoConvention | None = None,
    stride: Stride = "3x3",
    last_stride: video.LastStride | None = None,
    mode: Mode | None = None,
    use_scale: bool | None = None,
) -> Plan:
    """A network of one pathway.

    Args:
        convention: strides and pools; None for those of its architecture: `"mmaction2"` for I3D, `"nopool"` for
            Slow-only. A C2D has no kernels over time, as a network for images, so it has to be named: `"slowfast"`.
        stride: `"1x1"` for `style="caffe"`.
        last_stride: of res5; None for 1 in a detector of actions, which has `roi_head`, and 2 in a classifier.
        mode, use_scale: of `non_local_cfg`, if the network has such blocks and the file has no configuration. The
            published I3D networks have `use_scale=False`.
    """
    if second := first_match(r"(slow|fast)_path\.", shapes):
        raise ValueError(
            f"the file has '{second}' of a second pathway; a SlowFast network of two pathways has no counterpart here, "
            "only networks of one (C2D, I3D, Slow-only)"
        )
    table = names("backbone." if "backbone.conv1.conv.weight" in shapes else "")
    detects = first_match(r"^roi_head\.", shapes) is not None
    step = last_stride or (1 if detects else 2)
    ours = video.ours(shapes, table)
    if convention is None:
        video.refuse_images(ours, "for a C2D give convention='slowfast'; a TSN has no counterpart here")
    chosen = convention or video.default_convention(ours, CONVENTIONS)
    blocks = {}
    for site, inner in video.blocks_in(ours).items():
        pooled = any(f".{site}.non_local_block.g.0." in f".{key}" for key in shapes)
        blocks[site] = _block(inner, pooled, mode, use_scale)
    return video.planned(
        ours, table, chosen, blocks, video.IMAGENET, stride=stride, last=(step, 1), left=_heads(shapes)
    )


def _heads(shapes: Shapes) -> dict[str, str]:
    """The prefixes of what is not a backbone with its linear classifier: other heads, and necks."""
    parts = {key.partition(".")[0] for key in shapes if key.partition(".")[0] in HEADS}
    left = {f"{part}.": f"belongs to {part!r}, which has no counterpart here" for part in sorted(parts)}
    others = {
        key: "is a part of the head that has no counterpart here"
        for key in shapes
        if key.startswith("cls_head.") and not key.startswith("cls_head.fc_cls.")
    }
    return left | others


def _block(inner: Shapes, pooled: bool, mode: Mode | None, use_scale: bool | None) -> tuple[Any, str]:
    """A block, and the assumptions about it in words."""
    channels, width = inner["out.weight"][:2]
    if "theta.weight" not in inner:
        kind = "gaussian"
    elif "w_f.weight" in inner:
        kind = "concatenation"
    elif mode is None:
        raise ValueError(
            "the tensors do not show which function its non-local blocks compute; give mode='embedded_gaussian' or "
            "mode='dot_product'"
        )
    else:
        one_of("mode", mode, ("embedded_gaussian", "dot_product"))
        kind = mode
    if kind == "embedded_gaussian" and use_scale is None:
        raise ValueError(
            "the tensors do not show whether its non-local blocks scale the softmax; give use_scale=False, as in the "
            "published networks, or use_scale=True, the default of mmcv"
        )
    scaled = bool(use_scale) and kind == "embedded_gaussian"
    block = mmcv.non_local(
        3,
        channels,
        sub_sample=pooled,
        reduction=max(channels // width, 1),
        use_scale=scaled,
        norm_cfg={"type": "BN3d"} if "norm.weight" in inner else None,
        mode=kind,
    )
    scale = ", scale 1/sqrt(inner)" if scaled else ", no scale" if kind == "embedded_gaussian" else ""
    keys = ", keys pooled by (1, 2, 2) after phi and g" if pooled else ""
    return block, f"{kind}{scale}{keys}"


def stated(apart: Mapping[str, object]) -> dict[str, object]:
    """The options in the configuration, Python text in `meta`."""
    meta = apart.get("meta")
    texts = [meta.get(key) for key in ("config", "cfg")] if isinstance(meta, Mapping) else []
    text = next((text for text in texts if isinstance(text, str)), "")
    model = literals(text).get("model")
    backbone = model.get("backbone") if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping):
        return {}
    options: dict[str, object] = {}
    if "style" in backbone:
        options["stride"] = "1x1" if backbone["style"] == "caffe" else "3x3"
    if "spatial_strides" in backbone:
        options["last_stride"] = _last_stride(backbone)
    if (kind := backbone.get("type")) in DEFAULTS:
        keys = ("conv1_stride_t", "pool1_stride_t", "with_pool2")
        strides = tuple(backbone.get(key, default) for key, default in zip(keys, DEFAULTS[kind], strict=True))
        if strides not in STRIDES:
            raise ValueError(f"its configuration has {keys} = {strides}, and here they are one of {list(STRIDES)}")
        options["convention"] = STRIDES[strides]
    if isinstance(cfg := backbone.get("non_local_cfg"), Mapping):
        mode = cfg.get("mode", "embedded_gaussian")
        if mode in ("embedded_gaussian", "dot_product"):  # The tensors show the others.
            options["mode"] = mode
        options["use_scale"] = cfg.get("use_scale", True)
    return options


def _last_stride(backbone: Mapping[str, Any]) -> int:
    """The stride of res5; ValueError for strides and dilations of a network that is not here."""
    strides, dilations = tuple(backbone["spatial_strides"]), tuple(backbone.get("dilations", (1, 1, 1, 1)))
    if strides not in ((1, 2, 2, 2), (1, 2, 2, 1)) or dilations != (1, 1, 1, 1):
        raise ValueError(
            f"its configuration has spatial_strides={strides} and dilations={dilations}; here they are (1, 2, 2, 2) or "
            "(1, 2, 2, 1), without dilation"
        )
    return strides[3]


SOURCE = WholeSource(
    repository="open-mmlab/mmaction2@4d6c934",
    licence="Apache-2.0",
    decisive=(r"^(backbone\.)?(\w+_path\.)?conv1\.conv\.weight$", r"layer1\.0\.conv1\.conv\.weight$"),
    plan=plan,
    stated=stated,
)
