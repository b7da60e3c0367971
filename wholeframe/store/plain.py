"""The network itself, without wrappers and with the names that it had before `wf.bake`."""

import copy

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from wholeframe.surgery.baked import Baked
from wholeframe.surgery.children import tell_compiler
from wholeframe.surgery.folded import is_fused
from wholeframe.surgery.placement import attach, refuse_other
from wholeframe.surgery.record import carry
from wholeframe.surgery.verify import refuse_lost

WRAPPERS = ("DistributedDataParallel", "DataParallel", "AveragedModel", "OptimizedModule")
"""Classes of torch with one network inside, whose forward pass is that of the network."""


def as_plain(network: nn.Module) -> nn.Module:
    """The network inside of wrappers. A baked one is copied and gets its hooks back.

    Raises:
        ValueError: for a network that is sharded, compiled in a part, parametrised or fused, and for a lost block.
        TypeError: for anything but a module.
    """
    refuse_other(network)
    while type(network).__name__ in WRAPPERS and list(network._modules) in (["module"], ["_orig_mod"]):
        network = next(iter(network.children()))
    for name, module in network.named_modules():
        where = f"{name!r} in the network" if name else "the network"
        kind = type(module).__name__
        if kind in WRAPPERS or any(base.__name__.startswith(("FullySharded", "FSDP")) for base in type(module).__mro__):
            raise ValueError(
                f"{where} is wrapped in {kind}; save the network before this part is wrapped, or unwrap it"
            )
        if is_parametrized(module):
            raise ValueError(
                f"{where} is parametrised, so its weights are computed from others; write them down first: "
                "`torch.nn.utils.parametrize.remove_parametrizations(module, 'weight')`"
            )
    refuse_lost(network)
    if is_fused(network):
        raise ValueError(
            "this network is fused for inference, and a file does not describe folded layers; save the network that it "
            "was fused from, and call `wf.fuse` after `wf.load`"
        )
    return _unbaked(network) if any(isinstance(module, Baked) for module in network.modules()) else network


def _unbaked(network: nn.Module) -> nn.Module:
    """A copy in which every baked module is its site again, with the block on a hook."""
    network = copy.deepcopy(network)
    places = {name: m for name, m in network.named_modules(remove_duplicate=False) if isinstance(m, Baked)}
    for name in sorted(places, key=lambda name: -name.count(".")):  # a baked module within another comes first
        baked = places[name]
        attach(baked.site, baked.wholeframe, baked.block_hook.layout, baked.block_hook.output)
        carry(baked, baked.site)
        network.set_submodule(name, baked.site)
    tell_compiler(network)
    return network
