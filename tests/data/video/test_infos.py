"""Checking a folder of videos: what is checked is what is read later."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

from video_kinds import Kind, encode

from wholeframe.data.video.file import VideoError, check_frames, read_frames, video_info
from wholeframe.data.video.infos import infos_of, truncation_notes


@pytest.fixture
def broken(tmp_path) -> Path:
    """A file whose header, first and last frames are intact, and whose middle does not decode."""
    file = encode(tmp_path, Kind("mp4", count=60))
    info, data = video_info(file), bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle - 400 : middle + 400] = b"\xff" * 800
    file.write_bytes(data)
    assert video_info(file) == info
    return file


def test_a_frame_in_the_middle_is_found_by_reading_every_frame(tmp_path, broken):
    infos, problems = infos_of(tmp_path, [broken])
    assert list(infos) == [broken] and not problems
    infos, (problem,) = infos_of(tmp_path, [broken], every_frame=True)
    assert not infos
    assert problem.name == "mp4.mp4"
    with pytest.raises(VideoError) as error:
        check_frames(video_info(broken))
    assert problem.reason == error.value.reason
    with pytest.raises(VideoError):
        read_frames(broken, range(60))


def test_an_intact_file_passes(tmp_path):
    files = [encode(tmp_path, kind) for kind in (Kind("mpg", "mpeg1video"), Kind("mkv late", offset=937))]
    infos, problems = infos_of(tmp_path, files, every_frame=True)
    assert list(infos) == files and not problems
    assert not truncation_notes(infos.values())


@pytest.mark.parametrize("name", ["mkv", "avi", "mp4"])
def test_the_missing_part_of_a_file_is_named(tmp_path, name):
    file = encode(tmp_path, Kind(name, "mpeg4", 100, muxer={"movflags": "faststart"} if name == "mp4" else {}))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    infos, problems = infos_of(tmp_path, [file], every_frame=True)
    assert not problems
    assert infos[file].lost == pytest.approx(4 - infos[file].seconds, abs=0.1) and infos[file].lost > 1
    assert "1 truncated file used up to the missing end" in truncation_notes(infos.values())[0]


def test_a_folder_of_frames_has_the_rate_that_is_given(tmp_path):
    (tmp_path / "clip").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "clip" / "img_1.png")
    infos, problems = infos_of(tmp_path, [tmp_path / "clip"], rate=5)
    assert infos[tmp_path / "clip"].fps == 5 and not problems
    infos, (problem,) = infos_of(tmp_path, [tmp_path / "clip"])
    assert not infos and "stores no frame rate" in problem.reason
