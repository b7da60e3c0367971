"""The least time that the blocks of a network can take on this machine: products and bytes at the rates of the machine.

    floor = max(added multiply-adds / rate of products, added bytes / rate of copies)

The rate of products is the one that the plain backbone itself reaches in its convolutions and matrix products. Bytes
are those that no implementation avoids. A block has to see the whole map before it changes the first position:

- before a residual sum (after a norm layer), the sum reads and writes the map anyway, so the block adds one reading of
  the map in the forward pass; in the backward pass, it reads the map and its gradient;
- elsewhere it reads and writes the map once; in the backward pass it reads the map and its gradient and writes another;
- the weights are read once; in a training step they are read twice, their gradient is written, and SGD reads both and
  writes the weights.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase  # the base class of batch and instance norms

from wholeframe.blocks import Affine
from wholeframe.models.cost import Row
from wholeframe.models.turns import Kind
from wholeframe.surgery.placement import CHILD

FLOAT = 4
"""bytes of a number; the networks are in float32"""
PRODUCTS: Mapping[Kind, int] = {"inference": 1, "training step": 3}
"""products per product of the forward pass: its backward pass has one for each operand"""
MAPS: Mapping[Kind, tuple[int, int]] = {"inference": (1, 2), "training step": (3, 5)}
"""readings and writings of the map at least: before a residual sum, and elsewhere"""
WEIGHTS: Mapping[Kind, int] = {"inference": 1, "training step": 6}
"""readings and writings of the weights at least"""


@dataclass(frozen=True)
class Added:
    """What the blocks of a network add to one pass at least.

    Args:
        macs: multiply-adds, by the definition of each block.
        bytes: read and written.
    """

    macs: int
    bytes: int

    def seconds(self, macs_per_second: float, bytes_per_second: float) -> float:
        """The longer of both at the rates of the machine, because a product may run while the next bytes are read."""
        return max(self.macs / macs_per_second, self.bytes / bytes_per_second)


def added(blocks: Iterable[Row], network: nn.Module, kind: Kind) -> Added:
    """What the blocks add to one pass.

    Args:
        blocks: the rows of the blocks, counted on the batch of the pass.
        network: which has them.
        kind: of the pass.
    """
    macs = total = 0
    for row in blocks:
        before_sum, elsewhere = MAPS[kind]
        maps = before_sum if _after_a_norm(network, row.name) else elsewhere
        macs += PRODUCTS[kind] * row.macs
        total += FLOAT * (maps * math.prod(row.map) + WEIGHTS[kind] * row.params)
    return Added(macs, total)


def _after_a_norm(network: nn.Module, block: str) -> bool:
    """Whether the site of a block is a norm layer, after which a residual sum follows in the published placements."""
    return isinstance(network.get_submodule(block.removesuffix(f".{CHILD}")), _NormBase | Affine)
