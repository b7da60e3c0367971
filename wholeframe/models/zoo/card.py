"""The card of a named network: how to build it, where it was published, with which figures, under which licence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

FigureUnit = Literal[
    "top-1 %",
    "top-5 %",
    "top-1 error %",
    "top-5 error %",
    "mAP %",
    "box AP",
    "mask AP",
    "keypoint AP",
    "parameters",
    "M parameters",
    "G multiply-adds",
    "x parameters",
    "x multiply-adds",
]


@dataclass(frozen=True)
class Published:
    """A figure as it was printed. Its digits matter: "28.08" claims less than "28.0788"."""

    figure: str
    unit: FigureUnit
    source: str
    confirmed: bool = True
    """False: only a secondary source has it; shown as unverified, and not tested"""
    options: Mapping[str, Any] = field(default_factory=dict)
    """arguments of `make` that a size was counted with, where they are not the defaults: {"stride": "1x1"}"""
    input: tuple[int, ...] | None = None
    """the sample that a size was counted on, where it is not the network's own"""
    base: str = ""
    """for the units that begin with x: the network that the figure is a multiple of"""
    differs: str = ""
    """why our count does not round to the figure; a test checks that it does not"""


@dataclass(frozen=True)
class Card:
    """A backbone, its blocks and their sites under one name, and its published figures."""

    make: Callable[..., nn.Module]
    """number of classes -> the untrained network; the keyword arguments are those of `options`"""
    input: tuple[int, ...]
    """shape of one sample: (3, 224, 224) or (3, 32, 224, 224), or of the input of the counted part"""
    paper: str
    """authors, paper, row and table"""
    num_classes: int = 1000
    """of the published figures"""
    published: tuple[Published, ...] = ()
    command: str = ""
    """the command that trains it"""
    weights: str = "none known"
    """source and licence of existing weights"""
    backbone: str = ""
    """the network under the blocks, as `create_backbone` names it, whose pretrained weights fit; "" for none"""
    attach: Callable[[nn.Module], None] | None = None
    """inserts the blocks into a backbone that is already built, with the same module names; None if it cannot"""
    counted: str = ""
    """the part whose multiply-adds are counted; "" for the whole network"""
    options: tuple[str, ...] = ()
    """keyword arguments that `make` takes: points on which references disagree, such as `stride`"""


def accuracy(figures: str, source: str) -> tuple[Published, ...]:
    """Two accuracies written "top-1/top-5"."""
    top1, top5 = figures.split("/")
    return Published(top1, "top-1 %", source), Published(top5, "top-5 %", source)


def error_rates(figures: str, source: str) -> tuple[Published, ...]:
    """Two error rates written "top-1/top-5"."""
    top1, top5 = figures.split("/")
    return Published(top1, "top-1 error %", source), Published(top5, "top-5 error %", source)
