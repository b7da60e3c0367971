"""Clips of recall: what is labelled, where the answers are, and which kind of attention reaches them."""

import pytest
import torch

from wholeframe.data.synthetic import IGNORE, STRIDE
from wholeframe.data.synthetic_clips import CLIP_TASKS, FRAMES, LONG, PAIRS, SHORT, SIDE, recall_cut, recall_long

COUNT = 32


@pytest.fixture(params=CLIP_TASKS, scope="module")
def task(request):
    return request.param


def markers(clip):
    """Centre, hue (of a corner) and core of every marker of one clip: a pixel whose eight neighbours are equal."""
    found = []
    for t in range(clip.shape[1]):
        for y in range(1, SIDE - 1):
            for x in range(1, SIDE - 1):
                ring = clip[:, t, y - 1 : y + 2, x - 1 : x + 2].flatten(1)[:, [0, 1, 2, 3, 5, 6, 7, 8]]
                if (ring == ring[:, :1]).all():
                    found.append((t, y, x, tuple(ring[:, 0].tolist()), tuple(clip[:, t, y, x].tolist())))
    return found


def test_the_seed_alone_determines_the_clips(task):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first, again, other = (CLIP_TASKS[task](COUNT, seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state()), "the global random state is left alone"
    assert all(map(torch.equal, first, again)) and not any(map(torch.equal, first, other))


def test_shapes(task):
    clips, labels = CLIP_TASKS[task](COUNT, 0)
    assert clips.shape == (COUNT, 3, FRAMES[task], SIDE, SIDE) and clips.dtype == torch.uint8
    assert labels.shape == (COUNT, FRAMES[task], SIDE // STRIDE, SIDE // STRIDE)
    assert ((labels != IGNORE).sum(dim=(1, 2, 3)) == PAIRS).all()
    assert (labels == 0).sum() > COUNT and (labels == 1).sum() > COUNT, "both classes are there"


def kinds(clips, labels):
    """Of every query with a visible answer: whether the frame and the place (a cell of 8 x 8) are the same."""
    found = []
    for clip, label in zip(clips, labels, strict=True):
        every = markers(clip)
        for t, y, x in (label != IGNORE).nonzero().tolist():
            (query,) = [m for m in every if (m[0], m[1] // STRIDE, m[2] // STRIDE) == (t, y, x)]
            assert query[3] == query[4], "a query has no core"
            for answer in every:
                if answer[3] == query[3] and answer[:3] != query[:3]:
                    bright = answer[4] == (255, 255, 255)
                    assert bright or answer[4] == (0, 0, 0)
                    assert bright == bool(label[t, y, x]), "the label is the core of the answer"
                    cells = [(m[1] // 8, m[2] // 8) for m in (query, answer)]
                    found.append((query[0] == answer[0], cells[0] == cells[1]))
    return found


def test_a_third_in_space_a_third_in_time_and_a_third_in_both():
    clips, labels = CLIP_TASKS["recall_clips"](8, 1)
    found = kinds(clips, labels)
    assert len(found) == 8 * PAIRS
    assert found.count((True, False)) == found.count((False, True)) == found.count((False, False)) == 16


@pytest.mark.slow
def test_a_longer_clip_shows_the_answers_that_a_cut_one_lacks():
    short, long = recall_cut(8, 1), recall_long(8, 1)
    assert torch.equal(short[0], long[0][:, :, :4]) and torch.equal(short[1], long[1][:, :4])
    assert (long[1][:, 4:] == IGNORE).all(), "all queries are in the first half"
    assert len(kinds(*short)) == 8 * PAIRS // 2 and len(kinds(*long)) == 8 * PAIRS


@pytest.mark.parametrize("pairs", [SHORT, LONG])
def test_no_two_markers_share_a_cell(pairs):
    cells = [cell for pair in pairs for cell in pair]
    assert len(set(cells)) == len(cells) == 2 * PAIRS
