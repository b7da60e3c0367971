"""One video file: the requested frames in every container, no others decoded, and the ways in which it is broken."""

import pickle
import random
import tracemalloc
from fractions import Fraction
from pathlib import Path

import pytest
import torch

av = pytest.importorskip("av")

from wholeframe.data.video import decode, probe  # noqa: E402
from wholeframe.data.video.file import VideoError, read_frames, video_info  # noqa: E402
from wholeframe.data.video.region import Region  # noqa: E402

REAL = Path(__file__).parents[3].parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no folder ../shared/data with real clips")


@pytest.fixture
def decoded(monkeypatch):
    """The number of frames that the decoder has returned, in a list."""
    count = [0]
    timed = decode.timed

    def counting(*arguments):
        for pair in timed(*arguments):
            count[0] += 1
            yield pair

    monkeypatch.setattr(decode, "timed", counting)
    monkeypatch.setattr(probe, "timed", counting)
    return count


# ------------------------------------------------------------------------------- the requested frames


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mp4", "mpeg4"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9")],
)
def test_frames_by_number(tmp_path, make_video, number_in, name, codec):
    file = make_video(tmp_path / name, 100, codec=codec)
    info = video_info(file)
    assert (info.frames, info.fps, info.height, info.width) == (100, 25, 32, 96)
    assert info.seconds == pytest.approx(4, abs=0.01)
    order = random.Random(0).choices(range(100), k=30)  # In any order, also repeated.
    frames = read_frames(file, order)
    assert frames.shape == (30, 3, 32, 96)
    assert frames.dtype == torch.uint8
    assert [number_in(frame) for frame in frames] == order
    assert read_frames(file, []).shape == (0, 3, 32, 96)


def test_frames_at_times_are_those_of_a_player(tmp_path, make_video, number_in):
    file = make_video(tmp_path / "a.mp4", 50)
    frames = read_frames(file, times=[0, 0.039, 0.04, 1.0, 1.99, 2.0])
    assert [number_in(frame) for frame in frames] == [0, 0, 1, 25, 49, 49]


