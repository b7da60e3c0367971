"""Pictures of attention over photographs are written as PNG, and show what they are given."""

import numpy as np
import pytest
import torch
from pictures import drawn

from wholeframe.explain.attention import Attention
from wholeframe.explain.frame import Frame
from wholeframe.explain.pictures.draw import draw_attention

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def attention(weights, site="layer3.4", cell=(1, 1)):
    frame, kind = Frame.whole(PHOTO.shape[:2]), "shared" if cell is None else "pairwise"
    return Attention(site, "NonLocal", kind, cell, tuple(weights.shape), frame, weights, frame)


def softmax(rows=6, columns=8, seed=0):
    return torch.randn(rows * columns, generator=torch.Generator().manual_seed(seed)).softmax(dim=0).view(rows, columns)


def test_attention_is_drawn(tmp_path):
    draw_attention(PHOTO, (10, 20), [attention(softmax())], tmp_path / "a.png")
    pixels = drawn(tmp_path / "a.png")
    colourful = (pixels.max(axis=2) - pixels.min(axis=2)).std()
    assert pixels.shape[1] > pixels.shape[0] and colourful > 10


def test_a_panel_per_block(tmp_path):
    draw_attention(PHOTO, (10, 20), [attention(softmax())], tmp_path / "one.png")
    draw_attention(PHOTO, (10, 20), [attention(softmax()), attention(softmax(), "layer2")], tmp_path / "two.png")
    assert drawn(tmp_path / "two.png").shape[1] > 1.3 * drawn(tmp_path / "one.png").shape[1]


@pytest.mark.slow
def test_many_blocks_wrap_into_rows(tmp_path):
    """The photo and six maps have two rows of four, the photo and three maps one."""
    sizes = []
    for count in (3, 6):
        found = [attention(softmax(), f"layer{n}") for n in range(count)]
        draw_attention(PHOTO, (10, 20), found, tmp_path / "a.png")
        sizes.append(drawn(tmp_path / "a.png").shape[:2])
    (height, width), (twice, same) = sizes
    assert 1.8 * height < twice and same < 1.1 * width


def marks(pixels):
    """The number of pixels in the colour of the query."""
    return int((abs(pixels - [0x00, 0xE5, 0xFF]).sum(axis=2) < 8).sum())


def test_a_query_is_marked_only_where_the_map_depends_on_it(tmp_path):
    photo = np.full((48, 64, 3), 128, dtype=np.uint8)
    counts = []
    for name, cells in (("both", [(1, 1), (1, 1)]), ("one", [(1, 1), None]), ("none", [None, None])):
        draw_attention(photo, (10, 20), [attention(softmax(), cell=cell) for cell in cells], tmp_path / f"{name}.png")
        counts.append(marks(drawn(tmp_path / f"{name}.png")))
    both, one, none = counts
    assert none == 0 < one < both


@pytest.mark.parametrize(
    ("frame", "region", "expected"),
    [
        (Frame.whole((100, 200)), False, (1 / 3, 2 / 3, 0.25, 0.5)),
        (Frame(((0, 150), (0, 200))), False, (0.5, 1, 0.25, 0.5)),  # 50 rows of padding
        (Frame(((0, 100), (0, 320))), False, (1 / 3, 2 / 3, 0.4, 0.8)),  # 120 columns of padding
        (Frame(((20, 80), (40, 120))), True, (0.4, 0.6, 0.3, 0.4)),  # a region
    ],
)
def test_a_map_lies_over_the_rectangle_of_its_keys(tmp_path, frame, region, expected):
    """One cell of 3 x 4 has all the weight, over a black photograph of 100 x 200."""
    weights = torch.zeros(3, 4)
    weights[1, 1] = 1
    found = Attention("layer3", "GlobalContext", "shared", None, (3, 4), frame, weights, frame, region=region)
    draw_attention(np.zeros((100, 200, 3), dtype=np.uint8), (0, 0), [found], tmp_path / "a.png")
    pixels = drawn(tmp_path / "a.png")
    panel = abs(pixels - round(255 * 0.15 / 1.3)).max(axis=2) <= 2  # Letters have few pixels of this grey.
    across, down = (np.flatnonzero(panel.sum(axis=axis) > 60) for axis in (0, 1))
    inside = pixels[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    heat = (inside[..., 0] > 150) & (inside[..., 2] < 120)  # the yellow of the largest weight, not the edge of a region
    rows, columns = (np.flatnonzero(heat.any(axis=axis)) for axis in (1, 0))
    height, width = heat.shape
    place = rows[0] / height, (rows[-1] + 1) / height, columns[0] / width, (columns[-1] + 1) / width
    assert place == pytest.approx(expected, abs=0.02)
    edge = marks(inside) > 100
    assert edge == region


@pytest.mark.parametrize("shape", [(24, 120, 3), (120, 24, 3), (48, 64, 3)])
def test_a_bar_is_as_tall_as_its_picture(tmp_path, shape):
    """The photograph is black, and the bar is the only column with colours over many rows."""
    photo = np.zeros(shape, dtype=np.uint8)
    draw_attention(photo, (0, 0), [attention(torch.zeros(6, 8), cell=None)], tmp_path / "a.png")
    pixels = drawn(tmp_path / "a.png")
    black = np.flatnonzero((pixels.sum(axis=2) == 0).sum(axis=1) > 20)
    columns = np.flatnonzero(((pixels.max(axis=2) - pixels.min(axis=2)) > 60).sum(axis=0) > 20)
    bar = np.flatnonzero((pixels[:, columns].max(axis=2) - pixels[:, columns].min(axis=2) > 60).any(axis=1))
    assert np.ptp(bar) == pytest.approx(np.ptp(black), abs=4)


def test_titles_from_outside_start_no_formula(tmp_path):
    odd = "x$\\frac$ \udcff 猫 [bold]\n"
    draw_attention(PHOTO, (1, 1), [attention(softmax())], tmp_path / "b.png", title=odd)
    drawn(tmp_path / "b.png")


def test_other_weights_and_other_queries_look_different(tmp_path):
    for name, query, seed in (("a", (10, 20), 0), ("b", (10, 20), 1), ("c", (40, 50), 0)):
        draw_attention(PHOTO, query, [attention(softmax(seed=seed))], tmp_path / f"{name}.png", title="same")
    a, b, c = (drawn(tmp_path / f"{name}.png") for name in "abc")
    assert a.shape != b.shape or (a != b).any()
    assert a.shape != c.shape or (a != c).any()


@pytest.mark.parametrize(
    "weights",
    [
        torch.linspace(-1, 1, 48).view(6, 8),  # nl_dot has no softmax
        -softmax(),
        torch.zeros(6, 8),
        torch.ones(1, 1),
        softmax() * 1e-12,
    ],
    ids=["signed", "negative", "zero", "one cell", "tiny"],
)
def test_weights_of_every_kind(tmp_path, weights):
    draw_attention(PHOTO, (0, 0), [attention(weights)], tmp_path / "a.png")
    drawn(tmp_path / "a.png")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("shape", [(8, 300, 3), (300, 8, 3), (1, 1, 3)])
def test_photographs_of_every_shape(tmp_path, shape):
    photo = np.full(shape, 128, dtype=np.uint8)
    draw_attention(photo, (0, 0), [attention(softmax())], tmp_path / "a.png")
    drawn(tmp_path / "a.png")
