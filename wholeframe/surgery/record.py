"""What was inserted, as a value that travels with the model.

Each site has a mark, and the model that `insert` was given has a record of its marks. Both are plain attributes, so
copies, pickles, wrappers and larger models keep them. The mark writes itself into the metadata of the site's state
dict, where the name of the site follows from the prefix. The record shows which blocks are lost: a tool that replaces
a site drops its mark too.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule
from torch.utils.hooks import RemovableHandle

from wholeframe.blocks.recipe import recipe
from wholeframe.messages import counted, listed
from wholeframe.surgery.baked import Baked, baked_names, old_name, unbaked
from wholeframe.surgery.children import tell_compiler
from wholeframe.surgery.placement import CHILD, Layout, NamelessHook, has_block, hook_of, refuse_other

METADATA = "wholeframe"  # a key in the metadata of a state dict
MARK = "_wholeframe_mark"
RECORD = "_wholeframe_record"


@dataclass(frozen=True)
class Placement:
    """One inserted block.

    Args:
        site: dotted name of its site.
        block: its class name.
        channels: of the map.
        layout, output: how the block reads the site's output, see `wf.insert`.
        recipe: the data that `wf.restore` builds the block from, as the block is now (batch norms that were frozen
            after the insertion included); None for a block of another package.
        attached: whether the site still runs the block; see `wf.verify`.
    """

    site: str
    block: str
    channels: int
    layout: Layout
    output: int | str | None
    recipe: dict[str, Any] | None
    attached: bool = True

    def as_data(self) -> dict[str, Any]:
        """The placement in types that JSON has, for a configuration file; `from_data` reads it."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Placement":
        """The placement that `as_data` wrote.

        Raises:
            ValueError: for data of another form.
        """
        try:
            layout = dict(data["layout"])
            grid = layout.pop("grid")
            return cls(**{**data, "layout": Layout(**layout, grid=None if grid is None else tuple(grid))})
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{data!r} does not describe a block ({type(error).__name__}: {error}); take what "
                "`[block.as_data() for block in wf.blocks_of(model)]` gives"
            ) from error

    def __str__(self) -> str:
        place = self.site if self.output is None else f"{self.site}, output={self.output!r}"
        return f"{place}: {self.block}({self.channels}), {self.layout}{'' if self.attached else ', lost'}"


def placements(given: str | Sequence[Placement | Mapping[str, Any]]) -> list[Placement]:
    """The placements that a caller gives: themselves, the data of them, or that as JSON text.

    Raises:
        ValueError: for text that is not JSON, and for data of another form.
    """
    try:
        blocks = json.loads(given) if isinstance(given, str) else given
    except json.JSONDecodeError as error:
        raise ValueError(
            f"blocks= is text that is not JSON ({error}); write json.dumps([block.as_data() for block in "
            "wf.blocks_of(model)])"
        ) from error
    if not isinstance(blocks, list | tuple):
        raise ValueError(
            f"blocks= is a {type(blocks).__name__}; give wf.blocks_of(model) of the network with the blocks, the list "
            "of their data, or that as JSON text"
        )
    return [block if isinstance(block, Placement) else Placement.from_data(block) for block in blocks]


class Mark:
    """One insertion, shared by the record of the model and by the site: each finds the other under any name."""

    def __init__(self, placement: Placement, site: nn.Module):
        self.placement, self.removed, self.warned = placement, False, False
        site.__dict__[MARK] = self
        self.handle: RemovableHandle = site.register_state_dict_post_hook(_write_metadata)


class Record(NamelessHook):
    """The marks of a model by the names of their sites, and the model's forward hook that warns of a lost block."""

    def __init__(self, model: nn.Module):
        self.marks: dict[str, Mark] = {}
        model.__dict__[RECORD] = self
        self.handle: RemovableHandle = model.register_forward_hook(self)

    def __call__(self, model: nn.Module, _args: Any, _output: Any) -> None:
        if torch.compiler.is_dynamo_compiling():  # it cannot warn; an exporter and a tracer run this hook as Python
            return
        if any(not _in_place(model, name, mark) for name, mark in self.marks.items()):
            self._warn(model)

    def _warn(self, model: nn.Module) -> None:
        """Warn of each lost block once."""
        attached = {placement.site for placement in blocks_of(model) if placement.attached}
        lost = {name: mark for name, mark in self.marks.items() if name not in attached and not mark.warned}
        for mark in lost.values():
            mark.warned = True
        if lost:
            warnings.warn(
                f"{counted(len(lost), 'inserted block')} no longer run{'s' * (len(lost) == 1)} ({listed(lost)}): "
                "`wf.verify(model)` says why, and `wf.remove(model)` forgets them if this is meant",
                stacklevel=3,
            )


def blocks_of(model: nn.Module) -> tuple[Placement, ...]:
    """The blocks that `insert` put into a model, those that a tool has dropped included (`attached` is False).

    The record is kept by `deepcopy`, `pickle`, `torch.save`, by wrappers such as `DistributedDataParallel` and by
    larger models, where names get a prefix. State dicts carry it in their metadata, see `wf.restore`.

    Args:
        model: a network, or a part of one.

    Returns:
        One `Placement` per block: its site, class, constructor arguments and layout. `as_data` gives it for JSON.
    """
    return tuple(placement for placement, _ in located(model))


