"""Where a network comes from, found by trial: the builders of its library, until one gives the same modules.

A network that `wf.create_model` or `wholeframe train` built has a record; one that the user built has its class alone.
Every candidate is built on the meta device, gets the blocks and norms of the network, and is compared module by module.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torchvision
from torch import nn

from wholeframe.models.origin import Origin, origin_of
from wholeframe.store.built import bare, dress, on_meta, untrained
from wholeframe.store.structure import difference, lines
from wholeframe.surgery.classifier import classifier
from wholeframe.surgery.norm_kinds import NormKind, norm_kinds
from wholeframe.surgery.record import Placement

VARIANTS: Mapping[str, tuple[bool, ...]] = {"aux_loss": (False, True), "aux_logits": (True, False)}
"""Arguments of torchvision's builders that its published weights set."""

ADVICE = (
    "give origin=Origin(library, name, arguments) of wholeframe.models.origin, or origin='given' for a file that "
    "`wf.load(path, backbone=network)` reads with a backbone that you build"
)


def found_origin(network: nn.Module, placements: tuple[Placement, ...]) -> Origin:
    """The origin whose network has the same modules, once it has the same blocks and norms.

    Raises:
        ValueError: for a network that no known builder makes.
    """
    own, kinds = lines(network), norm_kinds(network)
    misfits: list[str] = []
    for origin in candidates(network):
        fitting, misfit = fitted(origin, network, own, placements, kinds)
        if fitting is not None:
            return fitting
        misfits.append(misfit)
    nearest = f" (tried {len(misfits)}; {misfits[0]})" if misfits else ""
    raise ValueError(
        f"no name is known that builds this {type(network).__name__} of {type(network).__module__}{nearest}; {ADVICE}"
    )


def fitted(
    origin: Origin,
    network: nn.Module,
    own: Mapping[str, str],
    placements: tuple[Placement, ...],
    kinds: Mapping[str, NormKind],
) -> tuple[Origin | None, str]:
    """The origin, with the modules that were replaced by nn.Identity; or None and how its network differs."""
    where = f"in {origin}"
    try:
        built = on_meta(origin)
        built = untrained(origin) if built is None else bare(built)
    except Exception as error:  # A library raises anything for arguments that it does not take.
        return None, f"{origin} cannot be built: {error}"
    modules = dict(built.named_modules())
    identities = [name for name, module in network.named_modules() if type(module) is nn.Identity]
    replaced = [name for name in identities if name in modules and type(modules[name]) is not nn.Identity]
    for name in replaced:
        built.set_submodule(name, nn.Identity())
    try:
        dress(built, placements, kinds)
    except ValueError as error:
        return None, f"{where}, {error}"
    if misfit := difference(own, lines(built), where):
        return None, misfit
    return replace(origin, replaced=tuple(dict.fromkeys([*origin.replaced, *replaced]))), ""


def candidates(network: nn.Module) -> Iterator[Origin]:
    """Origins that may build the network, the most likely one first."""
    counts = widths(network)
    known = origin_of(network)
    if known is not None:
        yield known
        if "num_classes" in known.arguments:  # the classifier may be another one by now
            yield from (replace(known, arguments={**known.arguments, "num_classes": count}) for count in counts)
    if isinstance(getattr(network, "pretrained_cfg", None), dict):
        yield from of_timm(network, counts)
    if type(network).__module__.startswith("torchvision.models."):
        yield from of_torchvision(network, counts)


def of_timm(network: nn.Module, counts: Iterable[int]) -> Iterator[Origin]:
    """Origins of a network that `timm.create_model` built, which keeps its name and tag."""
    config: dict[str, Any] = getattr(network, "pretrained_cfg", {})
    name, tag = config.get("architecture"), config.get("tag")
    if not name:
        return
    stem = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    channels = {} if stem is None or stem.in_channels == 3 else {"in_chans": stem.in_channels}
    size = getattr(getattr(network, "patch_embed", None), "img_size", None)
    usual = tuple(config.get("input_size", ()))[1:]
    sizes: list[dict[str, Any]] = [{"img_size": list(size)}] if size and tuple(size) != usual else []
    for count in dict.fromkeys([getattr(network, "num_classes", 1000), *counts]):
        for further in [{}, *sizes]:
            yield Origin("timm", f"{name}.{tag}" if tag else name, {"num_classes": count, **channels, **further})


def of_torchvision(network: nn.Module, counts: Iterable[int]) -> Iterator[Origin]:
    """Origins of a network of torchvision: the builders in the module of its class."""
    home = type(network).__module__
    for name in torchvision.models.list_models():
        builder = torchvision.models.get_model_builder(name)
        if builder.__module__ != home:
            continue
        takes = inspect.signature(builder).parameters
        fixed: dict[str, Any] = {"weights_backbone": None} if "weights_backbone" in takes else {}
        if home.endswith((".googlenet", ".inception")):  # Their random start is slow, and they warn of it.
            fixed["init_weights"] = False
        options = [{}]
        for key, values in VARIANTS.items():
            if key in takes or (key == "aux_logits" and "init_weights" in fixed):
                options = [{key: value} for value in values]
        for count in counts:
            yield from (Origin("torchvision", name, {"num_classes": count, **fixed, **option}) for option in options)


def widths(network: nn.Module) -> list[int]:
    """Numbers of classes that the network may have: those of its heads, of its last layer, and the usual 1000."""
    said = [getattr(module, "num_classes", None) for module in network.modules()]
    boxes = getattr(getattr(getattr(network, "roi_heads", None), "box_predictor", None), "cls_score", None)
    said.append(getattr(boxes, "out_features", None))
    try:
        last = classifier(network)
        said.append(last.out_features if isinstance(last, nn.Linear) else last.out_channels)
    except ValueError:  # a network without a layer
        pass
    return list(dict.fromkeys(n for n in [*said, 1000] if type(n) is int and n > 0))
