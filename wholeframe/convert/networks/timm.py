"""Files of timm's networks with attention that blocks here compute: the network of timm, with our blocks inside.

`stages.0.0.attn.mlp_scale.fc1.weight` becomes `stages.0.0.attn.wholeframe.multiply.reduce.weight`: the module of timm
is replaced by an identity, after which our block runs. Modules without a counterpart stay those of timm.
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from wholeframe.convert import timm_modules
from wholeframe.convert.plan import Plan, Shapes
from wholeframe.convert.whole import WholeSource
from wholeframe.messages import counted, did_you_mean, listed, shown
from wholeframe.models.origin import Origin


def plan(shapes: Shapes, *, network: str | None = None, arguments: Mapping[str, Any] = MappingProxyType({})) -> Plan:
    """A network of timm.

    Args:
        network: its name, which the names of tensors do not show: hundreds of networks of timm share them.
        arguments: of `timm.create_model`, such as `{"output_stride": 8}`. Classes and colours are read from the file.
    """
    if network is None:
        raise ValueError(
            "the names of its tensors are those of many networks of timm; give network= the name of the one, such as "
            "network='gcresnet50t' (`timm.list_models()` lists them)"
        )
    _refuse_network(network)
    theirs = _built(network, arguments)
    prefix = _prefix(shapes, theirs.state_dict())
    outside = {key: f"is outside of '{prefix}', where the network is" for key in shapes if not key.startswith(prefix)}
    shapes = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key not in outside}
    given = {**arguments, **_read(shapes, theirs, arguments)}
    theirs = theirs if given == arguments else _built(network, given)
    found, kept = dict[str, timm_modules.Converted](), dict[str, str]()
    converters = timm_modules.converters(timm_modules.widths(theirs, _config(theirs).get("input_size", (3, 224, 224))))
    for name, module in theirs.named_modules():
        if (convert := converters.get(type(module))) is not None:
            try:
                found[name] = convert(module)
            except ValueError as error:
                kept[name] = str(error)
    if not found:
        why = f": {next(iter(kept.values()))}" if kept else ""
        raise ValueError(
            f"timm's {network!r} with arguments={dict(given)!r} has no attention that a block here computes{why}; give "
            "the network and the arguments of timm.create_model that the file was made with, such as arguments="
            "{'block_args': {'attn_layer': 'gca'}}"
        )
    config = _config(theirs)
    return Plan(
        origin=Origin("timm", network, given, tuple(found)),
        blocks={site: block for site, (block, _) in found.items()},
        names={
            **{
                f"{prefix}{site}.{theirs}": f"{site}.wholeframe.{ours}"
                for site, (_, names) in found.items()
                for theirs, ours in names.items()
            },
            prefix: "",
        },
        left=outside,
        conventions={
            "network": f"timm/{network}",
            **({"modules that stay timm's": f"{counted(len(kept), 'module')} ({listed(kept)})"} if kept else {}),
        },
        mean=_of_colours(config.get("mean"), given),
        std=_of_colours(config.get("std"), given),
    )


def _of_colours(values: tuple[float, ...] | None, arguments: Mapping[str, Any]) -> tuple[float, ...] | None:
    """A normalisation of the published colours; None for a network of other colours, which it is not for."""
    return None if values is None or len(values) != arguments.get("in_chans", len(values)) else values


def _refuse_network(network: str) -> None:
    """Raise ValueError for a name that timm does not have."""
    import timm

    if not timm.is_model(network):
        raise ValueError(
            f"timm has no network '{shown(network)}'{did_you_mean(network, timm.list_models())}; give network= one of "
            "`timm.list_models()`, and convert the blocks of another program's network with wf.convert.block"
        )


def _built(network: str, arguments: Mapping[str, Any]) -> nn.Module:
    import timm

    try:
        with torch.device("meta"):
            return timm.create_model(network, pretrained=False, **arguments)
    except Exception as error:  # of the network's constructor, which can be any
        raise ValueError(
            f"timm.create_model({network!r}, **{dict(arguments)!r}) fails ({type(error).__name__}: {error}); give "
            "arguments= that this network takes"
        ) from error


def _prefix(shapes: Shapes, own: Mapping[str, Any]) -> str:
    """What the file has before the names of the network, of which it has most with this prefix.

    Raises:
        ValueError: two prefixes have the same number of them, as a student and its teacher do.
    """
    counts = Counter[str]()
    for key in shapes:
        name = key
        while name not in own and "." in name:
            name = name.partition(".")[2]
        if name in own:
            counts[key.removesuffix(name)] += 1
    (prefix, most), *others = counts.most_common(2) or [("", 0)]
    if others and others[0][1] == most:
        raise ValueError(
            f"the file holds two networks, whose names begin with '{shown(prefix)}' and '{shown(others[0][0])}'; save "
            "one of them alone"
        )
    return prefix


def _read(shapes: Shapes, theirs: nn.Module, arguments: Mapping[str, Any]) -> dict[str, int]:
    """Classes and colours of the file, where they are not those of the network."""
    own, config = theirs.state_dict(), _config(theirs)
    read: dict[str, int] = {}
    classifier, first = (f"{_first(config.get(key))}.weight" for key in ("classifier", "first_conv"))
    if "num_classes" not in arguments and classifier in own:
        classes = shapes[classifier][0] if classifier in shapes else 0
        read |= {} if classes == own[classifier].shape[0] else {"num_classes": classes}
    if "in_chans" not in arguments and first in own and first in shapes:
        colours = shapes[first][1]
        read |= {} if colours == own[first].shape[1] else {"in_chans": colours}
    return read


def _config(network: nn.Module) -> Mapping[str, Any]:
    config = getattr(network, "pretrained_cfg", None)
    return config if isinstance(config, Mapping) else {}


def _first(names: object) -> str:
    return str(names[0]) if isinstance(names, tuple | list) else str(names)


def stated(entries: Mapping[str, object]) -> dict[str, object]:
    """The network that timm's training program names in its files."""
    return {"network": entries["arch"]} if isinstance(entries.get("arch"), str) else {}


SOURCE = WholeSource(
    repository="huggingface/pytorch-image-models, timm 1.0.31",
    licence="Apache-2.0 (code); that of the weights is on their model card",
    decisive=(
        r"\.(attn|attn_last|se|se_module)\."
        r"(conv_attn|mlp_scale\.fc1|mlp_add\.fc1|fc1|fc|conv|conv_reduce|t|ba\.conv_p|channel\.fc1)\.weight$",
    ),
    excluded=(r"^trunk_output\.", r"^features\."),
    plan=plan,
    stated=stated,
)
