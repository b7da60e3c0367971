"""The dicts by which torch.compile tells a network with blocks from one without.

torch.compile keeps its code for a class of networks, and runs it for every network of the class that passes its checks.
By default these have the types of the dicts of children that a forward goes through, and no hooks: a network with
blocks would run the code of one without them, and the blocks would be lost without a word. So the dict of a site, and
that of a module some of whose children are sites, has a type of its own, one for each set of names.
"""

from functools import cache
from typing import Any

from torch import nn

from wholeframe.surgery.placement import CHILD, has_block


class Children(dict[str, nn.Module | None]):
    """The children of a module, of which those of these names have blocks, or are one."""

    names: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy and a pickle have the items apart from the type, which no module has as an attribute."""
        return _empty, (self.names,), None, None, iter(self.items())


@cache
def _kind(names: tuple[str, ...]) -> type[Children]:
    return type("Children", (Children,), {"names": names})


def _empty(names: tuple[str, ...]) -> Children:
    return _kind(names)()


def tell_compiler(model: nn.Module) -> None:
    """Give the dict of children of every module the type that says which of them have blocks, or are one."""
    for module in model.modules():
        children = module._modules
        sites = {name for name, child in children.items() if child is not None and has_block(child)}
        names = tuple(sorted(sites | ({CHILD} if has_block(module) else set())))
        if names != (children.names if isinstance(children, Children) else ()):
            module.__dict__["_modules"] = _kind(names)(children) if names else dict(children)
