"""A video is found by its content, and opening it opens nothing else."""

import os

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from video_kinds import Kind, encode, picture  # noqa: E402

from wholeframe.data.video.extensions import EXTENSIONS, is_video, videos_among  # noqa: E402
from wholeframe.data.video.file import VideoError, read_frames, video_info  # noqa: E402
from wholeframe.data.video.formats import FORMATS  # noqa: E402

KINDS = [
    Kind("mp4"),
    Kind("gif", "gif", pixels="rgb8"),
    Kind("asf", "wmv2"),
    Kind("mxf", "mpeg2video"),
    Kind("h264"),
    Kind("mpg", "mpeg1video"),
    Kind("m4v", "mpeg4", format="m4v"),
]
LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile other.mp4\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    "metadata": ";FFMETADATA1\ntitle=x\n",
    "text": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x.png"/></svg>',
    "postscript": "%!PS-Adobe-3.0\n(other.mp4) run\n",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_suffix_does_not_matter(tmp_path, kind):
    file = encode(tmp_path, kind)
    assert file.suffix in EXTENSIONS
    for suffix in ("", ".txt", ".jpg", ".mp4.part"):
        file = file.rename(tmp_path / f"clip{suffix}")
        assert is_video(file)
        assert video_info(file).frames == kind.count


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.txt", "list.ffconcat"])
def test_a_list_of_other_files_is_not_opened(tmp_path, content, name):
    encode(tmp_path, Kind("mp4", count=3)).rename(tmp_path / "other.mp4")
    (tmp_path / name).write_text(content)
    assert not is_video(tmp_path / name)
    with pytest.raises(VideoError, match="is not a video that can be decoded"):
        video_info(tmp_path / name)


def test_formats_that_open_other_files_are_not_on_the_list():
    listed = set(FORMATS.split(","))
    assert not listed & {"hls", "dash", "concat", "sdp", "rtp", "rtsp", "image2", "lavfi", "ffmetadata", "tty", "mlv"}
    assert not [name for name in listed if name.endswith("_pipe")]


@pytest.mark.parametrize("name", ["concat:a.mp4", "http:a.mp4", "img%03d.mp4", "a\udcff.mp4", "-i.mp4", "a'\"\n.mp4"])
def test_a_name_is_not_an_address(tmp_path, monkeypatch, name):
    file = encode(tmp_path, Kind("mp4"))
    try:
        file.rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system does not take the name")
    monkeypatch.chdir(tmp_path)
    assert is_video(name)
    assert read_frames(name, [7]).shape == (1, 3, 64, 96)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp", "ppm", "avif", "mp4"])
def test_an_image_is_not_a_video(tmp_path, suffix):
    Image.fromarray(picture(1, (96, 64))).save(tmp_path / f"a.{suffix}", "jpeg" if suffix == "mp4" else None)
    assert not is_video(tmp_path / f"a.{suffix}")


def test_other_files_are_not_videos(tmp_path):
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(0).bytes(100_000))
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("no film\n" * 100)
    os.mkfifo(tmp_path / "pipe")
    for path in (*tmp_path.iterdir(), tmp_path, tmp_path / "absent.mp4"):
        assert not is_video(path)


def test_videos_among_files_and_folders(tmp_path):
    encode(tmp_path, Kind("gif", "gif", pixels="rgb8"))
    encode(tmp_path, Kind("mp4")).rename(tmp_path / "clip")
    (tmp_path / "broken.mp4").write_text("no film")
    (tmp_path / "notes.txt").write_text("no film")
    (tmp_path / ".hidden.mp4").write_text("no film")
    (tmp_path / "frames").mkdir()
    Image.fromarray(picture(1, (96, 64))).save(tmp_path / "frames" / "img_00001.jpg")
    videos, others = videos_among(tmp_path.iterdir())
    assert [video.name for video in videos] == ["broken.mp4", "clip", "frames", "gif.gif"]
    assert [other.name for other in others] == ["notes.txt"]
