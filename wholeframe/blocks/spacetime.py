"""Which keys a query of a clip attends over: all, those of its frame, those at its position, or a group of frames."""

from collections.abc import Sequence
from typing import Literal

from wholeframe.blocks.arguments import integer
from wholeframe.messages import one_of

AttendOver = Literal["spacetime", "space", "time"]


def check(
    attend_over: AttendOver, frame_groups: int | None, frames_per_group: int | None, pool: int | Sequence[int]
) -> None:
    """Raise `ValueError` for options that fit no clip."""
    one_of("attend_over", attend_over, ("spacetime", "space", "time"))
    for name, value in (("frame_groups", frame_groups), ("frames_per_group", frames_per_group)):
        if value is None:
            continue
        if attend_over != "spacetime":
            raise ValueError(
                f"{name}={value} cuts spacetime, but attend_over={attend_over!r}; leave one of the two out"
            )
        integer(name, value, default="one group of all frames")
    if frame_groups is not None and frames_per_group is not None:
        raise ValueError(
            f"frame_groups={frame_groups} and frames_per_group={frames_per_group} both cut the clip; "
            "give one of the two"
        )
    if attend_over == "time" and max([pool] if isinstance(pool, int) else list(pool)[1:], default=1) > 1:
        raise ValueError(
            f"pool={pool!r} merges positions, and with attend_over='time' a query attends only over its own; "
            "leave pool=1, or pool time alone with pool=(2, 1, 1)"
        )


def parts_of(
    grid: Sequence[int], attend_over: AttendOver, frame_groups: int | None, frames_per_group: int | None
) -> tuple[int, ...]:
    """The number of parts that each axis of a grid is cut into; a query attends over the keys of its own part."""
    rank = len(grid)
    if attend_over == "spacetime" and frame_groups is None and frames_per_group is None:
        return (1,) * rank
    if attend_over == "space":
        return (*grid[:-2], 1, 1) if rank > 1 else (1,)
    name, value = ("frame_groups", frame_groups) if frames_per_group is None else ("frames_per_group", frames_per_group)
    if rank != 3:
        option = "attend_over='time'" if attend_over == "time" else f"{name}={value}"
        raise ValueError(f"{option} needs a clip (t, h, w), but the grid {tuple(grid)} has no time; leave it out")
    if attend_over == "time":
        return (1, *grid[1:])
    assert value is not None
    if grid[0] % value:
        divisors = ", ".join(str(d) for d in range(1, grid[0] + 1) if grid[0] % d == 0)
        raise ValueError(f"{name}={value} does not divide the {grid[0]} frames of a clip; {divisors} do")
    return (value if name == "frame_groups" else grid[0] // value, 1, 1)
