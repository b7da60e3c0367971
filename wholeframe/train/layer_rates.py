"""The parts of a backbone in their order, for learning rates that decrease from the last part to the first."""

from torch import nn

from wholeframe.surgery.placement import in_block

FEW = 6
"""Parts below which the largest is divided: a ResNet has stem, norm, four stages and classifier, a ViT three parts."""


def parts(model: nn.Module) -> list[str]:
    """The names of the parts of a network, in the order of its modules.

    A part is a child that has parameters. While there are fewer than `FEW`, the largest one with children of its own is
    replaced by them: `features` of torchvision's ConvNeXt by its stages, `encoder.layers` of its ViT by its layers.

    Args:
        model: the network; inserted blocks belong to the part of their site.

    Returns:
        Names of modules, or of parameters that belong to none of them, such as a class token.
    """
    found = _children(model, "")
    while sum(_is_module(model, name) for name in found) < FEW:
        inner = {name: _children(model.get_submodule(name), name) for name in found if _is_module(model, name)}
        # The last part is the classifier, whose layers have one rate.
        sizes = {name: _size(model, name) for name in found[:-1] if len(inner.get(name, [])) > 1}
        if not sizes:
            break
        largest = max(sizes, key=sizes.__getitem__)
        place = found.index(largest)
        found[place : place + 1] = inner[largest]
    return found


def depth_of_parts(model: nn.Module) -> dict[str, int]:
    """The position of the part of every parameter, by name; parameters outside of all modules come first."""
    numbers: dict[str, int] = {}
    modules = 0
    for part in parts(model):
        numbers[part] = modules if _is_module(model, part) else 0
        modules += _is_module(model, part)
    return {
        name: next(number for part, number in numbers.items() if f"{name}.".startswith(f"{part}."))
        for name, _ in model.named_parameters()
    }


def _children(module: nn.Module, name: str) -> list[str]:
    own = [parameter for parameter, _ in module.named_parameters(recurse=False)]
    inner = [child for child, part in module.named_children() if any(True for _ in part.parameters())]
    return [f"{name}.{child}" if name else child for child in [*own, *inner]]


def _is_module(model: nn.Module, name: str) -> bool:
    return name in dict(model.named_modules())


def _size(model: nn.Module, name: str) -> int:
    return sum(p.numel() for key, p in model.get_submodule(name).named_parameters() if not in_block(f"{name}.{key}"))
