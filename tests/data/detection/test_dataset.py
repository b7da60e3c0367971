"""Images with targets, as torchvision's detectors take them, and what an augmentation does to them."""

import numpy as np
import pytest
import torch
from PIL import Image

import wholeframe as wf
from wholeframe.data.detection.annotations import Annotations, Instance, Picture
from wholeframe.data.detection.dataset import DetectionDataset
from wholeframe.data.detection.masks import mask_of
from wholeframe.data.detection.transforms import augment, mirrored, prepared

pytest.importorskip("faster_coco_eval", reason="masks need faster-coco-eval")

WIDTH, HEIGHT = 40, 30
NAMES = ("nose", "left_eye", "right_eye")


def square(x, y, side, **fields):
    corners = (x, y, x + side, y, x + side, y + side, x, y + side)
    box = (float(x), float(y), float(x + side), float(y + side))
    return Instance(1, box, (tuple(map(float, corners)),), area=float(side**2), **fields)


@pytest.fixture
def annotations(tmp_path):
    """`annotations(*instances)`: an image that is white within its first object, and an image without objects."""

    def make(*instances, keypoints=()):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        x1, y1, x2, y2 = map(int, instances[0].box)
        pixels[y1:y2, x1:x2] = 255
        for name, values in (("a", pixels), ("b", 0 * pixels)):
            Image.fromarray(values).save(tmp_path / f"{name}.png")
        pictures = (
            Picture(tmp_path / "a.png", 7, WIDTH, HEIGHT, instances),
            Picture(tmp_path / "b.png", 8, WIDTH, HEIGHT),
        )
        return Annotations(tmp_path, ("cat",), pictures, (1,), keypoints)

    return make


def test_masks_of_polygons_and_of_run_lengths():
    mask = mask_of(square(5, 6, 10), HEIGHT, WIDTH)
    assert mask.shape == (HEIGHT, WIDTH) and mask.sum() == 100 and mask[6:16, 5:15].all()
    column = Instance(1, (0, 0, 2, 3), {"size": [3, 4], "counts": [0, 6, 6]})  # down the columns
    assert mask_of(column, 3, 4).tolist() == [[1, 1, 0, 0]] * 3
    with pytest.raises(ValueError, match=r"is of 4 x 3 pixels, and its image of 5 x 3"):
        mask_of(column, 3, 5)
    with pytest.raises(ValueError, match="a box and no mask"):
        mask_of(Instance(1, (0, 0, 2, 3)), 3, 4)


def test_targets(annotations):
    data = DetectionDataset(annotations(square(5, 6, 10), square(20, 6, 4), square(0, 0, 20, crowd=True)))
    image, target = data[0]
    assert image.shape == (3, HEIGHT, WIDTH) and image.dtype == torch.uint8 and len(data) == 2
    assert target["boxes"].tolist() == [[5, 6, 15, 16], [20, 6, 24, 10]] and target["labels"].tolist() == [1, 1]
    assert target["masks"].flatten(1).sum(dim=1).tolist() == [100, 16] and target["image_id"] == 7
    assert data[1][1]["boxes"].shape == (0, 4) and data[1][1]["masks"].shape == (0, HEIGHT, WIDTH)


def test_images_without_objects_are_kept_or_dropped(annotations):
    found = annotations(square(5, 6, 10))
    assert [len(DetectionDataset(found, empty=empty)) for empty in ("keep", "drop")] == [2, 1]
    for option in ({"empty": "none"}, {"learn": "mask"}):
        with pytest.raises(ValueError, match="is not one of"):
            DetectionDataset(found, **option)
    with pytest.raises(ValueError, match=r"no image of .* has an object to train on"):
        DetectionDataset(annotations(square(0, 0, 9, crowd=True)))


