"""The header of a network's file: everything that is not a tensor, as one JSON text.

    {"wholeframe": text, "sha256": digest of the text and of all tensors, "format": "pt"}

safetensors stores strings alone in its header, and reading one runs no code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from wholeframe.messages import listed, one_of, quoted
from wholeframe.models.origin import Library, Origin
from wholeframe.surgery.norm_kinds import NormKind
from wholeframe.surgery.record import Placement

FORMAT = 1
KEY, DIGEST = "wholeframe", "sha256"
LARGEST = 4096
"""Numbers up to this one are taken as arguments whatever the tensors are."""

Kind = Literal["image", "clip", "detector", "other"]
Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Header:
    """What a file says about its network.

    Args:
        origin: how the backbone is built; None if the caller of `wf.load` gives it.
        backbone: the class of the network.
        modules: of a backbone that the caller gives, every module in one line; empty for one with an origin.
        placements: the inserted blocks.
        norms: the batch norms that were frozen or synchronised, and how.
        settings: plain attributes that are not as the origin builds them: {"roi_heads": {"score_thresh": 0.3}}.
        fixed: parameters that do not require a gradient.
        shared: groups of names of one and the same tensor.
        channels_last: tensors whose channels are the innermost axis in memory.
        buffers: tensors of the file that are not in the network's state dict.
        kind: of the input.
        input: shape of one sample, such as (3, 224, 224) or (3, 32, 224, 224); None for a detector.
        mean, std: of the channels in [0, 1], by which the input is normalised; None where this is not known.
        shorter: of images, the length of the shorter side before the square is cut out; None for that of the square.
        stride: of clips, frames of the video from one frame of the clip to the next; None where this is not known.
        num_classes: the width of the output; of a detector the number of classes with the background.
        classes: their names.
        licence: of the weights.
        notes: facts that neither tensors nor recipes show, such as the conventions of a conversion.
        versions: of the packages that wrote the file.
    """

    origin: Origin | None
    backbone: str
    modules: tuple[str, ...] = ()
    placements: tuple[Placement, ...] = ()
    norms: Mapping[str, NormKind] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    shared: tuple[tuple[str, ...], ...] = ()
    channels_last: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    kind: Kind = "other"
    input: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    shorter: int | None = None
    stride: int | None = None
    num_classes: int | None = None
    classes: tuple[str, ...] | None = None
    licence: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The header as JSON."""
        data = {**asdict(self), "placements": [placement.as_data() for placement in self.placements]}
        return json.dumps({"format": FORMAT, **data}, sort_keys=True)


def from_text(text: str) -> Header:
    """The header that `Header.text` wrote.

    Raises:
        ValueError: for text of another form, and for that of a newer version of wholeframe.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its header is not JSON ({error})") from error
    if not isinstance(data, dict) or type(data.get("format")) is not int:
        raise ValueError("its header has no format number")
    if data.pop("format") != FORMAT:
        raise ValueError("a newer version of wholeframe wrote it; install that version (`pip install -U wholeframe`)")
    _refuse_fields(data)
    try:
        return Header(
            origin=None if data["origin"] is None else _origin(data["origin"]),
            placements=tuple(map(Placement.from_data, data["placements"])),
            shared=tuple(map(tuple, data["shared"])),
            **{name: _value(name, data[name]) for name in data if name not in ("origin", "placements", "shared")},
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"its header has a field of another form ({error})") from error


def refuse_large(header: Header, largest: int) -> None:
    """ValueError for a number that no network with these tensors has, because building one would take all memory.

    Args:
        header: of a file.
        largest: the largest side of its tensors.
    """
    limit = max(largest, LARGEST)
    origin = [header.origin.arguments] if header.origin else []
    recipes = [[placement.recipe, placement.channels] for placement in header.placements]
    for number in _numbers([origin, recipes, list(header.input or ())]):
        if abs(number) > limit:
            raise ValueError(
                f"its header has the argument {number:g}, and the largest side of its tensors is {largest}, so no "
                "network of these tensors has it"
            )


def _refuse_fields(data: Mapping[str, Any]) -> None:
    names = [item.name for item in fields(Header)]
    if set(data) != set(names):
        odd = sorted(set(data) ^ set(names))
        raise ValueError(f"its header has other fields than this version of wholeframe writes: {listed(odd)}")
    texts = ("fixed", "channels_last", "buffers", "modules")
    for name in texts + (("classes",) if data["classes"] is not None else ()):
        if not _all(data[name], str):
            raise ValueError(f"{name!r} in its header is not a list of texts")
    for name in ("norms", "notes", "versions"):
        if not isinstance(data[name], dict) or not _all(list(data[name].values()), str):
            raise ValueError(f"{name!r} in its header does not map names to texts")
    if not all(_all(group, str) for group in data["shared"]):
        raise ValueError("'shared' in its header is not a list of lists of names")
    for name in ("mean", "std", "input"):
        if data[name] is not None and not _all(data[name], int if name == "input" else (int, float)):
            raise ValueError(f"{name!r} in its header is not a list of numbers")
    for name in ("shorter", "stride", "num_classes"):
        if data[name] is not None and (type(data[name]) is not int or data[name] < 1):
            raise ValueError(f"{name!r} in its header is not a number of at least 1")
    if not isinstance(data["settings"], dict) or not all(isinstance(v, dict) for v in data["settings"].values()):
        raise ValueError("'settings' in its header does not map modules to attributes")
    one_of("kind", data["kind"], get_args(Kind))
    for kind in data["norms"].values():
        one_of("a norm", kind, get_args(NormKind))


def _all(values: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(values, list) and all(isinstance(v, kind) and not isinstance(v, bool) for v in values)


def _value(name: str, value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _origin(data: Mapping[str, Any]) -> Origin:
    if set(data) != {"library", "name", "arguments", "replaced"}:
        raise ValueError(f"the origin in its header has the fields {quoted(sorted(data))}")
    one_of("library", data["library"], get_args(Library))
    if not isinstance(data["name"], str) or not isinstance(data["arguments"], dict) or not _all(data["replaced"], str):
        raise ValueError("the origin in its header is not a name with arguments")
    return Origin(data["library"], data["name"], data["arguments"], tuple(data["replaced"]))


def _numbers(data: Any) -> Sequence[float]:
    """All numbers in nested lists and mappings."""
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, list | tuple):
        return [number for item in data for number in _numbers(item)]
    return [data] if isinstance(data, int | float) and not isinstance(data, bool) else []
