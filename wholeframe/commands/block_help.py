"""The options of a block on the command line: `--block-options NAME=VALUE ...`."""

import inspect
from collections.abc import Mapping, Sequence

from wholeframe.blocks import BLOCKS
from wholeframe.messages import nearest, quoted


def options_of(block: str) -> dict[str, inspect.Parameter]:
    """The arguments of a block, by name; its channels are those of the site."""
    parameters = inspect.signature(BLOCKS[block].block).parameters
    return {name: parameter for name, parameter in parameters.items() if name != "channels"}


def refuse_block_options(block: str | None, options: Mapping[str, object]) -> None:
    """ValueError for an unknown block, options without a block, and options that the block does not have."""
    if block is None:
        if options:
            raise ValueError(
                f"--block-options {quoted(options)} need a block, and this recipe has none of its own; give --block "
                "NAME"
            )
        return
    if block not in BLOCKS:
        raise ValueError(f"there is no block {block!r}; {nearest(block, BLOCKS)}")
    known = options_of(block)
    for name in options:
        if name not in known:
            raise ValueError(f"the block {block!r} has no option {name!r}; it has {', '.join(known)}")


def chosen_block(arguments: Sequence[str], default: str | None) -> str | None:
    """The block in the arguments of a command, or the one of the recipe."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name == "--block":
            default = value if equals else following
    return None if default in (None, "None") else default


def block_help(block: str | None) -> str:
    """The options of a block, one per line, with their types and defaults."""
    if block is None:
        return "--block NAME --help lists the options of a block."
    if block not in BLOCKS:
        return f"there is no block {block!r}; {nearest(block, BLOCKS)}"
    known = options_of(block)
    width = max(map(len, known), default=0)
    lines = [f"  {name:<{width}}  {_said(parameter)}" for name, parameter in known.items()]
    return "\n".join([f"options of the block {block!r}, for --block-options NAME=VALUE:", *lines])


def _said(parameter: inspect.Parameter) -> str:
    default = "required" if parameter.default is parameter.empty else f"default: {parameter.default!r}"
    if parameter.annotation is parameter.empty:
        return f"({default})"
    kind = inspect.formatannotation(parameter.annotation).replace("typing.", "")
    return f"{kind} ({default})"
