"""What a whole file of another repository becomes here, as data: a backbone, its blocks, and a table of names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from wholeframe.models.origin import Origin

Shapes = Mapping[str, torch.Size]
"""The shapes of tensors by their names."""


@dataclass(frozen=True)
class Plan:
    """How one file is converted. A source makes it from the names and shapes of the file's tensors.

    Every tensor of the file has a prefix in `names` or in `left`, and every tensor of the network comes from the file,
    but for those of `new`; `num_batches_tracked`, which no result depends on, may be absent.

    Args:
        origin: the backbone without blocks; None for a file whose backbone has no counterpart here.
        blocks: a site of the backbone (its dotted name) -> our block there. A source builds them by the functions of
            its block converters, from the reference's arguments.
        names: prefixes of their names -> prefixes of ours, those of a block beginning with `"<site>.wholeframe."`;
            None for tensors without meaning, such as a constant mask. A `*` is a number; the first prefix that fits
            counts.
        apart: a name -> our block that has no site in the backbone, in the head of a segmentation network for example.
            Its tensors begin with `"<name>.wholeframe."` too.
        frozen: whether the batch norms of the backbone become affine maps (`wf.freeze_norms`) before the blocks come.
        change: our name and their tensor -> our tensor, for values that differ: the order of a triangle, a renumbered
            channel.
        new: prefixes of ours -> why the file has no such tensors, which then stay untrained.
        left: prefixes of theirs -> why these tensors have no place here. It counts before `names`.
        conventions: what tensors do not show and this plan assumes, such as `{"softmax scale": "1/sqrt(inner)"}`.
        input: shape of one sample, `(3, h, w)` or `(3, t, h, w)`, that the network was trained with.
        mean, std: of the normalisation of each input channel, for values between 0 and 1, if the repository has one.
    """

    origin: Origin | None
    blocks: Mapping[str, nn.Module]
    names: Mapping[str, str | None]
    apart: Mapping[str, nn.Module] = field(default_factory=dict)
    frozen: bool = False
    change: Callable[[str, Tensor], Tensor] | None = None
    new: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)
    input: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
