"""What a query sees of a clip: everything, its frame, its place, or its group of frames."""

import pytest
import torch

from wholeframe import ops
from wholeframe.blocks import NonLocal

GRID = (4, 5, 6)
RESTRICTIONS = {
    "space": {"reach": "space"},
    "space_pooled": {"reach": "space", "pool": 2},
    "time": {"reach": "time"},
    "time_pooled": {"reach": "time", "pool": (2, 1, 1)},
    "groups": {"groups": 2},
    "frames": {"frames": 2, "pool": 2, "pool_order": "before"},
    "three_axes": {"groups": 2, "pool": (2, 2, 2)},
}
RESTRICTED = pytest.mark.parametrize("options", RESTRICTIONS.values(), ids=RESTRICTIONS)


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 8, *GRID, dtype=torch.float64)


def alive(**options):
    torch.manual_seed(0)
    return NonLocal(8, std=0.5, birth="random", **options).double()


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def samples(x, reach=None, groups=None, frames=None, **_pool):
    """The parts of a clip as samples, written out."""
    b, c, t, h, w = x.shape
    if reach == "space":
        return x.transpose(1, 2).reshape(b * t, c, 1, h, w)
    if reach == "time":
        return x.permute(0, 3, 4, 1, 2).reshape(b * h * w, c, t, 1, 1)
    f = frames or t // groups
    return torch.cat([x[:, :, start : start + f] for start in range(0, t, f)])


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
    within = reached.get(options.get("reach"), lambda t, y, x: t >= 2)
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
        ({"reach": "space", "pool": 2}, (4, 2, 3)),
        ({"reach": "time"}, (4, 5, 6)),
        ({"reach": "time", "pool": (2, 1, 1)}, (2, 5, 6)),
        ({"groups": 2, "pool": 2}, (4, 2, 3)),
        ({"frames": 1, "pool": 2}, (4, 2, 3)),
    ],
)
def test_key_grid(options, grid):
    assert NonLocal(8, **options).key_grid(GRID) == grid


def test_multiply_adds_are_those_of_the_parts():
    free = NonLocal(8, backend="dense")
    one = free.multiply_adds((1, 5, 6))
    for options in ({"reach": "space"}, {"frames": 1}, {"groups": 4}):
        assert NonLocal(8, backend="dense", **options).multiply_adds(GRID) == 4 * one
    assert NonLocal(8, backend="dense", reach="time").multiply_adds(GRID) == 30 * free.multiply_adds((4, 1, 1))
    pooled = NonLocal(8, backend="dense", pool=2, pool_order="before")
    expected = 2 * pooled.multiply_adds((2, 5, 6))
    assert NonLocal(8, backend="dense", pool=2, pool_order="before", groups=2).multiply_adds(GRID) == expected


def test_one_group_is_the_whole_clip(x):
    close(alive(groups=1)(x), alive()(x))
    close(alive(frames=4)(x), alive()(x))
    close(alive(frames=1)(x), alive(reach="space")(x))


def test_the_space_of_an_image_and_of_a_sequence_is_all_there_is(x):
    close(alive(reach="space")(x[:, :, 0]), alive()(x[:, :, 0]))
    close(alive(reach="space")(x[:, :, 0, 0]), alive()(x[:, :, 0, 0]))


def test_an_empty_batch(x):
    for options in RESTRICTIONS.values():
        assert alive(**options).eval()(x[:0]).shape == x[:0].shape


@pytest.mark.usefixtures("unchecked")
def test_export_with_dynamic_sizes(x):
    """Sizes are symbols then, which the shape checker does not take for ints."""
    sizes = {0: torch.export.Dim("b"), 2: torch.export.Dim("t"), 3: torch.export.Dim("h"), 4: torch.export.Dim("w")}
    for options in ({"reach": "space"}, {"reach": "time"}):
        block = alive(**options).eval()
        exported = torch.export.export(block, (x,), dynamic_shapes=(sizes,)).module()
        other = torch.randn(3, 8, 2, 7, 3, dtype=torch.float64)
        close(exported(other), block(other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reach": "spatial"}, "reach='spatial' is none of 'spacetime', 'space', 'time'"),
        ({"reach": "space", "groups": 2}, "groups=2 cuts spacetime, but reach='space'; leave one of the two out"),
        ({"groups": 2, "frames": 4}, "groups=2 and frames=4 both say how a clip is cut; give one of the two"),
        ({"frames": 0}, "frames=0 is no number of frames; give one from 1"),
        ({"reach": "time", "pool": 2}, "pool=2 merges places, and with reach='time' a query looks only at its own"),
        ({"reach": "time", "pool": (2, 2, 1)}, r"pool=\(2, 2, 1\) merges places"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_cut_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NonLocal(8, **options)


def test_a_map_that_cannot_be_cut_is_refused(x):
    with pytest.raises(ValueError, match="groups=3 does not divide the 4 frames of a clip; 1, 2, 4 do"):
        alive(groups=3)(x)
    with pytest.raises(ValueError, match="frames=8 does not divide the 4 frames"):
        alive(frames=8)(x)
    for options, name in (
        ({"reach": "time"}, "reach='time'"),
        ({"frames": 2}, "frames=2"),
        ({"groups": 2}, "groups=2"),
    ):
        with pytest.raises(ValueError, match=rf"{name} needs a clip \(t, h, w\), but the grid \(5, 6\) has no time"):
            alive(**options)(x[:, :, 0])


def test_repr_tells_what_is_cut():
    assert "reach='space'" in repr(NonLocal(8, reach="space"))
    assert "groups=2" in repr(NonLocal(8, groups=2)) and "frames=2" in repr(NonLocal(8, frames=2))
