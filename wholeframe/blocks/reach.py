"""How far a query looks: over the whole clip, its own frame, its own place, or a group of frames."""

from collections.abc import Sequence
from typing import Literal

from wholeframe.blocks.options import one_of

Reach = Literal["spacetime", "space", "time"]


def check(reach: Reach, groups: int | None, frames: int | None, pool: int | Sequence[int]) -> None:
    """Refuse what no clip can be cut into."""
    one_of("reach", reach, ("spacetime", "space", "time"))
    for name, value in (("groups", groups), ("frames", frames)):
        if value is None:
            continue
        if reach != "spacetime":
            raise ValueError(f"{name}={value} cuts spacetime, but reach={reach!r}; leave one of the two out")
        if value < 1:
            raise ValueError(f"{name}={value} is no number of {name}; give one from 1")
    if groups is not None and frames is not None:
        raise ValueError(f"groups={groups} and frames={frames} both say how a clip is cut; give one of the two")
    if reach == "time" and max([pool] if isinstance(pool, int) else list(pool)[1:], default=1) > 1:
        raise ValueError(
            f"pool={pool!r} merges places, and with reach='time' a query looks only at its own; "
            "leave pool=1, or pool time alone with pool=(2, 1, 1)"
        )


def parts_of(grid: Sequence[int], reach: Reach, groups: int | None, frames: int | None) -> tuple[int, ...]:
    """Into how many parts each axis of a grid is cut; a query looks at the keys of its own part."""
    rank = len(grid)
    if reach == "spacetime" and groups is None and frames is None:
        return (1,) * rank
    if reach == "space":
        return (*grid[:-2], 1, 1) if rank > 1 else (1,)
    name, value = ("groups", groups) if frames is None else ("frames", frames)
    if rank != 3:
        asked = "reach='time'" if reach == "time" else f"{name}={value}"
        raise ValueError(f"{asked} needs a clip (t, h, w), but the grid {tuple(grid)} has no time; leave it out")
    if reach == "time":
        return (1, *grid[1:])
    assert value is not None
    if grid[0] % value:
        divisors = ", ".join(str(d) for d in range(1, grid[0] + 1) if grid[0] % d == 0)
        raise ValueError(f"{name}={value} does not divide the {grid[0]} frames of a clip; {divisors} do")
    return (value if name == "groups" else grid[0] // value, 1, 1)
