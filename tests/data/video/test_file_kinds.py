"""Files of every kind, each frame compared with a plain decode from the beginning."""

import numpy as np
import pytest
import torch

av = pytest.importorskip("av")

from video_kinds import QUICK, SLOW, Kind, encode  # noqa: E402

from wholeframe.data.video.file import check_frames, read_frames, video_info  # noqa: E402
from wholeframe.data.video.region import Region  # noqa: E402

WITHOUT_SLACK = {"mp4 negative": 25}
"""Frames that an edit list shows, of those that were encoded."""


def plain(path):
    """Every frame of a file as displayed, decoded from the beginning by PyAV alone, and when it begins in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = [
            (np.rot90(f.to_ndarray(format="rgb24"), f.rotation // 90).copy(), f.time) for f in container.decode(stream)
        ]
    return torch.stack([torch.from_numpy(frame) for frame, _ in frames]).permute(0, 3, 1, 2), [t for _, t in frames]


def compare(path, kind):
    expected, begins = plain(path)
    info = video_info(path)
    assert info.frames == len(expected) == WITHOUT_SLACK.get(kind.name, kind.count)
    assert info.lost == 0
    if kind.stamps:
        seconds = begins[-1] - begins[0]
        assert info.seconds == pytest.approx(seconds + 0.03, abs=0.03) and info.fps == len(expected) / info.seconds
        middles = [(begin + end) / 2 - begins[0] for begin, end in zip(begins, [*begins[1:], begins[-1]], strict=True)]
        order = {"times": middles}
    else:
        if kind.suffix != ".h261":  # Its codec has a rate of its own.
            assert info.fps == pytest.approx(float(kind.rate))
        assert info.seconds == pytest.approx(info.frames / info.fps, abs=0.002)
        order = {"indices": range(len(expected))}
    (name, places) = order.popitem()
    assert torch.equal(read_frames(path, **{name: places}, info=info), expected)
    for step in (2, 3, 7):
        assert torch.equal(read_frames(path, **{name: places[::step]}, info=info), expected[::step])
    for number, place in enumerate(places):
        assert torch.equal(read_frames(path, **{name: [place]}, info=info)[0], expected[number]), number
    check_frames(info)


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.name)
def test_every_frame_is_that_of_a_decode_from_the_beginning(tmp_path, kind):
    compare(encode(tmp_path, kind), kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SLOW, ids=lambda kind: kind.name)
def test_every_frame_of_further_kinds(tmp_path, kind):
    compare(encode(tmp_path, kind), kind)


CUT = Kind("h264", count=40, coder={"bf": "2"})


@pytest.mark.parametrize("name", ["mkv", "mp4", "ts", "flv"])
def test_a_file_that_begins_between_key_frames(tmp_path, name):
    """The frames before the first key frame cannot be decoded, and are not counted."""
    whole, part = encode(tmp_path, CUT._replace(name="mkv")), tmp_path / f"part.{name}"
    with av.open(str(whole)) as source, av.open(str(part), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number >= 5:
                packet.stream = stream
                target.mux(packet)
    expected, _ = plain(part)
    assert 25 <= len(expected) < 35
    compare(part, CUT._replace(name=name, count=len(expected)))


@pytest.mark.parametrize("name", ["ts", "mpg", "m2v"])
def test_recordings_that_are_joined(tmp_path, name):
    """The clock starts again in the second recording."""
    kind = Kind(name, "mpeg2video", coder={"bf": "2"})
    file = encode(tmp_path, kind)
    file.write_bytes(file.read_bytes() * 2)
    compare(file, kind._replace(count=60))


@pytest.mark.parametrize(("codec", "coder"), [("mpeg4", {}), ("mpeg4", {"bf": "2"}), ("libx264", {"bf": "3"})])
@pytest.mark.parametrize("gap", [0, 12])
def test_an_avi_with_dropped_frames(tmp_path, make_video, number_in, codec, coder, gap):
    """Where frames were dropped, the frame before is displayed for longer."""
    file, numbers = make_video(tmp_path / "a.avi", 30, codec=codec, **coder), range(30)
    with av.open(str(file)) as source, av.open(str(tmp_path / "b.avi"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                late = gap if packet.dts >= 15 else 0
                packet.pts = packet.dts = packet.dts + late
                packet.stream = stream
                target.mux(packet)
    info = video_info(tmp_path / "b.avi")
    assert (info.frames, info.lost, info.seconds) == (30, 0, pytest.approx((30 + gap) / 25))
    times = [(number + (gap if number >= 15 else 0) + 0.5) / 25 for number in numbers]
    frames = read_frames(info.path, times=times, info=info)
    assert [number_in(frame) for frame in frames] == list(numbers)
    for number, time in zip(numbers, times, strict=True):
        assert number_in(read_frames(info.path, times=[time], info=info)[0]) == number
    if gap:
        assert number_in(read_frames(info.path, times=[0.9], info=info)[0]) == 14


@pytest.mark.parametrize("name", ["h264", "ts"])
def test_frames_that_change_size(tmp_path, name):
    small, large = Kind(name, count=20), Kind(f"{name} large", count=20, size=(128, 96))
    file, other = encode(tmp_path, small), encode(tmp_path, large)
    first, second = (read_frames(path, range(20)) for path in (file, other))
    file.write_bytes(file.read_bytes() + other.read_bytes())
    info = video_info(file)
    frames = read_frames(file, range(40), info=info)
    assert frames.shape == (40, 3, 64, 96)
    assert torch.equal(frames[:20], first)
    shrunk = torch.nn.functional.interpolate(second.double(), (64, 96), mode="bilinear", antialias=True)
    assert (frames[20:].double() - shrunk).abs().mean() < 6
    region = Region(8, 16, 40, 48, (20, 24))
    assert (read_frames(file, range(40), region=region).double() - region.of(frames).double()).abs().mean() < 6