def located(model: nn.Module) -> list[tuple[Placement, nn.Module | None]]:
    """The blocks of a model, each with the module that runs it: None for one that is lost or part of a graph."""
    refuse_other(model)
    names, baked = dict(model.named_modules()), baked_names(model)
    sites = {id(mark): site for site in names.values() if runs_block(site) and (mark := mark_of(site))}
    found: list[tuple[Placement, nn.Module | None]] = []
    recorded: set[int] = set()
    for prefix, module in names.items():
        record = module.__dict__.get(RECORD)
        for name, mark in record.marks.items() if record else ():
            if not mark.removed and id(mark) not in recorded:
                recorded.add(id(mark))
                full = old_name(f"{prefix}.{name}".lstrip("."), baked)
                site = sites.get(id(mark))
                lost = replace(mark.placement, site=full, attached=in_graph(model, full))
                found.append((lost if site is None else placement_at(full, site), site))
    others = {name: site for name, site in names.items() if runs_block(site) and id(mark_of(site)) not in recorded}
    return found + [(placement_at(old_name(name, baked), site), site) for name, site in others.items()]


def by_old_names(model: nn.Module) -> dict[str, nn.Module]:
    """The modules inside by their names before `bake`, where a baked module has the name of its site."""
    baked, named = baked_names(model), dict[str, nn.Module]()
    for name, module in list(model.named_modules(remove_duplicate=False))[1:]:
        named.setdefault(old_name(name, baked), module)
    return named


def in_graph(model: nn.Module, site: str) -> bool:
    """Whether a traced graph at or above the site has operations of its block."""
    block = unbaked(f"{site}.{CHILD}")
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, GraphModule) and block.startswith(unbaked(prefix)):
            targets = [str(node.target) for node in module.graph.nodes if node.op in ("call_module", "get_attr")]
            if any(unbaked(f"{prefix}{target}.").startswith(f"{block}.") for target in targets):
                return True
    return False


def placement_at(name: str, site: nn.Module) -> Placement:
    """The placement of the block at this site, as the block is now.

    A model of an earlier version has no mark; the channels of a block of another package are then unknown.
    """
    mark, block = mark_of(site), site.get_submodule(CHILD)
    kind, data = type(block).__name__, described(block)
    if mark is not None:
        return replace(mark.placement, site=name, block=kind, recipe=data)
    hook = site.block_hook if isinstance(site, Baked) else hook_of(site)
    assert hook is not None
    channels = getattr(block, "channels", 0) if data is None else data["arguments"]["channels"]
    return Placement(name, kind, channels, hook.layout, hook.output, data)


def remember(model: nn.Module, channels: Mapping[str, int]) -> None:
    """Write down the new blocks at these sites, given with the channels of their maps."""
    record = model.__dict__.get(RECORD) or Record(model)
    baked = baked_names(model)
    for place, width in channels.items():
        name, site = old_name(place, baked), model.get_submodule(place)
        block, hook = site.get_submodule(CHILD), hook_of(site)
        assert hook is not None
        placement = Placement(name, type(block).__name__, width, hook.layout, hook.output, described(block))
        record.marks[name] = Mark(placement, site)
    tell_compiler(model)


def forget(model: nn.Module, sites: Mapping[str, nn.Module]) -> None:
    """Undo `remember` for the blocks at these sites, by their old names, whichever model has the record of them."""
    baked = baked_names(model)
    for prefix, module in model.named_modules():
        record = module.__dict__.get(RECORD)
        for name, mark in record.marks.items() if record else ():
            if old_name(f"{prefix}.{name}".lstrip("."), baked) in sites:
                mark.removed = True
    for site in sites.values():
        mark = site.__dict__.pop(MARK, None)
        if mark is not None:
            mark.removed = True
            mark.handle.remove()
    for module in model.modules():
        record = module.__dict__.get(RECORD)
        if record is None:
            continue
        record.marks = {name: mark for name, mark in record.marks.items() if not mark.removed}
        if not record.marks:
            module.__dict__.pop(RECORD).handle.remove()


def lost_sites(model: nn.Module) -> dict[str, nn.Module]:
    """The names of lost blocks, each with the module that has the place now, or an empty one."""
    now = by_old_names(model)
    return {lost.site: now.get(lost.site, nn.Module()) for lost in blocks_of(model) if not lost.attached}


def carry(old: nn.Module, new: nn.Module) -> None:
    """Give the mark of a site to the module that takes its place with its block."""
    mark = old.__dict__.pop(MARK, None)
    if mark is not None:
        mark.handle.remove()
        new.__dict__[MARK] = mark
        mark.handle = new.register_state_dict_post_hook(_write_metadata)


def mark_of(site: nn.Module) -> Mark | None:
    """The mark of a site."""
    return site.__dict__.get(MARK)


def runs_block(site: nn.Module) -> bool:
    """Whether this very module runs an inserted block."""
    return isinstance(site, Baked) or (has_block(site) and CHILD in site._modules)


def block_kind(site: nn.Module) -> str | None:
    """The class name of the block at this site, if it has one."""
    return type(site.get_submodule(CHILD)).__name__ if runs_block(site) else None


def described(block: nn.Module) -> dict[str, Any] | None:
    """The block's recipe, or None where no data describes it: `restore` says why when it needs it."""
    try:
        return recipe(block)
    except ValueError:
        return None


def _write_metadata(site: nn.Module, _state: Any, _prefix: str, metadata: dict[str, Any]) -> None:
    """Text, because `torch.load(weights_only=True)` and other readers of state dicts take text."""
    if runs_block(site):
        metadata[METADATA] = json.dumps(placement_at("", site).as_data())


def _in_place(model: nn.Module, name: str, mark: Mark) -> bool:
    """Whether the site of this name has this mark and its block; False may also mean that the site has another name."""
    module: nn.Module | None = model
    for part in name.split("."):
        inner = module.site if isinstance(module, Baked) else module
        module = inner._modules.get(part)
        if module is None:
            return mark.warned
    return mark.warned or (module.__dict__.get(MARK) is mark and runs_block(module))
