"""Which frames make a clip: spans, starts, short videos, and the starts of several clips by each rule."""

import pytest
import torch

from wholeframe.data.video.sampling import Sampling


@pytest.mark.parametrize(("frames", "stride"), [(32, 2), (8, 8), (32, 4), (128, 1)])
def test_random_clip_is_any_that_fits(frames, stride):
    sampling = Sampling(frames, stride)
    total = sampling.span + 3
    torch.manual_seed(0)
    clips = [sampling.random(total) for _ in range(100)]
    assert {clip[0] for clip in clips} == {0, 1, 2, 3}  # Both ends are included.
    for clip in clips:
        assert clip == list(range(clip[0], clip[0] + sampling.span, stride))


def test_random_start_comes_from_torchs_generator():
    draws = []
    for _ in range(2):
        torch.manual_seed(7)
        draws.append([Sampling(8, 2).random(1000)[0] for _ in range(5)])
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 1


def test_short_videos():
    assert Sampling(4, 2, short="wrap").random(5) == [0, 2, 4, 1]
    assert Sampling(4, 2, short="clamp").random(5) == [0, 2, 4, 4]
    assert Sampling(4, 2, short="wrap").random(1) == [0, 0, 0, 0]


def test_views_of_the_released_code_wrap_around():
    clips = Sampling(32, 2).evenly(10, 100)
    assert [clip[0] for clip in clips] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert clips[9] == [(90 + 2 * i) % 100 for i in range(32)]


def test_views_of_pyslowfast_stay_inside():
    clips = Sampling(32, 2, short="clamp", views="pyslowfast").evenly(10, 100)
    assert [clip[0] for clip in clips] == [0, 3, 7, 10, 14, 18, 21, 25, 28, 32]  # 36 frames of room, in tenths.
    assert max(max(clip) for clip in clips) == 32 + 62


def test_one_view_in_the_middle():
    sampling = Sampling(8, 2, views="middle")
    assert sampling.evenly(1, 116)[0][0] == 50
    assert [clip[0] for clip in sampling.evenly(2, 116)] == [25, 75]
    assert sampling.evenly(1, 5)[0] == [0, 2, 4, 1, 3, 0, 2, 4]


def test_no_clip():
    with pytest.raises(ValueError, match="frames=0 and stride=2 must both be at least 1"):
        Sampling(0)
    with pytest.raises(ValueError, match="stride=0"):
        Sampling(8, 0)


def test_unknown_rules():
    with pytest.raises(ValueError, match="short='repeat' is not one of 'wrap', 'clamp'"):
        Sampling(short="repeat")
    with pytest.raises(ValueError, match=r"views='pyslowfst' is not one of .*; did you mean 'pyslowfast'"):
        Sampling(views="pyslowfst")
