"""`wholeframe cost MODEL`: what every module of a network costs, next to the published figures."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wholeframe.commands.cost_table import (
    MIB,
    blocks_add,
    blocks_cost,
    kinds,
    module_table,
    place,
    turns_table,
    write_modules,
    write_turns,
)
from wholeframe.commands.models import table
from wholeframe.commands.plain import console
from wholeframe.commands.writable import writable
from wholeframe.explain.costs import Bar, draw_cost
from wholeframe.messages import counted, shown
from wholeframe.models.build import create_backbone
from wholeframe.models.cost import Cost, cost, first_line, parameters
from wholeframe.models.turns import in_turns, interval
from wholeframe.models.zoo import MODELS
from wholeframe.models.zoo.published import SIZE_UNITS, compare_figures
from wholeframe.surgery.insert import remove
from wholeframe.surgery.record import blocks_of
from wholeframe.train.limits import at_least

MODULES, PICTURE, TURNS = "cost.csv", "cost.png", "turns.csv"
MOST_BARS = 40


@dataclass(frozen=True)
class Options:
    """Print what every module of a network costs, next to published figures; --measure adds time and memory."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """a run folder, or a network of `wholeframe models`, torchvision/NAME or timm/NAME"""
    input: tuple[int, ...] = ()
    """shape of one sample, such as 3 224 224 or 3 32 224 224; by default the published one, or that of the run"""
    batch: int = 1
    """samples in the input: multiply-adds, time and memory are those of the whole batch"""
    depth: int = 1
    """rows of the table: 1 for the modules of the network, 2 for the modules in these, and so on; a block always has a
    row of its own"""
    measure: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """also run it on this machine: time and peak memory, in turns with the same network without its blocks"""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None
    """folder for cost.csv (every module), cost.png and, with --measure, turns.csv"""

    def __post_init__(self):
        at_least("batch", self.batch, 1, 1)
        at_least("depth", self.depth, 1, 1)
        if any(size < 1 for size in self.input):
            raise ValueError(f"--input {_text(self.input)} has a side below 1; for an image give --input 3 224 224")
