"""A whole file of another repository -> a network of this package with its blocks.

converted = wf.convert.checkpoint("I3D_NLN_8x8_R50.pyth")
print(converted.report)
converted.network(clip)
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.convert.matched import match_tensors
from wholeframe.convert.option_values import refuse_values
from wholeframe.convert.parts import Parts
from wholeframe.convert.peeled import peeled
from wholeframe.convert.plan import Plan
from wholeframe.convert.rename import call
from wholeframe.convert.sharded import read_whole
from wholeframe.convert.sources import WHOLE
from wholeframe.convert.whole import source_of
from wholeframe.messages import counted, in_quotes, listed, shown


@dataclass(frozen=True)
class Report:
    """What became of every tensor.

    Args:
        loaded: names of ours -> the names in the file that they were loaded from.
        new: names of ours that the file does not have -> why; they are untrained.
        left: names in the file that were not loaded -> why.
        conventions: what the tensors do not show and the conversion assumes.
        not_finite: names in the file of loaded tensors with NaN or infinite values -> how many values those are.
    """

    loaded: Mapping[str, str]
    new: Mapping[str, str]
    left: Mapping[str, str]
    conventions: Mapping[str, str]
    not_finite: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        assumed = [f"assumed: {what}: {value}" for what, value in self.conventions.items()]
        return "\n".join(
            [
                f"loaded: {counted(len(self.loaded), 'tensor')}",
                *_by_reason("new, untrained", self.new),
                *_by_reason("left", self.left),
                *_not_finite(self.not_finite),
                *assumed,
            ]
        )


def _not_finite(counts: Mapping[str, int]) -> Iterator[str]:
    """A line that names the tensors with values that are not finite; none without such a tensor."""
    if counts:
        of = [f"'{shown(name)}': {count}" for name, count in counts.items()]
        values, tensors = counted(sum(counts.values()), "value"), counted(len(counts), "tensor")
        yield (
            f"NaN or infinite: {values} in {tensors} of the file "
            f"({listed(of, most=3)}), which are loaded as they are and spoil what the network computes"
        )


def _absent(plan: Plan) -> dict[str, str]:
    """What the network of a file without a classifier gives, for the conventions."""
    if plan.origin is None:
        return {}
    modules = [name for name in plan.origin.replaced if name not in plan.blocks]
    modules += ["the classifier"] if plan.origin.arguments.get("num_classes") == 0 else []
    return {"not in the file": f"{listed(modules)}, so the network gives features"} if modules else {}


def _count_not_finite(tensors: Mapping[str, Tensor], loaded: Mapping[str, str]) -> dict[str, int]:
    """The names in the file of tensors with NaN or infinite values, and how many those are."""
    counts = {}
    for name, theirs in loaded.items():
        tensor = tensors[name]
        if tensor.is_floating_point():
            finite = torch.isfinite(tensor.float() if tensor.itemsize == 1 else tensor)  # Not for 8 bits itself.
            if not finite.all():
                counts[theirs] = int((~finite).sum())
    return counts


def _by_reason(what: str, names: Mapping[str, str]) -> Iterator[str]:
    """A line for each reason, or one that says that there are none."""
    for reason in dict.fromkeys(names.values()):
        of = [name for name, other in names.items() if other == reason]
        yield f"{what}: {counted(len(of), 'tensor')} ({listed(in_quotes(of), most=3)}): {reason}"
    if not names:
        yield f"{what}: none"


@dataclass(frozen=True)
class Converted:
    """What `checkpoint` gives.

    Args:
        network: the backbone with its blocks, in eval mode; None where no backbone here is like that of the file.
        blocks: the blocks by their sites, and those without a site in the backbone by their names in the file.
        report: what became of every tensor.
        source: a key of `WHOLE`.
        repository, licence: of the source. The licence is that of the weights too.
        input: shape of one sample that the network was trained with, if the source says it.
        mean, std: of the normalisation of the input, if the source has one.
        stated: the options that were read from the file.
        read: which state dict of the file was converted, and the prefix of its names; "" for the file as it is.
    """

    network: nn.Module | None
    blocks: Mapping[str, nn.Module]
    report: Report
    source: str
    repository: str
    licence: str
    input: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    stated: Mapping[str, object] = field(default_factory=dict)
    read: str = ""

    def __str__(self) -> str:
        weights = f", weights: {self.read}" if self.read else ""
        stated = "".join(f"\nstated in the file: {name}={value!r}" for name, value in self.stated.items())
        return f"source: {self.source} ({self.repository}, {self.licence}){weights}{stated}\n{self.report}"


def checkpoint(path: str | os.PathLike[str], source: str | None = None, **options: Any) -> Converted:
    """Convert a whole file of another repository.

    The repository is found by the names of the tensors. Every tensor is used exactly once, or is named in the report
    with the reason; weights keep their dtype.

    Args:
        path: a file of `torch.save`, safetensors, or a Caffe2 pickle. No code in it is run.
        source: a key of `wholeframe.convert.WHOLE`; None to find it.
        options: what the tensors do not show, such as `convention=`; each source has its own. What the file states as
            plain text is read from there.

    Returns:
        A `Converted` with the network in eval mode, on the CPU, and a report.

    Raises:
        ValueError: for a file that cannot be read, that is of no known source or fits several, for an option that is
            unknown or missing, and for tensors that are missing, unknown or of another shape.
    """
    path = Path(path)
    what = f"'{shown(path)}'"
    content = read_whole(path)
    inner = peeled(content, what, WHOLE)
    name = source_of(inner.state, what, WHOLE, source)
    chosen = WHOLE[name]
    shapes = {key: tensor.shape for key, tensor in inner.state.items()}
    with _read_as(what, name):
        refuse_values(chosen.plan, options)
        stated = chosen.stated(inner.apart) if chosen.stated else {}
        made = partial(call, f"the source {name!r}", partial(chosen.plan, shapes), {**stated, **options})
        with torch.device("meta"):  # The file has all values, so none is drawn.
            plan = made()
            parts = Parts.of(plan)
    matched = match_tensors(plan, parts.state(), inner.state, what)
    if matched.new or parts.hidden():
        plan = made()
        parts = Parts.of(plan)
    parts.load(matched.tensors)
    return Converted(
        parts.network,
        parts.blocks,
        Report(
            matched.loaded,
            matched.new,
            {**matched.left, **inner.left},
            {**plan.conventions, **_absent(plan)},
            _count_not_finite(matched.tensors, matched.loaded),
        ),
        name,
        chosen.repository,
        chosen.licence,
        input=plan.input,
        mean=plan.mean,
        std=plan.std,
        stated={key: value for key, value in stated.items() if key not in options},
        read=inner.read,
    )


@contextmanager
def _read_as(what: str, source: str) -> Iterator[None]:
    """Say of which file an error is, and which source it was read as."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}, read as {source!r}: {error}") from error
    except Exception as error:  # A plan reads names and shapes of a file, which can be anything.
        raise ValueError(
            f"{what}, read as {source!r}: its names and shapes, or its options, are not those of such a network "
            f"({type(error).__name__}: {error}); give a whole file, and options that `wholeframe convert --list` has"
        ) from error
