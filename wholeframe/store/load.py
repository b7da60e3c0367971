"""`wf.load`: the network of a file that `wf.save` wrote."""

import copy
import os

from torch import nn

from wholeframe.messages import shown
from wholeframe.models.origin import with_origin
from wholeframe.store.built import built, complete, versions
from wholeframe.store.header import Header
from wholeframe.store.read import ATTRIBUTE, read
from wholeframe.store.structure import described, difference
from wholeframe.surgery.record import blocks_of


def load(path: str | os.PathLike[str], backbone: nn.Module | None = None) -> nn.Module:
    """Build the network of a file, with its blocks and weights, on the CPU.

        network = wf.load("birds.safetensors")
        names = network.classes                              # of its outputs

    Nothing in the file is run as code: its header names a network of this package, torchvision or timm, and blocks of
    this package. The checksum in the header covers the header and every tensor.

    Args:
        path: of a file that `wf.save` wrote.
        backbone: where the file says that its backbone has no name: the network without blocks, as it was built. It
            is copied and stays as it is.

    Returns:
        The network in eval mode. Its attribute `classes` has the names of its classes, or None.

    Raises:
        ValueError: for a file that is damaged or that `wf.save` did not write, a backbone where none is needed, none
            where one is, and a library that is missing or builds another network than the file is of.
    """
    header, tensors = read(path)
    name = f"'{shown(path)}'"
    if header.origin is None and backbone is None:
        raise ValueError(
            f"{name} has a {header.backbone} whose backbone has no name; build it and give it: "
            "wf.load(path, backbone=network)"
        )
    if header.origin is not None and backbone is not None:
        raise ValueError(f"{name} names its backbone itself, {header.origin}; leave backbone= out")
    try:
        network = built(header, None if backbone is None else _copied(backbone))
        if header.origin is None:
            _refuse_other(network, header)
        complete(network, header, tensors)
    except Exception as error:  # Libraries raise anything for arguments that this version does not have.
        raise ValueError(f"{name} cannot be built here: {error}{versions(header)}") from error
    if header.origin is not None:
        with_origin(network, header.origin)
    network.__dict__[ATTRIBUTE] = header
    network.__dict__["classes"] = header.classes  # not a module or tensor: the state dict stays as it is
    return network


def _copied(backbone: nn.Module) -> nn.Module:
    if not isinstance(backbone, nn.Module):
        raise ValueError(f"backbone= is a {type(backbone).__name__}; give the network without its blocks")
    if blocks_of(backbone):
        raise ValueError("the given backbone has blocks already; give it as it was before wf.insert")
    return copy.deepcopy(backbone)


def _refuse_other(network: nn.Module, header: Header) -> None:
    """Refuse a backbone that is not the one of the file."""
    here, there = (dict(line.split(": ", 1) for line in each) for each in (described(network), header.modules))
    if misfit := difference(here, there, "in the file"):
        raise ValueError(f"the given backbone is another network: {misfit}")
