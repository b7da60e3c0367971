"""Which keys a query of a clip attends over: all, those of its frame, its position, or its group of frames."""

import pytest
import torch

from wholeframe import ops
from wholeframe.blocks import NonLocal

GRID = (4, 5, 6)
RESTRICTIONS = {
    "space": {"attend_over": "space"},
    "space_pooled": {"attend_over": "space", "pool": 2},
    "time": {"attend_over": "time"},
    "time_pooled": {"attend_over": "time", "pool": (2, 1, 1)},
    "groups": {"frame_groups": 2},
    "frames": {"frames_per_group": 2, "pool": 2, "pool_order": "before"},
    "three_axes": {"frame_groups": 2, "pool": (2, 2, 2)},
}
RESTRICTED = pytest.mark.parametrize("options", RESTRICTIONS.values(), ids=RESTRICTIONS)


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 8, *GRID, dtype=torch.float64)


def alive(**options):
    torch.manual_seed(0)
    return NonLocal(8, std=0.5, init="random", **options).double()


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def samples(x, attend_over=None, frame_groups=None, frames_per_group=None, **_pool):
    """The parts of a clip as samples, written out."""
    b, c, t, h, w = x.shape
    if attend_over == "space":
        return x.transpose(1, 2).reshape(b * t, c, 1, h, w)
    if attend_over == "time":
        return x.permute(0, 3, 4, 1, 2).reshape(b * h * w, c, t, 1, 1)
    f = frames_per_group or t // frame_groups
    return torch.cat([x[:, :, start : start + f] for start in range(0, t, f)])


@pytest.mark.slow_beyond(17)
@RESTRICTED
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kind", ops.KINDS)
def test_a_part_is_a_sample_of_its_own(x, options, kind, training):
    """With the batch norm over all positions of all parts, as both see the same numbers."""
    block = alive(kind=kind, **options).train(training)
    free = alive(kind=kind, **{key: value for key, value in options.items() if "pool" in key}).train(training)
    close(samples(block(x), **options), free(samples(x, **options)))
    close(block.norm.running_var, free.norm.running_var)
    assert not torch.allclose(block(x), free(x))


@RESTRICTED
def test_only_keys_within_reach_move_a_query(x, options):
    block = alive(**options).eval()
    other = x.clone()
    other[:, :, 3, 3, 3] += 1
    changed = ((block(other) - block(x)).abs().amax(dim=(0, 1)) > 1e-9).nonzero()
    reached = {"space": lambda t, y, x: t == 3, "time": lambda t, y, x: (y, x) == (3, 3)}
    within = reached.get(options.get("attend_over"), lambda t, y, x: t >= 2)
    assert len(changed) > 1
    assert all(within(*point) for point in changed.tolist())


@RESTRICTED
@pytest.mark.parametrize("kind", ops.KINDS)
def test_attention_is_over_all_keys_and_zero_out_of_reach(x, options, kind):
    block = alive(kind=kind, **options).eval()
    query = [0, 61, 119, 17]
    attention = block.attention(x, query)
    grid = block.key_grid(GRID)
    assert attention.shape == (2, 4, *grid)
    if "gaussian" in kind:
        close(attention.sum(dim=(2, 3, 4)), torch.ones(2, 4, dtype=torch.float64))
    parts = block.parts(GRID)
    _, _, value = block.project(ops.cut(x, parts))
    cut = tuple(k // p for k, p in zip(grid, parts, strict=True))
    value = ops.join(value.transpose(1, 2).unflatten(2, cut), parts).flatten(2)
    z = block.norm(block.out(attention.flatten(2) @ value.mT).transpose(1, 2))
    close(z, (block(x) - x).flatten(2)[:, :, query])


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ({"attend_over": "space", "pool": 2}, (4, 2, 3)),
        ({"attend_over": "time"}, (4, 5, 6)),
        ({"attend_over": "time", "pool": (2, 1, 1)}, (2, 5, 6)),
        ({"frame_groups": 2, "pool": 2}, (4, 2, 3)),
        ({"frames_per_group": 1, "pool": 2}, (4, 2, 3)),
    ],
)
def test_key_grid(options, grid):
    assert NonLocal(8, **options).key_grid(GRID) == grid


