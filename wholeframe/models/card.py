"""A named network and what is known of it: where it was published, with which figures, under which licence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import nn

Unit = Literal["top-1 %", "top-5 %", "mAP %", "M parameters", "G multiply-adds", "parameters"]


class Published(NamedTuple):
    """A figure as it was printed. Digits matter: "28.08" claims less than "28.0788"."""

    figure: str
    unit: Unit
    source: str
    confirmed: bool = True
    """False: it stands in a secondary source; shown as unverified, asserted nowhere"""


@dataclass(frozen=True)
class Network:
    """A host, its blocks and their sites under one name, with its card."""

    make: Callable[[int], nn.Module]
    """classes -> the untrained network"""
    input: tuple[int, ...]
    """one sample: (3, 224, 224) or (3, 32, 224, 224)"""
    paper: str
    """who, where, which row of which table"""
    classes: int = 1000
    """of the published figures"""
    published: tuple[Published, ...] = ()
    command: str = ""
    """the command that trains it"""
    weights: str = "none known"
    """source and licence of weights that exist"""
