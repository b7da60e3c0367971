"""What `wholeframe cost` says where a non-local block costs more than the rest of the network: cheaper blocks."""

from collections.abc import Iterator

import torch
from torch import nn

from wholeframe.blocks import CGNL, NonLocal, SimplifiedNonLocal
from wholeframe.blocks.recipe import recipe
from wholeframe.messages import counted, listed
from wholeframe.models.cost import Cost, Row
from wholeframe.surgery.placement import CHILD

WINDOWS = (2, 4, 8, 16)


def cheaper(found: Cost, network: nn.Module) -> Iterator[str]:
    """A sentence for each size of a non-local block that takes more multiply-adds than everything but the blocks.

    Nothing runs: all numbers are counts of the definition on the same map.

    Args:
        found: the cost of the network.
        network: which was counted.
    """
    rest = sum(row.macs for row in found.rows if not row.block)
    alike: dict[tuple[int, tuple[int, ...]], list[Row]] = {}
    for row in found.blocks:
        if row.macs > rest > 0 and row.map and isinstance(network.get_submodule(row.name), NonLocal):
            alike.setdefault((row.macs, row.map), []).append(row)
    for (macs, (batch, channels, *grid)), rows in alike.items():
        block = network.get_submodule(rows[0].name)
        assert isinstance(block, NonLocal)
        sites = listed(row.name.removesuffix(f".{CHILD}") for row in rows)
        takes = "takes" if len(rows) == 1 else "take, each,"
        others = [
            f"{words} {_billions(batch * fewer)}"
            for words, fewer in _alternatives(block, channels, grid, rest // batch).items()
        ]
        yield (
            f"{counted(len(rows), 'NonLocal block')} ({sites}) {takes} {_billions(macs)} multiply-adds on "
            f"{' x '.join(map(str, grid))} positions, more than the network without its blocks ({_billions(rest)}); "
            f"{', '.join(others[:-1])} and {others[-1]}"
        )


def _alternatives(block: NonLocal, channels: int, grid: list[int], rest: int) -> dict[str, int]:
    """Multiply-adds of one sample: with pooled keys, with groups of channels, and collapsed to one query."""
    found = {}
    with torch.device("meta"):
        windows = [window for window in WINDOWS if window <= min(grid[-2:]) and block.attend_over != "time"]
        pooled = {window: _pooled(block, window).multiply_adds(grid) for window in windows}
        if pooled:
            # The smallest window that leaves the block below the rest of the network, or the largest of all.
            window = next((window for window, macs in pooled.items() if macs <= rest), windows[-1])
            found[f"pooled keys (`pool={window}`) would take"] = pooled[window]
        grouped = CGNL(channels)
        found[f"groups of channels (`CGNL`, {grouped.groups} groups)"] = grouped.multiply_adds(grid)
        found["one query for all positions (`SimplifiedNonLocal`, see `wholeframe collapse`)"] = SimplifiedNonLocal(
            channels
        ).multiply_adds(grid)
    return found


def _pooled(block: NonLocal, window: int) -> NonLocal:
    """The same block with keys pooled over this window of space."""
    return NonLocal(**{**recipe(block)["arguments"], "pool": window})


def _billions(macs: int) -> str:
    return f"{macs / 1e9:,.0f} G" if macs >= 1e12 else f"{macs / 1e9:.3g} G"
