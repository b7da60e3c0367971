"""Which layout `open_clips` takes, and what it refuses."""

import pytest

pytest.importorskip("av")

import av

from wholeframe.data.video.clip_folder import open_clips


def test_a_list_comes_before_class_folders(videos, write_list):
    root = videos("cat/1.mp4", "cat/2.mp4", "dog/3.mp4", "dog/4.mp4")
    assert open_clips(root).classes == ("cat", "dog")
    write_list(root, "video,label", "cat/1.mp4,walk", "dog/3.mp4,sit")
    assert open_clips(root).classes == ("sit", "walk")


def test_the_unit_reaches_the_list(videos, write_list):
    root = write_list(videos("a.mp4", "b.mp4"), "video,start,end,label", "a.mp4,0,25,x", "b.mp4,1,2,y")
    with pytest.raises(ValueError, match='give unit="frames" or unit="seconds"'):
        open_clips(root)
    clips = open_clips(root, unit="frames")
    found = [(segment.path.stem, segment.start, segment.end) for segment in (*clips.train, *clips.val)]
    assert sorted(found) == [("a", 0, 1), ("b", 0.04, 0.08)]


def test_refused_folders(tmp_path, videos):
    with pytest.raises(FileNotFoundError, match="there is no folder or list"):
        open_clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"0 class folders, but needs at least two.(?s:.*)video,start_frame"):
        open_clips(tmp_path / "empty")
    root = videos("train/cat/1.mp4", "train/dog/2.mp4", "test/cow/3.mp4")
    with pytest.raises(ValueError, match="class folders that are not among those to train on: 'cow'"):
        open_clips(root)
    with pytest.raises(ValueError, match="window=0 is not a length in seconds"):
        open_clips(root, window=0)
    with pytest.raises(ValueError, match="val_fraction=1 is not between"):
        open_clips(root, val_fraction=1)
    with pytest.raises(ValueError, match=r"window=4 divides the videos of a list, but '.*' has no list"):
        open_clips(root, window=4)


def test_strict_finds_what_a_clip_could_not_be_read_from(videos):
    """Packets in the middle are damaged; the head and the end, which `video_info` reads, are whole."""
    root = videos("cat/1.mp4", "cat/2.mp4", "dog/3.mp4", "dog/4.mp4", count=250)
    file = root / "dog" / "4.mp4"
    with av.open(str(file)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(file.read_bytes())
    for position, size in packets[20:-20]:
        content[position : position + size] = bytes(size)
    file.write_bytes(content)
    assert open_clips(root).problems == ()
    with pytest.raises(ValueError, match=r"has 1 that cannot be used: 'dog/4.mp4' \("):
        open_clips(root, strict=True)
