"""Where the grid of a block lies in the image: compared with a detector's own transform of an image with a light."""

import itertools

import pytest
import torch

import wholeframe as wf
from wholeframe.explain.seen import runs_of

SITE = "backbone.body.layer3.0.wholeframe"
SIZES = [(200, 90), (90, 200), (30, 40), (300, 301), (256, 384), (700, 180)]


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return wf.create_model("maskrcnn_tiny_nl1", num_classes=2).eval()


def light_at(detector, size, pixel):
    """The centre of a light of 5 x 5 pixels in the scaled and padded image, and the shape of that image."""
    image = torch.zeros(3, *size)
    image[:, pixel[0] - 2 : pixel[0] + 3, pixel[1] - 2 : pixel[1] + 3] = 1
    lit, dark = (detector.transform([each])[0].tensors[0, 0] for each in (image, torch.zeros(3, *size)))
    light = lit - dark
    rows, columns = (torch.arange(side) + 0.5 for side in light.shape)
    return ((light.sum(1) @ rows) / light.sum(), (light.sum(0) @ columns) / light.sum()), light.shape


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("size", SIZES)
def test_a_query_is_in_the_cell_where_the_detector_has_its_pixel(detector, size):
    """Scaling and padding differ in both axes."""
    seen = dict(runs_of(detector, [torch.rand(3, *size)], [SITE]))[SITE]
    (frame,), grid = seen.frames, seen.x.shape[2:]
    checked = 0
    for pixel in itertools.product(*(range(3, side - 3, side // 6) for side in size)):
        light, padded = light_at(detector, size, pixel)
        # Cells are 16 pixels apart, and the centre of the first one is that of the first pixel.
        steps = [side / cells for side, cells in zip(padded, grid, strict=True)]
        places = [float((at - 0.5) / step + 0.5) for at, step in zip(light, steps, strict=True)]
        places = [min(place, cells - 0.5) for place, cells in zip(places, grid, strict=True)]  # the outermost cell
        if all(0.1 < place % 1 < 0.9 for place in places):
            assert frame.cell(pixel, grid) == tuple(int(place) for place in places), pixel
            checked += 1
    assert checked >= 6


def test_the_frame_reaches_beyond_the_image_where_it_is_padded(detector):
    # 90 x 200 is scaled by 384 / 200 to 172 x 384, and padded to 192 x 384; cells are 16 pixels apart, from pixel 0 on.
    (frame,) = dict(runs_of(detector, [torch.rand(3, 90, 200)], [SITE]))[SITE].frames
    for interval, cells, factor in zip(frame.intervals, (12, 24), (90 / 172, 200 / 384), strict=True):
        assert interval == pytest.approx((-7.5 * factor, (16 * cells - 7.5) * factor))


@pytest.mark.slow
def test_the_rectangles_of_a_head_are_the_boxes_of_the_detections():
    torch.manual_seed(0)
    detector = wf.create_model("keypointrcnn_tiny_nl4").eval()
    name, image = "roi_heads.keypoint_head.7.wholeframe", torch.rand(3, 100, 170)
    seen = dict(runs_of(detector, [image], [name]))[name]
    with torch.no_grad():
        boxes = detector([image])[0]["boxes"]
    assert seen.regions and len(seen.frames) == len(seen.x) == len(boxes) > 1
    found = torch.tensor([[frame.intervals[1], frame.intervals[0]] for frame in seen.frames])  # x, then y
    assert torch.allclose(found.transpose(1, 2).flatten(1), boxes, atol=1e-3)


def test_a_network_is_left_without_hooks_and_in_its_mode(detector):
    detector.train()
    runs_of(detector, [torch.rand(3, 40, 40)], [SITE])
    assert detector.training and not any(m._forward_hooks for m in (detector.transform, detector.roi_heads))
    detector.eval()
