"""A region cropped and scaled on the planes of a decoded frame, against its definition on RGB."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

av = pytest.importorskip("av")

from av.video.reformatter import ColorRange, Colorspace  # noqa: E402

from wholeframe.data.video.crops import fixed_crops, random_crop  # noqa: E402
from wholeframe.data.video.file import read_frames, video_info  # noqa: E402
from wholeframe.data.video.filters import RegionFilter  # noqa: E402
from wholeframe.data.video.region import Region  # noqa: E402

REAL = Path(__file__).parents[3].parent / "shared" / "data"
HEIGHT, WIDTH = 48, 80
BOXES = {
    "smaller": Region(8, 10, 32, 40, (12, 20)),
    "larger": Region(6, 4, 20, 30, (44, 50)),
    "as it is": Region(0, 0, HEIGHT, WIDTH, (HEIGHT, WIDTH)),
    "mirrored": Region(8, 10, 32, 41, (24, 30), mirrored=True),
}


def waves(height=HEIGHT, width=WIDTH):
    """A smooth image `(h, w, 3)` whose colours and corners all differ."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    image = torch.stack([0.5 + 0.4 * x, 0.5 + 0.4 * torch.cos(3 * y), 0.3 + 0.4 * x * y], dim=-1)
    return (255 * image).round().byte()


def stored(image, kind="yuv420p", matrix=Colorspace.ITU601, levels=ColorRange.MPEG):
    """The frame that a decoder would return for this image."""
    frame = av.VideoFrame.from_ndarray(image.contiguous().numpy(), format="rgb24")
    return frame.reformat(format=kind, dst_colorspace=matrix, dst_color_range=levels)


def cut(region, frame, shown=(HEIGHT, WIDTH), rotation=0):
    pixels = torch.empty(3, *region.size, dtype=torch.uint8)
    RegionFilter(region, shown, rotation)(frame, pixels)
    return pixels


def apart(found, expected):
    return (found.double() - expected.double()).abs()


@pytest.mark.parametrize("name", BOXES)
def test_it_agrees_with_the_definition(name):
    image, region = waves(), BOXES[name]
    expected = region.of(image.permute(2, 0, 1))
    away = apart(cut(region, stored(image)), expected)
    assert away.max() <= 4 and away.mean() < 1
    assert apart(expected, region._replace(mirrored=not region.mirrored).of(image.permute(2, 0, 1))).mean() > 5


def test_colours_are_at_most_half_a_pixel_off_at_odd_positions():
    """Colour differences are stored for 2 x 2 pixels. Brightness is exact, and nothing is off by a whole pixel."""
    image, region = waves().permute(2, 0, 1), Region(7, 11, 33, 41, (30, 40))
    found, expected, below = cut(region, stored(waves())), region.of(image), region._replace(top=8).of(image)
    grey = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]
    assert apart((found * grey).sum(0), (expected * grey).sum(0)).max() <= 1.5
    assert apart(found, expected).mean() < apart(found, below).mean() / 2


@pytest.mark.parametrize("kind", ["yuv422p", "yuv444p", "yuv420p10le", "nv12", "gbrp", "rgb24", "rgba"])
def test_every_pixel_format(kind):
    image, region = waves(), BOXES["smaller"]
    assert apart(cut(region, stored(image, kind)), region.of(image.permute(2, 0, 1))).max() <= 4


@pytest.mark.parametrize("levels", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
def test_the_colour_space_of_the_frame_is_used(matrix, levels):
    """The two matrices differ by up to 30 levels, the two ranges by up to 16."""
    image, region = waves(), BOXES["smaller"]
    frame = stored(image, matrix=matrix, levels=levels)
    assert apart(cut(region, frame), region.of(image.permute(2, 0, 1))).max() <= 4


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, 135])
def test_rotation(rotation):
    """Quarter turns are applied; other angles are ignored."""
    image = waves().permute(2, 0, 1)
    shown = torch.rot90(image, {90: 1, 180: 2, 270: 3}.get(rotation, 0), dims=(1, 2))
    region = Region(2, 6, 30, 24, (20, 16), mirrored=True)
    found = cut(region, stored(image.permute(1, 2, 0)), shown.shape[1:], rotation)
    assert apart(found, region.of(shown)).max() <= 4


