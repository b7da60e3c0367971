"""Which module of a network runs now: the key to what each of them costs.

A block counts as one module: what runs in it belongs to it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from wholeframe.blocks import Block


def places(network: nn.Module) -> dict[str, nn.Module]:
    """Every module by its first name, the network itself by "", without the parts of blocks."""
    found: dict[str, nn.Module] = {}
    inside: tuple[str, ...] = ()
    for name, module in network.named_modules():
        if not name.startswith(inside or ("\0",)):
            found[name] = module
            if isinstance(module, Block):
                inside += (f"{name}." if name else "",)
    return found


class Running:
    """The modules that run now, by name, the innermost one last."""

    def __init__(self) -> None:
        self.stack = [""]

    @property
    def innermost(self) -> str:
        """The name of the module whose own code runs."""
        return self.stack[-1]


@contextlib.contextmanager
def running(
    network: nn.Module,
    enter: Callable[[str], None] = lambda _name: None,
    leave: Callable[[str, nn.Module, tuple[Any, ...]], None] = lambda _name, _module, _args: None,
) -> Iterator[Running]:
    """Within this context, follow which module runs. Compiled modules run eagerly, with their parts.

    Args:
        network: hooks are put on its modules, and taken away afterwards.
        enter: called before each run of a module, while its caller is the innermost one.
        leave: called after it, while the module is the innermost one, with its name, itself and its arguments.
    """
    now = Running()

    def hooks_of(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def before(_module: nn.Module, _args: Any) -> None:
            enter(name)
            now.stack.append(name)

        def after(module: nn.Module, args: tuple[Any, ...], _output: Any) -> None:
            leave(name, module, args)
            now.stack.pop()

        return before, after

    with contextlib.ExitStack() as hooks, torch.compiler.set_stance("force_eager"):
        for name, module in places(network).items():
            before, after = hooks_of(name)
            hooks.enter_context(module.register_forward_pre_hook(before, prepend=True))
            hooks.enter_context(module.register_forward_hook(after))
        yield now
