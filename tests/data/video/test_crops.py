"""From frames to the input of a network: one scale, crop and flip for all frames of a clip, and the colours."""

import pytest
import torch

from wholeframe.data.video.crops import COLOURS, fixed_crops, normalised, random_crop, sides


def ramp(height=40, width=60, frames=3):
    """A clip whose red gives the column and whose green gives the row; blue is 114.75, rounded."""
    clip = torch.empty(frames, 3, height, width, dtype=torch.uint8)
    clip[:, 0] = torch.arange(width) * 4
    clip[:, 1] = torch.arange(height)[:, None] * 4
    clip[:, 2] = 115
    return clip


def test_sides_are_those_of_the_paper():
    assert sides(224) == (256, 320)
    assert sides(112) == (128, 160)


def test_random_crop_is_the_same_for_all_frames():
    torch.manual_seed(0)
    lefts, scales, mirrored = set(), set(), set()
    for _ in range(60):
        view = random_crop(28)(ramp())
        assert view.shape == (3, 3, 28, 28)
        assert view.dtype == torch.uint8
        assert torch.equal(view[:, 0], view[:, 1])
        assert torch.equal(view[:, 0], view[:, 2])
        red = view[0, 0, 14].float()
        step = (red[20] - red[8]) / 12
        mirrored.add(bool(step < 0))
        scales.add(round(40 * 4 / abs(float(step))))
        lefts.add(round(min(float(red[0]), float(red[-1])) / 8))
    assert mirrored == {True, False}
    assert scales <= set(range(31, 42))  # Sides of 32 to 40.
    assert len(scales) > 4
    assert len(lefts) > 4


def test_random_crop_unmirrored_and_replayed():
    torch.manual_seed(3)
    first = [random_crop(28, flip=False)(ramp()) for _ in range(20)]
    assert all(view[0, 0, 0, -1] > view[0, 0, 0, 0] for view in first)
    torch.manual_seed(3)
    assert all(torch.equal(view, random_crop(28, flip=False)(ramp())) for view in first)


def test_three_crops_lie_along_the_longer_side():
    views = fixed_crops(40, side=40, crops="three")(ramp())
    assert views.shape == (3, 3, 3, 40, 40)
    assert (views[:, 0, 0, 0, 0] / 4).round().tolist() == [0, 10, 20]
    rows = fixed_crops(40, side=40, crops="three")(ramp(60, 40))[:, 1, 0, 0, 0]
    assert (rows / 4).round().tolist() == [0, 10, 20]


def test_centre_and_full():
    centre = fixed_crops(20, side=40)(ramp())
    assert centre.shape == (1, 3, 3, 20, 20)
    assert (centre[0, :2, 0, 0, 0] / 4).round().tolist() == [20, 10]
    full = fixed_crops(20, side=40, crops="full")(ramp())
    assert full.shape == (1, 3, 3, 40, 60)
    assert fixed_crops(112, crops="full")(ramp()).shape == (1, 3, 3, 128, 192)


def test_colours():
    levels = torch.arange(256, dtype=torch.uint8).expand(2, 3, 1, 1, 256)
    for colours, (mean, std) in COLOURS.items():
        clips = normalised(levels, colours)
        assert (clips.dtype, clips.shape) == (torch.float32, levels.shape)
        for colour in range(3):
            expected = (levels[:, colour].double() / 255 - mean[colour]) / std[colour]
            assert torch.allclose(clips[:, colour].double(), expected, rtol=0, atol=1e-6)
    assert COLOURS["nonlocal"][0][0] * 255 == pytest.approx(114.75)
    assert COLOURS["nonlocal"][1][0] * 255 == pytest.approx(57.375)


def test_normalised_clips_are_not_normalised_again():
    clips = normalised(ramp().transpose(0, 1), "nonlocal")
    with pytest.raises(ValueError, match=r"torch.float32 and not 8-bit, so they may be normalised already"):
        normalised(clips, "nonlocal")


def test_impossible_sizes():
    with pytest.raises(ValueError, match="size=0 is not a size in pixels"):
        random_crop(0)
    with pytest.raises(ValueError, match="side=100 is smaller than size=112"):
        fixed_crops(112, side=100)


def test_unknown_crops_and_colours():
    with pytest.raises(ValueError, match=r"crops='center' is not one of .*; did you mean 'centre'"):
        fixed_crops(112, crops="center")
    with pytest.raises(ValueError, match="colours='imagenet' is not one of 'nonlocal', 'torchvision'"):
        normalised(ramp().transpose(0, 1), "imagenet")
