"""A network from a header: its backbone, its blocks, its norms and its settings, without the values of tensors."""

import contextlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from wholeframe.blocks.recipe import build
from wholeframe.messages import nearest
from wholeframe.models.origin import Origin
from wholeframe.models.rebuild import rebuild
from wholeframe.store.header import Header
from wholeframe.store.structure import set_settings
from wholeframe.store.tensors import Tensors, fill, refuse_misfit, unsaved_buffers
from wholeframe.surgery.insert import as_its_site, remove
from wholeframe.surgery.norm_kinds import NormKind, set_norm_kinds
from wholeframe.surgery.placement import CHILD, attach
from wholeframe.surgery.record import Placement, blocks_of, remember

FETCHED = (
    "weights",
    "weights_backbone",
    "pretrained",
    "pretrained_backbone",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
)
"""Arguments by which a library reads further files or fetches them."""


def built(header: Header, backbone: nn.Module | None = None) -> nn.Module:
    """The network that a header describes, in eval mode, with its blocks and norms; `complete` gives it the rest.

    Args:
        header: of a file.
        backbone: where the header has no origin: the network without blocks, changed in place.

    Raises:
        ValueError: for an origin that cannot be built here, and a site that it lacks.
    """
    network = backbone
    if network is None:
        assert header.origin is not None  # `load` asks the caller for a backbone.
        network = untrained(header.origin)
    dress(network, header.placements, header.norms)
    return network.eval()


def complete(network: nn.Module, header: Header, tensors: Tensors) -> None:
    """Give a network of a header its settings and the tensors of the file."""
    refuse_misfit(network, tensors, header.buffers, str(header.origin or f"the given {header.backbone}"))
    set_settings(network, header.settings)
    fill(network, tensors, header)


def untrained(origin: Origin) -> nn.Module:
    """The backbone of an origin without the blocks that a named network has, as data decide which it has.

    It is built without memory for its weights where nothing but them would lack values.
    """
    refuse_fetched(origin)
    network = on_meta(origin)
    if network is None or not _only_weights_lack_values(network):
        with torch.random.fork_rng(devices=[]):
            network = rebuild(origin)
    return bare(network)


def on_meta(origin: Origin) -> nn.Module | None:
    """The network of an origin on the meta device; None for one whose constructor needs values, or that is unknown."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return rebuild(origin)
    except Exception:  # Constructors compute with their tensors, and fail with any error where these have no values.
        return None


def bare(network: nn.Module) -> nn.Module:
    """The network without its inserted blocks, changed in place."""
    if blocks_of(network):
        remove(network)
    return network


def dress(network: nn.Module, placements: Sequence[Placement], norms: Mapping[str, NormKind]) -> None:
    """Attach the recorded blocks and make the norms what they were.

    Raises:
        ValueError: for a site that the network lacks or that has a block, a recipe that cannot be built, and a norm
            that is not there.
    """
    modules = dict(network.named_modules())
    weight = next(network.parameters(), None)
    for placement in placements:
        site = modules.get(placement.site)
        if site is None:
            raise ValueError(f"the network has no module {placement.site!r}; {nearest(placement.site, modules)}")
        if CHILD in site._modules:
            raise ValueError(f"{placement.site!r} has a block already; give the backbone without its blocks")
        if placement.recipe is None:
            raise ValueError(f"the {placement.block} at {placement.site!r} has no recipe, so it cannot be built")
        with _device_of(weight):
            block = build(placement.recipe)
        if weight is not None:
            block = as_its_site(block, site, nn.Parameter(weight.detach()))
        attach(site, block, placement.layout, placement.output)
    remember(network, {placement.site: placement.channels for placement in placements})
    set_norm_kinds(network, norms)


def refuse_fetched(origin: Origin) -> None:
    """ValueError for arguments by which building the network would read or fetch other files."""
    for name in FETCHED:
        if origin.arguments.get(name) is not None:
            raise ValueError(
                f"the origin {origin} has the argument {name!r}, which fetches weights; leave it out, because the file "
                "has all of them"
            )
    if origin.library == "timm" and ":" in origin.name:
        raise ValueError(f"the origin {origin} names a place to fetch a network from; give the name that timm has")


def versions(header: Header) -> str:
    """Which versions wrote the file, where others are installed, as the end of a sentence."""
    here = {name: installed(name) for name in header.versions}
    differing = [f"{name} {there}, here {here[name]}" for name, there in header.versions.items() if here[name] != there]
    return f" (written with {'; '.join(differing)})" if differing else ""


def installed(package: str) -> str:
    """The version of an installed package, `not installed` without one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _only_weights_lack_values(network: nn.Module) -> bool:
    """Whether all that is on the meta device is in the state dict, which the file fills."""
    if unsaved_buffers(network):
        return False
    for module in network.modules():
        plain = {
            key: value for key, value in vars(module).items() if key not in ("_parameters", "_buffers", "_modules")
        }
        if any(isinstance(leaf, Tensor) and leaf.is_meta for leaf in pytree.tree_leaves(plain)):
            return False
    return True


@contextlib.contextmanager
def _device_of(weight: Tensor | None) -> Iterator[None]:
    """Build on the meta device if the network is there."""
    with torch.device("meta") if weight is not None and weight.is_meta else contextlib.nullcontext():
        yield
