"""How far a query looks: over the whole clip, its own frame, its own place, or a group of frames."""

from collections.abc import Sequence
from typing import Literal

from wholeframe.messages import one_of

Reach = Literal["spacetime", "space", "time"]


def check(
    attend_over: Reach, frame_groups: int | None, frames_per_group: int | None, pool: int | Sequence[int]
) -> None:
    """Refuse what no clip can be cut into."""
    one_of("attend_over", attend_over, ("spacetime", "space", "time"))
    for name, value in (("frame_groups", frame_groups), ("frames_per_group", frames_per_group)):
        if value is None:
            continue
        if attend_over != "spacetime":
            raise ValueError(
                f"{name}={value} cuts spacetime, but attend_over={attend_over!r}; leave one of the two out"
            )
        if value < 1:
            raise ValueError(f"{name}={value} is no number of {name}; give one from 1")
    if frame_groups is not None and frames_per_group is not None:
        raise ValueError(
            f"frame_groups={frame_groups} and frames_per_group={frames_per_group} both say how a clip is cut; give one of the two"
        )
    if attend_over == "time" and max([pool] if isinstance(pool, int) else list(pool)[1:], default=1) > 1:
        raise ValueError(
            f"pool={pool!r} merges places, and with attend_over='time' a query looks only at its own; "
            "leave pool=1, or pool time alone with pool=(2, 1, 1)"
        )


def parts_of(
    grid: Sequence[int], attend_over: Reach, frame_groups: int | None, frames_per_group: int | None
) -> tuple[int, ...]:
    """Into how many parts each axis of a grid is cut; a query looks at the keys of its own part."""
    rank = len(grid)
    if attend_over == "spacetime" and frame_groups is None and frames_per_group is None:
        return (1,) * rank
    if attend_over == "space":
        return (*grid[:-2], 1, 1) if rank > 1 else (1,)
    name, value = ("frame_groups", frame_groups) if frames_per_group is None else ("frames_per_group", frames_per_group)
    if rank != 3:
        asked = "attend_over='time'" if attend_over == "time" else f"{name}={value}"
        raise ValueError(f"{asked} needs a clip (t, h, w), but the grid {tuple(grid)} has no time; leave it out")
    if attend_over == "time":
        return (1, *grid[1:])
    assert value is not None
    if grid[0] % value:
        divisors = ", ".join(str(d) for d in range(1, grid[0] + 1) if grid[0] % d == 0)
        raise ValueError(f"{name}={value} does not divide the {grid[0]} frames of a clip; {divisors} do")
    return (value if name == "frame_groups" else grid[0] // value, 1, 1)