def test_a_varying_rate_keeps_the_time(tmp_path, make_video, number_in):
    slow, fast = [100 * n for n in range(10)], [1000 + 20 * n for n in range(50)]  # 10, then 50 frames per second.
    file = make_video(tmp_path / "a.mkv", 60, stamps=slow + fast, codec="libx264")
    frames = read_frames(file, times=[0.05, 0.15, 0.95, 1.01, 1.05, 1.99])
    assert [number_in(frame) for frame in frames] == [0, 1, 9, 10, 12, 59]
    info = video_info(file)
    assert info.seconds == pytest.approx(2, abs=0.03)
    assert number_in(read_frames(file, [info.frames // 4])[0]) == 5  # A quarter of the time, a twelfth of the frames.


def test_a_frame_displayed_for_long_is_found_although_no_other_refers_to_it(tmp_path, make_video, number_in):
    stamps = [1000 * n for n in range(60)]  # One per second: longer than the time within which frames are kept.
    file = make_video(tmp_path / "a.mkv", 60, stamps=stamps, gop=60, bf="2")
    info = video_info(file)
    for second in (31, 32, 33, 34, 35, 36):
        assert number_in(read_frames(file, times=[second + 0.9], info=info)[0]) == second


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("pyramid", ["none", "normal"])
def test_frames_that_no_other_refers_to_are_skipped(tmp_path, make_video, number_in, decoded, stride, pyramid):
    coder = {"bf": "3", "x264-params": f"b-adapt=0:scenecut=0:b-pyramid={pyramid}"}  # One or two of four are needed.
    file = make_video(tmp_path / "a.mp4", 120, codec="libx264", gop=120, **coder)
    info = video_info(file)
    for start in (0, 1, 14):
        decoded[0], indices = 0, list(range(start, 120, stride))
        assert [number_in(frame) for frame in read_frames(file, indices, info=info)] == indices
        needed = set(indices) | {n for n in range(120) if n % (4 if pyramid == "none" else 2) == 0}
        assert decoded[0] <= len(needed) + 4  # The last frames of a file may differ.


@pytest.mark.parametrize("last", [20, 21, 22, 23])
def test_a_frame_that_lasts_is_not_mistaken_for_a_skipped_one(tmp_path, make_video, number_in, last):
    """One frame is followed by a gap of a second; late in the gap, that frame seems not to be needed."""
    stamps = [40 * n + (1000 if n > last else 0) for n in range(60)]
    file = make_video(tmp_path / "a.mkv", 60, stamps=stamps, codec="libx264", gop=60, bf="3")
    late = 0.04 * last + 0.51
    assert [number_in(frame) for frame in read_frames(file, times=[late, late + 1])] == [last, last + 12]


def test_a_region_of_a_frame(tmp_path, make_video, number_in):
    file = make_video(tmp_path / "a.mp4", turned=180)
    upright = read_frames(file, [3, 9, 3])
    assert [number_in(frame.rot90(2, dims=(1, 2))) for frame in upright] == [3, 9, 3]
    kept = read_frames(file, [3, 9, 3], region=Region(0, 8, 4, 12, (4, 12)))
    assert (kept.int() - upright[:, :, :4, 8:20].int()).abs().max() <= 3


def test_only_what_is_needed_is_decoded(tmp_path, make_video, number_in, decoded):
    file = make_video(tmp_path / "a.mp4", 600, gop=20)
    info = video_info(file)
    decoded[0] = 0
    assert number_in(read_frames(file, [450], info=info)[0]) == 450
    assert decoded[0] <= 22
    decoded[0] = 0
    frames = read_frames(file, [10, 590, 300], info=info)  # The frames in between are jumped over.
    assert [number_in(frame) for frame in frames] == [10, 590, 300]
    assert decoded[0] <= 3 * 22


@pytest.mark.slow
def test_two_hours_take_no_more_memory_than_a_minute(tmp_path, make_video, number_in, decoded):
    file = make_video(tmp_path / "long.mp4", 3600, rate=Fraction(1, 2), gop=60)
    tracemalloc.start()
    info = video_info(file)
    numbers = [number_in(frame) for frame in read_frames(file, [3500, 1800, 3], info=info)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert info.seconds == pytest.approx(7200)
    assert numbers == [3500, 1800, 3]
    assert decoded[0] <= 1 + 3 * 62
    assert peak < 300_000


def test_rotation(tmp_path, make_video, number_in):
    file = make_video(tmp_path / "a.mp4", turned=90)
    info = video_info(file)
    assert (info.height, info.width) == (96, 32)
    frame = read_frames(file, [5])[0]
    assert frame.shape == (3, 96, 32)
    assert number_in(torch.rot90(frame, -info.rotation // 90, dims=(1, 2))) == 5


def test_outside(tmp_path, make_video):
    file = make_video(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="has frames 0 to 23, but not 24, 25, 26, 27, 28 and 1 more"):
        read_frames(file, [3, *range(24, 30)])
    with pytest.raises(ValueError, match=r"is 0.96 s long, so it has no frame at 2 s"):
        read_frames(file, times=[2])
    with pytest.raises(ValueError, match="either indices or times"):
        read_frames(file)


def test_a_last_frame_that_is_displayed_for_long(tmp_path, make_video, number_in):
    """No frame follows for longer than frames last on average; the file is complete nevertheless."""
    stamps = [20 * n for n in range(29)] + [5000]
    for name in ("a.mkv", "a.mp4", "a.mov"):
        info = video_info(make_video(tmp_path / name, 30, stamps=stamps, codec="libx264"))
        assert info.lost == 0
        frames = read_frames(info.path, times=[0.57, 2.5, 4.99, 5.0, info.seconds], info=info)
        assert [number_in(frame) for frame in frames] == [28, 28, 28, 29, 29]


# --------------------------------------------------------------------------------------- broken files


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        video_info(tmp_path / "a.mp4")


def test_empty(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(VideoError, match=r"a.mp4' is not a video that can be decoded \(the file is empty\)"):
        video_info(tmp_path / "a.mp4")


def test_text(tmp_path):
    (tmp_path / "a.mp4").write_text("no film " * 100)
    with pytest.raises(VideoError, match=r"a.mp4' is not a video .*Invalid data found"):
        video_info(tmp_path / "a.mp4")


def test_sound_only(tmp_path, make_video):
    file = tmp_path / "a.m4a"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(torch.zeros(1, 8000).numpy(), "fltp", "mono")
        samples.sample_rate = 8000
        container.mux([*stream.encode(samples), *stream.encode()])
    with pytest.raises(VideoError, match="it has audio, but no video"):
        video_info(file)


def test_sound_that_lasts_longer(tmp_path, make_video, number_in):
    info = video_info(make_video(tmp_path / "a.mkv", 50, sound=5.0))
    assert (info.frames, info.lost) == (50, 0)
    assert number_in(read_frames(info.path, [49])[0]) == 49


def test_metadata_that_is_not_utf8(tmp_path, make_video, number_in):
    file = make_video(tmp_path / "a.avi", title="METADATA")
    file.write_bytes(file.read_bytes().replace(b"METADATA", b"\xff\xfe\xe9\xe8\xff\xfe\xe9\xe8"))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(file))
    assert number_in(read_frames(file, [7])[0]) == 7


def test_truncated_before_its_index(tmp_path, make_video):
    file = make_video(tmp_path / "a.mp4", 100)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"a.mp4"):
        video_info(file)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("name", "muxer"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {})])
def test_truncated(tmp_path, make_video, number_in, name, muxer):
    file = make_video(tmp_path / name, 400, muxer=muxer)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    info = video_info(file)
    assert 100 < info.frames < 350
    assert info.lost == pytest.approx(16 - info.seconds, abs=0.1)
    indices = list(range(info.frames))
    assert [number_in(frame) for frame in read_frames(file, indices)] == indices


def test_truncated_after_it_was_opened(tmp_path, make_video):
    file = make_video(tmp_path / "a.mkv", 100)
    info = video_info(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"it ends before 3.98 s, but should last 4.00 s"):
        read_frames(file, [99], info=info)


def test_the_error_can_be_pickled(tmp_path):
    error = pickle.loads(pickle.dumps(VideoError(tmp_path / "a.mp4", "because")))
    assert (error.path, error.reason, str(error)) == (
        tmp_path / "a.mp4",
        "because",
        str(VideoError(tmp_path / "a.mp4", "because")),
    )


# ------------------------------------------------------------------------------------------ torchcodec


def test_torchcodec_is_not_installed(tmp_path, make_video, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchcodec.decoders", None)
    with pytest.raises(ImportError, match=r'backend="torchcodec" cannot run: .*backend="pyav" gives the same frames'):
        read_frames(make_video(tmp_path / "a.mp4"), [0], backend="torchcodec")


def test_unknown_backend(tmp_path, make_video):
    with pytest.raises(ValueError, match=r"backend='pyaw' is not one of .*; did you mean 'pyav'"):
        read_frames(make_video(tmp_path / "a.mp4"), [0], backend="pyaw")


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mp4", "mpeg4")])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_torchcodec_gives_the_same_frames(tmp_path, make_video, name, codec, turned):
    pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    file = make_video(tmp_path / name, 60, codec=codec, turned=turned)
    indices = [3, 59, 0, 30, 31, 31]
    assert torch.equal(read_frames(file, indices), read_frames(file, indices, backend="torchcodec"))


# ------------------------------------------------------------------------------------------ real files


@needs_real
@pytest.mark.parametrize(
    "name",
    [
        "video-torchvision-assets/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi",  # Metadata not UTF-8.
        "video-torchvision-assets/TrumanShow_wave_f_nm_np1_fr_med_26.avi",  # Packed B-frames, no times.
        "video-torchvision-assets/v_SoccerJuggling_g23_c01.avi",
        "video-torchvision-assets/R6llTwEh07w.mp4",
        "video-asl-gestures/again.mkv",
    ],
)
def test_real_files_frame_by_frame(name):
    file = REAL / name
    info = video_info(file)
    with av.open(str(file), metadata_errors="replace") as container:
        expected = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    if file.suffix == ".avi":
        assert abs(info.frames - len(expected)) <= 1  # Depending on the threads, one packed frame is dropped.
    else:
        assert info.frames == len(expected)
    for index in random.Random(0).sample(range(len(expected)), 4):
        assert torch.equal(read_frames(file, [index], info=info)[0].permute(1, 2, 0), expected[index])
