"""SE-ResNets under the names of hujie-frank/SENet@0262d43 (Caffe): `conv2_1_1x1_down`, `conv2_1_1x1_up`.

Stage `conv2` is `layer1` of timm's `legacy_seresnet50`, which has Caffe's strides and pooling. A layer is followed by
the name of a tensor in one of three ways: a port to torch (`conv2_1_1x1_reduce_bn.running_mean`), Caffe2's blobs
(`conv2_1_1x1_reduce_bn_rm`), MXNet's (`conv2_1_1x1_reduce_bn_moving_mean`). Slashes may be underscores.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import counted, in_quotes, listed
from wholeframe.models.origin import Origin
from wholeframe.models.resnet_sites import STAGES

LAYERS = {"1x1_reduce": "conv1", "3x3": "conv2", "1x1_increase": "conv3", "1x1_proj": "downsample.0"}
NORMS = {"1x1_reduce": "bn1", "3x3": "bn2", "1x1_increase": "bn3", "1x1_proj": "downsample.1"}
GATES = {"1x1_down": "reduce", "1x1_up": "expand"}
TENSORS = {  # of a convolution or a linear layer
    ".weight": "weight",
    ".bias": "bias",
    "_w": "weight",
    "_b": "bias",
    "_weight": "weight",
    "_bias": "bias",
}
STATISTICS = {  # of a norm, whose own layer or the scaling layer after it has the affine part
    ".weight": "weight",
    ".bias": "bias",
    ".running_mean": "running_mean",
    ".running_var": "running_var",
    ".num_batches_tracked": "num_batches_tracked",
    "_s": "weight",
    "_b": "bias",
    "_rm": "running_mean",
    "_riv": "running_var",
    "_gamma": "weight",
    "_beta": "bias",
    "_moving_mean": "running_mean",
    "_moving_var": "running_var",
}
BLOCK = re.compile(
    r"conv(\d)_(\d+)_(1x1_reduce|3x3|1x1_increase|1x1_proj|1x1_down|1x1_up)(_bn)?(?:_scale)?([._][a-z_]+)$"
)
STEM = re.compile(r"(conv1_7x7_s2|classifier|fc1000)(_bn)?(?:_scale)?([._][a-z_]+)$")


def plan(shapes: Shapes, *, colours: Literal["BGR", "RGB"]) -> Plan:
    """An SE-ResNet or an SE-ResNeXt.

    Args:
        colours: order of the input's channels. Caffe's files take `"BGR"`; ports may have turned the first kernel.
    """
    ours = {key: _renamed(key) for key in shapes}
    if unknown := [key for key, name in ours.items() if name is None]:
        raise ValueError(
            f"it has {counted(len(unknown), 'tensor')} with names that an SE-ResNet of Caffe does not have: "
            f"{listed(in_quotes(unknown), most=3)}"
        )
    names = {key: name for key, name in ours.items() if name is not None}
    found = {name: shapes[key] for key, name in names.items()}
    blocks = {
        site: SqueezeExcite(shape[1], hidden=shape[0])
        for name, shape in found.items()
        for site, _, rest in [name.partition(".wholeframe.")]
        if rest == "multiply.reduce.weight"
    }
    # A name may begin another one (`conv1_7x7_s2_b` begins `conv1_7x7_s2_bn_rm`), so the longest are tried first.
    table: dict[str, str | None] = {key: names[key] for key in sorted(names, key=len, reverse=True)}
    return Plan(
        origin=_origin(found, tuple(blocks)),
        blocks=blocks,
        names=table,
        conventions={
            "strides and pools": "those of timm's legacy SE-ResNets, which are Caffe's",
            "input": f"{colours}, 0 to 255, without the mean (104, 117, 123) of B, G and R",
        },
    )


def _renamed(key: str) -> str | None:
    """Our name of a tensor, or None for an unknown one."""
    flat = key.replace("/", "_")
    if match := BLOCK.match(flat):
        stage, index, layer, norm, tensor = match.groups()
        place = f"layer{int(stage) - 1}.{int(index) - 1}"
        if layer in GATES:
            return _joined(f"{place}.se_module.wholeframe.multiply.{GATES[layer]}", TENSORS, tensor)
        return _joined(f"{place}.{(NORMS if norm else LAYERS)[layer]}", STATISTICS if norm else TENSORS, tensor)
    if match := STEM.match(flat):
        layer, norm, tensor = match.groups()
        if layer == "conv1_7x7_s2":
            return _joined(f"layer0.{'bn1' if norm else 'conv1'}", STATISTICS if norm else TENSORS, tensor)
        return _joined("last_linear", TENSORS, tensor)
    return None


def _joined(layer: str, tensors: Mapping[str, str], tensor: str) -> str | None:
    return f"{layer}.{tensors[tensor]}" if tensor in tensors else None


def _origin(found: Shapes, sites: tuple[str, ...]) -> Origin:
    """timm's network with these shapes."""
    indices = [(int(m[1]), int(m[2])) for name in found if (m := re.match(r"layer(\d)\.(\d+)\.conv1\.weight", name))]
    layers = tuple(sum(stage == s for s, _ in indices) for stage in (1, 2, 3, 4))
    if 0 in layers:
        raise ValueError(f"its stages conv2 to conv5 have {layers} residual blocks, and an SE-ResNet has some in each")
    width, each = found.get("layer1.0.conv2.weight", (64, 64))[:2]
    grouped = width != each
    depth = next((d for d, of in STAGES.items() if of == layers and d >= 50), None)
    names = {False: "legacy_seresnet{}", True: "legacy_seresnext{}_32x4d"}
    classes = found["last_linear.weight"][0] if "last_linear.weight" in found else 0
    arguments: dict[str, Any] = {"num_classes": classes, **({} if depth else {"layers": list(layers)})}
    return Origin("timm", names[grouped].format(depth or 50), arguments, sites)


SOURCE = WholeSource(
    repository="hujie-frank/SENet@0262d43",
    licence="Apache-2.0",
    decisive=(r"^conv\d_\d+_1x1_down[._]", r"^conv\d_\d+_1x1_up[._]"),
    plan=plan,
)
