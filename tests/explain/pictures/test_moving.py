"""A moving picture has a frame for every frame of the clip, with the map at its time."""

import builtins

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from wholeframe.explain.frame import Frame
from wholeframe.explain.pictures.moving import draw_moving, refuse_moving

av = pytest.importorskip("av")


def frames(file):
    if file.suffix == ".gif":
        with Image.open(file) as image:
            return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(image)]
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


@pytest.fixture
def one(view, clip, planted):
    """All of the weight on a key of the third of four cells in time: frames 4 and 5 of 8."""
    return view(clip, [planted((2, 1, 1), (4, 4, 4), cell=(2, 2, 2))])


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_the_map_is_there_at_its_time(tmp_path, one, suffix):
    draw_moving([one], tmp_path / f"a{suffix}")
    drawn = frames(tmp_path / f"a{suffix}")
    # The scale in the bar has its yellow in every frame, and the key only in its two.
    yellow = [int(((each[..., 0] > 200) & (each[..., 1] > 200) & (each[..., 2] < 110)).sum()) for each in drawn]
    assert len(drawn) == 8
    assert [count > yellow[0] + 1000 for count in yellow] == [number in (4, 5) for number in range(8)]


def test_a_part_of_the_clip_has_no_map_at_other_times(tmp_path, view, clip, planted):
    """A block that sees one frame at a time: the map of the frame of the query, from 3 to 4."""
    part = Frame(((3, 4), (0, 32), (0, 32)))
    found = planted((0, 1, 1), (1, 4, 4), cell=(0, 2, 2), key_frame=part, frame=part, region=True)
    draw_moving([view(clip, [found])], tmp_path / "a.mp4")
    drawn = frames(tmp_path / "a.mp4")
    yellow = [int(((each[..., 0] > 200) & (each[..., 1] > 200) & (each[..., 2] < 110)).sum()) for each in drawn]
    assert [count > yellow[0] + 1000 for count in yellow] == [number == 3 for number in range(8)]


def test_the_query_is_marked_in_its_frame(tmp_path, one):
    draw_moving([one], tmp_path / "a.gif")
    marks = [int((abs(each - [0x00, 0xE5, 0xFF]).sum(axis=2) < 60).sum()) for each in frames(tmp_path / "a.gif")]
    assert [count > 20 for count in marks] == [number == 4 for number in range(8)]


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_the_same_bytes_twice(tmp_path, one, suffix):
    for name in "ab":
        draw_moving([one], tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.slow
def test_gates_stay_and_every_query_has_a_strip(tmp_path, view, clip, record):
    found = [record(torch.ones(4, 2, 2)), record(torch.rand(8), "channel", site="b")]
    draw_moving([view(clip, found, found)], tmp_path / "a.gif")
    draw_moving([view(clip, found)], tmp_path / "b.gif")
    twice, once = frames(tmp_path / "a.gif")[0], frames(tmp_path / "b.gif")[0]
    assert twice.shape[0] > 1.7 * once.shape[0]


def test_without_pyav_a_video_is_refused_and_a_gif_is_not(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"an MP4 is written by PyAV, which is not installed .* give -o with .gif"):
        refuse_moving(tmp_path / "a.MP4")
    refuse_moving(tmp_path / "a.gif")
