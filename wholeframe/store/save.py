"""`wf.save`: one file with the weights of a network and how to build it."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from wholeframe.blocks.recipe import recipe
from wholeframe.messages import counted
from wholeframe.models.origin import Origin
from wholeframe.models.usual_input import usual_colours, usual_size
from wholeframe.store.built import bare, built, complete, installed, refuse_fetched
from wholeframe.store.example import kind_of, small_call
from wholeframe.store.header import DIGEST, KEY, Header, Kind, from_text, refuse_large
from wholeframe.store.origins import ADVICE, fitted, found_origin, widths
from wholeframe.store.plain import as_plain
from wholeframe.store.prove import prove
from wholeframe.store.read import header_of
from wholeframe.store.replaced import replaced
from wholeframe.store.structure import described, settings
from wholeframe.store.tensors import Tensors, channels_last_names, digest_of, shared_groups, tensors_of, unsaved_buffers
from wholeframe.surgery.norm_kinds import norm_kinds
from wholeframe.surgery.placement import CHILD
from wholeframe.surgery.record import Placement, blocks_of, located


@dataclass(frozen=True)
class Saved:
    """What `wf.save` wrote: the file, its header, and the proof.

    `deviation` is the largest difference of the output between the network and the one that the file describes;
    `unproved` says why equal outputs prove nothing.
    """

    path: Path
    header: Header
    deviation: float
    unproved: str | None = None

    def __str__(self) -> str:
        blocks = counted(len(self.header.placements), "inserted block")
        built = self.header.origin or f"a {self.header.backbone} that the caller of wf.load gives"
        proof = "equal to the bit" if self.deviation == 0 else f"equal within {self.deviation:.2g}"
        proof = proof if self.unproved is None else f"not compared, because the output {self.unproved}"
        return f"'{self.path}' has {built} with {blocks}; the output of the network in the file is {proof}"


def save(
    network: nn.Module,
    path: str | os.PathLike[str],
    *,
    origin: Origin | Literal["given"] | None = None,
    classes: Sequence[str] | None = None,
    input: Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    licence: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> Saved:
    """Write a network to one file of safetensors that `wf.load` builds again in another process.

        wf.save(network, "birds.safetensors", classes=names)
        network = wf.load("birds.safetensors")

    The file holds every tensor under its state-dict key. Its header, which is text, says how the backbone is built and
    has the recipe and site of every inserted block. Before the file is written, the network is built again from this
    header, and its output on a small example is compared with that of the given network.

    Args:
        network: stays as it is. Wrappers (`DistributedDataParallel`, `DataParallel`, `torch.compile`, `AveragedModel`)
            are left out, and a baked network is saved with the names that it had before `wf.bake`.
        path: of the file; it is replaced as a whole.
        origin: how the backbone is built. None takes the record of `wf.create_model`, the name that timm keeps, or the
            builder of torchvision that makes the same modules. "given" is for a backbone of your own: `wf.load` then
            takes it as `backbone=`.
        classes: names of the classes in the order of the output; of a detector, without the background. None takes
            the network's attribute `classes`, if it has one.
        input: shape of one sample, `(3, h, w)` or `(3, t, h, w)`; None for the size that the library states.
        mean, std: of the channels in [0, 1], by which the input is normalised; None for what the library states.
        licence: of the weights.
        notes: further facts, such as the conventions of a conversion.

    Returns:
        A `Saved`, which prints the proof.

    Raises:
        ValueError: for a network whose backbone has no known name, a block without a recipe, tensors that safetensors
            does not hold, classes of another number than the output, or a rebuilt network with another output.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    network = as_plain(network)
    tensors = tensors_of(network)
    placements = recorded(network)
    before = header_of(network)
    if origin is None and before is not None and before.origin is None:
        origin = "given"
    source = _origin(network, origin, placements)
    size = tuple(input) if input is not None else before.input if before else usual_size(network, source)
    kind = kind_of(network, size)
    call, given = small_call(network, size)
    count = _count(network, kind, given)
    header = Header(
        origin=source,
        backbone=type(network).__name__,
        modules=() if source else described(network),
        placements=placements,
        norms=norm_kinds(network),
        fixed=tuple(name for name, p in network.named_parameters(remove_duplicate=False) if not p.requires_grad),
        shared=shared_groups(network),
        channels_last=channels_last_names(tensors),
        kind=kind,
        input=size,
        num_classes=count,
        classes=_classes(network, classes, kind, count),
        versions={name: installed(name) for name in ("wholeframe", "torch", *_library(source))},
        **_facts(before, usual_colours(network, source), size, mean, std, licence, notes),
    )
    again = _rebuilt(network, from_text(header.text()))  # as a reader of the file builds it
    usual = again if source else None  # what a backbone of the caller's own is like is not known
    different = _different_buffers(network, usual)
    header = replace(header, settings=settings(network, usual), buffers=tuple(different))
    tensors = {**tensors, **different}
    refuse_large(header, max((side for value in tensors.values() for side in value.shape), default=1))
    complete(again, header, tensors)
    if tensors:
        again.to(next(iter(tensors.values())).device)
    gap, unproved = prove(network, again, call, given)
    write(path, header, tensors)
    return Saved(path, header, gap, unproved)


