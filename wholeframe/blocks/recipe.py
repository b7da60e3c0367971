"""A block as data: the name of its class and the arguments of its constructor, in types that JSON has.

    recipe(NonLocal(64, kind="dot"))  ->  {"block": "NonLocal", "arguments": {"channels": 64, "kind": "dot", ...}}

Every argument is written down, defaults included, so that a recipe still means the same block when a default changes.
A block whose batch norms were frozen afterwards has their names under a third key, `"frozen": ["norm"]`.
Only classes of this package are built from data: reading a checkpoint imports and runs no other code.
"""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from wholeframe.blocks.frozen_norm import Affine
from wholeframe.messages import did_you_mean, refuse_unknown

R = TypeVar("R", bound="Recorded")

BUILT_FROM = {"transform": ("multiply", "add")}
"""constructor argument -> the children that it builds, where they have other names than the argument"""

FUSED = "_fused"
"""attribute of a part of a block whose weights `wf.fuse` has merged"""

SCRIPT_ELSE = (
    "use torch.jit.trace(network, example), torch.export.export(network, (example,)) or torch.compile(network)"
)


class Recorded(nn.Module):
    """A module that keeps the arguments of its constructor, without the callables, which a pickle could not hold."""

    _given: dict[str, Any]
    _callables: tuple[str, ...]

    def __new__(cls: type[R], *args: Any, **kwargs: Any) -> R:  # beartype reads no Self in a single method
        module = nn.Module.__new__(cls)
        given = _bound(cls, module, args, kwargs)
        plain = {name: value for name, value in given.items() if not callable(value)}
        module.__dict__.update(_given=plain, _callables=tuple(given.keys() - plain.keys()))
        return module

    def __prepare_scriptable__(self) -> Any:
        """torch.jit.script calls this on every module before it compiles any, so it refuses here in one sentence."""
        raise NotImplementedError(
            f"torch.jit.script cannot compile the Python of wholeframe's {type(self).__name__}; {SCRIPT_ELSE}"
        )


def recipe(block: nn.Module) -> dict[str, Any]:
    """The class and the constructor arguments of a block or part of this package; `build` makes the same one of it.

    An argument that is a callable, such as `context=`, is described by the part that it built.

    Args:
        block: a block of this package, or a context or transform of `wholeframe.parts`.

    Returns:
        `{"block": class name, "arguments": {name: value}}`, and the names of frozen batch norms under `"frozen"`, if
        there are any. `json.dumps` takes it.

    Raises:
        ValueError: for a module of another package, a part of one, and an argument that JSON cannot hold.
    """
    if any(FUSED in module.__dict__ for module in block.modules()):
        raise ValueError(
            f"this {type(block).__name__} is fused for inference, and no arguments describe its merged weights; take "
            "the block from before `wf.fuse`"
        )
    data = _constructor(block)
    frozen = [name for name, module in block.named_modules() if isinstance(module, Affine) and module.frozen]
    return {**data, "frozen": frozen} if frozen else data


def _constructor(block: nn.Module) -> dict[str, Any]:
    """The class and the arguments, without what happened to the block since."""
    kind = type(block).__name__
    if not isinstance(block, Recorded) or _classes().get(kind) is not type(block):
        raise ValueError(
            f"{kind} is not a class of wholeframe, so no data describes it; give the callable that builds it, as block="
        )
    arguments = {name: _plain(kind, name, value) for name, value in block._given.items()}
    for name in sorted(block._callables):
        arguments[name] = _part(block, name)
    return {"block": kind, "arguments": arguments}


def build(data: Mapping[str, Any]) -> nn.Module:
    """The block that `recipe` described, with fresh weights.

    Args:
        data: what `recipe` returns, possibly after JSON.

    Raises:
        ValueError: for data of another form, an unknown class, arguments that the class does not accept, and a frozen
            norm where the block has no batch norm.
    """
    if not {"block", "arguments"} <= set(data) <= {"block", "arguments", "frozen"}:
        raise ValueError(
            f"a recipe has the keys 'block' and 'arguments', possibly 'frozen', and this one has {sorted(data)}"
        )
    name, given = data["block"], data["arguments"]
    classes = _classes()
    if name not in classes:
        raise ValueError(f"wholeframe has no block {name!r}{did_you_mean(str(name), classes)}")
    refuse_unknown(name, classes[name].__init__, given)
    block = classes[name](**{key: _argument(value) for key, value in given.items()})
    for norm in data.get("frozen", ()):
        found = dict(block.named_modules()).get(norm)
        if not isinstance(found, _BatchNorm):
            kind = "absent" if found is None else f"a {type(found).__name__}"
            raise ValueError(
                f"the recipe says that {norm!r} of this {name} is a frozen batch norm, and it is {kind}; take the "
                "recipe as `wf.blocks_of` gives it"
            )
        block.set_submodule(norm, Affine.folded(found))
    return block


def _bound(cls: type, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        bound = inspect.signature(cls.__init__).bind(module, *args, **kwargs)
    except TypeError:  # copies and pickles make the object without arguments; __init__ says what a person left out
        return {}
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def _classes() -> dict[str, type[Recorded]]:
    from wholeframe import blocks  # here, because that module imports this one

    members = vars(blocks).items()
    return {name: m for name, m in members if isinstance(m, type) and issubclass(m, Recorded)}


def _part(block: Recorded, argument: str) -> dict[str, Any]:
    children = [getattr(block, child) for child in BUILT_FROM.get(argument, (argument,))]
    found = [_constructor(child) for child in children if child is not None]
    if not found or any(other != found[0] for other in found):
        raise ValueError(
            f"the argument {argument!r} of this {type(block).__name__} builds different parts, so one recipe cannot "
            "describe it; give the callable that builds the block, as block="
        )
    return found[0]


def _plain(kind: str, name: str, value: Any) -> Any:
    """The value in types that JSON has."""
    if isinstance(value, list | tuple):
        return [_plain(kind, name, item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ValueError(
        f"{name}={value!r} of this {kind} is a {type(value).__name__}, which JSON cannot hold; give a number, a string "
        "or a list of them"
    )


def _argument(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return tuple(value) if isinstance(value, list) else value
    return lambda _channels: build(value)