def test_multiply_adds_are_those_of_the_parts():
    free = NonLocal(8)
    one = free.multiply_adds((1, 5, 6))
    for options in ({"attend_over": "space"}, {"frames_per_group": 1}, {"frame_groups": 4}):
        assert NonLocal(8, **options).multiply_adds(GRID) == 4 * one
    assert NonLocal(8, attend_over="time").multiply_adds(GRID) == 30 * free.multiply_adds((4, 1, 1))
    pooled = NonLocal(8, pool=2, pool_order="before")
    expected = 2 * pooled.multiply_adds((2, 5, 6))
    assert NonLocal(8, pool=2, pool_order="before", frame_groups=2).multiply_adds(GRID) == expected


def test_one_group_is_the_whole_clip(x):
    close(alive(frame_groups=1)(x), alive()(x))
    close(alive(frames_per_group=4)(x), alive()(x))
    close(alive(frames_per_group=1)(x), alive(attend_over="space")(x))


def test_the_space_of_an_image_and_of_a_sequence_is_all_there_is(x):
    close(alive(attend_over="space")(x[:, :, 0]), alive()(x[:, :, 0]))
    close(alive(attend_over="space")(x[:, :, 0, 0]), alive()(x[:, :, 0, 0]))


def test_an_empty_batch(x):
    for options in RESTRICTIONS.values():
        assert alive(**options).eval()(x[:0]).shape == x[:0].shape


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_export_with_dynamic_sizes(x):
    """Sizes are symbols then, which the shape checker does not take for ints."""
    sizes = {0: torch.export.Dim("b"), 2: torch.export.Dim("t"), 3: torch.export.Dim("h"), 4: torch.export.Dim("w")}
    for options in ({"attend_over": "space"}, {"attend_over": "time"}):
        block = alive(**options).eval()
        exported = torch.export.export(block, (x,), dynamic_shapes=(sizes,)).module()
        other = torch.randn(3, 8, 2, 7, 3, dtype=torch.float64)
        close(exported(other), block(other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attend_over": "spatial"}, "attend_over='spatial' is not one of 'spacetime', 'space', 'time'"),
        (
            {"attend_over": "space", "frame_groups": 2},
            "frame_groups=2 cuts spacetime, but attend_over='space'; leave one of the two out",
        ),
        (
            {"frame_groups": 2, "frames_per_group": 4},
            "frame_groups=2 and frames_per_group=4 both cut the clip; give one of the two",
        ),
        (
            {"frames_per_group": 0},
            r"frames_per_group must be an integer of at least 1, got 0 \(the default is one group of all frames\)",
        ),
        (
            {"attend_over": "time", "pool": 2},
            "pool=2 merges positions, and with attend_over='time' a query attends only over its own",
        ),
        ({"attend_over": "time", "pool": (2, 2, 1)}, r"pool=\(2, 2, 1\) merges positions"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_cut_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NonLocal(8, **options)


def test_a_map_that_cannot_be_cut_is_refused(x):
    with pytest.raises(ValueError, match="frame_groups=3 does not divide the 4 frames of a clip; 1, 2, 4 do"):
        alive(frame_groups=3)(x)
    with pytest.raises(ValueError, match="frames_per_group=8 does not divide the 4 frames"):
        alive(frames_per_group=8)(x)
    for options, name in (
        ({"attend_over": "time"}, "attend_over='time'"),
        ({"frames_per_group": 2}, "frames_per_group=2"),
        ({"frame_groups": 2}, "frame_groups=2"),
    ):
        with pytest.raises(ValueError, match=rf"{name} needs a clip \(t, h, w\), but the grid \(5, 6\) has no time"):
            alive(**options)(x[:, :, 0])


def test_repr_tells_what_is_cut():
    assert "attend_over='space'" in repr(NonLocal(8, attend_over="space"))
    assert "frame_groups=2" in repr(NonLocal(8, frame_groups=2)) and "frames_per_group=2" in repr(
        NonLocal(8, frames_per_group=2)
    )
