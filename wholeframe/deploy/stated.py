"""What a network says of itself: its classes, and what the header of its file has, where `wf.load` built it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from wholeframe.messages import counted, listed
from wholeframe.models.origin import HEADER
from wholeframe.surgery.detectors import is_detector

Normalisation = tuple[Sequence[float] | None, Sequence[float] | None]


@dataclass(frozen=True)
class Stated:
    """What goes into a file besides the weights: given by the caller, else taken from the network.

    Args:
        classes, mean, std: as in `export`.
        licence: of the weights.
        facts: such as the conventions of a conversion.
        notes: which of these the network states itself, and which of its own do not fit it and are left out.
    """

    classes: Sequence[str] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    licence: str | None
    facts: dict[str, str]
    notes: tuple[str, ...]


def stated(
    network: nn.Module,
    outputs: Sequence[Tensor],
    channels: int,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Stated:
    """What the caller gives, and what the network states itself where nothing is given.

    Args:
        network: of any origin.
        outputs: of the network for one input; none for a detector, whose classes are not an axis.
        channels: of the input.
        classes, mean, std: what the caller gives.
    """
    header = header_of(network)
    taken, left = [], []
    if classes is None and (names := _names(network)) is not None:
        width = outputs[0].shape[1] if outputs and outputs[0].ndim > 1 else len(names)
        if width == len(names):
            classes = names
            taken.append("classes")
        else:
            left.append(
                f"the network has {counted(len(names), 'name')} of classes, and its first output has {width} channels, "
                "so the names are left out; give classes="
            )
    if mean is None and std is None and not is_detector(network):  # a detector normalises its images itself
        mean, std = getattr(header, "mean", None), getattr(header, "std", None)
        if mean is not None and std is not None:
            if len(mean) == len(std) == channels:
                taken += ["mean", "std"]
            else:
                left.append(
                    f"the mean of the network has {counted(len(mean), 'number')}, and the input has {channels} "
                    "channels, so mean and std are left out; give mean= and std="
                )
                mean = std = None
    licence, facts = getattr(header, "licence", None), dict(getattr(header, "notes", {}))
    taken += [name for name, found in (("licence", licence), ("notes", facts)) if found]
    said = [f"the network itself states {listed(taken)}"] if taken else []
    return Stated(classes, mean, std, licence, facts, (*said, *left))


def header_of(network: nn.Module) -> Any:
    """The header of the file or run that a network was loaded from; None for one that was built."""
    return network.__dict__.get(HEADER)


def _names(network: nn.Module) -> tuple[str, ...] | None:
    """The attribute `classes`, if it is a list of names; another library may mean something else by it."""
    names = getattr(network, "classes", None)
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)
