"""jiangtaoxie/fast-MPN-COV: ResNets and VGGs with iSQRT-COV, in each form that its files have.

| form | backbone | reduction | classifier |
|---|---|---|---|
| the ImageNet networks | `conv1.`, `layer1.` | `layer_reduce.`, `layer_reduce_bn.` | `fc.` |
| from scratch | `features.0.`, `features.4.` | `representation.conv_dr_block.` | `classifier.` |
| fine-tuned | `features.0.`, `features.4.` | `features.8.`, `features.9.` | `classifier.` |
| VGG | `features.0.` | `representation.conv_dr_block.` | `classifier.0.` or `classifier.` |
| AlexNet | `features.0.` | `representation.conv_dr_block.` | `classifier.1.` or `classifier.` |
| DenseNet | `features.conv0.` | `representation.conv_dr_block.` | `classifier.` |
| Inception | `features.0.conv.` | `representation.conv_dr_block.` | `classifier.` |

Of the last three the representation alone is converted.

DataParallel puts `module.` after `features.`. The order of the triangle changed in 2018 and no tensor shows it.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from wholeframe.blocks import ISqrtCov
from wholeframe.convert.networks.resnet_shapes import axes, refuse_useless, resnet_origin
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.rename import renamed
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import listed, one_of
from wholeframe.models.origin import Origin

Triangle = Literal["upper", "lower"]
CHILDREN = {"0.": "conv1.", "1.": "bn1.", **{f"{number + 3}.": f"layer{number}." for number in (1, 2, 3, 4)}}
"""the children of a ResNet by their place in `features`"""


def plan(
    shapes: Shapes,
    *,
    triangle: Triangle,
    steps: int = 5,
    last_stride: Literal[1, 2] | None = None,
) -> Plan:
    """The network with `ISqrtCov` in the place of its pooling, and its first classifier in the order `"upper"`.

    Args:
        shapes: of the file's tensors, by name.
        triangle: the order that the classifier was trained in: `"upper"` since 2018-12-26 and in the ImageNet files
            that were uploaded in 2020, `"lower"` before.
        steps: of the matrix square root.
        last_stride: stride of res5: 1 in `mpncovresnet50`, 2 for `resnet50` with this representation; a VGG has none.
            None for 1, unless the file names its architecture.

    Raises:
        ValueError: for a backbone that is neither a ResNet nor a VGG, and for two reductions of the channels.
    """
    one_of("triangle", triangle, ("upper", "lower"))
    features = "features.module." if any(key.startswith("features.module.") for key in shapes) else "features."
    reductions = _reductions(shapes, features)
    given = {"steps": steps, "triangle": "upper"}
    conventions = {"steps of the square root": str(steps), "triangle": f"{triangle}, here upper"}
    pool = {"inner": axes(shapes, f"{reductions[0]}weight", 1)[0] if reductions else None, **given}
    if (other := _other_backbone(shapes, features)) is not None:
        refuse_useless({"last_stride": last_stride}, f"whose backbone is {other}")
        return _alone(shapes, reductions, {**pool, "triangle": triangle}, other, conventions)
    if f"{features}0.weight" in shapes and f"{features}4.0.conv1.weight" not in shapes:
        refuse_useless({"last_stride": last_stride}, "whose backbone is a VGG")
        return _vgg(shapes, features, reductions, pool, triangle, conventions)
    _refuse_average(shapes, reductions)
    names = _reduced(reductions, "avgpool.")
    names |= {f"{features}{theirs}": ours for theirs, ours in CHILDREN.items()} | {"classifier.": "fc."}
    backbone = {renamed(key, names) or key: shape for key, shape in shapes.items()}
    return Plan(
        origin=resnet_origin(backbone, last_stride=last_stride or 1, pool=pool),
        blocks={},
        names={**names, "": ""},
        change=reordered("fc.weight") if triangle == "lower" else None,
        conventions={"stride of res5": str(last_stride or 1), **conventions},
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _other_backbone(shapes: Shapes, features: str) -> str | None:
    """A backbone of the repository that is not built here; None for a ResNet or a VGG."""
    if f"{features}conv0.weight" in shapes:
        return "a DenseNet"
    if f"{features}0.conv.weight" in shapes:
        return "an Inception network"
    return "an AlexNet" if tuple(shapes.get(f"{features}0.weight", ()))[2:] == (11, 11) else None


def _alone(
    shapes: Shapes, reductions: list[str], pool: dict[str, Any], backbone: str, conventions: dict[str, str]
) -> Plan:
    """The representation without its backbone, in the order of the classifier, which is left too."""
    block = ISqrtCov(axes(shapes, f"{reductions[0]}weight", 2)[1], **pool)
    names = _reduced(reductions, "representation.wholeframe.")
    return Plan(
        origin=None,
        blocks={},
        apart={"representation": block},
        names=names,
        left={
            key: f"belongs to {backbone}, which has no counterpart here; the representation alone is converted"
            for key in shapes
            if not key.startswith(tuple(names))
        },
        conventions={**conventions, "triangle": pool["triangle"]},
    )


def reordered(classifier: str) -> Callable[[str, Tensor], Tensor]:
    """A `change` of this tensor alone: its columns from the lower triangle, row by row, to the upper one.

    W_upper[:, place of (i, j) above] = W_lower[:, place of (j, i) below],   i <= j
    """

    def change(name: str, tensor: Tensor) -> Tensor:
        if name != classifier:
            return tensor
        side = (int((8 * tensor.shape[1] + 1) ** 0.5) - 1) // 2
        row, column = torch.triu_indices(side, side)
        return tensor[:, column * (column + 1) // 2 + row]

    return change


def _reductions(shapes: Shapes, features: str) -> list[str]:
    """The prefixes of the convolution and of the norm before the covariance; none without a reduction."""
    forms = (
        ["layer_reduce.", "layer_reduce_bn."],
        ["representation.conv_dr_block.0.", "representation.conv_dr_block.1."],
        [f"{features}8.", f"{features}9."] if f"{features}4.0.conv1.weight" in shapes else ["", ""],
    )
    found = [form for form in forms if form[0] and f"{form[0]}weight" in shapes]
    if len(found) > 1:
        raise ValueError(
            f"the file reduces its channels twice, by {found[0][0]!r} and by {found[1][0]!r}, and ISqrtCov does so "
            "once; convert the representation alone with wf.convert.block('mpncov.MPNCOV', ...)"
        )
    return found[0] if found else []


def _refuse_average(shapes: Shapes, reductions: list[str]) -> None:
    """Raise ValueError for a classifier that does not take the triangle of a covariance."""
    if not any(key.startswith(("fc.", "classifier.")) for key in shapes):
        return  # A file without its classifier has nothing that could contradict.
    name = "fc.weight" if "fc.weight" in shapes else "classifier.weight"
    width = axes(shapes, name, 2)[1]
    side = math.isqrt(2 * width)
    if not reductions and side * (side + 1) // 2 != width:
        raise ValueError(
            f"the classifier of the file takes {width} values, which are not the triangle of a covariance, so "
            "its pooling is not iSQRT-COV; load an average-pooled network with torchvision"
        )


def _reduced(reductions: list[str], place: str) -> dict[str, str]:
    ours = (f"{place}reduce.linear.", f"{place}reduce.norm.")
    return dict(zip(reductions, ours, strict=False))


def _vgg(
    shapes: Shapes,
    features: str,
    reductions: list[str],
    pool: dict[str, Any],
    triangle: Triangle,
    conventions: dict[str, str],
) -> Plan:
    layers, batch_norm = _layers(shapes, features)
    numbers = sorted({int(match[1]) for key in shapes if (match := re.match(r"classifier\.(\d+)\.", key))})
    places = [f"{number}." for number in numbers] or [""]
    classifies = any(key.startswith("classifier.") for key in shapes)
    widths = [axes(shapes, f"classifier.{place}weight", 1)[0] for place in places] if classifies else [1]
    arguments = {"layers": layers, "num_classes": widths[-1], "batch_norm": batch_norm, "hidden": widths[:-1]}
    names = {**_reduced(reductions, "representation."), features: "features.", "classifier.": "classifier."}
    first = f"classifier.{places[0]}weight"
    return Plan(
        origin=Origin("wholeframe", "VGG", {**arguments, "pool": pool}, () if classifies else ("classifier",)),
        blocks={},
        names=names,
        change=reordered(first) if triangle == "lower" else None,
        conventions=conventions,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def _layers(shapes: Shapes, features: str) -> tuple[list[int | str], bool]:
    """The widths of a VGG's convolutions with its maxima, which are where a number between two layers is left over."""
    numbers = {
        int(m[1]): shapes[key] for key in shapes if (m := re.fullmatch(rf"{re.escape(features)}(\d+)\.weight", key))
    }
    convolutions = {number: shape for number, shape in numbers.items() if len(shape) == 4}
    batch_norm = len(convolutions) < len(numbers)
    step = 3 if batch_norm else 2
    layers: list[int | str] = []
    expected = 0
    for number, shape in sorted(convolutions.items()):
        if number == expected + 1:
            layers.append("M")
        elif number != expected or shape[2:] != (3, 3):
            raise ValueError(
                f"the file's backbone is neither a ResNet nor a VGG: its {features}{number} is a convolution of shape "
                f"{tuple(shape)} ({listed(shapes, most=3)}); convert its representation alone with "
                "wf.convert.block('mpncov.MPNCOV', ...)"
            )
        layers.append(shape[0])
        expected = number + step
    return layers, batch_norm


def stated(entries: Mapping[str, object]) -> dict[str, object]:
    """The stride of res5 by the architecture that the training program names in its files."""
    arch = str(entries.get("arch", ""))
    if not re.fullmatch(r"(mpncov)?resnet\d+", arch):
        return {}
    return {"last_stride": 1 if arch.startswith("mpncov") else 2}


SOURCE = WholeSource(
    repository="jiangtaoxie/fast-MPN-COV@c430c78",
    licence="MIT",
    decisive=(r"^(layer_reduce|representation\.conv_dr_block\.0|features\.(module\.)?4\.0\.conv1)\.weight$",),
    excluded=(r"\.conv_for_DR(_spatial)?\.weight$",),
    plan=plan,
    stated=stated,
)