def test_an_image_of_another_size_than_its_annotations(annotations):
    found = annotations(square(5, 6, 10))
    Image.new("RGB", (10, 9)).save(found.pictures[0].file)
    with pytest.raises(
        ValueError, match=r"a\.png' cannot be used: it is of 10 x 9 pixels, and its annotations are for 40 x 30"
    ):
        DetectionDataset(found)[0]


def test_an_image_that_its_exif_orientation_turns(annotations):
    found = annotations(square(5, 6, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(found.pictures[0].file, exif=exif)
    with pytest.raises(ValueError, match=r"of 30 x 40 pixels \(turned, as by an EXIF .* are for 40 x 30; put"):
        DetectionDataset(found)[0]


def test_images_that_are_damaged_or_gone(annotations):
    found = annotations(square(5, 6, 10))
    data, file = DetectionDataset(found), found.pictures[0].file
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"a\.png' is not an image that can be decoded"):
        data[0]
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a\.png"):
        data[0]


def test_objects_without_labelled_keypoints(annotations):
    with pytest.raises(ValueError, match="has an object with a keypoint that is labelled to train on"):
        DetectionDataset(annotations(square(5, 6, 10, keypoints=((0.0, 0.0, 0),) * 3), keypoints=NAMES))


@pytest.mark.parametrize("seed", range(12))
def test_boxes_masks_and_pixels_stay_together(annotations, seed):
    """The white pixels of the image are those of the mask, and its box holds them, after every augmentation."""
    torch.manual_seed(seed)
    transform = augment(jitter=(0.5, 2), crop=True, colours=False)
    image, target = DetectionDataset(annotations(square(10, 8, 12)), transform)[0]
    (mask,), (box,) = target["masks"], target["boxes"].round().int().tolist()
    white = image.mean(dim=0) > 0.5
    assert image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
    assert (white != mask.bool()).sum() <= 2 * (mask.shape[0] + mask.shape[1])  # resizing blurs the edge
    x1, y1, x2, y2 = box
    outside = mask.clone()
    outside[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = 0
    assert not outside.any()


def test_a_flip_exchanges_left_and_right(annotations):
    """A point that is not labelled stays at (0, 0)."""
    points = ((12.0, 9.0, 2), (14.0, 10.0, 1), (0.0, 0.0, 0))
    found = annotations(square(10, 8, 12, keypoints=points), keypoints=NAMES)
    torch.manual_seed(0)
    seen = {tuple(map(tuple, DetectionDataset(found, augment(NAMES))[0][1]["keypoints"][0].tolist())) for _ in range(9)}
    assert seen == {points, ((27.0, 9.0, 2), (0.0, 0.0, 0), (25.0, 10.0, 1))}
    assert mirrored(("left_hand", "tail", "right_hand", "left_only")) == [2, 1, 0, 3]


def test_what_is_cut_away_is_left_out_with_every_row(annotations):
    points = ((12.0, 9.0, 2), (21.0, 19.0, 2), (0.0, 0.0, 0))
    found = annotations(square(10, 8, 12, keypoints=points), square(30, 20, 5, keypoints=points), keypoints=NAMES)
    image, target = DetectionDataset(found)[0]
    target["masks"] = target["masks"][:, :15, :20]
    _, kept = prepared(image[:, :15, :20], target)
    assert kept["boxes"].tolist() == [[10, 8, 20, 15]] and len(kept["labels"]) == len(kept["masks"]) == 1
    assert kept["keypoints"].tolist() == [[[12, 9, 2], [0, 0, 0], [0, 0, 0]]]


def test_a_detector_takes_them(annotations):
    points = ((12.0, 9.0, 2), (14.0, 10.0, 1), (0.0, 0.0, 0))
    found = annotations(square(10, 8, 12, keypoints=points), keypoints=NAMES)
    torch.manual_seed(0)
    images, targets = zip(*[DetectionDataset(found, augment())[k] for k in (0, 1)], strict=True)
    losses = wf.create_model("maskrcnn_tiny").train()(list(images), list(targets))
    assert all(loss.isfinite() for loss in losses.values()) and "loss_mask" in losses
