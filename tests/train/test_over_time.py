"""A video in segments: together they cover it, and each reads its own frames."""

import pytest
import torch

pytest.importorskip("av")

from wholeframe.data.video.sampling import Sampling
from wholeframe.data.video.views import Views
from wholeframe.train.inputs.clips import Clips
from wholeframe.train.over_time import parts_of, seconds

ONE = Views(1, "full")
CLIPS = Clips(Sampling(4, 2), size=28)


@pytest.fixture(scope="module")
def video(tmp_path_factory, make_video):
    """60 frames at 25 a second: 2.4 seconds."""
    return make_video(tmp_path_factory.mktemp("video") / "v.mp4", 60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2s", 2), ("2", 2), (" 0.5 ", 0.5), (".5s", 0.5), ("500ms", 0.5), ("1min", 60), ("2h", 7200)],
)
def test_lengths_of_time(text, expected):
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "s", "0", "0.0s", "-1", "nan", "inf", "2 days", "1e3", "2s2"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(
        ValueError, match=r"is not a length of time above 0; give seconds, such as 2s, or 500ms, or 1min"
    ):
        seconds(text)


@pytest.mark.parametrize(
    ("every", "edges"),
    [(0.8, [0, 0.8, 1.6, 2.4]), (1.0, [0, 1.0, 2.4]), (2.4, [0, 2.4]), (100, [0, 2.4])],
)
def test_segments_cover_the_video(video, every, edges):
    parts = parts_of(video, every, CLIPS, ONE)
    assert [part.start for part in parts] == pytest.approx(edges[:-1])
    assert [part.end for part in parts] == pytest.approx(edges[1:])


def test_each_segment_reads_its_own_frames(video, number_in):
    parts = parts_of(video, 0.8, CLIPS, ONE)
    views = [part.read() for part in parts]
    assert all(view.shape[:3] == (1, 3, 4) and view.dtype == torch.uint8 for view in views)
    read = [
        [number_in(torch.nn.functional.interpolate(f[None].float(), (32, 96))[0]) for f in view[0].transpose(0, 1)]
        for view in views
    ]
    assert read == [[first + 6 + 2 * k for k in range(4)] for first in (0, 20, 40)], "the clip in the middle"


def test_a_segment_shorter_than_a_clip_says_so(video):
    assert [part.short for part in parts_of(video, 0.8, CLIPS, ONE)] == [False] * 3
    assert [part.short for part in parts_of(video, 0.2, CLIPS, ONE)] == [True] * 12


def test_a_file_that_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(ValueError, match="is not a video that can be decoded"):
        parts_of(tmp_path / "a.mp4", 1, CLIPS, ONE)
