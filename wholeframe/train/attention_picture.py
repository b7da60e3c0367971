"""A picture of the attention of a trained arm, for one position of its first held-out sample."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wholeframe.data.synthetic import IGNORE
from wholeframe.explain.attention import Attention, attention, blocks_with_attention
from wholeframe.explain.frame import Frame
from wholeframe.explain.pictures.draw import draw_attention, draw_strips
from wholeframe.explain.pictures.panels import strips_of
from wholeframe.explain.pictures.scene import Scene, View
from wholeframe.train.arms import Arm
from wholeframe.train.evaluations import name_of
from wholeframe.train.loaders import Splits


def picture(network: nn.Module, splits: Splits, file: Path) -> None:
    """Draw the attention of each block for one position of the first held-out sample, if a block has attention.

    The position is the first with a label, the middle of the first object, which in `shapes` is a disc, or the centre
    if the whole sample has one label. A network of 3-D convolutions takes an image as a clip of one frame.
    """
    if not blocks_with_attention(network):
        return
    sample, label = splits.val[0]
    query = _query(sample, label)
    if sample.ndim == 4:
        found = attention(network, splits.data.to_input(sample[None]), query)
        label = " ".join(f"{name}={at}" for name, at in zip("tyx", query, strict=True))
        view = View(Scene(sample.permute(1, 2, 3, 0).numpy(), clip=True), [found], [query], [f"query {label}"])
        draw_strips(strips_of(view), file)
        return
    y, x = query
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        found = [_of_image(each) for each in attention(network, sample[None, :, None], (0, y, x))]
    else:
        found = attention(network, sample[None], (y, x))
    draw_attention(splits.picture(sample), (y, x), found, file)


def picture_name(arm: Arm) -> str:
    """The name of the file of an arm's picture."""
    return f"{name_of('attention', arm.task, *re.split(' at |, ', arm.name))}.png"


def _of_image(found: Attention) -> Attention:
    """The record of an image from that of a clip of one frame."""
    return replace(
        found,
        cell=None if found.cell is None else found.cell[1:],
        grid=found.grid[1:],
        frame=Frame(found.frame.intervals[1:]),
        weights=found.weights if found.kind == "channel" else found.weights[0],
        key_frame=Frame(found.key_frame.intervals[1:]),
        query=None if found.query is None else found.query[1:],
    )


def _query(sample: Tensor, label: Any) -> tuple[int, ...]:
    """The pixel of a sample to look from."""
    size = sample.shape[1:]
    if isinstance(label, Mapping):
        x1, y1, x2, y2 = label["boxes"][0].tolist()
        return int(y1 + y2) // 2, int(x1 + x2) // 2
    if torch.is_tensor(label) and label.ndim == len(size):
        cell = (label != IGNORE).nonzero()[0].tolist()
        # The first pixel: the last one of a cell may be nearer to the next cell of a convolution with a stride.
        return tuple(at * side // cells for at, side, cells in zip(cell, size, label.shape, strict=True))
    return tuple(side // 2 for side in size)
