"""The errors of `insert`: each names the reason why a block cannot be attached, and what to type instead."""

from collections.abc import Mapping
from itertools import accumulate

from torch import nn

from wholeframe.blocks import BLOCKS, Entry
from wholeframe.messages import nearest, quoted
from wholeframe.surgery.maps import Map, containers, fitting, is_sequential
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.probe import Call, Watched
from wholeframe.surgery.record import block_kind, runs_block

OTHER_NETWORK = (
    "\nnone of the model's modules ran: it runs copies of them, or other modules; insert into the network that it "
    "runs, such as `yolo.model` of ultralytics' YOLO"
)


def refuse_block(block: object) -> None:
    """TypeError unless `block` is a callable that can build blocks, which names and finished modules are not."""
    if isinstance(block, str):
        if block not in BLOCKS:
            raise TypeError(f"block={block!r} is a name, and BLOCKS does not have it; {nearest(block, BLOCKS)}")
        built = BLOCKS[block].block
        other = f" or wf.{built.__name__}" if isinstance(built, type) else ""
        raise TypeError(f"block={block!r} is a name; pass what builds the block, wf.BLOCKS[{block!r}].make{other}")
    kind = type(block).__name__
    takes = "insert takes a callable that builds a block for given channels, because every site gets its own"
    if isinstance(block, nn.Module):
        raise TypeError(f"block is a {kind}, and {takes}; pass the class itself, or `functools.partial({kind}, ...)`")
    if isinstance(block, Entry):
        raise TypeError(f"block is an entry of BLOCKS, and {takes}; pass its method `make`")
    if not callable(block):
        raise TypeError(
            f"block is a {kind}, and {takes}; pass a class such as wf.GlobalContext, or "
            '`functools.partial(wf.NonLocal, kind="dot")`'
        )


def refuse_sites(
    model: nn.Module,
    call: Call,
    chosen: Mapping[str, nn.Module],
    places: Mapping[str, nn.Module],
    maps: Mapping[nn.Module, Map],
) -> None:
    """ValueError that gives, for every site that cannot have a block, the reason and free sites near it."""
    troubles = {name: _reason(site, maps[site]) for name, site in chosen.items()}
    if not any(troubles.values()):
        return
    free = [name for name in fitting(places, maps) if not runs_block(places[name])]
    running = containers(model, [places[name] for name in free], call)
    free = [name for name in free if places[name] not in running]
    reasons = []
    for name, reason in troubles.items():
        if reason:
            near = [] if runs_block(chosen[name]) else _near(name, free, places)
            reasons.append(f"{name!r} {reason}" + (f"; near it {quoted(near)} would do" if near else ""))
    end = "" if any(found.calls for found in maps.values()) else OTHER_NETWORK
    raise ValueError("no block was inserted:\n" + "\n".join(f"  {reason}" for reason in reasons) + end)


def _reason(site: nn.Module, found: Map) -> str | None:
    if runs_block(site):
        return f"already has a block, {block_kind(site)}: remove it first, with `wf.remove(model, at=...)`"
    if CHILD in site._modules:
        return (
            f"has a child {CHILD!r} that no hook runs: was the site replaced after an insert, as "
            "`convert_sync_batchnorm` does? Replace modules first, then insert"
        )
    if is_sequential(site):
        return "is an empty nn.Sequential: it has no last child that could get the block"
    if hasattr(site, CHILD):
        return f"already has an attribute {CHILD!r}, the name that a block needs"
    if found.calls == 0:
        return f"({type(site).__name__}) never ran when the model ran on the example in eval mode"
    if found.calls > 1:
        return f"({type(site).__name__}) runs {found.calls} times in one forward, so its block would run as often"
    return found.trouble


def _near(name: str, free: list[str], places: Mapping[str, nn.Module]) -> list[str]:
    """Up to four free sites: first the modules that contain this one, then by distance in the tree and in its order."""
    order = {place: index for index, place in enumerate(places)}
    path = _path(name)

    def distance(other: str) -> tuple[bool, int, int]:
        steps = len(path ^ _path(other))
        return other not in path, steps + abs(order[other] - order[name]), -order[other]

    return sorted((other for other in free if other != name), key=distance)[:4]


def _path(name: str) -> set[str]:
    """The module and all modules that contain it: a, a.b and a.b.c for a.b.c."""
    return set(accumulate(name.split("."), "{}.{}".format))


def refuse_runs(
    chosen: Mapping[str, nn.Module], blocks: Mapping[str, nn.Module], watched: Mapping[nn.Module, Watched]
) -> None:
    """ValueError if a new block did not run once, changed the shape, or declares an identity and is not one."""
    for name, block in blocks.items():
        run, kind = watched[block], type(block).__name__
        if sum(other is block for other in blocks.values()) > 1:
            raise ValueError(
                f"block(channels) returned the very same {kind} for several sites; each needs its own: build it "
                f"inside, as in `lambda channels: {kind}(channels)`; the model is unchanged"
            )
        if run.runs != 1:
            raise ValueError(
                f"the new {kind} at {name!r} ran {run.runs} times in one forward pass and must run once; "
                f"{_if_container(name, chosen[name])}The model is unchanged"
            )
        if run.misfit:
            raise ValueError(
                f"the new {kind} at {name!r} {run.misfit}, and the shape has to stay; the model is unchanged"
            )
        if declares_identity(block) and run.change > 0 and run.blind:  # zero weights turn infinity into NaN
            raise ValueError(
                f"the input of the new {kind} at {name!r} {run.blind}, so it cannot prove identity_at_init; give an "
                "example= on which the model's maps are finite; the model is unchanged"
            )
        if declares_identity(block) and run.change > 0:
            raise ValueError(
                f"the new {kind} at {name!r} declares identity_at_init, and its output is not its input "
                f"(max |difference| {run.change:.3g}); the model is unchanged"
            )


def no_longer_runs(chosen: Mapping[str, nn.Module], error: Exception) -> str:
    """The sentence for a model that runs without the blocks and does not run with them."""
    containers = "".join(_if_container(name, site) for name, site in chosen.items())
    return (
        f"the model no longer runs with the blocks in place ({type(error).__name__}: {error}); block(channels) has to "
        f"take (b, c, *grid) and return the same shape. {containers}The model is unchanged"
    )


def _if_container(name: str, site: nn.Module) -> str:
    children = [child for child in site._modules if child != CHILD]
    if not children:
        return ""
    return (
        f"If {name!r} ({type(site).__name__}) runs whatever children it has, it runs a new child as one more layer: "
        f"insert at its last child, {f'{name}.{children[-1]}'!r}. "
    )


def not_proved(moved: float, repeats: bool) -> str:
    """The sentence for an output that changed although every block returned its input."""
    if repeats:
        return (
            "the new blocks return their inputs, and yet the model's output changed (max |difference| "
            f"{moved:.3g}): a block works in place, or the model takes another path when a hook is present. The model "
            "is unchanged"
        )
    return (
        "the model returns different outputs for the same input and seed, so nothing proves that a block left them "
        f"alone (max |difference| {moved:.3g}); try `torch.use_deterministic_algorithms(True)`. The model is unchanged"
    )


def declares_identity(block: nn.Module) -> bool:
    """Whether the block declares `identity_at_init`."""
    return bool(getattr(block, "identity_at_init", False))
