"""Networks without a block that is converted here: what a file of one is, and what to do with it instead."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from wholeframe.messages import in_quotes, listed, shown
from wholeframe.models.resnet_sites import STAGES


@dataclass(frozen=True)
class Kind:
    """Networks that share names.

    Args:
        words: for the message.
        names: regular expressions, each of which matches a name of every such file, under any prefix.
        build: a call that builds one; None where no library that is used here has it with these names.
    """

    words: str
    names: tuple[str, ...]
    build: str | None


RESNET = Kind("a ResNet", (r"layer1\.0\.conv1(\.conv)?\.weight$",), "torchvision.models.resnet50()")
KINDS = (
    Kind("a ResNet for clips", (r"stem\.0\.weight$", r"layer1\.0\.conv1\.0\."), "torchvision.models.video.r3d_18()"),
    RESNET,
    Kind("a ResNet of Detectron2", (r"res2\.0\.conv1\.weight$",), None),
    Kind("a ResNet of Caffe2", (r"res2_0_branch2a_w$",), None),
    Kind("a Swin Transformer", (r"relative_position_bias_table$",), "torchvision.models.swin_t()"),
    Kind("a DenseNet", (r"denseblock1\.denselayer1\.",), "torchvision.models.densenet121()"),
    Kind("an Inception network", (r"Mixed_5b\.|inception3a\.",), "torchvision.models.inception_v3()"),
    Kind("a language model", (r"(word_embeddings|embed_tokens|wte)\.weight$",), None),
    Kind("a vision transformer", (r"(cls_token|class_token)$",), "timm.create_model('vit_base_patch16_224')"),
    Kind(
        "a ConvNeXt",
        (r"stages?\.0\.(blocks\.)?0\.(conv_dw|dwconv)\.weight$|features\.1\.0\.layer_scale$",),
        "torchvision.models.convnext_tiny()",
    ),
    Kind(
        "a MobileNet",
        (r"features\.1\.conv\.0\.0\.weight$|blocks\.0\.0\.conv_dw\.weight$",),
        "torchvision.models.mobilenet_v2()",
    ),
    Kind(
        "a VGG or an AlexNet",
        (r"features\.0\.weight$", r"classifier(\.\d+)?\.weight$"),
        "torchvision.models.vgg16()",
    ),
    Kind("a YOLO network", (r"0\.conv\.weight$", r"1\.conv\.weight$"), None),
)
PARTS = re.compile(r"layer\d+\.\d+\.(conv[123]|bn[123]|(downsample|shortcut)(\.\w+)?)\.")
"""the parts of a residual block; `conv1.conv.` is that of OpenMMLab's programs for clips"""


def plain_network(keys: Collection[str], sources: int) -> str | None:
    """What a file of a network without our blocks is, as the end of a sentence; None for names of another network.

    Args:
        keys: names of its tensors.
        sources: the number of repositories whose blocks were looked for.
    """
    for kind in KINDS:
        found = [_first(name, keys) for name in kind.names]
        if kind is RESNET and found[0]:
            return _resnet(found[0], keys, sources)
        if all(found):
            names = in_quotes(match.string for match in found if match)
            build = f"with its library ({kind.build} is one)" if kind.build else "with the program that wrote the file"
            return f"is {kind.words} ({listed(names)}) {_instead(sources, build, 'the weights')}"
    return None


def _resnet(found: re.Match[str], keys: Collection[str], sources: int) -> str:
    """What a file of a ResNet is, which depth, and the parts in it that are not those of a ResNet."""
    prefix = found.string[: found.start()]
    inside = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    if strange := [key for key in inside if re.match(r"layer\d+\.\d+\.", key) and not PARTS.match(key)]:
        return (
            f"is a ResNet whose residual blocks have parts that none of the {sources} sources has "
            f"({listed(in_quotes(strange), most=3)}); put its blocks together from wf.parts, or convert those that "
            "`wf.convert.SOURCES` has with wf.convert.block"
        )
    depth = _depth(inside)
    words = f"a ResNet-{depth}" if depth else "a ResNet"
    builds = {True: f"timm.create_model('resnet{depth or 50}d')", False: f"torchvision.models.resnet{depth or 50}()"}
    build = builds["conv1.0.weight" in inside]
    if prefix:
        weights = f"the weights whose names begin with '{shown(prefix)}', without this prefix,"
        return f"is {words} ('{shown(found.string)}') {_instead(sources, f'with {build}', weights)}"
    does = "; `wholeframe train --weights FILE` does all three"
    return f"is {words} ('{shown(found.string)}') {_instead(sources, f'with {build}', 'the weights')}{does}"


def _instead(sources: int, build: str, weights: str) -> str:
    return (
        f"without a block of any of the {sources} sources, so nothing in it is converted; build the network {build}, "
        f"load {weights} with load_state_dict, and put blocks in with wf.insert"
    )


def _depth(keys: Collection[str]) -> int | None:
    """The depth of a ResNet by the number of its residual blocks; None for numbers that are not published."""
    blocks = {(m[1], m[2]) for key in keys if (m := re.match(r"layer([1-4])\.(\d+)\.", key))}
    layers = tuple(sum(stage == each for each, _ in blocks) for stage in "1234")
    three = any(re.match(r"layer1\.0\.conv3\.", key) for key in keys)
    return next((depth for depth, of in STAGES.items() if of == layers and (depth >= 50) == three), None)


def _first(pattern: str, keys: Collection[str]) -> re.Match[str] | None:
    """The first name with the pattern after a point or at its start."""
    compiled = re.compile(rf"(?:(?<=\.)|^)(?:{pattern})")
    return next((match for key in keys if (match := compiled.search(key))), None)
