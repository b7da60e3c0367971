"""A network of timm whose attention our blocks replace, in timm's own names; and a ResNet with a gate in every block.

timm's `seresnet50` is torchvision's ResNet-50 with `SqueezeExcite` before every sum, so `r50_se` has a place there.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torchvision.models import ResNet

from wholeframe.blocks import SqueezeExcite
from wholeframe.convert import timm as blocks
from wholeframe.convert.networks import timm
from wholeframe.convert.rename import theirs
from wholeframe.convert.targets.draft import Draft, blocks_by_site, residuals, their_state
from wholeframe.messages import listed
from wholeframe.models.build import refuse_timm
from wholeframe.models.origin import Origin, origin_of
from wholeframe.models.rebuild import rebuild
from wholeframe.models.resnet_sites import STAGES


def draft(network: nn.Module) -> Draft:
    """The tensors under `state_dict`, and the name of the network under `arch`, as timm's programs write them.

    Raises:
        ValueError: for another network than one of timm, for blocks where timm has no attention, and for attention of
            timm that is missing.
    """
    origin = origin_of(network)
    if isinstance(network, ResNet):
        return _of_torchvision(network, blocks_by_site(network))
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


def _of_torchvision(network: ResNet, found: Mapping[str, nn.Module]) -> Draft:
    """A ResNet with a gate before every residual sum, as timm's `seresnet`."""
    last = "bn3" if hasattr(residuals(network, 1)[0], "bn3") else "bn2"
    layers = tuple(len(residuals(network, stage)) for stage in (1, 2, 3, 4))
    every = {f"layer{stage}.{n}.{last}" for stage, count in enumerate(layers, 1) for n in range(count)}
    gates = {site for site, block in found.items() if isinstance(block, SqueezeExcite)}
    depth = next((d for d, counts in STAGES.items() if counts == layers and (d >= 50) == (last == "bn3")), None)
    if gates != every or gates != found.keys() or depth is None:
        other = next(
            (f"{type(block).__name__} at {site!r}" for site, block in found.items() if site not in gates), None
        )
        has = f"a {other}" if other else f"{len(gates)} gates in {len(every)} residual blocks"
        raise ValueError(
            f"of torchvision's ResNets, timm has those with a SqueezeExcite before every residual sum (seresnet50), "
            f"and this one has {has}; write it for 'mmcv', or build a network of timm with this attention"
        )
    name = f"seresnet{depth}"
    refuse_timm(name)
    table = {ours: theirs for theirs, ours in blocks.SQUEEZE_EXCITE.items()}
    names = {
        f"{site}.wholeframe.{ours}": f"{site.rpartition('.')[0]}.se.{theirs}"
        for site in found
        for ours, theirs in table.items()
    }
    ranks = {f"{site}.wholeframe.multiply.{layer}.weight": 2 for site in found for layer in ("reduce", "expand")}
    state = their_state(network, {**names, "": ""}, ranks, f"timm's {name!r}")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return Draft(state, timm.SOURCE, {"network": name}, {"arch": name}, image=image)
