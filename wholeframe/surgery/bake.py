"""The same network without hooks: each site becomes an ordinary module that runs the site and then its block."""

import copy

from torch import nn

from wholeframe.messages import listed
from wholeframe.surgery.baked import Baked, baked_names, old_name
from wholeframe.surgery.children import tell_compiler
from wholeframe.surgery.placement import CHILD, detach, has_block, hook_of
from wholeframe.surgery.probe import refuse_model
from wholeframe.surgery.record import carry


def bake(model: nn.Module) -> nn.Module:
    """A copy of the network in which every block is an ordinary module, for tools that replace, fold or trace layers.

        y = block(site(x))    as one module, instead of a hook on the site

    The output is the same to the bit. The weights of a site at `layer3.4` are at `layer3.4.site` in the copy, and
    those of its block stay at `layer3.4.wholeframe`. `load_state_dict` of the copy takes the old names as well;
    `old_keys` is the table of both.

    Args:
        model: a network with inserted blocks; it stays as it is.

    Returns:
        The copy.

    Raises:
        ValueError: if the model has no blocks, or is compiled or wrapped.
    """
    refuse_model(model)
    baked = copy.deepcopy(model)
    places = {name: site for name, site in baked.named_modules(remove_duplicate=False) if has_block(site)}
    if "" in places:
        raise ValueError("the model itself is the site of a block, and has no parent to hold a module in its place")
    if not places:
        done = baked_names(baked)
        raise ValueError(
            f"the blocks of this model are baked already, at {listed(done)}; take the model as it is"
            if done
            else "the model has no blocks to bake; `wf.insert` them first"
        )
    replaced: dict[nn.Module, Baked] = {}
    for name in sorted(places, key=lambda name: -name.count(".")):  # a site within a site comes first
        site = places[name]
        if site not in replaced:
            hook, block = hook_of(site), site.get_submodule(CHILD)
            assert hook is not None
            detach(site)
            replaced[site] = Baked(site, block, hook)
            carry(site, replaced[site])
        baked.set_submodule(name, replaced[site])
    tell_compiler(baked)
    return baked


def old_keys(baked: nn.Module) -> dict[str, str]:
    """The keys of the network before `bake` -> the keys of the baked network."""
    places = baked_names(baked)
    return {old_name(key, places): key for key in baked.state_dict()}
