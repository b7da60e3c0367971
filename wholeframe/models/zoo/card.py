"""A named network and what is known of it: where it was published, with which figures, under which licence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

Unit = Literal[
    "top-1 %",
    "top-5 %",
    "top-1 error %",
    "top-5 error %",
    "mAP %",
    "parameters",
    "M parameters",
    "G multiply-adds",
    "x parameters",
    "x multiply-adds",
]


@dataclass(frozen=True)
class Published:
    """A figure as it was printed. Digits matter: "28.08" claims less than "28.0788"."""

    figure: str
    unit: Unit
    source: str
    confirmed: bool = True
    """False: it stands in a secondary source; shown as unverified, asserted nowhere"""
    options: Mapping[str, Any] = field(default_factory=dict)
    """arguments of `make` that a count was made with, where they are not the defaults: {"stride": "1x1"}"""
    input: tuple[int, ...] | None = None
    """the sample that a count was made on, where it is not the network's own"""
    base: str = ""
    """of the units that begin with x: the network that the figure is a multiple of"""
    differs: str = ""
    """why our count does not round to the figure, where it does not; a test holds that it then really does not"""


@dataclass(frozen=True)
class Card:
    """A backbone, its blocks and their sites under one name, with its card."""

    make: Callable[..., nn.Module]
    """classes -> the untrained network; keyword arguments are what references disagree about, `stride="1x1"`"""
    input: tuple[int, ...]
    """one sample: (3, 224, 224) or (3, 32, 224, 224)"""
    paper: str
    """who, where, which row of which table"""
    num_classes: int = 1000
    """of the published figures"""
    published: tuple[Published, ...] = ()
    command: str = ""
    """the command that trains it"""
    weights: str = "none known"
    """source and licence of weights that exist"""
    backbone: str = ""
    """what stands under the blocks, by a name that `build.backbone` knows: its pretrained weights fit. "" for none"""
    attach: Callable[[nn.Module], None] | None = None
    """puts the blocks into a backbone that is built already and whose modules have the same names; None where it cannot"""
