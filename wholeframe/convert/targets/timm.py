"""A network of timm whose attention our blocks replace, in timm's own names."""

import torch
from torch import nn

from wholeframe.convert.networks import timm
from wholeframe.convert.rename import theirs
from wholeframe.convert.targets.draft import Draft, blocks_by_site
from wholeframe.messages import listed
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.rebuild import rebuild


def draft(network: nn.Module) -> Draft:
    """The tensors under `state_dict`, and the name of the network under `arch`, as timm's programs write them.

    Raises:
        ValueError: for another network than one of timm, for blocks where timm has no attention, and for attention of
            timm that is missing.
    """
    origin = origin_of(network)
    if origin is None or origin.library != "timm":
        built = "built elsewhere" if origin is None else f"{origin}"
        raise ValueError(
            f"timm's names are those of its own networks, and this network is {built}; convert a file of timm by "
            "wf.convert.checkpoint, or build the network with wf.create_backbone"
        )
    found = blocks_by_site(network)
    if elsewhere := [site for site in found if site not in origin.replaced]:
        raise ValueError(
            f"timm's {origin.name!r} has no attention at {listed(map(repr, elsewhere), most=3)}; remove these blocks "
            "with wf.remove, or take a network of timm that has attention there"
        )
    with torch.device("meta"):
        own = rebuild(Origin("timm", origin.name, origin.arguments)).state_dict()
        shapes = {name: tensor.shape for name, tensor in own.items()}
        names = timm.plan(shapes, network=origin.name, arguments=origin.arguments).names
    state = {}
    for name, tensor in network.state_dict().items():
        candidates = [key for key in theirs(name, names) if key in own]
        if not candidates:
            raise ValueError(f"timm's {origin.name!r} has no place for {name!r}")
        if tensor.numel() != own[candidates[0]].numel():
            raise ValueError(
                f"{name!r} has shape {tuple(tensor.shape)}, and timm's {origin.name!r} has {candidates[0]!r} of shape "
                f"{tuple(own[candidates[0]].shape)}"
            )
        state[candidates[0]] = tensor.reshape(own[candidates[0]].shape)
    options = {"network": origin.name, "arguments": dict(origin.arguments)}
    return Draft(state, timm.SOURCE, options, {"arch": origin.name})