def test_a_file_in_which_the_size_changes():
    region = BOXES["smaller"]
    cutter = RegionFilter(region, (HEIGHT, WIDTH), 0)
    for height, width in ((HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT, WIDTH)):
        pixels = torch.empty(3, *region.size, dtype=torch.uint8)
        cutter(stored(waves(height, width)), pixels)
        assert apart(pixels, region.of(waves().permute(2, 0, 1))).mean() < 2


def test_grey_is_neither_darker_nor_brighter():
    """Brightness is stored as 16 to 235; the conversion to RGB rounds, and swscale's fast conversion rounds down."""
    region, errors = Region(0, 0, 8, 8, (4, 4)), []
    for level in range(16, 236):
        planes = [np.full((8, 8), level, np.uint8), np.full((4, 8), 128, np.uint8)]
        pixels = cut(region, av.VideoFrame.from_ndarray(np.concatenate(planes), format="yuv420p"), (8, 8))
        errors.append(float(pixels.double().mean()) - (level - 16) * 255 / 219)
    assert max(map(abs, errors)) <= 1
    assert abs(np.mean(errors)) < 0.1


@pytest.mark.parametrize(("kind", "most", "mean"), [("yuv420p", 1, 0.5), ("yuv420p10le", 3, 1.6)])
def test_a_crop_is_brighter_than_the_definition_by_its_rounding_alone(kind, most, mean):
    """On grey only rounding differs. The fast conversion rounds 8 bits down to a level, less than 1 of 255.

    More bits are first rounded down to 8, less than 255/219 levels; both and the rounding of the crop are less than 3.
    """
    bits = int(kind[7:9]) if kind.endswith("le") else 8
    levels = np.linspace(16 << bits - 8, 235 << bits - 8, 48 * 80).round().astype(np.uint16 if bits > 8 else np.uint8)
    grey = np.full((24, 80), 128 << bits - 8, levels.dtype)
    frame = av.VideoFrame.from_ndarray(np.concatenate([levels.reshape(48, 80), grey]), format=kind)
    whole = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
    away = cut(BOXES["as it is"], frame).double() - whole.double()
    assert away.min() >= 0 and away.max() <= most
    assert float(away.mean()) == pytest.approx(mean, abs=0.15)


def test_frames_in_any_order_and_more_than_once(tmp_path, make_video, number_in):
    file = make_video(tmp_path / "a.mp4", 30)
    region = Region(0, 0, 32, 96, (32, 96))
    order = [5, 3, 3, 29, 0, 5]
    frames = read_frames(file, order, region=region)
    assert [number_in(frame) for frame in frames] == order
    assert (
        read_frames(file, [3, 4, 9], region=region).transpose(0, 1).is_contiguous()
    )  # A clip, in the layout in which it is sent.
    assert read_frames(file, [], region=BOXES["smaller"]).shape == (0, 3, 12, 20)


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder ../shared/data with real clips")
@pytest.mark.parametrize("crop", [random_crop(224), fixed_crops(224, crops="full")], ids=("random", "full"))
@pytest.mark.parametrize(
    "name",
    [
        "video-torchvision-assets/R6llTwEh07w.mp4",
        "video-torchvision-assets/TrumanShow_wave_f_nm_np1_fr_med_26.avi",
        "video-asl-gestures/again.mkv",
        "video-fir-actions/video/20200626_154313_mlx90640_01_light_none.mp4",
    ],
)
def test_real_clips_are_close_to_whole_frames_scaled(name, crop):
    """Whole frames converted to RGB by swscale's fast conversion and then scaled are about one level darker."""
    file = REAL / name
    info = video_info(file)
    torch.manual_seed(0)
    region = crop.draw(info.height, info.width)
    indices = random.Random(0).sample(range(info.frames - 2), 4)
    found, before = (
        pixels.double() for pixels in (read_frames(file, indices, region=region), region.of(read_frames(file, indices)))
    )
    assert 0 < (found - before).mean() < 1.5
    assert apart(found, before).mean() < 2
