"""A folder of numbered frames as a video."""

import pytest
import torch
from PIL import Image

pytest.importorskip("av")

from video_kinds import picture

from wholeframe.data.video.file import VideoError, check_frames, read_frames, video_info
from wholeframe.data.video.region import Region

SIZE = (96, 64)


@pytest.fixture
def write(tmp_path):
    """`write(range(1, 8), "img_{:05}.png")`: frames of these numbers in a folder."""

    def frames(numbers, template="img_{:05}.png", size=SIZE):
        folder = tmp_path / "clip"
        folder.mkdir(exist_ok=True)
        for number in numbers:
            Image.fromarray(picture(number, size)).save(folder / template.format(number))
        return folder

    return frames


def shown(*numbers):
    return torch.stack([torch.from_numpy(picture(number, SIZE)) for number in numbers]).permute(0, 3, 1, 2)


@pytest.mark.parametrize("template", ["img_{:05}.png", "{}.bmp", "frame-{:03}.PNG", "clip7_{:06}.ppm"])
def test_frames_in_the_order_of_their_numbers(write, template):
    folder = write(range(8, 20), template)  # 10.bmp is before 8.bmp in the order of names.
    info = video_info(folder, rate=12.5)
    assert (info.frames, info.fps, info.seconds, info.height, info.width) == (12, 12.5, 0.96, 64, 96)
    assert torch.equal(read_frames(folder, [11, 0, 5, 0], info=info), shown(19, 8, 13, 8))
    assert torch.equal(read_frames(folder, times=[0, 0.079, 0.08, 0.96], info=info), shown(8, 8, 9, 19))
    region = Region(8, 10, 32, 40, (12, 20), mirrored=True)
    assert torch.equal(read_frames(folder, [3], info=info, region=region), region.of(shown(11)))
    check_frames(info)


def test_optical_flow_is_left_out(write):
    write(range(1, 4), "flow_x_{:05}.jpg")
    write(range(1, 4), "y_{:05}.jpg")
    assert video_info(write(range(1, 6)), rate=25).frames == 5


def test_a_frame_of_another_size_is_scaled(write):
    write(range(1, 4))
    folder = write(range(4, 6), size=(48, 32))
    assert read_frames(folder, [0, 4], info=video_info(folder, rate=25)).shape == (2, 3, 64, 96)


def test_the_rate_is_needed(write, make_video, tmp_path):
    folder = write(range(3))
    with pytest.raises(VideoError, match="stores no frame rate; give it, such as rate=25"):
        video_info(folder)
    with pytest.raises(ValueError, match="rate=nan is not a number of frames per second"):
        video_info(folder, rate=float("nan"))
    with pytest.raises(ValueError, match="a file, which stores its own frame rate"):
        video_info(make_video(tmp_path / "a.mp4"), rate=25)


@pytest.mark.parametrize(
    ("numbers", "template", "reason"),
    [
        ([1, 2, 4], "img_{:05}.png", "frame 3 is missing: 'img_00002.png' is followed by 'img_00004.png'"),
        ([2], "img_{}.png", "frame 2 is there twice"),
        ([1], "left_{:05}.png", "frames of several names"),
        ([1], "img_{:05}.jpg", "frames of several names"),
    ],
)
def test_frames_that_are_not_one_video(write, numbers, template, reason):
    if template != "img_{:05}.png":
        write(range(1, 4))
    with pytest.raises(VideoError, match=reason):
        video_info(write(numbers, template), rate=25)


def test_a_folder_without_frames(tmp_path):
    with pytest.raises(VideoError, match=r"without numbered frames such as 'img_00001.jpg'"):
        video_info(tmp_path, rate=25)


def test_a_damaged_and_a_deleted_frame(write):
    folder = write(range(1, 6))
    info = video_info(folder, rate=25)
    (folder / "img_00003.png").write_text("no image")
    assert read_frames(folder, [0, 4], info=info).shape[0] == 2
    with pytest.raises(VideoError, match=r"its frame 'img_00003.png' does not decode"):
        read_frames(folder, [2], info=info)
    with pytest.raises(VideoError, match=r"its frame 'img_00003.png' does not decode"):
        check_frames(info)
    (folder / "img_00005.png").unlink()
    with pytest.raises(VideoError, match="it has 4 frames, but had 5"):
        read_frames(folder, [0], info=info)
