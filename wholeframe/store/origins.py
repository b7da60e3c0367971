"""Where a network comes from, found by trial: the builders of its library, until one gives the same modules.

A network that `wf.create_model` or `wholeframe train` built has a record; one that the user built has its class alone.
Every candidate is built on the meta device, gets the blocks and norms of the network, and is compared module by module.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torchvision
from torch import nn

from wholeframe.messages import counted
from wholeframe.models.origin import Origin, origin_of
from wholeframe.store.built import bare, dress, on_meta, untrained
from wholeframe.store.structure import difference, lines, set_settings, settings
from wholeframe.surgery.classifier import classifier
from wholeframe.surgery.norm_kinds import norm_kinds
from wholeframe.surgery.record import Placement

VARIANTS: Mapping[str, tuple[bool, ...]] = {"aux_loss": (False, True), "aux_logits": (True, False)}
"""Arguments of torchvision's builders that its published weights set."""

ADVICE = (
    "give origin=Origin(library, name, arguments) of wholeframe.models.origin, or origin='given' for a file that "
    "`wf.load(path, backbone=network)` reads with a backbone that you build"
)


@dataclass(frozen=True)
class Fit:
    """What a candidate is to a network.

    Args:
        origin: the candidate, with the modules that were replaced by nn.Identity.
        settings: number of modules with attributes of other values, which the file keeps.
        apart: number of modules that differ; 0 for a candidate that fits.
        misfit: the first difference, as a part of a sentence; "" for a candidate that fits.
    """

    origin: Origin
    settings: int = 0
    apart: int = 0
    misfit: str = ""


def found_origin(network: nn.Module, placements: tuple[Placement, ...]) -> Origin:
    """The origin whose network has the same modules, once it has the same blocks, norms and settings.

    Raises:
        ValueError: for a network that no known builder makes.
    """
    fits: list[Fit] = []
    for origin in candidates(network):
        fit = fitted(origin, network, placements)
        fits.append(fit)
        if not fit.apart and (not fit.settings or origin.name == getattr(origin_of(network), "name", None)):
            return fit.origin
    best = min(fits, key=lambda fit: (fit.apart, fit.settings), default=None)
    if best is not None and not best.apart:
        return best.origin
    nearest = f" (the nearest of {counted(len(fits), 'candidate')}: {best.misfit})" if best else ""
    raise ValueError(
        f"no name is known that builds this {type(network).__name__} of {type(network).__module__}{nearest}; {ADVICE}"
    )


def fitted(origin: Origin, network: nn.Module, placements: tuple[Placement, ...]) -> Fit:
    """Build a candidate, give it what the network has, and compare the two."""
    where, all_modules = f"in {origin}", sum(1 for _ in network.modules())
    try:
        built = on_meta(origin)
        built = untrained(origin) if built is None else bare(built)
    except Exception as error:  # A library raises anything for arguments that it does not take.
        return Fit(origin, apart=all_modules, misfit=f"{origin} cannot be built: {error}")
    modules = dict(built.named_modules())
    identities = [name for name, module in network.named_modules() if type(module) is nn.Identity]
    replaced = [name for name in identities if name in modules and type(modules[name]) is not nn.Identity]
    for name in replaced:
        built.set_submodule(name, nn.Identity())
    try:
        dress(built, placements, norm_kinds(network))
    except ValueError as error:
        return Fit(origin, apart=all_modules, misfit=f"{where}, {error}")
    kept = settings(network, built)
    set_settings(built, kept)
    here, there = lines(network), lines(built)
    if misfit := difference(here, there, where):
        apart = sum(here.get(name) != there.get(name) for name in here.keys() | there.keys())
        return Fit(origin, len(kept), apart, misfit)
    return Fit(replace(origin, replaced=tuple(dict.fromkeys([*origin.replaced, *replaced]))), len(kept))


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
    """Origins of a network of torchvision: the builders in the modules of its classes."""
    home = type(network).__module__
    package = home.rpartition(".")[0]
    inside = {type(module).__module__ for module in network.modules()}  # SSDLite has the class of SSD
    homes = {name for name in inside if name.rpartition(".")[0] == package}
    for name in torchvision.models.list_models():
        builder = torchvision.models.get_model_builder(name)
        if builder.__module__ not in homes:
            continue
        takes = inspect.signature(builder).parameters
        fixed: dict[str, Any] = {"weights_backbone": None} if "weights_backbone" in takes else {}
        if home.endswith((".googlenet", ".inception")):  # Their random start is slow, and they warn of it.
            fixed["init_weights"] = False
        options = [{}]
        side = getattr(network, "image_size", None)
        if "image_size" in vars(network) and side != 224:  # a vision transformer
            fixed["image_size"] = side
        for key, values in VARIANTS.items():
            if key in takes or (key == "aux_logits" and "init_weights" in fixed):
                options = [{key: value} for value in values]
        for count in counts:
            yield from (Origin("torchvision", name, {"num_classes": count, **fixed, **option}) for option in options)


def widths(network: nn.Module) -> list[int]:
    """Numbers of classes that the network may have: those of its heads and of its last layer."""
    said = [getattr(module, key, None) for module in network.modules() for key in ("num_classes", "num_columns")]
    boxes = getattr(getattr(getattr(network, "roi_heads", None), "box_predictor", None), "cls_score", None)
    said.append(getattr(boxes, "out_features", None))
    try:
        last = classifier(network)
        said.append(last.out_features if isinstance(last, nn.Linear) else last.out_channels)
    except ValueError:  # a network without a layer
        pass
    return list(dict.fromkeys(n for n in said if type(n) is int and n > 0)) or [1000]