def recorded(network: nn.Module) -> tuple[Placement, ...]:
    """The blocks of a network. ValueError for one that a file cannot build."""
    for placement, site in located(network):
        if placement.recipe is None and site is not None:
            try:
                recipe(site.get_submodule(CHILD))
            except ValueError as error:
                raise ValueError(
                    f"the block at {placement.site!r} cannot be built from data ({error}); insert a class of "
                    "wholeframe, or a functools.partial of one such as partial(wf.NonLocal, kind='dot'); for others, "
                    "`torch.save(network.state_dict(), PATH)` and `wf.restore(backbone, PATH, block=...)`"
                ) from error
    return blocks_of(network)


def _origin(
    network: nn.Module, origin: Origin | Literal["given"] | None, placements: tuple[Placement, ...]
) -> Origin | None:
    if origin == "given":
        return None
    if origin is None:
        return found_origin(network, placements)
    if not isinstance(origin, Origin):
        raise ValueError(f"origin={origin!r} is neither an Origin nor 'given'; {ADVICE}")
    refuse_fetched(origin)
    fit = fitted(origin, network, placements)
    if fit.apart:
        raise ValueError(f"the network is not that of its origin: {fit.misfit}; {ADVICE}")
    return fit.origin


def _facts(
    before: Header | None,
    usual: tuple[tuple[float, ...], tuple[float, ...]] | None,
    shape: tuple[int, ...] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    licence: str | None,
    notes: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What the caller says of the network; what is left out is as in the file that it was loaded from, or usual."""
    if (mean is None) != (std is None):
        raise ValueError("mean= and std= belong together, and one of them is missing; give both")
    colours = usual
    if usual and shape and len(usual[0]) != shape[0]:  # the library states those of three colours
        colours = None
    if mean is not None and std is not None:
        colours = tuple(map(float, mean)), tuple(map(float, std))
    elif before is not None:
        colours = None if before.mean is None or before.std is None else (before.mean, before.std)
    for name, values in zip(("mean", "std"), colours or (), strict=False):
        if shape and len(values) != shape[0]:
            raise ValueError(f"{name}={values} has {len(values)} values, and the input has {shape[0]} channels")
    if notes is not None and not all(isinstance(text, str) for item in notes.items() for text in item):
        raise ValueError("notes= maps names to texts, and one of these is something else; write the values as texts")
    return {
        "mean": colours[0] if colours else None,
        "std": colours[1] if colours else None,
        "shorter": before.shorter if before else None,
        "stride": before.stride if before else None,
        "licence": licence if licence is not None else (before.licence if before else None),
        "notes": dict(notes if notes is not None else (before.notes if before else {})),
    }


def _classes(network: nn.Module, given: Sequence[str] | None, kind: Kind, count: int | None) -> tuple[str, ...] | None:
    """The names of the classes. ValueError for another number of them than the network has."""
    names = getattr(network, "classes", None) if given is None else given
    if names is None or isinstance(names, str) or not all(isinstance(name, str) for name in names):
        if given is not None:
            raise ValueError(f"classes={given!r} is not a list of names; give the names of the outputs in their order")
        return None
    expected = count if kind != "detector" or count is None else count - 1
    if expected is not None and len(names) != expected:
        if given is None:  # an attribute of the network, which may mean something else
            return None
        raise ValueError(
            f"classes= has {counted(len(names), 'name')}, and the network has {expected} classes"
            f"{' without the background' * (kind == 'detector')}; give one name for each, in the order of the output"
        )
    return tuple(names)


def _count(network: nn.Module, kind: Kind, given: Sequence[Tensor]) -> int | None:
    """The number of classes: the width of the output; of a detector, that of its heads, with the background."""
    if kind == "detector":
        return next(iter(widths(network)), None)
    return given[0].shape[1] if given and given[0].ndim >= 2 else None


def _rebuilt(network: nn.Module, header: Header) -> nn.Module:
    """The network that the header describes, without values; of a backbone without a name, a copy of this one."""
    if header.origin is not None:
        return built(header)
    backbone = copy.deepcopy(network)
    return built(header, bare(backbone))


def _different_buffers(network: nn.Module, again: nn.Module | None) -> dict[str, Tensor]:
    """The buffers outside the state dict that are not as the network's constructor makes them; all without one."""
    usual = {} if again is None else unsaved_buffers(again)
    return {
        name: value.detach()
        for name, value in unsaved_buffers(network).items()
        if name not in usual or value.dtype != usual[name].dtype or not torch.equal(value.cpu(), usual[name].cpu())
    }


def write(path: Path, header: Header, tensors: Tensors) -> None:
    """Write the file as a whole: under another name first, and then in place of the one before."""
    text = header.text()
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    seen: set[int] = set()
    for name, value in plain.items():  # safetensors refuses two names of one tensor
        if value.untyped_storage().data_ptr() in seen:
            plain[name] = value.clone()
        seen.add(value.untyped_storage().data_ptr())
    with replaced(path) as part:
        try:
            save_file(plain, part, {KEY: text, DIGEST: digest_of(text, plain), "format": "pt"})
        except SafetensorError as error:  # of the disk: `tensors_of` has refused all that the format does not hold
            raise OSError(str(error)) from error


def _library(origin: Origin | None) -> tuple[str, ...]:
    return () if origin is None or origin.library == "wholeframe" else (origin.library,)
