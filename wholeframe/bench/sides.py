"""The networks of one comparison: ours, its plain backbone, and the same network of a peer, with equal weights."""

import copy
import importlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe import convert
from wholeframe.bench.case import PEERS, enliven
from wholeframe.bench.network_cases import NetworkCase, Peer, refuse_plain
from wholeframe.surgery.insert import remove
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.record import Placement, blocks_of


@dataclass(frozen=True)
class Sides:
    """The networks of one comparison.

    Args:
        ours: the network with our blocks.
        plain: the same network without them.
        peer: the same network with the peer's blocks; None where there is no peer, or it is not installed.
        missing: the package that is not installed; None where there is no peer, or it is installed.
        difference: the largest difference between the outputs of ours and of the peer, over what blocks add to the
            output of the plain backbone; None without a peer.
    """

    ours: nn.Module
    plain: nn.Module
    peer: nn.Module | None
    missing: str | None
    difference: float | None

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Those that run, by name."""
        return {"ours": self.ours, "plain": self.plain} | ({} if self.peer is None else {"peer": self.peer})


def build_sides(case: NetworkCase, device: torch.device) -> Sides:
    """Build all networks of a case, with the backbone's weights in each of them and the peer's weights in our blocks.

    Raises:
        ValueError: for a network without inserted blocks.
        ImportError: where the library of the network is not installed.
    """
    ours = case.make()
    refuse_plain(case.name, ours)
    _settle(ours, torch.randn(1, *case.sample))
    plain = copy.deepcopy(ours)
    remove(plain)
    peer, missing, difference = None, None, None
    if case.peer is not None:
        try:
            peer = _with_peer(case.peer, ours, plain)
        except ImportError as error:
            missing = error.name
        else:
            difference = _difference(ours.eval(), peer.eval(), plain.eval(), torch.randn(1, *case.sample))
    for network in (ours, plain, peer):
        if network is not None:
            network.to(device)
    return Sides(ours, plain, peer, missing, difference)


@torch.no_grad()
def _settle(network: nn.Module, x: Tensor) -> None:
    """Take the statistics of one input as the running ones: an untrained norm in eval mode normalises nothing."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _with_peer(peer: Peer, ours: nn.Module, plain: nn.Module) -> nn.Module:
    """The peer's network; our blocks get the weights of its blocks."""
    blocks = blocks_of(ours)
    network = _attached(peer, plain, blocks) if peer.network is None else _own(peer, plain)
    for block in blocks:
        theirs = network.get_submodule(_place(peer, block.site))
        enliven(theirs)
        converted = convert.block(peer.reference, peer.arguments(block.channels), theirs.state_dict())
        ours.get_submodule(f"{block.site}.{CHILD}").load_state_dict(converted.state_dict())
    return network


def _attached(peer: Peer, plain: nn.Module, blocks: tuple[Placement, ...]) -> nn.Module:
    """The peer's blocks after the same sites of the same backbone, as parts of a sequence."""
    make = getattr(importlib.import_module(PEERS[peer.reference]), peer.reference.split(".")[-1])
    network = copy.deepcopy(plain)
    for block in blocks:
        parent, _, child = block.site.rpartition(".")
        site = network.get_submodule(block.site)
        setattr(network.get_submodule(parent), child, nn.Sequential(site, make(**peer.arguments(block.channels))))
    return network


def _own(peer: Peer, plain: nn.Module) -> nn.Module:
    """The peer's own network with the weights of our backbone."""
    assert peer.network is not None
    network = peer.network()
    loaded = network.load_state_dict(plain.state_dict(), strict=False)
    strangers = [key for key in loaded.missing_keys if f".{peer.part}." not in key] + loaded.unexpected_keys
    assert not strangers, f"the backbone of {peer.package} differs from ours: {strangers[:3]}"
    return network


def _place(peer: Peer, site: str) -> str:
    """The name of the peer's block for our site."""
    return f"{site}.1" if peer.network is None else f"{site.rpartition('.')[0]}.{peer.part}"


@torch.no_grad()
def _difference(ours: nn.Module, peer: nn.Module, plain: nn.Module, x: Tensor) -> float:
    theirs = peer(x)
    return float((ours(x) - theirs).abs().max() / (theirs - plain(x)).abs().max())
